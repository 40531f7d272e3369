//! Which peer fetches which stretch of blocks.

use std::collections::BTreeMap;

use crate::Peer;

/// Stretches of blocks, each given to one peer; they do not overlap.
///
/// Blocks of a stretch that are here already are skipped when its requests are sent, and those that fail are asked
/// for one by one, so a stretch only ever shrinks from its end or goes as a whole.
#[derive(Debug, Default)]
pub(crate) struct Claims(BTreeMap<u64, Claim>);

#[derive(Debug)]
struct Claim {
    end: u64,
    peer: Peer,
    /// Requests that were sent and are not settled.
    open: usize,
    /// No more requests will be sent.
    sent: bool,
}

impl Claims {
    /// End of the stretch that holds the block, and whose it is.
    pub(crate) fn at(&self, index: u64) -> Option<(u64, Peer)> {
        let (_, claim) = self.0.range(..=index).next_back()?;
        (index < claim.end).then_some((claim.end, claim.peer))
    }

    /// Start of the first stretch at or after the block.
    pub(crate) fn next_start(&self, index: u64) -> Option<u64> {
        self.0.range(index..).next().map(|(&start, _)| start)
    }

    pub(crate) fn take(&mut self, start: u64, end: u64, peer: Peer) {
        self.0.insert(start, Claim { end, peer, open: 0, sent: false });
    }

    /// Counts requests sent for the stretch that starts at `start`; `all` when they were the last.
    pub(crate) fn sent(&mut self, start: u64, count: usize, all: bool) {
        let Some(claim) = self.0.get_mut(&start) else { return };
        claim.open = claim.open.saturating_add(count);
        claim.sent |= all;
        if claim.sent && claim.open == 0 {
            self.0.remove(&start);
        }
    }

    /// Counts a request as settled: stored, failed or given up.
    pub(crate) fn settle(&mut self, index: u64, peer: Peer) {
        let Some((&start, claim)) = self.0.range_mut(..=index).next_back() else { return };
        if index >= claim.end || claim.peer != peer {
            return;
        }
        claim.open = claim.open.saturating_sub(1);
        if claim.sent && claim.open == 0 {
            self.0.remove(&start);
        }
    }

    /// Cuts the stretch that starts at `start`, of which nothing from `end` on was sent.
    pub(crate) fn cut(&mut self, start: u64, end: u64) {
        if let Some(claim) = self.0.get_mut(&start) {
            claim.end = claim.end.min(end);
        }
    }

    /// Takes everything from a peer; returns the first block that it had.
    pub(crate) fn drop_peer(&mut self, peer: Peer) -> Option<u64> {
        let mut first = None;
        self.0.retain(|&start, claim| {
            let keep = claim.peer != peer;
            if !keep && first.is_none() {
                first = Some(start);
            }
            keep
        });
        first
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
