//! Protobuf messages of the Dat wire: generated types and what is checked about them.
//!
//! The generated `pb` types stay inside this crate. Its public types come out of `decode` with
//! presence, length and range already checked, so that nothing above has to check them again.
//!
//! Floor 0: no sockets, files, threads, clocks or entropy.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

pub mod dat;
mod error;
pub mod header;

pub use error::ProtoError;

/// Generated from `proto/dat.proto`.
mod pb {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    include!("generated/dat.rs");
}

/// Generated from `proto/header.proto`.
mod pb_header {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    include!("generated/header.rs");
}
