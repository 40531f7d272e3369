//! What the node tells about streams, blocks and peers: the JSON of the command line and of the local API.
//!
//! Field names are a contract: fields are added, never renamed.

mod forks;
mod room;
mod validators;

use quorate_types::{DiscoveryKey, Hash, PublicKey};
use serde::{Deserialize, Serialize};

pub use quorate_store::{Encoding, Gate};

use crate::{Code, Failure, FailureBody};

pub use self::forks::{Decision, EvidenceInfo, KeptBranch, Policy, Publish, Published, Resolve};
pub use self::room::{
    ChangeRules, Ended, EntryInfo, Message, NewQuorum, NewRoom, NewRule, QuorumInfo, RefusedBlock,
    RejectInfo, RoomAudit, RoomFeedInfo, RoomInfo, RuleInfo, RuleOperation, RuleVector, Said, SaidState, Say,
    Settled, ValidatorInfo, Verdict, VoteInfo,
};
pub use self::validators::{OfferError, ValidatorOffer, ValidatorWish, ValidatorsChanged};

/// What block 0 says a feed is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Content {
    /// No header that is known, or no block 0 here.
    Plain,
    /// Room: block 0 is a stream header, the others are entries.
    Room {
        /// What the header says that payloads are.
        payload_encoding: Encoding,
    },
    /// Metadata feed of a Dat archive; its files are in the content feed.
    Hyperdrive {
        /// Key of the content feed.
        content: PublicKey,
    },
    /// A DEP-0007 header of another type.
    Other {
        /// The header's type, cut after 64 characters.
        name: String,
    },
}

/// A stream as it stands now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamInfo {
    /// `quorate.stream/1`.
    pub schema: String,
    /// Local name.
    pub name: String,
    /// Key of the feed.
    pub key: PublicKey,
    /// `dat://<key>`.
    pub link: String,
    /// Discovery key.
    pub discovery_key: DiscoveryKey,
    /// Whether blocks can be appended here: the secret key is here, and the stream is not recovering.
    pub writable: bool,
    /// Blocks in the feed as far as its newest signed head is known here.
    pub length: u64,
    /// Bytes in all blocks of that head.
    pub byte_length: u64,
    /// Blocks that are stored here.
    pub here: u64,
    /// Blocks on disk, synced; equal to `length` except while an append is under way.
    pub durable: u64,
    /// Tree hash of the head; absent while the feed is empty.
    pub tree_hash: Option<Hash>,
    /// How payloads are shown.
    pub encoding: Encoding,
    /// What the feed is.
    #[serde(flatten)]
    pub content: Content,
    /// Directory on disk.
    pub directory: String,
    /// Connected peers that carry this stream.
    pub peers: usize,
    /// Longest feed that a connected peer announces.
    pub remote_length: u64,
    /// Connected peers that carry another history of the feed, which its writer signed as well: nothing is fetched there.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub other_history: usize,
    /// Whether the stream only fetches what is asked for.
    pub sparse: bool,
    /// Set when the stream was opened after a crash and not found as it was left; the sentence says how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<String>,
    /// Why nothing is appended although the secret key is here: the newest head is not known for sure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovering: Option<RecoveringInfo>,
    /// How the room stands, where the stream is one that is checked here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomInfo>,
    /// Why the blocks of a room get no verdict here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unchecked: Option<String>,
    /// Why the records of a room cannot be read, or what is lost of the blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damaged: Option<String>,
    /// Set when a fork was found; the sentence says what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork: Option<String>,
    /// Contradictions that somebody signed, and what is done about the keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<EvidenceInfo>,
    /// What peers that are not quorate nodes are shown, where that is only what is committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateInfo>,
}

const fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// What peers that are not quorate nodes are shown of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateInfo {
    /// Blocks of the first feed that they are shown: what is committed, as far as a signature covers it.
    pub shown: u64,
}

impl StreamInfo {
    /// Value of the `schema` field.
    pub const SCHEMA: &'static str = "quorate.stream/1";

    /// Tells whether the secret key is here, be it used or not.
    pub const fn has_secret_key(&self) -> bool {
        self.writable || self.recovering.is_some()
    }
}

/// How far a stream has come that was copied or put back, and is not written until its newest head is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveringInfo {
    /// What does not fit.
    pub reason: String,
    /// Connected peers that have said how long the stream is.
    pub answered: usize,
    /// Peers that have to.
    pub needed: usize,
}

/// What to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewStream {
    /// Local name.
    pub name: String,
    /// How payloads are shown.
    #[serde(default)]
    pub encoding: Encoding,
    /// Make it a room; else it is a plain feed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<NewRoom>,
}

/// What to clone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloneStream {
    /// Link or key.
    pub link: String,
    /// Local name; the first 8 digits of the key where absent.
    #[serde(default)]
    pub name: Option<String>,
    /// Addresses `host:port` to dial, and to remember for the stream.
    #[serde(default)]
    pub peers: Vec<String>,
    /// Fetch nothing but the head.
    #[serde(default)]
    pub sparse: bool,
    /// Carry the blocks of a room without checking them.
    #[serde(default)]
    pub no_check: bool,
}

/// A local identity: its secret half stays in its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityInfo {
    /// Name on this machine.
    pub name: String,
    /// The key by which others know it.
    pub key: PublicKey,
    /// File of the secret key.
    pub secret: String,
}

/// Result of an append.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appended {
    /// `quorate.appended/1`.
    pub schema: String,
    /// Key of the feed.
    pub key: PublicKey,
    /// First new block.
    pub start: u64,
    /// New length of the feed: durable when this is returned.
    pub length: u64,
    /// Bytes appended.
    pub bytes: u64,
}

impl Appended {
    /// Value of the `schema` field.
    pub const SCHEMA: &'static str = "quorate.appended/1";
}

/// One block, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockInfo {
    /// `quorate.block/1`.
    pub schema: String,
    /// Position in the feed.
    pub index: u64,
    /// Whether it is stored here.
    pub here: bool,
    /// Bytes in the block; absent while its leaf is not known.
    pub size: Option<u64>,
    /// Leaf hash; absent while it is not known.
    pub hash: Option<Hash>,
    /// What stands in it, where the stream is a room and the block is here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<EntryInfo>,
    /// A key by which it was written that the user of this home has muted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted: Option<PublicKey>,
}

impl BlockInfo {
    /// Value of the `schema` field.
    pub const SCHEMA: &'static str = "quorate.block/1";
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerInfo {
    /// `quorate.peer/1`.
    pub schema: String,
    /// Remote `ip:port`.
    pub address: String,
    /// `outgoing` or `incoming`.
    pub direction: Direction,
    /// `A` (Dat 1) or `B2` (Dat 2).
    pub wire: String,
    /// Identity on the wire: the Noise key on B2, the process id on A.
    pub id: Option<String>,
    /// Whether the peer is a quorate node.
    pub quorate: bool,
    /// Streams open on the connection, by name.
    pub streams: Vec<PeerStream>,
}

impl PeerInfo {
    /// Value of the `schema` field.
    pub const SCHEMA: &'static str = "quorate.peer/1";
}

/// Where peers are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// The local network: multicast DNS in the words of dat 13 and of hyperswarm 2.
    Lan,
    /// DNS-discovery servers.
    Dns,
    /// BitTorrent's distributed hash table, where dat 13 looks.
    Bittorrent,
    /// The distributed hash table of hyperswarm 2: dat 14, dat-sdk 2, hyperspace 3.
    Hyperswarm,
}

/// How a discovery service stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscoveryInfo {
    /// `quorate.discovery/1`.
    pub schema: String,
    /// The service.
    pub service: Service,
    /// Whether it can be used now.
    pub working: bool,
    /// What it works with, or why it does not work.
    pub state: String,
    /// TCP port that is announced; absent where nothing is.
    pub port: Option<u16>,
    /// Questions asked, one for each feed and dialect.
    pub asked: u64,
    /// Answers given, one for each feed and dialect.
    pub answered: u64,
    /// Answers of others about feeds that are open here.
    pub heard: u64,
    /// Addresses that are remembered.
    pub known: usize,
    /// Connections that came of it and last.
    pub connected: usize,
}

impl DiscoveryInfo {
    /// Value of the `schema` field.
    pub const SCHEMA: &'static str = "quorate.discovery/1";
}

/// A stream on a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStream {
    /// Local name.
    pub name: String,
    /// Key of the feed.
    pub key: PublicKey,
    /// Length that the peer announces.
    pub remote_length: u64,
}

/// Who dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// We did.
    Outgoing,
    /// The peer did.
    Incoming,
}

impl StreamInfo {
    /// Says that the records of the room cannot be read, or that blocks are lost, where that is so.
    pub fn damage(&self) -> Option<Failure> {
        let damage = |why| Failure::new(Code::Damaged, format!("{} is damaged: {why}", self.name));
        self.damaged.as_ref().map(damage)
    }
}

/// The streams of a home.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Streams {
    /// Those that are open, by name.
    pub streams: Vec<StreamInfo>,
    /// Those that cannot be opened.
    pub unreadable: Vec<UnreadableStream>,
}

/// A stream that cannot be opened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UnreadableStream {
    /// Local name.
    pub name: String,
    /// Why.
    pub failure: FailureBody,
}

/// Result of an audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditSummary {
    /// `quorate.audit/1`.
    pub schema: String,
    /// Key of the feed.
    pub key: PublicKey,
    /// Length of the feed; of a room whose later blocks stand in feeds of other hosts, of all its feeds together.
    pub length: u64,
    /// Feeds that were looked at: several in a room that other hosts have taken over.
    #[serde(default = "one_feed")]
    pub feeds: usize,
    /// Blocks hashed again.
    pub blocks: u64,
    /// Bytes hashed again.
    pub bytes: u64,
    /// Parents hashed again.
    pub parents: u64,
    /// Signatures verified again.
    pub signatures: u64,
    /// Blocks of the feed that are not stored here.
    pub missing: u64,
    /// Sentences about what does not verify; empty when all is well.
    pub faults: Vec<String>,
    /// What came of running the rules again, where the stream is a room that is checked here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomAudit>,
    /// Why the rules of a room were not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unchecked: Option<String>,
}

/// What an audit is of where it says nothing else.
const fn one_feed() -> usize {
    1
}

impl AuditSummary {
    /// Value of the `schema` field.
    pub const SCHEMA: &'static str = "quorate.audit/1";
}

/// A block with all that is needed to check it offline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofFile {
    /// `quorate.proof/1`.
    pub schema: String,
    /// Key of the feed.
    pub key: PublicKey,
    /// Position of the block.
    pub index: u64,
    /// Length of the feed at the signature.
    pub length: u64,
    /// The block, base64.
    pub block: String,
    /// Siblings from the leaf up, then the other roots.
    pub nodes: Vec<ProofNode>,
    /// Signature of the writer over the roots, hexadecimal.
    pub signature: quorate_types::Signature,
}

impl ProofFile {
    /// Value of the `schema` field.
    pub const SCHEMA: &'static str = "quorate.proof/1";
}

/// One node of a proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofNode {
    /// Position in the flat tree.
    pub index: u64,
    /// Hash.
    pub hash: Hash,
    /// Bytes below.
    pub size: u64,
}
