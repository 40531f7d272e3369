//! Blocks of a stream one after another, many read at a time.

use std::collections::VecDeque;

use bytes::Bytes;
use quorate_types::{BlockRange, Hash};

use crate::stream::Stream;
use crate::{Client, Failure, MAX_BLOCKS_DESCRIBED};

/// Reads blocks of a stream, in ascending order for the most part: what comes next is read along.
///
/// What waits is as many blocks and bytes as a stream's task reads in one go.
#[derive(Debug)]
pub struct BlockReader {
    source: Source,
    ahead: VecDeque<ReadBlock>,
}

/// A block with what the signed tree says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadBlock {
    /// Its index.
    pub index: u64,
    /// Its bytes, as they lie on the disk.
    pub bytes: Bytes,
    /// The leaf that the signed tree holds for it, where that is known.
    pub leaf: Option<Hash>,
}

#[derive(Debug)]
enum Source {
    Local(Stream),
    /// A node that runs is asked for one block after the other.
    Remote {
        client: Client,
        stream: String,
    },
}

impl BlockReader {
    /// Begins to read a stream of the home.
    ///
    /// # Errors
    ///
    /// Those of [`Node::open_stream`](crate::Node::open_stream), where the files are opened here.
    pub async fn new(client: &Client, stream: &str) -> Result<Self, Failure> {
        let source = match client {
            Client::Local(node) => Source::Local(node.open_stream(stream).await?),
            Client::Remote(_) => Source::Remote { client: client.clone(), stream: stream.to_owned() },
        };
        Ok(Self { source, ahead: VecDeque::new() })
    }

    /// The stream, where its files are opened here.
    pub const fn stream(&self) -> Option<&Stream> {
        match &self.source {
            Source::Local(stream) => Some(stream),
            Source::Remote { .. } => None,
        }
    }

    /// Reads a block that is here.
    ///
    /// # Errors
    ///
    /// Those of [`Client::get`] and [`Client::blocks`].
    pub async fn get(&mut self, index: u64) -> Result<ReadBlock, Failure> {
        while self.ahead.front().is_some_and(|block| block.index < index) {
            self.ahead.pop_front();
        }
        if self.ahead.front().is_none_or(|block| block.index != index) {
            self.ahead.clear();
            self.read_ahead(index).await?;
        }
        match self.ahead.pop_front() {
            Some(block) => Ok(block),
            None => self.read_one(index).await,
        }
    }

    /// Reads the block and those behind it, up to the first that is not here.
    async fn read_ahead(&mut self, index: u64) -> Result<(), Failure> {
        let Source::Local(stream) = &self.source else { return Ok(()) };
        let range = BlockRange::new(index, index.saturating_add(MAX_BLOCKS_DESCRIBED));
        let blocks = stream.read(range).await?;
        if blocks.is_empty() {
            return Ok(());
        }
        let read = BlockRange::new(index, index.saturating_add(blocks.len() as u64));
        let described = stream.blocks(read).await?;
        let described = described.into_iter().map(Some).chain(std::iter::repeat(None));
        self.ahead.extend((index..).zip(blocks).zip(described).map(|((index, bytes), described)| {
            ReadBlock { index, bytes, leaf: described.and_then(|block| block.hash) }
        }));
        Ok(())
    }

    async fn read_one(&self, index: u64) -> Result<ReadBlock, Failure> {
        let range = BlockRange::new(index, index.saturating_add(1));
        let (bytes, described) = match &self.source {
            Source::Local(stream) => (stream.get(index).await?, stream.blocks(range).await?),
            Source::Remote { client, stream } => {
                (client.get(stream, index).await?, client.blocks(stream, range).await?)
            }
        };
        Ok(ReadBlock { index, bytes, leaf: described.first().and_then(|block| block.hash) })
    }
}
