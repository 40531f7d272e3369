//! What peers know of a room and this node has not: who fetches a room has all of it when there is nothing more.

use std::time::{Duration, Instant};

use bytes::Bytes;
use quorate_proto::quorate1::{QuorumStatus, kind};
use quorate_quorum::engine::{Engine, Input, Peer as Voter};
use quorate_replicate::Peer;
use quorate_types::BlockRange;

use super::super::task::StreamTask;
use super::log::{Log, Part};
use super::{RoomKeeper, Stopped};

/// Longest time that it is waited for what a quorate peer says of a room, and for evidence that it has.
const HEARING: Duration = Duration::from_secs(5);

impl StreamTask {
    /// Keeps what a peer says of the quorum of the room, for when the room is known: a peer says it as soon as it is met.
    pub(in crate::stream) fn keep_status(&mut self, peer: Peer, payload: &Bytes) {
        if payload.first() == Some(&kind::QUORUM_STATUS)
            && let Some(joined) = self.peers.get_mut(&peer)
        {
            joined.said = Some(payload.clone());
        }
    }

    /// Lets the machine meet the peers that are there already.
    pub(super) fn meet_peers(&self, engine: &mut Engine) {
        let now = self.runtime.now();
        for (peer, joined) in self.peers.iter().filter(|(_, joined)| joined.is_quorate) {
            let peer = Voter(peer.0);
            engine.handle(now, Input::PeerOpened { peer });
            if let Some(payload) = joined.said.clone() {
                engine.handle(now, Input::Message { peer, payload });
            }
        }
    }

    /// Says what connected peers know of the room and is not here; nothing where this node is where they are, or no
    /// validators commit the room. What a peer claims is believed until it is gone: nobody can know better before.
    pub(in crate::stream) fn behind(&self, keeper: &RoomKeeper) -> Option<String> {
        let quorum = keeper.quorum.as_ref()?;
        let engine = &quorum.engine;
        let now = self.runtime.now();
        if let Some(stopped) = &keeper.stopped {
            // A history that does not count is left for the one that does.
            let is_for_good = matches!(stopped, Stopped::Refused(_)) || !keeper.branches.is_contradicted();
            if is_for_good {
                return None;
            }
        }
        self.unheard(engine, now)
            .or_else(|| lacks_epoch(engine, &keeper.log))
            .or_else(|| {
                let why = "the validators voted for another history of a feed than the one that is here";
                keeper.branches.is_contradicted().then(|| why.to_owned())
            })
            .or_else(|| self.lacks_blocks(engine, &keeper.log))
            .or_else(|| lacks_final(engine))
            .or_else(|| {
                let why = "not all that is committed is known to be here";
                quorum.lacks_committed().then(|| why.to_owned())
            })
    }

    /// Finds a peer that has not said where it is in the room, or has evidence that is not here.
    fn unheard(&self, engine: &Engine, now: Instant) -> Option<String> {
        let digest = engine.evidence_digest();
        for (peer, joined) in &self.peers {
            if joined.quorate_since.is_none_or(|since| now >= since + HEARING) {
                continue;
            }
            let status = engine.statuses().find(|(voter, _)| voter.0 == peer.0).map(|(_, status)| status);
            match status {
                None => return Some(format!("{} has not said where it is in the room", joined.address)),
                Some(status) if status.evidence.is_some() && status.evidence != digest => {
                    return Some(format!("{} has other evidence than this node", joined.address));
                }
                Some(_) => {}
            }
        }
        None
    }

    /// Finds blocks of the log that are not here.
    fn lacks_blocks(&self, engine: &Engine, log: &Log) -> Option<String> {
        let number = engine.epoch().number();
        let finals = of_epoch(engine, number).map(|status| status.last_final).max().unwrap_or(0);
        for part in log.parts() {
            // Lengths of its feed.
            let here = self.part_here(part);
            let needed = match (part.end, &part.feed) {
                (Some((_, head)), _) => head.length(),
                (None, Some(other)) => other.view.length().max(other.view.remote()),
                (None, None) => self.feed.length(),
            };
            let is_on = part.epoch == number && part.end.is_none();
            let needed = if is_on { needed.max(finals) } else { needed };
            if here < needed {
                let (feed, epoch) = (part.key.short(), part.epoch);
                return Some(format!("{here} of {needed} blocks of epoch {epoch}, in feed {feed}, are here"));
            }
        }
        None
    }

    /// Length up to which all blocks of a feed are here.
    fn part_here(&self, part: &Part) -> u64 {
        match &part.feed {
            Some(other) => other.view.contiguous(),
            None => {
                let length = self.feed.length();
                self.feed.bitfield().first_missing(BlockRange::new(0, length)).unwrap_or(length)
            }
        }
    }
}

fn of_epoch(engine: &Engine, number: u64) -> impl Iterator<Item = &QuorumStatus> {
    engine.statuses().map(|(_, status)| status).filter(move |status| status.epoch == number)
}

/// Says whether peers are in a later epoch, or the feed of the one that is on is not part of the room yet.
fn lacks_epoch(engine: &Engine, log: &Log) -> Option<String> {
    let epoch = engine.epoch();
    let (number, last) = (epoch.number(), log.last());
    let heard = engine.newest_epoch_heard().unwrap_or(0);
    if heard > number {
        return Some(format!(
            "peers are in epoch {heard} of the room, and it is known here up to epoch {number}"
        ));
    }
    // While an epoch has no feed, nobody knows more.
    let feed = epoch.feed()?;
    (last.key != *feed || last.epoch != number)
        .then(|| format!("the feed of epoch {number}, {}, has not begun here", feed.short()))
}

/// Says whether peers know of more that is committed.
fn lacks_final(engine: &Engine) -> Option<String> {
    let number = engine.epoch().number();
    let own = engine.committed().filter(|committed| committed.epoch == number);
    let own = own.map_or(0, |committed| committed.head().length());
    let heard = of_epoch(engine, number).map(|status| status.last_final).max().unwrap_or(0);
    let says = || format!("{heard} blocks of epoch {number} are committed, and it is known here of {own}");
    (heard > own).then(says)
}
