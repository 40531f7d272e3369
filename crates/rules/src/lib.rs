//! Rules: WebAssembly modules that check each append, from peers that nobody trusts.
//!
//! Floor 1: no sockets, files, threads, clocks or entropy.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

pub mod abi;
pub mod builtin;
pub mod engine;
pub mod gate;
pub mod limits;
pub mod meter;
pub mod state;
pub mod verdict;
