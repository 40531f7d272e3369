//! The `quorate` binary from the outside: output, exit codes, JSON.

mod doctor;
mod errors;
mod forks;
mod handover;
mod help;
mod home;
mod interrupted;
mod live;
mod membership;
mod quorum;
mod recovering;
mod rooms;
mod rule;
mod support;
