//! What the task of a room sees of the other feeds of the room, each of which has a task of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_channel::Sender;
use bytes::Bytes;
use quorate_feed::Roots;
use quorate_feed::fork::VerifiedForkProof;
use quorate_proto::quorum::NodeContent;
use quorate_quorum::certificate::Inclusion;
use quorate_types::{BlockRange, Signature};

use super::command::Reply;
use super::failures::read_failure;
use super::peer::Joined;
use super::task::StreamTask;

/// How far a feed is; written by its task, read by the task of its room.
#[derive(Debug, Default)]
pub(crate) struct FeedView {
    length: AtomicU64,
    contiguous: AtomicU64,
    remote: AtomicU64,
}

impl FeedView {
    /// Returns the length that its writer signed.
    pub(crate) fn length(&self) -> u64 {
        self.length.load(Ordering::Acquire)
    }

    /// Returns up to which block all are here.
    pub(crate) fn contiguous(&self) -> u64 {
        self.contiguous.load(Ordering::Acquire)
    }

    /// Returns the greatest length that a peer announces.
    pub(crate) fn remote(&self) -> u64 {
        self.remote.load(Ordering::Acquire)
    }

    /// Replaces what is known; tells whether it is something else.
    fn set(&self, length: u64, contiguous: u64, remote: u64) -> bool {
        let swap = |value: &AtomicU64, new| value.swap(new, Ordering::AcqRel) != new;
        // The length last: whoever sees it sees what comes with it.
        let others = [swap(&self.contiguous, contiguous), swap(&self.remote, remote)];
        swap(&self.length, length) || others.contains(&true)
    }
}

/// Where a block stands in a history that the writer signed.
#[derive(Debug)]
pub(crate) struct Shown {
    /// Length that was signed.
    pub(crate) length: u64,
    /// By the writer.
    pub(crate) signature: Signature,
    /// Nodes that lead from the block to the peaks of that length.
    pub(crate) nodes: Vec<NodeContent>,
}

/// The task of a room that watches a feed.
#[derive(Debug)]
pub(crate) struct Watch {
    /// What it sees.
    pub(crate) view: Arc<FeedView>,
    /// Wakes it.
    pub(crate) signal: Sender<()>,
    /// Forks of the feed; one is enough.
    pub(crate) forks: Sender<VerifiedForkProof>,
}

impl StreamTask {
    /// Lets the task of a room see how far the feed is, from now on.
    pub(super) fn watch(&mut self, watch: Watch) {
        self.watches.retain(|watch| !watch.forks.is_closed());
        self.watches.push(watch);
        self.show();
    }

    /// Shows how far the feed is to those who watch.
    pub(super) fn show(&self) {
        if self.watches.is_empty() {
            return;
        }
        let length = self.feed.length();
        // What a peer with another history has is of no use.
        let sources = self.peers.values().filter(|joined| !joined.has_other_history);
        let remote = sources.map(Joined::remote_length).max().unwrap_or(0);
        for watch in &self.watches {
            // What was here once was read by then, or is read as missing.
            let rest = BlockRange::new(watch.view.contiguous().min(length), length);
            let contiguous = self.feed.bitfield().first_missing(rest).unwrap_or(length);
            if watch.view.set(length, contiguous, remote) {
                let _ = watch.signal.try_send(());
            }
        }
    }

    /// Shows that blocks from a length on are not here any more.
    pub(super) fn show_dropped(&self, contiguous: u64) {
        for watch in &self.watches {
            watch.view.set(self.feed.length(), contiguous, watch.view.remote());
            let _ = watch.signal.try_send(());
        }
    }

    /// Tells those who watch of a fork of the feed.
    pub(super) fn show_fork(&self, proof: &VerifiedForkProof) {
        for watch in &self.watches {
            if watch.forks.try_send(proof.clone()).is_ok() {
                let _ = watch.signal.try_send(());
            }
        }
    }

    pub(super) async fn read(&mut self, range: BlockRange, reply: Reply<Vec<Bytes>>) {
        let blocks = self.read_blocks(range.start, range.end).await;
        let _ = reply.try_send(Ok(blocks));
    }

    pub(super) async fn roots(&mut self, length: u64, reply: Reply<Option<Roots>>) {
        let roots = self.feed.roots_at(length).await;
        let _ = reply.try_send(roots.map_err(|error| read_failure(&self.identity, &error)));
    }

    /// Shows where a block stands in the first history with it that the writer signed, if all of it is here.
    pub(super) async fn shown(&mut self, index: u64) -> Option<Shown> {
        let (length, signature) = self.feed.signature_for(index).await.ok().flatten()?;
        let mut nodes = Vec::new();
        for place in Inclusion::places(index, length)? {
            let node = self.feed.node(place).await.ok().flatten()?;
            nodes.push((node.hash, node.size));
        }
        Some(Shown { length, signature, nodes })
    }

    pub(super) async fn signed(&mut self, index: u64, reply: Reply<Option<u64>>) {
        let signed = self.feed.signature_for(index).await;
        let signed = signed.map(|signed| signed.map(|(length, _)| length));
        let _ = reply.try_send(signed.map_err(|error| read_failure(&self.identity, &error)));
    }
}
