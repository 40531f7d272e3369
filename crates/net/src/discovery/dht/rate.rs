//! How much is answered.

use std::time::{Duration, Instant};

use quorate_types::limits::MAX_DHT_ANSWERS_PER_SECOND;

/// Allows so many answers in each second.
#[derive(Debug)]
pub(super) struct Rate {
    since: Instant,
    used: u32,
}

impl Rate {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, used: 0 }
    }

    /// Takes one answer; false when this second has none left.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            *self = Self::new(now);
        }
        let is_left = self.used < MAX_DHT_ANSWERS_PER_SECOND;
        self.used += u32::from(is_left);
        is_left
    }
}
