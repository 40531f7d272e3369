//! Rooms: what is in the blocks of a feed whose block 0 is a stream header, and how entries reach its host.
//!
//! * [`header`] is block 0, [`entry`] every other one: [`action`], [`rule_change`], [`chunk`].
//! * [`identity`] is who signs, and for what; [`refusal`] why something does not become a block.
//! * [`payload`] is what applications may put into actions.
//! * [`room`] is the verdict on a block, and the state that the blocks make; [`governance`] which rules hold.
//! * [`submit`] is how entries reach the host, and its answers the participants.
//!
//! Verification returns a proof of verification: a [`action::VerifiedAction`] comes from nowhere but
//! [`action::Action::verify`] and from signing.
//!
//! Floor 1: no sockets, files, threads, clocks or entropy.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

pub mod action;
pub mod chunk;
pub mod entry;
pub mod governance;
pub mod header;
pub mod identity;
pub mod payload;
pub mod refusal;
pub mod room;
pub mod rule_change;
pub mod submit;
