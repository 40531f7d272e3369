//! The feed as the replicator sees it.

use quorate_feed::Feed;
use quorate_replicate::LocalFeed;
use quorate_store::Backend;
use quorate_types::BlockRange;

/// Shows a feed to the replicator. Appends are durable before the replicator runs again, so that what it sees is.
pub(crate) struct View<'a>(pub(crate) &'a Feed<Backend>);

impl LocalFeed for View<'_> {
    fn length(&self) -> u64 {
        self.0.length()
    }

    fn has(&self, index: u64) -> bool {
        self.0.has(index)
    }

    fn has_node(&self, node: u64) -> bool {
        self.0.bitfield().tree_has(node)
    }

    fn digest(&self, index: u64) -> u64 {
        self.0.digest(index)
    }

    fn compress(&self, start: u64, length: u64) -> Vec<u8> {
        self.0.bitfield().compress(start, length)
    }

    fn first_missing(&self, range: BlockRange) -> Option<u64> {
        self.0.bitfield().first_missing(range)
    }
}
