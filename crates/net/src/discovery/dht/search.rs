//! One search: closer and closer to a target, until the closest have answered.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;

use quorate_types::DiscoveryKey;
use quorate_types::limits::{MAX_DHT_ASKED, MAX_DHT_NODES_PER_HOST, MAX_DHT_PEERS};

use super::NodeId;
use super::message::Contact;

/// Questions of one search that wait for their answers at once (dht-rpc 4, k-rpc 4: 16).
const CONCURRENCY: usize = 8;

/// Nodes that a search knows of; the farthest are forgotten.
const MAX_CANDIDATES: usize = 64;

/// Peers of one search that are told; whoever names more is not to be believed.
const MAX_PEERS: usize = 2 * MAX_DHT_PEERS;

/// What a search is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To know nodes.
    Nodes,
    /// To find peers of a feed.
    Feed(DiscoveryKey),
}

/// A search that runs.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) target: NodeId,
    pub(super) purpose: Purpose,
    /// Nodes by their distance to the target.
    candidates: BTreeMap<NodeId, Candidate>,
    /// Nodes that are only known by their address.
    nameless: Vec<SocketAddrV4>,
    asked: BTreeSet<SocketAddrV4>,
    waiting: usize,
    answers: usize,
    found: BTreeSet<SocketAddrV4>,
}

#[derive(Debug)]
struct Candidate {
    node: Contact,
    state: State,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Heard,
    Asked,
    Answered(Option<Vec<u8>>),
    Failed,
}

impl Search {
    /// Begins with nodes that are known by id, and others that are only known by address.
    pub(super) fn new(
        target: NodeId,
        purpose: Purpose,
        known: Vec<Contact>,
        nameless: Vec<SocketAddrV4>,
    ) -> Self {
        let mut search = Self {
            target,
            purpose,
            candidates: BTreeMap::new(),
            nameless,
            asked: BTreeSet::new(),
            waiting: 0,
            answers: 0,
            found: BTreeSet::new(),
        };
        search.heard_all(known);
        search
    }

    /// Takes in nodes that may be asked.
    pub(super) fn heard_all(&mut self, nodes: impl IntoIterator<Item = Contact>) {
        for node in nodes {
            self.heard(node);
        }
    }

    /// Returns whom to ask next, and who it should be; `None` when nobody is to be asked now.
    pub(super) fn next(&mut self, closest: usize) -> Option<(SocketAddrV4, Option<NodeId>)> {
        if self.waiting >= CONCURRENCY || self.asked.len() >= MAX_DHT_ASKED {
            return None;
        }
        while let Some(address) = self.nameless.pop() {
            if self.asked.insert(address) {
                self.waiting += 1;
                return Some((address, None));
            }
        }
        loop {
            let live = self.candidates.values_mut().filter(|candidate| candidate.state != State::Failed);
            let candidate = live.take(closest).find(|candidate| candidate.state == State::Heard)?;
            if self.asked.insert(candidate.node.address) {
                candidate.state = State::Asked;
                self.waiting += 1;
                return Some((candidate.node.address, Some(candidate.node.id)));
            }
            // Another name of somebody who is asked already.
            candidate.state = State::Failed;
        }
    }

    /// Tells whether nothing is left to ask and to wait for.
    pub(super) fn is_over(&mut self, closest: usize) -> bool {
        if self.waiting > 0 || !self.nameless.is_empty() && self.asked.len() < MAX_DHT_ASKED {
            return false;
        }
        let live = self.candidates.values().filter(|candidate| candidate.state != State::Failed);
        let is_open = live.take(closest).any(|candidate| candidate.state == State::Heard);
        !is_open || self.asked.len() >= MAX_DHT_ASKED
    }

    /// Takes in an answer: who gave it, and the nodes that it names.
    pub(super) fn answered(
        &mut self,
        expected: Option<NodeId>,
        from: SocketAddrV4,
        id: Option<NodeId>,
        token: Option<Vec<u8>>,
        nodes: impl IntoIterator<Item = Contact>,
    ) {
        self.waiting = self.waiting.saturating_sub(1);
        self.answers += 1;
        if let Some(expected) = expected
            && id != Some(expected)
        {
            self.fail(&expected);
        }
        if let Some(id) = id {
            let candidate = Candidate { node: Contact { id, address: from }, state: State::Answered(token) };
            self.candidates.insert(self.target.distance(&id), candidate);
        }
        self.heard_all(nodes);
        while self.candidates.len() > MAX_CANDIDATES {
            self.candidates.pop_last();
        }
    }

    /// Takes in that nobody answered.
    pub(super) fn unanswered(&mut self, expected: Option<NodeId>) {
        self.waiting = self.waiting.saturating_sub(1);
        if let Some(expected) = expected {
            self.fail(&expected);
        }
    }

    /// Notes a peer; true when it is a new one, and not too many.
    pub(super) fn found(&mut self, peer: SocketAddrV4) -> bool {
        self.found.len() < MAX_PEERS && self.found.insert(peer)
    }

    /// Counts the answers.
    pub(super) fn answers(&self) -> usize {
        self.answers
    }

    /// Returns the closest nodes that answered, with the tokens that they gave.
    pub(super) fn holders(self, closest: usize) -> Vec<(Contact, Vec<u8>)> {
        let answered = self.candidates.into_values().filter_map(|candidate| match candidate.state {
            State::Answered(token) => Some((candidate.node, token)),
            State::Heard | State::Asked | State::Failed => None,
        });
        answered.take(closest).filter_map(|(node, token)| Some((node, token?))).collect()
    }

    fn heard(&mut self, node: Contact) {
        let of_host =
            self.candidates.values().filter(|other| other.node.address.ip() == node.address.ip()).count();
        if self.asked.contains(&node.address) || of_host >= MAX_DHT_NODES_PER_HOST {
            return;
        }
        let distance = self.target.distance(&node.id);
        self.candidates.entry(distance).or_insert(Candidate { node, state: State::Heard });
    }

    fn fail(&mut self, id: &NodeId) {
        if let Some(candidate) = self.candidates.get_mut(&self.target.distance(id)) {
            candidate.state = State::Failed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::DhtKind;
    use super::*;

    fn node(first: u8, host: u8) -> Contact {
        let id = NodeId::new(DhtKind::Hyperswarm, &[first; 32]);
        Contact { id, address: SocketAddrV4::new([10, 0, host, 1].into(), 1) }
    }

    fn search(known: Vec<Contact>, nameless: Vec<SocketAddrV4>) -> Search {
        Search::new(NodeId::new(DhtKind::Hyperswarm, &[0; 32]), Purpose::Nodes, known, nameless)
    }

    #[test]
    fn it_ends_when_the_closest_have_answered() {
        let mut search = search(vec![node(9, 9), node(8, 8)], Vec::new());
        assert_eq!(search.next(2), Some((node(8, 8).address, Some(node(8, 8).id))));
        let named = [node(1, 1), node(2, 2)];
        search.answered(Some(node(8, 8).id), node(8, 8).address, Some(node(8, 8).id), None, named);
        // Those are closer than the other one that it began with.
        assert_eq!(search.next(2).map(|(address, _)| address), Some(node(1, 1).address));
        assert_eq!(search.next(2).map(|(address, _)| address), Some(node(2, 2).address));
        assert_eq!(search.next(2), None);
        for one in named {
            assert!(!search.is_over(2));
            search.answered(Some(one.id), one.address, Some(one.id), Some(vec![1]), [node(9, 9)]);
        }
        assert!(search.is_over(2));
        assert_eq!(search.holders(2), [(node(1, 1), vec![1]), (node(2, 2), vec![1])]);
    }

    #[test]
    fn who_answers_with_another_name_is_not_who_was_meant() {
        let mut search = search(vec![node(1, 1)], Vec::new());
        search.next(1);
        search.answered(Some(node(1, 1).id), node(1, 1).address, Some(node(7, 1).id), Some(vec![1]), []);
        assert_eq!(search.holders(8), [(Contact { id: node(7, 1).id, ..node(1, 1) }, vec![1])]);
    }

    #[test]
    fn nobody_is_asked_twice() {
        let mut search = search(vec![node(1, 1)], vec![node(1, 1).address, node(1, 1).address]);
        assert_eq!(search.next(8), Some((node(1, 1).address, None)));
        assert_eq!(search.next(8), None);
        // Those who answer name each other, and themselves with other names.
        let other = Contact { id: node(2, 2).id, ..node(1, 1) };
        search.answered(None, node(1, 1).address, Some(node(1, 1).id), None, [node(1, 1), other]);
        assert_eq!(search.next(8), None);
        assert!(search.is_over(8));
    }

    #[test]
    fn endless_closer_nodes_end() {
        let mut search = search(vec![node(255, 255)], Vec::new());
        let mut asked = 0;
        while let Some((address, expected)) = search.next(20) {
            asked += 1;
            // Each answer names a closer one, at a host of its own.
            let mut id = [0; 32];
            id[1] = 255 - asked as u8;
            id[2] = (asked >> 8) as u8;
            let host = [10, (asked >> 8) as u8, asked as u8, 2];
            let closer = Contact {
                id: NodeId::new(DhtKind::Hyperswarm, &id),
                address: SocketAddrV4::new(host.into(), 1),
            };
            search.answered(expected, address, expected, None, [closer]);
        }
        assert!(asked <= MAX_DHT_ASKED, "{asked}");
        assert!(search.is_over(20));
    }

    #[test]
    fn one_host_is_asked_a_few_times_only() {
        let liars = (1..=200).map(|first| {
            let address = SocketAddrV4::new([10, 6, 6, 6].into(), u16::from(first));
            Contact { address, ..node(first, 1) }
        });
        let mut search = search(liars.collect(), Vec::new());
        let mut asked = 0;
        while search.next(20).is_some() {
            asked += 1;
            search.unanswered(None);
        }
        assert_eq!(asked, MAX_DHT_NODES_PER_HOST);
    }
}
