//! What happens in a node, in words.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use quorate_node::event::Event;
use quorate_node::model::{Direction, SaidState};

use crate::text::{self, Paint, clean};

/// Writes an event as a line for people; an event that says nothing new to them has none.
pub(crate) fn line(event: &Event, paint: Paint) -> Option<String> {
    Some(match event {
        Event::Listening { address } => format!("listening on {}", paint.bold(&clean(address))),
        Event::Sharing { stream, link, length, .. } => {
            format!("sharing {} {}, {}", clean(stream), clean(link), text::count(*length, "block"))
        }
        Event::NotReplicated { stream, key } => format!(
            "{}: {}: key {} signed a contradiction, and its user stopped the replication",
            clean(stream),
            paint.yellow("neither fetched nor served"),
            key.short()
        ),
        Event::Connected { peer, direction, wire, .. } => {
            let how = match direction {
                Direction::Incoming => "connected to us",
                Direction::Outgoing => "connected",
            };
            format!("peer {} {how}, {}", clean(peer), text::wire(wire))
        }
        Event::Disconnected { peer, reason } => format!("peer {} left: {}", clean(peer), clean(reason)),
        Event::DialFailed { peer, reason, code } => {
            let what = paint.yellow(&format!("peer {} not reached", clean(peer)));
            format!("{what}: {}  ({})", clean(reason), clean(code))
        }
        Event::Joined { stream, peer } => format!("peer {} carries {}", clean(peer), clean(stream)),
        Event::Left { stream, peer } => format!("peer {} no longer carries {}", clean(peer), clean(stream)),
        Event::Appended { stream, start, length } => {
            let blocks = text::count(length.saturating_sub(*start), "block");
            format!("{}: appended {blocks}, length {length}", clean(stream))
        }
        Event::Recovering { stream, reason, needed } => format!(
            "{}: {}: {}; nothing is appended before {} that carry it have answered",
            clean(stream),
            paint.yellow("recovering"),
            clean(reason),
            text::count(*needed as u64, "peer")
        ),
        Event::Recovered { stream, length, peers } => format!(
            "{}: {}, length {length}: {} have said how long it is",
            clean(stream),
            paint.green("writable again"),
            text::count(*peers as u64, "peer")
        ),
        Event::Downloaded { stream, blocks, bytes, here, length } => format!(
            "{}: downloaded {} ({}), {here} of {length} here",
            clean(stream),
            text::count(*blocks, "block"),
            text::bytes(*bytes)
        ),
        Event::Uploaded { stream, blocks, bytes } => {
            format!("{}: uploaded {} ({})", clean(stream), text::count(*blocks, "block"), text::bytes(*bytes))
        }
        Event::Synced { stream, length } => {
            format!("{}: {}, length {length}", clean(stream), paint.green("all here and verified"))
        }
        Event::Cleared { stream, start, end } => {
            format!("{}: deleted blocks {start} to {}", clean(stream), end.saturating_sub(1))
        }
        Event::Fork { stream, key, peer, ours, theirs, .. } => format!(
            "{} in {}: key {} signed two histories, of length {ours} here and of length {theirs} at {}\n  \
             what is here is kept; usual cause: the same key on two machines, or a restored backup",
            paint.red("FORK"),
            clean(stream),
            key.short(),
            clean(peer)
        ),
        Event::Corrupt { stream, peer, index, reason } => format!(
            "{} in {}: block {index} from {} was never signed: {}",
            paint.red("CORRUPT"),
            clean(stream),
            clean(peer),
            clean(reason)
        ),
        Event::Checked { stream, length, .. } => {
            format!("{}: the rules accept every block, length {length}", clean(stream))
        }
        Event::Committed { stream, length, .. } => {
            format!("{}: {}, length {length}", clean(stream), paint.green("committed"))
        }
        Event::Epoch { stream, epoch, start, same_host: true, .. } => format!(
            "{}: epoch {epoch} begins at block {start}, with {}",
            clean(stream),
            paint.green("other validators")
        ),
        Event::Epoch { stream, epoch, feed, start, same_host: false } => format!(
            "{}: {} of epoch {epoch} goes on at block {start}, in feed {}",
            clean(stream),
            paint.green("the next host"),
            feed.short()
        ),
        Event::Evidence { stream, id, kind, culprit } => format!(
            "{} in {}: key {} signed a contradiction, {}; evidence {} is saved and sent to the peers\n  \
             what is committed stands; usual cause: the same key on two machines, or a restored backup",
            paint.red("EVIDENCE"),
            clean(stream),
            culprit.short(),
            clean(kind),
            id.short()
        ),
        Event::Submission { stream, digest, state } => {
            let state = match state {
                SaidState::Submitted => "submitted, waiting for the host".to_string(),
                SaidState::Appended { index } => format!("appended at {index}"),
                SaidState::Refused { code, reason, place, .. } => {
                    format!("{}  ({}, {})", paint.red(&clean(reason)), clean(code), clean(place))
                }
                SaidState::Expired => paint.yellow("expired, nothing was appended"),
            };
            format!("{}: entry {} {state}", clean(stream), digest.short())
        }
        Event::Refused { stream, index, code, reason } => format!(
            "{} in {}: block {index} is {}  ({})\n  \
             its host broke the rules of the room, which is not followed any further; the block is kept as proof",
            paint.red("REFUSED"),
            clean(stream),
            clean(reason),
            clean(code)
        ),
        Event::Extension { .. } | Event::Voted { .. } => return None,
        Event::StorageFailed { stream, reason } => {
            format!("{} of {}: {}", paint.red("STORAGE FAILED"), clean(stream), clean(reason))
        }
        Event::Lagged { lost } => format!("{} not shown", text::count(*lost, "event")),
    })
}

/// Time after which a peer that came and went is told again.
const REST: Duration = Duration::from_secs(60);

/// Connections of a peer in a short time that are told.
const TOLD: u32 = 3;

/// Peers that are remembered: the address of one that dials is another each time.
const MAX_REMEMBERED: usize = 256;

/// Peers that come and go: what is the same each time is told a few times, and then no more before they have rested.
#[derive(Debug, Default)]
pub(crate) struct Restless(BTreeMap<String, (u32, Instant)>);

impl Restless {
    /// Tells whether an event is one to tell.
    pub(crate) fn tells(&mut self, event: &Event, now: Instant) -> bool {
        let (peer, comes) = match event {
            Event::Connected { peer, .. } => (peer, true),
            Event::Joined { peer, .. } | Event::Left { peer, .. } | Event::Disconnected { peer, .. } => {
                (peer, false)
            }
            _ => return true,
        };
        self.0.retain(|_, (_, last)| now < *last + REST);
        if self.0.len() >= MAX_REMEMBERED && !self.0.contains_key(peer) {
            return true;
        }
        let (times, last) = self.0.entry(peer.clone()).or_insert((0, now));
        if comes {
            (*times, *last) = (times.saturating_add(1), now);
        }
        *times <= TOLD
    }
}

/// Tells whether an event deserves a line where streams and peers are shown anyway.
pub(crate) fn is_notable(event: &Event) -> bool {
    matches!(
        event,
        Event::Fork { .. }
            | Event::Evidence { .. }
            | Event::Corrupt { .. }
            | Event::Refused { .. }
            | Event::Recovering { .. }
            | Event::NotReplicated { .. }
            | Event::Recovered { .. }
            | Event::Submission { .. }
            | Event::StorageFailed { .. }
            | Event::DialFailed { .. }
    )
}

#[cfg(test)]
mod tests {
    use quorate_types::PublicKey;

    use super::*;

    #[test]
    fn nothing_that_a_peer_sent_reaches_a_terminal_as_it_came() {
        let event = Event::Disconnected { peer: "127.0.0.1:1".into(), reason: "\x1b[2Jgone\n".into() };
        assert_eq!(line(&event, Paint::plain()).unwrap(), "peer 127.0.0.1:1 left: \\u{1b}[2Jgone\\n");
    }

    #[test]
    fn a_peer_that_comes_and_goes_is_told_a_few_times() {
        let mut restless = Restless::default();
        let now = Instant::now();
        let came = |peer: &str| Event::Connected {
            peer: peer.into(),
            direction: Direction::Outgoing,
            wire: "B2".into(),
            id: None,
        };
        let told: Vec<bool> = (0..5).map(|_| restless.tells(&came("10.0.0.9:1"), now)).collect();
        assert_eq!(told, [true, true, true, false, false]);
        let left = Event::Disconnected { peer: "10.0.0.9:1".into(), reason: "closed".into() };
        assert!(!restless.tells(&left, now));
        assert!(restless.tells(&came("10.0.0.8:1"), now));
        assert!(restless.tells(&came("10.0.0.9:1"), now + REST));
    }

    #[test]
    fn a_fork_is_told_with_both_lengths() {
        let event = Event::Fork {
            stream: "chess".into(),
            key: PublicKey::new([0x5d; 32]),
            peer: "10.0.0.9:1".into(),
            ours: 6,
            theirs: 7,
            evidence: String::new(),
        };
        let line = line(&event, Paint::plain()).unwrap();
        assert!(line.starts_with(
            "FORK in chess: key 5d5d5d5d signed two histories, of length 6 here and of length 7 at 10.0.0.9:1\n"
        ));
        assert!(is_notable(&event));
    }
}
