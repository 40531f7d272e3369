//! When it is worth trying a call at once.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Calls that are left out at most before the next try.
const MOST_LEFT_OUT: u32 = 63;

/// Tries of one rule. A call that finds an answer missing has to be made again, so the more of them do, the fewer are
/// tried: a rule that reads blocks, or keys that are seldom in memory, loses little. Threads that race lose a try.
#[derive(Debug, Default)]
pub(super) struct Tries {
    /// Calls to come that are not tried.
    left_out: AtomicU32,
    /// Calls that are left out after the next try that fails.
    next: AtomicU32,
}

impl Tries {
    /// Tells whether the next call is to be tried.
    pub(super) fn is_due(&self) -> bool {
        let left = self.left_out.load(Relaxed);
        self.left_out.store(left.saturating_sub(1), Relaxed);
        left == 0
    }

    /// Notes how a try went.
    pub(super) fn note(&self, succeeded: bool) {
        let next = self.next.load(Relaxed);
        if succeeded {
            if next > 0 {
                self.next.store(next / 2, Relaxed);
            }
        } else {
            self.left_out.store(next, Relaxed);
            self.next.store((2 * next + 1).min(MOST_LEFT_OUT), Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(calls: u32, succeeds: impl Fn(u32) -> bool) -> (u32, u32) {
        let tries = Tries::default();
        let (mut tried, mut failed) = (0, 0);
        for call in 0..calls {
            if tries.is_due() {
                tried += 1;
                failed += u32::from(!succeeds(call));
                tries.note(succeeds(call));
            }
        }
        (tried, failed)
    }

    #[test]
    fn calls_that_succeed_are_all_tried_and_those_that_fail_seldom() {
        assert_eq!(tried(10_000, |_| true), (10_000, 0));
        let (most, _) = tried(10_000, |_| false);
        assert!(most <= 165, "{most}");
        let (now_and_then, failed) = tried(10_000, |call| call % 100 != 0);
        assert!(now_and_then > 9_800 && failed > 80, "{now_and_then} {failed}");
        let (later, _) = tried(10_000, |call| call >= 1000);
        assert!(later > 8_900, "they are tried again: {later}");
    }
}
