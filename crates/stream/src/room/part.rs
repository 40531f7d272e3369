//! Which part of a room's history is checked: one feed of several.

use quorate_quorum::certificate::Epoch;
use quorate_quorum::head::Head;
use quorate_types::Hash;

/// A feed of the room as its blocks see it: who commits there, and where in the room it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomPart {
    epoch: Epoch,
    offset: u64,
    /// First block of the room that stands in it.
    start: u64,
    /// Tree hash of the header alone, where that is no block of the room.
    header: Option<Hash>,
    /// Hash of the start with which its first block begins the epoch, where the feed goes on in another one.
    start_hash: Option<Hash>,
}

impl RoomPart {
    /// Describes the first feed, whose blocks are the room's from block 0 on.
    pub const fn first(epoch: Epoch) -> Self {
        Self { epoch, offset: 0, start: 0, header: None, start_hash: None }
    }

    /// Describes a later feed. Its header is no block of the room: block 1 follows `height` blocks of the feeds before
    /// it, at least one. `header` is the tree hash of the header alone.
    pub const fn later(epoch: Epoch, height: u64, header: Hash) -> Self {
        let offset = height.saturating_sub(1);
        Self { epoch, offset, start: height, header: Some(header), start_hash: None }
    }

    /// Describes a feed that goes on in another epoch, with other validators: the block of the room at `start` begins it.
    /// `offset` is that of the feed, and `start_hash` the hash of the start that the block holds
    /// ([`VerifiedStart::hash`](quorate_quorum::certificate::VerifiedStart::hash)).
    pub const fn continued(epoch: Epoch, offset: u64, start: u64, start_hash: Hash) -> Self {
        Self { epoch, offset, start, header: None, start_hash: Some(start_hash) }
    }

    /// Returns the epoch, by which certificates in the feed are verified.
    pub const fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    /// Returns by how much the room is longer than the feed.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the first block of the room that stands in it.
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// Returns the hash of the start with which a block begins the epoch; `None` for any other block.
    pub(super) fn starts_with(&self, index: u64) -> Option<&Hash> {
        self.start_hash.as_ref().filter(|_| index == self.start)
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
