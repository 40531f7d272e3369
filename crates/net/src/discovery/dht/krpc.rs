//! The words of BitTorrent's table (BEP 5).
//!
//! `bendy` reads bencode in its one form only, keeps no tree of it, and does not go deeper than it is told.

use std::net::SocketAddrV4;

use bendy::decoding::{Decoder, DictDecoder, Error, Object};
use bendy::encoding::{Encoder, SingleItemEncoder, SortedDictEncoder};
use quorate_types::limits::{MAX_DHT_NODES, MAX_DHT_PEERS, MAX_DHT_TOKEN_BYTES};

use super::message::{Contact, DhtError, Message, Question, Reply, Transaction};
use super::{DhtKind, NodeId};

const KIND: DhtKind = DhtKind::BitTorrent;

/// Lists and dictionaries in one another; a message has three, other extensions a few more.
const MAX_DEPTH: usize = 8;

/// Bytes of an address: IPv4, and a port.
const ADDRESS_BYTES: usize = 6;

/// Bytes of a node: its id and its address.
const NODE_BYTES: usize = KIND.id_bytes() + ADDRESS_BYTES;

/// What is read of a datagram.
#[derive(Debug, Default)]
struct Fields {
    transaction: Option<Vec<u8>>,
    kind: Option<Vec<u8>>,
    method: Option<Vec<u8>>,
    arguments: Arguments,
    reply: Option<Reply>,
    refused: bool,
}

/// What is read of the arguments of a question.
#[derive(Debug, Default)]
struct Arguments {
    target: Option<NodeId>,
    info_hash: Option<NodeId>,
    port: Option<u16>,
    implied_port: bool,
    token: Option<Vec<u8>>,
}

pub(super) fn decode(bytes: &[u8]) -> Result<Message, DhtError> {
    let fields = read(bytes).map_err(|error| DhtError::Bencode { reason: error.to_string() })?;
    let wrong = |field, expected| DhtError::Field { field, expected };
    let transaction = fields
        .transaction
        .and_then(|transaction| Transaction::from_bytes(&transaction))
        .ok_or_else(|| wrong("t", "at most 16 bytes"))?;
    match fields.kind.as_deref() {
        Some(b"r") => {
            let reply = fields.reply.ok_or_else(|| wrong("r", "a dictionary"))?;
            Ok(Message::Reply { transaction, reply })
        }
        Some(b"e") if fields.refused => {
            Ok(Message::Reply { transaction, reply: Reply { refused: true, ..Reply::default() } })
        }
        Some(b"q") => {
            let Arguments { target, info_hash, port, implied_port, token } = fields.arguments;
            let id = |id: Option<NodeId>, field| id.ok_or_else(|| wrong(field, "20 bytes"));
            let question = match fields.method.as_deref() {
                Some(b"ping") => Question::Ping,
                Some(b"find_node") => Question::FindNode { target: id(target, "target")? },
                Some(b"get_peers") => {
                    Question::Peers { target: id(info_hash, "info_hash")?, port: None, local: None }
                }
                Some(b"announce_peer") if !implied_port => Question::Announce {
                    target: id(info_hash, "info_hash")?,
                    port: port.ok_or_else(|| wrong("port", "a port"))?,
                    local: None,
                    token: token.ok_or_else(|| wrong("token", "at most 64 bytes"))?,
                },
                _ => Question::Other,
            };
            Ok(Message::Question { transaction, question })
        }
        _ => Err(wrong("y", "q, r or e")),
    }
}

fn read(bytes: &[u8]) -> Result<Fields, Error> {
    let mut decoder = Decoder::new(bytes).with_max_depth(MAX_DEPTH);
    let mut fields = Fields::default();
    if let Some(object) = decoder.next_object()? {
        let mut message = object.try_into_dictionary()?;
        while let Some((key, value)) = message.next_pair()? {
            match (key, value) {
                (b"t", Object::Bytes(bytes)) => fields.transaction = Some(bytes.to_vec()),
                (b"y", Object::Bytes(bytes)) => fields.kind = Some(bytes.to_vec()),
                (b"q", Object::Bytes(bytes)) => fields.method = Some(bytes.to_vec()),
                (b"a", Object::Dict(arguments)) => fields.arguments = read_arguments(arguments)?,
                (b"r", Object::Dict(reply)) => fields.reply = Some(read_reply(reply)?),
                (b"e", Object::List(_)) => fields.refused = true,
                // What else there is, is passed over, and is bencode too.
                _ => {}
            }
        }
    }
    // Anything behind it, and anything wrong in what was passed over, comes to light here.
    match decoder.next_object()? {
        None => Ok(fields),
        Some(_) => Err(Error::unexpected_token("the end", "another message")),
    }
}

fn read_arguments(mut dict: DictDecoder<'_, '_>) -> Result<Arguments, Error> {
    let mut arguments = Arguments::default();
    while let Some((key, value)) = dict.next_pair()? {
        match (key, value) {
            (b"target", Object::Bytes(bytes)) => arguments.target = NodeId::from_slice(KIND, bytes),
            (b"info_hash", Object::Bytes(bytes)) => arguments.info_hash = NodeId::from_slice(KIND, bytes),
            (b"port", Object::Integer(number)) => {
                arguments.port = number.parse().ok().filter(|port| *port != 0)
            }
            (b"implied_port", Object::Integer(number)) => arguments.implied_port = number != "0",
            (b"token", Object::Bytes(bytes)) => arguments.token = token(bytes),
            _ => {}
        }
    }
    Ok(arguments)
}

fn read_reply(mut dict: DictDecoder<'_, '_>) -> Result<Reply, Error> {
    let mut reply = Reply::default();
    while let Some((key, value)) = dict.next_pair()? {
        match (key, value) {
            (b"id", Object::Bytes(bytes)) => reply.id = NodeId::from_slice(KIND, bytes),
            (b"token", Object::Bytes(bytes)) => reply.token = token(bytes),
            (b"nodes", Object::Bytes(bytes)) => {
                let nodes = bytes.as_chunks::<NODE_BYTES>().0.iter().filter_map(contact);
                reply.nodes = nodes.take(MAX_DHT_NODES).collect();
            }
            (b"values", Object::List(mut values)) => {
                while let Some(value) = values.next_object()? {
                    // IPv6 has 18 bytes, and is not used.
                    if let Object::Bytes(bytes) = value
                        && reply.peers.len() < MAX_DHT_PEERS
                    {
                        reply.peers.extend(address(bytes));
                    }
                }
            }
            _ => {}
        }
    }
    Ok(reply)
}

fn token(bytes: &[u8]) -> Option<Vec<u8>> {
    (bytes.len() <= MAX_DHT_TOKEN_BYTES).then(|| bytes.to_vec())
}

fn contact(bytes: &[u8; NODE_BYTES]) -> Option<Contact> {
    let (id, rest) = bytes.split_at_checked(KIND.id_bytes())?;
    Some(Contact { id: NodeId::from_slice(KIND, id)?, address: address(rest)? })
}

fn address(bytes: &[u8]) -> Option<SocketAddrV4> {
    let [a, b, c, d, high, low] = <[u8; ADDRESS_BYTES]>::try_from(bytes).ok()?;
    let port = u16::from_be_bytes([high, low]);
    (port != 0).then(|| SocketAddrV4::new([a, b, c, d].into(), port))
}

fn address_bytes(address: &SocketAddrV4) -> Vec<u8> {
    [&address.ip().octets()[..], &address.port().to_be_bytes()].concat()
}

pub(super) fn encode_question(id: &NodeId, transaction: &Transaction, question: &Question) -> Vec<u8> {
    let method = match question {
        // An announcement runs out: there is no word for taking it back.
        Question::Ping | Question::Unannounce { .. } | Question::Other => "ping",
        Question::FindNode { .. } => "find_node",
        Question::Peers { .. } => "get_peers",
        Question::Announce { .. } => "announce_peer",
    };
    written(|message| {
        message.emit_pair_with(b"a", |value| {
            value.emit_dict(|mut arguments| {
                emit_bytes(&mut arguments, b"id", id.bytes(KIND))?;
                match question {
                    Question::Ping | Question::Unannounce { .. } | Question::Other => Ok(()),
                    Question::FindNode { target } => {
                        emit_bytes(&mut arguments, b"target", target.bytes(KIND))
                    }
                    Question::Peers { target, .. } => {
                        emit_bytes(&mut arguments, b"info_hash", target.bytes(KIND))
                    }
                    Question::Announce { target, port, token, .. } => {
                        arguments.emit_pair(b"implied_port", 0)?;
                        emit_bytes(&mut arguments, b"info_hash", target.bytes(KIND))?;
                        arguments.emit_pair(b"port", *port)?;
                        emit_bytes(&mut arguments, b"token", token)
                    }
                }
            })
        })?;
        emit_bytes(message, b"q", method.as_bytes())?;
        // Nobody shall count on us: we come and go (BEP 43).
        message.emit_pair(b"ro", 1)?;
        emit_bytes(message, b"t", transaction.as_bytes())?;
        emit_bytes(message, b"y", b"q")
    })
}

pub(super) fn encode_reply(transaction: &Transaction, reply: &Reply) -> Vec<u8> {
    if reply.refused {
        return written(|message| {
            message.emit_pair_with(b"e", |value| {
                value.emit_list(|list| {
                    list.emit_int(203)?;
                    list.emit_str("refused")
                })
            })?;
            emit_bytes(message, b"t", transaction.as_bytes())?;
            emit_bytes(message, b"y", b"e")
        });
    }
    written(|message| {
        message.emit_pair_with(b"r", |value| {
            value.emit_dict(|mut dict| {
                if let Some(id) = &reply.id {
                    emit_bytes(&mut dict, b"id", id.bytes(KIND))?;
                }
                if !reply.nodes.is_empty() {
                    let bytes =
                        |node: &Contact| [node.id.bytes(KIND), &address_bytes(&node.address)].concat();
                    emit_bytes(
                        &mut dict,
                        b"nodes",
                        &reply.nodes.iter().flat_map(bytes).collect::<Vec<u8>>(),
                    )?;
                }
                if let Some(token) = &reply.token {
                    emit_bytes(&mut dict, b"token", token)?;
                }
                if !reply.peers.is_empty() {
                    dict.emit_pair_with(b"values", |value| {
                        value.emit_list(|list| {
                            reply.peers.iter().try_for_each(|peer| list.emit_bytes(&address_bytes(peer)))
                        })
                    })?;
                }
                Ok(())
            })
        })?;
        emit_bytes(message, b"t", transaction.as_bytes())?;
        emit_bytes(message, b"y", b"r")
    })
}

type Written = Result<(), bendy::encoding::Error>;

fn written(message: impl FnOnce(&mut SortedDictEncoder<'_>) -> Written) -> Vec<u8> {
    let mut encoder = Encoder::new();
    encoder.emit_dict(|mut dict| message(&mut dict)).expect("the keys are written in their order");
    encoder.get_output().expect("one dictionary is a message")
}

fn emit_bytes(dict: &mut SortedDictEncoder<'_>, key: &[u8], bytes: &[u8]) -> Written {
    dict.emit_pair_with(key, |value: SingleItemEncoder<'_>| value.emit_bytes(bytes))
}

#[cfg(test)]
mod tests;
