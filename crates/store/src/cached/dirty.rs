//! Bytes that were written and have not reached the storage: runs that do not overlap.

use std::collections::BTreeMap;
use std::ops::Range;

/// What a run costs besides its bytes, about.
const RUN_OVERHEAD_BYTES: usize = 64;

/// Length from which a run gets room for its greatest length at once.
const LONG_RUN_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct DirtyRuns {
    runs: BTreeMap<u64, Vec<u8>>,
    bytes: usize,
    /// Runs that touch are joined while the result is no longer than this.
    max_run: usize,
}

impl DirtyRuns {
    pub(super) fn new(max_run: usize) -> Self {
        Self { runs: BTreeMap::new(), bytes: 0, max_run }
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.bytes + self.runs.len() * RUN_OVERHEAD_BYTES
    }

    /// Returns the run that begins at an offset.
    pub(super) fn get(&self, start: u64) -> Option<&[u8]> {
        self.runs.get(&start).map(Vec::as_slice)
    }

    /// Returns a range if one run holds all of it.
    pub(super) fn whole(&self, range: &Range<u64>) -> Option<&[u8]> {
        let (start, run) = self.runs.range(..=range.start).next_back()?;
        run.get((range.start - start) as usize..(range.end - start) as usize)
    }

    /// Copies what is held over the bytes that begin at an offset.
    pub(super) fn overlay(&self, offset: u64, bytes: &mut [u8]) {
        let end = offset + bytes.len() as u64;
        for (start, run) in self.overlapping(offset..end) {
            let from = offset.max(start);
            let to = end.min(start + run.len() as u64);
            let held = &run[(from - start) as usize..(to - start) as usize];
            bytes[(from - offset) as usize..(to - offset) as usize].copy_from_slice(held);
        }
    }

    fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = (u64, &Vec<u8>)> {
        let before = self.runs.range(..range.start).next_back();
        let before = before.filter(move |(start, run)| *start + run.len() as u64 > range.start);
        let rest = self.runs.range(range.start..range.end.max(range.start));
        before.into_iter().chain(rest).map(|(start, run)| (*start, run))
    }

    /// Holds bytes; they replace what is held for the same offsets.
    pub(super) fn write(&mut self, offset: u64, data: &[u8]) {
        let end = offset + data.len() as u64;
        // Within one run, as when a header or a page is written again.
        if let Some((start, run)) = self.runs.range_mut(..=offset).next_back() {
            let at = (offset - start) as usize;
            if let Some(old) = run.get_mut(at..at + data.len()) {
                old.copy_from_slice(data);
                return;
            }
        }
        self.cut(offset..end);
        self.bytes += data.len();
        let mut start = offset;
        let before = self.runs.range_mut(..offset).next_back();
        match before {
            Some((before, run))
                if *before + run.len() as u64 == offset && run.len() + data.len() <= self.max_run =>
            {
                if run.len() >= LONG_RUN_BYTES {
                    // It most likely goes on: growing it step by step would copy it again and again.
                    run.reserve(self.max_run - run.len());
                }
                run.extend_from_slice(data);
                start = *before;
            }
            _ => {
                self.runs.insert(offset, data.to_vec());
            }
        }
        self.join_next(start, end);
    }

    /// Joins a run with the one that begins where it ends.
    fn join_next(&mut self, start: u64, end: u64) {
        let (Some(run), Some(next)) = (self.runs.get(&start), self.runs.get(&end)) else { return };
        if run.len() + next.len() > self.max_run {
            return;
        }
        if let Some(next) = self.runs.remove(&end)
            && let Some(run) = self.runs.get_mut(&start)
        {
            run.extend_from_slice(&next);
        }
    }

    /// Forgets what is held for a range.
    pub(super) fn cut(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        if let Some((start, run)) = self.runs.range_mut(..range.start).next_back() {
            let end = *start + run.len() as u64;
            if end > range.start {
                let tail = run.split_off((range.start - start) as usize);
                self.bytes -= tail.len();
                if end > range.end {
                    let kept = tail[(range.end - range.start) as usize..].to_vec();
                    self.bytes += kept.len();
                    self.runs.insert(range.end, kept);
                }
            }
        }
        while let Some((start, _)) = self.runs.range(range.clone()).next() {
            let start = *start;
            let Some(mut run) = self.runs.remove(&start) else { return };
            self.bytes -= run.len();
            let end = start + run.len() as u64;
            if end > range.end {
                run.drain(..(range.end - start) as usize);
                self.bytes += run.len();
                self.runs.insert(range.end, run);
            }
        }
    }

    /// Returns the first run, or a range with the first runs that are less than `gap` apart, if that
    /// is no longer than `max`.
    pub(super) fn first_group(&self, gap: u64, max: usize) -> Option<Range<u64>> {
        let mut runs = self.runs.iter().map(|(start, run)| *start..*start + run.len() as u64);
        let mut group = runs.next()?;
        for run in runs {
            if run.start - group.end >= gap || run.end - group.start > max as u64 {
                break;
            }
            group.end = run.end;
        }
        Some(group)
    }
}
