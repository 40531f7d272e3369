//! What a session tells its owner.

use std::fmt;

use bytes::Bytes;
use quorate_proto::dat::FeedMessage;
use quorate_types::{DiscoveryKey, NoisePublicKey, PeerId, PublicKey};

/// One feed on one connection. A number is never used twice on a connection, so what is said about a
/// channel that was closed meanwhile goes nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel(pub(crate) u64);

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What happened on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The handshake is complete. Comes before every `Opened`; on wire A it comes after the first
    /// `RemoteOpen`, whose answer makes the handshake readable.
    Connected {
        /// Static key of the other side (wire B2).
        remote_key: Option<NoisePublicKey>,
        /// Identity of the other process (wire A).
        remote_id: Option<PeerId>,
        /// The other side keeps the connection when all blocks are there; wire B2 does not tell, and
        /// says true.
        live: bool,
        /// Bytes of the other application (wire A).
        user_data: Option<Bytes>,
    },
    /// The other side opened a feed that is not open here. The owner answers with
    /// [`open`](crate::Session::open) or [`refuse`](crate::Session::refuse).
    RemoteOpen {
        /// Feed.
        discovery_key: DiscoveryKey,
    },
    /// A feed is open on both sides, and both have shown that they know its key.
    Opened {
        /// Channel of the feed.
        channel: Channel,
        /// Feed.
        key: PublicKey,
    },
    /// A message about the blocks of a feed.
    Message {
        /// Channel of the feed.
        channel: Channel,
        /// The message.
        message: FeedMessage,
    },
    /// The other side listed the extensions that it knows.
    Extensions {
        /// Channel of the feed; `None` for the whole connection.
        channel: Option<Channel>,
        /// Names, in the order of their numbers on the wire.
        names: Vec<String>,
    },
    /// A message of an extension that both sides list.
    Extension {
        /// Channel of the feed; `None` for the connection itself.
        channel: Option<Channel>,
        /// Name of the extension.
        name: String,
        /// The message.
        payload: Bytes,
    },
    /// The other side closed a channel, or refused to open it.
    Closed {
        /// Channel of the feed.
        channel: Channel,
    },
}
