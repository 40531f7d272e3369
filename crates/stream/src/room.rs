//! A room: its state as a function of its blocks.
//!
//! [`Room::check`] says what a block would do at the present position; [`Room::apply`] does it and takes nothing but
//! what `check` returned there. The verdict is a function of the blocks before and the block itself: every node
//! that has them comes to the same one, or to none ([`Lacking`]) and then says what it lacks.
//!
//! Steps are collected and committed to the store together: at [`BATCH_STEPS`], and whenever [`Room::commit`] is called.

mod authentic;
mod check;
mod compiled;
mod effects;
mod engine;
mod host;
pub(crate) mod keys;
mod overlay;
mod part;
mod prefix;
mod proof;
mod replay;

use std::sync::Arc;

use bytes::Bytes;
use quorate_quorum::certificate::Epoch;
use quorate_rules::engine::Engine;
use quorate_rules::meter::METER_VERSION;
use quorate_rules::state::{Earlier, Position, RoomStore, StateError, Step, WriteSet, state_root};
use quorate_types::{Hash, ModuleHash, PublicKey, RoomId, RuleId, RulesHash};

use crate::governance::{self, Activation, Registry, RuleStatus};
use crate::header::{HeaderError, StreamHeader};
use crate::identity::{b2b256, room_id};

pub use self::authentic::{AuthenticEntry, authenticate_many};
pub use self::effects::{Checked, Effects, RuleUse};
pub use self::engine::{CompileFailure, RuleEngine};
pub use self::part::RoomPart;
pub use self::prefix::{Lacking, Prefix};
pub use self::replay::{ReconcileError, Replayed, Stopped};

pub(crate) use self::check::Context;
pub(crate) use self::effects::Stop;
pub(crate) use self::host::RuleHost;
pub(crate) use self::overlay::Layered;

use self::compiled::Compiled;

/// Steps that are committed to the store at once.
pub const BATCH_STEPS: usize = 16_384;

/// What runs the rules: gate, METER v1 and ABI v1, which give one verdict whatever the engine below them.
const ENGINE_PROFILE: u32 = 1;

/// Bytes of keys and values after which a batch is committed before it is full.
const BATCH_BYTES: usize = 4 << 20;

/// A room at one position, over a store of its state.
#[derive(Debug)]
pub struct Room<S, E: RuleEngine = Engine> {
    id: RoomId,
    header: StreamHeader,
    block_0: Bytes,
    store: S,
    registry: Arc<Registry>,
    rules: Compiled<E>,
    /// What takes effect before the next entry, once it is known.
    prepared: Option<Prepared>,
    /// Who commits, and in which feed; `None` in a room without validators.
    part: Option<RoomPart>,
    /// Index of the newest change of validators.
    closes: Option<u64>,
}

/// What takes effect at a position before the entry there.
#[derive(Debug, Clone, Default)]
struct Prepared {
    writes: WriteSet,
    /// The rules with it, where it changes them.
    registry: Option<Arc<Registry>>,
    activations: Vec<Activation>,
}

/// Why a room cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenRoomError {
    /// The feed is no room.
    #[error("expected the header of a room in block 0, found something else")]
    NoRoom,
    /// The room cannot be followed.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A rule of the header asks for another meter.
    #[error("stream header: expected version {METER_VERSION} of the meter for rule {name}, found {found}")]
    Meter {
        /// Name of the rule.
        name: String,
        /// Version that it asks for.
        found: u32,
    },
    /// The store is of another room.
    #[error("expected the state of room {expected}, found one of another room")]
    OtherRoom {
        /// The room.
        expected: RoomId,
    },
    /// The modules of the rules that hold are not all here.
    #[error(transparent)]
    Lacking(#[from] Lacking),
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Why effects are not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// They are of another room or another position.
    #[error("expected effects for length {expected} with its state root, found some for length {found}")]
    OtherPosition {
        /// Length of the room.
        expected: u64,
        /// Length for which they were found.
        found: u64,
    },
    /// What they write over cannot be read, and the room stands where it stood; or the batch that became full with them
    /// cannot be committed, and the room has taken them all the same: [`Room::commit`] tries again.
    #[error(transparent)]
    State(#[from] StateError),
}

impl<S: RoomStore, E: RuleEngine> Room<S, E> {
    /// Opens the room of a feed, at the position that the store has, and compiles the rules that hold there.
    /// Block 0 is checked like any other.
    ///
    /// # Errors
    ///
    /// [`OpenRoomError`]; after [`OpenRoomError::Lacking`] the same call may succeed with more of the feed.
    pub fn open(
        feed_key: &PublicKey,
        block_0: &Bytes,
        store: S,
        engine: &E,
        prefix: &dyn Prefix,
    ) -> Result<Self, OpenRoomError>
    where
        E: Clone,
    {
        let header = StreamHeader::parse(block_0)?.ok_or(OpenRoomError::NoRoom)?;
        if let Some(rule) = header.rules.iter().find(|rule| rule.meter != METER_VERSION) {
            return Err(OpenRoomError::Meter { name: rule.name.to_string(), found: rule.meter });
        }
        let id = room_id(feed_key, block_0);
        if store.position().length > 0 && keys::get(&store, keys::ROOM)? != Some(keys::room_value(&id)) {
            return Err(OpenRoomError::OtherRoom { expected: id });
        }
        let part = header.quorum.as_ref().map(|quorum| {
            let hosts = quorum.hosts.iter().copied();
            RoomPart::first(Epoch::genesis(id, *feed_key, quorum.validators.clone(), hosts))
        });
        Room::stand(id, (header, block_0.clone()), store, Compiled::new(engine.clone()), part, prefix)
    }

    /// Makes the room at the position that the store has, and compiles what is not compiled of the rules that hold there.
    fn stand(
        id: RoomId,
        (header, block_0): (StreamHeader, Bytes),
        store: S,
        mut rules: Compiled<E>,
        part: Option<RoomPart>,
        prefix: &dyn Prefix,
    ) -> Result<Self, OpenRoomError> {
        let registry = Arc::new(Registry::load(&header, &store)?);
        for rule in registry.rules() {
            rules.get(&rule.module, |module| governance::assemble(&store, prefix, module))?;
        }
        let closes = keys::get_u64(&store, keys::CLOSES)?;
        Ok(Self { id, header, block_0, store, registry, rules, prepared: None, part, closes })
    }

    /// Returns the id of the room.
    pub const fn id(&self) -> RoomId {
        self.id
    }

    /// Returns what block 0 says.
    pub const fn header(&self) -> &StreamHeader {
        &self.header
    }

    /// Returns where the room stands.
    pub fn position(&self) -> Position {
        self.store.position()
    }

    /// Returns the rules that hold for the next entry, by id, then those that wait to be installed, each with the next
    /// change that waits.
    pub fn rules(&self) -> Vec<RuleStatus> {
        let mut rules = self.registry.status(&self.id);
        if self.registry.begins_at() == Some(self.position().length) {
            // The rules of the header hold from the next entry on.
            rules.splice(0..0, governance::genesis_status(&self.id, &self.header, self.position().length));
        }
        rules
    }

    /// Returns the rules that hold and all changes that wait. What takes effect before the next entry is in the
    /// [`Effects`] of that entry.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Returns the digest of the rules that hold at the present position, and of what runs them; validators sign it:
    /// `b2b256("quorate rules\0" | u32le engine | u32le n | for each rule by id: id 32 | module 32 | u32le meter |
    /// b2b256(params))`.
    pub fn rules_hash(&self) -> RulesHash {
        let rules = self.registry.rules();
        let count = u32::try_from(rules.len()).unwrap_or(u32::MAX);
        let mut bytes =
            [b"quorate rules\0".as_slice(), &ENGINE_PROFILE.to_le_bytes(), &count.to_le_bytes()].concat();
        for rule in rules {
            bytes.extend_from_slice(rule.id.as_bytes());
            bytes.extend_from_slice(rule.module.as_bytes());
            bytes.extend_from_slice(&rule.meter.to_le_bytes());
            bytes.extend_from_slice(b2b256(&rule.params).as_bytes());
        }
        RulesHash::new(*b2b256(&bytes).as_bytes())
    }

    /// Returns the length of the longest Final that stands in a certificate block; 0 for none.
    ///
    /// # Errors
    ///
    /// The state cannot be read.
    pub fn certified_length(&self) -> Result<u64, StateError> {
        Ok(keys::get_u64(&self.store, keys::FINAL)?.unwrap_or(0))
    }

    /// Returns who commits; `None` in a room without validators.
    pub fn epoch(&self) -> Option<&Epoch> {
        self.part.as_ref().map(RoomPart::epoch)
    }

    /// Returns the feed whose blocks come next; `None` in a room without validators, which has one feed.
    pub const fn part(&self) -> Option<&RoomPart> {
        self.part.as_ref()
    }

    /// Goes on with the blocks of another feed. Nothing of the state changes; [`step_back`](Self::step_back) takes back
    /// what is not in the history of that feed. A room without validators has no other feed, and stays as it is.
    pub fn enter(&mut self, part: RoomPart) {
        if self.part.is_some() {
            self.part = Some(part);
        }
    }

    /// Tells whether the last block is a change of validators, which ended the epoch of its feed: the next block of the
    /// room begins another epoch.
    pub fn is_closed(&self) -> bool {
        is_closed(self.position().length, self.closes, self.part.as_ref())
    }

    /// Returns the sequence of an author's next entry.
    ///
    /// # Errors
    ///
    /// The state cannot be read.
    pub fn next_sequence(&self, author: &PublicKey) -> Result<u64, StateError> {
        Ok(keys::get_u64(&self.store, &keys::sequence(author))?.unwrap_or(0))
    }

    /// Reads a value of a rule's state.
    ///
    /// # Errors
    ///
    /// The state cannot be read.
    pub fn value(&self, rule: &RuleId, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        quorate_rules::state::StateStore::get(&self.store, rule, key)
    }

    /// Tells whether a module stands completely in the blocks.
    ///
    /// # Errors
    ///
    /// The state cannot be read.
    pub fn has_module(&self, module: &ModuleHash) -> Result<bool, StateError> {
        governance::is_complete(&self.store, module)
    }

    /// Returns the store, in which the last steps may wait for a commit.
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// Returns the store, to sync it or the like. Committing to it or going back puts it out of step with the room.
    pub const fn store_mut(&mut self) -> &mut S {
        &mut self.store
    }

    /// Commits, and returns the store.
    ///
    /// # Errors
    ///
    /// The store failed, and with it goes what it lacks: the blocks make it again.
    pub fn into_store(mut self) -> Result<S, StateError> {
        self.commit()?;
        Ok(self.store)
    }

    /// Does what a block does that stands at the present position, whose tree hash with the block is given.
    ///
    /// # Errors
    ///
    /// [`ApplyError`]; effects of another position change nothing.
    pub fn apply(&mut self, effects: Effects, tree_hash: Hash) -> Result<(), ApplyError> {
        let before = self.position();
        if effects.room != self.id || effects.before != before {
            let (expected, found) = (before.length, effects.before.length);
            return Err(ApplyError::OtherPosition { expected, found });
        }
        let Effects { writes, registry, closes, .. } = effects;
        let root = state_root(&before.state_root, before.length, &writes);
        self.store.stage(Step { index: before.length, writes, root, tree_hash })?;
        if let Some(registry) = registry {
            self.registry = registry;
        }
        if closes {
            self.closes = Some(before.length);
        }
        self.prepared = None;
        let staged = self.store.staged();
        if staged.steps >= BATCH_STEPS || staged.bytes >= BATCH_BYTES {
            self.commit()?;
        }
        Ok(())
    }

    /// Commits what the store does not have yet.
    ///
    /// # Errors
    ///
    /// The store failed: the steps are kept for another try.
    pub fn commit(&mut self) -> Result<(), StateError> {
        self.store.commit()
    }

    /// Takes the last entries back, until the room stands at `length`.
    ///
    /// # Errors
    ///
    /// [`StateError::OutOfReach`] when the store does not remember as many; the room is then as before.
    pub fn step_back(&mut self, length: u64) -> Result<(), StateError> {
        let (oldest, newest) = (self.store.oldest(), self.position().length);
        if length < oldest || length > newest {
            return Err(StateError::OutOfReach { oldest, newest, found: length });
        }
        self.commit()?;
        self.store.step_back(length)?;
        self.prepared = None;
        self.registry = Arc::new(Registry::load(&self.header, &self.store)?);
        self.closes = keys::get_u64(&self.store, keys::CLOSES)?;
        Ok(())
    }

    /// Looks at the room as it was at an earlier length, with the feed whose blocks came next there. It checks blocks,
    /// and takes none.
    ///
    /// # Errors
    ///
    /// [`OpenRoomError::State`] for a length that the store does not reach back to; [`OpenRoomError::Lacking`] where the
    /// modules of the rules that held there are not at hand.
    pub fn earlier(
        &self,
        length: u64,
        part: Option<RoomPart>,
        prefix: &dyn Prefix,
    ) -> Result<Room<Earlier<'_, S>, E>, OpenRoomError>
    where
        E: Clone,
    {
        let store = Earlier::of(&self.store, length)?;
        let block_0 = (self.header.clone(), self.block_0.clone());
        Room::stand(self.id, block_0, store, self.rules.beside(), part, prefix)
    }
}

/// Tells whether a change of validators stands before a length, and the feed in which it stands has not gone on.
fn is_closed(length: u64, closes: Option<u64>, part: Option<&RoomPart>) -> bool {
    closes.is_some_and(|index| index.saturating_add(1) == length)
        && part.is_some_and(|part| part.start() != length)
}
