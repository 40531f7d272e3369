//! Async edge: runtime, TCP, connection driver, local HTTP transport.

pub mod drive;
pub mod http;
pub mod outbox;
pub mod runtime;
