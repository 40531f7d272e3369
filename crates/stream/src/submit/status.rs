//! What nodes tell each other about themselves: how much they have, and how far the host is.

use std::collections::BTreeMap;
use std::time::Instant;

use quorate_proto::quorate1::{MAX_DISTANCE, Message, Status};
use quorate_types::Hash;

use super::Peer;
use super::limits::{MAX_TARGETS, NEAREST, STATUS_CHANGE, STATUS_PERIOD};
use super::relay::{Relay, Remote};

/// When this node announces itself.
#[derive(Debug, Default)]
pub(super) struct Announcements {
    length: u64,
    tree_hash: Option<Hash>,
    last: Option<Instant>,
    changed: bool,
}

impl Announcements {
    /// Notes what is here.
    pub(super) fn head(&mut self, length: u64, tree_hash: Hash) {
        let tree_hash = Some(tree_hash).filter(|_| length > 0);
        self.changed |= (self.length, self.tree_hash) != (length, tree_hash);
        (self.length, self.tree_hash) = (length, tree_hash);
    }

    /// Returns when the next announcement is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.last.map(|last| last + if self.changed { STATUS_CHANGE } else { STATUS_PERIOD })
    }
}

impl Relay {
    /// Tells a peer that is new.
    pub(super) fn greet(&mut self, now: Instant, peer: Peer) {
        self.announcements.last.get_or_insert(now);
        let status = Message::Status(self.status_for(peer));
        self.send(peer, &status);
    }

    /// Tells every peer, when it is time.
    pub(super) fn announce(&mut self, now: Instant) {
        if self.peers.is_empty() || self.announcements.due().is_none_or(|due| due > now) {
            return;
        }
        self.announcements.last = Some(now);
        self.announcements.changed = false;
        let peers: Vec<Peer> = self.peers.keys().copied().collect();
        for peer in peers {
            let status = Message::Status(self.status_for(peer));
            self.send(peer, &status);
        }
    }

    /// Takes a peer's announcement.
    pub(super) fn status(&mut self, peer: Peer, status: Status) {
        let Some(remote) = self.peers.get_mut(&peer) else { return };
        if remote.status == Some(status) {
            return;
        }
        let before = remote.status.replace(status).map_or(0, |status| status.distance);
        self.announcements.changed |= before != status.distance;
        self.out.push_back(super::Output::PeerStatus { peer, status });
    }

    /// Notes that what peers know of the way to the host may have changed.
    pub(super) fn distances_changed(&mut self) {
        self.announcements.changed = true;
    }

    /// Says to a peer what is here; a way to the host that leads through that peer is none.
    fn status_for(&self, peer: Peer) -> Status {
        let others = self.peers.iter().filter(|(other, _)| **other != peer);
        let nearest = others.map(|(_, remote)| remote.distance()).filter(|distance| *distance > 0).min();
        let distance = match nearest {
            _ if self.host.is_some() => 1,
            Some(distance) if distance < MAX_DISTANCE => distance.saturating_add(1),
            _ => 0,
        };
        Status { length: self.announcements.length, tree_hash: self.announcements.tree_hash, distance }
    }

    /// Chooses to whom an entry goes: at first those nearest to the host, `wide` everyone.
    pub(super) fn targets(&self, without: &[Peer], wide: bool) -> Vec<Peer> {
        targets(&self.peers, without, wide)
    }
}

fn targets(peers: &BTreeMap<Peer, Remote>, without: &[Peer], wide: bool) -> Vec<Peer> {
    let far = MAX_DISTANCE.saturating_add(1);
    let distance = |remote: &Remote| Some(remote.distance()).filter(|known| *known > 0).unwrap_or(far);
    let mut targets: Vec<(u32, Peer)> = peers
        .iter()
        .filter(|(peer, _)| !without.contains(peer))
        .map(|(peer, remote)| (distance(remote), *peer))
        .collect();
    targets.sort_unstable();
    let nearest = targets.first().map_or(far, |(distance, _)| *distance);
    if !wide && nearest < far {
        targets.retain(|(distance, _)| *distance == nearest);
        targets.truncate(NEAREST);
    }
    targets.truncate(MAX_TARGETS);
    targets.into_iter().map(|(_, peer)| peer).collect()
}
