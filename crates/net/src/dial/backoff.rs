//! When to try again.

use std::future::Future;
use std::time::Duration;

use crate::runtime::Runtime;

/// Time after the first failure.
pub const FIRST_DELAY: Duration = Duration::from_secs(1);

/// Longest time between two attempts.
pub const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// A connection that lasted this long was a good one: the next failure counts as the first.
pub const GOOD_AFTER: Duration = Duration::from_secs(30);

/// Times between attempts: each twice the one before, up to a bound, and each shortened by up to
/// half at random, so that peers that lost each other at once do not come back at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Backoff {
    failures: u32,
}

/// How an attempt of [`persist`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// It is to be repeated.
    Again,
    /// It is not.
    Enough,
}

impl Backoff {
    /// Returns how long to wait after a failure. `random` is any number.
    pub fn next_delay(&mut self, random: u32) -> Duration {
        let full = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(self.failures)).min(LONGEST_DELAY);
        self.failures = self.failures.saturating_add(1);
        full - (full / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
    }

    /// Begins anew after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Repeats an attempt, which is to connect and to stay connected, until it has had enough.
pub async fn persist<R: Future<Output = Attempt>>(runtime: &dyn Runtime, mut attempt: impl FnMut() -> R) {
    let mut backoff = Backoff::default();
    loop {
        let started = runtime.now();
        if attempt().await == Attempt::Enough {
            return;
        }
        let ended = runtime.now();
        if ended.saturating_duration_since(started) >= GOOD_AFTER {
            backoff.reset();
        }
        // Without randomness the delays are the full ones.
        let random = getrandom::u32().unwrap_or(0);
        runtime.sleep_until(ended + backoff.next_delay(random)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_bound_and_vary_by_half() {
        let mut backoff = Backoff::default();
        let seconds = |random: u32, backoff: &mut Backoff| backoff.next_delay(random).as_secs_f64();
        for expected in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
            let mut other = backoff.clone();
            assert_eq!(seconds(0, &mut backoff), expected);
            assert_eq!(seconds(u32::MAX, &mut other), expected / 2.0);
        }
        backoff.failures = u32::MAX;
        assert_eq!(seconds(0, &mut backoff), 60.0);
        backoff.reset();
        assert_eq!(seconds(0, &mut backoff), 1.0);
    }
}
