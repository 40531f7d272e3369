//! The node: streams, peers, events, and the one API that the command line and the local HTTP API share.

pub mod event;
mod failure;
pub mod model;

pub use failure::{Code, Failure, FailureBody, FailureKind};
