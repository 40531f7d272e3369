//! Evidence that stands alone: checked by its bytes, without a network and without the room.

use bytes::Bytes;
use quorate_feed::Flavour;
use quorate_quorum::evidence::{Claim, Evidence, EvidenceError, NoOracle, VerifiedEvidence};
use quorate_types::{Hash, PublicKey, RoomId};
use serde::{Deserialize, Serialize};

use crate::{Code, Failure};

/// Evidence that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proven {
    /// `quorate.evidence/1`.
    pub schema: String,
    /// Hash by which it is known.
    pub id: Hash,
    /// Which kind, such as `writer-fork`.
    pub kind: String,
    /// The key that signed the contradiction.
    pub culprit: PublicKey,
    /// Room that it is said to be about.
    pub room: RoomId,
    /// Whether what was signed names the room. Two histories of a feed say nothing about rooms: whoever wrote the
    /// evidence down has named it, and nobody has signed that.
    #[serde(default)]
    pub room_proven: bool,
    /// What was signed, in words.
    pub what: String,
    /// Heads of the two histories, where a writer signed two.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heads: Vec<SignedHead>,
    /// First block in which the two can differ; those before it are the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u64>,
    /// Its size.
    pub bytes: usize,
}

/// Head of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedHead {
    /// Blocks.
    pub length: u64,
    /// Tree hash of them.
    pub tree_hash: Hash,
}

impl Proven {
    /// Value of the `schema` field.
    pub const SCHEMA: &'static str = "quorate.evidence/1";
}

/// Checks evidence by its own bytes.
///
/// # Errors
///
/// [`Code::NoEvidence`] says why it proves nothing, or that it takes the room's history to tell.
pub fn verify(bytes: &Bytes) -> Result<Proven, Failure> {
    let nothing = |why: String| Failure::new(Code::NoEvidence, format!("the evidence proves nothing: {why}"));
    let evidence = Evidence::decode(bytes.clone()).map_err(|error| nothing(error.to_string()))?;
    let room = evidence.room;
    let proven = evidence.verify(&room, &NoOracle).map_err(|error| nothing(error.to_string()))?;
    Ok(describe(&proven))
}

/// Describes evidence that a node of this home holds, which it has checked with the history at hand where that is needed.
///
/// # Errors
///
/// [`Code::NoEvidence`] says why it proves nothing.
pub fn held(bytes: &Bytes) -> Result<Proven, Failure> {
    let nothing = |error: EvidenceError| {
        Failure::new(Code::NoEvidence, format!("the evidence proves nothing: {error}"))
    };
    let evidence = Evidence::decode(bytes.clone()).map_err(nothing)?;
    let room = evidence.room;
    let proven = match evidence.clone().verify(&room, &NoOracle) {
        Err(EvidenceError::Unable { .. }) => evidence.judged_before(),
        proven => proven,
    };
    Ok(describe(&proven.map_err(nothing)?))
}

fn describe(proven: &VerifiedEvidence) -> Proven {
    let evidence = proven.evidence();
    let (heads, height) = heads(&evidence.claim);
    Proven {
        schema: Proven::SCHEMA.into(),
        id: *proven.id(),
        kind: proven.kind().name().into(),
        culprit: *proven.culprit(),
        room: evidence.room,
        room_proven: names_room(&evidence.claim),
        what: what(&evidence.claim),
        heads,
        height,
        bytes: proven.bytes().len(),
    }
}

/// Tells whether the signatures cover the id of the room: those of statements do, those over the roots of a feed do not.
fn names_room(claim: &Claim) -> bool {
    match claim {
        Claim::WriterFork(_) | Claim::WriterTruncate { .. } | Claim::BadAppend { .. } => false,
        Claim::DoubleGrant(..)
        | Claim::DoubleVote { .. }
        | Claim::SealBreak { .. }
        | Claim::BadVerdict(_)
        | Claim::HaveRollback { .. } => true,
    }
}

fn heads(claim: &Claim) -> (Vec<SignedHead>, Option<u64>) {
    let Claim::WriterFork(proof) = claim else { return (Vec::new(), None) };
    let (a, b) = (&proof.a.roots, &proof.b.roots);
    let heads =
        [a, b].map(|roots| SignedHead { length: roots.length(), tree_hash: roots.tree_hash(Flavour::Dat) });
    // Peaks that are equal cover blocks that are equal.
    let same = a.nodes().iter().zip(b.nodes()).take_while(|(one, other)| one == other);
    // A peak covers as many blocks as its size in the binary digits of the length says, the largest first.
    let height = (0..u64::BITS).rev().map(|bit| a.length() & (1 << bit)).filter(|blocks| *blocks > 0);
    (heads.to_vec(), Some(height.take(same.count()).sum()))
}

fn what(claim: &Claim) -> String {
    match claim {
        Claim::WriterFork(proof) => format!(
            "two histories of one feed, of lengths {} and {}, of which neither extends the other",
            proof.a.roots.length(),
            proof.b.roots.length()
        ),
        Claim::WriterTruncate { fork, .. } => format!("a history that was rewritten, for the time {fork}"),
        Claim::BadAppend { index, .. } => format!("a block that the rules refuse, at height {index}"),
        Claim::DoubleGrant(..) => "two feeds for one epoch".into(),
        Claim::DoubleVote { first, second, .. } => format!(
            "two votes of one epoch that contradict each other, for lengths {} and {}",
            first.statement.target.head.length(),
            second.statement.target.head.length()
        ),
        Claim::SealBreak { vote, .. } => format!(
            "a vote for length {} in an epoch that the same key has sealed",
            vote.statement.target.head.length()
        ),
        Claim::BadVerdict(_) => "a verdict that the rules do not bear out".into(),
        Claim::HaveRollback { .. } => "a promise of storage that was broken".into(),
    }
}
