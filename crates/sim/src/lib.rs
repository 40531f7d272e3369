//! Tests of the quorum protocol that are programs of their own.
//!
//! [`model`] is an abstract model of voting and handover whose whole bounded space is searched.

pub mod model;
