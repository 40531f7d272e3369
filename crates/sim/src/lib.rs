//! Tests of the quorum protocol that are programs of their own.
//!
//! [`model`] is an abstract model of voting and handover whose whole bounded space is searched. [`world`] runs the real
//! engine of `quorate-quorum` in a seeded world of bad networks, bad disks and attackers.

pub mod model;
pub mod world;
