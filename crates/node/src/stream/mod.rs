//! One open stream: a task that owns the feed and its replicator, and the handle to it.

mod answer;
mod append;
mod branch;
mod command;
mod failures;
mod forks;
mod gate;
mod handle;
mod parting;
mod peer;
mod progress;
mod receive;
mod room;
mod serve;
mod task;
mod view;
mod watch;
mod writer;

pub use command::ExtensionMessage;
pub(crate) use command::{Command, OpenedPeer};
pub(crate) use failures::open_failure;
pub use handle::Stream;

pub(crate) use handle::StreamIdentity;
pub(crate) use room::{ChangeWish, Patience, Wish};
pub(crate) use task::{StreamTask, TaskParts};
pub(crate) use view::View;
pub(crate) use writer::{PEERS_NEEDED, Writer};
