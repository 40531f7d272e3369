//! The words of hyperswarm's table (dht-rpc 4, @hyperswarm/dht 4).

use std::net::SocketAddrV4;

use quorate_proto::dht::{DhtAnswer, DhtBody, DhtCommand, DhtMessage, PeersQuestion};

use super::message::{Contact, DhtError, Message, Question, Reply, Transaction};
use super::{DhtKind, NodeId};

const KIND: DhtKind = DhtKind::Hyperswarm;

pub(super) fn decode(bytes: &[u8]) -> Result<Message, DhtError> {
    let DhtMessage { rid, id, body, .. } = DhtMessage::decode(bytes)?;
    let rid = Transaction::from_bytes(&rid.to_be_bytes())
        .ok_or(DhtError::Field { field: "rid", expected: "eight bytes" })?;
    Ok(match body {
        DhtBody::Answer(answer) => {
            let contact = |(id, address): &([u8; NodeId::BYTES], SocketAddrV4)| Contact {
                id: NodeId::new(KIND, id),
                address: *address,
            };
            let reply = Reply {
                id: id.map(|id| NodeId::new(KIND, &id)),
                nodes: answer.nodes.iter().map(contact).collect(),
                token: answer.token.map(|token| token.to_vec()),
                peers: answer.peers,
                local_peers: answer.local_peers,
                refused: answer.refused,
            };
            Message::Reply { transaction: rid, reply }
        }
        DhtBody::Question { command, target, token } => {
            let target = target.map(|target| NodeId::new(KIND, &target));
            let question = match (command, target, token) {
                (DhtCommand::Ping, _, None) => Question::Ping,
                (DhtCommand::FindNode, Some(target), None) => Question::FindNode { target },
                (DhtCommand::Peers(PeersQuestion { port, local, .. }), Some(target), None) => {
                    Question::Peers { target, port, local }
                }
                (
                    DhtCommand::Peers(PeersQuestion { port: Some(port), local, unannounce }),
                    Some(target),
                    Some(token),
                ) => {
                    let token = token.to_vec();
                    match unannounce {
                        false => Question::Announce { target, port, local, token },
                        true => Question::Unannounce { target, port, local, token },
                    }
                }
                _ => Question::Other,
            };
            Message::Question { transaction: rid, question }
        }
    })
}

pub(super) fn encode_question(transaction: &Transaction, to: SocketAddrV4, question: &Question) -> Vec<u8> {
    let about = |port, local, unannounce| DhtCommand::Peers(PeersQuestion { port, local, unannounce });
    let (command, target, token) = match question {
        Question::Ping => (DhtCommand::Ping, None, None),
        Question::Other => (DhtCommand::Other, None, None),
        Question::FindNode { target } => (DhtCommand::FindNode, Some(target), None),
        Question::Peers { target, port, local } => (about(*port, *local, false), Some(target), None),
        Question::Announce { target, port, local, token } => {
            (about(Some(*port), *local, false), Some(target), Some(token))
        }
        Question::Unannounce { target, port, local, token } => {
            (about(Some(*port), *local, true), Some(target), Some(token))
        }
    };
    let body = DhtBody::Question {
        command,
        target: target.map(|target| *target.as_bytes()),
        token: token.map(|token| token.clone().into()),
    };
    // Without an id nobody counts on us: we come and go.
    DhtMessage { rid: rid(transaction), id: None, to: Some(to), body }.encode()
}

pub(super) fn encode_reply(transaction: &Transaction, to: SocketAddrV4, reply: &Reply) -> Vec<u8> {
    let answer = DhtAnswer {
        nodes: reply.nodes.iter().map(|node| (*node.id.as_bytes(), node.address)).collect(),
        token: reply.token.clone().map(Into::into),
        peers: reply.peers.clone(),
        local_peers: reply.local_peers.clone(),
        refused: reply.refused,
    };
    let id = reply.id.map(|id| *id.as_bytes());
    DhtMessage { rid: rid(transaction), id, to: Some(to), body: DhtBody::Answer(answer) }.encode()
}

fn rid(transaction: &Transaction) -> u64 {
    transaction.as_bytes().iter().fold(0, |rid, byte| rid << 8 | u64::from(*byte))
}
