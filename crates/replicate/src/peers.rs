//! What peers say of themselves: opening, status, what they have, and which windows of it are wanted.

use quorate_proto::dat::{FeedMessage, Have, Status, Unhave, Want};
use quorate_types::limits::{MAX_BITFIELD_BYTES, MAX_FEED_LENGTH, MAX_REMOTE_WINDOWS, WANT_WINDOW_BLOCKS};
use quorate_types::{BlockRange, Wire};

use crate::machine::{View, settle};
use crate::peer::{Basis, PeerState, Reason, Sent};
use crate::remote::{window_of, window_start};
use crate::{Peer, PeerFault, PeerProfile, Replicator};

/// Wants that may be unanswered at once (hypercore 9 `inflightWants`).
const MAX_UNANSWERED_WANTS: usize = 16;

impl Replicator {
    pub(crate) fn peer_opened(&mut self, view: View<'_>, id: Peer, profile: PeerProfile) {
        if self.peers.contains_key(&id) {
            return;
        }
        let mut peer = PeerState::new(profile, view.now, self.config.download);
        // A stock peer says so at once on wire B2, and on wire A only when it ends: a hypercore 7 takes it as the end.
        if profile.wire == Wire::B2 && !(self.config.upload && self.config.download) {
            let status =
                Status { uploading: Some(self.config.upload), downloading: Some(self.config.download) };
            self.out.send(id, FeedMessage::Status(status));
        }
        if let Some(index) = profile.probe {
            peer.suspect = Some(index);
            peer.to_ask.push_back((index, false, Reason::Suspicion));
        }
        self.peers.insert(id, peer);
        self.send_wants(id);
        self.out.wake(view.now + self.config.request_timeout);
        self.fill(view, id);
    }

    pub(crate) fn status(&mut self, view: View<'_>, id: Peer, status: Status) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if let Some(uploading) = status.uploading
            && uploading != peer.remote_uploading
        {
            peer.remote_uploading = uploading;
            if uploading {
                self.send_wants(id);
                self.fill(view, id);
            } else {
                // It answers no want and no request any more.
                peer.remote.close_all();
                self.release(id, |_| true);
                self.drop_unsent(id);
            }
            self.count_sharers();
        }
        if let (Some(downloading), Some(peer)) = (status.downloading, self.peers.get_mut(&id)) {
            // A writer says at once that it does not download. A finite peer says so when it has what it wanted.
            peer.remote_is_done =
                !downloading && (peer.remote_is_done || peer.remote_downloading && peer.remote_wants);
            peer.remote_downloading = downloading;
        }
        self.check_end = true;
        self.check_work = true;
    }

    pub(crate) fn have(&mut self, view: View<'_>, id: Peer, have: Have) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if have.start >= MAX_FEED_LENGTH {
            let fault = PeerFault::OutOfRange { limit: MAX_FEED_LENGTH, found: have.start };
            return self.disconnect(id, fault, None);
        }
        let first_length = peer.remote.length();
        let range =
            BlockRange::new(have.start, have.start.saturating_add(have.length.max(1)).min(MAX_FEED_LENGTH));
        let news = if let Some(bits) = &have.bitfield {
            match peer.remote.load(range.start, range.len(), bits) {
                Ok(seen) => {
                    peer.answered = true;
                    self.check_end = true;
                    seen.map(|(start, end)| BlockRange::new(start, end.min(MAX_FEED_LENGTH)))
                }
                Err(_) => {
                    let fault = PeerFault::BadBitfield { limit: MAX_BITFIELD_BYTES };
                    return self.disconnect(id, fault, None);
                }
            }
        } else {
            let first = peer.remote.set(range.start, range.end, true);
            // Blocks whose window was let go are news that a new want will bring.
            let dropped = range.start < peer.cursor && !peer.remote.is_open(window_of(range.start));
            let first = if dropped { Some(range.start) } else { first };
            first.map(|first| BlockRange::new(first, range.end))
        };
        if let Some(news) = news {
            peer.cursor = peer.cursor.min(news.start);
            peer.pool_seen = self.work.pool_version.wrapping_sub(1);
        }
        let end = if have.bitfield.is_some() { news.map_or(0, |news| news.end) } else { range.end };
        let grew = peer.remote.extend_to(end);
        if grew {
            self.news.lengths.insert(id);
            self.check_end = true;
            if first_length == 0 {
                self.count_sharers();
            }
        }
        self.probe_head(id);
        if grew || have.bitfield.is_some() {
            self.send_wants(id);
        }
        let useful = news.is_some_and(|news| view.local.first_missing(news).is_some());
        if useful || have.bitfield.is_some() {
            self.check_end = true;
            self.fill(view, id);
        } else if grew {
            self.fill(view, id);
        }
    }

    pub(crate) fn unhave(&mut self, view: View<'_>, id: Peer, unhave: Unhave) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let range = BlockRange::new(unhave.start, unhave.start.saturating_add(unhave.length.max(1)));
        peer.remote.set(range.start, range.end, false);
        // What it was asked for and has no more, it will not answer.
        self.release(id, |sent| range.contains(sent.index));
        self.fill(view, id);
        self.check_end = true;
    }

    /// Takes requests back that match; others, or later the same peer, are asked for their blocks.
    pub(crate) fn release(&mut self, id: Peer, matches: impl Fn(&Sent) -> bool) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if !peer.waiting.iter().any(&matches) {
            return;
        }
        let (released, kept): (Vec<_>, Vec<_>) = peer.waiting.drain(..).partition(|sent| matches(sent));
        peer.waiting.extend(kept);
        for sent in released {
            settle(&mut self.work, id, peer, sent);
            peer.let_pass(sent.index);
            if sent.basis == Basis::Nothing(Reason::Suspicion) {
                peer.suspect = None;
            }
            if !sent.hash {
                self.work.reopen(sent.index);
            }
        }
        peer.break_run();
        self.check_work = true;
    }

    /// Wants the windows that hold what is to be fetched, as far as they exist and there is room for their bits.
    pub(crate) fn send_wants(&mut self, id: Peer) {
        let Self { peers, work, config, out, .. } = self;
        let Some(peer) = peers.get_mut(&id) else { return };
        if !(config.download || config.probe_heads) || !peer.remote_uploading {
            return;
        }
        // The first window is always of use: with its answer the peer tells how long its feed is.
        let mut wanted = Vec::new();
        if !peer.answered {
            wanted.push(0);
        }
        if peer.downloading {
            let length = peer.remote.length();
            let urgent = work.urgent.iter().take_while(|&&index| index < length).take(64);
            wanted.extend(urgent.map(|&index| window_of(index)));
            let mut from = peer.cursor;
            while wanted.len() < 2 * MAX_REMOTE_WINDOWS + 64
                && let Some((start, end)) = work.next_selected(from).filter(|&(start, _)| start < length)
            {
                let last = window_of(end.min(length).saturating_sub(1));
                let first = window_of(start);
                wanted.extend(first..=last.min(first.saturating_add(MAX_REMOTE_WINDOWS as u64)));
                from = end;
            }
        }
        let lowest = window_of(peer.cursor);
        let mut room = MAX_UNANSWERED_WANTS.saturating_sub(peer.remote.unanswered());
        let mut kept = 0;
        for window in wanted {
            if peer.remote.is_open(window) {
                kept += 1;
                continue;
            }
            if room == 0 || kept >= MAX_REMOTE_WINDOWS {
                return;
            }
            if peer.remote.open_count() >= MAX_REMOTE_WINDOWS {
                let in_use = |window: u64| {
                    work.urgent.range(window_start(window)..window_start(window + 1)).next().is_some()
                };
                let below = peer.remote.open_windows().find(|&open| open < lowest && !in_use(open));
                let above = || peer.remote.open_windows().rev().find(|&open| open > window && !in_use(open));
                let Some(spare) = below.or_else(above) else { return };
                peer.remote.close(spare);
            }
            peer.remote.open(window);
            let want = Want { start: window_start(window), length: Some(WANT_WINDOW_BLOCKS) };
            out.send(id, FeedMessage::Want(want));
            kept += 1;
            room -= 1;
        }
    }
}
