//! A signed wish that other rules hold.

use bytes::Bytes;
use prost::Message;
use quorate_types::limits::{MAX_PARAMS_BYTES, MAX_PAYLOAD_BYTES, MAX_RULE_NAME_BYTES};
use quorate_types::{Hash, ModuleHash, PublicKey, RuleId, Signature};

use super::entry::{anchor_bytes, anchor_hash};
use super::header::copy;
use crate::fields::In;
use crate::{ProtoError, pb_stream as pb};

/// A participant's wish that other rules hold. Its signature is not verified, and which fields the operation uses is
/// not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleChange {
    /// Key of the participant.
    pub author: PublicKey,
    /// Its actions and rule changes before this one.
    pub sequence: u64,
    /// Length of a head that it had seen; 0 for none.
    pub anchor_length: u64,
    /// Tree hash of that head; zeros when the length is 0.
    pub anchor_hash: Hash,
    /// Last index at which it may stand; 0 for any.
    pub valid_until: u64,
    /// What is to be done.
    pub operation: RuleOperation,
    /// Name of a new rule; may be empty.
    pub name: String,
    /// Rule that is there.
    pub rule: Option<RuleId>,
    /// Hash of a module.
    pub module: Option<ModuleHash>,
    /// Version of the meter; 0 when it is not said.
    pub meter: u32,
    /// Parameters.
    pub params: Bytes,
    /// First block that is checked by the changed rules.
    pub activation: u64,
    /// Calls and what they are expected to say.
    pub vectors: Vec<TestVector>,
    /// By the author; `None` in what is signed and nowhere else.
    pub signature: Option<Signature>,
}

/// What a rule change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleOperation {
    /// Adds a rule.
    Install,
    /// Takes a rule away.
    Remove,
    /// Gives a rule another module.
    Replace,
    /// Gives a rule other parameters.
    Params,
}

/// A call of a rule, and what it is expected to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestVector {
    /// Author of the call; `None` stands for zeros.
    pub author: Option<PublicKey>,
    /// Payload of the call.
    pub payload: Bytes,
    /// Result that is expected; 0 for accepted.
    pub code: u32,
}

impl RuleChange {
    pub(super) fn from_pb(change: pb::RuleChange) -> Result<Self, ProtoError> {
        let here = In("rule change");
        let anchor_length = here.height("anchor_length", change.anchor_length)?;
        Ok(Self {
            author: here.fixed("author", &change.author)?,
            sequence: here.height("sequence", change.sequence)?,
            anchor_length,
            anchor_hash: anchor_hash(here, anchor_length, &change.anchor_hash)?,
            valid_until: here.height("valid_until", change.valid_until)?,
            operation: operation(here, change.operation)?,
            name: here.text("name", MAX_RULE_NAME_BYTES, change.name)?,
            rule: here.fixed_or_none("rule", &change.rule)?,
            module: here.fixed_or_none("module", &change.module)?,
            meter: change.meter,
            params: here.bytes("params", MAX_PARAMS_BYTES, change.params)?,
            activation: here.height("activation", change.activation)?,
            vectors: change.vectors.into_iter().map(TestVector::from_pb).collect::<Result<_, _>>()?,
            signature: Some(here.fixed("signature", &change.signature)?),
        })
    }

    pub(super) fn to_pb(&self) -> pb::RuleChange {
        let bytes = |bytes: Option<&[u8]>| bytes.map_or_else(Bytes::new, copy);
        pb::RuleChange {
            author: copy(self.author.as_bytes()),
            sequence: self.sequence,
            anchor_length: self.anchor_length,
            anchor_hash: anchor_bytes(self.anchor_length, &self.anchor_hash),
            valid_until: self.valid_until,
            operation: match self.operation {
                RuleOperation::Install => pb::RuleOperation::Install,
                RuleOperation::Remove => pb::RuleOperation::Remove,
                RuleOperation::Replace => pb::RuleOperation::Replace,
                RuleOperation::Params => pb::RuleOperation::Params,
            }
            .into(),
            name: self.name.clone(),
            rule: bytes(self.rule.as_ref().map(AsRef::as_ref)),
            module: bytes(self.module.as_ref().map(AsRef::as_ref)),
            meter: self.meter,
            params: self.params.clone(),
            activation: self.activation,
            vectors: self.vectors.iter().map(TestVector::to_pb).collect(),
            signature: bytes(self.signature.as_ref().map(AsRef::as_ref)),
        }
    }

    /// Encodes the message by itself, without the entry around it and without the signature: what the author signs
    /// the hash of.
    pub fn encode_unsigned(&self) -> Bytes {
        let mut change = self.to_pb();
        change.signature = Bytes::new();
        change.encode_to_vec().into()
    }
}

fn operation(here: In, number: i32) -> Result<RuleOperation, ProtoError> {
    let (message, field) = (here.0, "operation");
    match pb::RuleOperation::try_from(number) {
        Ok(pb::RuleOperation::Install) => Ok(RuleOperation::Install),
        Ok(pb::RuleOperation::Remove) => Ok(RuleOperation::Remove),
        Ok(pb::RuleOperation::Replace) => Ok(RuleOperation::Replace),
        Ok(pb::RuleOperation::Params) => Ok(RuleOperation::Params),
        Ok(pb::RuleOperation::Unspecified) => Err(ProtoError::Missing { message, field }),
        Err(_) => Err(ProtoError::OutOfRange {
            message,
            field,
            limit: pb::RuleOperation::Params as u64,
            found: u64::try_from(number).unwrap_or(u64::MAX),
        }),
    }
}

impl TestVector {
    fn from_pb(vector: pb::TestVector) -> Result<Self, ProtoError> {
        let here = In("test vector");
        Ok(Self {
            author: here.fixed_or_none("author", &vector.author)?,
            payload: here.bytes("payload", MAX_PAYLOAD_BYTES, vector.payload)?,
            code: vector.code,
        })
    }

    fn to_pb(&self) -> pb::TestVector {
        pb::TestVector {
            author: self.author.map_or_else(Bytes::new, |author| copy(author.as_bytes())),
            payload: self.payload.clone(),
            code: self.code,
        }
    }
}
