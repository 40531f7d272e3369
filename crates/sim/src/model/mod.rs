//! A model of voting and handover, searched exhaustively within bounds.
//!
//! Hosts are Byzantine in every epoch, and one validator is: it signs anything, so a certificate exists as soon as
//! enough honest validators have voted. The network delivers what exists to whom it likes, whenever it likes, or never.
//! Honest validators follow the rules of voting, acknowledging and sealing. All signatures stay for ever.
//!
//! Bounded are: the number of validators, of epochs and of blocks in a feed; two contents for each block, so that a feed
//! forks into two at each place (and the header too: two feeds, or one feed on two bases); one change of validators.
//! Not in the model: rules, time. What stands for many states at once: validators are not told apart, contents have no names,
//! and a run is put into the order of its epochs.

mod checked;
mod coverage;
mod log;
mod search;
mod settings;
mod state;
pub mod suite;

pub use checked::{Step, Voting};
pub use coverage::Coverage;
pub use log::Log;
pub use search::{Found, search};
pub use settings::{Bug, Change, Settings};
pub use state::State;
