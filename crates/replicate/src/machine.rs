//! The replicator: one feed, many peers.

use std::collections::VecDeque;
use std::time::Instant;

use quorate_proto::dat::Request;

use crate::{Config, Input, LocalFeed, Output, Peer};

/// Replicates one feed with many peers.
///
/// After each [`handle`](Self::handle), or after several, drain [`poll_output`](Self::poll_output) and call
/// [`handle`](Self::handle) with [`Input::Timeout`] at the time of [`poll_timeout`](Self::poll_timeout).
#[derive(Debug)]
pub struct Replicator {
    config: Config,
    outputs: VecDeque<Output>,
    deadline: Option<Instant>,
}

impl Replicator {
    /// Makes a replicator without peers that fetches nothing yet.
    pub fn new(config: Config) -> Self {
        Self { config, outputs: VecDeque::new(), deadline: None }
    }

    /// Returns the configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Takes in what happened. Inputs about peers that are gone are ignored.
    pub fn handle(&mut self, _now: Instant, _local: &dyn LocalFeed, _input: Input) {}

    /// Returns the next thing to do, or `None` when all is done.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns the time at which [`Input::Timeout`] is due; earlier and later calls do no harm.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// Takes the oldest waiting request of a peer; cancelled ones are not among them.
    pub fn next_request(&mut self, _peer: Peer) -> Option<Request> {
        None
    }
}
