//! What the rules said of a block of a feed that the room has left, or where the room stands elsewhere by now.

use std::collections::BTreeMap;

use bytes::Bytes;
use quorate_feed::{Flavour, Roots};
use quorate_quorum::head::Head;
use quorate_rules::state::RoomStore;
use quorate_stream::room::{Checked, Lacking, OpenRoomError, Prefix, RoomPart};
use quorate_types::{Hash, RulesHash, StateRoot};

use super::checker::{Checker, History, Known};

/// Where a block stood.
#[derive(Debug, Clone)]
pub(crate) struct Then {
    /// Length of the room up to which its history is that of the block.
    pub(crate) length: u64,
    /// Feed of the block.
    pub(crate) part: RoomPart,
    /// Peaks of that feed where the room has this length.
    pub(crate) roots: Roots,
    /// Blocks of the feed from there on, before the block.
    pub(crate) branch: Vec<Bytes>,
    /// Where the feed stood before the block.
    pub(crate) before: Head,
}

/// What the rules said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) checked: Checked,
    /// State before the block.
    pub(crate) state_root: StateRoot,
    pub(crate) rules_hash: RulesHash,
}

/// The history before the block.
struct Before<'a> {
    history: &'a History<'a>,
    length: u64,
    blocks: BTreeMap<u64, Bytes>,
    hashes: BTreeMap<u64, Hash>,
}

impl Prefix for Before<'_> {
    fn block(&self, index: u64) -> Option<Bytes> {
        if index < self.length { self.history.block(index) } else { self.blocks.get(&index).cloned() }
    }

    fn tree_hash(&self, length: u64) -> Option<Hash> {
        if length <= self.length { self.history.tree_hash(length) } else { self.hashes.get(&length).copied() }
    }
}

impl<S: RoomStore> Checker<S> {
    /// Asks the rules of a block as they were asked then. What was not written down with [`flush`](Self::flush) is out of
    /// reach. Nothing changes.
    pub(crate) fn ask_then(&self, then: Then, block: Bytes, known: &Known) -> Result<Said, Lacking> {
        let history = History { recent: &self.recent, fresh: &self.fresh, known };
        let Then { length, part, mut roots, branch, before } = then;
        let mut prefix =
            Before { history: &history, length, blocks: BTreeMap::new(), hashes: BTreeMap::new() };
        let mut room = self.room.earlier(length, Some(part), &prefix).map_err(|error| match error {
            OpenRoomError::Lacking(lacking) => lacking,
            error => Lacking::Other(error.to_string()),
        })?;
        for block in branch {
            let position = room.position();
            let effects = match room.check(block.clone(), position.tree_hash, &prefix) {
                Checked::Accepted(effects) => effects,
                Checked::Refused(refusal) => {
                    return Err(Lacking::Other(format!("a block before it is refused: {refusal}")));
                }
                Checked::Unable(why) => return Err(why),
            };
            let other = |why: String| Lacking::Other(why);
            roots.push_block(Flavour::Dat, &block).map_err(|error| other(error.to_string()))?;
            let tree_hash = roots.tree_hash(Flavour::Dat);
            room.apply(effects, tree_hash).map_err(|error| other(error.to_string()))?;
            prefix.blocks.insert(position.length, block);
            prefix.hashes.insert(room.position().length, tree_hash);
        }
        if Head::new(roots.length(), roots.tree_hash(Flavour::Dat)) != Some(before) {
            return Err(Lacking::Other("the history before it is another one here".to_owned()));
        }
        let position = room.position();
        let (state_root, rules_hash) = (position.state_root, room.rules_hash());
        Ok(Said { checked: room.check(block, position.tree_hash, &prefix), state_root, rules_hash })
    }
}
