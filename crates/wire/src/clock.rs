//! Keep-alive, silence and the time a handshake may take.

use std::time::{Duration, Instant};

use crate::{SessionError, Timeouts};

/// What a session does because time has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    Ping,
}

/// Times of one connection. Sending happens without a clock at hand, so it counts from the last
/// time that was seen: a ping may go out early, and never late.
#[derive(Debug)]
pub(crate) struct Clock {
    timeouts: Timeouts,
    started: Instant,
    seen: Instant,
    last_received: Instant,
    last_sent: Instant,
    connected: bool,
}

impl Clock {
    pub(crate) fn new(timeouts: Timeouts, now: Instant) -> Self {
        Self { timeouts, started: now, seen: now, last_received: now, last_sent: now, connected: false }
    }

    /// Notes that bytes came.
    pub(crate) fn received(&mut self, now: Instant) {
        self.see(now);
        self.last_received = self.seen;
    }

    /// Notes that bytes were queued.
    pub(crate) fn sent(&mut self) {
        self.last_sent = self.seen;
    }

    /// Notes that the handshake is complete.
    pub(crate) fn connected(&mut self) {
        self.connected = true;
    }

    /// Returns the next time at which [`Self::check`] has something to say.
    pub(crate) fn deadline(&self) -> Instant {
        let silence = at(self.last_received, self.timeouts.silence);
        let other = if self.connected {
            at(self.last_sent, self.timeouts.keep_alive)
        } else {
            at(self.started, self.timeouts.handshake)
        };
        silence.min(other)
    }

    /// Tells what is due.
    pub(crate) fn check(&mut self, now: Instant) -> Result<Due, SessionError> {
        self.see(now);
        if !self.connected && self.seen >= at(self.started, self.timeouts.handshake) {
            return Err(SessionError::HandshakeTimeout { limit: self.timeouts.handshake });
        }
        if self.seen >= at(self.last_received, self.timeouts.silence) {
            return Err(SessionError::Silence { limit: self.timeouts.silence });
        }
        if self.connected && self.seen >= at(self.last_sent, self.timeouts.keep_alive) {
            return Ok(Due::Ping);
        }
        Ok(Due::Nothing)
    }

    fn see(&mut self, now: Instant) {
        self.seen = self.seen.max(now);
    }
}

/// Adds, and takes a time beyond what the clock can name for one that never comes.
fn at(from: Instant, after: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
    from.checked_add(after.min(FAR)).unwrap_or(from)
}
