//! ABI v1, of no engine: what a rule is given, what it may ask for, what it costs, and what becomes of its result.
//!
//! An engine runs the code; everything else is here, so that two engines can only differ in how they run code.
//! [`Session`] is the host's side of one call. `docs/rules/abi-v1.md` says the same for authors of rules.

mod call;
pub mod gas;
mod guest;
mod hashing;
mod host;
mod overlay;
mod question;
mod session;
mod state;
mod text;

pub use self::call::{Call, CallKind, HEADER_BYTES};
pub use self::guest::Guest;
pub use self::host::{AtHand, Host, Missing, Usage};
pub use self::question::{Answer, Question};
pub use self::session::{Ended, Meters, Reply, Session, Stopped};

/// Version of the ABI, as it stands at the head of every input.
pub const ABI_VERSION: u16 = 1;
