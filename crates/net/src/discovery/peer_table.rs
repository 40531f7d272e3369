//! Who was found, and who of them is dialled when.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use quorate_types::limits::{MAX_DIALS, MAX_FOUND_PEERS, MAX_FOUND_PEERS_PER_HOST, MAX_TOPICS_PER_PEER};

use super::Topic;
use crate::dial::{Backoff, GOOD_AFTER};

/// Failures in a row after which an address is only tried again when it is heard of again.
const PATIENT_FAILURES: u32 = 4;

/// Time after which a peer that is connected on another connection is looked at again.
const ELSEWHERE_FOR: Duration = Duration::from_secs(30);

/// Time after the end of a dial, however it ended, before which a peer is not dialled again because it says itself that it
/// is there.
const SPOKE_AGAIN: Duration = Duration::from_secs(2);

/// Dials that are kept for peers that spoke for themselves: who names many strangers does not keep them waiting.
const FOR_THEMSELVES: usize = 4;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableInput {
    /// A peer is said to carry a feed.
    Found {
        /// The feed.
        topic: Topic,
        /// Where it listens.
        address: SocketAddr,
        /// It says so itself, from that address: it has come back, and what failed before does not count.
        itself: bool,
    },
    /// A feed is no longer looked for.
    Leave(Topic),
    /// A dialled connection passed its handshake.
    Connected(SocketAddr),
    /// A dial has come to its end. `random` is any number: it keeps nodes from dialling in step.
    Ended {
        /// Who was dialled.
        address: SocketAddr,
        /// How it ended.
        end: DialEnd,
        /// Any number.
        random: u32,
    },
    /// It is the time of [`PeerTable::poll_timeout`].
    Timeout,
}

/// How a dial ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialEnd {
    /// Nobody was reached, or the connection was lost.
    Lost,
    /// The peer is this very node: the address is never dialled again.
    Ourselves,
    /// Another connection with the same peer is kept.
    Elsewhere,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableOutput {
    /// Dial an address for these feeds; [`TableInput::Ended`] follows.
    Dial {
        /// Where.
        address: SocketAddr,
        /// Feeds that it is said to carry.
        topics: Vec<Topic>,
    },
    /// A connected peer is said to carry one more feed.
    Offer {
        /// Who.
        address: SocketAddr,
        /// The feed.
        topic: Topic,
    },
}

/// Remembers peers that were found, with a bound, and says who is dialled.
#[derive(Debug, Default)]
pub struct PeerTable {
    peers: BTreeMap<SocketAddr, Entry>,
    ourselves: BTreeSet<SocketAddr>,
    out: VecDeque<TableOutput>,
}

#[derive(Debug)]
struct Entry {
    topics: BTreeSet<Topic>,
    state: State,
    backoff: Backoff,
    failures: u32,
    /// It was heard of since the last dial.
    fresh: bool,
    heard: Instant,
    /// It has said so itself.
    itself: bool,
    /// When the last dial came to its end.
    ended: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle { not_before: Instant },
    Dialling,
    Connected { since: Instant },
}

impl PeerTable {
    /// Begins with nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Instant, input: TableInput) {
        match input {
            TableInput::Found { topic, address, itself } => self.found(now, topic, address, itself),
            TableInput::Leave(topic) => self.leave(&topic),
            TableInput::Connected(address) => {
                if let Some(entry) = self.peers.get_mut(&address) {
                    entry.state = State::Connected { since: now };
                }
            }
            TableInput::Ended { address, end, random } => self.ended(now, address, end, random),
            TableInput::Timeout => {}
        }
        self.dial(now);
    }

    /// Returns the next thing to do.
    pub fn poll_output(&mut self) -> Option<TableOutput> {
        self.out.pop_front()
    }

    /// Returns when [`TableInput::Timeout`] is due; `None` when nothing is.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let free = MAX_DIALS.saturating_sub(self.dialling());
        self.peers.values().filter(|entry| may_dial(free, entry.itself)).filter_map(Entry::due).min()
    }

    /// Counts the addresses that are known.
    pub fn known(&self) -> usize {
        self.peers.len()
    }

    /// Counts the connections that came of it.
    pub fn connected(&self) -> usize {
        self.peers.values().filter(|entry| matches!(entry.state, State::Connected { .. })).count()
    }

    fn dialling(&self) -> usize {
        self.peers.values().filter(|entry| entry.state == State::Dialling).count()
    }

    fn found(&mut self, now: Instant, topic: Topic, address: SocketAddr, itself: bool) {
        if self.ourselves.contains(&address) || address.port() == 0 {
            return;
        }
        if !self.peers.contains_key(&address) && !self.make_room(address.ip(), itself) {
            return;
        }
        let entry = self.peers.entry(address).or_insert_with(|| Entry {
            topics: BTreeSet::new(),
            state: State::Idle { not_before: now },
            backoff: Backoff::default(),
            failures: 0,
            fresh: true,
            heard: now,
            itself,
            ended: None,
        });
        entry.fresh = true;
        entry.heard = now;
        entry.itself |= itself;
        if itself && let State::Idle { not_before } = &mut entry.state {
            *not_before = (*not_before).min(entry.ended.map_or(now, |ended| ended + SPOKE_AGAIN));
        }
        if entry.topics.len() < MAX_TOPICS_PER_PEER
            && entry.topics.insert(topic)
            && matches!(entry.state, State::Connected { .. })
        {
            self.out.push_back(TableOutput::Offer { address, topic });
        }
    }

    fn leave(&mut self, topic: &Topic) {
        self.peers.retain(|_, entry| {
            entry.topics.remove(topic);
            !entry.topics.is_empty() || !matches!(entry.state, State::Idle { .. })
        });
    }

    fn ended(&mut self, now: Instant, address: SocketAddr, end: DialEnd, random: u32) {
        let Some(entry) = self.peers.get_mut(&address) else { return };
        let lasted = match entry.state {
            State::Connected { since } => now.saturating_duration_since(since),
            State::Idle { .. } | State::Dialling => Duration::ZERO,
        };
        match end {
            DialEnd::Ourselves => {
                self.peers.remove(&address);
                if self.ourselves.len() < MAX_FOUND_PEERS {
                    self.ourselves.insert(address);
                }
                return;
            }
            DialEnd::Elsewhere => entry.state = State::Idle { not_before: now + ELSEWHERE_FOR },
            DialEnd::Lost => {
                if lasted >= GOOD_AFTER {
                    entry.backoff.reset();
                    entry.failures = 0;
                }
                entry.failures = entry.failures.saturating_add(1);
                entry.state = State::Idle { not_before: now + entry.backoff.next_delay(random) };
            }
        }
        entry.ended = Some(now);
        if entry.topics.is_empty() {
            self.peers.remove(&address);
        }
    }

    /// Dials whoever it is time for: those that spoke for themselves first, then those that were heard of last.
    fn dial(&mut self, now: Instant) {
        let mut free = MAX_DIALS.saturating_sub(self.dialling());
        let mut due: Vec<(bool, Instant, SocketAddr)> = self
            .peers
            .iter()
            .filter(|(_, entry)| entry.due().is_some_and(|at| at <= now))
            .map(|(address, entry)| (entry.itself, entry.heard, *address))
            .collect();
        due.sort_by_key(|(itself, heard, address)| (Reverse(*itself), Reverse(*heard), *address));
        for (itself, _, address) in due {
            if !may_dial(free, itself) {
                return;
            }
            free -= 1;
            if let Some(entry) = self.peers.get_mut(&address) {
                entry.state = State::Dialling;
                entry.fresh = false;
                let topics = entry.topics.iter().copied().collect();
                self.out.push_back(TableOutput::Dial { address, topics });
            }
        }
    }

    /// Makes room for one more address of a host: somebody idle goes, the one with most failures first, then the one
    /// that was heard of longest ago. One that speaks for itself takes the place of one that others spoke of.
    fn make_room(&mut self, ip: IpAddr, itself: bool) -> bool {
        let of_host = self.peers.keys().filter(|address| address.ip() == ip).count();
        let crowded = of_host >= MAX_FOUND_PEERS_PER_HOST;
        if !crowded && self.peers.len() < MAX_FOUND_PEERS {
            return true;
        }
        let victim = self
            .peers
            .iter()
            .filter(|(address, _)| !crowded || address.ip() == ip)
            .filter(|(_, entry)| matches!(entry.state, State::Idle { .. }))
            .filter(|(_, entry)| entry.failures > 0 || itself && !entry.itself)
            .max_by_key(|(_, entry)| (entry.failures, Reverse(entry.heard)))
            .map(|(address, _)| *address);
        match victim {
            Some(victim) => self.peers.remove(&victim).is_some(),
            None => false,
        }
    }
}

/// Tells whether one more is dialled while so many dials are free.
const fn may_dial(free: usize, itself: bool) -> bool {
    free > if itself { 0 } else { FOR_THEMSELVES }
}

impl Entry {
    /// When it is to be dialled.
    fn due(&self) -> Option<Instant> {
        match self.state {
            State::Idle { not_before } if self.fresh || self.failures < PATIENT_FAILURES => Some(not_before),
            State::Idle { .. } | State::Dialling | State::Connected { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn topic(number: u8) -> Topic {
        Topic::new([number; 20])
    }

    fn address(host: u8, port: u16) -> SocketAddr {
        ([10, 0, 0, host], port).into()
    }

    fn dials(table: &mut PeerTable) -> Vec<SocketAddr> {
        std::iter::from_fn(|| table.poll_output())
            .filter_map(|output| match output {
                TableOutput::Dial { address, .. } => Some(address),
                TableOutput::Offer { .. } => None,
            })
            .collect()
    }

    fn lost(address: SocketAddr) -> TableInput {
        TableInput::Ended { address, end: DialEnd::Lost, random: 0 }
    }

    #[test]
    fn who_is_found_is_dialled_once_and_again_after_longer_and_longer_times() {
        let mut now = Instant::now();
        let mut table = PeerTable::new();
        let peer = address(2, 1);
        for _ in 0..3 {
            table.handle(now, TableInput::Found { topic: topic(1), address: peer, itself: false });
        }
        assert_eq!(dials(&mut table), [peer]);
        for expected in [1, 2, 4] {
            table.handle(now, lost(peer));
            assert_eq!(dials(&mut table), []);
            assert_eq!(table.poll_timeout(), Some(now + Duration::from_secs(expected)));
            now += Duration::from_secs(expected);
            table.handle(now, TableInput::Timeout);
            assert_eq!(dials(&mut table), [peer]);
        }
        // Enough, until it is heard of again; and then not before its time.
        table.handle(now, lost(peer));
        assert_eq!(table.poll_timeout(), None);
        table.handle(now, TableInput::Found { topic: topic(1), address: peer, itself: false });
        assert_eq!(dials(&mut table), []);
        assert_eq!(table.poll_timeout(), Some(now + Duration::from_secs(8)));
    }

    #[test]
    fn who_says_itself_that_it_is_back_is_dialled_soon() {
        for end in [DialEnd::Lost, DialEnd::Elsewhere] {
            let mut now = Instant::now();
            let mut table = PeerTable::new();
            let peer = address(2, 1);
            let found = |itself| TableInput::Found { topic: topic(1), address: peer, itself };
            table.handle(now, found(true));
            for _ in 0..10 {
                assert_eq!(dials(&mut table), [peer]);
                table.handle(now, TableInput::Ended { address: peer, end, random: 0 });
                // What others say of it is no news.
                table.handle(now + SPOKE_AGAIN / 4, found(false));
                assert!(table.poll_timeout().is_some_and(|at| at > now));
                table.handle(now + SPOKE_AGAIN / 4, found(true));
                assert_eq!(dials(&mut table), []);
                assert!(table.poll_timeout().is_some_and(|at| at <= now + SPOKE_AGAIN));
                now += SPOKE_AGAIN;
                table.handle(now, TableInput::Timeout);
            }
        }
    }

    #[test]
    fn a_good_connection_makes_up_for_failures() {
        let now = Instant::now();
        let mut table = PeerTable::new();
        let peer = address(2, 1);
        table.handle(now, TableInput::Found { topic: topic(1), address: peer, itself: false });
        table.handle(now, lost(peer));
        table.handle(now + Duration::from_secs(1), TableInput::Timeout);
        table.handle(now + Duration::from_secs(1), TableInput::Connected(peer));
        assert_eq!((table.known(), table.connected()), (1, 1));
        let end = now + Duration::from_secs(1) + GOOD_AFTER;
        table.handle(end, lost(peer));
        assert_eq!(table.poll_timeout(), Some(end + Duration::from_secs(1)));
    }

    #[test]
    fn ourselves_are_never_dialled_again_and_a_peer_that_is_elsewhere_later() {
        let now = Instant::now();
        let mut table = PeerTable::new();
        let (own, other) = (address(1, 1), address(2, 1));
        for address in [own, other] {
            table.handle(now, TableInput::Found { topic: topic(1), address, itself: false });
        }
        assert_eq!(dials(&mut table).len(), 2);
        table.handle(now, TableInput::Ended { address: own, end: DialEnd::Ourselves, random: 0 });
        table.handle(now, TableInput::Ended { address: other, end: DialEnd::Elsewhere, random: 0 });
        for address in [own, other] {
            table.handle(now, TableInput::Found { topic: topic(1), address, itself: false });
        }
        assert_eq!(dials(&mut table), []);
        assert_eq!(table.poll_timeout(), Some(now + ELSEWHERE_FOR));
    }

    #[test]
    fn one_more_feed_of_a_connected_peer_is_offered() {
        let now = Instant::now();
        let mut table = PeerTable::new();
        let peer = address(2, 1);
        table.handle(now, TableInput::Found { topic: topic(1), address: peer, itself: false });
        table.handle(now, TableInput::Connected(peer));
        assert_eq!(dials(&mut table), [peer]);
        table.handle(now, TableInput::Found { topic: topic(2), address: peer, itself: false });
        assert_eq!(table.poll_output(), Some(TableOutput::Offer { address: peer, topic: topic(2) }));
        table.handle(now, TableInput::Leave(topic(1)));
        table.handle(now, TableInput::Leave(topic(2)));
        table.handle(now, lost(peer));
        assert_eq!(table.known(), 0);
    }

    #[test]
    fn who_speaks_for_itself_comes_before_those_that_others_name() {
        let now = Instant::now();
        let mut table = PeerTable::new();
        for number in 0..2 * MAX_FOUND_PEERS {
            let named = address((number % 250) as u8, number as u16 + 1);
            table.handle(now, TableInput::Found { topic: topic(1), address: named, itself: false });
        }
        assert_eq!(table.known(), MAX_FOUND_PEERS);
        assert_eq!(dials(&mut table).len(), MAX_DIALS - FOR_THEMSELVES);
        let good = address(251, 3282);
        table.handle(now, TableInput::Found { topic: topic(1), address: good, itself: true });
        assert_eq!((dials(&mut table), table.known()), (vec![good], MAX_FOUND_PEERS));
        // Nothing is due that may not be dialled.
        assert_eq!(table.poll_timeout(), None);
    }

    #[test]
    fn no_host_crowds_out_the_others() {
        let now = Instant::now();
        let mut table = PeerTable::new();
        for port in 1..1000 {
            table.handle(
                now,
                TableInput::Found { topic: topic(1), address: address(66, port), itself: false },
            );
        }
        assert_eq!(table.known(), MAX_FOUND_PEERS_PER_HOST);
        assert_eq!(dials(&mut table).len(), MAX_DIALS - FOR_THEMSELVES);
        let good = address(2, 1);
        table.handle(now, TableInput::Found { topic: topic(1), address: good, itself: false });
        for port in 1..1000 {
            table.handle(now, lost(address(66, port)));
        }
        assert!(dials(&mut table).contains(&good));
    }

    proptest! {
        #[test]
        fn the_table_and_the_dials_stay_bounded(
            steps in proptest::collection::vec((0..6_u8, any::<u8>(), 1..40_u16, any::<u8>(), 0..5000_u64), 1..400),
        ) {
            let mut now = Instant::now();
            let mut table = PeerTable::new();
            let mut running: BTreeSet<SocketAddr> = BTreeSet::new();
            for (kind, host, port, number, millis) in steps {
                let address = address(host, port);
                let input = match kind {
                    0 | 1 => TableInput::Found { topic: topic(number % 8), address, itself: kind == 1 },
                    2 => TableInput::Leave(topic(number % 8)),
                    3 | 4 => {
                        let Some(address) = running.first().copied() else { continue };
                        if kind == 3 {
                            TableInput::Connected(address)
                        } else {
                            running.remove(&address);
                            let end = [DialEnd::Lost, DialEnd::Elsewhere, DialEnd::Ourselves][usize::from(number % 3)];
                            TableInput::Ended { address, end, random: number.into() }
                        }
                    }
                    _ => {
                        now += Duration::from_millis(millis);
                        TableInput::Timeout
                    }
                };
                table.handle(now, input);
                while let Some(output) = table.poll_output() {
                    if let TableOutput::Dial { address, topics } = output {
                        prop_assert!(running.insert(address), "{} is dialled twice", address);
                        prop_assert!(topics.len() <= MAX_TOPICS_PER_PEER);
                    }
                }
                prop_assert!(table.known() <= MAX_FOUND_PEERS);
                prop_assert!(table.dialling() <= MAX_DIALS);
            }
        }
    }
}
