//! How a participant's entry reaches the host, and the host's answer the participant: the extension `quorate/1`.
//!
//! One [`Relay`] for each room that is open. It is told what happens ([`Input`]) and says what to do ([`Output`]); it
//! verifies signatures itself, and never sees storage, rules or sockets. Every node with the room open runs one:
//!
//! * A participant submits entries and sees them *appended*, *refused* or *expired*; until then they are *submitted*.
//! * A peer in between passes entries on towards the host and receipts back the way the entries came.
//! * The host gets each entry once as [`Output::Offer`], and answers; the answer goes out as a signed receipt. What is no
//!   entry of the room it refuses itself, by the hash of the bytes ([`submission_digest`]).
//!
//! Whatever is lost on the way is healed by the participant, who tries again. Everything that peers can make it hold is
//! bounded ([`limits`]).

mod bucket;
mod event;
mod host;
mod inbox;
pub mod limits;
mod modules;
mod own;
mod receipt;
mod relay;
mod routes;
mod status;
mod traffic;

pub use event::{Answer, Fault, Input, Output, Peer, SubmissionState, SubmitError};
pub use receipt::{RECEIPT_CONTEXT, SUBMISSION_CONTEXT, receipt_bytes, submission_digest};
pub use relay::Relay;
