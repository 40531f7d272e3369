//! Rooms: verdicts, state, rules about rules.

mod actions;
mod changes;
mod chunks;
mod genesis;
mod membership;
mod model;
mod proofs;
mod random;
mod replays;
mod rules;
mod successors;
mod world;

#[allow(unused_imports)]
#[path = "../../../rules/tests/support/mod.rs"]
mod support;
