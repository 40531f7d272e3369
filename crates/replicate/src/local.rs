//! What the machine sees of the feed that is here.

use quorate_types::BlockRange;

/// The feed as it may be shown to peers, read whenever the machine runs.
///
/// A writer shows durable blocks only. The methods are called for every request, so they must not touch a disk.
pub trait LocalFeed {
    /// Number of blocks up to the newest head that is verified here.
    fn length(&self) -> u64;

    /// Tells whether the block is here.
    fn has(&self, index: u64) -> bool;

    /// Tells whether the node of the flat tree is here.
    fn has_node(&self, node: u64) -> bool;

    /// Says which proof nodes of the block are here (hypercore 9 `lib/tree-index.js`, `digest`).
    fn digest(&self, index: u64) -> u64;

    /// Returns the run-length coded bits of the blocks from `start`, a multiple of 8192, on; at most `length` of
    /// them (hypercore 9 `lib/bitfield.js`, `compress`).
    fn compress(&self, start: u64, length: u64) -> Vec<u8>;

    /// Returns the first block of the range that is not here; blocks beyond the length count as missing.
    fn first_missing(&self, range: BlockRange) -> Option<u64>;
}
