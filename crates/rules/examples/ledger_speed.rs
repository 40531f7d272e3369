//! Checks of the ledger rule on an entry of 1 KiB, one after the other on one core, each in an instance of its own.
//! Rounds are short, so that other work on the machine leaves some of them alone.
//!
//! ```text
//! cargo run --release -p quorate-rules --example ledger_speed
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quorate_rules::abi::{Call, CallKind, Host, Missing, Usage};
use quorate_rules::engine::{Engine, EngineConfig};
use quorate_rules::limits::GAS_LIMIT_CHECK;
use quorate_rules::state::StateError;
use quorate_rules::verdict::Verdict;
use quorate_types::{Hash, PublicKey};

const LEDGER: &[u8] = include_bytes!("../../../rules/built/ledger.wasm");
const ROUNDS: u32 = 400;
const CHECKS: u32 = 250;

/// A state that is read, and never written: each check is the same.
struct Balances(BTreeMap<Vec<u8>, Vec<u8>>);

impl Host for Balances {
    fn block(&mut self, index: u64) -> Result<Bytes, Missing> {
        Err(Missing { index })
    }

    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.0.get(key).cloned())
    }

    fn usage(&mut self) -> Result<Usage, StateError> {
        Ok(Usage { bytes: 82, keys: self.0.len() as u64 })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::new(EngineConfig::default())?;
    let rule = engine.compile(LEDGER)?;
    let (alice, bob) = (PublicKey::new([0xa1; 32]), PublicKey::new([0xb0; 32]));
    let params = format!(r#"{{"issuer":"{alice}"}}"#);
    let head = format!(r#"{{"transfer":{{"to":"{bob}","amount":5,"memo":""#);
    let memo: String =
        "what it is for, in plain words. ".chars().cycle().take(1024 - head.len() - 3).collect();
    let payload = format!(r#"{head}{memo}"}}}}"#);
    assert_eq!(payload.len(), 1024);
    let account = |key: PublicKey| [b"b".as_slice(), key.as_bytes()].concat();
    let balance = 1_000_000_u64.to_le_bytes().to_vec();
    let mut room = Balances(BTreeMap::from([(account(alice), balance.clone()), (account(bob), balance)]));
    let call = Call {
        kind: CallKind::Check,
        flags: 0,
        index: 7,
        previous: Hash::new([9; 32]),
        author: alice,
        params: params.as_bytes(),
        payload: payload.as_bytes(),
        gas: GAS_LIMIT_CHECK.unsigned_abs(),
    };
    let (mut best, mut all, mut gas) = (Duration::MAX, Duration::ZERO, 0);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for _ in 0..CHECKS {
            let outcome = rule.check(&call, &mut room);
            assert_eq!((&outcome.verdict, outcome.writes.len()), (&Verdict::Accept, 2));
            gas = outcome.gas_used;
        }
        best = best.min(begun.elapsed());
        all += begun.elapsed();
    }
    let micros = |time: Duration, checks: u32| time.as_secs_f64() * 1e6 / f64::from(checks);
    println!(
        "{:.2} us each in the best {CHECKS}, {:.2} us in all, {gas} gas",
        micros(best, CHECKS),
        micros(all, CHECKS * ROUNDS)
    );
    Ok(())
}
