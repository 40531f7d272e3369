//! A room with its feed, and people who write to it.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use bytes::Bytes;
use quorate_feed::{Flavour, MemoryTree};
use quorate_rules::engine::{Engine, EngineConfig};
use quorate_rules::state::{MemoryStore, Position, RoomStore};
use quorate_stream::action::UnsignedAction;
use quorate_stream::chunk;
use quorate_stream::entry::{Entry, VerifiedEntry};
use quorate_stream::governance::Activation;
use quorate_stream::header::{GenesisRule, StreamHeader};
use quorate_stream::identity::{Anchor, Author};
use quorate_stream::payload::PayloadEncoding;
use quorate_stream::refusal::{Refusal, RoomCode};
use quorate_stream::room::{Checked, Effects, Lacking, Prefix, Room, RuleEngine};
use quorate_stream::rule_change::{Change, TestVector, UnsignedRuleChange};
use quorate_types::{Hash, ModuleHash, PublicKey, RuleId};

/// One engine for all tests of the process: each reserves much address space.
pub(crate) fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(EngineConfig::default()).unwrap())
}

pub(crate) fn feed() -> Author {
    Author::from_seed(&[1; 32])
}

pub(crate) fn author(number: u8) -> Author {
    Author::from_seed(&[number.wrapping_add(100); 32])
}

/// A feed, all of it here but for what is said to be missing.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    pub(crate) blocks: Vec<Bytes>,
    pub(crate) missing: Vec<u64>,
    pub(crate) forgets_hashes: bool,
    tree: MemoryTree,
    hashes: Vec<Hash>,
}

impl Chain {
    pub(crate) fn new() -> Self {
        let tree = MemoryTree::new(Flavour::Dat);
        let hashes = vec![tree.roots().tree_hash(Flavour::Dat)];
        Self { blocks: Vec::new(), missing: Vec::new(), forgets_hashes: false, tree, hashes }
    }

    pub(crate) fn of(blocks: impl IntoIterator<Item = Bytes>) -> Self {
        let mut chain = Self::new();
        blocks.into_iter().for_each(|block| chain.push(block));
        chain
    }

    pub(crate) fn push(&mut self, block: Bytes) {
        self.tree.push(&block).unwrap();
        self.hashes.push(self.tree.roots().tree_hash(Flavour::Dat));
        self.blocks.push(block);
    }

    pub(crate) fn len(&self) -> u64 {
        self.blocks.len() as u64
    }

    pub(crate) fn hash(&self, length: u64) -> Hash {
        self.hashes[length as usize]
    }

    pub(crate) fn head(&self) -> Hash {
        self.hash(self.len())
    }
}

impl Prefix for Chain {
    fn block(&self, index: u64) -> Option<Bytes> {
        let block = self.blocks.get(index as usize).cloned();
        block.filter(|_| !self.missing.contains(&index))
    }

    fn tree_hash(&self, length: u64) -> Option<Hash> {
        self.hashes.get(length as usize).copied().filter(|_| !self.forgets_hashes)
    }
}

pub(crate) fn genesis(name: &str, module: &Bytes, params: &[u8]) -> GenesisRule {
    GenesisRule {
        name: name.parse().unwrap(),
        module: ModuleHash::of(module),
        meter: 1,
        params: Bytes::copy_from_slice(params),
        locked: false,
    }
}

pub(crate) fn header(rules: Vec<GenesisRule>) -> StreamHeader {
    let mut header = StreamHeader::new("a room", PayloadEncoding::Binary);
    header.rules = rules;
    header
}

/// A room and its feed. Everything that is accepted is appended.
pub(crate) struct World<S: RoomStore = MemoryStore, E: RuleEngine = Engine> {
    pub(crate) chain: Chain,
    pub(crate) room: Room<S, E>,
    sequences: BTreeMap<PublicKey, u64>,
}

impl World {
    /// Makes a room whose genesis rules have these modules, and appends these.
    pub(crate) fn new(header: &StreamHeader, modules: &[Bytes]) -> Self {
        let mut world = Self::begin(header);
        for module in modules {
            world.module(module);
        }
        world
    }

    /// Makes a room that has no block but its header.
    pub(crate) fn begin(header: &StreamHeader) -> Self {
        World::with(header, MemoryStore::new(), engine())
    }

    /// Makes a room with one rule.
    pub(crate) fn one(name: &str, module: &Bytes, params: &[u8]) -> Self {
        Self::new(&header(vec![genesis(name, module, params)]), std::slice::from_ref(module))
    }
}

impl<S: RoomStore, E: RuleEngine + Clone> World<S, E> {
    pub(crate) fn with(header: &StreamHeader, store: S, engine: &E) -> Self {
        let block = header.encode().unwrap();
        let chain = Chain::new();
        let room = Room::open(&feed().public(), &block, store, engine, &chain).unwrap();
        let mut world = Self { chain, room, sequences: BTreeMap::new() };
        world.append(block).unwrap();
        world
    }

    pub(crate) fn position(&self) -> Position {
        self.room.position()
    }

    /// Index of the next block.
    pub(crate) fn next(&self) -> u64 {
        self.chain.len()
    }

    pub(crate) fn check(&mut self, block: Bytes) -> Checked {
        self.room.check(block, self.chain.head(), &self.chain)
    }

    /// Appends a block when the room accepts it.
    pub(crate) fn append(&mut self, block: Bytes) -> Result<Effects, Refusal> {
        let before = self.position();
        match self.check(block.clone()) {
            Checked::Accepted(effects) => {
                assert_eq!(effects.index(), before.length);
                self.chain.push(block);
                self.room.apply(effects.clone(), self.chain.head()).unwrap();
                if let Some((_, author, sequence)) = effects.entry() {
                    self.sequences.insert(author, sequence + 1);
                }
                Ok(effects)
            }
            Checked::Refused(refusal) => {
                assert_eq!(self.position(), before);
                Err(refusal)
            }
            Checked::Unable(why) => panic!("unable: {why}"),
        }
    }

    /// Appends what must be accepted.
    pub(crate) fn accept(&mut self, block: Bytes) -> Effects {
        self.append(block).unwrap_or_else(|refusal| panic!("at {}: {refusal}", self.next()))
    }

    /// Offers what must be refused.
    pub(crate) fn refuse(&mut self, block: Bytes) -> Refusal {
        self.append(block).map(|_| ()).expect_err("the block is accepted")
    }

    pub(crate) fn lacking(&mut self, block: Bytes) -> Lacking {
        match self.check(block) {
            Checked::Unable(why) => why,
            other => panic!("expected an inability, found {other:?}"),
        }
    }

    pub(crate) fn sequence(&self, author: &Author) -> u64 {
        self.sequences.get(&author.public()).copied().unwrap_or(0)
    }

    pub(crate) fn action(&self, author: &Author, payload: &[u8]) -> Bytes {
        self.action_with(author, |action| action.payload = Bytes::copy_from_slice(payload))
    }

    pub(crate) fn action_with(&self, author: &Author, with: impl FnOnce(&mut UnsignedAction)) -> Bytes {
        let mut action = UnsignedAction {
            sequence: self.sequence(author),
            anchor: Anchor::NONE,
            valid_until: 0,
            payload: Bytes::new(),
        };
        with(&mut action);
        VerifiedEntry::from(action.sign(&self.room.id(), author).unwrap()).encode()
    }

    pub(crate) fn act(&mut self, number: u8, payload: &[u8]) -> Result<Effects, Refusal> {
        self.append(self.action(&author(number), payload))
    }

    /// A change by author 0.
    pub(crate) fn change(&self, change: Change, activation: u64, vectors: Vec<TestVector>) -> Bytes {
        let author = author(0);
        let unsigned = UnsignedRuleChange {
            sequence: self.sequence(&author),
            anchor: Anchor::NONE,
            valid_until: 0,
            change,
            activation,
            vectors,
        };
        VerifiedEntry::from(unsigned.sign(&self.room.id(), &author).unwrap()).encode()
    }

    /// Offers a change that is to hold at the next block but `delay`.
    pub(crate) fn try_change(&mut self, change: Change, delay: u64) -> Result<Effects, Refusal> {
        let block = self.change(change, self.next() + delay, Vec::new());
        self.append(block)
    }

    /// Appends all chunks of a module.
    pub(crate) fn module(&mut self, module: &Bytes) {
        for chunk in chunk::split(module).unwrap() {
            self.accept(Entry::Chunk(chunk).encode());
        }
    }

    /// Appends a module and a rule of it, which holds from the block after on; returns its id.
    pub(crate) fn install(&mut self, name: &str, module: &Bytes, params: &[u8]) -> RuleId {
        if !self.has_module(module) {
            self.module(module);
        }
        let index = self.next();
        self.try_change(install(name, module, params), 1).unwrap_or_else(|refusal| panic!("{refusal}"));
        quorate_stream::identity::rule_id(&self.room.id(), index, 0)
    }

    fn has_module(&self, module: &Bytes) -> bool {
        let hash = ModuleHash::of(module);
        self.chain.blocks[1..].iter().any(
            |block| matches!(Entry::decode(block.clone()), Ok(Entry::Chunk(chunk)) if chunk.module == hash),
        )
    }

    /// Appends an action that does nothing to most rules; returns what took effect before it.
    pub(crate) fn tick(&mut self) -> Vec<Activation> {
        let block = self.action(&author(9), b"tick");
        self.accept(block).activations().to_vec()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            self.room.registry().rules().iter().map(|rule| rule.name.to_string()).collect();
        names.sort();
        names
    }

    pub(crate) fn id(&self, name: &str) -> RuleId {
        self.room.registry().named(name).unwrap().id
    }
}

pub(crate) fn install(name: &str, module: &Bytes, params: &[u8]) -> Change {
    Change::Install {
        name: name.parse().unwrap(),
        module: ModuleHash::of(module),
        meter: 1,
        params: Bytes::copy_from_slice(params),
    }
}

pub(crate) fn replace(rule: RuleId, module: &Bytes, params: &[u8]) -> Change {
    Change::Replace { rule, module: ModuleHash::of(module), meter: 1, params: Bytes::copy_from_slice(params) }
}

pub(crate) fn params(rule: RuleId, params: &[u8]) -> Change {
    Change::Params { rule, params: Bytes::copy_from_slice(params) }
}

/// The code of a refusal, with what the rule returned.
pub(crate) fn codes(refusal: &Refusal) -> (RoomCode, Option<u32>) {
    (refusal.code, refusal.rule_code)
}
