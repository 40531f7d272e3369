//! Evidence that stands alone: checked by its bytes, without a network and without the room.

use bytes::Bytes;
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
    /// Room that it is about.
    pub room: RoomId,
    /// What was signed, in words.
    pub what: String,
    /// Its size.
    pub bytes: usize,
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
    Proven {
        schema: Proven::SCHEMA.into(),
        id: *proven.id(),
        kind: proven.kind().name().into(),
        culprit: *proven.culprit(),
        room: evidence.room,
        what: what(&evidence.claim),
        bytes: proven.bytes().len(),
    }
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
