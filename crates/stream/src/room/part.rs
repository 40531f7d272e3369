//! Which part of a room's history is checked: one feed of several.

use quorate_quorum::certificate::Epoch;
use quorate_quorum::head::Head;
use quorate_types::Hash;

/// A feed of the room as its blocks see it: who commits there, and where in the room it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomPart {
    epoch: Epoch,
    offset: u64,
    /// Tree hash of the header alone, where that is no block of the room.
    header: Option<Hash>,
}

impl RoomPart {
    /// Describes the first feed, whose blocks are the room's from block 0 on.
    pub const fn first(epoch: Epoch) -> Self {
        Self { epoch, offset: 0, header: None }
    }

    /// Describes a later feed. Its header is no block of the room: block 1 follows `height` blocks of the feeds before
    /// it, at least one. `header` is the tree hash of the header alone.
    pub const fn later(epoch: Epoch, height: u64, header: Hash) -> Self {
        Self { epoch, offset: height.saturating_sub(1), header: Some(header) }
    }

    /// Returns the epoch, by which certificates in the feed are verified.
    pub const fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    /// Returns by how much the room is longer than the feed.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the length of the room where the feed has a length.
    pub const fn height(&self, length: u64) -> u64 {
        self.offset.saturating_add(length)
    }

    /// Returns the head of the feed where the room has a length and, after a block of this feed, a tree hash; `None` for
    /// lengths before the feed.
    pub fn head(&self, height: u64, tree_hash: Hash) -> Option<Head> {
        let length = height.checked_sub(self.offset)?;
        Head::new(length, self.header.filter(|_| length == 1).unwrap_or(tree_hash))
    }

    /// Returns the tree hash of the header alone, where the length of a feed is no more than that.
    pub(super) fn header_at(&self, length: u64) -> Option<Hash> {
        self.header.filter(|_| length == 1)
    }
}
