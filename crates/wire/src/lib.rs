//! The Dat wires A and B2: handshake, cipher, frames, channels and messages of one connection.
//!
//! A [`Session`] is one end of a connection without the connection: bytes that arrived go into
//! [`Session::receive`], what they mean comes out of [`Session::poll_event`], and bytes to write
//! come out of [`Session::take_transmit`]. It opens no socket and reads no clock; time and
//! randomness are arguments.
//!
//! Wire A is hypercore-protocol 6 (DEP-0010), wire B2 is hypercore-protocol 8. [`sniff`] tells
//! them apart by the first bytes that a dialling peer sends.
//!
//! Floor 1: no sockets, files, threads, clocks or entropy.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

mod capability;
mod channels;
mod cipher;
mod clock;
mod config;
mod error;
mod event;
mod extensions;
mod frame;
mod handshake;
mod outbound;
mod session;
mod sniff;
mod varint;
mod xsalsa20;

pub use config::{NoiseKeyPair, PeerPolicy, Role, SessionConfig, SessionEntropy, Timeouts};
pub use error::SessionError;
pub use event::{Channel, Event};
pub use session::Session;
pub use sniff::{Sniff, sniff};
