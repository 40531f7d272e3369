//! What the node tells about rooms.

use bytes::Bytes;
use quorate_types::{Hash, ModuleHash, PublicKey, RoomId, RuleId, StateRoot};
use serde::{Deserialize, Serialize};

use super::forks::EvidenceInfo;
use super::validators::ValidatorOffer;

/// What to make a room of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewRoom {
    /// Rules that hold from the first block on.
    #[serde(default)]
    pub rules: Vec<NewRule>,
    /// Blocks between a change of rules and its activation, at least.
    #[serde(default)]
    pub rule_delay: u64,
    /// Who commits what is appended; nobody where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<NewQuorum>,
}

/// Who commits what is appended to a new room.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewQuorum {
    /// Vote keys, for whose holders whoever makes the room vouches.
    pub validators: Vec<PublicKey>,
    /// Vote keys that come with their holders' proofs of possession.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<ValidatorOffer>,
    /// Identity keys of those who may host after the first host, in their turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<PublicKey>,
    /// Votes that commit; 0 for as many as are needed.
    #[serde(default)]
    pub quorum: u32,
}

/// The quorum of a room as it stands now; part of `quorate.stream/1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuorumInfo {
    /// Epoch: 0 for the first host and validators.
    pub epoch: u64,
    /// Votes that commit.
    pub needed: usize,
    /// Who votes, by key.
    pub validators: Vec<ValidatorInfo>,
    /// Blocks that are committed: where somebody is known to have signed two histories, those that are known to be of the one
    /// that was voted for.
    pub committed: u64,
    /// Blocks that are committed, here or not. More than `committed` while what is here is not known to be what was
    /// committed.
    #[serde(default)]
    pub known: u64,
    /// Blocks that a quorum has voted for.
    pub certified: u64,
    /// Votes of the epoch that are known here.
    pub votes: Vec<VoteInfo>,
    /// Why this node, which is a validator, does not vote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent: Option<String>,
    /// Blocks that validators refuse, in this epoch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejects: Vec<RejectInfo>,
    /// Contradictions that somebody signed.
    pub evidence: Vec<EvidenceInfo>,
    /// Identity keys of those who may host after the first host, in their turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<PublicKey>,
    /// Feeds of the room, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feeds: Vec<RoomFeedInfo>,
    /// A peer that is connected has said where it is in the room: a vote that is not here, and for more than a quorum is
    /// known to have voted for, is missing there, too.
    #[serde(default)]
    pub heard: bool,
}

/// A feed of a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomFeedInfo {
    /// Epoch that it began with.
    pub epoch: u64,
    /// Its key.
    pub key: PublicKey,
    /// First block of the room that stands in it.
    pub start: u64,
    /// First block of the room that stands in the feed after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<u64>,
}

/// A validator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatorInfo {
    /// Vote key.
    pub key: PublicKey,
    /// Longest length that it voted for, as far as is known here.
    pub voted: u64,
    /// Longest length for which it is known to hold a quorum's votes.
    pub acknowledged: u64,
    /// It signs nothing more in this epoch.
    pub sealed: bool,
}

/// A vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteInfo {
    /// Vote key.
    pub validator: PublicKey,
    /// Blocks that it is for.
    pub length: u64,
    /// Tree hash of them.
    pub tree_hash: Hash,
    /// Blocks for which the validator holds a quorum's votes.
    pub acknowledged: u64,
}

/// What a validator refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectInfo {
    /// Vote key.
    pub validator: PublicKey,
    /// Length with the block that is refused.
    pub length: u64,
    /// Why, as `E` and four digits.
    pub code: String,
    /// What the rule returned, when it is a rule that refuses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule_code: Option<u16>,
}

/// A rule to begin with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewRule {
    /// Name that no other rule of the room has.
    pub name: String,
    /// The module, base64.
    pub module: String,
    /// Parameters, base64.
    pub params: String,
    /// Whether it can never be removed or replaced.
    #[serde(default)]
    pub locked: bool,
}

/// A room as it stands now; part of `quorate.stream/1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomInfo {
    /// Id of the room.
    pub id: RoomId,
    /// Name in block 0, for people.
    pub title: String,
    /// Whether this node orders the actions.
    pub host: bool,
    /// Blocks that were checked and accepted, from block 0 on.
    pub checked: u64,
    /// Digest of the state after them.
    pub state_root: StateRoot,
    /// Rules that hold, and those that are to come.
    pub rules: Vec<RuleInfo>,
    /// Blocks between a change of rules and its activation, at least.
    pub rule_delay: u64,
    /// Entries of this node that wait for the host.
    pub waiting: usize,
    /// Entries of this node that ended without a block while nobody waited to hear of it, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_appended: Vec<Ended>,
    /// Who commits, and what is committed; absent in a room without validators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<QuorumInfo>,
    /// Why checking stopped; absent while the room is followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedBlock>,
    /// Why no verdict can be given now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unable: Option<String>,
    /// What connected peers know of the room and this node has not, yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<String>,
}

/// A rule of a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleInfo {
    /// Id.
    pub id: RuleId,
    /// Name.
    pub name: String,
    /// Hash of its module.
    pub module: ModuleHash,
    /// Version of the meter by which it is counted.
    pub meter: u32,
    /// Parameters: text where they are text, else base64.
    pub params: String,
    /// Whether it can never be removed or replaced.
    pub locked: bool,
    /// First block that it checks.
    pub since: u64,
    /// The next change that waits, such as `remove at height 12`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<String>,
}

/// A block that the rules of its own room refuse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedBlock {
    /// Position of the block.
    pub index: u64,
    /// Stable code, such as `E3101`.
    pub code: String,
    /// Who refuses it and why, in words.
    pub reason: String,
}

/// A message that is to be signed and appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Say {
    /// Local identity; `default` where absent.
    #[serde(default, rename = "as")]
    pub identity: Option<String>,
    /// Payloads, base64 each: an action each, in this order.
    pub payloads: Vec<String>,
    /// How long to wait for the host, milliseconds.
    #[serde(default)]
    pub patience_ms: u64,
    /// Number by which the waiting can be ended; 0 where it never is.
    #[serde(default)]
    pub call: u64,
}

/// A change of rules that is to be signed and appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeRules {
    /// Local identity; `default` where absent.
    #[serde(default, rename = "as")]
    pub identity: Option<String>,
    /// What is to be done.
    #[serde(flatten)]
    pub operation: RuleOperation,
    /// First block that is checked by the changed rules; the earliest possible where absent.
    #[serde(default)]
    pub activation: Option<u64>,
    /// Calls and what they are expected to say.
    #[serde(default)]
    pub vectors: Vec<RuleVector>,
    /// How long to wait for the host, milliseconds.
    #[serde(default)]
    pub patience_ms: u64,
    /// Number by which the waiting can be ended; 0 where it never is.
    #[serde(default)]
    pub call: u64,
}

/// What a change of rules does. A rule that is there is named by its name, or the first digits of its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "kebab-case")]
pub enum RuleOperation {
    /// Adds a rule.
    Install {
        /// Name that no other rule of the room has.
        name: String,
        /// Its module, base64.
        module: String,
        /// Its parameters, base64.
        #[serde(default)]
        params: String,
    },
    /// Takes a rule away.
    Remove {
        /// Which.
        rule: String,
    },
    /// Gives a rule another module; its state stays.
    Replace {
        /// Which.
        rule: String,
        /// Its new module, base64.
        module: String,
        /// Its new parameters, base64; those that it has where absent.
        #[serde(default)]
        params: Option<String>,
    },
    /// Gives a rule other parameters.
    Params {
        /// Which.
        rule: String,
        /// Its new parameters, base64.
        params: String,
    },
}

/// A call of a rule, and what it is expected to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleVector {
    /// Author of the call; a key of zeros where absent.
    #[serde(default)]
    pub author: Option<PublicKey>,
    /// Its payload, base64.
    pub payload: String,
    /// Result that is expected; 0 for accepted.
    pub code: u32,
}

/// What became of one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// `quorate.submitted/1`.
    pub schema: String,
    /// Where it stands.
    #[serde(flatten)]
    pub state: SaidState,
    /// Hash by which the entry is known.
    pub digest: Hash,
    /// Who signed it.
    pub author: PublicKey,
    /// The author's entries before it.
    pub sequence: u64,
}

impl Said {
    /// Value of the `schema` field.
    pub const SCHEMA: &'static str = "quorate.submitted/1";
}

/// An entry that ended without a block, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// How it ended: refused, or expired.
    #[serde(flatten)]
    pub said: Said,
    /// Seconds since 1970.
    pub ended_unix_s: u64,
}

/// What came of entries whose commit was waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// Blocks that are committed.
    pub length: u64,
    /// Each entry as it ended: in a committed block, refused, or expired.
    pub said: Vec<Said>,
}

/// Where an entry stands on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum SaidState {
    /// It stands in a block.
    Appended {
        /// Position of the block.
        index: u64,
    },
    /// Nothing was appended.
    Refused {
        /// Stable code, such as `E3101`.
        code: String,
        /// Who refuses it and why, in words.
        reason: String,
        /// Rule and height, for people: `rule 3f9a1c, height 3`, and of another host, which does not tell the height, `rule
        /// 3f9a1c, at the host`.
        place: String,
        /// What the rule returned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule_code: Option<u32>,
    },
    /// It waits for the host; this node tries again.
    Submitted,
    /// It can no longer be appended.
    Expired,
}

impl SaidState {
    /// Tells whether it stands in a block, or may come to stand in one.
    pub const fn is_on_its_way(&self) -> bool {
        matches!(self, Self::Appended { .. } | Self::Submitted)
    }
}

/// What stands in a block of a room; part of `quorate.block/1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryInfo {
    /// `header`, `action`, `module`, `rule-change`, `certificate`, `evidence`, `validators` (a change of them), `epoch` (its
    /// start) or `unreadable`.
    pub kind: String,
    /// Who signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<PublicKey>,
    /// The author's entries before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// `accepted`, `refused` or `unchecked`.
    pub verdict: Verdict,
    /// Whether the block is committed; absent in a room without validators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed: Option<bool>,
    /// Stable code of a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Who refuses it and why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// An action as it stands in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who signed it.
    pub author: PublicKey,
    /// The author's entries before it.
    pub sequence: u64,
    /// What it says.
    pub payload: Bytes,
}

/// What came of checking a room again from its first block; part of `quorate.audit/1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomAudit {
    /// Blocks that the rules accept.
    pub checked: u64,
    /// Digest of the state after them.
    pub state_root: StateRoot,
    /// The block that they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedBlock>,
    /// Why no verdict can be given on the next block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unable: Option<String>,
}

/// What the rules say of a block here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The room's rules accept it.
    Accepted,
    /// They do not.
    Refused,
    /// It was not checked, or not yet.
    Unchecked,
}
