//! Which rules hold, and how that changes.
//!
//! A [`RuleChange`](crate::rule_change::RuleChange) that is accepted waits in the [`Registry`] until the block at its
//! activation is checked: it takes effect before that block, or not at all.

mod activate;
mod change;
mod genesis;
mod modules;
mod plan;
mod record;
mod registry;
mod trial;

pub use self::activate::{Activated, Activation};
pub use self::registry::{ActiveRule, PendingChange, Registry, RuleStatus};
pub use self::trial::RuleFailure;

pub(crate) use self::activate::activate;
pub(crate) use self::change::{ask_about_validators, check_change};
pub(crate) use self::genesis::{activate_genesis, check_genesis_chunk, genesis_status};
pub(crate) use self::modules::{assemble, check_chunk, is_complete};
pub(crate) use self::registry::Genesis;
pub(crate) use self::trial::{GAS, decided, write};

/// Changes that may wait for their activation.
pub const MAX_PENDING_CHANGES: usize = 64;

/// Furthest activation behind the earliest one, in blocks: what is decided stays within sight.
pub const MAX_ACTIVATION_AHEAD: u64 = 1 << 20;

/// Modules whose chunks may be coming in at once.
pub const MAX_OPEN_MODULES: usize = 4;

/// Blocks without a chunk after which another module may take the place of one that is coming in.
pub const STALLED_MODULE_BLOCKS: u64 = 1024;

/// Fewest bytes of a chunk that is not a module's last: no module takes more than 512 blocks.
pub const MIN_CHUNK_BYTES: usize = 1024;
