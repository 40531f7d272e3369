//! Messages of peers that wait until they may be handled.

use std::collections::VecDeque;
use std::time::Instant;

use quorate_proto::quorate1::Message;

use super::bucket::Bucket;
use super::limits::{MAX_QUEUED_BYTES, MAX_QUEUED_BYTES_IN_ALL, MAX_QUEUED_MESSAGES, MESSAGES_PER_SECOND};

/// Messages of one peer.
#[derive(Debug)]
pub(super) struct Inbox {
    waiting: VecDeque<(Message, usize)>,
    bytes: usize,
    bucket: Bucket,
}

impl Inbox {
    pub(super) fn new() -> Self {
        let bucket = Bucket::new(MESSAGES_PER_SECOND, MESSAGES_PER_SECOND);
        Self { waiting: VecDeque::new(), bytes: 0, bucket }
    }

    /// Bytes that wait.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a message in, or drops it when there is no room. `in_all` are the bytes of all inboxes.
    pub(super) fn push(&mut self, message: Message, bytes: usize, in_all: usize) -> bool {
        let has_room = self.waiting.len() < MAX_QUEUED_MESSAGES
            && self.bytes.saturating_add(bytes) <= MAX_QUEUED_BYTES
            && in_all.saturating_add(bytes) <= MAX_QUEUED_BYTES_IN_ALL;
        if has_room {
            self.bytes = self.bytes.saturating_add(bytes);
            self.waiting.push_back((message, bytes));
        }
        has_room
    }

    /// Takes the oldest message out when the peer may have one handled, and all peers together may.
    pub(super) fn pop(&mut self, now: Instant, in_all: &mut Bucket) -> Option<Message> {
        let is_ready = in_all.ready_at(1).is_none_or(|at| at <= now);
        if self.waiting.is_empty() || !is_ready || !self.bucket.take(now, 1) {
            return None;
        }
        in_all.take(now, 1);
        let (message, bytes) = self.waiting.pop_front()?;
        self.bytes = self.bytes.saturating_sub(bytes);
        Some(message)
    }

    /// Returns when the next message may be handled, `None` when none waits.
    ///
    /// Whatever could be handled at once was: both buckets are as they were when it could not.
    pub(super) fn ready_at(&self, in_all: &Bucket) -> Option<Instant> {
        if self.waiting.is_empty() { None } else { self.bucket.ready_at(1).max(in_all.ready_at(1)) }
    }
}
