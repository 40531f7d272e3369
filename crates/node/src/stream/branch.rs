//! Going over to the other history of a feed that its writer has forked, as the room that it is part of asks for.

use quorate_feed::BranchError;
use quorate_feed::fork::VerifiedForkProof;
use quorate_replicate::{Input, Selection};
use quorate_types::BlockRange;

use super::failures::{read_failure, storage_failure};
use super::task::StreamTask;
use crate::event::Event;
use crate::{Code, Failure};

impl StreamTask {
    /// Goes over to the other history of a fork, of which the first `shared` blocks are known to be the same. Returns the
    /// blocks that are dropped; nothing where this feed holds neither history.
    pub(super) async fn take_branch(
        &mut self,
        fork: &VerifiedForkProof,
        shared: u64,
    ) -> Result<Option<BlockRange>, Failure> {
        let dropped = match self.feed.take_branch(fork, shared).await {
            Ok(dropped) => dropped,
            Err(BranchError::NotHere { .. }) => return Ok(None),
            Err(error) => return Err(self.branch_failure(&error)),
        };
        let stream = self.identity.name.clone();
        let length = self.feed.length();
        tracing::warn!(stream, dropped = dropped.len(), length, "another history of the feed is followed");
        self.show_dropped(dropped.start);
        self.handle(Input::Cleared { range: dropped });
        self.emit(Event::Cleared { stream, start: dropped.start, end: dropped.end });
        // Peers with the history that was left show themselves by these blocks: they contradict what is known of them.
        self.branch = Some(length);
        self.select(Selection::Ranges(vec![BlockRange::new(0, length)]));
        Ok(Some(dropped))
    }

    /// Fetches what comes behind when all blocks up to the length of the history that was taken are here.
    pub(super) fn end_branch(&mut self) {
        let Some(length) = self.branch else { return };
        if self.feed.bitfield().first_missing(BlockRange::new(0, length)).is_none() {
            self.branch = None;
            self.select(Selection::Everything);
        }
    }

    fn branch_failure(&mut self, error: &BranchError) -> Failure {
        let failure = match error {
            BranchError::Storage(error) => storage_failure(&self.identity, error),
            BranchError::Read(error) => read_failure(&self.identity, error),
            BranchError::Writer | BranchError::OtherFeed { .. } | BranchError::NotHere { .. } => {
                return Failure::new(Code::NotWritable, format!("stream {}: {error}", self.identity.name));
            }
        };
        self.storage_failed(failure.message.clone());
        failure
    }
}
