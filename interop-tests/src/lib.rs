//! Tests against the JavaScript reference and other Rust peers.
