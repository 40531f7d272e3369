//! What host calls cost, in the gas of METER v1. Part of consensus, and fixed with ABI v1.
//!
//! One unit is about a nanosecond; what waits for a disk costs more than it takes when its pages are in memory.

/// `get_block`.
pub const GET_BLOCK: u64 = 10_000;

/// `state_get`.
pub const STATE_GET: u64 = 2_000;

/// `state_set` and `state_del`.
pub const STATE_WRITE: u64 = 4_000;

/// `fail` and `log`.
pub const TEXT: u64 = 200;

/// `blake2b_256` and `sha256`.
pub const HASH: u64 = 300;

/// `ed25519_verify`.
pub const ED25519_VERIFY: u64 = 80_000;

/// `env.abort`.
pub const ABORT: u64 = 200;

/// Each byte of a key, of a block or value that is read, of a value that is replaced, of a text.
pub const BYTE: u64 = 1;

/// Each byte of a value that is written.
pub const WRITTEN_BYTE: u64 = 2;

/// Each byte of what `blake2b_256` hashes.
pub const BLAKE2B_BYTE: u64 = 2;

/// Each byte of what `sha256` hashes, and of a message that `ed25519_verify` looks at.
pub const SHA2_BYTE: u64 = 4;
