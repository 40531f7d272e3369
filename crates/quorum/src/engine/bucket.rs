//! Token buckets.

use std::time::{Duration, Instant};

/// Gives out a number of units in a second, and as many at once as its burst.
///
/// It keeps one time, that at which it will be full again (the generic cell rate algorithm).
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    unit: Duration,
    burst: Duration,
    full_at: Option<Instant>,
}

impl Bucket {
    /// Makes a full bucket.
    pub(super) fn new(units_per_second: u32, burst: u32) -> Self {
        let unit = Duration::from_secs(1) / units_per_second.max(1);
        Self { unit, burst: unit.saturating_mul(burst), full_at: None }
    }

    /// Takes units when they are there.
    pub(super) fn take(&mut self, now: Instant, units: u32) -> bool {
        self.take_leaving(now, units, 0)
    }

    /// Takes units when so many are left then.
    pub(super) fn take_leaving(&mut self, now: Instant, units: u32, left: u32) -> bool {
        let cost = self.unit.saturating_mul(units);
        let least = self.unit.saturating_mul(units.saturating_add(left));
        let full_at = self.full_at.map_or(now, |at| at.max(now));
        if full_at.saturating_duration_since(now).saturating_add(least) > self.burst {
            return false;
        }
        self.full_at = Some(full_at + cost);
        true
    }

    /// Puts units back that were taken.
    pub(super) fn put_back(&mut self, units: u32) {
        let cost = self.unit.saturating_mul(units);
        self.full_at = self.full_at.and_then(|at| at.checked_sub(cost));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_the_rate() {
        let begin = Instant::now();
        let mut bucket = Bucket::new(500, 500);
        assert_eq!((0..600).filter(|_| bucket.take(begin, 1)).count(), 500);
        let mut taken = 0;
        for millisecond in 1..=1000 {
            let now = begin + Duration::from_millis(millisecond);
            taken += (0..10).filter(|_| bucket.take(now, 1)).count();
        }
        assert_eq!(taken, 500);
        let later = begin + Duration::from_secs(60);
        assert!(bucket.take(later, 500) && !bucket.take(later, 1));
    }

    #[test]
    fn some_are_left_and_some_are_put_back() {
        let now = Instant::now();
        let mut bucket = Bucket::new(10, 10);
        assert_eq!((0..20).filter(|_| bucket.take_leaving(now, 1, 4)).count(), 6);
        assert!(bucket.take(now, 3) && bucket.take(now, 1) && !bucket.take(now, 1));
        bucket.put_back(3);
        assert!(bucket.take(now, 3) && !bucket.take(now, 1));
        // It is never more than full.
        bucket.put_back(1000);
        assert!(bucket.take(now, 10) && !bucket.take(now, 1));
    }
}
