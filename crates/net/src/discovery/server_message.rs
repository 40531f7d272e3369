//! The messages of DNS-discovery servers (dns-discovery 6).

use std::net::SocketAddrV4;

use data_encoding::BASE64;
use quorate_types::limits::{MAX_DNS_BYTES, MAX_DNS_PEERS};
use simple_dns::rdata::{RData, TXT};
use simple_dns::{
    CLASS, CharacterString, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, ResourceRecord, TYPE,
};

use super::Topic;
use super::message::{Dialect, MessageError, check_counts, name_of, topic_of};

/// Longest token that is sent back, bytes: with its key it fits into a string of DNS.
const MAX_TOKEN_BYTES: usize = 200;

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerHeard {
    /// An answer.
    Answer {
        /// Id of the question.
        id: u16,
        /// What shows, next time, that we are who we say.
        token: Option<Vec<u8>>,
        /// Where the feed is; 0.0.0.0 is the server itself.
        peers: Vec<SocketAddrV4>,
    },
    /// Somebody announced a feed that we subscribed to.
    Push {
        /// Id of the question that carries it.
        id: u16,
        /// The feed.
        topic: Topic,
        /// Where the peer listens.
        address: SocketAddrV4,
    },
    /// Something else.
    Nothing,
}

/// Reads a datagram of a server.
pub fn parse_from_server(bytes: &[u8]) -> Result<ServerHeard, MessageError> {
    if bytes.len() > MAX_DNS_BYTES {
        return Err(MessageError::TooLong { found: bytes.len() });
    }
    check_counts(bytes)?;
    let packet =
        Packet::parse(bytes).map_err(|error| MessageError::Malformed { reason: error.to_string() })?;
    if packet.has_flags(PacketFlag::RESPONSE) {
        let (mut token, mut peers) = (None, Vec::new());
        for record in &packet.answers {
            if let RData::TXT(text) = &record.rdata {
                read_answer(text, &mut token, &mut peers);
            }
        }
        return Ok(ServerHeard::Answer { id: packet.id(), token, peers });
    }
    let pushed = packet.additional_records.iter().find_map(|record| match &record.rdata {
        RData::SRV(service) => {
            let (dialect, topic) = topic_of(&record.name)?;
            let host = service.target.to_string().parse().ok()?;
            (dialect == Dialect::Dat).then_some((topic, SocketAddrV4::new(host, service.port)))
        }
        _ => None,
    });
    Ok(match pushed {
        Some((topic, address)) => ServerHeard::Push { id: packet.id(), topic, address },
        None => ServerHeard::Nothing,
    })
}

fn read_answer(text: &TXT<'_>, token: &mut Option<Vec<u8>>, peers: &mut Vec<SocketAddrV4>) {
    for (key, value) in text.iter_raw() {
        match (key, value) {
            (b"token", Some(found)) if found.len() <= MAX_TOKEN_BYTES => *token = Some(found.to_vec()),
            (b"peers", Some(list)) => {
                let list = BASE64.decode(list).unwrap_or_default();
                for peer in
                    list.as_chunks::<6>().0.iter().take(MAX_DNS_PEERS - peers.len().min(MAX_DNS_PEERS))
                {
                    let [a, b, c, d, high, low] = *peer;
                    peers.push(SocketAddrV4::new([a, b, c, d].into(), u16::from_be_bytes([high, low])));
                }
            }
            _ => {}
        }
    }
}

/// Asks who we are, and for a token.
pub(super) fn probe(id: u16) -> Vec<u8> {
    let mut packet = Packet::new_query(id);
    let name = Name::new("dat.local").expect("two labels are a name");
    packet.questions.push(Question::new(name, QTYPE::TYPE(TYPE::TXT), QCLASS::CLASS(CLASS::IN), false));
    written(&packet)
}

/// Asks for a feed, subscribes to news of it, and announces it at a port.
pub(super) fn announce(id: u16, topic: &Topic, token: &[u8], port: Option<u16>) -> Vec<u8> {
    let port = port.map(|port| port.to_string());
    let mut attributes = vec![("subscribe", b"true".as_slice()), ("token", token)];
    attributes.extend(port.as_ref().map(|port| ("announce", port.as_bytes())));
    about(id, topic, &attributes)
}

/// Takes an announcement back.
pub(super) fn unannounce(id: u16, topic: &Topic, token: &[u8], port: u16) -> Vec<u8> {
    about(id, topic, &[("token", token), ("unannounce", port.to_string().as_bytes())])
}

/// Confirms a push.
pub(super) fn answer(id: u16) -> Vec<u8> {
    written(&Packet::new_reply(id))
}

fn about(id: u16, topic: &Topic, attributes: &[(&str, &[u8])]) -> Vec<u8> {
    let mut packet = Packet::new_query(id);
    let name = name_of(Dialect::Dat, topic);
    packet.questions.push(Question::new(
        name.clone(),
        QTYPE::TYPE(TYPE::TXT),
        QCLASS::CLASS(CLASS::IN),
        false,
    ));
    let mut text = TXT::new();
    for (key, value) in attributes {
        let bytes = [key.as_bytes(), b"=", value].concat();
        let string = CharacterString::new(&bytes).expect("tokens are bounded, and the rest is short");
        text.add_char_string(string.into_owned());
    }
    packet.additional_records.push(ResourceRecord::new(name, CLASS::IN, 0, RData::TXT(text)));
    written(&packet)
}

fn written(packet: &Packet<'_>) -> Vec<u8> {
    packet.build_bytes_vec_compressed().expect("memory takes whatever is written")
}
