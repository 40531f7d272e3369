//! Blocks of a room (`proto/stream.proto`): shape, lengths and ranges checked, and the one canonical encoding.
//!
//! What the parts mean together is checked in `quorate-stream`.

mod entry;
mod header;
mod rule_change;
mod schema;

pub use entry::{Action, Entry, ModuleChunk, Proof, ProofKind};
pub use header::{GenesisRule, Previous, StreamHeader};
pub use rule_change::{RuleChange, RuleOperation, TestVector};
