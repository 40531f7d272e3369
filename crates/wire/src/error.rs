//! Why a connection cannot go on, or a call was refused.

use std::time::Duration;

use quorate_proto::ProtoError;
use quorate_types::{DiscoveryKey, NoisePublicKey};

/// Failure of a session.
///
/// Most end the connection: every later call returns the same error. Those for which
/// [`is_fatal`](Self::is_fatal) is false refuse one call and leave the connection as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// A frame is longer than any frame may be.
    #[error("expected a frame of at most {limit} bytes, found one of {found}")]
    FrameTooLarge {
        /// Largest frame, bytes.
        limit: u64,
        /// Length that the frame announces, bytes.
        found: u64,
    },
    /// A number of the frame layer does not end.
    #[error("expected a number of at most 8 bytes as {what}, found a longer one")]
    Varint {
        /// What the number is.
        what: &'static str,
    },
    /// A body is not the message that its frame announces.
    #[error(transparent)]
    Message(#[from] ProtoError),
    /// A channel number is beyond the number of feeds that one connection may carry.
    #[error("expected a channel up to {limit}, found channel {found}")]
    ChannelOutOfRange {
        /// Largest channel.
        limit: u64,
        /// Channel of the frame.
        found: u64,
    },
    /// A message came on a channel that was never opened (wire A).
    #[error("expected messages on open channels, found one of type {kind} on channel {channel}")]
    UnopenedChannel {
        /// Channel of the frame.
        channel: u64,
        /// Type of the frame.
        kind: u8,
    },
    /// A feed was opened on a channel that is in use, or on one that is reserved (wire B2).
    #[error("expected a free channel for feed {discovery_key}, found channel {channel} in use")]
    ChannelInUse {
        /// Channel of the frame.
        channel: u64,
        /// Feed.
        discovery_key: DiscoveryKey,
    },
    /// A feed that is open was opened on a second channel (wire B2).
    #[error("expected feed {discovery_key} on one channel, found a second one, {channel}")]
    DuplicateOpen {
        /// Channel of the frame.
        channel: u64,
        /// Feed.
        discovery_key: DiscoveryKey,
    },
    /// More messages came for a feed than are kept until it is open here.
    #[error("expected at most {limit} messages before feed {discovery_key} is open here, found more")]
    TooManyPending {
        /// Feed.
        discovery_key: DiscoveryKey,
        /// Most messages that are kept.
        limit: usize,
    },
    /// More bytes came than are kept until their feed is open here.
    #[error("expected at most {limit} bytes before their feed is open here, found {found}")]
    PendingBytes {
        /// Most bytes that are kept.
        limit: usize,
        /// Bytes that came.
        found: usize,
    },
    /// The first frame of wire A opens no feed.
    #[error("expected a feed as the first message, found type {found}")]
    FirstFrame {
        /// Type of the frame.
        found: u8,
    },
    /// The first feed of wire A came without a nonce.
    #[error("expected a nonce with the first feed {discovery_key}, found none")]
    MissingNonce {
        /// Feed.
        discovery_key: DiscoveryKey,
    },
    /// The two sides opened different feeds first (wire A).
    #[error("expected {expected} as the first feed of both sides, found {found}")]
    FirstFeed {
        /// First feed of this side.
        expected: DiscoveryKey,
        /// First feed of the other side.
        found: DiscoveryKey,
    },
    /// The first feed of a connection of wire A is not carried here, and without it nothing can be read.
    #[error("the peer shares feed {discovery_key} first, which is not carried here")]
    FirstFeedRefused {
        /// Feed.
        discovery_key: DiscoveryKey,
    },
    /// The other side opened a feed of ours without a right proof that it knows the key (wire B2).
    #[error("expected a capability for feed {discovery_key}, found none or a wrong one")]
    Capability {
        /// Feed.
        discovery_key: DiscoveryKey,
    },
    /// The other side had opened this feed without a right proof that it knows the key, and was
    /// refused as though the feed were unknown here (wire B2). Not fatal.
    #[error("refused feed {discovery_key} to a peer without a right capability")]
    Refused {
        /// Feed.
        discovery_key: DiscoveryKey,
    },
    /// A message of the Noise handshake is longer than any may be.
    #[error("expected a handshake message of at most {limit} bytes, found one of {found}")]
    HandshakeTooLarge {
        /// Largest message, bytes.
        limit: u64,
        /// Length that the message announces, bytes.
        found: u64,
    },
    /// A message of the Noise handshake does not decrypt or is too short.
    ///
    /// A peer of hypercore-protocol 7 causes this: its first message looks the same, its
    /// Diffie-Hellman function is another one.
    #[error(
        "expected handshake message {message} of hypercore-protocol 8, found {found} bytes that do not \
         decrypt: a peer of hypercore-protocol 7, or bytes changed on the way"
    )]
    Handshake {
        /// Which of the three messages.
        message: u8,
        /// Length of the message, bytes.
        found: usize,
    },
    /// The connection ended before the handshake was complete.
    ///
    /// Peers of hypercore-protocol 7, and peers that deny our key, do this.
    #[error(
        "the peer ended the connection during the handshake, after {received} bytes: it denies our key, \
         or speaks another version"
    )]
    HandshakeEnded {
        /// Bytes that had come.
        received: u64,
    },
    /// The connection ended in the middle of a frame.
    #[error("the peer ended the connection inside a frame, {received} bytes into it")]
    FrameEnded {
        /// Bytes of the frame that had come.
        received: usize,
    },
    /// The key pair cannot begin a handshake.
    #[error("the Noise handshake cannot begin: {reason}")]
    HandshakeSetup {
        /// What the Noise library says.
        reason: String,
    },
    /// The static key of the other side is not admitted.
    #[error("expected a peer with an admitted key, found {key}")]
    PeerDenied {
        /// Key of the other side.
        key: NoisePublicKey,
    },
    /// The handshake took too long.
    #[error("expected a complete handshake within {limit:?}, found none")]
    HandshakeTimeout {
        /// Time that it may take.
        limit: Duration,
    },
    /// Nothing came for too long.
    #[error("expected a sign of life within {limit:?}, found none")]
    Silence {
        /// Time that the other side may be silent.
        limit: Duration,
    },
    /// All channels of this side are in use. Not fatal.
    #[error("expected at most {limit} feeds on one connection, found one more")]
    TooManyChannels {
        /// Most feeds.
        limit: usize,
    },
    /// A message is sent on a channel that is not open on both sides. Not fatal.
    #[error("expected an open channel for feed {discovery_key}, found one that the peer has not opened")]
    NotOpen {
        /// Feed.
        discovery_key: DiscoveryKey,
    },
    /// A message is too long to be sent. Not fatal.
    #[error("expected a message of at most {limit} bytes, found one of {found}")]
    MessageTooLarge {
        /// Largest frame, bytes.
        limit: usize,
        /// Length of the frame that the message would make, bytes.
        found: usize,
    },
    /// An extension message is too long. Fatal when it came, not when it was to be sent.
    #[error("expected an extension message of at most {limit} bytes, found one of {found} for `{name}`")]
    ExtensionTooLarge {
        /// Name of the extension.
        name: String,
        /// Largest payload, bytes.
        limit: usize,
        /// Length of the payload, bytes.
        found: usize,
        /// Whether the message was to be sent.
        ours: bool,
    },
    /// An extension message is sent under a name that this side does not list. Not fatal.
    #[error("expected one of the extensions that this side lists, found `{name}`")]
    UnknownExtension {
        /// Name of the extension.
        name: String,
    },
    /// The list of extensions in the configuration cannot be sent.
    #[error("expected at most 64 different extension names of at most 256 bytes, found {found}")]
    ExtensionNames {
        /// What is wrong.
        found: String,
    },
}

impl SessionError {
    /// Tells whether the connection has to be closed.
    pub const fn is_fatal(&self) -> bool {
        !matches!(
            self,
            Self::Refused { .. }
                | Self::TooManyChannels { .. }
                | Self::NotOpen { .. }
                | Self::MessageTooLarge { .. }
                | Self::ExtensionTooLarge { ours: true, .. }
                | Self::UnknownExtension { .. }
        )
    }
}
