//! What goes into the machine and what comes out.

use std::time::Duration;

use quorate_proto::dat::{Data, FeedMessage};
use quorate_types::BlockRange;

use crate::{PeerProfile, Selection};

/// Name of a peer, given by the node; never given twice to a replicator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer(pub u64);

/// Something that happened outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The channel of the feed is open on both sides.
    PeerOpened {
        /// Who.
        peer: Peer,
        /// What is known of it.
        profile: PeerProfile,
    },
    /// The peer's extensions show that it is a quorate node: it serves in the order of the requests, each one by
    /// its own digest alone, and takes cancels.
    PeerIsQuorate {
        /// Who.
        peer: Peer,
    },
    /// The peer asks that blocks it sends be acknowledged (`ack` of its options or handshake).
    PeerWantsAcks {
        /// Who.
        peer: Peer,
    },
    /// The channel or its connection is gone.
    PeerClosed {
        /// Who.
        peer: Peer,
    },
    /// The peer sent a message.
    Message {
        /// Who.
        peer: Peer,
        /// What.
        message: FeedMessage,
    },
    /// Blocks became available other than through [`Output::Verify`]: appended and durable, or imported.
    Appended {
        /// Which.
        range: BlockRange,
    },
    /// Blocks are no longer here. They are not fetched again unless they are wanted or selected anew.
    Cleared {
        /// Which.
        range: BlockRange,
    },
    /// Peers that are not quorate nodes are told of, and served, only the blocks before this one; `None`: all of them.
    /// What they were shown before stays shown.
    Gate {
        /// A length that can be proved by itself.
        length: Option<u64>,
    },
    /// From now on these blocks are fetched.
    Select {
        /// Which.
        selection: Selection,
    },
    /// One block is wanted before all others.
    Want {
        /// Which.
        index: u64,
    },
    /// The block of [`Input::Want`] is no longer waited for.
    Forget {
        /// Which.
        index: u64,
    },
    /// The newest head that peers know is wanted; [`ReplicationEvent::Updated`] answers.
    Update,
    /// A block or proof of [`Output::Verify`] was verified and stored.
    Stored {
        /// Peer of the output.
        peer: Peer,
        /// Block of the output.
        index: u64,
        /// The block was not here before; false for a proof without a block.
        new: bool,
        /// The feed's length grew.
        upgraded: bool,
    },
    /// A block or proof of [`Output::Verify`] was not stored.
    Refused {
        /// Peer of the output.
        peer: Peer,
        /// Block of the output.
        index: u64,
        /// Why.
        refusal: Refusal,
    },
    /// Answer to [`Output::Investigate`].
    Investigated {
        /// Peer of the output.
        peer: Peer,
        /// What the comparison says.
        result: InvestigationResult,
    },
    /// The time of [`Replicator::poll_timeout`](crate::Replicator::poll_timeout) has come.
    Timeout,
}

/// Why a received block or proof was not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The proof lacks nodes that are not here either.
    MissingNode,
    /// The proof reaches the roots and has no signature.
    NoSignature,
    /// The signature does not fit the roots.
    BadSignature,
    /// A hash or a size does not fit what is here.
    WrongHash,
    /// The message cannot be a proof at all: a bad size, too many nodes, an index out of range.
    Malformed,
    /// The block is proven, and the feed's rules forbid it. It is not asked for again.
    Rules,
    /// Storage failed here. The block is not asked for again until something is selected or wanted anew.
    Storage,
}

/// What comparing a proof that stands alone with the feed here says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvestigationResult {
    /// The proof holds and agrees with all that is here.
    Consistent,
    /// The proof holds and contradicts what is here: two histories are signed by one key.
    Fork,
    /// The proof does not hold.
    Corrupt,
    /// More proofs are needed, of these blocks.
    Ask(Vec<u64>),
    /// The proof leaves out nodes that were once claimed on this connection; a fresh connection can tell.
    Incomplete,
}

/// Something to be done outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send the message.
    Send {
        /// To whom.
        peer: Peer,
        /// What.
        message: FeedMessage,
    },
    /// Requests of the peer began to wait: take them with
    /// [`Replicator::next_request`](crate::Replicator::next_request) whenever its connection has room, until there
    /// are none, and answer them in that order, each with a fresh view of what the peer has.
    Serve {
        /// Whose.
        peer: Peer,
    },
    /// Verify and store, then report [`Input::Stored`] or [`Input::Refused`]; one peer's in the order given.
    Verify {
        /// From whom.
        peer: Peer,
        /// What.
        data: Data,
    },
    /// Compare with the feed here without storing, then report [`Input::Investigated`].
    Investigate {
        /// From whom.
        peer: Peer,
        /// What; asked for with an empty digest.
        data: Data,
    },
    /// Something that the node may want to know.
    Event(ReplicationEvent),
    /// Nothing is left to do with the peer: close the channel after what was sent before. On wire A, where channels
    /// do not close, the stream ends when none of its feeds is left. The machine has forgotten the peer.
    CloseChannel {
        /// Whose.
        peer: Peer,
    },
    /// Close the peer's connection. The machine has forgotten the peer.
    Disconnect {
        /// Whose.
        peer: Peer,
        /// Why.
        fault: PeerFault,
        /// When set, connect again and open with this in [`PeerProfile::probe`].
        probe: Option<u64>,
    },
}

/// Something that the node may want to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicationEvent {
    /// A peer announced blocks beyond what it had announced before.
    RemoteLength {
        /// Who.
        peer: Peer,
        /// One past the last block it announced.
        length: u64,
    },
    /// Everything selected is here, as far as connected peers tell; again after something was missing in between.
    Synced {
        /// Length of the feed here.
        length: u64,
    },
    /// Selected or wanted blocks are missing, nothing is in flight, and no connected peer has them.
    Starved {
        /// First of them.
        first: u64,
    },
    /// The head is as new as any connected peer knows.
    Updated {
        /// Length of the feed here.
        length: u64,
    },
    /// A block or proof did not verify; its sender is asked for evidence.
    Suspected {
        /// Who sent it.
        peer: Peer,
        /// Block.
        index: u64,
        /// What did not fit.
        refusal: Refusal,
    },
    /// A peer holds another history, signed by the same key.
    ForkFound {
        /// Who.
        peer: Peer,
        /// Block whose proof shows it.
        index: u64,
    },
    /// A peer sends what nobody signed.
    CorruptPeer {
        /// Who.
        peer: Peer,
        /// Block that did not verify.
        index: u64,
    },
    /// A block is given up, because of the feed's rules or of storage here.
    GivenUp {
        /// Which.
        index: u64,
        /// Why.
        refusal: Refusal,
    },
}

/// Why a peer's connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PeerFault {
    /// It holds another history.
    #[error("expected the history that is here, found another one signed by the same key, at block {index}")]
    Fork {
        /// Block whose proof shows it.
        index: u64,
    },
    /// It sends what nobody signed.
    #[error("expected a block that verifies, found corrupt data for block {index}")]
    Corrupt {
        /// Block that did not verify.
        index: u64,
    },
    /// A block did not verify and this connection cannot tell why. With a probe a fresh one may; without, a fresh one
    /// could not tell either.
    #[error("expected a whole proof of block {index}, found one that leaves out nodes claimed before")]
    Unclear {
        /// Block that did not verify.
        index: u64,
    },
    /// It does not answer.
    #[error("expected an answer to the request for block {index}, found none within {waited:?}")]
    Silent {
        /// Oldest block it was asked for.
        index: u64,
        /// Time without any answer.
        waited: Duration,
    },
    /// It asks for more than it reads.
    #[error("expected at most {limit} waiting requests, found more")]
    TooManyRequests {
        /// Requests that may wait.
        limit: usize,
    },
    /// It sends blocks that nobody asked for.
    #[error("expected answers to requests, found more than {limit} blocks that were not asked for")]
    Unrequested {
        /// Such blocks that are let pass.
        limit: u32,
    },
    /// It names blocks that no feed has.
    #[error("expected blocks below {limit}, found block {found}")]
    OutOfRange {
        /// Largest feed length.
        limit: u64,
        /// Block it named.
        found: u64,
    },
    /// The bits of a have do not decode.
    #[error(
        "expected a run-length coded bitfield of at most {limit} bytes, found one that is broken or longer"
    )]
    BadBitfield {
        /// Largest size, bytes.
        limit: usize,
    },
}
