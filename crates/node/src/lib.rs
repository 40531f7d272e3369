//! The node: streams, peers, events, and the one API that the command line and the local HTTP API share.
//!
//! A [`Node`] holds the streams of one home. Each open stream is a task that owns its feed; each connection is a task
//! that moves bytes. A stream never waits for a connection; a connection waits for a stream.
//! [`Client`] is the same face on a node in this process and on one in another.

mod archive;
mod client;
mod connect;
mod connection;
mod content;
mod decisions;
mod discovery;
mod doctor;
mod events;
mod failure;
mod identities;
mod node;
mod open;
mod peers;
mod probes;
mod room;
mod secrets;
mod store_failures;
mod stream;

pub mod api;
pub mod event;
pub mod evidence;
pub mod model;
pub mod proof_file;

pub use archive::{Archive, ArchiveFile, BlockReader, Checkout, CheckoutReport, FolderContent, ReadBlock};
pub use client::Client;
pub use content::message_of;
pub use discovery::Discover;
pub use doctor::{Multicast, ServerAnswer, probe_dht, probe_multicast, probe_servers};
pub use events::EventStream;
pub use failure::{Code, Failure, FailureBody, FailureKind};
pub use identities::Identities;
pub use node::{Listen, Node, NodeConfig};
pub use quorate_net::discovery::Network;
pub use quorate_net::discovery::dht::{DhtKind, DhtStatus, NodeName};
pub use quorate_net::discovery::servers::ServerName;
pub use quorate_net::names::{AskNames, DatName, NameSource, Resolved};
pub use quorate_replicate::Selection;
pub use stream::{ExtensionMessage, Stream};

/// Name of the extension by which quorate nodes know each other; its messages carry votes and evidence.
pub const EXTENSION: &str = "quorate/1";

/// Blocks that one question about blocks is answered for.
pub const MAX_BLOCKS_DESCRIBED: u64 = 1024;

/// Way into a connection.
pub(crate) type WireOutbox = quorate_net::outbox::Outbox<quorate_net::Command>;
