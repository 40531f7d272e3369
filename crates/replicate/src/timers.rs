//! Peers that are slow or silent.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::machine::View;
use crate::peer::{Basis, PeerState, Reason, Sent, Stretch};
use crate::{Peer, PeerFault, Replicator};

/// Times that a peer may be silent for the request time-out, each twice as long as the one before.
const MAX_STRIKES: u32 = 4;

/// Peers that are looked at to see whether somebody else has the blocks of a silent one.
const MAX_OTHERS: usize = 8;

/// How often peers without work look for others that are much slower.
const HELP_PERIOD: Duration = Duration::from_millis(100);

/// How often one such peer may look when it is told something meanwhile.
const MIN_HELP_PERIOD: Duration = Duration::from_millis(10);

/// Time by which a peer may be slower than another before it loses requests.
const HELP_MARGIN: Duration = Duration::from_millis(200);

impl Replicator {
    pub(crate) fn timeout(&mut self, view: View<'_>) {
        self.out.forget_deadline();
        self.check_fresh(view);
        let ids: Vec<Peer> = self.peers.keys().copied().collect();
        for &id in &ids {
            self.check_peer(view, id);
        }
        for id in ids {
            self.fill(view, id);
        }
        self.check_end = true;
    }

    fn check_peer(&mut self, view: View<'_>, id: Peer) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if let Some((until, index)) = peer.parting {
            if view.now >= until {
                return self.disconnect(id, PeerFault::Fork { index }, None);
            }
            return self.out.wake(until);
        }
        let timeout = self.config.request_timeout;
        let heard_by = peer.opened + timeout;
        if !peer.answered && view.now < heard_by {
            self.out.wake(heard_by);
        }
        let Some(oldest) = peer.waiting.front().copied() else { return };
        if let Some(passed) = oldest.passed {
            if view.now >= passed + timeout {
                return self.lost(view, id, oldest);
            }
            self.out.wake(passed + timeout);
        }
        let patience = timeout.saturating_mul(1 << peer.strikes.min(MAX_STRIKES));
        let due = peer.pace.progress + patience;
        if view.now < due {
            return self.out.wake(due);
        }
        peer.strikes += 1;
        if peer.strikes >= MAX_STRIKES {
            let waited = timeout.saturating_mul((1 << MAX_STRIKES) - 1);
            return self.disconnect(id, PeerFault::Silent { index: oldest.index, waited }, None);
        }
        peer.pace.progress = view.now;
        self.out.wake(view.now + timeout.saturating_mul(1 << peer.strikes));
        self.snub(id);
    }

    /// Later requests were answered and this one was not: the peer does not have the block any more.
    fn lost(&mut self, view: View<'_>, id: Peer, sent: Sent) {
        if sent.basis == Basis::Nothing(Reason::Suspicion) {
            return self.corrupt(id, sent.index);
        }
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.remote.set(sent.index, sent.index.saturating_add(1), false);
        }
        self.release(id, |other| *other == sent);
        self.out.wake(view.now + self.config.request_timeout);
    }

    /// Gives the requests of a silent peer to others, where others have the blocks.
    fn snub(&mut self, id: Peer) {
        #[cfg(test)]
        if self.keeps_timed_out_requests {
            return;
        }
        let able = |peer: &PeerState| peer.may_ask() && !peer.is_snubbed;
        let others: Vec<&PeerState> = self
            .peers
            .iter()
            .filter(|&(&other, peer)| other != id && able(peer))
            .map(|(_, peer)| peer)
            .take(MAX_OTHERS)
            .collect();
        if others.is_empty() {
            return;
        }
        let Some(peer) = self.peers.get(&id) else { return };
        let movable: BTreeSet<u64> = peer
            .waiting
            .iter()
            .filter(|sent| !sent.hash && !matches!(sent.basis, Basis::Nothing(_)))
            .map(|sent| sent.index)
            .filter(|&index| others.iter().any(|other| other.remote.has(index)))
            .collect();
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.is_snubbed = true;
        }
        self.release(id, |sent| !sent.hash && movable.contains(&sent.index));
        self.drop_unsent(id);
        self.check_work = true;
    }

    /// Gives a peer without work some of what a slower one still has to do.
    pub(crate) fn help_out(&mut self, view: View<'_>, id: Peer) {
        #[cfg(test)]
        if self.never_helps {
            return;
        }
        let is_idle = self.work.claims.is_empty() && self.work.singles.is_empty();
        if self.peers.len() < 2 || is_idle {
            return;
        }
        let Some(peer) = self.peers.get_mut(&id) else { return };
        match peer.helped {
            Some(before) if view.now < before + MIN_HELP_PERIOD => self.out.wake(before + MIN_HELP_PERIOD),
            _ => {
                peer.helped = Some(view.now);
                if !self.take_unsent(view, id) && !self.take_tail(view, id) {
                    self.out.wake(view.now + HELP_PERIOD);
                }
            }
        }
    }

    /// Takes the further half of the longest stretch of which nothing was sent yet.
    fn take_unsent(&mut self, view: View<'_>, id: Peer) -> bool {
        let unsent = |peer: &PeerState| peer.stretch.map_or(0, |stretch| stretch.end - stretch.next);
        let busiest =
            self.peers.iter().filter(|&(&other, _)| other != id).max_by_key(|(_, peer)| unsent(peer));
        let Some((&owner, _)) = busiest.filter(|(_, peer)| unsent(peer) >= 2) else { return false };
        let Some(stretch) = self.peers.get(&owner).and_then(|peer| peer.stretch) else { return false };
        let middle = stretch.next + (stretch.end - stretch.next) / 2;
        let has_all = |peer: &PeerState| peer.remote.run_end(middle, stretch.end) == stretch.end;
        if !self.peers.get(&id).is_some_and(has_all) {
            return false;
        }
        if let Some(peer) = self.peers.get_mut(&owner) {
            peer.stretch = Some(Stretch { end: middle, ..stretch });
        }
        self.work.claims.cut(stretch.start, middle);
        self.peers.values_mut().for_each(|peer| peer.cursor = peer.cursor.min(middle));
        self.fill_without_help(view, id);
        true
    }

    /// Takes the newest requests of a peer that is much slower.
    fn take_tail(&mut self, view: View<'_>, id: Peer) -> bool {
        let now = view.now;
        let Some(helper) = self.peers.get(&id) else { return false };
        let pace = helper.pace.per_block();
        let rest = |peer: &PeerState| peer.pace.time_for(peer.waiting.len(), now);
        let others = self.peers.iter().filter(|&(&other, peer)| other != id && !peer.waiting.is_empty());
        let Some((&owner, slow)) = others.max_by_key(|(_, peer)| rest(peer)) else { return false };
        let total = slow.waiting.len();
        let rest = rest(slow);
        let each = rest / u32::try_from(total).unwrap_or(u32::MAX).max(1);
        // Both are to be done at the same time.
        let share = (total as u128 * each.as_nanos()).div_ceil(each.as_nanos() + pace.as_nanos());
        let share = usize::try_from(share).unwrap_or(total).clamp(1, total);
        if rest < HELP_MARGIN + pace.saturating_mul(4 * u32::try_from(share).unwrap_or(u32::MAX / 4)) {
            return false;
        }
        let room = helper.window(&self.config, self.shared).saturating_sub(helper.open());
        let is_block = |sent: &&Sent| !sent.hash && !matches!(sent.basis, Basis::Nothing(_));
        let tail: Vec<u64> = slow
            .waiting
            .iter()
            .rev()
            .filter(is_block)
            .map(|sent| sent.index)
            .filter(|&index| helper.remote.has(index))
            .take(share.min(room))
            .collect();
        for &index in &tail {
            self.take_back(owner, index);
        }
        if let Some(peer) = self.peers.get_mut(&owner) {
            peer.break_run();
        }
        for &index in tail.iter().rev() {
            self.send_single(view, id, index);
        }
        !tail.is_empty()
    }
}
