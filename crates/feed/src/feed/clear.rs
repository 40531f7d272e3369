//! Deleting blocks while keeping their hashes.

use quorate_types::BlockRange;
use random_access_storage::RandomAccess;

use super::{ClearError, Feed};
use crate::storage::{Part, StorageError, at};

impl<S: RandomAccess + Send> Feed<S> {
    /// Deletes the blocks of a range that are here, and returns how many there were. Their hashes stay, so
    /// that they can be fetched again.
    ///
    /// A block without bytes, or of zeros alone, may be found here again when a writer opens the feed: it is
    /// what the deleted bytes read as.
    ///
    /// First the bitfield stops claiming them, durably, and only then their bytes are deleted: a crash
    /// between leaves bytes that nobody claims.
    ///
    /// # Errors
    ///
    /// [`ClearError`] when the storage fails; blocks may then be cleared in part.
    pub async fn clear(&mut self, range: BlockRange) -> Result<u64, ClearError> {
        self.check_poison()?;
        let range = BlockRange::new(range.start, range.end.min(self.length()));
        let runs: Vec<BlockRange> = self.bitfield.runs(range).collect();
        let mut deleted = Vec::with_capacity(runs.len());
        for run in &runs {
            let start = self.byte_offset_of(run.start).await?;
            let last = run.end.saturating_sub(1);
            let size = self.node(last.saturating_mul(2)).await?.map_or(0, |node| node.size);
            let end = self.byte_offset_of(last).await?.saturating_add(size);
            deleted.push((start, end));
        }
        let mut cleared = 0_u64;
        for run in &runs {
            for index in run.start..run.end {
                self.bitfield.set(index, false);
            }
            cleared = cleared.saturating_add(run.len());
        }
        if cleared == 0 {
            return Ok(0);
        }
        self.flush().await?;
        for (start, end) in deleted {
            let len = self.data.len().await.map_err(at(Part::Data, "measure", start))?;
            let end = end.min(len);
            if start < end {
                self.unsynced = true;
                self.data.del(start, end - start).await.map_err(at(Part::Data, "delete", start))?;
            }
        }
        Ok(cleared)
    }

    async fn byte_offset_of(&mut self, index: u64) -> Result<u64, StorageError> {
        let offset = self.byte_offset(index).await?;
        offset.ok_or(StorageError::Node { index: index.saturating_mul(2) })
    }
}
