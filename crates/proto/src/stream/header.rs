//! What block 0 says about the room.

use bytes::Bytes;
use prost::Message;
use quorate_types::limits::{
    MAX_HEADER_BYTES, MAX_PARAMS_BYTES, MAX_PROOF_BODY_BYTES, MAX_ROOM_NAME_BYTES, MAX_RULE_NAME_BYTES,
};
use quorate_types::{Hash, ModuleHash, PublicKey};

use super::schema;
use crate::fields::In;
use crate::{ProtoError, canonical, pb_stream as pb};

/// Longest name of a payload encoding, bytes: more than the longest that is known.
const MAX_ENCODING_NAME_BYTES: usize = 16;

/// Extension of block 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamHeader {
    /// Name for people.
    pub name: String,
    /// What payloads are: `json`, `utf-8` or `binary`.
    pub payload_encoding: String,
    /// Vote keys of the validators.
    pub validators: Vec<PublicKey>,
    /// Votes that commit; 0 when the header does not ask for more than are needed.
    pub quorum: u32,
    /// Keys of the hosts after the first.
    pub hosts: Vec<PublicKey>,
    /// Rules from the first block on.
    pub rules: Vec<GenesisRule>,
    /// Feed before this one.
    pub previous: Option<Previous>,
    /// Least number of blocks between a rule change and its activation.
    pub rule_delay: u64,
}

/// Rule that a header names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenesisRule {
    /// Name of the rule.
    pub name: String,
    /// Hash of its module.
    pub module: ModuleHash,
    /// Version of the meter.
    pub meter: u32,
    /// Parameters.
    pub params: Bytes,
    /// The rule has a say in changes of itself.
    pub locked: bool,
}

/// Feed before this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Previous {
    /// Its key.
    pub key: PublicKey,
    /// Blocks of it that count.
    pub length: u64,
    /// Tree hash of those blocks.
    pub tree_hash: Hash,
    /// Why this feed may follow; opaque here.
    pub certificate: Bytes,
}

impl StreamHeader {
    /// Decodes the canonical encoding.
    ///
    /// # Errors
    ///
    /// [`ProtoError`] for another encoding, and for fields of a wrong length or beyond their limits.
    pub fn decode(body: Bytes) -> Result<Self, ProtoError> {
        let here = In("stream header");
        let body = here.bytes("header", MAX_HEADER_BYTES, body)?;
        let header: pb::StreamHeader = canonical::decode(&schema::STREAM_HEADER, body)?;
        let keys = |field, keys: Vec<Bytes>| -> Result<Vec<PublicKey>, ProtoError> {
            keys.iter().map(|key| here.fixed(field, key)).collect()
        };
        Ok(Self {
            name: here.text("name", MAX_ROOM_NAME_BYTES, header.name)?,
            payload_encoding: here.text(
                "payload_encoding",
                MAX_ENCODING_NAME_BYTES,
                header.payload_encoding,
            )?,
            validators: keys("validators", header.validators)?,
            quorum: header.quorum,
            hosts: keys("hosts", header.hosts)?,
            rules: header.rules.into_iter().map(GenesisRule::from_pb).collect::<Result<_, _>>()?,
            previous: header.previous.map(Previous::from_pb).transpose()?,
            rule_delay: here.height("rule_delay", header.rule_delay)?,
        })
    }

    /// Encodes the message.
    pub fn encode(&self) -> Bytes {
        let keys = |keys: &[PublicKey]| keys.iter().map(|key| copy(key.as_bytes())).collect();
        let header = pb::StreamHeader {
            name: self.name.clone(),
            payload_encoding: self.payload_encoding.clone(),
            validators: keys(&self.validators),
            quorum: self.quorum,
            hosts: keys(&self.hosts),
            rules: self.rules.iter().map(GenesisRule::to_pb).collect(),
            previous: self.previous.as_ref().map(Previous::to_pb),
            rule_delay: self.rule_delay,
        };
        header.encode_to_vec().into()
    }
}

impl GenesisRule {
    fn from_pb(rule: pb::GenesisRule) -> Result<Self, ProtoError> {
        let here = In("genesis rule");
        Ok(Self {
            name: here.text("name", MAX_RULE_NAME_BYTES, rule.name)?,
            module: here.fixed("module", &rule.module)?,
            meter: rule.meter,
            params: here.bytes("params", MAX_PARAMS_BYTES, rule.params)?,
            locked: rule.locked,
        })
    }

    fn to_pb(&self) -> pb::GenesisRule {
        pb::GenesisRule {
            name: self.name.clone(),
            module: copy(self.module.as_bytes()),
            meter: self.meter,
            params: self.params.clone(),
            locked: self.locked,
        }
    }
}

impl Previous {
    fn from_pb(previous: pb::Previous) -> Result<Self, ProtoError> {
        let here = In("previous feed");
        Ok(Self {
            key: here.fixed("key", &previous.key)?,
            length: here.height("length", previous.length)?,
            tree_hash: here.fixed("tree_hash", &previous.tree_hash)?,
            certificate: here.bytes("certificate", MAX_PROOF_BODY_BYTES, previous.certificate)?,
        })
    }

    fn to_pb(&self) -> pb::Previous {
        pb::Previous {
            key: copy(self.key.as_bytes()),
            length: self.length,
            tree_hash: copy(self.tree_hash.as_bytes()),
            certificate: self.certificate.clone(),
        }
    }
}

pub(super) fn copy(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}
