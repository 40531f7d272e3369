//! Checks of the ledger rule on an entry of 1 KiB, one after the other on one core, each in an instance of its own: with
//! a host that is asked, and with the state at hand. Rounds are short and take turns, so that other work on the machine leaves
//! some of each alone.
//!
//! ```text
//! cargo run --release -p quorate-rules --example ledger_speed
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quorate_rules::abi::{AtHand, Call, CallKind, Host, Missing, Usage};
use quorate_rules::engine::{Engine, EngineConfig, with_stack};
use quorate_rules::limits::GAS_LIMIT_CHECK;
use quorate_rules::state::{InMemory, StateError};
use quorate_rules::verdict::Verdict;
use quorate_types::{Hash, PublicKey, RuleId};

const LEDGER: &[u8] = include_bytes!("../../../rules/built/ledger.wasm");
const ROUNDS: u32 = 400;
const CHECKS: u32 = 250;

/// A state that is read, and never written: each check is the same.
#[derive(Debug)]
struct State(BTreeMap<Vec<u8>, Vec<u8>>);

impl InMemory for State {
    fn get(&self, _: &RuleId, key: &[u8]) -> Option<Option<Vec<u8>>> {
        Some(self.0.get(key).cloned())
    }
}

struct Balances {
    state: Arc<State>,
    is_at_hand: bool,
}

impl Host for Balances {
    fn block(&mut self, index: u64) -> Result<Bytes, Missing> {
        Err(Missing { index })
    }

    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.state.0.get(key).cloned())
    }

    fn usage(&mut self) -> Result<Usage, StateError> {
        Ok(Usage { bytes: 82, keys: self.state.0.len() as u64 })
    }

    fn at_hand(&mut self) -> Option<AtHand> {
        let state = Arc::clone(&self.state);
        let usage = self.usage().ok()?;
        self.is_at_hand.then(|| AtHand { state, space: RuleId::new([7; 32]), usage })
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
    let state = Arc::new(State(BTreeMap::from([(account(alice), balance.clone()), (account(bob), balance)])));
    let mut hosts = [false, true].map(|is_at_hand| Balances { state: Arc::clone(&state), is_at_hand });
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
    let mut times = [(Duration::MAX, Duration::ZERO); 2];
    let mut gas = 0;
    with_stack(|| {
        for _ in 0..ROUNDS {
            for (host, (best, all)) in hosts.iter_mut().zip(&mut times) {
                let begun = Instant::now();
                for _ in 0..CHECKS {
                    let outcome = rule.check(&call, host);
                    assert_eq!((&outcome.verdict, outcome.writes.len()), (&Verdict::Accept, 2));
                    gas = outcome.gas_used;
                }
                *best = (*best).min(begun.elapsed());
                *all += begun.elapsed();
            }
        }
    });
    let micros = |time: Duration, checks: u32| time.as_secs_f64() * 1e6 / f64::from(checks);
    for (what, (best, all)) in ["asked", "at hand"].iter().zip(times) {
        println!(
            "{what}: {:.2} us each in the best {CHECKS}, {:.2} us in all, {gas} gas",
            micros(best, CHECKS),
            micros(all, CHECKS * ROUNDS)
        );
    }
    Ok(())
}
