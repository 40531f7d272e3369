//! Rooms: what is in the blocks of a feed whose block 0 is a stream header, and how entries reach its host.
//!
//! Floor 1: no sockets, files, threads, clocks or entropy.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

pub mod identity;
