//! Questions about a stream that change nothing.

use std::path::PathBuf;

use async_channel::Sender;
use bytes::Bytes;
use futures_lite::future;
use quorate_store::{FeedFiles, SecretKeyPolicy, export_held};
use quorate_types::BlockRange;

use super::failures::read_failure;
use super::failures::storage_failure;
use super::peer::Joined;
use super::task::StreamTask;
use crate::content::content_of;
use crate::model::{AuditSummary, BlockInfo, Content, ProofFile, StreamInfo};
use crate::store_failures::directory_failure;
use crate::{Code, Failure, MAX_BLOCKS_DESCRIBED, proof_file};

impl StreamTask {
    pub(super) async fn block(&mut self, index: u64) -> Result<Bytes, Failure> {
        match self.feed.get(index).await {
            Ok(Some(block)) => Ok(block),
            Ok(None) => Err(self.missing(index)),
            Err(error) => Err(read_failure(&self.identity, &error)),
        }
    }

    pub(super) async fn info(&mut self) -> Result<StreamInfo, Failure> {
        let content = match self.feed.get(0).await {
            Ok(Some(block)) => content_of(&block),
            // A damaged first block is the audit's to report.
            Ok(None) | Err(_) => Content::Plain,
        };
        let whole = self.later_size().await;
        let own = self.feed.length();
        let length = whole.as_ref().map_or(own, |whole| whole.length);
        let own_hash = (own > 0).then(|| self.feed.roots().tree_hash(quorate_feed::Flavour::Dat));
        let sources = self.peers.values().filter(|joined| !joined.has_other_history);
        let remote = sources.map(Joined::remote_length).max().unwrap_or(0);
        let identity = &self.identity;
        Ok(StreamInfo {
            schema: StreamInfo::SCHEMA.into(),
            name: identity.name.clone(),
            key: identity.key,
            link: quorate_types::Link::new(identity.key).to_string(),
            discovery_key: identity.discovery_key,
            writable: identity.is_writable(),
            length,
            byte_length: whole.as_ref().map_or(self.feed.byte_length(), |whole| whole.bytes),
            here: match &whole {
                None => self.feed.bitfield().count(BlockRange::new(0, length)),
                Some(whole) => whole.here,
            },
            // What a later feed shows is on disk.
            durable: if whole.is_some() { length } else { self.feed.durable_length() },
            tree_hash: whole.as_ref().map_or(own_hash, |whole| whole.tree_hash),
            encoding: match &content {
                Content::Room { payload_encoding } => *payload_encoding,
                _ => identity.encoding,
            },
            content,
            directory: identity.directory.clone(),
            peers: self.peers.len(),
            other_history: self.peers.values().filter(|joined| joined.has_other_history).count(),
            remote_length: whole.as_ref().map_or(remote, |whole| whole.remote),
            sparse: identity.sparse,
            recovery: identity.recovery.clone(),
            recovering: self.recovering_info(),
            room: self.room_info(),
            unchecked: self.unchecked(),
            damaged: self.identity.lost.clone().or_else(|| self.room_damage().map(str::to_owned)),
            fork: self.fork_sentence(),
            evidence: self.evidence_infos(),
            gate: self.gate_info(),
        })
    }

    pub(super) async fn blocks(&mut self, range: BlockRange) -> Result<Vec<BlockInfo>, Failure> {
        let length = self.room_length();
        let end = range.end.min(length).min(range.start.saturating_add(MAX_BLOCKS_DESCRIBED));
        let mut blocks = Vec::new();
        for index in range.start..end {
            if let Some(block) = self.later_block(index).await {
                blocks.push(block);
                continue;
            }
            let node =
                self.feed.node(2 * index).await.map_err(|error| storage_failure(&self.identity, &error))?;
            let entry = self.entry_info(index).await;
            let muted = [Some(self.identity.key), entry.as_ref().and_then(|entry| entry.author)];
            blocks.push(BlockInfo {
                schema: BlockInfo::SCHEMA.into(),
                index,
                here: self.feed.has(index),
                size: node.map(|node| node.size),
                hash: node.map(|node| node.hash),
                muted: self.muted(muted),
                entry,
            });
        }
        Ok(blocks)
    }

    /// Copies the stream while nothing of it changes.
    pub(super) async fn export(&mut self, to: PathBuf, with_secret_key: bool) -> Result<(), Failure> {
        self.flush().await?;
        let from = FeedFiles::plain(&self.identity.directory);
        let policy = if with_secret_key { SecretKeyPolicy::Take } else { SecretKeyPolicy::Leave };
        let copied = blocking::unblock(move || {
            export_held(&from, &FeedFiles::plain(to), policy, &mut |_, _| {}).map(drop)
        });
        copied.await.map_err(|error| directory_failure(&error))
    }

    pub(super) async fn prove(&mut self, index: u64) -> Result<ProofFile, Failure> {
        if !self.feed.has(index) {
            return Err(self.missing(index));
        }
        match self.feed.proof(index).await {
            Ok(Some(data)) => proof_file::write(&self.identity.key, &data),
            Ok(None) => Err(self.missing(index)),
            Err(error) => Err(read_failure(&self.identity, &error)),
        }
    }

    pub(super) async fn audit(&mut self, progress: &Sender<(u64, u64)>) -> Result<AuditSummary, Failure> {
        let mut told = |done: u64, total: u64| {
            let _ = progress.try_send((done, total));
        };
        let report =
            self.feed.audit(&mut told).await.map_err(|error| read_failure(&self.identity, &error))?;
        // The last figure of the progress is read before the answer.
        future::yield_now().await;
        let own = self.feed.length();
        let mut faults: Vec<String> = report.findings.listed().iter().map(ToString::to_string).collect();
        faults.extend(self.identity.lost.clone());
        if let Some(why) = self.room_damage() {
            faults.push(format!("the records of the room cannot be read: {why}"));
        }
        let room = self.audit_room(&mut faults).await?;
        let (mut blocks, mut bytes) = (report.blocks, report.bytes);
        let (mut parents, mut signatures) = (report.parents, report.signatures);
        let mut missing = own - self.feed.bitfield().count(BlockRange::new(0, own));
        let (mut length, mut feeds) = (own, 1);
        for later in self.audit_later(progress).await? {
            length += later.length;
            feeds += later.feeds;
            blocks += later.blocks;
            bytes += later.bytes;
            parents += later.parents;
            signatures += later.signatures;
            missing += later.missing;
            faults.extend(later.faults);
        }
        Ok(AuditSummary {
            schema: AuditSummary::SCHEMA.into(),
            key: self.identity.key,
            length,
            feeds,
            blocks,
            bytes,
            parents,
            signatures,
            missing,
            faults,
            room,
            unchecked: self.unchecked(),
        })
    }

    pub(super) fn missing(&self, index: u64) -> Failure {
        let (name, length) = (&self.identity.name, self.room_length());
        if index >= length {
            return Failure::new(
                Code::BlockBeyondEnd,
                format!("expected a block of stream {name} below its length {length}, found block {index}"),
            )
            .next(format!("quorate info {name}"));
        }
        Failure::new(
            Code::BlockNotHere,
            format!("expected block {index} of stream {name} here, found it missing"),
        )
        .next(format!("quorate clone dat://{} --peer HOST:PORT", self.identity.key))
    }
}
