//! Turns: as many calls run at once as the pool has places for; who makes another one waits.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The turns that are free.
#[derive(Debug)]
pub(super) struct Turns {
    free: Mutex<u32>,
    freed: Condvar,
}

/// May call rules. Goes back when it is dropped.
#[derive(Debug)]
pub(super) struct Turn(Arc<Turns>);

impl Turns {
    pub(super) fn new(most: u32) -> Arc<Self> {
        Arc::new(Self { free: Mutex::new(most), freed: Condvar::new() })
    }

    /// Waits for a turn.
    pub(super) fn wait(self: &Arc<Self>) -> Turn {
        let mut free = self.free();
        while *free == 0 {
            free = self.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free = free.saturating_sub(1);
        Turn(Arc::clone(self))
    }

    fn free(&self) -> MutexGuard<'_, u32> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Tells whether it is one of these.
    pub(super) fn is_of(&self, turns: &Arc<Turns>) -> bool {
        Arc::ptr_eq(&self.0, turns)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut free = self.0.free();
        *free = free.saturating_add(1);
        self.0.freed.notify_one();
    }
}
