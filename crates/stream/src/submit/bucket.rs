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
        Self::slow(Duration::from_secs(1) / units_per_second.max(1), burst)
    }

    /// Makes a full bucket that gives out less than one unit in a second: one in each `period`.
    pub(super) const fn slow(period: Duration, burst: u32) -> Self {
        Self { unit: period, burst: period.saturating_mul(burst), full_at: None }
    }

    /// Takes units when they are there.
    pub(super) fn take(&mut self, now: Instant, units: u32) -> bool {
        let cost = self.unit.saturating_mul(units);
        let full_at = self.full_at.map_or(now, |at| at.max(now));
        if full_at.saturating_duration_since(now).saturating_add(cost) > self.burst {
            return false;
        }
        self.full_at = Some(full_at + cost);
        true
    }

    /// Returns since or from when units are there, `None` for always; they must not be more than the burst.
    pub(super) fn ready_at(&self, units: u32) -> Option<Instant> {
        let room = self.burst.saturating_sub(self.unit.saturating_mul(units));
        self.full_at?.checked_sub(room)
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
        assert_eq!(bucket.ready_at(1), Some(begin + Duration::from_millis(2)));
        let mut taken = 0;
        for millisecond in 1..=1000 {
            let now = begin + Duration::from_millis(millisecond);
            taken += (0..10).filter(|_| bucket.take(now, 1)).count();
        }
        assert_eq!(taken, 500);
        let later = begin + Duration::from_secs(60);
        assert!(bucket.ready_at(1) < Some(later));
        assert!(bucket.take(later, 500));
        assert!(!bucket.take(later, 1));
    }
}
