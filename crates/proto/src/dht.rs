//! Datagrams of the DHT of hyperswarm 2 (dht-rpc 4, @hyperswarm/dht 4).

use core::net::SocketAddrV4;

use bytes::Bytes;
use prost::Message;
use quorate_types::limits::{MAX_DHT_BYTES, MAX_DHT_NODES, MAX_DHT_PEERS, MAX_DHT_TOKEN_BYTES};

use crate::ProtoError;
use crate::pb_dht as pb;

/// Version of the messages; the id of a sender with another one does not count (dht-rpc 4 `lib/io.js`).
const VERSION: u64 = 1;

/// Length of an id, bytes.
const ID_BYTES: usize = 32;

/// Bytes of an address: IPv4, and a port.
const ADDRESS_BYTES: usize = 6;

/// A datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DhtMessage {
    /// Id of the question; the same in its answer.
    pub rid: u64,
    /// Id of the sender; `None` where it is no lasting node.
    pub id: Option<[u8; ID_BYTES]>,
    /// Whom it is sent to, as the sender sees it.
    pub to: Option<SocketAddrV4>,
    /// What it says.
    pub body: DhtBody,
}

/// What a datagram says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DhtBody {
    /// A question.
    Question {
        /// What is asked.
        command: DhtCommand,
        /// What it is about.
        target: Option<[u8; ID_BYTES]>,
        /// Present where something is changed by it: what the node sent us before.
        token: Option<Bytes>,
    },
    /// An answer.
    Answer(DhtAnswer),
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DhtCommand {
    /// Whether the node is there.
    Ping,
    /// For nodes close to the target.
    FindNode,
    /// For peers that announced the target; with a token it announces, or takes back.
    Peers(PeersQuestion),
    /// Something else.
    Other,
}

/// About peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PeersQuestion {
    /// TCP port of the asker; `None` is the port that it sends from.
    pub port: Option<u16>,
    /// Where it is in its own network.
    pub local: Option<SocketAddrV4>,
    /// Takes an announcement back.
    pub unannounce: bool,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DhtAnswer {
    /// Nodes closer to the target: at most [`MAX_DHT_NODES`], the rest is left out.
    pub nodes: Vec<([u8; ID_BYTES], SocketAddrV4)>,
    /// What shows, with an announcement, that we are who we say.
    pub token: Option<Bytes>,
    /// Peers: at most [`MAX_DHT_PEERS`], the rest is left out.
    pub peers: Vec<SocketAddrV4>,
    /// Peers of the asker's network: the last two bytes of each address, and its port.
    pub local_peers: Vec<([u8; 2], u16)>,
    /// It is a refusal.
    pub refused: bool,
}

impl DhtMessage {
    /// Reads a datagram. An address with port 0 is left out.
    ///
    /// # Errors
    ///
    /// [`ProtoError`] when it is none, is too large, or lacks what it must have.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProtoError> {
        const MESSAGE: &str = "dht";
        if bytes.len() > MAX_DHT_BYTES {
            let (limit, found) = (MAX_DHT_BYTES, bytes.len());
            return Err(ProtoError::TooLong { message: MESSAGE, field: "datagram", limit, found });
        }
        let malformed = |error| ProtoError::Malformed { message: MESSAGE, error };
        let missing = |field| ProtoError::Missing { message: MESSAGE, field };
        let message = pb::Message::decode(bytes).map_err(malformed)?;
        let kind = message.r#type.ok_or_else(|| missing("type"))?;
        let rid = message.rid.ok_or_else(|| missing("rid"))?;
        let is_current = message.version == Some(VERSION);
        let id = message.id.filter(|_| is_current).map(|id| fixed(MESSAGE, "id", &id)).transpose()?;
        let target = message.target.map(|target| fixed(MESSAGE, "target", &target)).transpose()?;
        let token = match message.roundtrip_token {
            Some(token) if token.len() > MAX_DHT_TOKEN_BYTES => {
                let (limit, found) = (MAX_DHT_TOKEN_BYTES, token.len());
                return Err(ProtoError::TooLong { message: MESSAGE, field: "roundtripToken", limit, found });
            }
            token => token,
        };
        let to = message.to.as_deref().and_then(|to| addresses(to, 1).into_iter().next());
        let value = message.value.unwrap_or_default();
        let body = match pb::message::Type::try_from(kind) {
            Ok(pb::message::Type::Response) => {
                let output = pb::PeersOutput::decode(value).unwrap_or_default();
                DhtBody::Answer(DhtAnswer {
                    nodes: nodes(&message.closer_nodes.unwrap_or_default()),
                    token,
                    peers: addresses(&output.peers.unwrap_or_default(), MAX_DHT_PEERS),
                    local_peers: local_peers(&output.local_peers.unwrap_or_default()),
                    refused: message.error.is_some(),
                })
            }
            Ok(pb::message::Type::Query | pb::message::Type::Update) => {
                let command = command(message.command.as_deref(), value)?;
                DhtBody::Question { command, target, token }
            }
            Err(_) => {
                let found = u64::from(kind.unsigned_abs());
                return Err(ProtoError::OutOfRange { message: MESSAGE, field: "type", limit: 3, found });
            }
        };
        Ok(Self { rid, id, to, body })
    }

    /// Encodes the datagram.
    pub fn encode(&self) -> Vec<u8> {
        let mut message = pb::Message {
            rid: Some(self.rid),
            id: self.id.map(|id| Bytes::copy_from_slice(&id)),
            to: self.to.map(|to| address_bytes(&[to])),
            version: Some(VERSION),
            ..pb::Message::default()
        };
        match &self.body {
            DhtBody::Question { command, target, token } => {
                let kind = if token.is_some() { pb::message::Type::Update } else { pb::message::Type::Query };
                message.r#type = Some(kind.into());
                message.target = target.map(|target| Bytes::copy_from_slice(&target));
                message.roundtrip_token.clone_from(token);
                message.command = Some(command.name().into());
                if let DhtCommand::Peers(question) = command {
                    message.value = Some(question.encode());
                }
            }
            DhtBody::Answer(answer) => {
                message.r#type = Some(pb::message::Type::Response.into());
                message.roundtrip_token.clone_from(&answer.token);
                message.closer_nodes = some(node_bytes(&answer.nodes));
                message.error = answer.refused.then(|| "refused".into());
                let local: Vec<u8> = answer
                    .local_peers
                    .iter()
                    .flat_map(|(end, port)| [&end[..], &port.to_be_bytes()].concat())
                    .collect();
                let output = pb::PeersOutput {
                    peers: some(address_bytes(&answer.peers)),
                    local_peers: some(local.into()),
                };
                message.value = some(output.encode_to_vec().into());
            }
        }
        message.encode_to_vec()
    }
}

impl DhtCommand {
    fn name(&self) -> &'static str {
        match self {
            Self::Ping => "_ping",
            Self::FindNode => "_find_node",
            Self::Peers(_) => "peers",
            Self::Other => "",
        }
    }
}

impl PeersQuestion {
    fn decode(value: Bytes) -> Result<Self, ProtoError> {
        const MESSAGE: &str = "dht peers";
        let malformed = |error| ProtoError::Malformed { message: MESSAGE, error };
        let input = pb::PeersInput::decode(value).map_err(malformed)?;
        let port = match input.port.unwrap_or(0) {
            0 => None,
            port => Some(u16::try_from(port).map_err(|_| {
                let limit = u64::from(u16::MAX);
                ProtoError::OutOfRange { message: MESSAGE, field: "port", limit, found: port.into() }
            })?),
        };
        let local = input.local_address.as_deref().and_then(|local| address(local.try_into().ok()?));
        Ok(Self { port, local, unannounce: input.unannounce.unwrap_or(false) })
    }

    fn encode(&self) -> Bytes {
        let input = pb::PeersInput {
            port: self.port.map(u32::from),
            local_address: self.local.map(|local| address_bytes(&[local])),
            unannounce: self.unannounce.then_some(true),
        };
        input.encode_to_vec().into()
    }
}

fn command(name: Option<&str>, value: Bytes) -> Result<DhtCommand, ProtoError> {
    Ok(match name {
        Some("_ping") => DhtCommand::Ping,
        Some("_find_node") => DhtCommand::FindNode,
        Some("peers") => DhtCommand::Peers(PeersQuestion::decode(value)?),
        _ => DhtCommand::Other,
    })
}

fn fixed<const N: usize>(
    message: &'static str,
    field: &'static str,
    value: &[u8],
) -> Result<[u8; N], ProtoError> {
    let found = value.len();
    value.try_into().map_err(|_| ProtoError::Length { message, field, expected: N, found })
}

fn some(bytes: Bytes) -> Option<Bytes> {
    (!bytes.is_empty()).then_some(bytes)
}

fn address(bytes: [u8; ADDRESS_BYTES]) -> Option<SocketAddrV4> {
    let [a, b, c, d, high, low] = bytes;
    Some(SocketAddrV4::new([a, b, c, d].into(), u16::from_be_bytes([high, low])))
}

fn addresses(bytes: &[u8], limit: usize) -> Vec<SocketAddrV4> {
    let all = bytes.as_chunks::<ADDRESS_BYTES>().0.iter().filter_map(|bytes| address(*bytes));
    all.filter(|address| address.port() != 0).take(limit).collect()
}

fn address_bytes(addresses: &[SocketAddrV4]) -> Bytes {
    let bytes = |address: &SocketAddrV4| [&address.ip().octets()[..], &address.port().to_be_bytes()].concat();
    addresses.iter().flat_map(bytes).collect::<Vec<u8>>().into()
}

fn nodes(bytes: &[u8]) -> Vec<([u8; ID_BYTES], SocketAddrV4)> {
    let all = bytes.as_chunks::<{ ID_BYTES + ADDRESS_BYTES }>().0.iter().filter_map(|bytes| {
        let (id, rest) = bytes.split_first_chunk::<ID_BYTES>()?;
        Some((*id, address(rest.try_into().ok()?)?))
    });
    all.filter(|(_, address)| address.port() != 0).take(MAX_DHT_NODES).collect()
}

fn node_bytes(nodes: &[([u8; ID_BYTES], SocketAddrV4)]) -> Bytes {
    let bytes =
        |(id, address): &([u8; ID_BYTES], SocketAddrV4)| [&id[..], &address_bytes(&[*address])].concat();
    nodes.iter().flat_map(bytes).collect::<Vec<u8>>().into()
}

fn local_peers(bytes: &[u8]) -> Vec<([u8; 2], u16)> {
    let all = bytes.as_chunks::<4>().0.iter();
    all.map(|[c, d, high, low]| ([*c, *d], u16::from_be_bytes([*high, *low])))
        .filter(|(_, port)| *port != 0)
        .take(MAX_DHT_PEERS)
        .collect()
}

#[cfg(test)]
mod tests;
