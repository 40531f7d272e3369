//! Block 0 of a later feed of a room: where the history before it is, and why this feed may follow.

use std::fmt;

use bytes::Bytes;
use quorate_proto::header::FeedHeader;
use quorate_proto::stream as proto;
use quorate_quorum::certificate::VerifiedStart;
use quorate_quorum::head::Head;
use quorate_types::{PublicKey, limits::MAX_HEADER_BYTES};

use super::{HeaderError, STREAM_KIND, STREAM_PREFIX, StreamHeader};
use crate::payload::PayloadEncoding;

/// Block 0 of the feed of an epoch after the first, as it stands there; nothing in it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuccessorHeader {
    /// Name of the room, for tools that see this feed alone.
    pub name: String,
    /// What payloads of actions are, for the same.
    pub payload_encoding: PayloadEncoding,
    /// What the history is continued from.
    pub previous: Followed,
    /// Handover certificate and grant ([`Start`](quorate_quorum::certificate::Start)), encoded.
    pub start: Bytes,
}

/// Blocks of a feed that another one follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Followed {
    /// The feed.
    pub feed: PublicKey,
    /// How many of its blocks count, and their tree hash.
    pub base: Head,
}

impl fmt::Display for Followed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} blocks of feed {} with tree hash {}",
            self.base.length(),
            self.feed,
            self.base.tree_hash()
        )
    }
}

/// Why a feed may not follow with the block 0 that it has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SuccessorError {
    /// It is no header of a room.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The feed is no room's, or is the first of one.
    #[error("block 0: expected a header that names the feed before it, found another block")]
    NoSuccessor,
    /// The feed does not begin with its start: another feed is granted, or none.
    #[error("block 0: expected a grant of feed {expected}, found a start that grants {}", shown(*found))]
    Granted {
        /// This feed.
        expected: PublicKey,
        /// Feed that the start grants.
        found: Option<PublicKey>,
    },
    /// The history is continued from elsewhere than the start says.
    #[error("block 0: expected to follow {expected}, found {found}")]
    Base {
        /// The base in the start.
        expected: Box<Followed>,
        /// What block 0 names.
        found: Box<Followed>,
    },
    /// The feed is of a room with another name, or with other payloads.
    #[error("block 0: expected the name and the payload encoding of the room, found others")]
    OtherRoom,
}

fn shown(feed: Option<PublicKey>) -> String {
    feed.map_or_else(|| "none".to_owned(), |feed| feed.to_string())
}

impl SuccessorHeader {
    /// Makes the header of the feed of an epoch. `genesis` is the room's first block as a head, on which a room without
    /// any certificate is continued.
    pub fn of(room: &StreamHeader, start: &VerifiedStart, genesis: Head) -> Self {
        Self {
            name: room.name.clone(),
            payload_encoding: room.payload_encoding,
            previous: base_of(start, genesis),
            start: start.start().encode(),
        }
    }

    /// Reads block 0.
    ///
    /// # Errors
    ///
    /// [`SuccessorError::NoSuccessor`] for the header of a room's first feed and for anything else that is no header;
    /// [`SuccessorError::Header`] for one that is not as it should be.
    pub fn parse(block: &Bytes) -> Result<Self, SuccessorError> {
        if !block.starts_with(STREAM_PREFIX) {
            return Err(SuccessorError::NoSuccessor);
        }
        let (limit, found) = (MAX_HEADER_BYTES, block.len());
        if found > limit {
            return Err(HeaderError::TooLarge { limit, found }.into());
        }
        let header = FeedHeader::parse(block).ok_or(HeaderError::Envelope)?;
        let body = header.extension.ok_or(HeaderError::Envelope)?;
        let given = proto::StreamHeader::decode(body).map_err(HeaderError::from)?;
        let Some(previous) = given.previous else { return Err(SuccessorError::NoSuccessor) };
        let has_more = !given.validators.is_empty()
            || given.quorum != 0
            || !given.hosts.is_empty()
            || !given.rules.is_empty()
            || given.rule_delay != 0;
        if has_more {
            let found = "what only the first feed of a room says";
            return Err(HeaderError::Unsupported { found }.into());
        }
        let found = "a feed before it of which nothing counts";
        let base =
            Head::new(previous.length, previous.tree_hash).ok_or(HeaderError::Unsupported { found })?;
        let payload_encoding = given.payload_encoding.parse().map_err(HeaderError::PayloadEncoding)?;
        let (feed, start) = (previous.key, previous.certificate);
        Ok(Self { name: given.name, payload_encoding, previous: Followed { feed, base }, start })
    }

    /// Encodes block 0.
    ///
    /// # Errors
    ///
    /// [`SuccessorError`] for a header that [`parse`](Self::parse) would not take.
    pub fn encode(&self) -> Result<Bytes, SuccessorError> {
        let previous = proto::Previous {
            key: self.previous.feed,
            length: self.previous.base.length(),
            tree_hash: *self.previous.base.tree_hash(),
            certificate: self.start.clone(),
        };
        let header = proto::StreamHeader {
            name: self.name.clone(),
            payload_encoding: self.payload_encoding.name().to_owned(),
            previous: Some(previous),
            ..proto::StreamHeader::default()
        };
        let block = FeedHeader { kind: STREAM_KIND.to_owned(), extension: Some(header.encode()) }.encode();
        Self::parse(&block)?;
        Ok(block)
    }

    /// Checks that a feed may begin with it. `start` is what [`start`](Self::start) holds, verified
    /// ([`Engine::check_start`](quorate_quorum::engine::Engine::check_start)), which makes sure of the room and the epoch;
    /// `room` is the header of the room's first feed, and `genesis` its first block as a head.
    ///
    /// # Errors
    ///
    /// [`SuccessorError`]: nothing of the feed is part of the room then.
    pub fn check(
        &self,
        feed: &PublicKey,
        start: &VerifiedStart,
        room: &StreamHeader,
        genesis: Head,
    ) -> Result<(), SuccessorError> {
        if !start.may_stand(feed, None) {
            let found = start.start().grant.map(|(feed, _)| feed);
            return Err(SuccessorError::Granted { expected: *feed, found });
        }
        let (expected, found) = (base_of(start, genesis), self.previous);
        if expected != found {
            return Err(SuccessorError::Base { expected: Box::new(expected), found: Box::new(found) });
        }
        if (&self.name, self.payload_encoding) != (&room.name, room.payload_encoding) {
            return Err(SuccessorError::OtherRoom);
        }
        Ok(())
    }
}

/// Returns the feed that an epoch is continued from, and what of it counts: the block 0 that the room is known by when
/// there is no certificate.
fn base_of(start: &VerifiedStart, genesis: Head) -> Followed {
    let epoch = start.epoch();
    let first = Followed { feed: *epoch.genesis_feed(), base: genesis };
    epoch.base().map_or(first, |base| Followed { feed: base.feed, base: *base.head() })
}
