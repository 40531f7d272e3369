//! Evidence: signed contradictions, which anyone can check from their bytes; nobody who brings them need be trusted.
//!
//! | kind | proves that |
//! |---|---|
//! | [`Claim::WriterFork`] | the writer of a feed signed two histories |
//! | [`Claim::WriterTruncate`] | the writer of a hypercore-10 feed rewrote its history |
//! | [`Claim::BadAppend`] | the writer signed a history with a block that the rules refuse; whoever holds the prefix checks |
//! | [`Claim::DoubleGrant`] | a host granted two feeds for one epoch |
//! | [`Claim::DoubleVote`] | a validator voted for two histories in one epoch |
//! | [`Claim::SealBreak`] | a validator voted for what its seal says it did not, or acknowledged what its seal has forgotten |
//! | [`Claim::BadVerdict`] | a validator's vote is not what the rules say; whoever holds the prefix checks |
//! | [`Claim::HaveRollback`] | a storage peer forgot what it promised to keep, or lies about it |
//!
//! What is compared is what was signed, never signatures: one statement may have several. Both signatures verify
//! strictly under one key, room and epoch are the same, the encoding is canonical, and sizes are checked before
//! anything is parsed.
//!
//! The set of validators is *not* compared in votes, grants and seals: an honest key signs for one feed in an epoch
//! whichever set it is, and two sets in one epoch are what agreement across a change of validators hangs on.

mod check;
mod codec;
mod error;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use quorate_feed::fork::{ForkProof, find_link};
use quorate_feed::{Roots, SignedRoots};
use quorate_proto::quorum::NodeContent;
use quorate_types::{Hash, Node, NodeIndex, PublicKey, RoomId, RulesHash, Signature, StateRoot};

use crate::head::Head;
use crate::statement::{Grant, Have, Reject, Response, Seal, Signed, Vote};

pub use error::EvidenceError;

/// Somebody signed a contradiction, it is said; [`verify`](Self::verify) tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Room that it is about.
    pub room: RoomId,
    /// What was signed.
    pub claim: Claim,
}

/// What was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Two roots of which neither extends the other; [`Claim::writer_fork`] puts those of one length into their order.
    WriterFork(Box<ForkProof>),
    /// A root of a hypercore-10 feed that says that its history was rewritten, where none may be.
    WriterTruncate {
        /// Key of the feed.
        key: PublicKey,
        /// The root, and the signature over it with the number of the fork.
        signed: SignedRoots,
        /// How many times it says that the history was rewritten.
        fork: u64,
    },
    /// A signed history, and a block of it that the rules refuse.
    BadAppend {
        /// Key of the feed.
        key: PublicKey,
        /// Length that was signed, blocks.
        length: u64,
        /// What shows that the block stands there ([`Inclusion`](crate::certificate::Inclusion)).
        nodes: Vec<NodeContent>,
        /// By the writer.
        signature: Signature,
        /// Index of the block.
        index: u64,
        /// The block, of at most `MAX_PROVEN_BLOCK_BYTES`.
        block: Bytes,
    },
    /// Two grants of one host and epoch for different feeds, in the order of their bytes.
    DoubleGrant(Signed<Grant>, Signed<Grant>),
    /// Two inconsistent votes of one key and epoch, by length and in the order of their bytes.
    DoubleVote {
        /// The shorter one.
        first: Signed<Vote>,
        /// The longer one.
        second: Signed<Vote>,
        /// What shows the contradiction; there for one feed and different lengths.
        link: Option<Box<VoteLink>>,
    },
    /// A seal, and a vote of that epoch that contradicts it.
    SealBreak {
        /// The seal.
        seal: Signed<Seal>,
        /// The vote.
        vote: Signed<Vote>,
    },
    /// A verdict that the rules do not bear out.
    BadVerdict(SignedVerdict),
    /// A promise of storage, and what breaks it.
    HaveRollback {
        /// The promise.
        have: Signed<Have>,
        /// What breaks it.
        broken_by: PromiseBreak,
    },
}

/// Peaks of two histories that were voted for, and the nodes that show that they contradict each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoteLink {
    /// Peaks of the shorter one.
    pub first: Roots,
    /// Peaks of the longer one.
    pub second: Roots,
    /// The longer one's node in the place of one of the shorter one's peaks, then the siblings up to one of its own
    /// peaks (`quorate_feed::fork::find_link`).
    pub nodes: Vec<Node>,
}

/// A signed verdict on a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedVerdict {
    /// The rules accept every block.
    Vote(Signed<Vote>),
    /// The rules refuse the last block.
    Reject(Signed<Reject>),
}

/// What breaks a promise of storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromiseBreak {
    /// A later promise of less.
    Have(Signed<Have>),
    /// A wrong answer to a challenge.
    Response(Signed<Response>),
}

/// Which kind of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EvidenceKind {
    /// [`Claim::WriterFork`].
    WriterFork,
    /// [`Claim::WriterTruncate`].
    WriterTruncate,
    /// [`Claim::BadAppend`].
    BadAppend,
    /// [`Claim::DoubleGrant`].
    DoubleGrant,
    /// [`Claim::DoubleVote`].
    DoubleVote,
    /// [`Claim::SealBreak`].
    SealBreak,
    /// [`Claim::BadVerdict`].
    BadVerdict,
    /// [`Claim::HaveRollback`].
    HaveRollback,
}

impl EvidenceKind {
    /// Returns its name for people and scripts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WriterFork => "writer-fork",
            Self::WriterTruncate => "writer-truncate",
            Self::BadAppend => "bad-append",
            Self::DoubleGrant => "double-grant",
            Self::DoubleVote => "double-vote",
            Self::SealBreak => "seal-break",
            Self::BadVerdict => "bad-verdict",
            Self::HaveRollback => "have-rollback",
        }
    }

    /// Tells whether it is against the writer of a feed or a host; otherwise it is against a vote key or a storage
    /// peer.
    pub const fn is_of_host(self) -> bool {
        matches!(self, Self::WriterFork | Self::WriterTruncate | Self::BadAppend | Self::DoubleGrant)
    }

    /// Tells whether it is against a validator.
    pub const fn is_of_validator(self) -> bool {
        matches!(self, Self::DoubleVote | Self::SealBreak | Self::BadVerdict)
    }
}

/// What the rules say of a history or a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// They accept all of it.
    Accepted {
        /// What they wrote.
        state_root: StateRoot,
        /// Rules in force, and the engine that ran them.
        rules_hash: RulesHash,
    },
    /// They refuse the last block, and accept all before it.
    Refused {
        /// Rules in force, and the engine that ran them.
        rules_hash: RulesHash,
    },
    /// It cannot be told here: blocks are missing, or another history is held.
    Unable,
}

/// Whoever holds a history, and can run its rules again.
pub trait Oracle {
    /// Judges a history, which must be held up to this head.
    fn judge(&self, feed: &PublicKey, head: &Head) -> Judgement;

    /// Judges a block behind a history, which must be held.
    fn judge_block(&self, feed: &PublicKey, before: Option<&Head>, block: &Bytes) -> Judgement;

    /// Returns a block of a history, if that very history is held.
    fn block(&self, feed: &PublicKey, head: &Head, index: u64) -> Option<Bytes>;
}

/// Holds nothing: evidence that needs a history is [`EvidenceError::Unable`].
#[derive(Debug, Clone, Copy, Default)]
pub struct NoOracle;

impl Oracle for NoOracle {
    fn judge(&self, _: &PublicKey, _: &Head) -> Judgement {
        Judgement::Unable
    }

    fn judge_block(&self, _: &PublicKey, _: Option<&Head>, _: &Bytes) -> Judgement {
        Judgement::Unable
    }

    fn block(&self, _: &PublicKey, _: &Head, _: u64) -> Option<Bytes> {
        None
    }
}

/// Evidence that holds. Only [`Evidence::verify`] makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedEvidence {
    evidence: Evidence,
    culprit: PublicKey,
    bytes: Bytes,
    id: Hash,
    topic: Hash,
}

impl VerifiedEvidence {
    /// Returns the evidence, to be kept or passed on.
    pub const fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// Returns the key that signed the contradiction: a feed's, a host's, a validator's or a storage peer's.
    pub const fn culprit(&self) -> &PublicKey {
        &self.culprit
    }

    /// Returns which kind it is.
    pub const fn kind(&self) -> EvidenceKind {
        self.evidence.claim.kind()
    }

    /// Returns its encoding.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Returns the hash of its encoding.
    pub const fn id(&self) -> &Hash {
        &self.id
    }

    /// Returns a hash that does not cover signatures: two pieces with one topic prove the same of the same statements.
    pub const fn topic(&self) -> &Hash {
        &self.topic
    }
}

/// Returns the hash by which evidence is known, of its encoding.
pub fn id_of(bytes: &[u8]) -> Hash {
    codec::hash(&[bytes])
}

impl Claim {
    /// Returns which kind it is.
    pub const fn kind(&self) -> EvidenceKind {
        match self {
            Self::WriterFork(_) => EvidenceKind::WriterFork,
            Self::WriterTruncate { .. } => EvidenceKind::WriterTruncate,
            Self::BadAppend { .. } => EvidenceKind::BadAppend,
            Self::DoubleGrant(..) => EvidenceKind::DoubleGrant,
            Self::DoubleVote { .. } => EvidenceKind::DoubleVote,
            Self::SealBreak { .. } => EvidenceKind::SealBreak,
            Self::BadVerdict(_) => EvidenceKind::BadVerdict,
            Self::HaveRollback { .. } => EvidenceKind::HaveRollback,
        }
    }

    /// Returns the key that is said to have signed a contradiction.
    pub fn culprit(&self) -> &PublicKey {
        match self {
            Self::WriterFork(proof) => &proof.key,
            Self::WriterTruncate { key, .. } | Self::BadAppend { key, .. } => key,
            Self::DoubleGrant(grant, _) => &grant.statement.common.signer,
            Self::DoubleVote { first, .. } => &first.statement.common.signer,
            Self::SealBreak { seal, .. } => &seal.statement.common.signer,
            Self::BadVerdict(SignedVerdict::Vote(vote)) => &vote.statement.common.signer,
            Self::BadVerdict(SignedVerdict::Reject(reject)) => &reject.statement.common.signer,
            Self::HaveRollback { have, .. } => &have.statement.common.signer,
        }
    }

    /// Puts two histories of one length into the order of their tree hashes: whichever was met first, it is one piece of
    /// evidence with one id.
    pub fn writer_fork(mut proof: ForkProof) -> Self {
        let (a, b) = (&proof.a.roots, &proof.b.roots);
        if a.length() == b.length() && a.tree_hash(proof.flavour) > b.tree_hash(proof.flavour) {
            std::mem::swap(&mut proof.a, &mut proof.b);
        }
        Self::WriterFork(Box::new(proof))
    }

    /// Puts two votes of one feed and length, or of different feeds, into their order.
    pub fn double_vote(a: Signed<Vote>, b: Signed<Vote>) -> Self {
        let order = |vote: &Signed<Vote>| (vote.statement.target.head.length(), vote.statement_bytes());
        let (first, second) = if order(&a) <= order(&b) { (a, b) } else { (b, a) };
        Self::DoubleVote { first, second, link: None }
    }

    /// Makes a claim of two votes of one feed with what shows that they contradict each other: the peaks of both
    /// histories, the shorter one first, and the nodes of the longer one, which `node` finds. `None` when nothing does.
    pub fn linked_votes(
        shorter: Signed<Vote>,
        longer: Signed<Vote>,
        first: Roots,
        second: Roots,
        node: impl Fn(NodeIndex) -> Option<Node>,
    ) -> Option<Self> {
        let nodes = find_link(&first, &second, node)?;
        let link = Some(Box::new(VoteLink { first, second, nodes }));
        Some(Self::DoubleVote { first: shorter, second: longer, link })
    }

    /// Puts two grants into their order.
    pub fn double_grant(a: Signed<Grant>, b: Signed<Grant>) -> Self {
        if a.statement_bytes() <= b.statement_bytes() {
            Self::DoubleGrant(a, b)
        } else {
            Self::DoubleGrant(b, a)
        }
    }
}
