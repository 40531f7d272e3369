//! A Dat feed over storage.

mod answer;
mod append;
mod audit;
mod branch;
mod clear;
mod error;
mod flush;
mod investigate;
mod open;
mod put;
mod read;
mod recover;
mod settle;
mod verify;

use quorate_types::{BlockRange, DiscoveryKey, Node, PublicKey, SecretKey, Signature};
use random_access_storage::RandomAccess;

pub use audit::{AuditReport, Corruption, Findings};
pub use error::{AppendError, BranchError, ClearError, OpenError, PutError, ReadError, VerifyError};
pub use investigate::{Investigation, Meeting};
pub use put::Stored;
pub use read::Seek;
pub use recover::Recovery;
pub use verify::VerifiedBlock;

use crate::hook::PreAccept;
use crate::nodes::Nodes;
use crate::sign::{Form, Signer, Verifier};
use crate::signatures::Signatures;
use crate::storage::StorageError;
use crate::{Bitfield, Roots, SignedRoots};

/// Keys of a feed: with the secret one it is writable.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Public key, the name of the feed.
    pub public: PublicKey,
    /// Secret key, where the feed is written.
    pub secret: Option<SecretKey>,
}

/// How much memory a feed may use beyond its bitfield.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedConfig {
    /// Tree nodes that are kept after use; a node takes 56 bytes.
    pub cached_nodes: usize,
    /// Tree nodes that may wait for a flush before they are handed to the storage, not yet synced.
    pub pending_nodes: usize,
}

impl Default for FeedConfig {
    fn default() -> Self {
        Self { cached_nodes: 4096, pending_nodes: 16 * 1024 }
    }
}

/// Append-only log of blocks, signed by one writer, complete or sparse.
///
/// Blocks come in by [`append`](Self::append) or by [`verify`](Self::verify) and [`put`](Self::put); both
/// are readable at once and durable after the next [`flush`](Self::flush). Dropping a future of a method
/// that writes leaves a feed that must be opened again before it is trusted.
pub struct Feed<S> {
    verifier: Verifier,
    signer: Option<Signer>,
    /// Nothing is appended although the secret key is here.
    suspended: bool,
    discovery_key: DiscoveryKey,
    config: FeedConfig,
    nodes: Nodes<S>,
    signatures: Signatures<S>,
    data: S,
    bitfield_file: S,
    bitfield: Bitfield,
    roots: Roots,
    head: Option<Signature>,
    /// Form in which this feed was signed last: tried first.
    form: Form,
    durable_length: u64,
    /// Length that the bitfield on the disk claims.
    claimed: u64,
    /// Lowest of the blocks that came since.
    unclaimed: Option<u64>,
    /// Blocks of another history that was taken, as long as some of them are not here.
    branch: Option<BlockRange>,
    /// Block whose byte offset is known, and that offset: the one after the last that was used.
    cursor: (u64, u64),
    /// Something was written that was not synced.
    unsynced: bool,
    poisoned: bool,
    /// Counts changes of the roots: what was verified against older ones is looked at again.
    generation: u64,
    hook: Option<Box<dyn PreAccept>>,
}

impl<S: RandomAccess + Send> Feed<S> {
    /// Returns the public key.
    pub const fn key(&self) -> &PublicKey {
        self.verifier.public()
    }

    /// Returns the name under which peers look for the feed.
    pub const fn discovery_key(&self) -> &DiscoveryKey {
        &self.discovery_key
    }

    /// Tells whether blocks can be appended here.
    pub const fn is_writable(&self) -> bool {
        self.signer.is_some() && !self.suspended
    }

    /// Lets nothing be appended, until [`resume_writing`](Self::resume_writing), although the secret key is here.
    pub const fn suspend_writing(&mut self) {
        self.suspended = true;
    }

    /// Lets blocks be appended again, where the secret key is here.
    pub const fn resume_writing(&mut self) {
        self.suspended = false;
    }

    /// Returns the length, blocks: that of the longest tree whose signed peaks are known.
    pub const fn length(&self) -> u64 {
        self.roots.length()
    }

    /// Returns the sum of the sizes of all blocks, whether they are here or not.
    pub const fn byte_length(&self) -> u64 {
        self.roots.byte_length()
    }

    /// Returns the peaks of the present length.
    pub const fn roots(&self) -> &Roots {
        &self.roots
    }

    /// Returns the signature over the peaks of the present length, `None` for an empty feed.
    pub const fn head_signature(&self) -> Option<&Signature> {
        self.head.as_ref()
    }

    /// Returns the length that survives a crash: a writer tells peers of no more than this.
    pub const fn durable_length(&self) -> u64 {
        self.durable_length
    }

    /// Returns which blocks and nodes are here.
    pub const fn bitfield(&self) -> &Bitfield {
        &self.bitfield
    }

    /// Tells whether a block is here.
    pub fn has(&self, index: u64) -> bool {
        self.bitfield.has(index)
    }

    /// Returns the verifier of the feed's signatures.
    pub const fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Sets what decides, before anything is written, whether a block may be stored.
    pub fn set_pre_accept(&mut self, hook: Box<dyn PreAccept>) {
        self.hook = Some(hook);
    }

    /// Returns a tree node, `None` when it is not known.
    ///
    /// # Errors
    ///
    /// [`StorageError`] when it cannot be read.
    pub async fn node(&mut self, index: u64) -> Result<Option<Node>, StorageError> {
        self.nodes.get(&self.bitfield, index).await
    }

    fn signed_head(&self) -> Option<SignedRoots> {
        self.head.map(|signature| SignedRoots { roots: self.roots.clone(), signature })
    }

    fn check_poison(&self) -> Result<(), StorageError> {
        if self.poisoned { Err(StorageError::Poisoned) } else { Ok(()) }
    }
}

impl<S> std::fmt::Debug for Feed<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed")
            .field("key", self.verifier.public())
            .field("writable", &(self.signer.is_some() && !self.suspended))
            .field("length", &self.roots.length())
            .field("durable_length", &self.durable_length)
            .finish_non_exhaustive()
    }
}
