//! The machine behind multicast DNS: what is asked, what is answered, who was found.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use quorate_types::limits::MAX_TOPICS;

use super::message::TOPICS_PER_MESSAGE;
use super::{Announcement, Dialect, Network, Question, Topic, answers, parse, questions};

/// Times after a feed was opened at which it is asked for and announced: a lost datagram is not waited for.
const EAGER: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(4)];

/// Time between two questions from then on, plus up to half of it (hyperswarm 2: 30 s plus up to 30 s).
const ASK_EVERY: Duration = Duration::from_secs(30);

/// The same of a feed that nobody answers for, plus up to a quarter of it. A stock client speaks once when it comes, and then
/// not for 30 s to 70 s: when that one datagram is lost, this one finds it within 5 s.
const ASK_EVERY_ALONE: Duration = Duration::from_secs(4);

/// Silence of others after which a feed counts as one that nobody answers for.
const ALONE_AFTER: Duration = Duration::from_secs(60);

/// Feeds that may be asked for so often; where there are more, each one's turn comes later.
const ALONE_AT_ONCE: u32 = 16;

/// Shortest time between two questions, or two answers, about one feed in one dialect.
const SAY_AGAIN: Duration = Duration::from_secs(1);

/// Shortest time between two datagrams.
const PACE: Duration = Duration::from_millis(10);

/// How this node takes part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalConfig {
    /// TCP port that is announced; `None` only asks.
    pub port: Option<u16>,
    /// What tells our own answers from others: random, one for each process.
    pub mark: [u8; 32],
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalInput<'a> {
    /// A feed is open from now on.
    Join(Topic),
    /// It is closed.
    Leave(&'a Topic),
    /// The networks of this machine are these.
    Networks(&'a [Network]),
    /// A datagram came.
    Datagram {
        /// From there.
        from: SocketAddrV4,
        /// Saying this.
        bytes: &'a [u8],
    },
    /// It is the time of [`LocalDiscovery::poll_timeout`].
    Timeout,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalOutput {
    /// Send a datagram to everyone on the local network.
    Send(Vec<u8>),
    /// A peer says that it has a feed.
    Found(Found),
}

/// A peer that says it has a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// The feed.
    pub topic: Topic,
    /// Where the peer listens.
    pub address: SocketAddrV4,
    /// In which dialect it was heard.
    pub dialect: Dialect,
    /// It is a quorate node, as far as can be told.
    pub quorate: bool,
    /// The datagram came from that address: nobody else says so.
    pub itself: bool,
}

/// Counts of what was said and heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LocalCounts {
    /// Questions that were sent, by feed and dialect.
    pub asked: u64,
    /// Answers that were sent, by feed and dialect.
    pub answered: u64,
    /// Questions of others about our feeds.
    pub questions: u64,
    /// Answers of others about our feeds.
    pub announcements: u64,
    /// Datagrams that were no DNS, too large, or from another network.
    pub ignored: u64,
}

/// Asks for the feeds that are open, answers those who ask, and says who was found.
///
/// After each [`handle`](Self::handle) drain [`poll_output`](Self::poll_output), and call it with
/// [`LocalInput::Timeout`] at the time of [`poll_timeout`](Self::poll_timeout).
#[derive(Debug)]
pub struct LocalDiscovery {
    config: LocalConfig,
    topics: BTreeMap<Topic, State>,
    networks: Vec<Network>,
    /// What is to be said about which feeds, once the pace allows it.
    queue: BTreeSet<(Said, Topic)>,
    /// No datagram before.
    next_datagram: Instant,
    /// State of the numbers that keep nodes from asking in step.
    jitter: u64,
    counts: LocalCounts,
    out: VecDeque<LocalOutput>,
}

/// A question or an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Answer(Dialect),
    Question(Dialect),
}

/// What is known of a feed.
#[derive(Debug)]
struct State {
    /// Index of the next time in [`EAGER`].
    eager: usize,
    joined: Instant,
    next_round: Instant,
    /// When somebody said last that they have it.
    heard: Option<Instant>,
    last: BTreeMap<Said, Instant>,
    /// What is to be said again when [`SAY_AGAIN`] is over.
    due: BTreeMap<Said, Instant>,
}

impl LocalDiscovery {
    /// Begins with no feed and no network.
    pub fn new(config: LocalConfig, now: Instant) -> Self {
        let [a, b, c, d, ..] = config.mark;
        Self {
            jitter: u64::from(u32::from_le_bytes([a, b, c, d])),
            config,
            topics: BTreeMap::new(),
            networks: Vec::new(),
            queue: BTreeSet::new(),
            next_datagram: now,
            counts: LocalCounts::default(),
            out: VecDeque::new(),
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Instant, input: LocalInput<'_>) {
        match input {
            LocalInput::Join(topic) => self.join(now, topic),
            LocalInput::Leave(topic) => {
                self.topics.remove(topic);
                self.queue.retain(|(_, queued)| queued != topic);
            }
            LocalInput::Networks(networks) => {
                if self.networks != networks {
                    self.networks = networks.to_vec();
                    // Somebody else may be there.
                    for state in self.topics.values_mut() {
                        state.eager = 0;
                        state.joined = now;
                        state.next_round = now;
                    }
                }
            }
            LocalInput::Datagram { from, bytes } => self.datagram(now, from, bytes),
            LocalInput::Timeout => {}
        }
        self.rounds(now);
        self.send(now);
    }

    /// Returns the next thing to do.
    pub fn poll_output(&mut self) -> Option<LocalOutput> {
        self.out.pop_front()
    }

    /// Returns when [`LocalInput::Timeout`] is due; `None` when nothing is.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let rounds = self
            .topics
            .values()
            .flat_map(|state| std::iter::once(state.next_round).chain(state.due.values().copied()))
            .min();
        let queued = (!self.queue.is_empty()).then_some(self.next_datagram);
        rounds.into_iter().chain(queued).min()
    }

    /// Counts of what was said and heard.
    pub const fn counts(&self) -> LocalCounts {
        self.counts
    }

    /// Networks that it takes part in.
    pub fn networks(&self) -> &[Network] {
        &self.networks
    }

    fn join(&mut self, now: Instant, topic: Topic) {
        if self.topics.len() >= MAX_TOPICS {
            return;
        }
        self.topics.entry(topic).or_insert_with(|| State {
            eager: 0,
            joined: now,
            next_round: now,
            heard: None,
            last: BTreeMap::new(),
            due: BTreeMap::new(),
        });
    }

    fn datagram(&mut self, now: Instant, from: SocketAddrV4, bytes: &[u8]) {
        let heard = match parse(bytes) {
            Ok(heard) if self.is_near(*from.ip()) => heard,
            Ok(_) | Err(_) => {
                self.counts.ignored = self.counts.ignored.saturating_add(1);
                return;
            }
        };
        for announcement in heard.announcements {
            self.announced(now, from, &announcement);
        }
        for question in heard.questions {
            self.asked(now, question);
        }
    }

    /// Answers, and asks back: whoever looks for a feed has it or wants it, and may not announce it.
    fn asked(&mut self, now: Instant, question: Question) {
        let Some(state) = self.topics.get_mut(&question.topic) else { return };
        self.counts.questions = self.counts.questions.saturating_add(1);
        if self.config.port.is_some() {
            state.say(now, Said::Answer(question.dialect));
        }
        state.say(now, Said::Question(question.dialect));
    }

    fn announced(&mut self, now: Instant, from: SocketAddrV4, announcement: &Announcement) {
        let Some(state) = self.topics.get_mut(&announcement.topic) else { return };
        if announcement.mark.as_deref() == Some(&self.config.mark) {
            return;
        }
        state.heard = Some(now);
        self.counts.announcements = self.counts.announcements.saturating_add(1);
        for peer in &announcement.peers {
            let ip = if peer.ip().is_unspecified() { *from.ip() } else { *peer.ip() };
            let is_own = Some(peer.port()) == self.config.port
                && self.networks.iter().any(|network| network.address == ip);
            // An answer about somebody elsewhere would have us dial whom its sender likes.
            if is_own || !self.is_near(ip) {
                continue;
            }
            self.out.push_back(LocalOutput::Found(Found {
                topic: announcement.topic,
                address: SocketAddrV4::new(ip, peer.port()),
                dialect: announcement.dialect,
                quorate: announcement.quorate,
                itself: ip == *from.ip(),
            }));
        }
    }

    fn is_near(&self, ip: Ipv4Addr) -> bool {
        self.networks.iter().any(|network| network.contains(ip))
    }

    /// Asks and announces what it is time for.
    fn rounds(&mut self, now: Instant) {
        let announces = self.config.port.is_some();
        let turns = u32::try_from(self.topics.len()).unwrap_or(u32::MAX).div_ceil(ALONE_AT_ONCE);
        let alone = ASK_EVERY_ALONE.saturating_mul(turns).min(ASK_EVERY);
        for (topic, state) in &mut self.topics {
            if state.next_round <= now {
                for dialect in Dialect::ALL {
                    self.queue.insert((Said::Question(dialect), *topic));
                    if announces {
                        self.queue.insert((Said::Answer(dialect), *topic));
                    }
                }
                state.eager += 1;
                state.next_round = match EAGER.get(state.eager) {
                    Some(after) => now.max(state.joined + *after),
                    None if state.is_alone(now) => now + alone + jitter(&mut self.jitter, alone / 4),
                    None => now + ASK_EVERY + jitter(&mut self.jitter, ASK_EVERY / 2),
                };
            }
            state.due.retain(|said, at| {
                let is_time = *at <= now;
                if is_time {
                    self.queue.insert((*said, *topic));
                }
                !is_time
            });
        }
    }

    /// Puts what is queued into datagrams, as fast as the pace allows.
    fn send(&mut self, now: Instant) {
        if self.next_datagram > now {
            return;
        }
        let Some((said, _)) = self.queue.first().copied() else { return };
        let topics: Vec<Topic> = self
            .queue
            .iter()
            .filter(|(queued, _)| *queued == said)
            .map(|(_, topic)| *topic)
            .take(TOPICS_PER_MESSAGE)
            .collect();
        for topic in &topics {
            self.queue.remove(&(said, *topic));
            if let Some(state) = self.topics.get_mut(topic) {
                state.last.insert(said, now);
                state.due.remove(&said);
            }
        }
        let count = topics.len() as u64;
        let message = match said {
            Said::Question(dialect) => {
                self.counts.asked = self.counts.asked.saturating_add(count);
                questions(dialect, &topics)
            }
            Said::Answer(dialect) => {
                let Some(port) = self.config.port else { return };
                self.counts.answered = self.counts.answered.saturating_add(count);
                answers(dialect, &topics, port, &self.config.mark)
            }
        };
        self.out.push_back(LocalOutput::Send(message));
        self.next_datagram = now + PACE;
    }
}

impl State {
    fn is_alone(&self, now: Instant) -> bool {
        self.heard.is_none_or(|heard| now.saturating_duration_since(heard) >= ALONE_AFTER)
    }

    /// Has something said now, or when it was not said for a while.
    fn say(&mut self, now: Instant, said: Said) {
        let at = self.last.get(&said).map_or(now, |last| now.max(*last + SAY_AGAIN));
        self.due.entry(said).or_insert(at);
    }
}

/// Returns a time of at most `end`, another one each time (SplitMix64).
fn jitter(state: &mut u64, end: Duration) -> Duration {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    end.mul_f64((mixed >> 11) as f64 / (1_u64 << 53) as f64)
}

#[cfg(test)]
mod tests;
