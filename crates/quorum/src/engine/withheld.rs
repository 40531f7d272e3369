//! Certificates in the place of votes that were not passed on.

use bytes::Bytes;
use quorate_proto::quorate1::{Message, QuorumMessage};

use super::Engine;
use super::event::{Output, Peer};
use crate::certificate::Certified;

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
        let qc = self.last_qc().map(|qc| rank(qc.certified()));
        let last = self.last_final.as_ref().map(|last| rank(last.certified()));
        let mut told: Vec<(Peer, bool, bool)> = Vec::new();
        for (&peer, remote) in self.peers.iter_mut().filter(|(_, remote)| remote.lacks.vote.is_some()) {
            let lacks = &mut remote.lacks;
            let new_qc = qc.filter(|qc| *qc > lacks.qc);
            let new_final = last.filter(|last| *last > lacks.last_final);
            lacks.qc = new_qc.unwrap_or(lacks.qc);
            if let Some(last) = new_final {
                lacks.last_final = last;
                lacks.vote = lacks.vote.filter(|vote| *vote > last);
            }
            if new_qc.is_some() || new_final.is_some() {
                told.push((peer, new_qc.is_some(), new_final.is_some()));
            }
        }
        if told.is_empty() {
            return;
        }
        let message = |qc, last_final| Message::Quorum(QuorumMessage::Qc { qc, last_final }).encode();
        let qc = self.last_qc().map(|qc| message(Some(qc.qc().encode()), None));
        let last = self.last_final.as_ref().map(|last| message(None, Some(last.last_final().encode())));
        for (peer, is_qc, is_final) in told {
            let payloads: [Option<&Bytes>; 2] =
                [qc.as_ref().filter(|_| is_qc), last.as_ref().filter(|_| is_final)];
            for payload in payloads.into_iter().flatten() {
                self.out.push_back(Output::Send { peer, payload: payload.clone() });
            }
        }
    }
}

fn rank(certified: &Certified) -> Rank {
    (certified.epoch, certified.head().length())
}
