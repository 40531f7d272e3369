//! The targets.

mod bitfield;
mod dht;
mod dns;
mod entries;
mod evidence;
mod fork;
mod frames;
mod handshake;
mod links;
mod messages;
mod modules;
mod proofs;
mod room_frames;
mod signatures;
mod sleep;
mod world;

use crate::Target;

/// Every target.
pub const TARGETS: [Target; 19] = [
    links::TARGET,
    messages::TARGET,
    bitfield::RUN_LENGTH,
    bitfield::PAGES,
    sleep::TARGET,
    proofs::TARGET,
    fork::TARGET,
    evidence::TARGET,
    handshake::TARGET,
    frames::WIRE_A,
    frames::WIRE_B2,
    entries::TARGET,
    signatures::TARGET,
    room_frames::TARGET,
    modules::WHOLE,
    modules::DAMAGED,
    modules::SMITH,
    dns::TARGET,
    dht::TARGET,
];
