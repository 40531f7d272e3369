//! Appends by the writer: in groups, durable before anybody hears of them.

use std::time::Duration;

use quorate_replicate::Input;
use quorate_types::BlockRange;

use super::failures::append_failure;
use super::task::{StreamTask, erased};
use super::writer::Writer;
use crate::Failure;
use crate::event::Event;
use crate::model::Appended;

/// Time after which the bitfield claims what was appended. The blocks are durable before that; only other programs,
/// which look at the bitfield alone, do not see them after a crash.
pub(super) const CLAIM_INTERVAL: Duration = Duration::from_millis(50);

impl StreamTask {
    /// Writes all appends that wait, makes them durable at once, then answers and announces.
    pub(super) async fn commit(&mut self) {
        if self.appends.is_empty() {
            return;
        }
        if let Err(failure) = self.begin_writing() {
            for (_, reply) in std::mem::take(&mut self.appends) {
                let _ = reply.try_send(Err(failure.clone()));
            }
            return;
        }
        let before = self.feed.length();
        let mut done = Vec::new();
        for (blocks, reply) in std::mem::take(&mut self.appends) {
            let bytes = blocks.iter().map(|block| block.len() as u64).sum();
            match erased(self.feed.append(&blocks)).await {
                Ok(range) => done.push((range, bytes, reply)),
                Err(error) => {
                    let _ = reply.try_send(Err(append_failure(&self.identity, &error)));
                }
            }
        }
        let committed = self.make_durable().await;
        for (range, bytes, reply) in done {
            let _ = reply.try_send(committed.clone().map(|()| Appended {
                schema: Appended::SCHEMA.into(),
                key: self.identity.key,
                start: range.start,
                length: range.end,
                bytes,
            }));
        }
        self.after_append(before, committed.is_ok());
    }

    /// Announces what was appended since, when it is durable.
    pub(super) fn after_append(&mut self, before: u64, durable: bool) {
        if self.holds_unsaved() {
            self.fall_silent();
        }
        let after = self.feed.length();
        if durable && after > before {
            self.handle(Input::Appended { range: BlockRange::new(before, after) });
            self.emit(Event::Appended { stream: self.identity.name.clone(), start: before, length: after });
        }
    }

    /// Tells whether a crash would lose blocks that were signed here: then no peer may see the head, for another one
    /// would be signed for its length.
    pub(super) fn holds_unsaved(&self) -> bool {
        let is_behind = self.writer.as_ref().is_some_and(Writer::is_behind);
        self.feed.is_writable() && (is_behind || self.feed.durable_length() < self.feed.length())
    }

    /// Lets go of every peer, until what was signed is on disk.
    fn fall_silent(&mut self) {
        for (peer, mut joined) in std::mem::take(&mut self.peers) {
            tracing::warn!(peer = joined.address, "disconnecting: what was appended cannot be written down");
            joined.disconnect();
            self.serving.remove(&peer);
            self.emit(Event::Left { stream: self.identity.name.clone(), peer: joined.address });
            self.handle(Input::PeerClosed { peer });
        }
    }

    /// Makes appended blocks durable; the bitfield follows soon.
    pub(super) async fn make_durable(&mut self) -> Result<(), Failure> {
        self.flush_by(self.runtime.now() + CLAIM_INTERVAL);
        self.commit_feed().await
    }
}
