//! Messages by which two peers agree on what they talk about; nothing above the wire sees them.

use bytes::{BufMut, Bytes};
use prost::Message;
use quorate_types::limits::{MAX_EXTENSION_NAME_BYTES, MAX_EXTENSION_NAMES, MAX_USER_DATA_BYTES};
use quorate_types::{Capability, DiscoveryKey, NoiseNonce, PeerId};

use super::check;
use crate::{ProtoError, pb};

/// Largest body that lists extensions, bytes: every name at its longest, and its tag and length.
const MAX_LIST_BYTES: usize = MAX_EXTENSION_NAMES * (MAX_EXTENSION_NAME_BYTES + 4) + 64;

/// Names a feed on wire A, type 0. The first one of a connection is clear text and has a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedOpen {
    /// Feed.
    pub discovery_key: DiscoveryKey,
    /// Nonce of everything that the sender writes after this message.
    pub nonce: Option<NoiseNonce>,
}

/// Describes the sender on wire A, type 1, once on a connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Handshake {
    /// Identity of the process, the same on all its connections.
    pub id: Option<PeerId>,
    /// The connection stays open when all blocks are there.
    pub live: bool,
    /// Bytes for the application on the other side.
    pub user_data: Option<Bytes>,
    /// Names of the extensions that the sender knows, sorted; their positions are their ids.
    pub extensions: Vec<String>,
    /// The sender wants every block acknowledged.
    pub ack: bool,
}

/// Names a feed on wire B2, type 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelOpen {
    /// Feed.
    pub discovery_key: DiscoveryKey,
    /// Proof that the sender knows the key of the feed.
    pub capability: Option<Capability>,
}

/// Options of one channel of wire B2, of the whole connection on channel 0; type 1.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// Names of the extensions that the sender knows, sorted; their positions are their ids.
    pub extensions: Vec<String>,
    /// The sender wants every block acknowledged.
    pub ack: bool,
}

/// Closes a channel of wire B2, type 10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Close {
    /// Feed that the sender refuses, when it never opened the channel.
    pub discovery_key: Option<DiscoveryKey>,
}

/// What the Noise messages of wire B2 carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoisePayload {
    /// Nonce of everything that the sender writes after the handshake.
    pub nonce: NoiseNonce,
}

/// Gives `encode` and `encoded_len` through the generated type.
macro_rules! by_generated_type {
    ($($name:ident),*) => {
        $(impl $name {
            /// Appends the message to the buffer.
            pub fn encode(&self, out: &mut impl BufMut) {
                self.to_pb().encode_raw(out);
            }

            /// Returns the size of the encoded message, bytes.
            pub fn encoded_len(&self) -> usize {
                self.to_pb().encoded_len()
            }
        })*
    };
}

by_generated_type!(FeedOpen, Handshake, ChannelOpen, Options, Close, NoisePayload);

impl FeedOpen {
    /// Decodes a whole body.
    pub fn decode(body: Bytes) -> Result<Self, ProtoError> {
        let feed: pb::Feed = check::parse("feed", body)?;
        let discovery_key = check::required("feed", "discovery_key", feed.discovery_key)?;
        Ok(Self {
            discovery_key: check::fixed("feed", "discovery_key", &discovery_key)?,
            nonce: feed.nonce.map(|nonce| check::fixed("feed", "nonce", &nonce)).transpose()?,
        })
    }

    fn to_pb(self) -> pb::Feed {
        pb::Feed {
            discovery_key: Some(Bytes::copy_from_slice(self.discovery_key.as_bytes())),
            nonce: self.nonce.map(|nonce| Bytes::copy_from_slice(nonce.as_bytes())),
        }
    }
}

impl Handshake {
    /// Decodes a whole body; the user data shares its memory.
    ///
    /// Names and user data are bounded by [`MAX_EXTENSION_NAMES`], [`MAX_EXTENSION_NAME_BYTES`] and
    /// [`MAX_USER_DATA_BYTES`].
    pub fn decode(body: Bytes) -> Result<Self, ProtoError> {
        body_at_most("handshake", MAX_LIST_BYTES + MAX_USER_DATA_BYTES, &body)?;
        let handshake: pb::Handshake = check::parse("handshake", body)?;
        let (live, ack) = (handshake.live(), handshake.ack());
        if let Some(user_data) = &handshake.user_data {
            at_most("handshake", "user_data", MAX_USER_DATA_BYTES, user_data.len())?;
        }
        Ok(Self {
            id: handshake.id.map(|id| check::fixed("handshake", "id", &id)).transpose()?,
            live,
            user_data: handshake.user_data,
            extensions: names("handshake", handshake.extensions)?,
            ack,
        })
    }

    fn to_pb(&self) -> pb::Handshake {
        pb::Handshake {
            id: self.id.map(|id| Bytes::copy_from_slice(id.as_bytes())),
            live: Some(self.live),
            user_data: self.user_data.clone(),
            extensions: self.extensions.clone(),
            ack: Some(self.ack),
        }
    }
}

impl ChannelOpen {
    /// Decodes a whole body.
    pub fn decode(body: Bytes) -> Result<Self, ProtoError> {
        let open: pb::Open = check::parse("open", body)?;
        let discovery_key = check::required("open", "discovery_key", open.discovery_key)?;
        let capability = open.capability;
        Ok(Self {
            discovery_key: check::fixed("open", "discovery_key", &discovery_key)?,
            capability: capability.map(|bytes| check::fixed("open", "capability", &bytes)).transpose()?,
        })
    }

    fn to_pb(self) -> pb::Open {
        pb::Open {
            discovery_key: Some(Bytes::copy_from_slice(self.discovery_key.as_bytes())),
            capability: self.capability.map(|bytes| Bytes::copy_from_slice(bytes.as_bytes())),
        }
    }
}

impl Options {
    /// Decodes a whole body.
    ///
    /// Names are bounded by [`MAX_EXTENSION_NAMES`] and [`MAX_EXTENSION_NAME_BYTES`].
    pub fn decode(body: Bytes) -> Result<Self, ProtoError> {
        body_at_most("options", MAX_LIST_BYTES, &body)?;
        let options: pb::Options = check::parse("options", body)?;
        let ack = options.ack();
        Ok(Self { extensions: names("options", options.extensions)?, ack })
    }

    fn to_pb(&self) -> pb::Options {
        pb::Options { extensions: self.extensions.clone(), ack: Some(self.ack) }
    }
}

impl Close {
    /// Decodes a whole body.
    pub fn decode(body: Bytes) -> Result<Self, ProtoError> {
        let close: pb::Close = check::parse("close", body)?;
        let key = close.discovery_key;
        Ok(Self { discovery_key: key.map(|key| check::fixed("close", "discovery_key", &key)).transpose()? })
    }

    fn to_pb(self) -> pb::Close {
        pb::Close { discovery_key: self.discovery_key.map(|key| Bytes::copy_from_slice(key.as_bytes())) }
    }
}

impl NoisePayload {
    /// Decodes a whole payload.
    pub fn decode(body: Bytes) -> Result<Self, ProtoError> {
        let payload: pb::NoisePayload = check::parse("noise payload", body)?;
        let nonce = check::required("noise payload", "nonce", payload.nonce)?;
        Ok(Self { nonce: check::fixed("noise payload", "nonce", &nonce)? })
    }

    fn to_pb(self) -> pb::NoisePayload {
        pb::NoisePayload { nonce: Some(Bytes::copy_from_slice(self.nonce.as_bytes())) }
    }
}

/// Bounds a body before the decoder makes a vector of all that is in it.
fn body_at_most(message: &'static str, limit: usize, body: &Bytes) -> Result<(), ProtoError> {
    at_most(message, "body", limit, body.len())
}

fn at_most(message: &'static str, field: &'static str, limit: usize, found: usize) -> Result<(), ProtoError> {
    if found > limit { Err(ProtoError::TooLong { message, field, limit, found }) } else { Ok(()) }
}

fn names(message: &'static str, names: Vec<String>) -> Result<Vec<String>, ProtoError> {
    at_most(message, "extensions", MAX_EXTENSION_NAMES, names.len())?;
    for name in &names {
        at_most(message, "extension name", MAX_EXTENSION_NAME_BYTES, name.len())?;
    }
    Ok(names)
}
