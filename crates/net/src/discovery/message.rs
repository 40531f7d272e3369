//! The DNS messages of both dialects.
//!
//! | | question | answer |
//! |---|---|---|
//! | dat 13 (dns-discovery 6) | `TXT <topic>.dat.local` | `TXT` with `token=<text>` and `peers=<base64 of IPv4 4, port u16be, ...>` |
//! | hyperswarm 2 (@hyperswarm/discovery 2) | `SRV <topic>.hyperswarm.local` | `SRV` with target `0.0.0.0` and the port, `TXT` with `id=<32 bytes>` |
//!
//! The address 0.0.0.0 stands for whoever sent the answer.

use std::net::{Ipv4Addr, SocketAddrV4};

use data_encoding::BASE64;
use quorate_types::limits::{MAX_DNS_BYTES, MAX_DNS_PEERS, MAX_DNS_RECORDS};
use simple_dns::rdata::{RData, SRV, TXT};
use simple_dns::{
    CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question as DnsQuestion, ResourceRecord, TYPE,
};

use super::Topic;

/// Bytes of a message that go into one datagram on every network.
const DATAGRAM_BYTES: usize = 1400;

/// Bytes of a topic in a message that is made here, at most: a question with its name, or two records with theirs.
const TOPIC_BYTES: usize = 256;

/// Topics in one message that is made here.
pub(super) const TOPICS_PER_MESSAGE: usize = DATAGRAM_BYTES / TOPIC_BYTES;

/// Bytes of a header.
const HEADER_BYTES: usize = 12;

/// Bytes of the smallest question: a name of one byte, type and class.
const SMALLEST_RECORD_BYTES: usize = 5;

/// Attribute by which quorate nodes know each other's answers: they speak both wires, dat 13 only one.
const QUORATE: &str = "quorate";

/// Whose words are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// `dat.local`, of dat 13 and before.
    Dat,
    /// `hyperswarm.local`, of hyperswarm 2: dat 14, dat-sdk 2, hyperspace 3.
    Hyperswarm,
}

impl Dialect {
    /// Both dialects.
    pub const ALL: [Self; 2] = [Self::Dat, Self::Hyperswarm];

    const fn domain(self) -> &'static str {
        match self {
            Self::Dat => "dat.local",
            Self::Hyperswarm => "hyperswarm.local",
        }
    }

    const fn question_type(self) -> TYPE {
        match self {
            Self::Dat => TYPE::TXT,
            Self::Hyperswarm => TYPE::SRV,
        }
    }
}

/// Somebody looks for a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// In which words.
    pub dialect: Dialect,
    /// The feed.
    pub topic: Topic,
}

/// Somebody says where a feed is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// In which words.
    pub dialect: Dialect,
    /// The feed.
    pub topic: Topic,
    /// Addresses; 0.0.0.0 is whoever sent the message.
    pub peers: Vec<SocketAddrV4>,
    /// What tells our own answers from others: the token of dat, the id of hyperswarm.
    pub mark: Option<Vec<u8>>,
    /// A quorate node says it.
    pub quorate: bool,
}

/// What a message says that is of interest here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heard {
    /// Feeds that are looked for.
    pub questions: Vec<Question>,
    /// Feeds that are somewhere.
    pub announcements: Vec<Announcement>,
}

/// Why a datagram is no message of discovery.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// It is longer than any.
    #[error("expected at most {MAX_DNS_BYTES} bytes of DNS, found {found}")]
    TooLong {
        /// Bytes.
        found: usize,
    },
    /// It says that it holds more than it can, or than anyone sends.
    #[error("expected at most {limit} records in {bytes} bytes of DNS, found {found}")]
    TooManyRecords {
        /// Records that are read.
        limit: usize,
        /// Bytes of the message.
        bytes: usize,
        /// Records that it says it holds.
        found: usize,
    },
    /// It is not well formed.
    #[error("expected a DNS message: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
}

/// Reads a datagram; whatever is about something else is left out.
pub fn parse(bytes: &[u8]) -> Result<Heard, MessageError> {
    if bytes.len() > MAX_DNS_BYTES {
        return Err(MessageError::TooLong { found: bytes.len() });
    }
    check_counts(bytes)?;
    let packet =
        Packet::parse(bytes).map_err(|error| MessageError::Malformed { reason: error.to_string() })?;
    let mut heard = Heard::default();
    if !packet.has_flags(PacketFlag::RESPONSE) {
        for question in &packet.questions {
            if let Some((dialect, topic)) = topic_of(&question.qname)
                && question.qtype == QTYPE::TYPE(dialect.question_type())
            {
                heard.questions.push(Question { dialect, topic });
            }
        }
    }
    // dns-discovery reads answers and additional records of questions, too.
    let records: Vec<&ResourceRecord<'_>> = packet.answers.iter().chain(&packet.additional_records).collect();
    for record in &records {
        let Some((dialect, topic)) = topic_of(&record.name) else { continue };
        let announcement = match (dialect, &record.rdata) {
            (Dialect::Dat, RData::TXT(text)) => dat_answer(topic, text),
            (Dialect::Hyperswarm, RData::SRV(service)) => hyperswarm_answer(topic, service, &records),
            _ => None,
        };
        heard.announcements.extend(announcement);
    }
    Ok(heard)
}

/// Asks for feeds; five of them go into one datagram.
pub fn questions(dialect: Dialect, topics: &[Topic]) -> Vec<u8> {
    let mut packet = Packet::new_query(0);
    for topic in topics {
        packet.questions.push(DnsQuestion::new(
            name_of(dialect, topic),
            QTYPE::TYPE(dialect.question_type()),
            QCLASS::CLASS(CLASS::IN),
            false,
        ));
    }
    written(&packet)
}

/// Says that feeds are at a port of this machine. `mark` is what tells our own answers from others, 32 bytes.
pub fn answers(dialect: Dialect, topics: &[Topic], port: u16, mark: &[u8; 32]) -> Vec<u8> {
    let mut packet = Packet::new_reply(0);
    packet.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
    for topic in topics {
        let mut add = |data| {
            packet.answers.push(ResourceRecord::new(name_of(dialect, topic), CLASS::IN, 0, data));
        };
        match dialect {
            Dialect::Dat => {
                let mut peer = [0; 6];
                for (to, from) in peer.iter_mut().skip(4).zip(port.to_be_bytes()) {
                    *to = from;
                }
                add(RData::TXT(text(&[
                    ("token", Some(BASE64.encode(mark).as_bytes())),
                    ("peers", Some(BASE64.encode(&peer).as_bytes())),
                    (QUORATE, None),
                ])));
            }
            Dialect::Hyperswarm => {
                let target = Name::new("0.0.0.0").expect("four labels of one digit are a name");
                add(RData::SRV(SRV { priority: 0, weight: 0, port, target }));
                add(RData::TXT(text(&[("id", Some(mark))])));
            }
        }
    }
    written(&packet)
}

fn text(attributes: &[(&'static str, Option<&[u8]>)]) -> TXT<'static> {
    let mut text = TXT::new();
    for (key, value) in attributes {
        text.add_attribute(key, *value).expect("a key and at most 44 bytes fit into a string of DNS");
    }
    text
}

fn written(packet: &Packet<'_>) -> Vec<u8> {
    packet.build_bytes_vec_compressed().expect("memory takes whatever is written")
}

pub(super) fn name_of(dialect: Dialect, topic: &Topic) -> Name<'static> {
    Name::new(&format!("{topic}.{}", dialect.domain()))
        .expect("40 digits and the domain make a name of three labels")
        .into_owned()
}

/// Splits `<topic>.<domain>`.
pub(super) fn topic_of(name: &Name<'_>) -> Option<(Dialect, Topic)> {
    let [topic, domain, local] = name.get_labels() else { return None };
    if !local.as_ref().eq_ignore_ascii_case(b"local") {
        return None;
    }
    let dialect = Dialect::ALL.into_iter().find(|dialect| {
        dialect
            .domain()
            .strip_suffix(".local")
            .is_some_and(|label| domain.as_ref().eq_ignore_ascii_case(label.as_bytes()))
    })?;
    Some((dialect, Topic::from_hex(topic.as_ref())?))
}

fn dat_answer(topic: Topic, text: &TXT<'_>) -> Option<Announcement> {
    let (mut peers, mut mark, mut quorate) = (Vec::new(), None, false);
    for (key, value) in text.iter_raw() {
        match (key, value) {
            (b"peers", Some(list)) => {
                let list = BASE64.decode(list).ok()?;
                for peer in list.as_chunks::<6>().0.iter().take(MAX_DNS_PEERS) {
                    let [a, b, c, d, high, low] = *peer;
                    peers.push(SocketAddrV4::new([a, b, c, d].into(), u16::from_be_bytes([high, low])));
                }
            }
            (b"token", Some(token)) => mark = BASE64.decode(token).ok(),
            (key, None) if key == QUORATE.as_bytes() => quorate = true,
            _ => {}
        }
    }
    peers.retain(|peer| peer.port() != 0);
    (!peers.is_empty()).then_some(Announcement { dialect: Dialect::Dat, topic, peers, mark, quorate })
}

fn hyperswarm_answer(
    topic: Topic,
    service: &SRV<'_>,
    records: &[&ResourceRecord<'_>],
) -> Option<Announcement> {
    let host: Ipv4Addr = service.target.to_string().parse().ok()?;
    if service.port == 0 {
        return None;
    }
    let mark = records.iter().find_map(|record| {
        let RData::TXT(text) = &record.rdata else { return None };
        if topic_of(&record.name) != Some((Dialect::Hyperswarm, topic)) {
            return None;
        }
        text.iter_raw().find(|(key, _)| *key == b"id").and_then(|(_, id)| id.map(<[u8]>::to_vec))
    });
    let peers = vec![SocketAddrV4::new(host, service.port)];
    Some(Announcement { dialect: Dialect::Hyperswarm, topic, peers, mark, quorate: false })
}

/// The parser makes room for as many records as the header names: no more than the message can hold.
pub(crate) fn check_counts(bytes: &[u8]) -> Result<(), MessageError> {
    let Some(counts) = bytes.get(4..HEADER_BYTES) else {
        return Err(MessageError::Malformed { reason: format!("{} bytes are no header", bytes.len()) });
    };
    let found: usize =
        counts.as_chunks::<2>().0.iter().map(|count| usize::from(u16::from_be_bytes(*count))).sum();
    let limit = MAX_DNS_RECORDS.min((bytes.len() - HEADER_BYTES) / SMALLEST_RECORD_BYTES);
    if found > limit {
        return Err(MessageError::TooManyRecords { limit, bytes: bytes.len(), found });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
