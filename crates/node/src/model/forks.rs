//! What the node tells about keys that signed contradictions, and what its user decides about them.

use quorate_types::{Hash, PublicKey};
use serde::{Deserialize, Serialize};

pub use quorate_store::{Decision, KeptBranch, Policy};

/// A contradiction that somebody signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceInfo {
    /// Hash by which it is known.
    pub id: Hash,
    /// Which kind, such as `writer-fork`.
    pub kind: String,
    /// The key that signed.
    pub culprit: PublicKey,
    /// Its size.
    pub bytes: usize,
    /// What is done about the key here.
    #[serde(default)]
    pub policy: Policy,
    /// The user has decided about the key.
    #[serde(default)]
    pub resolved: bool,
    /// The user's own backup was put back; this branch is the one that stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_backup: Option<KeptBranch>,
}

/// What to do about the key that evidence is against.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolve {
    /// Id of the evidence, or the first digits of it.
    pub evidence: String,
    /// What is done from now on; absent: what was done before, or, after an own backup, nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// The user's own backup was put back.
    #[serde(default)]
    pub own_backup: bool,
}

/// Evidence that is to be told to others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publish {
    /// Id of evidence that is here, or the first digits of it; with `bytes` ignored.
    #[serde(default)]
    pub evidence: String,
    /// Evidence that need not be here, base64: it is checked and kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<String>,
}

/// To whom evidence was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// `quorate.published/1`.
    pub schema: String,
    /// Id of the evidence.
    pub id: Hash,
    /// Connected quorate nodes that it was sent to.
    pub peers: usize,
    /// The stream is a room whose host puts evidence into a block.
    pub in_room: bool,
    /// Id of the evidence that is kept here: its own, or that of another piece that proves the same. Absent where as much
    /// is kept already as is of use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Hash>,
}

impl Published {
    /// Value of the `schema` field.
    pub const SCHEMA: &'static str = "quorate.published/1";
}
