//! The host's answer to a submitted entry.

use bytes::Bytes;
use quorate_types::limits::{MAX_REASON_BYTES, MAX_RULE_NAME_BYTES};
use quorate_types::{Hash, RoomId, RuleId, Signature};

use super::copy;
use crate::fields::In;
use crate::{ProtoError, pb_quorate1 as pb};

/// The host's answer to a submitted entry. Its signature is not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Room of the entry.
    pub room: RoomId,
    /// Hash of what the author of the entry signed, or of bytes that are no entry.
    pub digest: Hash,
    /// What became of it.
    pub outcome: Outcome,
    /// By the host's feed key.
    pub signature: Signature,
}

/// What became of a submitted entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It stands in a block.
    Appended {
        /// Index of the block.
        index: u64,
    },
    /// Nothing was appended.
    Refused(Refused),
}

/// Why nothing was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Digits of the code that people see.
    pub code: u16,
    /// Rule that refuses, and its name.
    pub rule: Option<(RuleId, String)>,
    /// What the rule returned, 0 for no rule.
    pub rule_code: u32,
    /// Words for people.
    pub reason: String,
}

impl Receipt {
    pub(super) fn from_pb(receipt: pb::Receipt) -> Result<Self, ProtoError> {
        let here = In("receipt");
        let missing = ProtoError::Missing { message: "receipt", field: "outcome" };
        Ok(Self {
            room: here.fixed("room", &receipt.room)?,
            digest: here.fixed("digest", &receipt.digest)?,
            outcome: match receipt.outcome.ok_or(missing)? {
                pb::receipt::Outcome::Appended(pb::Appended { index }) => {
                    Outcome::Appended { index: here.height("index", index)? }
                }
                pb::receipt::Outcome::Refused(refused) => Outcome::Refused(Refused::from_pb(refused)?),
            },
            signature: here.fixed("signature", &receipt.signature)?,
        })
    }

    pub(super) fn to_pb(&self) -> pb::Receipt {
        pb::Receipt {
            room: copy(self.room.as_bytes()),
            digest: copy(self.digest.as_bytes()),
            outcome: Some(match &self.outcome {
                Outcome::Appended { index } => pb::receipt::Outcome::Appended(pb::Appended { index: *index }),
                Outcome::Refused(refused) => pb::receipt::Outcome::Refused(refused.to_pb()),
            }),
            signature: copy(self.signature.as_bytes()),
        }
    }
}

impl Refused {
    fn from_pb(refused: pb::Refused) -> Result<Self, ProtoError> {
        let here = In("refused");
        let rule: Option<RuleId> = here.fixed_or_none("rule", &refused.rule)?;
        let name_limit = if rule.is_some() { MAX_RULE_NAME_BYTES } else { 0 };
        let name = here.text("rule_name", name_limit, refused.rule_name)?;
        let code = here.number("code", u16::MAX.into(), refused.code)?;
        Ok(Self {
            code: u16::try_from(code).unwrap_or(u16::MAX),
            rule: rule.map(|rule| (rule, name)),
            rule_code: refused.rule_code,
            reason: here.text("reason", MAX_REASON_BYTES, refused.reason)?,
        })
    }

    fn to_pb(&self) -> pb::Refused {
        let (rule, rule_name) = self.rule.as_ref().map_or_else(Default::default, |(rule, name)| {
            (Bytes::copy_from_slice(rule.as_bytes()), name.clone())
        });
        pb::Refused {
            code: self.code.into(),
            rule,
            rule_name,
            rule_code: self.rule_code,
            reason: self.reason.clone(),
        }
    }
}
