//! Durability: what a bit claims is on disk before the bit is.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use quorate_types::BlockRange;
use random_access_storage::{RandomAccess, RandomAccessError};

use super::Feed;
use crate::storage::{Part, StorageError, at};

/// Signatures that may wait for a flush before they are handed to the storage.
const PENDING_SIGNATURES: usize = 4096;

impl<S: RandomAccess + Send> Feed<S> {
    /// Makes everything so far durable and claimed: after a [`commit`](Self::commit), the bitfield that claims it
    /// is written and synced.
    ///
    /// # Errors
    ///
    /// As for [`commit`](Self::commit).
    pub async fn flush(&mut self) -> Result<(), StorageError> {
        self.commit().await?;
        self.flush_bitfield().await?;
        (self.claimed, self.unclaimed) = (self.length(), None);
        Ok(())
    }

    /// Makes the blocks that came durable with as few syncs as opening allows: without the bitfield where they lie together
    /// behind what it claims on the disk, else as [`flush`](Self::flush) does.
    ///
    /// # Errors
    ///
    /// As for [`commit`](Self::commit).
    pub async fn flush_arrived(&mut self) -> Result<(), StorageError> {
        let behind = BlockRange::new(self.claimed, self.length());
        let lie_together = self.unclaimed.is_some_and(|lowest| lowest >= self.claimed)
            && self.bitfield.first_missing(behind).is_none();
        if lie_together { self.commit().await } else { self.flush().await }
    }

    /// Makes the blocks of a writer durable: data, tree and signatures are written and synced.
    ///
    /// Opening after a crash finds them without the bitfield that claims them. Other programs do not, so a
    /// [`flush`](Self::flush) should follow soon; and a replica finds again only blocks that lie together at its end.
    ///
    /// # Errors
    ///
    /// After a failed write it can be tried again. After a failed sync it is not known what is durable: the
    /// feed refuses all further writes with [`StorageError::Poisoned`] until it is opened anew.
    pub async fn commit(&mut self) -> Result<(), StorageError> {
        self.check_poison()?;
        self.write_tree().await?;
        if self.unsynced {
            let files = [
                (Part::Data, self.data.sync_all()),
                (Part::Tree, self.nodes.file.sync_all()),
                (Part::Signatures, self.signatures.file.sync_all()),
            ];
            sync_together(files).await.inspect_err(|_| self.poisoned = true)?;
            self.unsynced = false;
        }
        self.durable_length = self.roots.length();
        Ok(())
    }

    /// Hands all nodes and signatures to the storage, without a sync.
    pub(super) async fn write_tree(&mut self) -> Result<(), StorageError> {
        if self.nodes.pending() > 0 || self.signatures.pending() > 0 {
            self.unsynced = true;
        }
        self.nodes.write().await?;
        self.signatures.write().await
    }

    /// Hands nodes and signatures to the storage when many wait.
    pub(super) async fn write_tree_if_large(&mut self) -> Result<(), StorageError> {
        if self.nodes.pending() > self.config.pending_nodes || self.signatures.pending() > PENDING_SIGNATURES
        {
            self.write_tree().await?;
        }
        Ok(())
    }

    pub(super) async fn flush_bitfield(&mut self) -> Result<(), StorageError> {
        let pages = self.bitfield.take_dirty();
        if pages.is_empty() {
            return Ok(());
        }
        for (position, page) in pages.iter().enumerate() {
            let written = self.bitfield_file.write(page.offset, &page.bytes).await;
            if let Err(error) = written {
                for page in pages.iter().skip(position) {
                    self.bitfield.mark_dirty(page.number);
                }
                // Pages that were written are not synced; the next flush has to do that too.
                for page in pages.iter().take(position) {
                    self.bitfield.mark_dirty(page.number);
                }
                return Err(at(Part::Bitfield, "write", page.offset)(error));
            }
        }
        self.bitfield_file.sync_all().await.map_err(at(Part::Bitfield, "sync", 0)).inspect_err(|_| {
            self.poisoned = true;
        })
    }
}

type Sync<'a> = Pin<Box<dyn Future<Output = Result<(), RandomAccessError>> + Send + 'a>>;

/// Waits for several syncs at once: file systems commit them together.
async fn sync_together<const N: usize>(files: [(Part, Sync<'_>); N]) -> Result<(), StorageError> {
    let mut waiting = files.map(|(part, sync)| (part, Some(sync)));
    let mut failed = None;
    poll_fn(|context| {
        let mut ready = true;
        for (part, slot) in &mut waiting {
            let Some(sync) = slot else { continue };
            match sync.as_mut().poll(context) {
                Poll::Pending => ready = false,
                Poll::Ready(result) => {
                    *slot = None;
                    if let Err(error) = result {
                        failed.get_or_insert(at(*part, "sync", 0)(error));
                    }
                }
            }
        }
        if ready { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    failed.map_or(Ok(()), Err)
}
