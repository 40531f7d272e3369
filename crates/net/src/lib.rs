//! Async edge: runtime, TCP, connection driver, local HTTP transport.
//!
//! [`listen`] and [`dial`] make connections and find out which wire the peer speaks; [`drive`] moves
//! bytes between such a connection and its session, and takes [`Command`]s from other tasks through
//! an [`outbox`]. [`discovery`] finds peers, [`names`] finds the keys that names stand for. [`http`] is the transport of the local API. All of it runs on a [`runtime`] that is
//! named nowhere else.

mod command;
mod connection;
pub mod dial;
pub mod discovery;
pub mod drive;
pub mod http;
pub mod listen;
pub mod names;
pub mod outbox;
pub mod resolve;
pub mod runtime;

pub use command::Command;
pub use connection::{Connection, Limits, Permit, Slots};
