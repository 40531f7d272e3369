//! What can be asked of a stream's task.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use async_channel::Sender;
use async_lock::SemaphoreGuardArc;
use bytes::Bytes;
use quorate_feed::Roots;
use quorate_feed::fork::VerifiedForkProof;
use quorate_proto::dat::FeedMessage;
use quorate_quorum::head::Head;
use quorate_replicate::{Peer, PeerProfile, Selection};
use quorate_stream::identity::Author;
use quorate_types::BlockRange;
use quorate_wire::Channel;

use super::room::{ChangeValidators, Settling, Utterance};
use super::watch::{Shown, Watch};
use crate::model::{Appended, AuditSummary, BlockInfo, ProofFile, Published, StreamInfo};
use crate::{Failure, WireOutbox};

/// Way back to whoever asked; a stream that ends drops it unanswered.
pub(crate) type Reply<T> = Sender<Result<T, Failure>>;

/// What can be asked of a stream's task.
#[derive(Debug)]
pub(crate) enum Command {
    /// Write a stream that is recovering, on the word of its user.
    TrustWriter {
        /// Hears when it is so.
        reply: Reply<()>,
    },
    /// Append one batch; answered when it is durable.
    Append { blocks: Vec<Bytes>, reply: Reply<Appended> },
    /// Sign payloads and bring them to the host of the room; answered when all have come to an end, or in time.
    Say(Box<Utterance>),
    /// Answer those who say something with this call as it stands, without waiting any longer.
    Hurry { call: u64 },
    /// Append a change of the room's validators, as its host; answered when it is durable.
    ChangeValidators(ChangeValidators),
    /// Answered when every block that is here has a verdict, where the stream is a room.
    Checked { reply: Reply<u64> },
    /// Answered with the committed length when that is at least this one.
    Committed { length: u64, reply: Reply<u64> },
    /// Answered when what was said is committed, or will not be.
    Settled(Settling),
    /// Return a piece of evidence by its id, or the first digits of it.
    Evidence { id: String, reply: Reply<Bytes> },
    /// Send evidence to every quorate peer: what is here with this id, or these bytes.
    Publish { id: String, bytes: Option<Bytes>, reply: Reply<Published> },
    /// So much of the feed is committed; its task looks after no room.
    Gate { head: Head },
    /// The user has decided something about the writer.
    PolicyChanged,
    /// Show the task of a room how far the feed is; answered with what signs receipts, where the feed is written here.
    Watch { watch: Watch, reply: Reply<Option<Author>> },
    /// Append blocks of a room that its task has checked; answered when they are durable.
    Extend { blocks: Vec<Bytes>, reply: Reply<Appended> },
    /// Read blocks up to the first that is not here, but not too many.
    Read { range: BlockRange, reply: Reply<Vec<Bytes>> },
    /// Return the peaks of the feed at a length, if they are known.
    Roots { length: u64, reply: Reply<Option<Roots>> },
    /// Return the first signed length that covers a block, if it is known.
    Signed { index: u64, reply: Reply<Option<u64>> },
    /// Show where a block stands in what the writer signed.
    Show { index: u64, reply: Reply<Option<Shown>> },
    /// Read a block that is here.
    Get { index: u64, reply: Reply<Bytes> },
    /// Read a block, from peers if need be; answered when it came.
    Fetch { index: u64, reply: Reply<Bytes> },
    /// Say how the stream stands.
    Info { reply: Reply<StreamInfo> },
    /// Describe blocks.
    Blocks { range: BlockRange, reply: Reply<Vec<BlockInfo>> },
    /// Prove a block.
    Prove { index: u64, reply: Reply<ProofFile> },
    /// Go over to the other history of a fork, of which some first blocks are known to be the same; answered with the blocks
    /// that are dropped, nothing where this feed holds neither.
    TakeBranch { fork: Box<VerifiedForkProof>, shared: u64, reply: Reply<Option<BlockRange>> },
    /// Delete blocks.
    Clear { range: BlockRange, reply: Reply<u64> },
    /// Copy everything into a directory, as it is on the disk.
    Export { to: PathBuf, with_secret_key: bool, reply: Reply<()> },
    /// Check everything again.
    Audit { progress: Sender<(u64, u64)>, reply: Reply<AuditSummary> },
    /// Fetch these blocks from now on.
    Select { selection: Selection, reply: Reply<()> },
    /// Wait until everything selected is here and on disk.
    Synced { reply: Reply<u64> },
    /// Send an extension message to every peer that lists the name; answered with their number.
    SendExtension { name: String, payload: Bytes, reply: Reply<usize> },
    /// Hand over extension messages from now on.
    WatchExtensions { to: Sender<ExtensionMessage> },
    /// Write everything down and end.
    Close { reply: Reply<()> },
    /// The stream is open on a connection.
    PeerOpened { peer: Peer, opened: Box<OpenedPeer> },
    /// The peer is a quorate node.
    PeerIsQuorate { peer: Peer },
    /// The peer wants acknowledgements.
    PeerWantsAcks { peer: Peer },
    /// Messages of a peer, in order. The turn is free again when they have been dealt with.
    PeerMessages { peer: Peer, messages: Vec<FeedMessage>, turn: SemaphoreGuardArc },
    /// An extension message of a peer.
    PeerExtension { peer: Peer, name: String, payload: Bytes, turn: SemaphoreGuardArc },
    /// The stream is no longer open on the connection.
    PeerClosed { peer: Peer },
}

/// A connection on which the stream is open.
#[derive(Debug)]
pub(crate) struct OpenedPeer {
    /// Channel on the connection.
    pub(crate) channel: Channel,
    /// Way out.
    pub(crate) outbox: WireOutbox,
    /// What the machine is told.
    pub(crate) profile: PeerProfile,
    /// Remote `ip:port`, for people.
    pub(crate) address: String,
    /// Key or id by which the peer is known on all its connections.
    pub(crate) id: Option<String>,
    /// Length that the peer announces, for people.
    pub(crate) remote_length: Arc<AtomicU64>,
}

/// An extension message that came on a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtensionMessage {
    /// Remote `ip:port`.
    pub peer: String,
    /// Name of the extension.
    pub name: String,
    /// Its bytes.
    pub payload: Bytes,
}
