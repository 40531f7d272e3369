//! What both tables say, in one form.

use std::net::SocketAddrV4;

use quorate_proto::ProtoError;
use quorate_types::limits::MAX_DHT_BYTES;

use super::{DhtKind, NodeId, krpc, rpc};

/// A datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A question.
    Question {
        /// What its answer has to carry.
        transaction: Transaction,
        /// What is asked.
        question: Question,
    },
    /// An answer.
    Reply {
        /// What the question carried.
        transaction: Transaction,
        /// What is answered.
        reply: Reply,
    },
}

/// Id of a question, as it is on the wire: of its sender's making, at most 16 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction(Vec<u8>);

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Whether the node is there.
    Ping,
    /// For nodes close to the target.
    FindNode {
        /// Any id.
        target: NodeId,
    },
    /// For peers that announced a feed.
    Peers {
        /// The feed.
        target: NodeId,
        /// How we would announce it.
        port: Option<u16>,
        /// Where we are in our own network; hyperswarm only.
        local: Option<SocketAddrV4>,
    },
    /// A peer carries a feed.
    Announce {
        /// The feed.
        target: NodeId,
        /// TCP port of the peer.
        port: u16,
        /// Where it is in its own network; hyperswarm only.
        local: Option<SocketAddrV4>,
        /// What the node sent us before.
        token: Vec<u8>,
    },
    /// It carries it no more; hyperswarm only.
    Unannounce {
        /// The feed.
        target: NodeId,
        /// TCP port of the peer.
        port: u16,
        /// Where it is in its own network.
        local: Option<SocketAddrV4>,
        /// What the node sent us before.
        token: Vec<u8>,
    },
    /// Something else.
    Other,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    /// Who answers; `None` where it is no lasting node.
    pub id: Option<NodeId>,
    /// Nodes closer to the target.
    pub nodes: Vec<Contact>,
    /// What shows, with an announcement, that we are who we say.
    pub token: Option<Vec<u8>>,
    /// Peers that announced the feed.
    pub peers: Vec<SocketAddrV4>,
    /// Those of the asker's network: the last two bytes of each address, and its port.
    pub local_peers: Vec<([u8; 2], u16)>,
    /// It is a refusal.
    pub refused: bool,
}

/// A node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contact {
    /// Its name.
    pub id: NodeId,
    /// Where it is.
    pub address: SocketAddrV4,
}

/// Why a datagram says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DhtError {
    /// It is larger than any that is needed.
    #[error("expected at most {MAX_DHT_BYTES} bytes in a datagram of a DHT, found {found}")]
    TooLong {
        /// Bytes that came.
        found: usize,
    },
    /// It is no bencode, or not in the one form that it has.
    #[error("expected bencode, found malformed bytes: {reason}")]
    Bencode {
        /// What the decoder found.
        reason: String,
    },
    /// It lacks something, or something has another form.
    #[error("expected {expected} in field `{field}`, found something else, or nothing")]
    Field {
        /// Name of the field.
        field: &'static str,
        /// What it should hold.
        expected: &'static str,
    },
    /// It is no message of dht-rpc.
    #[error(transparent)]
    Proto(#[from] ProtoError),
}

/// Reads a datagram.
pub fn decode(kind: DhtKind, bytes: &[u8]) -> Result<Message, DhtError> {
    if bytes.len() > MAX_DHT_BYTES {
        return Err(DhtError::TooLong { found: bytes.len() });
    }
    match kind {
        DhtKind::BitTorrent => krpc::decode(bytes),
        DhtKind::Hyperswarm => rpc::decode(bytes),
    }
}

/// Writes a question of ours to a node. `id` is our own: only BitTorrent is told.
pub fn encode_question(
    kind: DhtKind,
    id: &NodeId,
    transaction: &Transaction,
    to: SocketAddrV4,
    question: &Question,
) -> Vec<u8> {
    match kind {
        DhtKind::BitTorrent => krpc::encode_question(id, transaction, question),
        DhtKind::Hyperswarm => rpc::encode_question(transaction, to, question),
    }
}

/// Writes an answer to somebody.
pub fn encode_reply(kind: DhtKind, transaction: &Transaction, to: SocketAddrV4, reply: &Reply) -> Vec<u8> {
    match kind {
        DhtKind::BitTorrent => krpc::encode_reply(transaction, reply),
        DhtKind::Hyperswarm => rpc::encode_reply(transaction, to, reply),
    }
}

impl Transaction {
    /// Longest id that is sent back, bytes.
    pub const MAX_BYTES: usize = 16;

    /// Makes one of ours.
    pub fn new(kind: DhtKind, number: u16) -> Self {
        match kind {
            DhtKind::BitTorrent => Self(number.to_be_bytes().to_vec()),
            DhtKind::Hyperswarm => Self(u64::from(number).to_be_bytes().to_vec()),
        }
    }

    /// Takes one of another node's; `None` when it is too long to be sent back.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (bytes.len() <= Self::MAX_BYTES).then(|| Self(bytes.to_vec()))
    }

    /// Returns the bytes.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the number, if it may be one of ours.
    pub(super) fn number(&self, kind: DhtKind) -> Option<u16> {
        let (high, low) = match (kind, self.0.as_slice()) {
            (DhtKind::BitTorrent, [high, low]) => (high, low),
            (DhtKind::Hyperswarm, [0, 0, 0, 0, 0, 0, high, low]) => (high, low),
            _ => return None,
        };
        Some(u16::from_be_bytes([*high, *low]))
    }
}
