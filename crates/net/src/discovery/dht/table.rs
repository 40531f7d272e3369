//! Nodes that have answered.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use quorate_types::limits::{MAX_DHT_NODES_PER_HOST, MAX_DHT_TABLE};

use super::NodeId;
use super::message::Contact;

/// Nodes that share a number of leading bits with our id (dht-rpc 4, k-rpc 4: 20).
const BUCKET: usize = 20;

/// Questions in a row that a node may leave without an answer.
const PATIENCE: u32 = 2;

/// Remembers nodes, near ones more closely than far ones; what it remembers has answered us.
#[derive(Debug)]
pub(super) struct Table {
    own: NodeId,
    nodes: BTreeMap<NodeId, Entry>,
}

#[derive(Debug)]
struct Entry {
    address: SocketAddrV4,
    failures: u32,
}

impl Table {
    pub(super) fn new(own: NodeId) -> Self {
        Self { own, nodes: BTreeMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Notes that a node answered. One that is there already keeps its address as long as it answers from it.
    pub(super) fn answered(&mut self, node: Contact) {
        if node.id == self.own {
            return;
        }
        if let Some(entry) = self.nodes.get_mut(&node.id) {
            if entry.address == node.address {
                entry.failures = 0;
            }
            return;
        }
        let of_host = self.nodes.values().filter(|entry| entry.address.ip() == node.address.ip()).count();
        if of_host < MAX_DHT_NODES_PER_HOST && self.make_room(&node.id) {
            self.nodes.insert(node.id, Entry { address: node.address, failures: 0 });
        }
    }

    /// Notes that a node did not answer.
    pub(super) fn failed(&mut self, id: &NodeId, address: SocketAddrV4) {
        let Some(entry) = self.nodes.get_mut(id).filter(|entry| entry.address == address) else { return };
        entry.failures += 1;
        if entry.failures >= PATIENCE {
            self.nodes.remove(id);
        }
    }

    /// Returns the nodes closest to an id, the closest first.
    pub(super) fn closest(&self, target: &NodeId, count: usize) -> Vec<Contact> {
        let mut nodes: Vec<Contact> =
            self.nodes.iter().map(|(id, entry)| Contact { id: *id, address: entry.address }).collect();
        nodes.sort_by_key(|node| node.id.distance(target));
        nodes.truncate(count);
        nodes
    }

    /// Nodes that answer stay; one that failed makes room.
    fn make_room(&mut self, id: &NodeId) -> bool {
        let bucket = |id: &NodeId| self.own.distance(id).leading_zeros();
        let of_bucket: Vec<&NodeId> = self.nodes.keys().filter(|other| bucket(other) == bucket(id)).collect();
        if of_bucket.len() < BUCKET && self.nodes.len() < MAX_DHT_TABLE {
            return true;
        }
        let failed = |id: &NodeId| self.nodes.get(id).is_some_and(|entry| entry.failures > 0);
        match of_bucket.into_iter().find(|id| failed(id)).copied() {
            Some(victim) => self.nodes.remove(&victim).is_some(),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::DhtKind;
    use super::*;

    fn node(first: u8, last: u8, host: u8) -> Contact {
        let mut id = [0; 32];
        (id[0], id[31]) = (first, last);
        let address = SocketAddrV4::new([10, 0, last, host].into(), 1);
        Contact { id: NodeId::new(DhtKind::Hyperswarm, &id), address }
    }

    fn table() -> Table {
        Table::new(NodeId::new(DhtKind::Hyperswarm, &[0; 32]))
    }

    #[test]
    fn a_far_bucket_is_full_soon_and_a_near_one_has_room() {
        let mut table = table();
        for last in 1..=100 {
            table.answered(node(0x80, last, 1));
        }
        assert_eq!(table.len(), BUCKET);
        table.answered(node(0x40, 1, 1));
        assert_eq!(table.len(), BUCKET + 1);
        let closest = table.closest(&node(0x40, 2, 1).id, 2);
        assert_eq!(closest, [node(0x40, 1, 1), node(0x80, 2, 1)]);
    }

    #[test]
    fn who_does_not_answer_makes_room() {
        let mut table = table();
        for last in 1..=20 {
            table.answered(node(0x80, last, 1));
        }
        let silent = node(0x80, 7, 1);
        table.failed(&silent.id, silent.address);
        table.answered(node(0x80, 99, 1));
        assert_eq!(table.len(), BUCKET);
        assert!(!table.closest(&silent.id, 20).contains(&silent));
        assert!(table.closest(&silent.id, 20).contains(&node(0x80, 99, 1)));
        // Twice is enough where nobody waits.
        let silent = node(0x80, 8, 1);
        table.failed(&silent.id, silent.address);
        table.failed(&silent.id, silent.address);
        assert_eq!(table.len(), BUCKET - 1);
    }

    #[test]
    fn nobody_takes_the_id_of_another() {
        let mut table = table();
        let honest = node(1, 1, 1);
        table.answered(honest);
        let thief = Contact { address: node(1, 1, 66).address, ..honest };
        table.answered(thief);
        table.failed(&thief.id, thief.address);
        table.failed(&thief.id, thief.address);
        assert_eq!(table.closest(&honest.id, 1), [honest]);
    }

    #[test]
    fn one_host_is_not_the_whole_table() {
        let mut table = table();
        for first in 1..=255 {
            let host = SocketAddrV4::new([10, 6, 6, 6].into(), u16::from(first));
            table.answered(Contact { address: host, ..node(first, 1, 1) });
        }
        assert_eq!(table.len(), MAX_DHT_NODES_PER_HOST);
    }
}
