//! The log of a room: the blocks of its feeds that count, one feed after the other.
//!
//! The room is known by its first feed, which is the stream's own. A later feed has a task of its own and is asked for
//! what is needed. Heights are those of the room: F_0[0..base_0), then F_1[1..base_1), and so on.

use std::sync::Arc;

use async_channel::Sender;
use bytes::Bytes;
use quorate_feed::{Flavour, Roots};
use quorate_quorum::head::Head;
use quorate_stream::room::RoomPart;
use quorate_types::{BlockRange, Hash, PublicKey};

use super::super::command::Reply;
use super::super::handle::Stream;
use super::super::task::{StreamTask, erased};
use super::super::watch::FeedView;
use super::RoomState;
use crate::model::{AuditSummary, BlockInfo, ProofFile, RoomFeedInfo};
use crate::{Code, Failure};

/// Which blocks make the room.
#[derive(Debug, Clone)]
pub(super) struct Log {
    /// The first feed.
    first: Part,
    later: Vec<Part>,
}

/// A feed of a room, as far as it counts.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// Epoch that the feed began with.
    pub(super) epoch: u64,
    pub(super) key: PublicKey,
    /// Where it is; `None` for the stream's own feed.
    pub(super) feed: Option<OtherFeed>,
    /// How its blocks are checked; `None` in a room without validators.
    pub(super) checked_as: Option<RoomPart>,
    /// Peaks of the feed where the room enters it: of nothing, or of its header.
    pub(super) entry: Roots,
    /// First block of the room that stands in it.
    pub(super) start: u64,
    /// First block of the room that stands in the feed after it, and where this feed stands there.
    pub(super) end: Option<(u64, Head)>,
}

/// A later feed of the room, which is open.
#[derive(Debug, Clone)]
pub(super) struct OtherFeed {
    pub(super) stream: Stream,
    pub(super) view: Arc<FeedView>,
}

impl Part {
    /// By how much the room is longer than the feed.
    pub(super) fn offset(&self) -> u64 {
        self.checked_as.as_ref().map_or(0, RoomPart::offset)
    }

    pub(super) fn end(&self) -> u64 {
        self.end.map_or(u64::MAX, |(end, _)| end)
    }
}

impl Log {
    /// The log of a room whose first feed is all there is.
    pub(super) const fn of(first: Part) -> Self {
        Self { first, later: Vec::new() }
    }

    /// The log of a room with these feeds after the first.
    pub(super) const fn with(first: Part, later: Vec<Part>) -> Self {
        Self { first, later }
    }

    pub(super) const fn first(&self) -> &Part {
        &self.first
    }

    pub(super) fn parts(&self) -> impl DoubleEndedIterator<Item = &Part> {
        std::iter::once(&self.first).chain(&self.later)
    }

    /// Feed at a place, from 0.
    pub(super) fn part(&self, place: usize) -> &Part {
        place.checked_sub(1).and_then(|place| self.later.get(place)).unwrap_or(&self.first)
    }

    /// Place of the last feed.
    pub(super) const fn last_place(&self) -> usize {
        self.later.len()
    }

    /// Tells whether the room goes on in another feed than the first.
    pub(super) fn has_later_feeds(&self) -> bool {
        self.later.iter().any(|part| part.feed.is_some())
    }

    pub(super) fn last(&self) -> &Part {
        self.later.last().unwrap_or(&self.first)
    }

    /// Feed in which a block stands, or will stand.
    pub(super) fn at(&self, height: u64) -> &Part {
        self.parts().rev().find(|part| part.start <= height && height < part.end()).unwrap_or(&self.first)
    }

    /// Place of the feed whose blocks come before a length, if any do.
    pub(super) fn place_before(&self, length: u64) -> usize {
        self.parts().position(|part| length <= part.end()).unwrap_or(self.last_place())
    }

    /// Feed of a key in which a height of the room lies where it has `length` blocks, and that height.
    pub(super) fn place_of(&self, key: &PublicKey, length: u64) -> Option<(&Part, u64)> {
        let of_key = self.parts().filter(|part| part.key == *key);
        of_key
            .map(|part| (part, part.offset().saturating_add(length)))
            .find(|(part, height)| (part.start..part.end()).contains(height))
    }

    /// Height of the room where the feed of an epoch has a length.
    pub(super) fn height(&self, epoch: u64, feed: &PublicKey, length: u64) -> Option<u64> {
        let part = self.parts().find(|part| part.epoch == epoch && part.key == *feed)?;
        Some(part.offset().saturating_add(length).min(part.end()))
    }

    /// Says which feeds make the room, where there are several.
    pub(super) fn infos(&self) -> Vec<RoomFeedInfo> {
        let info = |part: &Part| RoomFeedInfo {
            epoch: part.epoch,
            key: part.key,
            start: part.start,
            end: part.end.map(|(end, _)| end),
        };
        if self.later.is_empty() { Vec::new() } else { self.parts().map(info).collect() }
    }

    /// Length up to which two logs are the same, and the place of the feed in which they part.
    pub(super) fn common(&self, other: &Self) -> (u64, usize) {
        let mut common = (0, 0);
        for (place, (one, two)) in self.parts().zip(other.parts()).enumerate() {
            if one.key != two.key || one.start != two.start {
                break;
            }
            common = (one.end().min(two.end()), place);
            if one.end != two.end {
                break;
            }
        }
        common
    }
}

impl StreamTask {
    /// Length that the hosts have signed.
    pub(super) fn log_length(&self, log: &Log) -> u64 {
        let last = log.last();
        match &last.feed {
            None => self.feed.length(),
            Some(other) => last.offset().saturating_add(other.view.length()).max(last.start),
        }
    }

    /// Length that a peer announces.
    pub(super) fn log_remote(&self, log: &Log) -> u64 {
        let last = log.last();
        match &last.feed {
            None => self.peers.values().map(super::super::peer::Joined::remote_length).max().unwrap_or(0),
            Some(other) => last.offset().saturating_add(other.view.remote()),
        }
    }

    /// Length up to which all blocks from a start on are here, in the feed in which the first of them stands.
    pub(super) fn log_ready(&self, log: &Log, start: u64) -> u64 {
        let part = log.at(start);
        match &part.feed {
            None => {
                let end = self.feed.length().min(part.end()).max(start);
                self.feed.bitfield().first_missing(BlockRange::new(start, end)).unwrap_or(end)
            }
            Some(other) => part.offset().saturating_add(other.view.contiguous()).min(part.end()).max(start),
        }
    }

    pub(super) fn log_has(&self, log: &Log, height: u64) -> bool {
        let part = log.at(height);
        match &part.feed {
            None => self.feed.has(height),
            Some(other) => height < part.offset().saturating_add(other.view.contiguous()),
        }
    }

    /// Reads blocks of one feed, up to `end`, or up to the first that is not here, but no more than one job checks.
    pub(super) async fn log_read(&mut self, log: &Log, start: u64, end: u64) -> Vec<Bytes> {
        let part = log.at(start);
        let (end, offset) = (end.min(part.end()), part.offset());
        self.part_blocks(part, start.saturating_sub(offset), end.saturating_sub(offset)).await
    }

    /// Reads blocks of a feed, by their positions in it.
    pub(super) async fn part_blocks(&mut self, part: &Part, start: u64, end: u64) -> Vec<Bytes> {
        match &part.feed {
            None => self.read_blocks(start, end).await,
            Some(other) => other.stream.read(BlockRange::new(start, end)).await.unwrap_or_default(),
        }
    }

    pub(super) async fn log_get(&mut self, log: &Log, height: u64) -> Option<Bytes> {
        self.log_read(log, height, height.saturating_add(1)).await.into_iter().next()
    }

    /// Returns the peaks of the feed that the room is in at a length.
    pub(super) async fn log_roots(&mut self, log: &Log, length: u64) -> Option<Roots> {
        let part = log.part(log.place_before(length));
        match &part.feed {
            None => self.feed.roots_at(length).await.ok().flatten(),
            Some(other) => other.stream.roots(length.checked_sub(part.offset())?).await.ok().flatten(),
        }
    }

    pub(super) async fn log_tree_hash(&mut self, log: &Log, length: u64) -> Option<Hash> {
        self.log_roots(log, length).await.map(|roots| roots.tree_hash(Flavour::Dat))
    }

    /// Returns the first length of a feed that its host signed and that covers a block of it.
    pub(super) async fn signed_from(&mut self, part: &Part, index: u64) -> Option<u64> {
        match &part.feed {
            None => self.feed.signature_for(index).await.ok().flatten().map(|(length, _)| length),
            Some(other) => other.stream.signed(index).await.ok().flatten(),
        }
    }

    /// Appends blocks to the feed that the room ends with; they are durable then.
    pub(super) async fn log_extend(&mut self, log: &Log, blocks: Vec<Bytes>) -> Result<(), String> {
        match &log.last().feed {
            Some(other) => other.stream.extend(blocks).await.map(|_| ()).map_err(|failure| failure.message),
            None => {
                let before = self.feed.length();
                let mut appended = match self.begin_writing() {
                    Ok(()) => {
                        erased(self.feed.append(&blocks)).await.map(drop).map_err(|error| error.to_string())
                    }
                    Err(failure) => Err(failure.message),
                };
                if appended.is_ok() {
                    appended = self.make_durable().await.map_err(|failure| failure.message);
                }
                self.after_append(before, appended.is_ok());
                appended
            }
        }
    }

    /// Length of the room, or of a feed that is none.
    pub(in crate::stream) fn room_length(&self) -> u64 {
        match &self.rooms {
            RoomState::Open(keeper) => self.log_length(&keeper.log),
            _ => self.feed.length(),
        }
    }

    /// Finds the later feed of a room in which a block stands, and the block's index there.
    fn elsewhere(&self, height: u64) -> Option<(OtherFeed, u64)> {
        let RoomState::Open(keeper) = &self.rooms else { return None };
        let part = keeper.log.at(height);
        Some((part.feed.clone()?, height.checked_sub(part.offset())?))
    }

    pub(in crate::stream) async fn get_height(&mut self, height: u64, reply: Reply<Bytes>) {
        let found = match self.elsewhere(height) {
            None => self.block(height).await,
            Some((other, index)) => match other.stream.get(index).await {
                Err(failure) if matches!(failure.code, Code::BlockBeyondEnd | Code::BlockNotHere) => {
                    Err(self.missing(height))
                }
                found => found,
            },
        };
        let _ = reply.try_send(found);
    }

    /// Reads a block, from peers if need be. The task does not wait for it.
    pub(in crate::stream) async fn fetch_height(&mut self, height: u64, reply: Reply<Bytes>) {
        match self.elsewhere(height) {
            None => self.fetch(height, reply).await,
            Some((other, index)) => {
                self.runtime.spawn(Box::pin(async move {
                    let _ = reply.try_send(other.stream.fetch(index).await);
                }));
            }
        }
    }

    pub(in crate::stream) async fn prove_height(&mut self, height: u64, reply: Reply<ProofFile>) {
        let proof = match self.elsewhere(height) {
            None => self.prove(height).await,
            Some((other, index)) => other.stream.prove(index).await,
        };
        let _ = reply.try_send(proof);
    }

    /// Deletes blocks here; returns how many.
    pub(in crate::stream) async fn clear_heights(&mut self, range: BlockRange) -> Result<u64, Failure> {
        let log = match &self.rooms {
            RoomState::Open(keeper) if keeper.log.has_later_feeds() => keeper.log.clone(),
            _ => return self.clear(range).await,
        };
        let mut cleared = 0;
        for part in log.parts() {
            let (start, end) = (range.start.max(part.start), range.end.min(part.end()));
            if start >= end {
                continue;
            }
            let range = BlockRange::new(start - part.offset(), end - part.offset());
            cleared += match &part.feed {
                None => self.clear(range).await?,
                Some(other) => other.stream.clear(range).await?,
            };
        }
        Ok(cleared)
    }

    /// Describes a block of a later feed of the room; `None` for a block of the stream's own feed.
    pub(in crate::stream) async fn later_block(&mut self, height: u64) -> Option<BlockInfo> {
        let (other, index) = self.elsewhere(height)?;
        let range = BlockRange::new(index, index.saturating_add(1));
        let found = other.stream.blocks(range).await.ok()?.into_iter().next()?;
        let entry = self.entry_info(height).await;
        let author = entry.as_ref().and_then(|entry| entry.author);
        let muted = found.muted.or_else(|| self.muted([author]));
        Some(BlockInfo { index: height, entry, muted, ..found })
    }

    /// Returns the length of the room, its bytes, and the blocks of it that are here; `None` where the stream's own feed
    /// is all there is.
    pub(in crate::stream) async fn later_size(&mut self) -> Option<RoomSize> {
        let log = match &self.rooms {
            RoomState::Open(keeper) if keeper.log.has_later_feeds() => keeper.log.clone(),
            _ => return None,
        };
        let length = self.log_length(&log);
        let (mut bytes, mut here) = (0, 0);
        for part in log.parts() {
            let end = length.min(part.end());
            let roots = self.log_roots_in(part, end - part.offset()).await;
            bytes += roots.map_or(0, |roots| roots.byte_length() - part.entry.byte_length());
            here += match &part.feed {
                None => self.feed.bitfield().count(BlockRange::new(part.start, end)),
                Some(_) => self.log_ready(&log, part.start).min(end) - part.start,
            };
        }
        let tree_hash = self.log_tree_hash(&log, length).await;
        Some(RoomSize { length, bytes, here, tree_hash, remote: self.log_remote(&log) })
    }

    /// Checks the later feeds of a room again.
    pub(in crate::stream) async fn audit_later(
        &mut self,
        progress: &Sender<(u64, u64)>,
    ) -> Result<Vec<AuditSummary>, Failure> {
        let RoomState::Open(keeper) = &self.rooms else { return Ok(Vec::new()) };
        // A feed that goes on in another epoch is one.
        let mut others: Vec<OtherFeed> = keeper.log.parts().filter_map(|part| part.feed.clone()).collect();
        others.dedup_by_key(|other| *other.stream.key());
        let mut found = Vec::new();
        for other in others {
            found.push(other.stream.audit(progress.clone()).await?);
        }
        Ok(found)
    }

    pub(super) async fn log_roots_in(&mut self, part: &Part, length: u64) -> Option<Roots> {
        match &part.feed {
            None => self.feed.roots_at(length).await.ok().flatten(),
            Some(other) => other.stream.roots(length).await.ok().flatten(),
        }
    }
}

/// How large a room of several feeds is.
pub(in crate::stream) struct RoomSize {
    pub(in crate::stream) length: u64,
    pub(in crate::stream) bytes: u64,
    pub(in crate::stream) here: u64,
    pub(in crate::stream) tree_hash: Option<Hash>,
    pub(in crate::stream) remote: u64,
}
