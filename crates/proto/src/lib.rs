//! Protobuf messages of the Dat wires, of the DHT of hyperswarm 2, of rooms, of certificates and of the extension
//! `quorate/1`: generated types and
//! what is checked about them.
//!
//! The generated `pb` types stay inside this crate. Its public types come out of `decode` with
//! presence, length and range already checked, so that nothing above has to check them again.
//!
//! Floor 0: no sockets, files, threads, clocks or entropy.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

pub mod archive;
mod canonical;
pub mod dat;
pub mod dht;
mod error;
mod fields;
pub mod header;
pub mod quorate1;
pub mod quorum;
pub mod stream;

pub use canonical::Deviation;
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

/// Generated from `proto/archive.proto`.
mod pb_archive {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    include!("generated/archive.rs");
}

/// Generated from `proto/dht.proto`.
mod pb_dht {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    include!("generated/dht.rs");
}

/// Generated from `proto/stream.proto`.
mod pb_stream {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    include!("generated/quorate.rs");
}

/// Generated from `proto/quorate1.proto`.
mod pb_quorate1 {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    include!("generated/quorate1.rs");
}

/// Generated from `proto/quorum.proto`.
mod pb_quorum {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    include!("generated/quorum.rs");
}
