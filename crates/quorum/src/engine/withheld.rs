//! Certificates in the place of votes that were not passed on.

use quorate_proto::quorate1::{Message, QuorumMessage};

use super::Engine;

/// Epoch and length.
type Rank = (u64, u64);

/// What a peer was not told, and what it was told in its place.
#[derive(Debug, Default)]
pub(super) struct Lacks {
    /// The longest of the votes that were not passed on to it, until it is told a Final of that.
    vote: Option<Rank>,
    /// The longest QC that it was told.
    qc: Rank,
    /// The newest Final that it was told.
    last_final: Rank,
}

impl Lacks {
    /// Notes that a vote is not passed on.
    pub(super) fn note(&mut self, vote: Rank) {
        self.vote = self.vote.max(Some(vote));
    }
}

impl Engine {
    /// Tells what has come of votes to those to whom they were not passed on: they would ask for it half a second later.
    pub(super) fn tell_withheld(&mut self) {
        if self.peers.values().all(|remote| remote.lacks.vote.is_none()) {
            return;
        }
        let qc = self.longest.last_key_value().map(|(_, qc)| (qc.certified().rank(), qc.qc()));
        let last = self.last_final.as_ref().map(|last| (last.certified().rank(), last.last_final()));
        let message = |qc, last_final| Message::Quorum(QuorumMessage::Qc { qc, last_final }).encode();
        let mut told = Vec::new();
        for (&peer, remote) in self.peers.iter_mut().filter(|(_, remote)| remote.lacks.vote.is_some()) {
            let lacks = &mut remote.lacks;
            if let Some((rank, qc)) = qc.filter(|(rank, _)| *rank > lacks.qc) {
                lacks.qc = rank;
                told.push((peer, message(Some(qc.encode()), None)));
            }
            if let Some((rank, last)) = last.filter(|(rank, _)| *rank > lacks.last_final) {
                lacks.last_final = rank;
                lacks.vote = lacks.vote.filter(|vote| *vote > rank);
                told.push((peer, message(None, Some(last.encode()))));
            }
        }
        for (peer, payload) in told {
            self.send(peer, payload);
        }
    }
}
