//! Prints how fast a feed appends and takes verified blocks over memory, on one core.
//!
//! `cargo run --release -p quorate-feed --example feed_speed [blocks] [block bytes]`

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_lite::future::block_on;
use quorate_feed::{Feed, FeedConfig, Keys, RemoteTree, Storage, sign};
use quorate_proto::dat::Request;
use random_access_storage::{RandomAccess, RandomAccessError};

/// A file as a page cache would hold it.
#[derive(Debug, Default)]
struct Memory(Vec<u8>);

#[async_trait::async_trait]
impl RandomAccess for Memory {
    async fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), RandomAccessError> {
        let (start, end) = (offset as usize, offset as usize + data.len());
        if self.0.len() < end {
            self.0.resize(end, 0);
        }
        self.0[start..end].copy_from_slice(data);
        Ok(())
    }

    async fn read(&mut self, offset: u64, length: u64) -> Result<Vec<u8>, RandomAccessError> {
        let end = offset.saturating_add(length);
        let bytes = self.0.get(offset as usize..end as usize);
        bytes.map(<[u8]>::to_vec).ok_or(RandomAccessError::OutOfBounds {
            offset,
            end: Some(end),
            length: self.0.len() as u64,
        })
    }

    async fn del(&mut self, offset: u64, length: u64) -> Result<(), RandomAccessError> {
        let end = (offset + length).min(self.0.len() as u64);
        self.0[offset as usize..end as usize].fill(0);
        Ok(())
    }

    async fn truncate(&mut self, length: u64) -> Result<(), RandomAccessError> {
        self.0.resize(length as usize, 0);
        Ok(())
    }

    async fn len(&mut self) -> Result<u64, RandomAccessError> {
        Ok(self.0.len() as u64)
    }

    async fn is_empty(&mut self) -> Result<bool, RandomAccessError> {
        Ok(self.0.is_empty())
    }

    async fn sync_all(&mut self) -> Result<(), RandomAccessError> {
        Ok(())
    }
}

fn storage() -> Storage<Memory> {
    Storage {
        tree: Memory::default(),
        data: Memory::default(),
        signatures: Memory::default(),
        bitfield: Memory::default(),
    }
}

async fn create(writable: bool) -> Feed<Memory> {
    let (public, secret) = sign::key_pair(&[7; 32]);
    let keys = Keys { public, secret: writable.then_some(secret) };
    Feed::create(keys, storage(), FeedConfig::default()).await.expect("an empty feed in memory")
}

fn print(what: &str, blocks: usize, bytes: usize, elapsed: Duration) {
    let seconds = elapsed.as_secs_f64();
    println!(
        "{what:<40} {:>10.0} blocks/s  {:>8.1} MB/s",
        blocks as f64 / seconds,
        (blocks * bytes) as f64 / seconds / 1e6
    );
}

async fn run(blocks: usize, bytes: usize) {
    let batch: Vec<Bytes> = (0..1000_usize)
        .map(|i| {
            let mut block = vec![(i % 251) as u8; bytes];
            block.iter_mut().zip(i.to_le_bytes()).for_each(|(to, from)| *to = from);
            Bytes::from(block)
        })
        .collect();

    let single = blocks.min(50_000);
    let mut feed = create(true).await;
    let started = Instant::now();
    for i in 0..single {
        feed.append(&batch[i % 1000..=i % 1000]).await.expect("append");
    }
    feed.flush().await.expect("flush");
    print("append, one by one", single, bytes, started.elapsed());

    let mut source = create(true).await;
    let started = Instant::now();
    for first in (0..blocks).step_by(1000) {
        source.append(&batch[..1000.min(blocks - first)]).await.expect("append");
        source.flush().await.expect("flush");
    }
    print("append, batches of 1000, flushed", blocks, bytes, started.elapsed());

    let mut target = create(false).await;
    let mut remote = RemoteTree::new();
    let (mut answering, mut verifying, mut putting) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    // A window of requests is on its way: digests are that much out of date.
    for window in (0..blocks as u64).collect::<Vec<_>>().chunks(256) {
        let requests: Vec<Request> = window
            .iter()
            .map(|index| Request { index: *index, nodes: target.digest(*index), ..Request::default() })
            .collect();
        let started = Instant::now();
        let mut answers = Vec::with_capacity(requests.len());
        for request in &requests {
            answers.push(source.answer(request, &mut remote).await.expect("answer").expect("block"));
        }
        answering += started.elapsed();
        for data in answers {
            let started = Instant::now();
            let block = target.verify(data).await.expect("proof");
            verifying += started.elapsed();
            let started = Instant::now();
            target.put(block).await.expect("put");
            putting += started.elapsed();
        }
        let started = Instant::now();
        target.flush().await.expect("flush");
        putting += started.elapsed();
    }
    print("answer", blocks, bytes, answering);
    print("verify", blocks, bytes, verifying);
    print("put, flushed every 256", blocks, bytes, putting);
    print("verified put", blocks, bytes, verifying + putting);

    let started = Instant::now();
    let report = target.audit(&mut |_, _| ()).await.expect("audit");
    assert!(report.is_clean() && report.blocks == blocks as u64, "{report:?}");
    print("audit", blocks, bytes, started.elapsed());
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let blocks = arguments.next().unwrap_or(100_000);
    let bytes = arguments.next().unwrap_or(1024);
    block_on(run(blocks, bytes));
}
