//! Distributed hash tables: BitTorrent's, by which dat 13 finds peers, and that of hyperswarm 2 (dat 14, dat-sdk 2,
//! hyperspace 3).
//!
//! Both are Kademlia, with other words for the same things:
//!
//! | | BitTorrent (BEP 5) | hyperswarm 2 (dht-rpc 4, @hyperswarm/dht 4) |
//! |---|---|---|
//! | datagrams | bencode | protobuf |
//! | ids | 20 bytes | 32 bytes |
//! | a feed | the first 20 bytes of its discovery key | its discovery key |
//! | question for peers | `get_peers` | query `peers` |
//! | announcement, with the token of an answer | `announce_peer` | update `peers` |
//! | taking it back | it runs out | update `peers` with `unannounce` |
//!
//! [`DhtDiscovery`] is a client of either: it asks, announces, and answers what it is asked about its own table, but
//! keeps nothing for others. [`start`] runs it on a socket.

mod client;
mod krpc;
mod message;
mod node_id;
mod rate;
mod rpc;
mod search;
mod socket;
mod table;

pub use client::{DhtConfig, DhtCounts, DhtDiscovery, DhtInput, DhtOutput};
pub use message::{
    Contact, DhtError, Message, Question, Reply, Transaction, decode, encode_question, encode_reply,
};
pub use node_id::NodeId;
pub use socket::{Dht, DhtStatus, NodeName, StartDht, start};

/// Which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DhtKind {
    /// BitTorrent's.
    BitTorrent,
    /// That of hyperswarm 2.
    Hyperswarm,
}

impl DhtKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::BitTorrent, Self::Hyperswarm];

    /// Length of an id, bytes.
    pub(crate) const fn id_bytes(self) -> usize {
        match self {
            Self::BitTorrent => 20,
            Self::Hyperswarm => 32,
        }
    }

    /// Nodes that an announcement goes to (BEP 5: 8; dht-rpc 4 `lib/query-table.js`: 20).
    pub(crate) const fn closest(self) -> usize {
        match self {
            Self::BitTorrent => 8,
            Self::Hyperswarm => 20,
        }
    }

    /// Port of a node whose name says none (k-rpc 4 `index.js`; @hyperswarm/dht 4 `index.js`).
    const fn default_port(self) -> u16 {
        match self {
            Self::BitTorrent => 6881,
            Self::Hyperswarm => 49737,
        }
    }
}
