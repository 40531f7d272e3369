//! Certificates in the place of votes that were not passed on.

use bytes::Bytes;
use quorate_proto::quorate1::{Message, QuorumMessage};

use super::Engine;
use super::event::Output;
use crate::certificate::Certified;

/// Epoch and length of a certificate.
type Rank = (u64, u64);

/// What a peer was not told, and what it was told in its place.
#[derive(Debug, Default)]
pub(super) struct Lacks {
    /// A statement was not passed on to it since the last Final that it was told.
    is_any: bool,
    /// The longest QC that it was told.
    qc: Rank,
    /// The newest Final that it was told.
    last_final: Rank,
}

impl Lacks {
    /// Notes that a statement is not passed on.
    pub(super) const fn note(&mut self) {
        self.is_any = true;
    }
}

impl Engine {
    /// Tells what has come of votes to those to whom they were not passed on: they would ask for it half a second later.
    pub(super) fn tell_withheld(&mut self) {
        if !self.peers.values().any(|remote| remote.lacks.is_any) {
            return;
        }
        let message = |qc, last_final| Message::Quorum(QuorumMessage::Qc { qc, last_final }).encode();
        let qc = self.last_qc().map(|qc| (rank(qc.certified()), message(Some(qc.qc().encode()), None)));
        let last = self.last_final.as_ref();
        let last = last.map(|last| (rank(last.certified()), message(None, Some(last.last_final().encode()))));
        for (&peer, remote) in self.peers.iter_mut().filter(|(_, remote)| remote.lacks.is_any) {
            let lacks = &mut remote.lacks;
            let mut tell = |payload: &Bytes| {
                self.out.push_back(Output::Send { peer, payload: payload.clone() });
            };
            if let Some((rank, payload)) = qc.as_ref().filter(|(rank, _)| *rank > lacks.qc) {
                lacks.qc = *rank;
                tell(payload);
            }
            if let Some((rank, payload)) = last.as_ref().filter(|(rank, _)| *rank > lacks.last_final) {
                (lacks.last_final, lacks.is_any) = (*rank, false);
                tell(payload);
            }
        }
    }
}

fn rank(certified: &Certified) -> Rank {
    (certified.epoch, certified.head().length())
}
