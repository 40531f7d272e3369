//! Telling a fork from corruption, with proofs that stand alone.

use crate::machine::{View, settle};
use crate::peer::{Basis, Reason, Sent};
use crate::{InvestigationResult, Output, Peer, PeerFault, ReplicationEvent, Replicator};

/// Proofs that may be asked for to find out about one peer.
const MAX_ASKED: usize = 256;

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
        let is_suspicion = sent.basis == Basis::Nothing(Reason::Suspicion);
        let is_news = if sent.hash { index >= view.local.length() } else { !view.local.has(index) };
        peer.suspicions += u32::from(is_suspicion);
        let too_many = peer.suspicions > MAX_SUSPICIONS;
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
                return self.disconnect(id, PeerFault::Fork { index }, None);
            }
            InvestigationResult::Corrupt => return self.corrupt(id, index),
            InvestigationResult::Ask(indexes) => {
                let reason = if is_suspicion { Reason::Suspicion } else { Reason::Probe };
                let room = MAX_ASKED.saturating_sub(peer.asked);
                let length = peer.remote.length();
                let asked = indexes.into_iter().filter(|&index| index < length).take(room);
                let before = peer.to_ask.len();
                peer.to_ask.extend(asked.map(|index| (index, true, reason)));
                let added = peer.to_ask.len() - before;
                peer.asked += added;
                if added == 0 && is_suspicion {
                    return self.corrupt(id, index);
                }
                if is_suspicion {
                    // The answers decide; the block itself is asked for again after them.
                    let last = peer.to_ask.back().map(|&(index, _, _)| index);
                    peer.suspect = last.or(peer.suspect);
                }
            }
            InvestigationResult::Incomplete if is_suspicion => {
                // On a fresh connection the first answer stands alone, unless the peer leaves something out.
                if peer.profile.probe == Some(index) {
                    return self.corrupt(id, index);
                }
                return self.disconnect(id, PeerFault::Unclear { index }, Some(index));
            }
            InvestigationResult::Incomplete => {}
        }
        self.check_work = true;
        self.check_end = true;
    }

    pub(crate) fn corrupt(&mut self, id: Peer, index: u64) {
        self.out.event(ReplicationEvent::CorruptPeer { peer: id, index });
        self.disconnect(id, PeerFault::Corrupt { index }, None);
    }
}
