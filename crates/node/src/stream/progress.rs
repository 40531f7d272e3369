//! Counts what moves and tells it in few events.

use std::time::{Duration, Instant};

use crate::event::Event;

/// Least time between two events about moving blocks.
const EVENT_INTERVAL: Duration = Duration::from_millis(100);

/// Blocks and bytes since the last event.
#[derive(Debug)]
pub(crate) struct Progress {
    downloaded: Counter,
    uploaded: Counter,
    due: Option<Instant>,
    /// When events were told last: the first after a pause is told at once.
    told: Option<Instant>,
}

#[derive(Debug, Default)]
struct Counter {
    blocks: u64,
    bytes: u64,
}

impl Counter {
    fn add(&mut self, bytes: usize) {
        self.blocks += 1;
        self.bytes += bytes as u64;
    }
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { downloaded: Counter::default(), uploaded: Counter::default(), due: None, told: None }
    }

    pub(crate) fn downloaded(&mut self, now: Instant, bytes: usize) {
        self.downloaded.add(bytes);
        self.set_due(now);
    }

    pub(crate) fn uploaded(&mut self, now: Instant, bytes: usize) {
        self.uploaded.add(bytes);
        self.set_due(now);
    }

    fn set_due(&mut self, now: Instant) {
        let earliest = self.told.map_or(now, |told| told + EVENT_INTERVAL);
        self.due.get_or_insert(earliest.max(now));
    }

    /// Time at which events are due, if anything moved.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Takes the events that are due; all of them when `force`.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        force: bool,
        stream: &str,
        here: u64,
        length: u64,
    ) -> Vec<Event> {
        let Some(due) = self.due else {
            return Vec::new();
        };
        if !force && now < due {
            return Vec::new();
        }
        self.due = None;
        self.told = Some(now);
        let mut events = Vec::new();
        let Counter { blocks, bytes } = std::mem::take(&mut self.downloaded);
        if blocks > 0 {
            events.push(Event::Downloaded { stream: stream.to_owned(), blocks, bytes, here, length });
        }
        let Counter { blocks, bytes } = std::mem::take(&mut self.uploaded);
        if blocks > 0 {
            events.push(Event::Uploaded { stream: stream.to_owned(), blocks, bytes });
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_blocks_make_one_event() {
        let start = Instant::now();
        let mut progress = Progress::new();
        assert!(progress.take(start, true, "s", 0, 0).is_empty());
        progress.downloaded(start, 1);
        assert_eq!(progress.take(start, false, "s", 1, 20).len(), 1, "the first is told at once");
        for _ in 0..10 {
            progress.downloaded(start, 100);
        }
        assert!(progress.take(start, false, "s", 11, 20).is_empty());
        assert_eq!(
            progress.take(start + EVENT_INTERVAL, false, "s", 10, 20),
            [Event::Downloaded { stream: "s".into(), blocks: 10, bytes: 1000, here: 10, length: 20 }]
        );
        assert_eq!(progress.due(), None);
    }
}
