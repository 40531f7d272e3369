//! The native stack of calls that run on that of their thread.

use super::STACK_BYTES;
use super::row::in_a_row;

/// What others may use below a call, bytes.
const SLACK_BYTES: usize = 256 * 1024;

/// Runs something with a stack on which calls of rules run at once, several of them in a row: they are faster there. Where
/// the thread's own is short, another one is mapped and goes away again, which takes some microseconds.
pub fn with_stack<R>(act: impl FnOnce() -> R) -> R {
    stacker::maybe_grow(STACK_BYTES + SLACK_BYTES, STACK_BYTES + 2 * SLACK_BYTES, || in_a_row(act))
}

/// Tells whether a call may run on the stack that this thread has left.
pub(super) fn is_enough() -> bool {
    stacker::remaining_stack().is_some_and(|left| left >= STACK_BYTES)
}
