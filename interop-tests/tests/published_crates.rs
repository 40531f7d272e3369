//! What the published Rust crates do today: the reproductions behind
//! `docs/decisions/0001-own-feed.md`. Each test asserts a failure, so an upstream that repairs one makes
//! it fail, and the decision can be looked at again.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use compact_encoding::CompactEncoding;
use futures::{Sink, Stream};
use futures_lite::future::{block_on, poll_once};
use futures_lite::stream::StreamExt;
use hypercore::{HypercoreBuilder, PartialKeypair, SigningKey, Storage, StorageTraits, Store};
use hypercore_handshake::{CipherEvent, CipherTrait};
use hypercore_protocol::{Message, Protocol};
use random_access_storage::{RandomAccess, RandomAccessError};

/// hypercore 0.16.0 and 0.17.0-alpha.1: the second page of the bitfield does not load.
#[test]
fn hypercore_0_16_panics_on_reopening_40_000_blocks() {
    let panic = panic_of(|| {
        block_on(async {
            let disk = Disk::default();
            let mut core =
                HypercoreBuilder::new(disk.storage().await).key_pair(key_pair()).build().await.unwrap();
            for batch in vec![b"x"; 40_000].chunks(1000) {
                core.append_batch(batch).await.unwrap();
            }
            drop(core);
            HypercoreBuilder::new(disk.storage().await).open(true).build().await.unwrap();
        });
    });
    assert_eq!(panic, "index out of bounds: the len is 1024 but the index is 1024");
}

/// hypercore 0.16.0 and 0.17.0-alpha.1: a header with a version 1 manifest is unknown, and that is a panic.
#[test]
fn hypercore_0_16_panics_on_a_directory_of_hypercore_10_38() {
    let panic = panic_of(|| {
        block_on(async {
            let disk = Disk::default();
            let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hypercore-10.38.2");
            for (file, name) in disk.files.iter().zip(["tree", "data", "bitfield", "oplog"]) {
                *file.bytes.lock().unwrap() = std::fs::read(fixture.join(name)).unwrap();
            }
            HypercoreBuilder::new(disk.storage().await).open(true).build().await.unwrap();
        });
    });
    assert_eq!(panic, "Unknown manifest version 1");
}

/// hypercore 0.16.0: `append` is not cancel-safe. One that is dropped while it writes leaves a gap in the
/// oplog, and what is appended and acknowledged afterwards is gone when the directory is opened again.
/// The writer then signs a second, different root of that length: a fork of its own feed.
#[test]
fn hypercore_0_16_loses_acknowledged_blocks_after_a_dropped_append() {
    block_on(async {
        let disk = Disk::default();
        let mut core =
            HypercoreBuilder::new(disk.storage().await).key_pair(key_pair()).build().await.unwrap();
        core.append(b"zero").await.unwrap();

        disk.writes_left.store(1, Ordering::SeqCst);
        assert!(poll_once(core.append(b"dropped")).await.is_none());
        disk.writes_left.store(usize::MAX, Ordering::SeqCst);

        assert_eq!(core.append(b"acknowledged").await.unwrap().length, 2);
        assert_eq!(core.get(1).await.unwrap().as_deref(), Some(&b"acknowledged"[..]));
        drop(core);

        let mut core = HypercoreBuilder::new(disk.storage().await).open(true).build().await.unwrap();
        assert_eq!(core.info().length, 1);
        assert_eq!(core.get(1).await.unwrap(), None);
        assert_eq!(core.append(b"another block 1").await.unwrap().length, 2);
    });
}

/// hypercore-protocol 0.7.2: the payload of an extension message is read with a length before it, which the
/// JavaScript reference does not write.
#[test]
fn hypercore_protocol_0_7_cannot_read_an_extension_message() {
    // What npm hypercore 10.38.2 writes for `registerExtension('example').send('hello')`, without the channel.
    let message = b"\x09\x07examplehello";
    let error = Message::decode(message).unwrap_err();
    assert_eq!(error.message, "Could not split slice at [104] slice.len() = [4]");
}

/// hypercore-protocol 0.7.2: a table grows to the channel number that the remote names, before anything
/// about the channel is checked.
#[test]
fn hypercore_protocol_0_7_panics_on_a_large_channel_number() {
    let mut open = vec![0x00, 0x01, 0xff];
    open.extend_from_slice(&(1_u64 << 61).to_le_bytes());
    open.extend_from_slice(b"\x0fhypercore/alpha\x20");
    open.extend_from_slice(&[7; 32]);
    open.push(1);
    open.extend_from_slice(&[8; 32]);
    let panic = panic_of(|| {
        block_on(async {
            let mut protocol = Protocol::new(Box::new(Remote { says: Some(open) }));
            while let Some(event) = protocol.next().await {
                event.unwrap();
            }
        });
    });
    assert_eq!(panic, "capacity overflow");
}

fn key_pair() -> PartialKeypair {
    let secret = SigningKey::from_bytes(&[7; 32]);
    PartialKeypair { public: secret.verifying_key(), secret: Some(secret) }
}

/// Runs code that must panic and returns what the panic says.
fn panic_of(code: impl FnOnce()) -> String {
    let panic: Box<dyn Any + Send> =
        catch_unwind(AssertUnwindSafe(code)).expect_err("expected the panic that this test records");
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast::<&str>().map_or_else(|_| String::new(), |text| (*text).to_owned()),
    }
}

/// Four files in memory that outlive the `Hypercore` on them; writes can be made to wait.
#[derive(Debug, Clone)]
struct Disk {
    files: [File; 4],
    writes_left: Arc<AtomicUsize>,
}

impl Default for Disk {
    fn default() -> Self {
        let writes_left = Arc::new(AtomicUsize::new(usize::MAX));
        let file = || File { bytes: Arc::default(), writes_left: Arc::clone(&writes_left) };
        Self { files: [file(), file(), file(), file()], writes_left }
    }
}

impl Disk {
    async fn storage(&self) -> Storage {
        let [tree, data, bitfield, oplog] = self.files.clone();
        let create = move |store: Store| {
            let file = match store {
                Store::Tree => tree.clone(),
                Store::Data => data.clone(),
                Store::Bitfield => bitfield.clone(),
                Store::Oplog => oplog.clone(),
            };
            let opened: Result<Box<dyn StorageTraits + Send>, RandomAccessError> = Ok(Box::new(file));
            Box::pin(async move { opened }) as Pin<Box<dyn Future<Output = _> + Send>>
        };
        Storage::open(create, false).await.unwrap()
    }
}

#[derive(Debug, Clone)]
struct File {
    bytes: Arc<Mutex<Vec<u8>>>,
    writes_left: Arc<AtomicUsize>,
}

impl File {
    async fn may_write(&self) {
        poll_fn(|_| match self.writes_left.load(Ordering::SeqCst) {
            0 => Poll::Pending,
            left => {
                self.writes_left.store(left - 1, Ordering::SeqCst);
                Poll::Ready(())
            }
        })
        .await;
    }
}

#[async_trait::async_trait]
impl RandomAccess for File {
    async fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), RandomAccessError> {
        self.may_write().await;
        let mut bytes = self.bytes.lock().unwrap();
        let (start, end) = (offset as usize, offset as usize + data.len());
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[start..end].copy_from_slice(data);
        Ok(())
    }

    async fn read(&mut self, offset: u64, length: u64) -> Result<Vec<u8>, RandomAccessError> {
        let bytes = self.bytes.lock().unwrap();
        let end = offset + length;
        bytes.get(offset as usize..end as usize).map(<[u8]>::to_vec).ok_or(RandomAccessError::OutOfBounds {
            offset,
            end: Some(end),
            length: bytes.len() as u64,
        })
    }

    async fn del(&mut self, _: u64, _: u64) -> Result<(), RandomAccessError> {
        Ok(())
    }

    async fn truncate(&mut self, length: u64) -> Result<(), RandomAccessError> {
        self.may_write().await;
        self.bytes.lock().unwrap().resize(length as usize, 0);
        Ok(())
    }

    async fn len(&mut self) -> Result<u64, RandomAccessError> {
        Ok(self.bytes.lock().unwrap().len() as u64)
    }

    async fn is_empty(&mut self) -> Result<bool, RandomAccessError> {
        Ok(self.bytes.lock().unwrap().is_empty())
    }

    async fn sync_all(&mut self) -> Result<(), RandomAccessError> {
        Ok(())
    }
}

/// The far end of an encrypted connection after the handshake: says one message, hears everything.
struct Remote {
    says: Option<Vec<u8>>,
}

impl Stream for Remote {
    type Item = CipherEvent;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<CipherEvent>> {
        self.says.take().map_or(Poll::Pending, |message| Poll::Ready(Some(CipherEvent::Message(message))))
    }
}

impl Sink<Vec<u8>> for Remote {
    type Error = std::io::Error;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, _: Vec<u8>) -> Result<(), Self::Error> {
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }
}

impl CipherTrait for Remote {
    fn remote_public_key(&self) -> Option<[u8; 32]> {
        Some([1; 32])
    }

    fn local_public_key(&self) -> [u8; 32] {
        [2; 32]
    }

    fn handshake_hash(&self) -> Option<Vec<u8>> {
        Some(vec![3; 64])
    }

    fn is_initiator(&self) -> bool {
        false
    }
}
