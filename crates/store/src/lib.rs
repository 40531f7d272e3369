//! Feeds on disk and in memory, and a faulty backend for tests.
//!
//! [`Backend`] is one file of a feed; [`FeedDirectory`] is a feed in the files that stock Dat clients
//! use, locked; [`Home`] is the data directory of a node. `docs/storage.md` describes what is on disk.

mod atomic;
mod backend;
mod cached;
mod directory;
mod disk;
mod faulty;
mod files;
mod home;
mod lock;
mod place;
mod transfer;

pub mod evidence_files;
pub mod outbox;
pub mod room_state;
pub mod secret_file;
pub mod vote_records;
pub mod writer_guard;

pub use backend::Backend;
pub use cached::{CacheConfig, Cached};
pub use directory::{DirectoryError, FeedDirectory, read_keys, read_public_key};
pub use disk::DiskFile;
pub use faulty::{Fault, Faulty, FaultyDisk, When};
pub use files::{FeedFiles, FoundFeed, find_feeds};
pub use home::{
    DEFAULT_IDENTITY, Decision, Encoding, Gate, Home, HomeError, Identity, KeptBranch, Listing,
    MAX_DECISIONS, NameError, Origin, Policy, StoredVoteKey, Stream, StreamInfo, StreamName,
};
pub use lock::{Lock, LockError};
pub use transfer::{SecretKeyPolicy, export, export_held, import};
