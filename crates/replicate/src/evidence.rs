//! Telling a fork from corruption, with proofs that stand alone.

use std::time::Duration;

use crate::machine::{View, settle};
use crate::peer::{Basis, Reason, Sent};
use crate::{InvestigationResult, Output, Peer, PeerFault, ReplicationEvent, Replicator};

/// Proofs that may be asked for to find out about one peer.
const MAX_ASKED: usize = 256;

/// Time for which a peer with another history is served: several round trips of a busy peer.
const PARTING: Duration = Duration::from_secs(3);

/// Blocks of one peer that may fail to verify although their proofs hold.
const MAX_SUSPICIONS: u32 = 8;

impl Replicator {
    /// Asks a fresh peer for the proof of its last block.
    pub(crate) fn probe_head(&mut self, id: Peer) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let Some(head) = peer.remote.length().checked_sub(1) else { return };
        if self.config.probe_heads && !peer.head_probed {
            peer.head_probed = true;
            peer.to_ask.push_back((head, true, Reason::Probe));
        }
    }

    pub(crate) fn investigated(&mut self, view: View<'_>, id: Peer, result: InvestigationResult) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let Some((sent, data)) = peer.investigating.pop_front() else { return };
        let index = sent.index;
        if result == InvestigationResult::Incomplete && peer.was_of_another(sent) {
            return;
        }
        let is_suspicion = sent.basis == Basis::Nothing(Reason::Suspicion);
        let is_news = if sent.hash { index >= view.local.length() } else { !view.local.has(index) };
        peer.suspicions += u32::from(is_suspicion);
        let too_many = peer.suspicions > MAX_SUSPICIONS;
        peer.agrees |= result == InvestigationResult::Consistent;
        if result == InvestigationResult::Consistent && is_news && !too_many {
            peer.verifying.push_back(Sent { basis: Basis::Compared, ..sent });
            self.out.push(Output::Verify { peer: id, data });
            return;
        }
        settle(&mut self.work, id, peer, sent);
        if is_news && !sent.hash {
            self.work.reopen(index);
        }
        match result {
            _ if too_many => return self.corrupt(id, index),
            InvestigationResult::Consistent if peer.suspect == Some(index) => peer.suspect = None,
            InvestigationResult::Consistent => {}
            InvestigationResult::Fork => {
                self.out.event(ReplicationEvent::ForkFound { peer: id, index });
                return self.part(view, id, index);
            }
            InvestigationResult::Corrupt => return self.corrupt(id, index),
            InvestigationResult::Ask(indexes) => {
                let reason = if is_suspicion { Reason::Suspicion } else { Reason::Probe };
                let length = peer.remote.length();
                for index in indexes.into_iter().filter(|&index| index < length) {
                    // Each is asked for once: the same question has the same answer.
                    if peer.asked.len() < MAX_ASKED && peer.asked.insert(index) {
                        peer.to_ask.push_back((index, true, reason));
                        if is_suspicion {
                            peer.suspect = Some(index);
                        }
                    }
                }
                if is_suspicion && peer.suspect == Some(sent.index) {
                    // It was the last that could be asked for.
                    return self.unclear(id, index);
                }
            }
            // Another block than the one that the history of both has there, whatever was left out.
            InvestigationResult::Incomplete if is_suspicion && peer.agrees && peer.contradicts => {
                return self.corrupt(id, index);
            }
            InvestigationResult::Incomplete if is_suspicion => return self.unclear(id, index),
            InvestigationResult::Incomplete => {}
        }
        self.check_work = true;
        self.check_end = true;
    }

    /// Takes nothing more from a peer with another history, and goes on serving it for a while: only so can it find the
    /// fork too. Whoever finds it first would else be gone before the other has seen anything.
    fn part(&mut self, view: View<'_>, id: Peer, index: u64) {
        let Some(mut peer) = self.drop_peer(id) else { return };
        let until = view.now + PARTING;
        peer.stop_asking();
        peer.parting = Some((until, index));
        if peer.remote_wants {
            self.news.listeners = self.news.listeners.saturating_add(1);
        }
        self.peers.insert(id, peer);
        self.count_sharers();
        self.out.wake(until);
    }

    /// This connection cannot tell. On a fresh one the first answer stands alone, unless the peer leaves something out.
    fn unclear(&mut self, id: Peer, index: u64) {
        let is_fresh = self.peers.get(&id).is_some_and(|peer| peer.profile.probe.is_some());
        let probe = if is_fresh { None } else { Some(index) };
        self.disconnect(id, PeerFault::Unclear { index }, probe);
    }

    pub(crate) fn corrupt(&mut self, id: Peer, index: u64) {
        self.out.event(ReplicationEvent::CorruptPeer { peer: id, index });
        self.disconnect(id, PeerFault::Corrupt { index }, None);
    }
}
