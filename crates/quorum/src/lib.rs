//! The quorum of a room: votes, certificates, handover and evidence.
//!
//! * [`key`] and [`validators`] are who votes; [`statement`] what they sign, byte by byte.
//! * [`certificate`] is what many signatures prove together: a QC, a Final, a handover, a catch-up.
//! * [`evidence`] is what two contradictory signatures prove, to anyone, from its bytes alone.
//! * [`engine`] is the machine: one [`Engine`](engine::Engine) for each room, in every node that has it open.
//!
//! Verification returns a proof of verification: a [`statement::Verified`], a [`certificate::VerifiedFinal`], an
//! [`evidence::VerifiedEvidence`] come from nowhere but verification and signing.
//!
//! # Driving the engine
//!
//! The simulator, the fuzzer and the node run the same code, in the same way:
//!
//! 1. [`Engine::new`](engine::Engine::new) with a [`Config`](engine::Config) and every record that the disk holds.
//! 2. [`handle`](engine::Engine::handle)`(now, input)` for each thing that happens.
//! 3. Drain [`poll_output`](engine::Engine::poll_output) after each input, or after several.
//! 4. `handle(now, Input::Timeout)` at [`poll_timeout`](engine::Engine::poll_timeout).
//!
//! The engine sees no blocks, runs no rules and holds no sockets. Its caller owns the feeds and tells it:
//!
//! * [`Input::Checked`](engine::Input::Checked): here are all blocks of a feed up to a length that its writer signed,
//!   the signature verified, and the rules accept every one. Ascending for each feed. After a start the caller begins
//!   with the length of [`last_vote`](engine::Engine::last_vote), if there is one: until the engine has seen that head
//!   again it votes for nothing longer.
//! * [`Input::Refused`](engine::Input::Refused) when the rules refuse a block; nothing when they cannot tell.
//! * [`Input::Started`](engine::Input::Started): the feed holds the start of an epoch, in block 0 or in an
//!   `EpochStart` block. The caller verifies it by
//!   [`check_start`](engine::Engine::check_start) before it takes the block, checks that it
//!   [may stand](certificate::VerifiedStart::may_stand) there, and says so before any head above it.
//! * [`Input::Evidence`](engine::Input::Evidence): a feed forks, or what
//!   [`Output::Judge`](engine::Output::Judge) and [`Output::Compare`](engine::Output::Compare) ask is so.
//! * [`Input::Pending`](engine::Input::Pending): since when a signed action waits that is not committed. It is what
//!   the patience with a host is measured by.
//! * [`Input::Persisted`](engine::Input::Persisted) for each [`Output::Persist`](engine::Output::Persist), in their
//!   order. **Durable before sent**: what depends on a record comes out only after that record is acknowledged. A caller
//!   may acknowledge several after one sync.
//!
//! A record lies under its [`Slot`](engine::Slot); a later one in the same slot replaces it. The set of slots is what
//! `Engine::new` takes after a crash.
//!
//! # A round, with an honest host
//!
//! The host appends and signs a head; its `Checked` makes it *propose* the length in its status. Validators that have
//! checked it persist a vote and send it to all. Whoever holds q votes that agree has a QC: each validator persists it,
//! and acknowledges it in its next vote, or by sending its vote again when nothing follows. q acknowledgements are a
//! Final: [`Output::Committed`](engine::Output::Committed). The host puts it into a certificate block.
//!
//! # Three choices that the design leaves open
//!
//! * **A Final names one QC.** Its acknowledgements are all of that QC. Then the hash in the votes shows by itself that
//!   they are of one chain. Nothing is lost: a Final makes all below it final, and old acknowledgements count.
//! * **A QC's hash does not cover its signers.** It is the hash of what the votes agree on, so all QCs of one head have
//!   one hash, and votes that acknowledge it agree whoever's votes they saw.
//! * **A change of validators adds or removes one key.** A handover from below a change, and one from a base that ends
//!   with it, lead into one epoch under two sets. Their quorums share f+1 keys only when the sets differ by one, and
//!   then nobody can commit in both, because an honest validator votes for one feed in an epoch.
//!
//! Floor 1: no sockets, files, threads, clocks or entropy.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

pub mod certificate;
pub mod engine;
pub mod evidence;
pub mod head;
pub mod key;
#[cfg(feature = "memo")]
pub mod memo;
pub mod statement;
pub mod validators;
