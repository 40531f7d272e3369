//! What happens in a node, as it happens.

use quorate_types::{Hash, PublicKey, StateRoot};
use serde::{Deserialize, Serialize};

use crate::model::{Direction, SaidState};

/// Something that happened; `share --json` prints one a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The node listens.
    Listening {
        /// `ip:port`.
        address: String,
    },
    /// A stream is served.
    Sharing {
        /// Local name.
        stream: String,
        /// Key.
        key: PublicKey,
        /// `dat://<key>`.
        link: String,
        /// Blocks in the feed.
        length: u64,
    },
    /// A stream is neither fetched nor served: its user has decided so about its key.
    NotReplicated {
        /// Local name.
        stream: String,
        /// Key.
        key: PublicKey,
    },
    /// A handshake is complete.
    Connected {
        /// Remote `ip:port`.
        peer: String,
        /// Who dialled.
        direction: Direction,
        /// `A` or `B2`.
        wire: String,
        /// Identity on the wire.
        id: Option<String>,
    },
    /// A connection ended.
    Disconnected {
        /// Remote `ip:port`.
        peer: String,
        /// Why.
        reason: String,
    },
    /// A peer could not be reached, or speaks another wire.
    DialFailed {
        /// `host:port` as it was given.
        peer: String,
        /// Why.
        reason: String,
        /// Stable code.
        code: String,
    },
    /// A stream is open on a connection, on both sides.
    Joined {
        /// Local name.
        stream: String,
        /// Remote `ip:port`.
        peer: String,
    },
    /// A stream is no longer open on a connection.
    Left {
        /// Local name.
        stream: String,
        /// Remote `ip:port`.
        peer: String,
    },
    /// Blocks were appended here and are durable.
    Appended {
        /// Local name.
        stream: String,
        /// First new block.
        start: u64,
        /// New length.
        length: u64,
    },
    /// A stream is not written here, although its secret key is here: its newest head is not known for sure.
    Recovering {
        /// Local name.
        stream: String,
        /// What does not fit.
        reason: String,
        /// Peers that have to say how long it is.
        needed: usize,
    },
    /// A stream that was recovering is written here again: its newest head is known.
    Recovered {
        /// Local name.
        stream: String,
        /// Its length.
        length: u64,
        /// Peers that have said how long it is.
        peers: usize,
    },
    /// Blocks came from peers, verified and stored; coalesced.
    Downloaded {
        /// Local name.
        stream: String,
        /// Blocks since the event before.
        blocks: u64,
        /// Bytes since the event before.
        bytes: u64,
        /// Blocks that are here now.
        here: u64,
        /// Length of the feed.
        length: u64,
    },
    /// Blocks went to peers; coalesced.
    Uploaded {
        /// Local name.
        stream: String,
        /// Blocks since the event before.
        blocks: u64,
        /// Bytes since the event before.
        bytes: u64,
    },
    /// All that is selected is here, verified and on disk.
    Synced {
        /// Local name.
        stream: String,
        /// Length of the feed.
        length: u64,
    },
    /// All blocks of a room that are here were checked, and its rules accept them.
    Checked {
        /// Local name.
        stream: String,
        /// Blocks that were checked.
        length: u64,
        /// Digest of the state after them.
        state_root: StateRoot,
    },
    /// An entry of this node got into another state: `appended`, `refused` or `expired`.
    Submission {
        /// Local name.
        stream: String,
        /// Hash by which the entry is known.
        digest: Hash,
        /// What became of it.
        #[serde(flatten)]
        state: SaidState,
    },
    /// A validator has voted, here or elsewhere.
    Voted {
        /// Local name.
        stream: String,
        /// The epoch.
        epoch: u64,
        /// The validator.
        validator: PublicKey,
        /// Blocks of the epoch's feed that it voted for.
        length: u64,
    },
    /// A quorum of the room's validators has committed blocks: nobody can make others forget them.
    Committed {
        /// Local name.
        stream: String,
        /// The epoch.
        epoch: u64,
        /// Blocks that are committed.
        length: u64,
    },
    /// An epoch of a room begins: its blocks go on in the feed of another host, or with other validators.
    Epoch {
        /// Local name.
        stream: String,
        /// The epoch.
        epoch: u64,
        /// Key of the feed.
        feed: PublicKey,
        /// First block of the room that stands in it.
        start: u64,
        /// The host and its feed are those of the epoch before; the validators are others.
        same_host: bool,
    },
    /// Somebody is shown to have signed a contradiction.
    Evidence {
        /// Local name.
        stream: String,
        /// Hash by which the evidence is known.
        id: Hash,
        /// Which kind, such as `writer-fork`.
        kind: String,
        /// The key that signed.
        culprit: PublicKey,
    },
    /// The rules of a room refuse a block that its host appended: the room is not followed any further.
    Refused {
        /// Local name.
        stream: String,
        /// Position of the block.
        index: u64,
        /// Stable code.
        code: String,
        /// Who refuses it and why.
        reason: String,
    },
    /// Blocks were deleted here.
    Cleared {
        /// Local name.
        stream: String,
        /// First block.
        start: u64,
        /// One past the last.
        end: u64,
    },
    /// The writer signed two histories.
    Fork {
        /// Local name.
        stream: String,
        /// Key.
        key: PublicKey,
        /// Peer that carries the other history.
        peer: String,
        /// Length of the head here.
        ours: u64,
        /// Length of the head there.
        theirs: u64,
        /// The evidence, hexadecimal.
        evidence: String,
    },
    /// A peer sent what its writer never signed.
    Corrupt {
        /// Local name.
        stream: String,
        /// The peer.
        peer: String,
        /// Block in question.
        index: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// An extension message came.
    Extension {
        /// Local name.
        stream: String,
        /// The peer.
        peer: String,
        /// Name of the extension.
        name: String,
        /// Bytes in the message.
        bytes: usize,
    },
    /// A stream stopped because its storage failed.
    StorageFailed {
        /// Local name.
        stream: String,
        /// Why.
        reason: String,
    },
    /// Events were lost because nobody read them in time.
    Lagged {
        /// How many.
        lost: u64,
    },
}
