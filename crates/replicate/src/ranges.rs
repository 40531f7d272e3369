//! A set of blocks, kept as ranges.

use std::collections::BTreeMap;

use quorate_types::BlockRange;

/// Blocks as disjoint ranges that do not touch.
#[derive(Debug, Clone, Default)]
pub(crate) struct RangeSet(BTreeMap<u64, u64>);

impl RangeSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn insert(&mut self, range: BlockRange) {
        if range.is_empty() {
            return;
        }
        let BlockRange { mut start, mut end } = range;
        if let Some((&before, &before_end)) = self.0.range(..=start).next_back()
            && before_end >= start
        {
            start = before;
            end = end.max(before_end);
        }
        while let Some((&next, &next_end)) = self.0.range(start..=end).next() {
            end = end.max(next_end);
            self.0.remove(&next);
        }
        self.0.insert(start, end);
    }

    /// End of the range that holds the block.
    pub(crate) fn end_of(&self, index: u64) -> Option<u64> {
        let (_, &end) = self.0.range(..=index).next_back()?;
        (index < end).then_some(end)
    }

    /// Start of the first range at or after the block.
    pub(crate) fn next_start(&self, index: u64) -> Option<u64> {
        self.0.range(index..).next().map(|(&start, _)| start)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = BlockRange> + '_ {
        self.0.iter().map(|(&start, &end)| BlockRange::new(start, end))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(ranges in proptest::collection::vec((0u64..60, 0u64..12), 0..20)) {
            let mut set = RangeSet::default();
            let mut model = BTreeSet::new();
            for (start, len) in ranges {
                set.insert(BlockRange::new(start, start + len));
                model.extend(start..start + len);
            }
            let listed: Vec<u64> = set.iter().flat_map(|range| range.start..range.end).collect();
            prop_assert_eq!(listed, model.iter().copied().collect::<Vec<_>>());
            let all: Vec<BlockRange> = set.iter().collect();
            prop_assert!(all.windows(2).all(|pair| pair[0].end < pair[1].start));
            for index in 0..80 {
                prop_assert_eq!(set.end_of(index).is_some(), model.contains(&index));
                let start = all.iter().map(|range| range.start).find(|&start| start >= index);
                prop_assert_eq!(set.next_start(index), start);
            }
        }
    }
}
