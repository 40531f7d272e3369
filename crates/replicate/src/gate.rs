//! What is shown to peers that are not quorate nodes, where less than everything is.

use quorate_proto::dat::{FeedMessage, Have};
use quorate_types::BlockRange;

use crate::machine::View;
use crate::peer::PeerState;
use crate::upload::announce;
use crate::{Peer, Replicator};

impl Replicator {
    /// One past the last block that a peer is shown.
    ///
    /// A peer is a stock peer until it has shown that it is none: what was shown cannot be taken back.
    pub fn shown_to(&self, peer: Peer) -> u64 {
        self.peers.get(&peer).map_or(0, |peer| shown(self.gate, peer))
    }

    /// Shows more of the feed to stock peers.
    pub(crate) fn set_gate(&mut self, view: View<'_>, length: Option<u64>) {
        let before = std::mem::replace(&mut self.gate, length);
        let (Some(before), end) = (before, length.unwrap_or(u64::MAX).min(view.local.length())) else {
            return;
        };
        if end <= before {
            return;
        }
        let ids: Vec<Peer> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.remote_wants && !peer.is_quorate)
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            self.show(view, id, BlockRange::new(before, end));
        }
    }

    /// Shows everything to a peer that has turned out to be a quorate node.
    pub(crate) fn show_rest(&mut self, view: View<'_>, id: Peer) {
        let (Some(gate), length) = (self.gate, view.local.length()) else { return };
        if gate < length && self.peers.get(&id).is_some_and(|peer| peer.remote_wants) {
            self.show(view, id, BlockRange::new(gate, length));
        }
    }

    /// Announces those blocks of a range that are here: the last one first, which tells the length.
    fn show(&mut self, view: View<'_>, id: Peer, range: BlockRange) {
        let last = range.end.saturating_sub(1);
        if view.local.has(last) {
            self.out.send(id, FeedMessage::Have(Have::range(last, 1)));
        }
        let mut start = range.start;
        while start < range.end {
            let end = view.local.first_missing(BlockRange::new(start, range.end)).unwrap_or(range.end);
            if end > start {
                announce(&mut self.out, id, BlockRange::new(start, end));
            }
            start = end.saturating_add(1);
        }
    }
}

/// One past the last block that a peer is shown behind a gate.
pub(crate) fn shown(gate: Option<u64>, peer: &PeerState) -> u64 {
    match gate {
        Some(gate) if !peer.is_quorate => gate,
        _ => u64::MAX,
    }
}

/// The part of a range that a peer is shown.
pub(crate) fn cut(range: BlockRange, shown: u64) -> BlockRange {
    BlockRange::new(range.start.min(shown), range.end.min(shown))
}
