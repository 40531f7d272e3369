//! What peers ask for: answered as long as their connections have room.

use std::collections::VecDeque;

use quorate_feed::RemoteTree;
use quorate_proto::dat::{FeedMessage, Unhave};
use quorate_replicate::Peer;

use super::failures::read_failure;
use super::peer::Joined;
use super::task::{StreamTask, erased};

/// Answers produced before the inbox is looked at again.
const ANSWERS_AT_ONCE: usize = 512;

impl StreamTask {
    /// Answers requests of peers whose connections have room, a stretch each in turn.
    pub(super) async fn serve(&mut self) {
        let mut turns: VecDeque<Peer> = self.serving.iter().copied().collect();
        let share = ANSWERS_AT_ONCE / turns.len().max(1);
        while let Some(peer) = turns.pop_front() {
            for _ in 0..share.max(1) {
                if !self.peers.get(&peer).is_some_and(Joined::has_room) {
                    break;
                }
                let Some(request) = self.replicator.next_request(peer) else {
                    self.serving.remove(&peer);
                    break;
                };
                let shown = self.replicator.shown_to(peer);
                let mut remote = RemoteTree::new();
                let answer = self.feed.answer_within(&request, &mut remote, shown);
                let message = match erased(answer).await {
                    Ok(Some(data)) => {
                        if let Some(value) = &data.value {
                            self.progress.uploaded(self.runtime.now(), value.len());
                        }
                        FeedMessage::Data(data)
                    }
                    Ok(None) => FeedMessage::Unhave(Unhave { start: request.index, length: 1 }),
                    Err(error) => {
                        self.storage_failed(read_failure(&self.identity, &error).message);
                        FeedMessage::Unhave(Unhave { start: request.index, length: 1 })
                    }
                };
                if let Some(joined) = self.peers.get_mut(&peer) {
                    joined.push(message);
                }
            }
        }
    }
}
