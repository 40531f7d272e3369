//! A client of a distributed hash table: the machine that searches and announces.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use quorate_types::DiscoveryKey;
use quorate_types::limits::{MAX_DHT_PENDING, MAX_DHT_SEARCHES, MAX_TOPICS};

use super::super::network::may_name;
use super::message::{Contact, Message, Question, Reply, Transaction, decode, encode_question, encode_reply};
use super::rate::Rate;
use super::search::{Purpose, Search};
use super::table::Table;
use super::{DhtKind, NodeId};

/// Time in which an answer comes, or the question is asked again.
const ANSWER_WITHIN: Duration = Duration::from_millis(1500);

/// Times that a question is asked.
const TRIES: u32 = 2;

/// Time between the first two searches for a feed; it doubles from search to search.
const FIRST_PAUSE: Duration = Duration::from_secs(10);

/// Longest time between two searches (@hyperswarm/discovery 2: 5 to 10 min; discovery-channel 5: 10 to 15 min).
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// The same while nobody answers.
const LONGEST_SILENCE: Duration = Duration::from_secs(120);

/// Nodes that an answer of ours names (BEP 5: 8).
const NODES_TOLD: usize = 8;

/// How the table is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DhtConfig {
    /// Which table.
    pub kind: DhtKind,
    /// TCP port that is announced; `None` only asks.
    pub port: Option<u16>,
    /// Our address in a private network; it is told to nodes of hyperswarm, for peers in the same network.
    pub local: Option<Ipv4Addr>,
    /// Our id: random, and another one each time.
    pub id: [u8; 32],
    /// Where the ids of questions begin: random, so that answers cannot be guessed.
    pub seed: u64,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DhtInput<'a> {
    /// Nodes that a search may begin with have these addresses from now on.
    Bootstrap(&'a [SocketAddrV4]),
    /// A feed is open from now on.
    Join(DiscoveryKey),
    /// It is closed.
    Leave(DiscoveryKey),
    /// All are closed.
    Close,
    /// A datagram came.
    Datagram {
        /// From there.
        from: SocketAddrV4,
        /// Saying this.
        bytes: &'a [u8],
    },
    /// It is the time of [`DhtDiscovery::poll_timeout`].
    Timeout,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DhtOutput {
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
        feed: DiscoveryKey,
        /// Where the peer listens.
        address: SocketAddrV4,
    },
}

/// How the table stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DhtCounts {
    /// Somebody answered in the last search.
    pub answers: bool,
    /// Nodes that are remembered: each has answered.
    pub nodes: usize,
    /// Questions that were sent.
    pub asked: u64,
    /// Announcements that were confirmed.
    pub announced: u64,
    /// Addresses that were named.
    pub heard: u64,
}

/// Searches for peers and announces.
///
/// After each [`handle`](Self::handle) drain [`poll_output`](Self::poll_output), and call it with
/// [`DhtInput::Timeout`] at the time of [`poll_timeout`](Self::poll_timeout).
#[derive(Debug)]
pub struct DhtDiscovery {
    config: DhtConfig,
    own: NodeId,
    bootstrap: Vec<SocketAddrV4>,
    table: Table,
    feeds: BTreeMap<DiscoveryKey, Feed>,
    /// The search for nodes, as if it were a feed.
    nodes: Feed,
    searches: BTreeMap<u64, Search>,
    next_search: u64,
    /// Announcements that are still to be sent.
    announcements: VecDeque<Announcement>,
    pending: BTreeMap<u16, Pending>,
    rate: Rate,
    random: u64,
    counts: DhtCounts,
    out: VecDeque<DhtOutput>,
}

/// What is searched for again and again.
#[derive(Debug)]
struct Feed {
    /// When it is searched for.
    at: Instant,
    pause: Duration,
    is_searched: bool,
    /// Who took the last announcement, and the token that takes it back.
    holders: Vec<(SocketAddrV4, Vec<u8>)>,
}

#[derive(Debug)]
struct Announcement {
    feed: DiscoveryKey,
    node: Contact,
    token: Vec<u8>,
}

#[derive(Debug)]
struct Pending {
    to: SocketAddrV4,
    expected: Option<NodeId>,
    purpose: Asked,
    bytes: Vec<u8>,
    tries: u32,
    due: Instant,
}

#[derive(Debug)]
enum Asked {
    Search(u64),
    Announcement { feed: DiscoveryKey, token: Vec<u8> },
}

impl DhtDiscovery {
    /// Begins with no feed. Nothing is sent before there are nodes to begin with.
    pub fn new(config: DhtConfig, now: Instant) -> Self {
        let own = NodeId::new(config.kind, &config.id);
        Self {
            own,
            bootstrap: Vec::new(),
            table: Table::new(own),
            feeds: BTreeMap::new(),
            nodes: Feed::new(now),
            searches: BTreeMap::new(),
            next_search: 0,
            announcements: VecDeque::new(),
            pending: BTreeMap::new(),
            rate: Rate::new(now),
            random: config.seed,
            counts: DhtCounts::default(),
            out: VecDeque::new(),
            config,
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Instant, input: DhtInput<'_>) {
        match input {
            DhtInput::Bootstrap(addresses) => self.begin_with(now, addresses),
            DhtInput::Join(feed) => {
                if self.feeds.len() < MAX_TOPICS {
                    self.feeds.entry(feed).or_insert_with(|| Feed::new(now));
                }
            }
            DhtInput::Leave(feed) => self.leave(feed),
            DhtInput::Close => {
                let feeds: Vec<DiscoveryKey> = self.feeds.keys().copied().collect();
                for feed in feeds {
                    self.leave(feed);
                }
                return;
            }
            DhtInput::Datagram { from, bytes } => self.datagram(now, from, bytes),
            DhtInput::Timeout => {}
        }
        self.expire(now);
        self.begin_searches(now);
        self.advance(now);
        self.counts.nodes = self.table.len();
    }

    /// Returns the next thing to do.
    pub fn poll_output(&mut self) -> Option<DhtOutput> {
        self.out.pop_front()
    }

    /// Returns when [`DhtInput::Timeout`] is due; `None` when nothing is.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let answers = self.pending.values().map(|pending| pending.due).min();
        let searches = match self.can_begin() {
            true => self.idle().map(|(_, at)| at).min(),
            false => None,
        };
        [answers, searches].into_iter().flatten().min()
    }

    /// Says how it stands.
    pub fn counts(&self) -> DhtCounts {
        self.counts
    }

    fn begin_with(&mut self, now: Instant, addresses: &[SocketAddrV4]) {
        let is_first = self.bootstrap.is_empty();
        self.bootstrap = addresses.to_vec();
        if is_first {
            self.nodes = Feed::new(now);
        }
    }

    fn leave(&mut self, feed: DiscoveryKey) {
        let Some(left) = self.feeds.remove(&feed) else { return };
        self.announcements.retain(|announcement| announcement.feed != feed);
        let (DhtKind::Hyperswarm, Some(port)) = (self.config.kind, self.config.port) else { return };
        for (to, token) in left.holders {
            let target = NodeId::of(self.config.kind, &feed);
            let question = Question::Unannounce { target, port, local: self.local(), token };
            // It runs out anyway: no answer is waited for.
            let bytes = self.encode(to, &question).1;
            self.out.push_back(DhtOutput::Send { to, bytes });
        }
    }

    fn datagram(&mut self, now: Instant, from: SocketAddrV4, bytes: &[u8]) {
        if from.port() == 0 {
            return;
        }
        match decode(self.config.kind, bytes) {
            Ok(Message::Question { transaction, question }) => {
                if let Some(reply) = self.answer(&question)
                    && self.rate.take(now)
                {
                    let bytes = encode_reply(self.config.kind, &transaction, from, &reply);
                    self.out.push_back(DhtOutput::Send { to: from, bytes });
                }
            }
            Ok(Message::Reply { transaction, reply }) => self.replied(from, &transaction, reply),
            Err(_) => {}
        }
    }

    /// Answers what a passer-by can answer: that we are there, and whom we know.
    fn answer(&self, question: &Question) -> Option<Reply> {
        // hyperswarm counts whoever has an id as a lasting node.
        let id = (self.config.kind == DhtKind::BitTorrent).then_some(self.own);
        match question {
            Question::Ping => Some(Reply { id, ..Reply::default() }),
            Question::FindNode { target } | Question::Peers { target, .. } => {
                Some(Reply { id, nodes: self.table.closest(target, NODES_TOLD), ..Reply::default() })
            }
            Question::Announce { .. } | Question::Unannounce { .. } => {
                Some(Reply { refused: true, ..Reply::default() })
            }
            Question::Other => None,
        }
    }

    fn replied(&mut self, from: SocketAddrV4, transaction: &Transaction, reply: Reply) {
        // Only answers to our own questions, from where they were sent to.
        let Some(number) = transaction.number(self.config.kind) else { return };
        if self.pending.get(&number).is_none_or(|pending| pending.to != from) {
            return;
        }
        let Some(pending) = self.pending.remove(&number) else { return };
        self.counts.answers = true;
        let id = reply.id.filter(|id| *id != self.own);
        match pending.expected {
            Some(expected) if id != Some(expected) => self.table.failed(&expected, from),
            _ => {}
        }
        if let Some(id) = id {
            self.table.answered(Contact { id, address: from });
        }
        match pending.purpose {
            Asked::Announcement { feed, token } => {
                if let Some(feed) = self.feeds.get_mut(&feed).filter(|_| !reply.refused) {
                    feed.holders.push((from, token));
                    self.counts.announced = self.counts.announced.saturating_add(1);
                }
            }
            Asked::Search(number) => self.searched(number, pending.expected, from, id, reply),
        }
    }

    fn searched(
        &mut self,
        number: u64,
        expected: Option<NodeId>,
        from: SocketAddrV4,
        id: Option<NodeId>,
        reply: Reply,
    ) {
        let local = self.config.local;
        let Some(search) = self.searches.get_mut(&number) else { return };
        let own = self.own;
        let nodes = reply.nodes.into_iter();
        let nodes = nodes.filter(|node| node.id != own && may_name(*from.ip(), *node.address.ip()));
        search.answered(expected, from, id, reply.token, nodes);
        let Purpose::Feed(feed) = search.purpose else { return };
        if !self.feeds.contains_key(&feed) {
            return;
        }
        let peers = reply.peers.into_iter().filter(|peer| may_name(*from.ip(), *peer.ip()));
        let neighbours = reply.local_peers.into_iter().filter_map(|([c, d], port)| {
            let [a, b, ..] = local?.octets();
            Some(SocketAddrV4::new([a, b, c, d].into(), port))
        });
        for peer in peers.chain(neighbours).filter(|peer| peer.port() != 0) {
            if search.found(peer) {
                self.counts.heard = self.counts.heard.saturating_add(1);
                self.out.push_back(DhtOutput::Found { feed, address: peer });
            }
        }
    }

    /// Asks again what was not answered, once; then it is given up.
    fn expire(&mut self, now: Instant) {
        let late: Vec<u16> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.due <= now)
            .map(|(number, _)| *number)
            .collect();
        for number in late {
            let Some(pending) = self.pending.get_mut(&number) else { continue };
            if pending.tries < TRIES {
                pending.tries += 1;
                pending.due = now + ANSWER_WITHIN;
                self.counts.asked = self.counts.asked.saturating_add(1);
                self.out.push_back(DhtOutput::Send { to: pending.to, bytes: pending.bytes.clone() });
                continue;
            }
            let Some(pending) = self.pending.remove(&number) else { continue };
            if let Some(expected) = pending.expected {
                self.table.failed(&expected, pending.to);
            }
            if let Asked::Search(search) = pending.purpose
                && let Some(search) = self.searches.get_mut(&search)
            {
                search.unanswered(pending.expected);
            }
        }
    }

    fn can_begin(&self) -> bool {
        !self.bootstrap.is_empty() && self.searches.len() < MAX_DHT_SEARCHES && self.announcements.is_empty()
    }

    /// What is not searched for now, and when it is to be.
    fn idle(&self) -> impl Iterator<Item = (Purpose, Instant)> {
        let feeds = self.feeds.iter().map(|(feed, state)| (Purpose::Feed(*feed), state));
        let all = std::iter::once((Purpose::Nodes, &self.nodes)).chain(feeds);
        all.filter(|(_, state)| !state.is_searched).map(|(purpose, state)| (purpose, state.at))
    }

    fn begin_searches(&mut self, now: Instant) {
        while self.can_begin() {
            let due = self.idle().filter(|(_, at)| *at <= now).min_by_key(|(_, at)| *at);
            let Some((purpose, _)) = due else { return };
            let target = match purpose {
                Purpose::Nodes => self.own,
                Purpose::Feed(feed) => NodeId::of(self.config.kind, &feed),
            };
            if let Some(state) = self.state(purpose) {
                state.is_searched = true;
            }
            let closest = self.config.kind.closest();
            let known = self.table.closest(&target, closest);
            // Those who are known by name may all be gone, or be of one mind.
            let nameless = if known.len() < closest { self.bootstrap.clone() } else { Vec::new() };
            self.searches.insert(self.next_search, Search::new(target, purpose, known, nameless));
            self.next_search += 1;
        }
    }

    fn state(&mut self, purpose: Purpose) -> Option<&mut Feed> {
        match purpose {
            Purpose::Nodes => Some(&mut self.nodes),
            Purpose::Feed(feed) => self.feeds.get_mut(&feed),
        }
    }

    /// Sends what there is to send, as far as answers are not waited for already, and ends searches that are over.
    fn advance(&mut self, now: Instant) {
        let numbers: Vec<u64> = self.searches.keys().copied().collect();
        let closest = self.config.kind.closest();
        for number in numbers {
            while self.pending.len() < MAX_DHT_PENDING {
                let Some(search) = self.searches.get_mut(&number) else { break };
                let (target, purpose) = (search.target, search.purpose);
                if search.is_over(closest) {
                    // A node that knows peers may name no nodes (bittorrent-dht 7): other searches have found some.
                    search.heard_all(self.table.closest(&target, closest));
                }
                let Some((to, expected)) = search.next(closest) else { break };
                let question = match purpose {
                    Purpose::Nodes => Question::FindNode { target },
                    Purpose::Feed(_) => {
                        Question::Peers { target, port: self.config.port, local: self.local() }
                    }
                };
                self.ask(now, to, expected, &question, Asked::Search(number));
            }
            if let Some(search) = self.searches.get_mut(&number)
                && search.is_over(closest)
                && let Some(search) = self.searches.remove(&number)
            {
                self.end(now, search);
            }
        }
        while self.pending.len() < MAX_DHT_PENDING
            && let Some(Announcement { feed, node, token }) = self.announcements.pop_front()
            && let Some(port) = self.config.port
        {
            let target = NodeId::of(self.config.kind, &feed);
            let question = Question::Announce { target, port, local: self.local(), token: token.clone() };
            let purpose = Asked::Announcement { feed, token };
            self.ask(now, node.address, Some(node.id), &question, purpose);
        }
    }

    fn end(&mut self, now: Instant, search: Search) {
        let has_answers = search.answers() > 0;
        if !has_answers {
            self.counts.answers = false;
        }
        let part = f64::from(self.next_number()) / f64::from(u16::MAX);
        let longest = if has_answers { LONGEST_PAUSE } else { LONGEST_SILENCE };
        let purpose = search.purpose;
        let Some(state) = self.state(purpose) else { return };
        state.is_searched = false;
        state.pause = state.pause.min(longest);
        state.at = now + state.pause + state.pause.mul_f64(part / 4.0);
        state.pause *= 2;
        let (Purpose::Feed(feed), Some(_)) = (purpose, self.config.port) else { return };
        if let Some(state) = self.feeds.get_mut(&feed).filter(|_| has_answers) {
            state.holders.clear();
        }
        let holders = search.holders(self.config.kind.closest());
        self.announcements.extend(holders.into_iter().map(|(node, token)| Announcement {
            feed,
            node,
            token,
        }));
    }

    fn ask(
        &mut self,
        now: Instant,
        to: SocketAddrV4,
        expected: Option<NodeId>,
        question: &Question,
        purpose: Asked,
    ) {
        let (number, bytes) = self.encode(to, question);
        self.counts.asked = self.counts.asked.saturating_add(1);
        let due = now + ANSWER_WITHIN;
        self.pending.insert(number, Pending { to, expected, purpose, bytes: bytes.clone(), tries: 1, due });
        self.out.push_back(DhtOutput::Send { to, bytes });
    }

    fn encode(&mut self, to: SocketAddrV4, question: &Question) -> (u16, Vec<u8>) {
        let mut number = self.next_number();
        while self.pending.contains_key(&number) {
            number = number.wrapping_add(1);
        }
        let transaction = Transaction::new(self.config.kind, number);
        (number, encode_question(self.config.kind, &self.own, &transaction, to, question))
    }

    /// Where we are in our own network.
    fn local(&self) -> Option<SocketAddrV4> {
        Some(SocketAddrV4::new(self.config.local?, self.config.port.unwrap_or(0)))
    }

    fn next_number(&mut self) -> u16 {
        self.random = self.random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.random >> 33) as u16
    }
}

impl Feed {
    fn new(now: Instant) -> Self {
        Self { at: now, pause: FIRST_PAUSE, is_searched: false, holders: Vec::new() }
    }
}

#[cfg(test)]
mod tests;
