//! What peers are told and served.

use std::time::Duration;

use bytes::Bytes;
use quorate_proto::dat::{Cancel, FeedMessage, Have, Request, Unhave, Want};
use quorate_types::BlockRange;
use quorate_types::limits::{MAX_QUEUED_REQUESTS, WANT_ALIGNMENT_BLOCKS, WANT_WINDOW_BLOCKS};

use crate::digest::leaf;
use crate::gate::{cut, shown};
use crate::machine::View;
use crate::{Output, Peer, PeerFault, ReplicationEvent, Replicator};

/// Blocks of peers are announced when so many wait, or the first has waited so long.
const FRESH_BLOCKS: usize = 64;
const FRESH_DELAY: Duration = Duration::from_millis(10);

/// Longest range in one announcement. A stock peer takes one of exactly a want window as the answer to a want.
const MAX_HAVE_BLOCKS: u64 = WANT_WINDOW_BLOCKS / 2;

impl Replicator {
    pub(crate) fn want(&mut self, view: View<'_>, id: Peer, want: Want) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        // Clients before hypercore 6.9 name no length and mean everything.
        let length = want.length.unwrap_or(0);
        let is_aligned =
            [want.start, length].into_iter().all(|number| number.is_multiple_of(WANT_ALIGNMENT_BLOCKS));
        if !self.config.upload || !is_aligned {
            return;
        }
        let local = view.local;
        let shown = shown(self.gate, peer);
        if !peer.remote_wants {
            peer.remote_wants = true;
            self.news.listeners += 1;
            let end = local.length().min(shown);
            if let Some(last) = end.checked_sub(1).filter(|&last| local.has(last)) {
                self.out.send(id, FeedMessage::Have(Have::range(last, 1)));
            }
        }
        let length = if length == 0 { WANT_WINDOW_BLOCKS } else { length.min(WANT_WINDOW_BLOCKS) };
        let bits = match shown.saturating_sub(want.start).min(length) {
            0 => Vec::new(),
            seen => local.compress(want.start, seen),
        };
        let bitfield = Some(Bytes::from(bits));
        self.out.send(id, FeedMessage::Have(Have { start: want.start, length, bitfield, ack: false }));
    }

    pub(crate) fn unwant(&mut self, id: Peer, want: Want) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let is_everything = want.start == 0 && want.length.is_none();
        if is_everything && peer.remote_wants {
            peer.remote_wants = false;
            self.news.listeners = self.news.listeners.saturating_sub(1);
        }
    }

    pub(crate) fn request(&mut self, view: View<'_>, id: Peer, request: Request) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if !self.config.upload {
            return;
        }
        let is_here = if request.bytes != 0 {
            // Which block a byte is in is looked up when it is answered.
            true
        } else if request.index >= shown(self.gate, peer) {
            false
        } else if request.hash {
            view.local.has_node(leaf(request.index))
        } else {
            view.local.has(request.index)
        };
        if !is_here {
            self.out.send(id, FeedMessage::Unhave(Unhave { start: request.index, length: 1 }));
            return;
        }
        if peer.queue.len() >= MAX_QUEUED_REQUESTS {
            let fault = PeerFault::TooManyRequests { limit: MAX_QUEUED_REQUESTS };
            return self.disconnect(id, fault, None);
        }
        if peer.queue.is_empty() {
            self.out.push(Output::Serve { peer: id });
        }
        peer.queue.push_back(request);
    }

    pub(crate) fn cancel(&mut self, id: Peer, cancel: Cancel) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let Cancel { index, bytes, hash } = cancel;
        let matches =
            |waiting: &Request| (waiting.index, waiting.bytes, waiting.hash) == (index, bytes, hash);
        if let Some(at) = peer.queue.iter().position(matches) {
            peer.queue.remove(at);
        }
    }

    pub(crate) fn appended(&mut self, range: BlockRange) {
        if range.is_empty() {
            return;
        }
        match self.news.appended.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.news.appended.push(range),
        }
        self.check_end = true;
        self.check_work = true;
    }

    pub(crate) fn cleared(&mut self, range: BlockRange) {
        if range.is_empty() {
            return;
        }
        self.work.excluded.insert(range);
        self.announce_news_now();
        for (&id, peer) in self.peers.iter().filter(|(_, peer)| peer.remote_wants) {
            let range = cut(range, shown(self.gate, peer));
            if !range.is_empty() {
                let unhave = Unhave { start: range.start, length: range.len() };
                self.out.send(id, FeedMessage::Unhave(unhave));
            }
        }
    }

    /// Notes a block that came from a peer and is to be announced to the others.
    pub(crate) fn add_fresh(&mut self, view: View<'_>, from: Peer, index: u64) {
        if self.news.listeners == 0 {
            return;
        }
        let Some(peer) = self.peers.get_mut(&from) else {
            self.news.appended.push(BlockRange::new(index, index.saturating_add(1)));
            return;
        };
        if self.news.listeners == 1 && peer.remote_wants {
            return;
        }
        peer.add_fresh(index);
        self.news.fresh += 1;
        if self.news.fresh_since.is_none() {
            self.news.fresh_since = Some(view.now);
            self.out.wake(view.now + FRESH_DELAY);
        }
    }

    /// Lets waiting announcements go when their time has come.
    pub(crate) fn check_fresh(&mut self, view: View<'_>) {
        match self.news.fresh_since {
            Some(since) if view.now < since + FRESH_DELAY => self.out.wake(since + FRESH_DELAY),
            Some(_) => self.announce_fresh(),
            None => {}
        }
    }

    pub(crate) fn announce_news(&mut self) {
        while let Some(id) = self.news.lengths.pop_first() {
            if let Some(peer) = self.peers.get(&id) {
                let length = peer.remote.length();
                self.out.event(ReplicationEvent::RemoteLength { peer: id, length });
            }
        }
        self.announce_appended();
        if self.news.fresh >= FRESH_BLOCKS {
            self.announce_fresh();
        }
    }

    pub(crate) fn announce_news_now(&mut self) {
        self.announce_appended();
        self.announce_fresh();
    }

    fn announce_appended(&mut self) {
        let ranges = std::mem::take(&mut self.news.appended);
        if ranges.is_empty() {
            return;
        }
        for (&id, peer) in self.peers.iter().filter(|(_, peer)| peer.remote_wants) {
            let shown = shown(self.gate, peer);
            for &range in &ranges {
                announce(&mut self.out, id, cut(range, shown));
            }
        }
    }

    pub(crate) fn announce_fresh(&mut self) {
        self.news.fresh = 0;
        if self.news.fresh_since.take().is_none() {
            return;
        }
        let fresh: Vec<(Peer, Vec<BlockRange>)> = self
            .peers
            .iter_mut()
            .filter(|(_, peer)| !peer.fresh.is_empty())
            .map(|(&from, peer)| (from, std::mem::take(&mut peer.fresh)))
            .collect();
        for (&id, peer) in self.peers.iter().filter(|(_, peer)| peer.remote_wants) {
            let shown = shown(self.gate, peer);
            for range in fresh.iter().filter(|(from, _)| *from != id).flat_map(|(_, ranges)| ranges) {
                announce(&mut self.out, id, cut(*range, shown));
            }
        }
    }
}

pub(crate) fn announce(out: &mut crate::machine::Outbox, id: Peer, range: BlockRange) {
    let mut start = range.start;
    while start < range.end {
        let length = (range.end - start).min(MAX_HAVE_BLOCKS);
        out.send(id, FeedMessage::Have(Have::range(start, length)));
        start += length;
    }
}
