//! The blocks that a peer says it has, as far as they were asked about.

use std::collections::BTreeMap;

use quorate_types::limits::{MAX_BITFIELD_BYTES, WANT_WINDOW_BLOCKS};

use crate::rle::{BadBitfield, Piece, for_each_piece};

const WINDOW_WORDS: usize = (WANT_WINDOW_BLOCKS / 64) as usize;

/// Number of the want window that holds the block.
pub(crate) const fn window_of(index: u64) -> u64 {
    index / WANT_WINDOW_BLOCKS
}

/// First block of a want window.
pub(crate) const fn window_start(window: u64) -> u64 {
    window.saturating_mul(WANT_WINDOW_BLOCKS)
}

/// Bits of the windows that were wanted from one peer. Bits of other windows are not kept: the answer to a want
/// brings them when they are needed. Memory is bounded by whoever calls `open`.
#[derive(Debug, Default)]
pub(crate) struct RemoteBits {
    windows: BTreeMap<u64, Window>,
    length: u64,
}

#[derive(Debug, Default)]
struct Window {
    /// Least significant bit first, as long as the last one needs.
    words: Vec<u64>,
    answered: bool,
}

impl RemoteBits {
    /// One past the last block that the peer announced.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Takes note of blocks up to `end`; true when that is news.
    pub(crate) fn extend_to(&mut self, end: u64) -> bool {
        let grew = end > self.length;
        self.length = self.length.max(end);
        grew
    }

    pub(crate) fn is_open(&self, window: u64) -> bool {
        self.windows.contains_key(&window)
    }

    /// Keeps the bits of the window from now on.
    pub(crate) fn open(&mut self, window: u64) {
        self.windows.entry(window).or_default();
    }

    pub(crate) fn close(&mut self, window: u64) {
        self.windows.remove(&window);
    }

    pub(crate) fn open_windows(&self) -> impl DoubleEndedIterator<Item = u64> + '_ {
        self.windows.keys().copied()
    }

    pub(crate) fn open_count(&self) -> usize {
        self.windows.len()
    }

    pub(crate) fn unanswered(&self) -> usize {
        self.windows.values().filter(|window| !window.answered).count()
    }

    /// Forgets the windows, but not how long the peer's feed is.
    pub(crate) fn close_all(&mut self) {
        self.windows.clear();
    }

    pub(crate) fn has(&self, index: u64) -> bool {
        self.windows.get(&window_of(index)).is_some_and(|window| window.has(index % WANT_WINDOW_BLOCKS))
    }

    /// First block that the peer has from `from` on, within the same window and below `end`.
    pub(crate) fn next_present(&self, from: u64, end: u64) -> Option<u64> {
        let base = window_start(window_of(from));
        let window = self.windows.get(&window_of(from))?;
        let found = base + window.next(from - base, false)?;
        (found < end).then_some(found)
    }

    /// First block that the peer does not have from `from` on, within the same window; at most `end`.
    pub(crate) fn run_end(&self, from: u64, end: u64) -> u64 {
        let base = window_start(window_of(from));
        let window_end = base.saturating_add(WANT_WINDOW_BLOCKS).min(end);
        let Some(window) = self.windows.get(&window_of(from)) else { return from };
        window.next(from - base, true).map_or(window_end, |found| (base + found).min(window_end))
    }

    /// Notes that the peer has, or has no more, the blocks from `start` up to `end`; returns the first block for
    /// which that is news.
    pub(crate) fn set(&mut self, start: u64, end: u64, present: bool) -> Option<u64> {
        let mut news = None;
        let open = window_of(start)..=window_of(end.saturating_sub(1));
        if start >= end {
            return None;
        }
        for (&number, window) in self.windows.range_mut(open) {
            let base = window_start(number);
            let from = start.max(base) - base;
            let to = end.min(base.saturating_add(WANT_WINDOW_BLOCKS)) - base;
            let first = window.set(from, to, present);
            news = news.or(first.map(|first| base + first));
        }
        news
    }

    /// Takes in the run-length coded bits from `start`, a multiple of 64, on; `length` blocks are meant, and those
    /// that the bits do not reach are absent. Returns the first and one past the last block that is there.
    pub(crate) fn load(
        &mut self,
        start: u64,
        length: u64,
        coded: &[u8],
    ) -> Result<Option<(u64, u64)>, BadBitfield> {
        if !start.is_multiple_of(64) {
            return Err(BadBitfield);
        }
        let mut seen: Option<(u64, u64)> = None;
        let mut see = |from: u64, to: u64| seen = Some((seen.map_or(from, |(first, _)| first), to));
        let at = |byte: usize| start.saturating_add(8 * byte as u64);
        let end = start.saturating_add(length);
        if let Some(window) = self.windows.get_mut(&window_of(start)) {
            window.answered = true;
        }
        self.set(start, end, false);
        let windows = &mut self.windows;
        for_each_piece(coded, MAX_BITFIELD_BYTES, |offset, piece| match piece {
            Piece::Run { ones: false, .. } | Piece::Run { bytes: 0, .. } => {}
            Piece::Run { ones: true, bytes } => {
                let (from, to) = (at(offset), at(offset + bytes));
                see(from, to);
                for (&number, window) in windows.range_mut(window_of(from)..=window_of(to.saturating_sub(1)))
                {
                    let base = window_start(number);
                    let to = to.min(base.saturating_add(WANT_WINDOW_BLOCKS)) - base;
                    window.set(from.max(base) - base, to, true);
                }
            }
            Piece::Raw(raw) => {
                for (position, byte) in raw.iter().enumerate().filter(|&(_, &byte)| byte != 0) {
                    let from = at(offset + position);
                    let first = from + u64::from(byte.leading_zeros());
                    see(first, from + 8 - u64::from(byte.trailing_zeros()));
                    if let Some(window) = windows.get_mut(&window_of(from)) {
                        window.put_byte(from % WANT_WINDOW_BLOCKS, byte.reverse_bits());
                    }
                }
            }
        })?;
        Ok(seen)
    }
}

impl Window {
    fn has(&self, bit: u64) -> bool {
        self.words.get((bit / 64) as usize).is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }

    fn put_byte(&mut self, bit: u64, byte: u8) {
        let word = (bit / 64) as usize;
        self.reach(word);
        if let Some(word) = self.words.get_mut(word) {
            *word = *word & !(0xff << (bit % 64)) | u64::from(byte) << (bit % 64);
        }
    }

    fn reach(&mut self, word: usize) {
        if word >= self.words.len() && word < WINDOW_WORDS {
            self.words.resize(word + 1, 0);
        }
    }

    /// First bit from `from` on that is one, or with `inverted` zero. Bits beyond the words are zeros.
    fn next(&self, from: u64, inverted: bool) -> Option<u64> {
        let flip = if inverted { u64::MAX } else { 0 };
        let first = (from / 64) as usize;
        let mut mask = u64::MAX << (from % 64);
        for (position, word) in self.words.iter().enumerate().skip(first) {
            let found = (word ^ flip) & mask;
            if found != 0 {
                return Some(64 * position as u64 + u64::from(found.trailing_zeros()));
            }
            mask = u64::MAX;
        }
        let beyond = (64 * self.words.len() as u64).max(from);
        (inverted && beyond < WANT_WINDOW_BLOCKS).then_some(beyond)
    }

    /// Sets the bits; returns the first that was different.
    fn set(&mut self, from: u64, to: u64, present: bool) -> Option<u64> {
        if from >= to {
            return None;
        }
        if present {
            self.reach(((to - 1) / 64) as usize);
        }
        let mut news = None;
        let (first, last) = ((from / 64) as usize, ((to - 1) / 64) as usize);
        for (position, word) in self.words.iter_mut().enumerate().skip(first).take(last - first + 1) {
            let mut mask = u64::MAX;
            if position == first {
                mask &= u64::MAX << (from % 64);
            }
            if position == last {
                mask &= u64::MAX >> (63 - (to - 1) % 64);
            }
            let changed = if present { !*word & mask } else { *word & mask };
            if changed != 0 && news.is_none() {
                news = Some(64 * position as u64 + u64::from(changed.trailing_zeros()));
            }
            *word ^= changed;
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const W: u64 = WANT_WINDOW_BLOCKS;

    #[test]
    fn bits_of_other_windows_are_not_kept() {
        let mut bits = RemoteBits::default();
        bits.open(1);
        assert_eq!(bits.set(0, 3 * W, true), Some(W));
        assert!(!bits.has(W - 1) && bits.has(W) && bits.has(2 * W - 1) && !bits.has(2 * W));
        assert_eq!(bits.set(0, u64::MAX, true), None);
        assert_eq!(bits.run_end(W + 5, u64::MAX), 2 * W);
        assert_eq!(bits.set(W + 9, W + 10, false), Some(W + 9));
        assert_eq!(bits.run_end(W + 5, u64::MAX), W + 9);
        assert_eq!(bits.next_present(W + 9, u64::MAX), Some(W + 10));
        assert_eq!(bits.next_present(5, u64::MAX), None);
    }

    #[test]
    fn a_loaded_window_replaces_what_was_there() {
        let mut bits = RemoteBits::default();
        bits.open(0);
        bits.set(0, 100, true);
        // 0x02 0xf8: one raw byte, blocks 0 to 4.
        assert_eq!(bits.load(0, W, &[0x02, 0xf8]), Ok(Some((0, 5))));
        assert_eq!(bits.run_end(0, W), 5);
        assert_eq!(bits.next_present(5, W), None);
        assert_eq!(bits.unanswered(), 0);
        // 0x2b 0x02 0x80: ten bytes of ones, then one block.
        assert_eq!(bits.load(0, W, &[0x2b, 0x02, 0x80]), Ok(Some((0, 81))));
        assert_eq!(bits.run_end(0, W), 81);
        assert_eq!(bits.load(0, W, &[]), Ok(None));
        assert_eq!(bits.next_present(0, W), None);
        assert_eq!(bits.load(1, W, &[]), Err(BadBitfield));
        // A window that is not kept still tells how far it goes.
        assert_eq!(bits.load(5 * W, W, &[0x02, 0x18]), Ok(Some((5 * W + 3, 5 * W + 5))));
        // A run of nothing.
        assert_eq!(bits.load(W, W, &[0x03]), Ok(None));
        // Longer than one window.
        assert_eq!(bits.load(0, W, &[0x87, 0x80, 0x20]), Err(BadBitfield));
    }

    proptest! {
        #[test]
        fn it_is_a_set(steps in proptest::collection::vec((any::<bool>(), 0u64..400, 0u64..150), 0..30)) {
            let mut bits = RemoteBits::default();
            bits.open(0);
            let mut model = BTreeSet::new();
            for (present, start, len) in steps {
                let end = start + len;
                let news = (start..end).find(|index| model.contains(index) != present);
                prop_assert_eq!(bits.set(start, end, present), news);
                for index in start..end {
                    if present { model.insert(index); } else { model.remove(&index); }
                }
            }
            for index in 0..600 {
                prop_assert_eq!(bits.has(index), model.contains(&index));
                prop_assert_eq!(bits.next_present(index, 500), model.range(index..500.max(index)).next().copied());
                let run_end = (index..700).find(|index| !model.contains(index)).unwrap();
                prop_assert_eq!(bits.run_end(index, 650), run_end.min(650));
            }
        }
    }
}
