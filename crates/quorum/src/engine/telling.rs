//! What is sent to peers: answers, and what is passed on.

use std::time::Instant;

use bytes::Bytes;
use quorate_proto::quorate1::{Message, QuorumMessage};
use quorate_types::limits::MAX_CERTIFICATE_BYTES;
use quorate_types::{Hash, QcHash};

use super::Engine;
use super::event::{Output, Peer, Storage};
use crate::statement::{Challenge, Verified};

impl Engine {
    /// Sends what this node signed about storage.
    pub(super) fn send_storage(&mut self, peer: Option<Peer>, message: &Storage) {
        let message = match message {
            Storage::Have(have) => QuorumMessage::Have(have.encode().into()),
            Storage::Challenge(challenge) => {
                QuorumMessage::Challenge(Verified::<Challenge>::encode(challenge).into())
            }
            Storage::Response(response) => QuorumMessage::Response(response.encode().into()),
        };
        let message = Message::Quorum(message).encode();
        match peer {
            Some(peer) => self.send(peer, message),
            None => self.broadcast(None, &message),
        }
    }

    pub(super) fn answer_qc(&mut self, now: Instant, peer: Peer, named: Option<QcHash>) {
        if !self.may_answer(now, peer) {
            return;
        }
        let qc = match named {
            Some(named) => self.find_qc(&named),
            None => self.last_qc(),
        };
        let qc = qc.map(|qc| qc.qc().encode());
        let last_final = self.last_final.as_ref().map(|last| last.last_final().encode());
        for (qc, last_final) in [(qc, None), (None, last_final)] {
            if qc.is_some() || last_final.is_some() {
                let message = Message::Quorum(QuorumMessage::Qc { qc, last_final }).encode();
                self.send(peer, message);
            }
        }
    }

    /// Returns the message that carries a QC.
    pub(super) fn qc_message(&self, named: &QcHash) -> Option<Bytes> {
        let qc = Some(self.find_qc(named)?.qc().encode());
        Some(Message::Quorum(QuorumMessage::Qc { qc, last_final: None }).encode())
    }

    /// Sends the starts of epochs, as many as fit.
    pub(super) fn answer_starts(&mut self, now: Instant, peer: Peer, from: u64) {
        let number = self.current.epoch.number();
        if from == 0 || from > number || !self.may_answer(now, peer) {
            return;
        }
        let mut starts = Vec::new();
        let mut size = 0_usize;
        for epoch in from..=number {
            let Some(start) = self.start_of(epoch).cloned() else { break };
            size = size.saturating_add(start.len()).saturating_add(8);
            if !starts.is_empty() && size > MAX_CERTIFICATE_BYTES {
                break;
            }
            starts.push(start);
        }
        if !starts.is_empty() {
            self.send(peer, Message::Quorum(QuorumMessage::Handover(starts)).encode());
        }
    }

    pub(super) fn answer_evidence(&mut self, now: Instant, peer: Peer, known: &[Hash]) {
        let unknown = self.exposed.iter().filter(|evidence| !known.contains(evidence.id()));
        let unknown: Vec<Bytes> = unknown.map(|evidence| evidence.bytes().clone()).collect();
        for bytes in unknown {
            if !self.may_answer(now, peer) {
                return;
            }
            self.send(peer, Message::Quorum(QuorumMessage::Evidence(bytes)).encode());
        }
    }

    /// Passes a seal or an acceptance on: the first of its validator always, others unless the peer floods.
    pub(super) fn pass_on(&mut self, now: Instant, from: Peer, message: QuorumMessage, is_first: bool) {
        if is_first || self.peers.get_mut(&from).is_some_and(|remote| remote.passed_on.take(now, 1)) {
            self.broadcast(Some(from), &Message::Quorum(message).encode());
        }
    }

    /// Passes a vote on, unless the peer floods, or says more than others take: then they hear of what comes of it. It is
    /// of an epoch and a length.
    pub(super) fn pass_on_vote(&mut self, now: Instant, from: Peer, bytes: Bytes, of: (u64, u64)) {
        let may_pass = self.peers.get_mut(&from).is_some_and(|remote| remote.passed_on.take(now, 1));
        let payload = Message::Quorum(QuorumMessage::Vote(bytes)).encode();
        for (&peer, remote) in self.peers.iter_mut().filter(|(peer, _)| **peer != from) {
            if may_pass && remote.told.take(now, 1) {
                self.out.push_back(Output::Send { peer, payload: payload.clone() });
            } else {
                remote.lacks.note(of);
            }
        }
    }

    pub(super) fn send(&mut self, peer: Peer, payload: Bytes) {
        self.out.push_back(Output::Send { peer, payload });
    }

    /// Sends to all peers but one.
    pub(super) fn broadcast(&mut self, without: Option<Peer>, payload: &Bytes) {
        let peers: Vec<Peer> = self.peers.keys().copied().filter(|peer| Some(*peer) != without).collect();
        for peer in peers {
            self.send(peer, payload.clone());
        }
    }
}
