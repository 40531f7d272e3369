//! What goes into the machine and what comes out.

use std::time::{Duration, Instant};

use bytes::Bytes;
use quorate_proto::quorate1::FrameError;
use quorate_proto::quorum::NodeContent;
use quorate_types::{Hash, PublicKey, RoomId, RulesHash, StateRoot};

use crate::certificate::{VerifiedFinal, VerifiedStart};
use crate::evidence::{Evidence, VerifiedEvidence};
use crate::head::Head;
use crate::key::Signer;
use crate::statement::{Challenge, Have, Reject, Response, StatementError, Target, Verified, Vote};
use crate::validators::ValidatorSet;

/// Name of a peer, given by the node; never given twice to an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer(pub u64);

/// Name of a record that is being written; ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What an engine is made of, besides its records.
#[derive(Debug, Clone)]
pub struct Config {
    /// The room.
    pub room: RoomId,
    /// Feed of epoch 0.
    pub feed: PublicKey,
    /// Validators of epoch 0.
    pub validators: ValidatorSet,
    /// Identity keys of those who may host after the first host, in that order; at most `MAX_HOSTS`.
    pub hosts: Vec<PublicKey>,
    /// Vote key of this node, if it is a validator or wants to become one.
    pub vote_key: Option<Signer>,
    /// Identity key of this node, if it may be among the hosts.
    pub host_key: Option<Signer>,
    /// This node writes the feed of epoch 0.
    pub is_genesis_host: bool,
    /// Whether the records are the ones that this node last wrote.
    pub guard: Guard,
    /// Patience and pace.
    pub timing: Timing,
    /// Rule of the protocol that is broken on purpose.
    #[cfg(feature = "planted-bugs")]
    pub bug: Option<super::Bug>,
}

impl Config {
    /// Configures a node that only watches a room with one host.
    pub fn new(room: RoomId, feed: PublicKey, validators: ValidatorSet) -> Self {
        Self {
            room,
            feed,
            validators,
            hosts: Vec::new(),
            vote_key: None,
            host_key: None,
            is_genesis_host: false,
            guard: Guard::Intact,
            timing: Timing::default(),
            #[cfg(feature = "planted-bugs")]
            bug: None,
        }
    }
}

/// Whether the records of votes can be trusted to be the newest ones (the vote guard).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// The records are of this machine and this storage, and nothing was set back.
    Intact,
    /// The records are copied, restored or lost. The engine signs nothing with the vote key, in any epoch: what was
    /// signed before may still be on its way. The validator comes back with a new key, by a change of validators.
    Recovering,
}

/// Times that agreement does not depend on, only progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Time without progress, while a signed action waits, after which a validator seals the epoch. Twice as long for
    /// each epoch since the last one with a Final, up to [`MAX_DOUBLINGS`](super::limits::MAX_DOUBLINGS) times.
    pub patience: Duration,
    /// Time after which a validator votes for a head that nobody proposes.
    pub proposal: Duration,
    /// Time after which the host proposes its newest head although the proposal before has no QC. Shorter than that: while
    /// blocks come fast, validators often have a signature of another head than the one that was proposed.
    pub again: Duration,
    /// Time after which an acknowledgement that found no later vote is sent with the same vote again, while blocks wait for
    /// votes; where none do it is sent at once.
    pub ack: Duration,
    /// Time between certificate blocks while there is new finality.
    pub certificate: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(10),
            proposal: Duration::from_millis(500),
            again: Duration::from_millis(100),
            ack: Duration::from_millis(2),
            certificate: Duration::from_secs(1),
        }
    }
}

/// A head that the writer signed, all of whose blocks are here and accepted by the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Epoch that the last of the blocks belongs to: 0 for the first feed, else what the newest start says.
    pub epoch: u64,
    /// The feed.
    pub feed: PublicKey,
    /// The head.
    pub head: Head,
    /// What the rules wrote up to there.
    pub state_root: StateRoot,
    /// Rules in force, and the engine that ran them.
    pub rules_hash: RulesHash,
    /// Length up to the last block that is no certificate block: finality of certificates alone is not worth one.
    pub substance: u64,
    /// There when the last block is a change of validators.
    pub closes: Option<Box<Closes>>,
}

/// A change of validators that ends an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closes {
    /// Validators of the next epoch ([`Change::read`](crate::certificate::Change::read)).
    pub next: ValidatorSet,
    /// The block.
    pub block: Bytes,
    /// What shows that it is the last one ([`Inclusion::nodes`](crate::certificate::Inclusion::nodes)).
    pub nodes: Vec<NodeContent>,
}

/// A head that the writer signed, whose last block the rules refuse; all before it are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Epoch that the block belongs to.
    pub epoch: u64,
    /// The feed.
    pub feed: PublicKey,
    /// Head whose last block is refused.
    pub head: Head,
    /// Rules in force, and the engine that ran them.
    pub rules_hash: RulesHash,
    /// Number of the reason, as people see it.
    pub rule: u16,
    /// What the rule returned, as far as it fits.
    pub code: u16,
}

/// Where an epoch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base {
    /// Feed that the history is continued from.
    pub feed: PublicKey,
    /// What of it counts; `None` when nothing but the room's genesis does.
    pub head: Option<Head>,
}

/// Something that happened outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A peer lists the extension on the channel of a feed of the room.
    PeerOpened {
        /// Who.
        peer: Peer,
    },
    /// The channel or its connection is gone.
    PeerClosed {
        /// Who.
        peer: Peer,
    },
    /// An extension message came. Frames that are the relay's, or not known, are left alone.
    Message {
        /// From whom.
        peer: Peer,
        /// Its bytes.
        payload: Bytes,
    },
    /// A signed head was checked. Ascending for each feed.
    Checked(Checked),
    /// A signed head was refused.
    Refused(Refused),
    /// A feed holds the start of an epoch, which [`check_start`](super::Engine::check_start) verified.
    Started(Box<VerifiedStart>),
    /// The copy of a feed holds another branch now: heads that were reported are of the branch before, but for those up
    /// to a length that both have ([`certified`](super::Engine::certified) says which branch counts).
    Switched {
        /// The feed.
        feed: PublicKey,
        /// Length up to which both branches are the same, blocks.
        common: u64,
    },
    /// Since when the oldest signed action that is known here and not committed waits; `None` when there is none.
    Pending {
        /// That time.
        since: Option<Instant>,
    },
    /// A feed holds a certificate block, which [`check_final`](super::Engine::check_final) verified.
    Certificate(Box<VerifiedFinal>),
    /// Evidence was found outside, or [`Output::Judge`] was answered: a fork in a feed, a refused block.
    Evidence(Box<VerifiedEvidence>),
    /// Answer to [`Output::CreateFeed`]: this node made a key pair for its feed.
    FeedCreated {
        /// Epoch for which.
        epoch: u64,
        /// Key of the feed.
        feed: PublicKey,
    },
    /// This node promises storage, or asks for or shows a block; to one peer or to all.
    Storage {
        /// To whom; `None` for all.
        peer: Option<Peer>,
        /// What it signed.
        message: Storage,
    },
    /// The record of a ticket, and all before it, are durable.
    Persisted {
        /// The ticket.
        ticket: Ticket,
    },
    /// The time of [`poll_timeout`](super::Engine::poll_timeout) has come.
    Timeout,
}

/// Where a record lies; one slot holds the newest record that was written to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// Longest vote of this node in an epoch: a signed `VOTE`.
    Vote {
        /// The epoch.
        epoch: u64,
    },
    /// Seal of this node: a signed `SEAL`.
    Seal {
        /// The epoch.
        epoch: u64,
    },
    /// Grant of this node: a signed `GRANT`.
    Grant {
        /// The epoch.
        epoch: u64,
    },
    /// Longest QC of an epoch.
    Qc {
        /// The epoch.
        epoch: u64,
    },
    /// By what this node entered an epoch: handover and, as soon as it is known, grant.
    Start {
        /// The epoch.
        epoch: u64,
    },
    /// Newest Final.
    Final,
    /// Evidence.
    Evidence {
        /// Hash of its bytes.
        id: Hash,
    },
}

/// Something to be done outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Make the record durable, then report [`Input::Persisted`].
    Persist {
        /// Name of the write.
        ticket: Ticket,
        /// Where the record goes.
        slot: Slot,
        /// The record.
        record: Bytes,
    },
    /// Send the extension message.
    Send {
        /// To whom.
        peer: Peer,
        /// Its bytes.
        payload: Bytes,
    },
    /// Close the peer's connection. The machine has forgotten the peer.
    Disconnect {
        /// Whose.
        peer: Peer,
        /// Why.
        fault: Fault,
    },
    /// Everything up to here is final, and the Final is on the disk. Ascending, by epoch and length.
    Committed {
        /// Its epoch.
        epoch: u64,
        /// Feed of that epoch.
        feed: PublicKey,
        /// What is final.
        target: Target,
    },
    /// At the host of the epoch: append a block with this.
    Append {
        /// Feed to which.
        feed: PublicKey,
        /// What.
        what: Append,
    },
    /// This node hosts an epoch: make a key pair for its feed, keep it, and report [`Input::FeedCreated`].
    CreateFeed {
        /// The epoch.
        epoch: u64,
        /// Where it begins.
        base: Base,
    },
    /// At the host of an epoch with a feed of its own: the grant is durable, block 0 may be written. It may come again
    /// after a start; nothing is to be done then if the block is there.
    OpenFeed {
        /// The epoch.
        epoch: u64,
        /// Key of the feed.
        feed: PublicKey,
        /// Where it begins.
        base: Base,
        /// Certificate of the header's `previous`: the start of the epoch.
        start: Bytes,
    },
    /// An epoch was entered, or its feed became known, or its start was replaced by the one that its feed holds.
    Entered {
        /// The epoch.
        epoch: u64,
        /// Where it begins.
        base: Base,
        /// Its feed, to be replicated; `None` until its host grants one.
        feed: Option<PublicKey>,
        /// Its validators.
        validators: Box<ValidatorSet>,
    },
    /// A peer brings evidence that takes the history to check: verify it, and report [`Input::Evidence`] if it holds.
    Judge(Box<Evidence>),
    /// Votes of one validator in one epoch, ascending by length, for a feed that is known to fork. Whoever holds both
    /// histories looks whether two of them contradict each other
    /// ([`Claim::linked_votes`](crate::evidence::Claim::linked_votes)), and reports [`Input::Evidence`] then.
    Compare(Vec<Verified<Vote>>),
    /// A validator's vote came for the first time, for those who watch.
    Voted(Box<Verified<Vote>>),
    /// A validator says that a rule says no.
    Rejected(Box<Verified<Reject>>),
    /// A peer promises storage, or asks for or shows a block.
    Storage {
        /// From whom.
        peer: Peer,
        /// What was signed.
        message: Storage,
    },
    /// Somebody is shown to have signed a contradiction; it is on its way to the disk and to the peers.
    Exposed(Box<VerifiedEvidence>),
    /// A person should look at something that is not proof.
    Alarm(Alarm),
}

/// What is signed about storage, verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// A promise.
    Have(Verified<Have>),
    /// Asks for a block.
    Challenge(Verified<Challenge>),
    /// Shows a block.
    Response(Verified<Response>),
}

/// What a block is to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Append {
    /// Body of a `Certificate` entry.
    Certificate(Bytes),
    /// Body of an `Evidence` entry.
    Evidence(Bytes),
    /// Body of an `EpochStart` entry: the block behind the base. It may come again after a start; nothing is to be done
    /// then if the block is there.
    EpochStart(Bytes),
}

/// What a person should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alarm {
    /// A vote or a seal by this node's own key is about that its records do not have: the records were set back, or
    /// the key is in use elsewhere. It signs nothing more.
    ForeignVote {
        /// Epoch of the statement.
        epoch: u64,
    },
    /// The head at the length of the last vote is another one than was voted for.
    VotedOtherwise {
        /// What was voted for.
        voted: Head,
        /// What the feed holds.
        found: Head,
    },
    /// Two certificates of one epoch contradict each other: more validators are faulty than agreement bears.
    Disagreement {
        /// The epoch.
        epoch: u64,
        /// What was certified first.
        held: Head,
        /// What is certified as well.
        found: Head,
    },
}

/// Why a peer's connection is closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// What it sends is no message.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// What it sends is no statement, or its signature does not verify.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// What it sends is no certificate, or does not verify.
    #[error(transparent)]
    Certificate(#[from] crate::certificate::CertificateError),
    /// What it sends is no evidence, or proves nothing.
    #[error(transparent)]
    Evidence(#[from] crate::evidence::EvidenceError),
}
