//! What is to be fetched, and what of it is already being fetched.

use std::collections::{BTreeMap, BTreeSet};

use quorate_types::BlockRange;

use crate::claims::Claims;
use crate::ranges::RangeSet;
use crate::{LocalFeed, Peer, Selection};

/// The shared view of all downloading.
#[derive(Debug, Default)]
pub(crate) struct Work {
    selected: Selected,
    /// Selected blocks that are not fetched: cleared here, or given up.
    pub(crate) excluded: RangeSet,
    /// Blocks that somebody waits for.
    pub(crate) urgent: BTreeSet<u64>,
    /// Those of `urgent` that no peer is asked for.
    urgent_pool: BTreeSet<u64>,
    /// Blocks of a stretch whose request failed and must be sent again.
    retry_pool: BTreeSet<u64>,
    /// Changes whenever a pool grows.
    pub(crate) pool_version: u64,
    /// Blocks that are asked for outside of a stretch.
    pub(crate) singles: BTreeMap<u64, Peer>,
    pub(crate) claims: Claims,
    /// Every selected block below is here or excluded.
    done_below: u64,
}

/// Selection in normal form.
#[derive(Debug, Default, PartialEq, Eq)]
enum Selected {
    #[default]
    Nothing,
    Everything,
    /// Sorted, disjoint, none empty.
    Ranges(Vec<BlockRange>),
}

impl Work {
    pub(crate) fn select(&mut self, selection: Selection) {
        self.selected = match selection {
            Selection::Nothing => Selected::Nothing,
            Selection::Everything => Selected::Everything,
            Selection::Ranges(ranges) => {
                let mut set = RangeSet::default();
                ranges.into_iter().for_each(|range| set.insert(range));
                Selected::Ranges(set.iter().collect())
            }
        };
        self.excluded.clear();
        self.done_below = 0;
    }

    pub(crate) fn selects_nothing(&self) -> bool {
        self.selected == Selected::Nothing
    }

    pub(crate) fn selects_everything(&self) -> bool {
        self.selected == Selected::Everything
    }

    /// First selected and not excluded block from `from` on, and the end of the selected blocks after it.
    pub(crate) fn next_selected(&self, mut from: u64) -> Option<(u64, u64)> {
        loop {
            let (start, end) = match &self.selected {
                Selected::Nothing => return None,
                Selected::Everything => (from, u64::MAX),
                Selected::Ranges(ranges) => {
                    let at = ranges.partition_point(|range| range.end <= from);
                    let range = ranges.get(at)?;
                    (range.start.max(from), range.end)
                }
            };
            match self.excluded.end_of(start) {
                Some(excluded_end) => from = excluded_end,
                None => {
                    let end = self.excluded.next_start(start).map_or(end, |excluded| excluded.min(end));
                    return Some((start, end));
                }
            }
        }
    }

    /// First selected block below `target` that is not here.
    pub(crate) fn first_needed(&mut self, local: &dyn LocalFeed, target: u64) -> Option<u64> {
        while let Some((start, end)) = self.next_selected(self.done_below) {
            let end = end.min(target);
            if start >= end {
                return None;
            }
            if let Some(missing) = local.first_missing(BlockRange::new(start, end)) {
                self.done_below = missing;
                return Some(missing);
            }
            self.done_below = end;
        }
        None
    }

    /// One past the last block of the selection; `None` when it has no end.
    pub(crate) fn selection_end(&self) -> Option<u64> {
        match &self.selected {
            Selected::Nothing => Some(0),
            Selected::Everything => None,
            Selected::Ranges(ranges) => Some(ranges.last().map_or(0, |range| range.end)),
        }
    }

    /// Makes a block whose request failed be asked for again, if it still is wanted.
    pub(crate) fn reopen(&mut self, index: u64) {
        if self.urgent.contains(&index) || self.is_selected(index) {
            self.put_in_pool(index);
        }
    }

    /// Makes the block be asked for by itself, by whichever peer has it first.
    pub(crate) fn put_in_pool(&mut self, index: u64) {
        let added = if self.urgent.contains(&index) {
            self.urgent_pool.insert(index)
        } else {
            self.retry_pool.insert(index)
        };
        if added {
            self.pool_version = self.pool_version.wrapping_add(1);
        }
    }

    pub(crate) fn take_from_pool(&mut self, index: u64) {
        if !self.urgent_pool.is_empty() {
            self.urgent_pool.remove(&index);
        }
        if !self.retry_pool.is_empty() {
            self.retry_pool.remove(&index);
        }
    }

    pub(crate) fn in_pool(&self, index: u64) -> bool {
        self.urgent_pool.contains(&index) || self.retry_pool.contains(&index)
    }

    pub(crate) fn urgent_pool(&self) -> &BTreeSet<u64> {
        &self.urgent_pool
    }

    pub(crate) fn retry_pool(&self) -> &BTreeSet<u64> {
        &self.retry_pool
    }

    /// The block is here, or no longer wanted.
    pub(crate) fn done_with(&mut self, index: u64) {
        if !self.urgent.is_empty() {
            self.urgent.remove(&index);
        }
        self.take_from_pool(index);
    }

    /// Stops waiting for the block; it stays selected if it was.
    pub(crate) fn forget(&mut self, index: u64) {
        self.urgent.remove(&index);
        if self.urgent_pool.remove(&index) {
            self.reopen(index);
        }
    }

    fn is_selected(&self, index: u64) -> bool {
        self.next_selected(index).is_some_and(|(start, _)| start == index)
    }

    /// Gives up the block: it is not asked for until it is selected or wanted anew.
    pub(crate) fn exclude(&mut self, index: u64) {
        self.done_with(index);
        self.excluded.insert(BlockRange::new(index, index.saturating_add(1)));
    }
}
