//! Signatures by length: those not written yet, and the file, where most places are blank.

use std::collections::BTreeMap;

use quorate_types::Signature;
use random_access_storage::RandomAccess;

use crate::sleep::{HEADER_BYTES, SIGNATURE_ENTRY_BYTES};
use crate::storage::{Part, StorageError, at, read_up_to};

/// Entries that are read at once when a signature is looked for.
const READ_ENTRIES: u64 = 1024;

/// The file `signatures`. The signature of a length stands at the index of its last block.
#[derive(Debug)]
pub(crate) struct Signatures<S> {
    pub(crate) file: S,
    pending: BTreeMap<u64, Signature>,
}

impl<S: RandomAccess + Send> Signatures<S> {
    pub(crate) fn new(file: S) -> Self {
        Self { file, pending: BTreeMap::new() }
    }

    /// Signatures that wait to be written.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Takes a signature to be written with the next flush.
    pub(crate) fn put(&mut self, length: u64, signature: Signature) {
        if let Some(index) = length.checked_sub(1) {
            self.pending.insert(index, signature);
        }
    }

    /// Returns the signature of exactly this length.
    pub(crate) async fn get(&mut self, length: u64) -> Result<Option<Signature>, StorageError> {
        let Some(index) = length.checked_sub(1) else { return Ok(None) };
        if let Some(signature) = self.pending.get(&index) {
            return Ok(Some(*signature));
        }
        let entry = SIGNATURE_ENTRY_BYTES as u64;
        let bytes = read_up_to(&mut self.file, Part::Signatures, entry_offset(index), entry).await?;
        Ok(decode_entry(&bytes))
    }

    /// Returns the first signature of a length from `from` to `to`, both included, with its length.
    pub(crate) async fn next(
        &mut self,
        from: u64,
        to: u64,
    ) -> Result<Option<(u64, Signature)>, StorageError> {
        let Some(first) = from.max(1).checked_sub(1) else { return Ok(None) };
        let waiting = self.pending.range(first..to).next().map(|(index, signature)| (index + 1, *signature));
        let end = waiting.map_or(to, |(length, _)| length.saturating_sub(1));
        let mut index = first;
        // The first look takes one entry: a feed that signs each block has it there.
        let mut entries = 1;
        while index < end {
            let found = self.read_entries(index, entries.min(end - index)).await?;
            if found.is_empty() {
                break;
            }
            let signed =
                (index..).zip(&found).find_map(|(index, entry)| entry.map(|entry| (index + 1, entry)));
            if signed.is_some() {
                return Ok(signed);
            }
            index = index.saturating_add(found.len() as u64);
            entries = READ_ENTRIES;
        }
        Ok(waiting)
    }

    /// Returns the last signature of a length of at most `length`, with its length.
    pub(crate) async fn last(&mut self, length: u64) -> Result<Option<(u64, Signature)>, StorageError> {
        let waiting =
            self.pending.range(..length).next_back().map(|(index, signature)| (index + 1, *signature));
        let floor = waiting.map_or(0, |(length, _)| length);
        let mut end = length;
        while end > floor {
            let start = end.saturating_sub(READ_ENTRIES).max(floor);
            let found = self.read_entries(start, end - start).await?;
            let signed =
                (start..).zip(&found).filter_map(|(index, entry)| entry.map(|entry| (index + 1, entry)));
            if let Some(signed) = signed.last() {
                return Ok(Some(signed));
            }
            end = start;
        }
        Ok(waiting)
    }

    /// Reads entries of the file as they are; fewer when it ends.
    pub(crate) async fn read_entries(
        &mut self,
        index: u64,
        entries: u64,
    ) -> Result<Vec<Option<Signature>>, StorageError> {
        let bytes = entries.saturating_mul(SIGNATURE_ENTRY_BYTES as u64);
        let bytes = read_up_to(&mut self.file, Part::Signatures, entry_offset(index), bytes).await?;
        Ok(bytes.chunks_exact(SIGNATURE_ENTRY_BYTES).map(decode_entry).collect())
    }

    /// Returns the greatest length that the file has a place for.
    pub(crate) async fn capacity(&mut self) -> Result<u64, StorageError> {
        let bytes = self.file.len().await.map_err(at(Part::Signatures, "measure", 0))?;
        Ok(bytes.saturating_sub(HEADER_BYTES as u64) / SIGNATURE_ENTRY_BYTES as u64)
    }

    /// Writes all signatures that wait, in runs.
    pub(crate) async fn write(&mut self) -> Result<(), StorageError> {
        let waiting: Vec<(u64, Signature)> =
            self.pending.iter().map(|(index, signature)| (*index, *signature)).collect();
        for run in waiting.chunk_by(|(a, _), (b, _)| a.checked_add(1) == Some(*b)) {
            let Some((first, _)) = run.first() else { continue };
            let bytes: Vec<u8> = run.iter().flat_map(|(_, signature)| *signature.as_bytes()).collect();
            let offset = entry_offset(*first);
            self.file.write(offset, &bytes).await.map_err(at(Part::Signatures, "write", offset))?;
        }
        self.pending.clear();
        Ok(())
    }
}

/// Place of a signature in the file, by the index of the last block it covers.
pub(crate) const fn entry_offset(index: u64) -> u64 {
    index.saturating_mul(SIGNATURE_ENTRY_BYTES as u64).saturating_add(HEADER_BYTES as u64)
}

fn decode_entry(entry: &[u8]) -> Option<Signature> {
    Signature::from_slice(entry).filter(|_| entry.iter().any(|byte| *byte != 0))
}
