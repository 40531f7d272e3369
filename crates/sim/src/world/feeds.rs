//! Feeds and actions on their way between nodes, and what a node tells its engine of them.

use std::sync::Arc;

use quorate_proto::stream::{Entry, Proof, ProofKind};
use quorate_quorum::certificate::{Inclusion, encode_change};
use quorate_quorum::engine::{Checked, Closes, Input, Refused};
use quorate_quorum::evidence::Claim;
use quorate_quorum::head::Head;
use quorate_quorum::validators::ValidatorSet;
use quorate_types::PublicKey;

use super::history::{History, Shared};
use super::node::Copy;
use super::registry::{Block, Place, RULES};
use super::{Event, World};

impl World {
    /// Appends a block to a feed that a node writes, and lets everyone know.
    pub fn append(&mut self, node: usize, feed: PublicKey, block: &Block, epoch: u64) {
        let Some(writer) = self.nodes[node].writers.get(&feed) else { return };
        let mut history = match self.nodes[node].feeds.get(&feed).and_then(|copy| copy.histories.first()) {
            Some(history) => History::clone(history),
            None => History::empty(feed),
        };
        self.registry.append(writer, &mut history, block, epoch);
        self.take_feed(node, Arc::new(history));
    }

    /// A node gets blocks of a feed, its own among them.
    pub(super) fn take_feed(&mut self, node: usize, history: Shared) {
        if !self.nodes[node].is_up() {
            return;
        }
        let key = history.key;
        let copy = self.nodes[node].feeds.entry(key).or_insert_with(|| Copy {
            histories: Vec::new(),
            told: 0,
            started: false,
        });
        let known = copy.histories.iter().position(|held| held.agrees_with(&history));
        match known {
            Some(at) if copy.histories[at].covers(&history) => return,
            Some(at) => copy.histories[at] = History::join(&copy.histories[at], history),
            None => copy.histories.push(history),
        }
        let fork = match &copy.histories[..] {
            [held, .., newest] if known.is_none() => held.fork_proof(newest),
            _ => None,
        };
        if let Some(proof) = fork {
            self.coverage.forks_met += 1;
            // Whoever forks its own feed does not say so.
            if !self.nodes[node].writers.contains_key(&key) {
                self.found_fork(node, proof);
            }
        }
        self.replay(node);
        if !self.nodes[node].is_puppet {
            for other in self.network.neighbours(node) {
                self.send_feeds(node, other);
            }
        }
    }

    /// Sends all histories that a node holds to another one that lacks them.
    pub(super) fn send_feeds(&mut self, from: usize, to: usize) {
        let theirs = &self.nodes[to].feeds;
        let lacks = |history: &&Shared| {
            let copies = theirs.get(&history.key).map_or(&[][..], |copy| &copy.histories);
            !copies.iter().any(|held| held.covers(history))
        };
        let feeds = self.nodes[from].feeds.values();
        let histories: Vec<Shared> = feeds.flat_map(|copy| &copy.histories).filter(lacks).cloned().collect();
        for history in histories {
            self.transmit(from, to, |connection| Event::Feed {
                from,
                to,
                connection,
                history: history.clone(),
            });
        }
    }

    /// A node takes the history that contains a certified head for its own, and tells its engine.
    pub(super) fn prefer(&mut self, node: usize, feed: PublicKey, head: Head) {
        let Some(copy) = self.nodes[node].feeds.get_mut(&feed) else { return };
        let found = copy.histories.iter().position(|history| history.contains(&head));
        let Some(at) = found.filter(|at| *at > 0) else { return };
        let common = copy.histories[0].shared_with(&copy.histories[at]);
        copy.histories.swap(0, at);
        copy.told = copy.told.min(common);
        self.coverage.branches_left += 1;
        self.input(node, Input::Switched { feed, common });
    }

    /// After a start the engine is told everything again.
    pub(super) fn rewind(&mut self, node: usize) {
        for copy in self.nodes[node].feeds.values_mut() {
            copy.told = 0;
            copy.started = false;
        }
    }

    /// Tells the engine what it does not know of the feeds.
    pub(super) fn replay(&mut self, node: usize) {
        let feeds: Vec<PublicKey> = self.nodes[node].feeds.keys().copied().collect();
        for feed in feeds {
            while self.tell(node, feed) {}
        }
    }

    /// Goes over to the branch of a feed that is certified, where this node has it.
    fn follow_certified(&mut self, node: usize, feed: PublicKey) {
        let engine = self.nodes[node].engine.as_ref();
        let certified =
            engine.and_then(|engine| engine.certified()).filter(|certified| certified.feed == feed);
        if let Some(head) = certified.map(|certified| *certified.head()) {
            self.prefer(node, feed, head);
        }
    }

    /// Tells the engine of one more head; tells whether it could.
    fn tell(&mut self, node: usize, feed: PublicKey) -> bool {
        self.follow_certified(node, feed);
        let here = &self.nodes[node];
        let Some(copy) = here.feeds.get(&feed) else { return false };
        let (Some(history), Some(engine)) = (copy.histories.first(), &here.engine) else { return false };
        let next = (copy.told + 1..=history.length()).find(|length| history.is_signed(*length));
        // Of a head whose blocks are not all here the rules say nothing.
        let Some(next) = next.filter(|length| history.is_whole(*length)) else { return false };
        let Some(head) = history.head(next) else { return false };
        let Some(place) = self.registry.get(&feed, &head) else { return false };
        if let Some(base) = &place.base
            && let Some(base_head) = &base.head
            && !here.history(&base.feed).is_some_and(|history| history.contains(base_head))
        {
            // Without the blocks before it the rules cannot tell.
            return false;
        }
        let place = place.clone();
        if let Some(start) = &place.start
            && !copy.started
        {
            let Ok(start) = engine.check_start(start.clone()) else { return false };
            if let Some(copy) = self.nodes[node].feeds.get_mut(&feed) {
                copy.started = true;
            }
            self.input(node, Input::Started(Box::new(start)));
            return true;
        }
        if let Some(copy) = self.nodes[node].feeds.get_mut(&feed) {
            copy.told = head.length();
            copy.started = false;
        }
        if place.refused {
            self.refuse(node, feed, head, &place);
            return true;
        }
        let closes = self.closes(node, feed, &head, &place);
        self.input(
            node,
            Input::Checked(Checked {
                epoch: place.epoch,
                feed,
                head,
                state_root: place.state_root,
                rules_hash: RULES,
                substance: place.substance,
                closes,
            }),
        );
        true
    }

    /// Shows the change of validators that a head ends with.
    fn closes(&self, node: usize, feed: PublicKey, head: &Head, place: &Place) -> Option<Box<Closes>> {
        let next = place.closes.clone()?;
        let history = self.nodes[node].history(&feed)?;
        let (index, length) = (head.length() - 1, head.length());
        let nodes = Inclusion::nodes(index, length, |index| history.tree().node(index))?;
        Some(Box::new(Closes { next, block: history.block(index)?, nodes }))
    }

    /// The host of a node's epoch, if it is that node, puts a change of validators into its feed: the candidate comes,
    /// or goes.
    pub fn change_validators(&mut self, node: usize, candidate: usize) {
        let here = &self.nodes[node];
        let Some(feed) = here.current.filter(|feed| here.writers.contains_key(feed)) else { return };
        let (Some(validators), Some(history)) = (&here.validators, here.history(&feed)) else { return };
        let Some(place) = history.head(history.length()).and_then(|head| self.registry.get(&feed, &head))
        else {
            return;
        };
        let Some(signer) = &self.nodes[candidate].identity.vote else { return };
        if place.closes.is_some() || place.refused || here.engine.is_none() {
            return;
        }
        let key = signer.public();
        let comes = !validators.contains(&key);
        let keys: Vec<PublicKey> = validators.keys().copied().filter(|held| *held != key).collect();
        let Ok(next) = ValidatorSet::new(keys.into_iter().chain(comes.then_some(key)), 0) else { return };
        let body = encode_change(&next, comes.then(|| signer.prove_possession()));
        let entry = Entry::Proof(Proof { kind: ProofKind::ValidatorChange, body }).encode();
        let epoch = place.epoch;
        self.append(node, feed, &Block::Change(entry, next), epoch);
        self.coverage.changes += 1;
    }

    /// The writer has signed a history with a block that the rules refuse: the first one counts.
    fn refuse(&mut self, node: usize, feed: PublicKey, head: Head, place: &Place) {
        let Some(history) = self.nodes[node].history(&feed).cloned() else { return };
        let is_refused = |length: &u64| {
            history
                .head(*length)
                .and_then(|head| self.registry.get(&feed, &head))
                .is_some_and(|place| place.refused)
        };
        let Some(bad) = (1..=head.length()).find(is_refused) else { return };
        if (bad..head.length()).any(|length| history.is_signed(length)) {
            // It was told with an earlier head.
            return;
        }
        self.coverage.refusals += 1;
        if bad == head.length() {
            let epoch = place.epoch;
            self.input(
                node,
                Input::Refused(Refused { epoch, feed, head, rules_hash: RULES, rule: 1, code: 2 }),
            );
        }
        let (index, length) = (bad - 1, head.length());
        let nodes = Inclusion::nodes(index, length, |index| history.tree().node(index));
        if let (Some(nodes), Some(signature), Some(block)) =
            (nodes, history.signature(length), history.block(index))
        {
            self.accuse(node, Claim::BadAppend { key: feed, length, nodes, signature, index, block });
        }
    }

    /// A node hears of an action.
    pub(super) fn hear(&mut self, node: usize, action: u64) {
        let now = self.now;
        let here = &mut self.nodes[node];
        if here.engine.is_none() || here.done.contains(&action) || here.waiting.contains_key(&action) {
            return;
        }
        here.waiting.insert(action, now);
        self.pending(node);
        for to in self.network.neighbours(node) {
            self.transmit(node, to, |connection| Event::Action { to, connection, action });
        }
    }

    /// Tells the engine since when an action waits.
    pub(super) fn pending(&mut self, node: usize) {
        let since = self.nodes[node].waiting.values().min().map(|at| self.instant(*at));
        self.input(node, Input::Pending { since });
    }

    /// An honest host appends what waits and is not in its feed.
    pub(super) fn host_appends(&mut self, node: usize) {
        if !self.hosts_append {
            return;
        }
        let here = &self.nodes[node];
        let Some(feed) = here.current.filter(|feed| here.writers.contains_key(feed)) else { return };
        let Some(history) = here.history(&feed) else { return };
        let Some(place) = history.head(history.length()).and_then(|head| self.registry.get(&feed, &head))
        else {
            return;
        };
        let missing = here.waiting.keys().copied().find(|action| !place.has(*action));
        if let Some(action) = missing.filter(|_| place.closes.is_none() && !place.refused) {
            let epoch = place.epoch;
            self.append(node, feed, &Block::Action(action), epoch);
        }
    }

    /// All send what they hold to those who lack it.
    pub(super) fn gossip(&mut self) {
        for from in 0..self.nodes.len() {
            if !self.nodes[from].is_up() || self.nodes[from].is_puppet {
                continue;
            }
            let actions: Vec<u64> = self.nodes[from].waiting.keys().copied().collect();
            for to in self.network.neighbours(from) {
                self.send_feeds(from, to);
                for &action in &actions {
                    let there = &self.nodes[to];
                    if !there.waiting.contains_key(&action) && !there.done.contains(&action) {
                        self.transmit(from, to, |connection| Event::Action { to, connection, action });
                    }
                }
            }
            self.replay(from);
        }
    }
}
