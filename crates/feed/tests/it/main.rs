//! Tests of the feed through its public interface.

mod answers;
mod branch;
mod corruption;
mod crash;
mod fixtures;
mod forks;
mod hypercore10;
mod model;
mod proofs;
mod replication;
mod support;
mod vectors;
