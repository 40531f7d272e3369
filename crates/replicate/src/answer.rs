//! Blocks and proofs that come in.

use quorate_proto::dat::{Cancel, Data, FeedMessage, Have, Unhave};

use crate::machine::{View, settle};
use crate::peer::{Basis, Reason, Sent};
use crate::{Output, Peer, PeerFault, Refusal, ReplicationEvent, Replicator};

/// Blocks that nobody asked for which a peer may send.
const MAX_UNREQUESTED: u32 = 256;

impl Replicator {
    pub(crate) fn data(&mut self, view: View<'_>, id: Peer, data: Data) {
        let Some(peer) = self.peers.get_mut(&id).filter(|peer| peer.parting.is_none()) else { return };
        let index = data.index;
        let hash = data.value.is_none();
        let is_here = !hash && view.local.has(index);
        let bytes = data.value.as_ref().map(|value| value.len());
        let Some((at, sent)) = peer.take_waiting(index, hash) else {
            if peer.passes(index) {
                peer.pace.answer(view.now, bytes);
                if !hash && !is_here {
                    let late = Sent { index, hash, basis: Basis::Late, stretch: false, passed: None };
                    peer.verifying.push_back(late);
                    self.out.push(Output::Verify { peer: id, data });
                }
                return;
            }
            return self.unrequested(id, index, hash || is_here);
        };
        if at > 0
            && let Some(oldest) = peer.waiting.front_mut()
            && oldest.passed.is_none()
        {
            oldest.passed = Some(view.now);
            self.out.wake(view.now + self.config.request_timeout);
        }
        peer.pace.answer(view.now, bytes);
        peer.strikes = 0;
        peer.is_snubbed = false;
        if let Basis::Nothing(_) = sent.basis {
            peer.investigating.push_back((sent, data.clone()));
            self.out.push(Output::Investigate { peer: id, data });
        } else if is_here {
            settle(&mut self.work, id, peer, sent);
            self.settled(view, id);
        } else {
            peer.verifying.push_back(sent);
            self.out.push(Output::Verify { peer: id, data });
        }
    }

    fn unrequested(&mut self, id: Peer, index: u64, is_of_no_use: bool) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.unrequested += 1;
        if peer.unrequested > MAX_UNREQUESTED {
            return self.disconnect(id, PeerFault::Unrequested { limit: MAX_UNREQUESTED }, None);
        }
        if !is_of_no_use {
            // As the reference does, so that the sender does not take the block for delivered.
            self.out.send(id, FeedMessage::Unhave(Unhave { start: index, length: 1 }));
        }
    }

    pub(crate) fn stored(&mut self, view: View<'_>, id: Peer, index: u64, new: bool, upgraded: bool) {
        if let Some(peer) = self.peers.get_mut(&id)
            && let Some(sent) = peer.take_verifying(index)
        {
            settle(&mut self.work, id, peer, sent);
            if sent.basis == Basis::Compared && peer.suspect == Some(index) {
                peer.suspect = None;
            }
            if new && peer.wants_acks {
                let ack = Have { ack: true, ..Have::range(index, 1) };
                self.out.send(id, FeedMessage::Have(ack));
            }
            if sent.basis == Basis::Late {
                self.cancel_elsewhere(index, id);
            }
        }
        if new {
            self.work.done_with(index);
            self.add_fresh(view, id, index);
            // What was missing is said to be here again, although nobody looked while it was not.
            self.synced = false;
        }
        if upgraded {
            self.check_work = true;
            self.check_end = true;
        }
        self.settled(view, id);
    }

    /// A peer has room for one more request.
    fn settled(&mut self, view: View<'_>, id: Peer) {
        self.fill(view, id);
        if self.peers.get(&id).is_none_or(|peer| peer.open() == 0) {
            self.check_end = true;
        }
    }

    /// Takes back the request for a block that another peer was asked for and that is here now.
    fn cancel_elsewhere(&mut self, index: u64, except: Peer) {
        let owner =
            self.work.singles.get(&index).copied().or(self.work.claims.at(index).map(|(_, owner)| owner));
        if let Some(owner) = owner.filter(|&owner| owner != except) {
            self.take_back(owner, index);
        }
    }

    /// Takes one request for a block back; true when there was one.
    pub(crate) fn take_back(&mut self, id: Peer, index: u64) -> bool {
        let Some(peer) = self.peers.get_mut(&id) else { return false };
        let Some((_, sent)) = peer.take_waiting(index, false) else { return false };
        settle(&mut self.work, id, peer, sent);
        peer.let_pass(index);
        if peer.is_quorate {
            self.out.send(id, FeedMessage::Cancel(Cancel { index, bytes: 0, hash: false }));
        }
        true
    }

    pub(crate) fn refused(&mut self, view: View<'_>, id: Peer, index: u64, refusal: Refusal) {
        let sent = self.peers.get_mut(&id).and_then(|peer| peer.take_verifying(index));
        let lacks = matches!(refusal, Refusal::MissingNode | Refusal::NoSignature | Refusal::BadSignature);
        if let (Some(peer), Some(sent)) = (self.peers.get_mut(&id), sent)
            && lacks
            && peer.was_of_another(sent)
        {
            return;
        }
        if let (Some(peer), Some(sent)) = (self.peers.get_mut(&id), sent) {
            settle(&mut self.work, id, peer, sent);
        }
        if matches!(refusal, Refusal::Rules | Refusal::Storage) {
            if let Some(peer) = self.peers.get_mut(&id)
                && peer.suspect == Some(index)
            {
                peer.suspect = None;
            }
            self.work.exclude(index);
            self.out.event(ReplicationEvent::GivenUp { index, refusal });
            return self.settled(view, id);
        }
        let (Some(peer), Some(sent)) = (self.peers.get_mut(&id), sent) else { return };
        match sent.basis {
            Basis::Expected => {
                // An earlier answer did not bring what it was expected to bring: ask again, counting on nothing.
                peer.break_run();
                self.work.reopen(index);
                self.check_work = true;
            }
            // It may have counted on answers that were not waited for either, and is asked of somebody else.
            Basis::Late if lacks => {}
            Basis::Compared => {
                if !sent.hash {
                    self.work.reopen(index);
                }
                return self.corrupt(id, index);
            }
            _ if peer.suspect.is_some() => {
                // It is being found out already.
                self.work.reopen(index);
                self.check_work = true;
            }
            _ => {
                peer.suspect = Some(index);
                peer.contradicts = refusal == Refusal::WrongHash;
                peer.to_ask.push_back((index, sent.hash, Reason::Suspicion));
                self.out.event(ReplicationEvent::Suspected { peer: id, index, refusal });
            }
        }
        self.settled(view, id);
    }
}
