//! What every head of every feed means: rules are a function of the blocks, so it is worked out once for all nodes.

use std::collections::BTreeMap;
use std::sync::Arc;

use blake2b_simd::Params;
use bytes::Bytes;
use quorate_feed::sign::Form;
use quorate_quorum::engine::Base;
use quorate_quorum::head::Head;
use quorate_quorum::validators::ValidatorSet;
use quorate_types::{Hash, PublicKey, RulesHash, StateRoot};

use super::history::{History, Writer};

/// A block, by what it does.
#[derive(Debug, Clone)]
pub enum Block {
    /// Header of the first feed.
    Genesis,
    /// Header of a later feed: the start of its epoch, and where it begins.
    Header(Bytes, Base),
    /// Start of an epoch on the same feed.
    EpochStart(Bytes),
    /// A participant's action.
    Action(u64),
    /// Something that the rules refuse.
    Bad(u64),
    /// A certificate or evidence.
    Carried(Bytes),
    /// A change of validators, as an entry.
    Change(Bytes, ValidatorSet),
}

/// A block of a room's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Start of the hash of its bytes.
    pub hash: u64,
    /// The action in it.
    pub action: Option<u64>,
}

/// What a head means.
#[derive(Debug, Clone)]
pub struct Place {
    /// Epoch of the last block.
    pub epoch: u64,
    /// The room up to here.
    pub log: Arc<Vec<Item>>,
    /// What the rules wrote.
    pub state_root: StateRoot,
    /// The rules refuse this block, or one below it.
    pub refused: bool,
    /// Length up to the last block that carries more than a certificate.
    pub substance: u64,
    /// Validators that follow, when the last block is a change.
    pub closes: Option<ValidatorSet>,
    /// The start of an epoch that the last block holds.
    pub start: Option<Bytes>,
    /// Where the feed begins: `None` for the first one.
    pub base: Option<Base>,
}

/// All heads that anyone has signed.
#[derive(Debug, Default)]
pub struct Registry {
    places: BTreeMap<(PublicKey, Head), Place>,
}

/// What a block begins with that the rules refuse.
pub const BAD_TAG: u8 = 0xf4;

/// The rules that are in force in every room of the world.
pub const RULES: RulesHash = RulesHash::new([7; 32]);

impl Registry {
    /// Appends a block to a feed; `epoch` is that of a header or of an epoch's start.
    pub fn append(&mut self, writer: &Writer, history: &mut History, block: &Block, epoch: u64) {
        self.append_as(writer, history, block, epoch, Some(Form::Tree));
    }

    /// Appends a block to a feed, and signs it in one form, or not at all.
    pub fn append_as(
        &mut self,
        writer: &Writer,
        history: &mut History,
        block: &Block,
        epoch: u64,
        form: Option<Form>,
    ) {
        let before = history.head(history.length()).and_then(|head| self.get(&history.key, &head).cloned());
        let bytes = block.encode();
        writer.append(history, bytes.clone(), form);
        let Some(head) = history.head(history.length()) else { return };
        let place = self.place(before, block, &bytes, epoch, head.length());
        self.places.insert((history.key, head), place);
    }

    /// Finds a head.
    pub fn get(&self, feed: &PublicKey, head: &Head) -> Option<&Place> {
        self.places.get(&(*feed, *head))
    }

    fn place(&self, before: Option<Place>, block: &Block, bytes: &Bytes, epoch: u64, length: u64) -> Place {
        let (mut place, base) = match (before, block) {
            (Some(place), _) => {
                let base = place.base;
                (place, base)
            }
            (None, Block::Header(_, base)) => {
                let place = base.head.and_then(|head| self.get(&base.feed, &head).cloned());
                (place.unwrap_or_else(Place::empty), Some(*base))
            }
            (None, _) => (Place::empty(), None),
        };
        let digest = hash(&[bytes]);
        let mut log = Vec::clone(&place.log);
        let action = if let Block::Action(id) = block { Some(*id) } else { None };
        log.push(Item { hash: first_bytes(&digest), action });
        place.log = Arc::new(log);
        place.state_root =
            StateRoot::new(*hash(&[place.state_root.as_bytes(), digest.as_bytes()]).as_bytes());
        place.base = base;
        place.closes = None;
        place.start = None;
        let earlier = if length == 1 { 0 } else { place.substance };
        place.substance = if matches!(block, Block::Carried(_)) { earlier } else { length };
        match block {
            Block::Header(start, _) | Block::EpochStart(start) => {
                place.epoch = epoch;
                place.start = Some(start.clone());
            }
            Block::Bad(_) => place.refused = true,
            Block::Change(_, next) => place.closes = Some(next.clone()),
            Block::Genesis | Block::Action(_) | Block::Carried(_) => {}
        }
        place
    }
}

impl Place {
    fn empty() -> Self {
        Self {
            epoch: 0,
            log: Arc::default(),
            state_root: StateRoot::new([0; 32]),
            refused: false,
            substance: 0,
            closes: None,
            start: None,
            base: None,
        }
    }

    /// Tells whether an action is in the room up to here.
    pub fn has(&self, action: u64) -> bool {
        self.log.iter().any(|item| item.action == Some(action))
    }
}

impl Block {
    fn encode(&self) -> Bytes {
        let (tag, body): (u8, Vec<u8>) = match self {
            Self::Change(entry, _) => return entry.clone(),
            Self::Genesis => (0xf0, Vec::new()),
            Self::Header(start, _) => (0xf1, start.to_vec()),
            Self::EpochStart(start) => (0xf2, start.to_vec()),
            Self::Action(id) => (0xf3, id.to_le_bytes().to_vec()),
            Self::Bad(id) => (BAD_TAG, id.to_le_bytes().to_vec()),
            Self::Carried(body) => (0xf5, body.to_vec()),
        };
        [&[tag][..], &body].concat().into()
    }
}

/// BLAKE2b of some parts, 32 bytes.
pub fn hash(parts: &[&[u8]]) -> Hash {
    let mut state = Params::new().hash_length(Hash::LEN).to_state();
    for part in parts {
        state.update(part);
    }
    Hash::from_slice(state.finalize().as_bytes()).expect("the digest length is set to 32 bytes")
}

fn first_bytes(hash: &Hash) -> u64 {
    hash.as_bytes().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}
