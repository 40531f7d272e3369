//! Async edge: runtime, TCP, connection driver, local HTTP transport.

pub mod runtime;
