//! Replication of one feed with its peers, without IO.
//!
//! A [`Replicator`] is told what happens ([`Input`]) and says what to do ([`Output`]). It never sees storage: bits,
//! digests and the length come through [`LocalFeed`]; blocks are verified and stored by the node, which reports back.
//!
//! Sources: hypercore 7 and 9 `lib/replicate.js`, DEP-0010.
//!
//! Floor 1: no sockets, files, threads, clocks or entropy.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

mod answer;
mod claims;
mod config;
mod digest;
mod download;
mod end;
mod event;
mod evidence;
mod gate;
mod local;
mod machine;
mod peer;
mod peers;
mod ranges;
mod remote;
mod rle;
mod timers;
mod upload;
mod work;

#[cfg(test)]
mod sim;

pub use config::{Config, PeerProfile, Selection};
pub use event::{Input, InvestigationResult, Output, Peer, PeerFault, Refusal, ReplicationEvent};
pub use local::LocalFeed;
pub use machine::Replicator;
