//! A participant's signed wish that other rules hold.

use std::ops::Deref;

use bytes::Bytes;
use quorate_proto::stream as proto;
use quorate_types::limits::{
    MAX_ENTRY_BYTES, MAX_FEED_LENGTH, MAX_PARAMS_BYTES, MAX_PAYLOAD_BYTES, MAX_TEST_VECTORS,
};
use quorate_types::{Hash, ModuleHash, PublicKey, RoomId, RuleId, Signature};

pub use quorate_proto::stream::{RuleOperation, TestVector};

use crate::action::{UnsignableError, at_most, check_heights};
use crate::entry::{EntryError, needed};
use crate::identity::{Anchor, Author, RuleName, Verifier, b2b256};

/// What every rule change's signed bytes begin with.
pub const RULE_CHANGE_CONTEXT: &[u8] = b"quorate/1 rule change\0";

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Adds a rule.
    Install {
        /// Name that no other rule of the room has.
        name: RuleName,
        /// Hash of its module.
        module: ModuleHash,
        /// Version of the meter.
        meter: u32,
        /// Parameters.
        params: Bytes,
    },
    /// Takes a rule away.
    Remove {
        /// Which.
        rule: RuleId,
    },
    /// Gives a rule another module; id, name and state stay.
    Replace {
        /// Which.
        rule: RuleId,
        /// Hash of its new module.
        module: ModuleHash,
        /// Version of the meter.
        meter: u32,
        /// Parameters.
        params: Bytes,
    },
    /// Gives a rule other parameters; the rest stays.
    Params {
        /// Which.
        rule: RuleId,
        /// Parameters.
        params: Bytes,
    },
}

/// A rule change that is still to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsignedRuleChange {
    /// The author's actions and rule changes in the room before this one.
    pub sequence: u64,
    /// Head that the author has seen.
    pub anchor: Anchor,
    /// Last index at which the change may stand; 0 for any.
    pub valid_until: u64,
    /// What is to be done.
    pub change: Change,
    /// First block that is checked by the changed rules.
    pub activation: u64,
    /// Calls and what they are expected to say; none for a removal.
    pub vectors: Vec<TestVector>,
}

/// A participant's signed wish that other rules hold. Its signature is not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleChange {
    /// Key of the author.
    pub author: PublicKey,
    /// The author's actions and rule changes in the room before this one.
    pub sequence: u64,
    /// Head that the author had seen.
    pub anchor: Anchor,
    /// Last index at which the change may stand; 0 for any.
    pub valid_until: u64,
    /// What is to be done.
    pub change: Change,
    /// First block that is checked by the changed rules.
    pub activation: u64,
    /// Calls and what they are expected to say.
    pub vectors: Vec<TestVector>,
    /// By the author.
    pub signature: Signature,
}

/// A rule change whose signature verifies for a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRuleChange {
    change: RuleChange,
    room: RoomId,
    digest: Hash,
}

impl Change {
    /// Returns which operation it is.
    pub const fn operation(&self) -> RuleOperation {
        match self {
            Self::Install { .. } => RuleOperation::Install,
            Self::Remove { .. } => RuleOperation::Remove,
            Self::Replace { .. } => RuleOperation::Replace,
            Self::Params { .. } => RuleOperation::Params,
        }
    }

    /// Returns the rule that it is about, `None` for a new one.
    pub const fn rule(&self) -> Option<&RuleId> {
        match self {
            Self::Install { .. } => None,
            Self::Remove { rule } | Self::Replace { rule, .. } | Self::Params { rule, .. } => Some(rule),
        }
    }

    /// Returns the module that it needs.
    pub const fn module(&self) -> Option<&ModuleHash> {
        match self {
            Self::Install { module, .. } | Self::Replace { module, .. } => Some(module),
            Self::Remove { .. } | Self::Params { .. } => None,
        }
    }

    /// Returns the version of the meter of its module.
    pub const fn meter(&self) -> Option<u32> {
        match self {
            Self::Install { meter, .. } | Self::Replace { meter, .. } => Some(*meter),
            Self::Remove { .. } | Self::Params { .. } => None,
        }
    }

    /// Returns the parameters that it gives.
    pub const fn params(&self) -> Option<&Bytes> {
        match self {
            Self::Install { params, .. } | Self::Replace { params, .. } | Self::Params { params, .. } => {
                Some(params)
            }
            Self::Remove { .. } => None,
        }
    }

    /// Returns the name of the operation: `install`, `remove`, `replace` or `params`.
    pub const fn verb(&self) -> &'static str {
        verb(self.operation())
    }
}

const fn verb(operation: RuleOperation) -> &'static str {
    match operation {
        RuleOperation::Install => "install",
        RuleOperation::Remove => "remove",
        RuleOperation::Replace => "replace",
        RuleOperation::Params => "params",
    }
}

impl UnsignedRuleChange {
    /// Signs the change for a room.
    ///
    /// # Errors
    ///
    /// [`UnsignableError`] when a field, or the whole block, is beyond its limit, or a removal has test vectors.
    pub fn sign(self, room: &RoomId, author: &Author) -> Result<VerifiedRuleChange, UnsignableError> {
        check_heights(self.sequence, &self.anchor, self.valid_until)?;
        at_most("activation", MAX_FEED_LENGTH, self.activation)?;
        at_most("params", MAX_PARAMS_BYTES as u64, self.change.params().map_or(0, Bytes::len) as u64)?;
        let removes = self.change.operation() == RuleOperation::Remove;
        let vectors = if removes { 0 } else { MAX_TEST_VECTORS };
        at_most("vectors", vectors as u64, self.vectors.len() as u64)?;
        for vector in &self.vectors {
            at_most("payload of a test vector", MAX_PAYLOAD_BYTES as u64, vector.payload.len() as u64)?;
        }
        let mut change = RuleChange {
            author: author.public(),
            sequence: self.sequence,
            anchor: self.anchor,
            valid_until: self.valid_until,
            change: self.change,
            activation: self.activation,
            vectors: self.vectors,
            signature: Signature::new([0; 64]),
        };
        let bytes = change.signed_bytes(room);
        change.signature = author.sign(&bytes);
        at_most("rule change", MAX_ENTRY_BYTES as u64, change.encode().len() as u64)?;
        Ok(VerifiedRuleChange { change, room: *room, digest: b2b256(&bytes) })
    }
}

impl RuleChange {
    /// Returns what the author signs: `"quorate/1 rule change\0" | room | hash of the canonical encoding without the
    /// signature`.
    pub fn signed_bytes(&self, room: &RoomId) -> Vec<u8> {
        let hash = b2b256(&self.to_proto().encode_unsigned());
        [RULE_CHANGE_CONTEXT, room.as_ref(), hash.as_ref()].concat()
    }

    /// Verifies the signature for a room, strictly: everyone comes to the same result.
    ///
    /// # Errors
    ///
    /// [`EntryError::Forged`].
    pub fn verify(self, room: &RoomId) -> Result<VerifiedRuleChange, EntryError> {
        let bytes = self.signed_bytes(room);
        match Verifier::new(&self.author).and_then(|verifier| verifier.verify(&bytes, &self.signature)) {
            Ok(()) => Ok(VerifiedRuleChange { change: self, room: *room, digest: b2b256(&bytes) }),
            Err(why) => Err(EntryError::Forged { author: self.author, room: *room, why }),
        }
    }

    /// Encodes the block.
    pub fn encode(&self) -> Bytes {
        proto::Entry::RuleChange(self.to_proto()).encode()
    }

    fn to_proto(&self) -> proto::RuleChange {
        let name = match &self.change {
            Change::Install { name, .. } => name.as_str().to_owned(),
            _ => String::new(),
        };
        proto::RuleChange {
            author: self.author,
            sequence: self.sequence,
            anchor_length: self.anchor.length(),
            anchor_hash: *self.anchor.hash(),
            valid_until: self.valid_until,
            operation: self.change.operation(),
            name,
            rule: self.change.rule().copied(),
            module: self.change.module().copied(),
            meter: self.change.meter().unwrap_or(0),
            params: self.change.params().cloned().unwrap_or_default(),
            activation: self.activation,
            vectors: self.vectors.clone(),
            signature: Some(self.signature),
        }
    }
}

impl VerifiedRuleChange {
    /// Returns the hash of what the author signed, by which the change is known.
    pub const fn digest(&self) -> &Hash {
        &self.digest
    }

    /// Returns the room for which it is signed.
    pub const fn room(&self) -> &RoomId {
        &self.room
    }

    /// Returns the rule change.
    pub fn into_inner(self) -> RuleChange {
        self.change
    }
}

impl Deref for VerifiedRuleChange {
    type Target = RuleChange;

    fn deref(&self) -> &RuleChange {
        &self.change
    }
}

impl TryFrom<proto::RuleChange> for RuleChange {
    type Error = EntryError;

    fn try_from(given: proto::RuleChange) -> Result<Self, EntryError> {
        let operation = verb(given.operation);
        let stray = |field, is_there: bool| {
            if is_there { Err(EntryError::Stray { operation, field }) } else { Ok(()) }
        };
        let is_new = given.operation == RuleOperation::Install;
        let has_module = matches!(given.operation, RuleOperation::Install | RuleOperation::Replace);
        let removes = given.operation == RuleOperation::Remove;
        stray("rule", is_new && given.rule.is_some())?;
        stray("name", !is_new && !given.name.is_empty())?;
        stray("module", !has_module && given.module.is_some())?;
        stray("meter", !has_module && given.meter != 0)?;
        stray("params", removes && !given.params.is_empty())?;
        stray("vectors", removes && !given.vectors.is_empty())?;
        let rule = || needed(operation, "rule", given.rule);
        let module = || needed(operation, "module", given.module);
        let meter = || needed(operation, "meter", Some(given.meter).filter(|meter| *meter != 0));
        let params = given.params;
        let change = match given.operation {
            RuleOperation::Install => {
                Change::Install { name: given.name.parse()?, module: module()?, meter: meter()?, params }
            }
            RuleOperation::Remove => Change::Remove { rule: rule()? },
            RuleOperation::Replace => {
                Change::Replace { rule: rule()?, module: module()?, meter: meter()?, params }
            }
            RuleOperation::Params => Change::Params { rule: rule()?, params },
        };
        Ok(Self {
            author: given.author,
            sequence: given.sequence,
            anchor: Anchor::new(given.anchor_length, given.anchor_hash),
            valid_until: given.valid_until,
            change,
            activation: given.activation,
            vectors: given.vectors,
            signature: needed(operation, "signature", given.signature)?,
        })
    }
}
