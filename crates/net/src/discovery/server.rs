//! One DNS-discovery server: the machine that asks it, announces to it and hears from it (dns-discovery 6).
//!
//! | we send | the server answers |
//! |---|---|
//! | question `TXT dat.local` | `TXT` with `token`, and our `host` and `port` as it sees them |
//! | question `TXT <topic>.dat.local`, additional `TXT` of the same name with `subscribe=true`, `token` and `announce=<port>` | `TXT` with `token` and `peers` |
//! | the same with `token` and `unannounce=<port>` | `TXT` |
//!
//! Whoever subscribed is sent a question with an additional `SRV <topic>.dat.local` when somebody else announces.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use quorate_types::limits::MAX_TOPICS;

use super::Topic;
use super::network::may_name;
use super::server_message::{ServerHeard, announce, answer, parse_from_server, probe, unannounce};

/// Time between two announcements, plus up to a tenth of it (discovery-channel 5: 60 s plus up to 10 s).
const ANNOUNCE_EVERY: Duration = Duration::from_secs(60);

/// Time in which an answer comes, or the question is asked again.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Times that a question is asked.
const TRIES: u32 = 3;

/// Longest time between two tries to reach a server that does not answer.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// Questions that wait for their answers at once.
const MAX_PENDING: usize = 32;

/// How the server is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// TCP port that is announced; `None` only asks.
    pub port: Option<u16>,
    /// Where the server is: its address with each port that it may listen on, the first before the others.
    pub addresses: Vec<SocketAddrV4>,
    /// Where the ids of questions begin: random, so that answers cannot be guessed.
    pub seed: u64,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerInput<'a> {
    /// A feed is open from now on.
    Join(Topic),
    /// It is closed.
    Leave(Topic),
    /// A datagram came.
    Datagram {
        /// From there.
        from: SocketAddrV4,
        /// Saying this.
        bytes: &'a [u8],
    },
    /// It is the time of [`ServerDiscovery::poll_timeout`].
    Timeout,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerOutput {
    /// Send a datagram.
    Send {
        /// There.
        to: SocketAddrV4,
        /// This.
        bytes: Vec<u8>,
    },
    /// Somebody announced a feed.
    Found {
        /// The feed.
        topic: Topic,
        /// Where the peer listens.
        address: SocketAddrV4,
    },
}

/// How the server stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServerCounts {
    /// It answered the last question.
    pub answers: bool,
    /// Questions that were sent.
    pub asked: u64,
    /// Announcements that it confirmed.
    pub announced: u64,
    /// Addresses that it named.
    pub heard: u64,
}

/// Talks to one server.
///
/// After each [`handle`](Self::handle) drain [`poll_output`](Self::poll_output), and call it with
/// [`ServerInput::Timeout`] at the time of [`poll_timeout`](Self::poll_timeout).
#[derive(Debug)]
pub struct ServerDiscovery {
    config: ServerConfig,
    /// Index of the address that answers.
    at: usize,
    token: Option<Vec<u8>>,
    /// When each feed is to be announced.
    topics: BTreeMap<Topic, Instant>,
    pending: BTreeMap<u16, Pending>,
    next_probe: Instant,
    failures: u32,
    random: u64,
    counts: ServerCounts,
    out: VecDeque<ServerOutput>,
}

#[derive(Debug, Clone, Copy)]
struct Pending {
    /// The feed; `None` for the question about ourselves.
    topic: Option<Topic>,
    tries: u32,
    due: Instant,
}

impl ServerDiscovery {
    /// Begins with no feed. Nothing is sent before there is one.
    pub fn new(config: ServerConfig, now: Instant) -> Self {
        Self {
            random: config.seed,
            config,
            at: 0,
            token: None,
            topics: BTreeMap::new(),
            pending: BTreeMap::new(),
            next_probe: now,
            failures: 0,
            counts: ServerCounts::default(),
            out: VecDeque::new(),
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Instant, input: ServerInput<'_>) {
        match input {
            ServerInput::Join(topic) => {
                if self.topics.len() < MAX_TOPICS {
                    self.topics.entry(topic).or_insert(now);
                }
            }
            ServerInput::Leave(topic) => self.leave(topic),
            ServerInput::Datagram { from, bytes } => self.datagram(now, from, bytes),
            ServerInput::Timeout => {}
        }
        self.expire(now);
        self.ask(now);
    }

    /// Returns the next thing to do.
    pub fn poll_output(&mut self) -> Option<ServerOutput> {
        self.out.pop_front()
    }

    /// Returns when [`ServerInput::Timeout`] is due; `None` when nothing is.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let answers = self.pending.values().map(|pending| pending.due).min();
        let questions = match &self.token {
            _ if self.topics.is_empty() || self.pending.len() >= MAX_PENDING => None,
            None if self.pending.is_empty() => Some(self.next_probe),
            None => None,
            Some(_) => self.unasked().map(|(_, at)| at).min(),
        };
        answers.into_iter().chain(questions).min()
    }

    /// How the server stands.
    pub const fn counts(&self) -> ServerCounts {
        self.counts
    }

    fn unasked(&self) -> impl Iterator<Item = (Topic, Instant)> {
        let asked = |topic| self.pending.values().any(|pending| pending.topic == Some(topic));
        self.topics.iter().map(|(topic, at)| (*topic, *at)).filter(move |(topic, _)| !asked(*topic))
    }

    fn address(&self) -> Option<SocketAddrV4> {
        self.config.addresses.get(self.at).copied()
    }

    fn leave(&mut self, topic: Topic) {
        let announced = self.topics.remove(&topic).is_some();
        self.pending.retain(|_, pending| pending.topic != Some(topic));
        let id = self.next_id();
        if let (true, Some(port), Some(token), Some(to)) =
            (announced, self.config.port, &self.token, self.address())
        {
            // The server forgets it anyway: no answer is waited for.
            self.out.push_back(ServerOutput::Send { to, bytes: unannounce(id, &topic, token, port) });
        }
    }

    fn datagram(&mut self, now: Instant, from: SocketAddrV4, bytes: &[u8]) {
        if !self.config.addresses.iter().any(|address| address.ip() == from.ip()) {
            return;
        }
        match parse_from_server(bytes) {
            Ok(ServerHeard::Answer { id, token, peers }) => self.answered(now, from, id, token, &peers),
            Ok(ServerHeard::Push { id, topic, address }) => {
                self.out.push_back(ServerOutput::Send { to: from, bytes: answer(id) });
                self.found(from, topic, address);
            }
            Ok(ServerHeard::Nothing) | Err(_) => {}
        }
    }

    fn answered(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        id: u16,
        token: Option<Vec<u8>>,
        peers: &[SocketAddrV4],
    ) {
        // Only answers to our own questions, from where they were sent to.
        if Some(from) != self.address() {
            return;
        }
        let Some(pending) = self.pending.remove(&id) else { return };
        self.counts.answers = true;
        self.failures = 0;
        if token.is_some() {
            self.token = token;
        }
        let Some(topic) = pending.topic else { return };
        let wait = ANNOUNCE_EVERY + self.jitter(ANNOUNCE_EVERY / 10);
        if let Some(at) = self.topics.get_mut(&topic) {
            *at = now + wait;
        }
        self.counts.announced = self.counts.announced.saturating_add(u64::from(self.config.port.is_some()));
        for peer in peers {
            self.found(from, topic, *peer);
        }
    }

    fn found(&mut self, server: SocketAddrV4, topic: Topic, peer: SocketAddrV4) {
        let ip = if peer.ip().is_unspecified() { *server.ip() } else { *peer.ip() };
        if !self.topics.contains_key(&topic) || peer.port() == 0 || !may_name(*server.ip(), ip) {
            return;
        }
        self.counts.heard = self.counts.heard.saturating_add(1);
        self.out.push_back(ServerOutput::Found { topic, address: SocketAddrV4::new(ip, peer.port()) });
    }

    /// Asks again what was not answered, a few times.
    fn expire(&mut self, now: Instant) {
        let late: Vec<(u16, Pending)> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.due <= now)
            .map(|(id, pending)| (*id, *pending))
            .collect();
        for (id, pending) in late {
            self.pending.remove(&id);
            if pending.tries < TRIES && (pending.topic.is_none() || self.token.is_some()) {
                self.send(now, pending.topic, pending.tries);
            } else {
                self.give_up(now);
                return;
            }
        }
    }

    /// The server does not answer: another port of it may, later.
    fn give_up(&mut self, now: Instant) {
        self.pending.clear();
        self.token = None;
        self.counts.answers = false;
        self.failures = self.failures.saturating_add(1);
        self.at = (self.at + 1) % self.config.addresses.len().max(1);
        let pause = Duration::from_secs(2_u64.saturating_pow(self.failures.min(10))).min(LONGEST_PAUSE);
        self.next_probe = now + pause - self.jitter(pause / 2);
    }

    fn ask(&mut self, now: Instant) {
        if self.topics.is_empty() {
            return;
        }
        if self.token.is_none() {
            if self.pending.is_empty() && self.next_probe <= now {
                self.send(now, None, 0);
            }
            return;
        }
        let due: Vec<Topic> = self.unasked().filter(|(_, at)| *at <= now).map(|(topic, _)| topic).collect();
        for topic in due {
            if self.pending.len() >= MAX_PENDING {
                return;
            }
            self.send(now, Some(topic), 0);
        }
    }

    fn send(&mut self, now: Instant, topic: Option<Topic>, tries: u32) {
        let Some(to) = self.address() else { return };
        let id = self.next_id();
        let bytes = match (topic, &self.token) {
            (Some(topic), Some(token)) => announce(id, &topic, token, self.config.port),
            _ => probe(id),
        };
        self.counts.asked = self.counts.asked.saturating_add(1);
        self.pending.insert(id, Pending { topic, tries: tries + 1, due: now + ANSWER_WITHIN });
        self.out.push_back(ServerOutput::Send { to, bytes });
    }

    fn next_id(&mut self) -> u16 {
        self.random = self.random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.random >> 33) as u16
    }

    fn jitter(&mut self, end: Duration) -> Duration {
        let part = f64::from(self.next_id()) / f64::from(u16::MAX);
        end.mul_f64(part)
    }
}

#[cfg(test)]
mod tests;
