//! Rules for quorate rooms: WebAssembly modules that check each append.
//!
//! A rule is a function from a [`Call`] to a [`Verdict`], exported with [`rule!`]:
//!
//! ```
//! use quorate_rule::{Call, Code, Verdict, ensure, rule};
//!
//! const TOO_LONG: Code = Code::new(2);
//!
//! rule! { check: check }
//!
//! fn check(call: &Call) -> Verdict {
//!     ensure!(call.payload().len() <= 280, TOO_LONG, "at most 280 bytes");
//!     Ok(())
//! }
//! # fn main() {}
//! ```
//!
//! There is no clock and no randomness, and memory does not outlive a call: every check runs in a fresh instance. What
//! a rule wants to keep goes into [`state`], which changes only when every rule of the room accepts. So nothing is
//! ever freed: bytes that the functions here return last as long as the call.
//!
//! The crate has no dependency and no allocator. On any other target than `wasm32` it comes with [`testing`], a room in
//! miniature for the tests of a rule.

#![no_std]

#[cfg(not(target_arch = "wasm32"))]
extern crate std;

mod buffer;
mod bytes;
mod call;
pub mod crypto;
mod entry;
pub mod history;
#[cfg(target_arch = "wasm32")]
#[path = "host_wasm.rs"]
mod host;
#[cfg(not(target_arch = "wasm32"))]
#[path = "host_native.rs"]
mod host;
pub mod json;
pub mod state;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod text;
mod verdict;

pub use buffer::buffer;
pub use bytes::{Hash, Key};
pub use call::{Call, Change, Kind, Operation};
pub use entry::{Rule, log};
pub use json::Json;
pub use state::{Slot, slot};
pub use text::Text;
pub use verdict::{Answer, Code, MALFORMED, Reject, Verdict, reject};

#[doc(hidden)]
pub mod exports {
    pub use crate::entry::{allocate, answer, judge, judge_change};
}
