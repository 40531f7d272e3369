//! The pages there are: dense where feeds live, sparse beyond.

use std::collections::BTreeMap;

use super::page::Page;

/// Pages that have a slot of their own: 536 870 912 blocks, of which the slots take 512 KiB at most.
const DENSE_PAGES: u64 = 1 << 16;

#[derive(Clone, Default)]
pub(super) struct Pages {
    dense: Vec<Option<Box<Page>>>,
    sparse: BTreeMap<u64, Box<Page>>,
    count: u64,
}

impl Pages {
    /// One more than the number of the last page that was made.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn get(&self, number: u64) -> Option<&Page> {
        if number < DENSE_PAGES {
            self.dense.get(number as usize)?.as_deref()
        } else {
            self.sparse.get(&number).map(Box::as_ref)
        }
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Page> {
        if number < DENSE_PAGES {
            self.dense.get_mut(number as usize)?.as_deref_mut()
        } else {
            self.sparse.get_mut(&number).map(Box::as_mut)
        }
    }

    /// Returns a page and makes it if it is not there.
    pub(super) fn make(&mut self, number: u64, index_bytes: usize) -> &mut Page {
        self.extend_to(number.saturating_add(1));
        let new = || Box::new(Page::new(index_bytes));
        if number >= DENSE_PAGES {
            return self.sparse.entry(number).or_insert_with(new);
        }
        let at = number as usize;
        if self.dense.len() <= at {
            self.dense.resize_with(at + 1, || None);
        }
        let slot = self.dense.get_mut(at).expect("there is a slot for each number up to this one");
        slot.get_or_insert_with(new)
    }

    /// Counts pages that are not made, because a file has them as zeros.
    pub(super) fn extend_to(&mut self, count: u64) {
        self.count = self.count.max(count);
    }

    /// Returns the first page at or after a number.
    pub(super) fn next(&self, number: u64) -> Option<u64> {
        if number < DENSE_PAGES {
            let at = number as usize;
            let slots = self.dense.get(at..).unwrap_or_default();
            if let Some(found) = slots.iter().position(Option::is_some) {
                return Some((at + found) as u64);
            }
        }
        self.sparse.range(number.max(DENSE_PAGES)..).next().map(|(number, _)| *number)
    }

    /// Lists the numbers of the pages there are.
    pub(super) fn numbers(&self) -> impl DoubleEndedIterator<Item = u64> + '_ {
        let dense = self.dense.iter().enumerate().filter(|(_, page)| page.is_some());
        let dense = dense.map(|(number, _)| number as u64);
        dense.chain(self.sparse.keys().copied())
    }
}
