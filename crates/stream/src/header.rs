//! Block 0: what the room is.

mod successor;

use bytes::Bytes;
use quorate_proto::header::FeedHeader;
use quorate_proto::{ProtoError, stream as proto};
use quorate_quorum::validators::{ValidatorSet, ValidatorSetError, least_quorum};
use quorate_types::limits::{MAX_HEADER_BYTES, MAX_HOSTS};
use quorate_types::{ModuleHash, PublicKey};

use crate::identity::{RuleName, RuleNameError};
use crate::payload::{PayloadEncoding, UnknownEncoding};
use crate::refusal::{Refusal, RoomCode};

pub use self::successor::{Followed, SuccessorError, SuccessorHeader};

/// Type of the feed header of a room (DEP-0007).
pub const STREAM_KIND: &str = "quorate/1";

/// What every block 0 of a room begins with: field 1, its length, and the type.
const STREAM_PREFIX: &[u8] = b"\x0a\x09quorate/1";

/// What the type of a room of any version begins with.
const ANY_VERSION: &str = "quorate/";

/// What a room is: block 0, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamHeader {
    /// Name for people, without control characters; may be empty.
    pub name: String,
    /// What payloads of actions are.
    pub payload_encoding: PayloadEncoding,
    /// Rules that hold from the first block after their modules.
    pub rules: Vec<GenesisRule>,
    /// Least number of blocks between a rule change and its activation.
    pub rule_delay: u64,
    /// Who commits what is appended; `None` where nobody does.
    pub quorum: Option<RoomQuorum>,
}

/// Who commits what is appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomQuorum {
    /// Vote keys, and how many of them commit.
    pub validators: ValidatorSet,
    /// Identity keys of those who may host after the first host, in their turn; at most [`MAX_HOSTS`], each once.
    pub hosts: Vec<PublicKey>,
}

/// Rule that a room begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenesisRule {
    /// Name that no other rule of the room has.
    pub name: RuleName,
    /// Hash of its module.
    pub module: ModuleHash,
    /// Version of the meter.
    pub meter: u32,
    /// Parameters, at most 16 KiB.
    pub params: Bytes,
    /// The rule has a say in changes of itself.
    pub locked: bool,
}

/// Why block 0 is no header of a room that can be followed, although it says that it is a room's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The room is of another version.
    #[error("block 0: expected a room of type {STREAM_KIND}, found {found:?}")]
    Version {
        /// Type that block 0 names, cut after 100 characters.
        found: String,
    },
    /// The block is too large.
    #[error("block 0: expected at most {limit} bytes, found {found}")]
    TooLarge {
        /// Largest header, bytes.
        limit: usize,
        /// Bytes that it has.
        found: usize,
    },
    /// Around the stream header, the feed header is not in its canonical encoding, or there is no stream header.
    #[error("block 0: expected a type and a stream header in canonical encoding, found other fields")]
    Envelope,
    /// The stream header is not encoded as it should be.
    #[error(transparent)]
    Encoding(#[from] ProtoError),
    /// The name of the room would not be shown as it is.
    #[error("stream header: expected a name without control characters, found {found:?}")]
    Name {
        /// The name.
        found: String,
    },
    /// Payloads are of an encoding that is not known.
    #[error(transparent)]
    PayloadEncoding(#[from] UnknownEncoding),
    /// A rule has no proper name.
    #[error(transparent)]
    RuleName(#[from] RuleNameError),
    /// Two rules have one name.
    #[error("stream header: expected rules of different names, found {name} twice")]
    SameName {
        /// The name.
        name: RuleName,
    },
    /// A rule names no version of the meter.
    #[error("stream header: expected the meter of rule {name} to be at least 1, found 0")]
    Meter {
        /// Name of the rule.
        name: RuleName,
    },
    /// The validators are no set that can commit anything.
    #[error("stream header: {0}")]
    Validators(#[from] ValidatorSetError),
    /// Something is only of use with validators.
    #[error("stream header: expected validators with {found}, found none")]
    NoValidators {
        /// What the header has.
        found: &'static str,
    },
    /// There are too many hosts, or one is there twice.
    #[error("stream header: expected at most {limit} further hosts, each once, found {found}")]
    Hosts {
        /// Most hosts.
        limit: usize,
        /// Keys there are.
        found: usize,
    },
    /// The feed is a later one of a room, which is known by its first.
    #[error("block 0: expected the first feed of a room, found one that follows feed {previous}")]
    Successor {
        /// The feed before it.
        previous: PublicKey,
    },
    /// The room needs something that this version does not do.
    #[error("stream header: expected a room without {found}, which this version cannot follow")]
    Unsupported {
        /// What the header has.
        found: &'static str,
    },
}

impl From<HeaderError> for Refusal {
    fn from(error: HeaderError) -> Self {
        Self::new(RoomCode::BadHeader, error.to_string())
    }
}

impl StreamHeader {
    /// Describes a room without rules.
    pub fn new(name: impl Into<String>, payload_encoding: PayloadEncoding) -> Self {
        Self { name: name.into(), payload_encoding, rules: Vec::new(), rule_delay: 0, quorum: None }
    }

    /// Reads block 0; `None` when the feed is no room and does not say that it is one.
    ///
    /// # Errors
    ///
    /// [`HeaderError`] when the block begins as that of a room and cannot be followed.
    pub fn parse(block: &Bytes) -> Result<Option<Self>, HeaderError> {
        if !block.starts_with(STREAM_PREFIX) {
            return match FeedHeader::parse(block) {
                Some(header) if header.kind.starts_with(ANY_VERSION) => {
                    Err(HeaderError::Version { found: header.kind.chars().take(100).collect() })
                }
                _ => Ok(None),
            };
        }
        let (limit, found) = (MAX_HEADER_BYTES, block.len());
        if found > limit {
            return Err(HeaderError::TooLarge { limit, found });
        }
        let header = FeedHeader::parse(block).ok_or(HeaderError::Envelope)?;
        let body = header.extension.ok_or(HeaderError::Envelope)?;
        proto::StreamHeader::decode(body)?.try_into().map(Some)
    }

    /// Encodes block 0.
    ///
    /// # Errors
    ///
    /// [`HeaderError`] for a header that [`parse`](Self::parse) would not take.
    pub fn encode(&self) -> Result<Bytes, HeaderError> {
        let header = proto::StreamHeader {
            name: self.name.clone(),
            payload_encoding: self.payload_encoding.name().to_owned(),
            rules: self.rules.iter().map(GenesisRule::to_proto).collect(),
            rule_delay: self.rule_delay,
            validators: self.quorum.iter().flat_map(|quorum| quorum.validators.keys().copied()).collect(),
            quorum: self.quorum.as_ref().map_or(0, RoomQuorum::asked_for),
            hosts: self.quorum.iter().flat_map(|quorum| quorum.hosts.iter().copied()).collect(),
            previous: None,
        };
        let extension = Some(header.encode());
        let block = FeedHeader { kind: STREAM_KIND.to_owned(), extension }.encode();
        Self::parse(&block)?;
        Ok(block)
    }

    /// Returns the modules of the rules in the order in which their chunks stand in the blocks after block 0.
    pub fn modules(&self) -> Vec<ModuleHash> {
        let mut modules = Vec::new();
        for rule in &self.rules {
            if !modules.contains(&rule.module) {
                modules.push(rule.module);
            }
        }
        modules
    }
}

impl RoomQuorum {
    /// Returns the quorum as the header gives it: 0 for no more votes than are needed.
    fn asked_for(&self) -> u32 {
        let quorum = self.validators.quorum();
        if quorum == least_quorum(self.validators.n()) {
            0
        } else {
            u32::try_from(quorum).unwrap_or(u32::MAX)
        }
    }

    fn of(given: &proto::StreamHeader) -> Result<Option<Self>, HeaderError> {
        if given.validators.is_empty() {
            return match (given.quorum, given.hosts.is_empty()) {
                (0, true) => Ok(None),
                (0, false) => Err(HeaderError::NoValidators { found: "further hosts" }),
                _ => Err(HeaderError::NoValidators { found: "a quorum" }),
            };
        }
        let quorum = usize::try_from(given.quorum).unwrap_or(usize::MAX);
        let validators = ValidatorSet::new(given.validators.iter().copied(), quorum)?;
        let hosts = given.hosts.clone();
        let (limit, found) = (MAX_HOSTS, hosts.len());
        let each: std::collections::BTreeSet<&PublicKey> = hosts.iter().collect();
        if found > limit || each.len() != found {
            return Err(HeaderError::Hosts { limit, found });
        }
        Ok(Some(Self { validators, hosts }))
    }
}

impl GenesisRule {
    fn to_proto(&self) -> proto::GenesisRule {
        proto::GenesisRule {
            name: self.name.as_str().to_owned(),
            module: self.module,
            meter: self.meter,
            params: self.params.clone(),
            locked: self.locked,
        }
    }
}

impl TryFrom<proto::StreamHeader> for StreamHeader {
    type Error = HeaderError;

    fn try_from(given: proto::StreamHeader) -> Result<Self, HeaderError> {
        if let Some(previous) = given.previous {
            return Err(HeaderError::Successor { previous: previous.key });
        }
        let quorum = RoomQuorum::of(&given)?;
        if given.name.chars().any(char::is_control) {
            return Err(HeaderError::Name { found: given.name });
        }
        let mut rules: Vec<GenesisRule> = Vec::with_capacity(given.rules.len());
        for rule in given.rules {
            let name: RuleName = rule.name.parse()?;
            if rules.iter().any(|other| other.name == name) {
                return Err(HeaderError::SameName { name });
            }
            if rule.meter == 0 {
                return Err(HeaderError::Meter { name });
            }
            let proto::GenesisRule { module, meter, params, locked, .. } = rule;
            rules.push(GenesisRule { name, module, meter, params, locked });
        }
        Ok(Self {
            name: given.name,
            payload_encoding: given.payload_encoding.parse()?,
            rules,
            rule_delay: given.rule_delay,
            quorum,
        })
    }
}
