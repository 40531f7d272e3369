//! Deterministic simulation of replicators among each other.

mod digests;
mod gate;
mod hostile;
mod model;
mod scenarios;
mod world;
