//! The bitfield: which blocks are here and which tree nodes are known, in the pages of the file
//! `bitfield` (hypercore 9 `lib/bitfield.js`, `lib/tree-index.js`; memory-pager, sparse-bitfield).

mod index;
mod page;
mod pages;
mod tree;

use std::collections::BTreeSet;
use std::fmt;

use quorate_types::BlockRange;
use quorate_types::limits::MAX_BITFIELD_BYTES;

use self::page::Page;
use self::pages::Pages;
use crate::rle;
use crate::sleep::{self, PAGE_BLOCKS, PAGE_BYTES, PAGE_DATA_BYTES, PAGE_INDEX_BYTES, PAGE_TREE_BYTES};

/// Blocks and nodes that are here, with the pages that have changed since they were last taken.
///
/// Bits are read and set in constant time; nothing is allocated for pages that were never set.
#[derive(Clone)]
pub struct Bitfield {
    pages: Pages,
    index_bytes: usize,
    dirty: BTreeSet<u64>,
}

/// A page that has changed, as it is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirtyPage {
    /// Number of the page, from 0.
    pub number: u64,
    /// Offset in the file, with the header before the first page.
    pub offset: u64,
    /// The whole page.
    pub bytes: Vec<u8>,
}

/// A page size that no bitfield has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected bitfield pages of {PAGE_BYTES} bytes, or of 3072 and a power of two, found {found}")]
pub struct PageSizeError {
    /// Bytes of a page.
    pub found: usize,
}

impl Bitfield {
    /// Makes a bitfield in which nothing is here, with pages of 3584 bytes.
    pub fn new() -> Self {
        Self { pages: Pages::default(), index_bytes: PAGE_INDEX_BYTES, dirty: BTreeSet::new() }
    }

    /// Makes an empty bitfield with pages of another size, as an old header names it.
    ///
    /// # Errors
    ///
    /// [`PageSizeError`] when the index part of a page would not be a power of two.
    pub fn with_page_bytes(page_bytes: usize) -> Result<Self, PageSizeError> {
        if !sleep::is_page_size(page_bytes) {
            return Err(PageSizeError { found: page_bytes });
        }
        let index_bytes = page_bytes - PAGE_DATA_BYTES - PAGE_TREE_BYTES;
        Ok(Self { index_bytes, ..Self::new() })
    }

    /// Reads all pages of a file, as they follow its header; the last one may be cut short.
    ///
    /// # Errors
    ///
    /// [`PageSizeError`] when the index part of a page would not be a power of two.
    pub fn from_bytes(page_bytes: usize, bytes: &[u8]) -> Result<Self, PageSizeError> {
        let mut bitfield = Self::with_page_bytes(page_bytes)?;
        for (number, page) in (0..).zip(bytes.chunks(page_bytes)) {
            bitfield.load_page(number, page);
        }
        Ok(bitfield)
    }

    /// Replaces one page by what a file has, for reading a file piece by piece; the page is not
    /// dirty afterwards.
    pub fn load_page(&mut self, number: u64, bytes: &[u8]) {
        self.dirty.remove(&number);
        if bytes.iter().any(|byte| *byte != 0) || self.pages.get(number).is_some() {
            *self.pages.make(number, self.index_bytes) = Page::read(self.index_bytes, bytes);
        } else {
            self.pages.extend_to(number.saturating_add(1));
        }
    }

    /// Returns the bytes of a page.
    pub fn page_bytes(&self) -> usize {
        PAGE_DATA_BYTES + PAGE_TREE_BYTES + self.index_bytes
    }

    /// Returns one more than the number of the last page that was set or read.
    pub fn page_count(&self) -> u64 {
        self.pages.count()
    }

    /// Tells whether a block is here.
    pub fn has(&self, block: u64) -> bool {
        self.pages.get(block / PAGE_BLOCKS).is_some_and(|page| page.data((block % PAGE_BLOCKS) as usize))
    }

    /// Says whether a block is here, and tells whether that is a change.
    pub fn set(&mut self, block: u64, value: bool) -> bool {
        let number = block / PAGE_BLOCKS;
        let page = self.pages.make(number, self.index_bytes);
        let (before, after) = page.set_data((block % PAGE_BLOCKS) as usize, value);
        if before == after {
            return false;
        }
        self.mark_dirty(number);
        self.update_index(block / 8, after);
        true
    }

    /// Forgets all blocks from `length` on, and every tree node that tells of one of them.
    pub fn truncate(&mut self, length: u64) {
        let mut from = length;
        while let Some(block) = self.first_present(BlockRange::new(from, u64::MAX)) {
            self.set(block, false);
            from = block.saturating_add(1);
        }
        self.truncate_tree(length);
    }

    /// Counts the blocks of a range that are here.
    pub fn count(&self, range: BlockRange) -> u64 {
        let mut total = 0;
        let mut position = range.start;
        while position < range.end {
            let number = position / PAGE_BLOCKS;
            let Some(page) = self.pages.get(number) else {
                match self.pages.next(number) {
                    Some(next) => position = next.saturating_mul(PAGE_BLOCKS),
                    None => break,
                }
                continue;
            };
            let word = page.data_word((position % PAGE_BLOCKS / 64) as usize);
            let skip = position % 64;
            let bits = (64 - skip).min(range.end - position);
            total += u64::from((word << skip >> (64 - bits)).count_ones());
            position = match position.checked_add(bits) {
                Some(next) => next,
                None => break,
            };
        }
        total
    }

    /// Returns the first block of a range that is not here.
    pub fn first_missing(&self, range: BlockRange) -> Option<u64> {
        self.first(range, false)
    }

    /// Returns the first block of a range that is here.
    pub fn first_present(&self, range: BlockRange) -> Option<u64> {
        self.first(range, true)
    }

    fn first(&self, range: BlockRange, value: bool) -> Option<u64> {
        let mut position = range.start;
        while position < range.end {
            let number = position / PAGE_BLOCKS;
            let Some(page) = self.pages.get(number) else {
                if !value {
                    return Some(position);
                }
                position = self.pages.next(number)?.saturating_mul(PAGE_BLOCKS);
                continue;
            };
            let word = page.data_word((position % PAGE_BLOCKS / 64) as usize);
            let word = if value { word } else { !word };
            let skip = position % 64;
            let found = word & (u64::MAX >> skip);
            if found != 0 {
                let block = position - skip + u64::from(found.leading_zeros());
                return Some(block).filter(|block| *block < range.end);
            }
            position = (position - skip).checked_add(64)?;
        }
        None
    }

    /// Lists the longest runs of blocks that are here, within a range, from left to right.
    pub fn runs(&self, range: BlockRange) -> impl Iterator<Item = BlockRange> + '_ {
        let mut from = range.start;
        std::iter::from_fn(move || {
            let start = self.first_present(BlockRange::new(from, range.end))?;
            let end = self.first_missing(BlockRange::new(start, range.end)).unwrap_or(range.end);
            from = end;
            Some(BlockRange::new(start, end))
        })
    }

    /// Codes the blocks from `start` on, as a `have` message carries them (`lib/bitfield.js`,
    /// `compress`): the first bit is block `start`, and a `length` of 0 means up to the end.
    ///
    /// At most one want window of 2^20 blocks is coded, and nothing beyond the last page.
    pub fn compress(&self, start: u64, length: u64) -> Vec<u8> {
        let rest = self.pages.count().saturating_mul(PAGE_BLOCKS).saturating_sub(start);
        let length = if length == 0 { rest } else { length.min(rest) }.min(8 * MAX_BITFIELD_BYTES as u64);
        let mut bytes = Vec::with_capacity(length.div_ceil(64) as usize * 8);
        for at in (0..length).step_by(64) {
            let word = self.word_at(start.saturating_add(at));
            let bits = (length - at).min(64);
            bytes
                .extend_from_slice(&(word & !(u64::MAX.checked_shr(bits as u32).unwrap_or(0))).to_be_bytes());
        }
        rle::encode(&bytes)
    }

    /// Returns 64 bits from a block on, which need not be the first of a word.
    fn word_at(&self, block: u64) -> u64 {
        let word = |block: u64| {
            let page = self.pages.get(block / PAGE_BLOCKS);
            page.map_or(0, |page| page.data_word((block % PAGE_BLOCKS / 64) as usize))
        };
        match block % 64 {
            0 => word(block),
            skip => word(block) << skip | word(block.saturating_add(64)) >> (64 - skip),
        }
    }

    /// Tells whether a page has changed since the pages were last taken.
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Takes the pages that have changed, in order: they are to be written, then synced. When that
    /// fails, [`Bitfield::mark_dirty`] puts them back.
    pub fn take_dirty(&mut self) -> Vec<DirtyPage> {
        let page_bytes = self.page_bytes();
        let mut taken = Vec::with_capacity(self.dirty.len());
        for number in std::mem::take(&mut self.dirty) {
            let Some(page) = self.pages.get_mut(number) else { continue };
            page.dirty = false;
            let Some(offset) = sleep::page_offset(number, page_bytes) else { continue };
            taken.push(DirtyPage { number, offset, bytes: page.write() });
        }
        taken
    }

    /// Returns a page as it would be written, or `None` when it was never set.
    pub fn page(&self, number: u64) -> Option<Vec<u8>> {
        self.pages.get(number).map(Page::write)
    }

    /// Notes that all pages are to be written.
    pub fn mark_all_dirty(&mut self) {
        let numbers: Vec<u64> = self.pages.numbers().collect();
        numbers.into_iter().for_each(|number| self.mark_dirty(number));
    }

    /// Notes that a page is to be written.
    pub fn mark_dirty(&mut self, number: u64) {
        if let Some(page) = self.pages.get_mut(number)
            && !page.dirty
        {
            page.dirty = true;
            self.dirty.insert(number);
        }
    }
}

impl Default for Bitfield {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Bitfield {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bitfield")
            .field("pages", &self.pages.count())
            .field("page_bytes", &self.page_bytes())
            .field("dirty", &self.dirty.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
