//! What checking costs: rules, signatures, the meter, admission, whole rooms.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use quorate_feed::{Feed, FeedConfig, Flavour, Keys, Roots, sign};
use quorate_interop_tests::{LedgerRoom, Workspace, block_on};
use quorate_rules::abi::{Call, CallKind, Host, Missing, Usage};
use quorate_rules::builtin;
use quorate_rules::engine::{Engine, EngineConfig};
use quorate_rules::limits::GAS_LIMIT_CHECK;
use quorate_rules::state::StateError;
use quorate_rules::verdict::Verdict;
use quorate_store::room_state::RedbStore;
use quorate_store::{Encoding, Home, Origin, StreamInfo};
use quorate_stream::identity::{KnownKeys, room_id};
use quorate_stream::room::{Prefix, Room, authenticate_many};
use quorate_types::{Hash, PublicKey};
use serde_json::{Value, json};

/// Seed of the host's key.
const HOST: [u8; 32] = [7; 32];

const ACCOUNTS: usize = 1000;

/// Payload of an entry, bytes.
const PAYLOAD: usize = 1024;

/// What an entry is on top of its payload, bytes: author, sequence, signature, and their encoding.
const AROUND_PAYLOAD: usize = 122;

/// Blocks of a ledger room, and the key of its feed.
struct Blocks {
    key: PublicKey,
    blocks: Vec<Bytes>,
    /// Tree hashes of all lengths.
    hashes: Vec<Hash>,
}

impl Blocks {
    fn make(entries: u64, payload: usize) -> Result<Self> {
        let (key, _) = sign::key_pair(&HOST);
        let mut room = LedgerRoom::new(&key, ACCOUNTS, payload, 1)?;
        let mut blocks = room.beginning()?;
        for _ in 0..entries {
            blocks.push(room.accepted()?);
        }
        let mut roots = Roots::default();
        let mut hashes = vec![roots.tree_hash(Flavour::Dat)];
        for block in &blocks {
            roots.push_block(Flavour::Dat, block)?;
            hashes.push(roots.tree_hash(Flavour::Dat));
        }
        Ok(Self { key, blocks, hashes })
    }
}

impl Prefix for Blocks {
    fn block(&self, index: u64) -> Option<Bytes> {
        self.blocks.get(index as usize).cloned()
    }

    fn tree_hash(&self, length: u64) -> Option<Hash> {
        self.hashes.get(length as usize).copied()
    }
}

/// Signatures, then rules and state, each on its own, on one core: the first is what anyone can do on any thread, the
/// second is one after the other.
pub(super) fn checks(entries: u64) -> Result<Value> {
    let room = Blocks::make(entries, PAYLOAD)?;
    let id = room_id(&room.key, &room.blocks[0]);
    let keys = KnownKeys::new();
    let workspace = Workspace::new()?;
    let engine = Engine::new(EngineConfig::default())?;
    let store = RedbStore::open(&workspace.join("room.redb"), id)?;
    let mut checked = Room::open(&room.key, &room.blocks[0], store, &engine, &room)?;
    // Header, module and the first payments: the rule is compiled and everybody has money.
    let first = room.blocks.len() - entries as usize + ACCOUNTS.min(entries as usize / 2);
    checked.advance(&room.blocks[0], &room).map_err(|stopped| anyhow::anyhow!("{stopped:?}"))?;
    let begun = checked.replay(authenticate_many(&keys, &id, room.blocks[1..first].iter().cloned()), &room);
    ensure!(begun.stopped.is_none(), "expected the beginning of a room, found {:?}", begun.stopped);
    checked.commit()?;

    let count = (room.blocks.len() - first) as f64;
    let started = Instant::now();
    let authentic = authenticate_many(&keys, &id, room.blocks[first..].iter().cloned());
    let signatures = started.elapsed().as_secs_f64();

    let started = Instant::now();
    let replayed = checked.replay(authentic, &room);
    checked.commit()?;
    checked.store_mut().sync()?;
    let rules = started.elapsed().as_secs_f64();
    ensure!(replayed.stopped.is_none(), "expected all to be accepted, found {:?}", replayed.stopped);
    ensure!(checked.store().position_is(room.blocks.len() as u64), "expected everything to be committed");
    Ok(json!({ "checks_per_s": count / rules, "signatures_per_s": count / signatures }))
}

/// Tells whether a store stands at a length.
trait StandsAt {
    fn position_is(&self, length: u64) -> bool;
}

impl<S: quorate_rules::state::RoomStore> StandsAt for S {
    fn position_is(&self, length: u64) -> bool {
        self.position().length == length
    }
}

/// The rule alone: a transfer of 1 KiB in an instance of its own, its state in memory and not written.
pub(super) fn rule(count: u32) -> Result<Value> {
    let engine = Engine::new(EngineConfig::default())?;
    let rule = engine.compile(builtin::named("ledger").context("expected the ledger")?.module)?;
    let transfer = Transfer::new();
    let mut state = Balances(transfer.state.clone());
    let call = transfer.call();
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let started = Instant::now();
        for _ in 0..count {
            let outcome = rule.check(&call, &mut state);
            ensure!(outcome.verdict == Verdict::Accept && outcome.writes.len() == 2, "found {outcome:?}");
        }
        best = best.min(started.elapsed());
    }
    Ok(json!({ "checks_per_s": f64::from(count) / best.as_secs_f64() }))
}

/// One transfer, and the state in which it is accepted.
pub(super) struct Transfer {
    author: PublicKey,
    params: String,
    payload: String,
    pub(super) state: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Transfer {
    pub(super) fn new() -> Self {
        let (author, to) = (PublicKey::new([0xa1; 32]), PublicKey::new([0xb0; 32]));
        let head = format!(r#"{{"transfer":{{"to":"{to}","amount":5,"memo":""#);
        let memo: String =
            "what it is for, in plain words. ".chars().cycle().take(PAYLOAD - head.len() - 3).collect();
        let account = |key: PublicKey| [b"b".as_slice(), key.as_bytes()].concat();
        let balance = 1_000_000_u64.to_le_bytes().to_vec();
        Self {
            author,
            params: format!(r#"{{"issuer":"{author}"}}"#),
            payload: format!(r#"{head}{memo}"}}}}"#),
            state: BTreeMap::from([(account(author), balance.clone()), (account(to), balance)]),
        }
    }

    pub(super) fn call(&self) -> Call<'_> {
        Call {
            kind: CallKind::Check,
            flags: 0,
            index: 7,
            previous: Hash::new([9; 32]),
            author: self.author,
            params: self.params.as_bytes(),
            payload: self.payload.as_bytes(),
            gas: GAS_LIMIT_CHECK.unsigned_abs(),
        }
    }
}

/// A state that is read, and never written.
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

/// Gate, meter and compiler, for a module of 300 KiB.
pub(super) fn admission() -> Result<Value> {
    let module = large_module()?;
    let engine = Engine::new(EngineConfig { cached_module_bytes: 0, ..EngineConfig::default() })?;
    let started = Instant::now();
    engine.compile(&module)?;
    Ok(json!({ "ms": started.elapsed().as_secs_f64() * 1e3, "bytes": module.len() }))
}

/// Functions as compilers make them: arithmetic, memory, branches, calls.
fn large_module() -> Result<Vec<u8>> {
    let step = r#"(local.set 1 (i32.add (i32.load offset=8 (local.get 0)) (i32.mul (local.get 1) (i32.const 31))))
        (if (i32.lt_u (local.get 1) (local.get 2)) (then (local.set 2 (call $f (local.get 1) (i32.const 1) (local.get 2)))))
        (i32.store offset=16 (local.get 0) (local.get 2))"#;
    let one = format!("(func (param i32 i32 i32) (result i32) {} (local.get 2))", step.repeat(20));
    let text = |functions: usize| {
        format!(
            r#"(module (memory (export "memory") 1)
                (func (export "rule_abi_v1"))
                (func (export "rule_alloc") (param i32) (result i32) (i32.const 4096))
                (func (export "rule_check") (param i32 i32) (result i32) (i32.const 0))
                (func $f (param i32 i32 i32) (result i32) (local.get 2)) {})"#,
            one.repeat(functions)
        )
    };
    let each = wat::parse_str(text(101))?.len() - wat::parse_str(text(100))?.len();
    let module = wat::parse_str(text((300 * 1024usize).div_ceil(each)))?;
    ensure!((300 * 1024..310 * 1024).contains(&module.len()), "found a module of {} bytes", module.len());
    Ok(module)
}

/// Writes a room into a data directory, as a host would have left it but for its state.
pub(super) fn write(home: &Path, name: &str, entries: u64, block_bytes: usize) -> Result<PublicKey> {
    let room = Blocks::make(entries, block_bytes - AROUND_PAYLOAD)?;
    let (public, secret) = sign::key_pair(&HOST);
    let info = StreamInfo::new(0, Encoding::Json, Origin::Created);
    block_on(async {
        let keys = Keys { public, secret: Some(secret) };
        let directory = Home::open(home)?.create(&name.parse()?, keys, &info).await?;
        let mut feed = Feed::create(directory.keys, directory.storage, FeedConfig::default()).await?;
        for blocks in room.blocks.chunks(1000) {
            feed.append(blocks).await?;
        }
        feed.flush().await?;
        drop(directory.lock);
        Ok(public)
    })
}
