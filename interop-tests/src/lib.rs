//! What the interoperability tests stand on: stock JavaScript peers and the `quorate` binary, run as
//! processes of their own, each with a directory that goes away with the test.
//!
//! Nothing here skips. A test that needs Node.js or the pinned peers fails and says what to run.

pub mod attacker;
mod binary;
mod blocks;
mod chance;
mod dat_command;
mod lan;
mod ledger_room;
mod memory;
mod node;
mod process;
mod relay;
mod stock_peer;
mod swarm_peer;
mod workspace;

pub use binary::{Quorate, quorate_binary};
pub use blocks::{checksum, generated_block, generated_blocks};
pub use chance::{Chance, generated_batch};
pub use dat_command::{DatProcess, DatVersion, archive_key, files_in};
pub use lan::Lan;
pub use ledger_room::{LedgerRoom, Offer};
pub use memory::Memory;
pub use node::{Node, NodeOptions, block_on, soon, stream_checksum, until_info, within};
pub use process::{EventProcess, PATIENCE};
pub use relay::Relay;
pub use stock_peer::{FeedOptions, Generation, PeerOptions, StockPeer};
pub use swarm_peer::{SwarmPackage, SwarmPeer};
pub use workspace::{Workspace, project_root};
