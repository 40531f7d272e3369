//! What goes into the machine and what comes out.

use bytes::Bytes;
use quorate_proto::quorate1::{FrameError, Status};
use quorate_types::{Hash, PublicKey, RoomId};

use crate::chunk::ChunkError;
use crate::entry::{EntryError, VerifiedEntry};
use crate::refusal::Refusal;

/// Name of a peer, given by the node; never given twice to a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer(pub u64);

/// Something that happened outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A peer lists the extension on the channel of the room's feed.
    PeerOpened {
        /// Who.
        peer: Peer,
    },
    /// The channel or its connection is gone.
    PeerClosed {
        /// Who.
        peer: Peer,
    },
    /// An extension message came.
    Message {
        /// From whom.
        peer: Peer,
        /// Its bytes.
        payload: Bytes,
    },
    /// A block of the room became known and valid here, however it came. Blocks are named in their order, each before
    /// the [`Head`](Self::Head) that contains it; after a start it does no harm to name the newest ones again.
    Appeared {
        /// Digest of the entry.
        digest: Hash,
        /// Its author.
        author: PublicKey,
        /// Its number among the author's entries.
        sequence: u64,
        /// Index of the block.
        index: u64,
    },
    /// The room has this many blocks here, all of them known and valid.
    Head {
        /// Number of blocks.
        length: u64,
        /// Tree hash of those blocks.
        tree_hash: Hash,
    },
    /// Answer to [`Output::Offer`], one to each, in any order.
    Answered {
        /// Digest of the offer.
        digest: Hash,
        /// What became of it.
        answer: Answer,
    },
    /// The time of [`Relay::poll_timeout`](super::Relay::poll_timeout) has come.
    Timeout,
}

/// What the host says to an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The entry stands in a block, and that block is durable.
    Appended {
        /// Index of the block.
        index: u64,
    },
    /// Nothing was appended.
    ///
    /// An entry whose predecessors are not there yet ([`RoomCode::SequenceSkipped`](crate::refusal::RoomCode)) waits
    /// for them and is offered again; when it cannot be told whether it is valid, it is as with
    /// [`Later`](Self::Later).
    Refused(Refusal),
    /// The rule change needs a module that is not in the room: it is offered again with the module.
    NeedsModule,
    /// It cannot be told now. Nobody hears anything; who submitted the entry tries again.
    Later,
}

/// Something to be done outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send the extension message.
    Send {
        /// To whom.
        peer: Peer,
        /// Its bytes.
        payload: Bytes,
    },
    /// At the host: check the entry, append it when it is valid, and report [`Input::Answered`].
    Offer {
        /// Digest of the entry.
        digest: Hash,
        /// The entry, whose signature verifies.
        entry: Box<VerifiedEntry>,
        /// Module of the rule change, when it is here.
        module: Option<Bytes>,
    },
    /// One of this node's own entries got into another state, its last one.
    Submission {
        /// Digest of the entry.
        digest: Hash,
        /// What became of it.
        state: SubmissionState,
    },
    /// An entry of a peer is passed on to the host, where others may host the room one day. It may come again.
    Heard {
        /// The entry, whose signature verifies.
        entry: Box<VerifiedEntry>,
    },
    /// The host has refused an entry, where others may host the room one day.
    Settled {
        /// Digest of the entry.
        digest: Hash,
    },
    /// A peer says what it has. It may lie.
    PeerStatus {
        /// Who.
        peer: Peer,
        /// What it says.
        status: Status,
    },
    /// Close the peer's connection. The machine has forgotten the peer.
    Disconnect {
        /// Whose.
        peer: Peer,
        /// Why.
        fault: Fault,
    },
}

/// What has become of one of this node's own entries. Before that it is *submitted*.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubmissionState {
    /// It stands in a block: the host says so, or the block is here.
    Appended {
        /// Index of the block.
        index: u64,
    },
    /// The host refused it, or the author's number was used for another entry.
    Refused(Refusal),
    /// The room went past the height until which it was valid, or the time given for it has passed.
    Expired,
}

/// Why an entry cannot be submitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// It is for another room.
    #[error("expected an entry for room {expected}, found one for room {found}")]
    Room {
        /// This room.
        expected: RoomId,
        /// Room for which it is signed.
        found: RoomId,
    },
    /// It is too large to be sent; only the host itself can append it.
    #[error("expected an entry of at most {limit} bytes, found {found}")]
    TooLarge {
        /// Largest entry, bytes.
        limit: usize,
        /// Bytes that it has.
        found: usize,
    },
    /// An entry with the same author and number waits already.
    #[error("expected one entry {sequence} of {author}, found another one that waits for the host")]
    SequenceTaken {
        /// Its author.
        author: PublicKey,
        /// Its number.
        sequence: u64,
    },
    /// As many entries wait as may.
    #[error("expected at most {limit} entries that wait for the host, found as many already")]
    TooMany {
        /// Entries that may wait.
        limit: usize,
    },
    /// As many bytes wait as may.
    #[error("expected at most {limit} bytes of entries that wait for the host, found {found} with this one")]
    TooManyBytes {
        /// Bytes that may wait.
        limit: usize,
        /// Bytes that would.
        found: usize,
    },
}

/// Why a peer's connection is closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// What it sends is no message.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// It speaks of another room on this room's channel.
    #[error("expected a message about room {expected}, found one about room {found}")]
    Room {
        /// This room.
        expected: RoomId,
        /// Room that it names.
        found: RoomId,
    },
    /// What it submits is no entry, or forged.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// It passes on a receipt that the host did not sign.
    #[error("expected a receipt signed by the host {host}, found one that does not verify")]
    Receipt {
        /// Key of the host's feed.
        host: PublicKey,
    },
    /// What it sends is not the module that was asked for.
    #[error(transparent)]
    Module(#[from] ChunkError),
}
