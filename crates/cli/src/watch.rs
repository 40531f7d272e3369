//! What the events of a clone come to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use quorate_node::event::Event;
use quorate_node::{Code, Failure};

use crate::text;

/// What an event means for the clone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing.
    Nothing,
    /// A peer is there.
    Alive,
    /// Blocks came.
    Progress {
        /// Blocks that are here.
        here: u64,
        /// Length of the feed.
        length: u64,
    },
    /// All that was asked for is here.
    Done,
    /// There is no use in waiting.
    Failed(Failure),
}

/// Watches the events of one stream that is being cloned.
pub(crate) struct Watch {
    stream: String,
    /// Peers that were named, and why they were not reached.
    named: BTreeMap<String, Option<Failure>>,
    connected: BTreeSet<String>,
    joined: BTreeSet<String>,
    /// The last thing that went wrong.
    last: Option<Failure>,
}

impl Watch {
    /// Watches a stream that is fetched from these peers, and from those that the node remembers.
    pub(crate) fn new(stream: &str, peers: &[String]) -> Self {
        Self {
            stream: stream.to_string(),
            named: peers.iter().map(|peer| (peer.clone(), None)).collect(),
            connected: BTreeSet::new(),
            joined: BTreeSet::new(),
            last: None,
        }
    }

    /// Takes one event.
    pub(crate) fn take(&mut self, event: &Event) -> Verdict {
        match event {
            Event::Connected { peer, .. } => {
                self.connected.insert(peer.clone());
                Verdict::Alive
            }
            Event::Joined { stream, peer } if *stream == self.stream => {
                self.joined.insert(peer.clone());
                Verdict::Alive
            }
            Event::Left { stream, peer } if *stream == self.stream => {
                self.joined.remove(peer);
                Verdict::Nothing
            }
            Event::Downloaded { stream, here, length, .. } if *stream == self.stream => {
                Verdict::Progress { here: *here, length: *length }
            }
            Event::Synced { stream, .. } if *stream == self.stream => Verdict::Done,
            Event::Disconnected { peer, reason } => self.disconnected(peer, reason),
            Event::DialFailed { peer, reason, code } => self.not_reached(peer, reason, code),
            Event::Fork { stream, key, peer, ours, theirs, .. } if *stream == self.stream => {
                Verdict::Failed(fork(stream, &key.short(), peer, *ours, *theirs))
            }
            Event::Refused { stream, index, code, reason } if *stream == self.stream => {
                Verdict::Failed(broke_rules(stream, *index, code, reason))
            }
            Event::Corrupt { stream, peer, index, reason } if *stream == self.stream => {
                self.corrupt(peer, *index, reason)
            }
            Event::StorageFailed { stream, reason } if *stream == self.stream => Verdict::Failed(
                Failure::new(Code::Io, format!("storing {stream}: {reason}"))
                    .next("free space or repair the disk, then repeat the command: it resumes"),
            ),
            _ => Verdict::Nothing,
        }
    }

    /// Says why nothing came for so long.
    pub(crate) fn timed_out(&self, timeout: Duration) -> Failure {
        if let Some(failure) = &self.last {
            return failure.clone();
        }
        let silence = text::duration(timeout);
        if self.connected.is_empty() && self.named.is_empty() {
            Failure::new(
                Code::NoPeers,
                "expected a peer to fetch from, found none: none was named, is remembered or was found",
            )
            .next(
                "name one: --peer HOST:PORT; on the same network, see whether it runs: quorate share STREAM",
            )
        } else if !self.joined.is_empty() {
            Failure::new(
                Code::TimedOut,
                format!("expected blocks of {}, found none for {silence}", self.stream),
            )
            .next("repeat the command: it resumes; --timeout SECONDS waits longer")
        } else if self.connected.is_empty() {
            Failure::new(Code::TimedOut, format!("expected an answer of a peer, found none for {silence}"))
                .next("check the address; --timeout SECONDS waits longer")
        } else {
            Failure::new(
                Code::NotCarried,
                format!("expected a peer that carries {}, found none among those connected", self.stream),
            )
            .next("check the link; on the other side: quorate share STREAM")
        }
    }

    fn disconnected(&mut self, peer: &str, reason: &str) -> Verdict {
        self.connected.remove(peer);
        self.joined.remove(peer);
        match &self.last {
            // A liar is not asked again; with nobody else there is nothing to wait for.
            Some(failure) if failure.code == Code::CorruptPeer && self.connected.is_empty() => {
                Verdict::Failed(failure.clone())
            }
            Some(failure) if failure.code == Code::CorruptPeer => Verdict::Nothing,
            _ => {
                self.last = Some(
                    Failure::new(Code::TimedOut, format!("peer {peer} left before all was here: {reason}"))
                        .next("repeat the command: it resumes"),
                );
                Verdict::Nothing
            }
        }
    }

    fn not_reached(&mut self, peer: &str, reason: &str, code: &str) -> Verdict {
        let code = Code::parse(code).unwrap_or(Code::PeerUnreachable);
        let next = match code {
            Code::OtherWire => "ask the other side for hypercore 7 or 9, or quorate; quorate explain E4003",
            Code::Denied => "ask the owner to allow the key that quorate key ls prints",
            Code::OwnKey => "quorate explain E4009",
            _ => "check the address, and that the other side runs: quorate share prints its port",
        };
        let failure = Failure::new(code, format!("expected {peer} to answer, found: {reason}")).next(next);
        if let Some(named) = self.named.get_mut(peer) {
            *named = Some(failure.clone());
        }
        let all_failed = !self.named.is_empty() && self.named.values().all(Option::is_some);
        if all_failed && self.connected.is_empty() {
            return Verdict::Failed(failure);
        }
        Verdict::Nothing
    }

    fn corrupt(&mut self, peer: &str, index: u64, reason: &str) -> Verdict {
        let failure = Failure::new(
            Code::CorruptPeer,
            format!(
                "expected block {index} of {} as its writer signed it, found something else at {peer}: {reason}",
                self.stream
            ),
        )
        .next("fetch from another peer: --peer HOST:PORT; what is here is verified, and the command resumes");
        self.last = Some(failure.clone());
        let others = self.connected.iter().any(|other| other != peer);
        if others { Verdict::Nothing } else { Verdict::Failed(failure) }
    }
}

fn broke_rules(stream: &str, index: u64, code: &str, reason: &str) -> Failure {
    let message = format!(
        "expected a room that follows its own rules, found block {index} {reason} ({code}); the block is kept as proof, \
         and the room is followed no further"
    );
    let next = format!("quorate log {0} --start {index}\nquorate info {0}", text::shell(stream));
    Failure::new(Code::HostBrokeRules, message).next(next)
}

fn fork(stream: &str, key: &str, peer: &str, ours: u64, theirs: u64) -> Failure {
    Failure::new(
        Code::ForkFound,
        format!(
            "expected one history of {stream}, found two signed by key {key}: length {ours} here, length {theirs} \
             at {peer}; what is here is kept"
        ),
    )
    .next("quorate explain E5001")
}

#[cfg(test)]
mod tests {
    use quorate_node::FailureKind;
    use quorate_node::model::Direction;
    use quorate_types::PublicKey;

    use super::*;

    const PEER: &str = "127.0.0.1:9";

    fn watch() -> Watch {
        Watch::new("chess", &[PEER.to_string()])
    }

    fn connected(peer: &str) -> Event {
        Event::Connected { peer: peer.into(), direction: Direction::Outgoing, wire: "B2".into(), id: None }
    }

    fn dial_failed(code: &str) -> Event {
        Event::DialFailed { peer: PEER.into(), reason: "refused".into(), code: code.into() }
    }

    fn corrupt() -> Event {
        Event::Corrupt { stream: "chess".into(), peer: PEER.into(), index: 4, reason: "wrong hash".into() }
    }

    fn kind(verdict: Verdict) -> FailureKind {
        match verdict {
            Verdict::Failed(failure) => failure.kind(),
            other => panic!("{other:?} is no failure"),
        }
    }

    #[test]
    fn a_host_that_breaks_its_rules_ends_the_clone() {
        let mut watch = Watch::new("chess", &[]);
        let refused = |stream: &str| Event::Refused {
            stream: stream.into(),
            index: 7,
            code: "E3101".into(),
            reason: "refused by rule chess: it is black's turn".into(),
        };
        assert_eq!(watch.take(&refused("other")), Verdict::Nothing);
        let Verdict::Failed(failure) = watch.take(&refused("chess")) else { panic!("the clone goes on") };
        assert_eq!(failure.code, Code::HostBrokeRules);
        assert!(failure.message.contains("block 7 refused by rule chess: it is black's turn (E3101)"));
    }

    #[test]
    fn the_end_is_all_here_and_of_this_stream() {
        let mut watch = watch();
        assert_eq!(watch.take(&connected(PEER)), Verdict::Alive);
        let synced = |stream: &str| Event::Synced { stream: stream.into(), length: 3 };
        assert_eq!(watch.take(&synced("other")), Verdict::Nothing);
        let came = Event::Downloaded { stream: "chess".into(), blocks: 1, bytes: 1, here: 2, length: 3 };
        assert_eq!(watch.take(&came), Verdict::Progress { here: 2, length: 3 });
        assert_eq!(watch.take(&synced("chess")), Verdict::Done);
    }

    #[test]
    fn a_peer_that_is_not_reached_has_the_kind_of_its_reason() {
        assert_eq!(kind(watch().take(&dial_failed("E4002"))), FailureKind::NoPeers);
        assert_eq!(kind(watch().take(&dial_failed("E4003"))), FailureKind::OtherWire);
        let mut two = Watch::new("chess", &[PEER.to_string(), "10.0.0.1:1".to_string()]);
        assert_eq!(two.take(&dial_failed("E4002")), Verdict::Nothing);
    }

    #[test]
    fn corruption_is_final_only_without_another_peer() {
        let mut alone = watch();
        alone.take(&connected(PEER));
        assert_eq!(kind(alone.take(&corrupt())), FailureKind::Other);
        let mut two = watch();
        two.take(&connected(PEER));
        two.take(&connected("10.0.0.1:1"));
        assert_eq!(two.take(&corrupt()), Verdict::Nothing);
        assert_eq!(two.timed_out(Duration::from_secs(1)).code, Code::CorruptPeer);
        let left = |peer: &str| Event::Disconnected { peer: peer.into(), reason: "closed".into() };
        assert_eq!(two.take(&left(PEER)), Verdict::Nothing);
        assert_eq!(kind(two.take(&left("10.0.0.1:1"))), FailureKind::Other);
    }

    #[test]
    fn a_fork_is_final() {
        let event = Event::Fork {
            stream: "chess".into(),
            key: PublicKey::new([1; 32]),
            peer: PEER.into(),
            ours: 5,
            theirs: 6,
            evidence: String::new(),
        };
        assert_eq!(kind(watch().take(&event)), FailureKind::Fork);
    }

    #[test]
    fn silence_is_told_by_how_far_it_came() {
        let second = Duration::from_secs(1);
        assert_eq!(Watch::new("chess", &[]).timed_out(second).code, Code::NoPeers);
        let mut watch = watch();
        assert_eq!(watch.timed_out(second).code, Code::TimedOut);
        watch.take(&connected(PEER));
        assert_eq!(watch.timed_out(second).code, Code::NotCarried);
        watch.take(&Event::Joined { stream: "chess".into(), peer: PEER.into() });
        assert_eq!(watch.timed_out(second).code, Code::TimedOut);
        watch.take(&Event::Disconnected { peer: PEER.into(), reason: "reset".into() });
        let failure = watch.timed_out(second);
        assert_eq!(failure.code, Code::TimedOut);
        assert!(failure.message.contains("reset"), "{failure}");
    }
}
