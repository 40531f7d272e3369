//! Pages as the storage has them, the least recently read of which go first.

use std::collections::BTreeMap;
use std::ops::Range;

#[derive(Debug)]
pub(super) struct CleanPages {
    /// By offset; a page may be shorter than the others, and then tells nothing of what follows.
    pages: BTreeMap<u64, Page>,
    page_bytes: u64,
    max_pages: usize,
    clock: u64,
}

#[derive(Debug)]
struct Page {
    bytes: Vec<u8>,
    used: u64,
}

impl CleanPages {
    pub(super) fn new(page_bytes: usize, total_bytes: usize) -> Self {
        let page_bytes = page_bytes.max(1);
        Self {
            pages: BTreeMap::new(),
            page_bytes: page_bytes as u64,
            max_pages: (total_bytes / page_bytes).max(1),
            clock: 0,
        }
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.pages.values().map(|page| page.bytes.capacity()).sum()
    }

    /// Returns the range of the page that an offset is in.
    pub(super) fn page_of(&self, offset: u64) -> Range<u64> {
        let start = offset - offset % self.page_bytes;
        start..start.saturating_add(self.page_bytes)
    }

    /// Appends a range within one page, if it is here, and tells whether it is.
    pub(super) fn copy(&mut self, range: Range<u64>, to: &mut Vec<u8>) -> bool {
        let start = self.page_of(range.start).start;
        let Some(page) = self.pages.get_mut(&start) else { return false };
        let Some(bytes) = page.bytes.get((range.start - start) as usize..(range.end - start) as usize) else {
            return false;
        };
        self.clock += 1;
        page.used = self.clock;
        to.extend_from_slice(bytes);
        true
    }

    /// Keeps a page, instead of the one that was not read for the longest time.
    pub(super) fn insert(&mut self, start: u64, bytes: Vec<u8>) {
        if self.pages.len() >= self.max_pages && !self.pages.contains_key(&start) {
            let oldest = self.pages.iter().min_by_key(|(_, page)| page.used).map(|(start, _)| *start);
            oldest.and_then(|oldest| self.pages.remove(&oldest));
        }
        self.clock += 1;
        self.pages.insert(start, Page { bytes, used: self.clock });
    }

    /// Brings the pages up to date with what the storage now has. What fits into one page is kept, as
    /// it is likely to be read soon.
    pub(super) fn written(&mut self, offset: u64, bytes: &[u8]) {
        let end = offset + bytes.len() as u64;
        let first = self.page_of(offset);
        if end <= first.end && first.start == offset && !self.pages.contains_key(&offset) {
            self.insert(offset, bytes.to_vec());
            return;
        }
        let page_bytes = self.page_bytes;
        for (start, page) in self.pages.range_mut(first.start..end) {
            let from = offset.max(*start);
            let to = end.min(start + page_bytes);
            let at = (from - start) as usize;
            // A page that ends before these bytes stays as short as it is.
            if at <= page.bytes.len() {
                let new = &bytes[(from - offset) as usize..(to - offset) as usize];
                let kept = new.len().min(page.bytes.len() - at);
                page.bytes[at..at + kept].copy_from_slice(&new[..kept]);
                page.bytes.extend_from_slice(&new[kept..]);
            }
        }
    }

    /// Drops all pages that touch a range.
    pub(super) fn forget(&mut self, range: Range<u64>) {
        let first = self.page_of(range.start).start;
        while let Some((start, _)) = self.pages.range(first..range.end.max(first)).next() {
            let start = *start;
            self.pages.remove(&start);
        }
    }
}
