//! Limits of the engine, each with its unit and why it is that much.

use std::time::Duration;

/// Signatures of one peer's messages that are checked in a second. A core checks about 30 000.
pub const CHECKS_PER_SECOND: u32 = 500;

/// Signatures of all peers' messages that are checked in a second: an eighth of what a core checks.
pub const CHECKS_PER_SECOND_IN_ALL: u32 = 4000;

/// Signature checks that may come at once: the largest handover and two QCs.
pub const CHECKS_AT_ONCE: u32 = 500;

/// Checks that votes leave to certificates, of those that one peer, and all of them, may have: a QC and a Final of the largest
/// quorum that is usual. Who hears those needs no votes; without them a node acknowledges nothing.
pub const CHECKS_FOR_CERTIFICATES: u32 = 64;

/// Statements of one peer that are passed on in a second, and at once: half of what another peer is told, so that a flood
/// leaves room for what others say.
pub const PASSED_ON_PER_SECOND: u32 = TOLD_PER_SECOND / 2;

/// Statements of others that one peer is told in a second, and at once. With what this node says itself they are fewer than
/// the peer checks; it is told the certificates of what is more.
pub const TOLD_PER_SECOND: u32 = CHECKS_PER_SECOND * 2 / 5;

/// Statuses of one peer that are read in a second, and at once. They have no signatures, and say of each proposal that it is there.
pub const STATUSES_PER_SECOND: u32 = 500;

/// Lengths above the checked ones for which votes are kept.
pub const WINDOW: u64 = 1024;

/// Lengths for which votes of one validator are kept; the lowest are forgotten first. An honest one is a few behind.
pub const MAX_LENGTHS_OF_VALIDATOR: usize = 128;

/// Hashes of messages that were seen, 2 MiB.
pub const MAX_SEEN: usize = 64 * 1024;

/// Messages of an epoch that is not known yet.
pub const MAX_WAITING: usize = 256;

/// Evidence against keys that are not known, 512 KiB.
pub const MAX_STRAYS: usize = 8;

/// Grants of one epoch: two of one host are evidence, and there is one host for each set of validators.
pub const MAX_GRANTS_OF_EPOCH: usize = 4;

/// Starts of one epoch that were not taken: whether the host goes on, and what a host grants, may differ.
pub const MAX_OTHER_STARTS: usize = 4;

/// Evidence against one key.
pub const MAX_EVIDENCE_OF_CULPRIT: usize = 8;

/// Epochs that are over and whose votes are still compared with those that come.
pub const MAX_LEFT: usize = 2;

/// QCs that are kept to be handed on, of the newest lengths.
pub const MAX_QCS: usize = 64;

/// Checked heads that are kept of an epoch, of the newest lengths: those that acknowledgements may name.
pub const MAX_HEADS: usize = 4096;

/// Lengths at which votes are asked for that are remembered.
pub const MAX_PROPOSED: usize = 16;

/// Storage peers whose newest promise is kept.
pub const MAX_PROMISES: usize = 256;

/// Answers to one peer in a second: certificates, starts, evidence.
pub const ANSWERS_PER_SECOND: u32 = 20;

/// Doublings of the patience with a host: 64 times.
pub const MAX_DOUBLINGS: u32 = 6;

/// Blocks of new finality after which a certificate block is due at once.
pub const CERTIFICATE_BLOCKS: u64 = 64;

/// Time after which a vote or a seal that has led to nothing is sent again.
pub const RESEND: Duration = Duration::from_secs(1);

/// Shortest time between two statuses of what changed, other than epoch and proposals.
pub const STATUS_CHANGE: Duration = Duration::from_secs(1);

/// Time between two statuses.
pub const STATUS_PERIOD: Duration = Duration::from_secs(10);

/// Shortest time between two questions to one peer for the same thing.
pub const ASK_AGAIN: Duration = Duration::from_millis(500);
