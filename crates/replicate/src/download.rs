//! Which block is asked for next, and from whom.

use quorate_proto::dat::{FeedMessage, Request};
use quorate_types::BlockRange;
use quorate_types::limits::WANT_WINDOW_BLOCKS;

use crate::digest::expected;
use crate::end::status;
use crate::machine::{Outbox, View};
use crate::peer::{Basis, PeerState, Sent, Stretch, URGENT_REQUESTS};
use crate::remote::{window_of, window_start};
use crate::work::Work;
use crate::{Config, Peer, Replicator, Selection};

/// Blocks of one stretch: enough for a disk to read in one go, few enough to share the work.
const MIN_STRETCH: u64 = 32;
const MAX_STRETCH: u64 = 256;

/// Proofs without a digest that one peer may be asked for at once.
const MAX_EVIDENCE_IN_FLIGHT: usize = 64;

/// Places that one search looks at before it gives way to other inputs.
const MAX_SEARCH_STEPS: usize = 4096;

impl Replicator {
    pub(crate) fn select(&mut self, view: View<'_>, selection: Selection) {
        self.work.select(selection);
        self.synced = false;
        self.starved = false;
        // What is in flight still comes, block by block; all else is searched for anew. A stretch may hold blocks that
        // were here when it was sent and were cleared since.
        self.work.claims.clear();
        for (&id, peer) in self.peers.iter_mut() {
            peer.stretch = None;
            peer.break_run();
            // The history here may be another one than before.
            peer.agrees = false;
            for sent in peer.waiting.iter_mut().chain(&mut peer.verifying).filter(|sent| sent.stretch) {
                sent.stretch = false;
                self.work.singles.insert(sent.index, id);
            }
        }
        let ids: Vec<Peer> = self.peers.keys().copied().collect();
        for id in ids {
            let Some(peer) = self.peers.get_mut(&id) else { continue };
            peer.cursor = 0;
            // A peer that was told that this side is done is told otherwise.
            if self.config.download && !peer.downloading && peer.parting.is_none() {
                peer.downloading = true;
                self.out.send(id, status(self.config.upload, true));
            }
            self.send_wants(id);
            self.fill(view, id);
        }
        self.check_end = true;
    }

    pub(crate) fn want_block(&mut self, view: View<'_>, index: u64) {
        if view.local.has(index) || !self.work.urgent.insert(index) {
            return;
        }
        self.starved = false;
        let in_flight = self.work.singles.contains_key(&index) || self.is_in_flight(index);
        if self.work.in_pool(index) {
            self.work.take_from_pool(index);
            self.work.put_in_pool(index);
        } else if !in_flight {
            self.work.put_in_pool(index);
        }
        // The peer that will answer first is asked first.
        let able = self.peers.iter().filter(|(_, peer)| peer.may_ask() && peer.remote.has(index));
        let best = able.min_by_key(|(_, peer)| peer.pace.time_for(peer.waiting.len(), view.now));
        match best.map(|(&id, _)| id) {
            Some(id) => self.fill(view, id),
            None => {
                let ids: Vec<Peer> = self.peers.keys().copied().collect();
                ids.into_iter().for_each(|id| self.send_wants(id));
            }
        }
        self.check_end = true;
    }

    fn is_in_flight(&self, index: u64) -> bool {
        let Some(peer) = self.work.claims.at(index).and_then(|(_, owner)| self.peers.get(&owner)) else {
            return false;
        };
        peer.waiting.iter().chain(&peer.verifying).any(|sent| sent.index == index && !sent.hash)
    }

    pub(crate) fn fill_all(&mut self, view: View<'_>) {
        self.check_work = false;
        let ids: Vec<Peer> = self.peers.keys().copied().collect();
        for id in ids {
            self.fill(view, id);
        }
    }

    /// Gives back the part of a peer's stretch that was not asked for yet.
    pub(crate) fn drop_unsent(&mut self, id: Peer) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if let Some(Stretch { start, next, .. }) = peer.stretch.take() {
            self.work.claims.cut(start, next);
            self.work.claims.sent(start, 0, true);
            peer.break_run();
            self.peers.values_mut().for_each(|peer| peer.cursor = peer.cursor.min(next));
        }
    }

    /// Sends a peer as many requests as it may have.
    pub(crate) fn fill(&mut self, view: View<'_>, id: Peer) {
        self.fill_without_help(view, id);
        if self.peers.get(&id).is_some_and(|peer| peer.is_hungry) {
            self.help_out(view, id);
        }
    }

    pub(crate) fn fill_without_help(&mut self, view: View<'_>, id: Peer) {
        let Some(mut filler) = self.filler(view, id) else { return };
        filler.run();
        if filler.needs_window {
            self.send_wants(id);
        }
    }

    pub(crate) fn send_single(&mut self, view: View<'_>, id: Peer, index: u64) {
        if let Some(mut filler) = self.filler(view, id) {
            filler.send_single(index);
        }
    }

    fn filler<'a>(&'a mut self, view: View<'a>, id: Peer) -> Option<Filler<'a>> {
        let Self { peers, work, out, config, update, shared, .. } = self;
        let peer = peers.get_mut(&id)?;
        let (update, shared) = (*update, *shared);
        Some(Filler { id, peer, work, out, config, view, update, shared, needs_window: false })
    }
}

/// One peer's view of the work.
struct Filler<'a> {
    id: Peer,
    peer: &'a mut PeerState,
    work: &'a mut Work,
    out: &'a mut Outbox,
    config: &'a Config,
    view: View<'a>,
    update: bool,
    shared: bool,
    /// The search came upon a window whose bits are not known.
    needs_window: bool,
}

impl Filler<'_> {
    fn run(&mut self) {
        self.peer.is_hungry = false;
        self.ask_for_evidence();
        if !self.peer.may_ask() {
            return;
        }
        let window = self.peer.window(self.config, self.shared);
        if self.peer.pool_seen != self.work.pool_version {
            self.take_from_pools(window);
        }
        // Wide windows are filled in batches.
        let low = if window >= 64 { window - window / 4 } else { window - 1 };
        if self.peer.open() > low {
            return;
        }
        self.take_anchor();
        self.peer.is_hungry = !self.take_stretches(window) && !self.peer.is_snubbed;
    }

    fn ask_for_evidence(&mut self) {
        let is_evidence = |sent: &&Sent| matches!(sent.basis, Basis::Nothing(_));
        while self.peer.remote_uploading
            && !self.peer.to_ask.is_empty()
            && self.peer.waiting.iter().filter(is_evidence).count() < MAX_EVIDENCE_IN_FLIGHT
            && let Some((index, hash, reason)) = self.peer.to_ask.pop_front()
        {
            if index >= self.view.local.length() {
                self.peer.anchor = Some(index);
            }
            if !hash {
                self.work.singles.entry(index).or_insert(self.id);
            }
            self.send(Sent { index, hash, basis: Basis::Nothing(reason), stretch: false, passed: None }, 0);
        }
    }

    fn take_from_pools(&mut self, window: usize) {
        let (local, peer) = (self.view.local, &self.peer);
        let room = (window + URGENT_REQUESTS).saturating_sub(peer.open());
        let has = |index: &&u64| peer.remote.has(**index);
        let mut picked: Vec<u64> = self.work.urgent_pool().iter().filter(has).take(room).copied().collect();
        let room = window.saturating_sub(peer.open() + picked.len());
        let retries = picked.len()..;
        picked.extend(self.work.retry_pool().iter().filter(has).take(room));
        let is_full = room == 0 || picked.get(retries).is_some_and(|retries| retries.len() == room);
        if !is_full {
            self.peer.pool_seen = self.work.pool_version;
        }
        for index in picked {
            self.work.take_from_pool(index);
            if local.has(index) {
                self.work.done_with(index);
            } else {
                self.send_single(index);
            }
        }
    }

    /// Asks for one block beyond the length here. Its proof brings the roots of everything that the peer has, and
    /// only then can the others be asked for with short proofs and without a signature each.
    fn take_anchor(&mut self) {
        let length = self.view.local.length();
        if self.peer.anchor.is_some() || self.peer.remote.length() <= length {
            return;
        }
        if let Some(index) = self.first_beyond(length) {
            self.send_single(index);
        } else if self.update
            && let Some(index) = self.peer.remote.length().checked_sub(1)
        {
            self.peer.anchor = Some(index);
            let sent = Sent { index, hash: true, basis: Basis::Here, stretch: false, passed: None };
            let nodes = self.view.local.digest(index);
            self.send(sent, nodes);
        }
    }

    fn first_beyond(&mut self, length: u64) -> Option<u64> {
        let mut from = length;
        for _ in 0..MAX_EVIDENCE_IN_FLIGHT {
            let (start, end) = self.work.next_selected(from)?;
            let end = end.min(self.peer.remote.length());
            if start >= end {
                return None;
            }
            if !self.peer.remote.is_open(window_of(start)) {
                self.needs_window = true;
                return None;
            }
            match self.peer.remote.next_present(start, end) {
                Some(index) if self.work.singles.contains_key(&index) => from = index + 1,
                Some(index) => return Some(index),
                None => from = end.min(window_start(window_of(start) + 1)),
            }
        }
        None
    }

    /// Sends requests for stretches until the window is full; false when there is nothing more to ask for.
    fn take_stretches(&mut self, window: usize) -> bool {
        while self.peer.open() < window {
            let stretch = match self.peer.stretch {
                Some(stretch) => stretch,
                None => {
                    let Some((start, end)) = self.next_stretch(window) else { return false };
                    self.work.claims.take(start, end, self.id);
                    self.peer.cursor = end;
                    self.start_run(start);
                    Stretch { start, next: start, end }
                }
            };
            self.send_stretch(stretch, window);
        }
        true
    }

    /// The run goes on when the new stretch begins where the last one ended.
    fn start_run(&mut self, start: u64) {
        let goes_on = self.peer.waiting.back().is_some_and(|sent| sent.stretch && sent.index + 1 == start);
        if !goes_on || self.peer.run_start > start {
            self.peer.run_start = start;
        }
    }

    fn send_stretch(&mut self, mut stretch: Stretch, window: usize) {
        let local = self.view.local;
        let mut count = 0;
        while stretch.next < stretch.end && self.peer.open() < window {
            let index = stretch.next;
            stretch.next += 1;
            if local.has(index) {
                continue;
            }
            let is_single = !self.work.singles.is_empty() && self.work.singles.contains_key(&index);
            let is_excluded = !self.work.excluded.is_empty() && self.work.excluded.end_of(index).is_some();
            if is_single || is_excluded || !self.peer.remote.has(index) {
                self.peer.run_start = stretch.next;
                if !is_single && !is_excluded {
                    self.work.reopen(index);
                }
                continue;
            }
            self.work.take_from_pool(index);
            let (basis, nodes) = self.digest(index);
            self.send(Sent { index, hash: false, basis, stretch: true, passed: None }, nodes);
            count += 1;
        }
        let all = stretch.next == stretch.end;
        self.work.claims.sent(stretch.start, count, all);
        self.peer.stretch = if all { None } else { Some(stretch) };
    }

    fn digest(&mut self, index: u64) -> (Basis, u64) {
        let local = self.view.local;
        // Counting on answers takes a peer that serves in order, and whose tree reaches every root that is here.
        if !self.peer.is_quorate || self.peer.remote.length() < local.length() {
            return (Basis::Here, local.digest(index));
        }
        let digest = expected(local, index, self.peer.run_start);
        let basis = if self.peer.run_start < index { Basis::Expected } else { Basis::Here };
        if !digest.solid {
            self.peer.run_start = index + 1;
        }
        (basis, digest.nodes)
    }

    /// Finds blocks that this peer has, that are selected and not here, and that nobody is asked for.
    fn next_stretch(&mut self, window: usize) -> Option<(u64, u64)> {
        let local = self.view.local;
        let length = local.length().min(self.peer.remote.length());
        let longest = (window as u64).clamp(MIN_STRETCH, MAX_STRETCH);
        let mut from = self.peer.cursor;
        let found = 'search: {
            for _ in 0..MAX_SEARCH_STEPS {
                let Some((start, end)) = self.work.next_selected(from) else { break 'search None };
                let end = end.min(length);
                if start >= end {
                    // New blocks go on where the known ones end.
                    from = from.max(start.min(length));
                    break 'search None;
                }
                let Some(index) = local.first_missing(BlockRange::new(start, end)) else {
                    from = end;
                    continue;
                };
                from = index;
                if !self.peer.remote.is_open(window_of(index)) {
                    self.needs_window = true;
                    break 'search None;
                }
                let window_end = window_start(window_of(index)).saturating_add(WANT_WINDOW_BLOCKS);
                let Some(index) = self.peer.remote.next_present(index, end) else {
                    from = end.min(window_end);
                    continue;
                };
                from = index;
                if local.has(index) {
                    continue;
                }
                if let Some((claim_end, _)) = self.work.claims.at(index) {
                    from = claim_end;
                    continue;
                }
                if self.work.singles.contains_key(&index) {
                    from = index + 1;
                    continue;
                }
                let end = end.min(index.saturating_add(longest));
                let end = self.work.claims.next_start(index).map_or(end, |claim| claim.min(end));
                break 'search Some((index, self.peer.remote.run_end(index, end)));
            }
            self.out.wake(self.view.now);
            None
        };
        self.peer.cursor = from;
        found
    }

    fn send_single(&mut self, index: u64) {
        self.work.singles.insert(index, self.id);
        if index >= self.view.local.length() {
            self.peer.anchor = Some(index);
        }
        let nodes = self.view.local.digest(index);
        self.send(Sent { index, hash: false, basis: Basis::Here, stretch: false, passed: None }, nodes);
    }

    fn send(&mut self, sent: Sent, nodes: u64) {
        if self.peer.waiting.is_empty() {
            self.peer.pace.start(self.view.now);
            self.out.wake(self.view.now + self.config.request_timeout);
        }
        self.peer.waiting.push_back(sent);
        let request = Request { index: sent.index, bytes: 0, hash: sent.hash, nodes };
        self.out.send(self.id, FeedMessage::Request(request));
    }
}
