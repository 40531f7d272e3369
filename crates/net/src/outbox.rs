//! What other tasks want from a connection: a bounded queue that never makes them wait.
//!
//! A producer asks [`Outbox::has_room`] before it makes work, and is told when room is back. The
//! figure covers everything on the way to the socket: commands in the queue, bytes in the
//! session's transmit buffer and bytes handed to the socket but not taken by it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use event_listener::Event;
use quorate_types::limits::MAX_QUEUED_SEND_BYTES;

/// Bytes in one outbox after which the peer counts as too slow: producers that ask for room stop
/// at [`MAX_QUEUED_SEND_BYTES`], so this is reached by announcements that nobody reads.
pub const MAX_OUTBOX_BYTES: usize = 4 * MAX_QUEUED_SEND_BYTES;

/// Parties that may ask to be signalled by one outbox.
pub const MAX_ROOM_SIGNALS: usize = 1024;

/// What a command weighs while it waits.
pub trait Weigh {
    /// Bytes of memory that the command holds, itself included, about.
    fn weight(&self) -> usize;
}

/// Why a command was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OutboxError {
    /// The connection has ended or is about to.
    #[error("the connection has ended")]
    Closed,
    /// The peer does not read: the connection ends because of it.
    #[error("{queued} bytes wait for a peer that does not read them; at most {limit} may")]
    Full {
        /// Bytes that would have waited.
        queued: usize,
        /// The bound, [`MAX_OUTBOX_BYTES`].
        limit: usize,
    },
}

/// The producers' end. Clones feed the same connection.
pub struct Outbox<C> {
    shared: Arc<Shared<C>>,
}

/// The connection's end, for [`drive`](crate::drive::drive). Dropping it closes the outbox.
pub struct OutboxReceiver<C> {
    shared: Arc<Shared<C>>,
}

struct Shared<C> {
    state: Mutex<State<C>>,
    room: Event,
}

struct State<C> {
    commands: VecDeque<C>,
    command_bytes: usize,
    /// Bytes past the queue that the socket has not taken.
    in_flight: usize,
    driver: Option<Waker>,
    signals: Vec<async_channel::Sender<()>>,
    /// Someone was told that there is no room, and is to be told when there is.
    starved: bool,
    status: Status,
}

/// What the producers have asked of the connection as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// To go on.
    Open,
    /// To send what is queued and to close.
    ShuttingDown,
    /// Nothing: they found the outbox full.
    Overflowed,
    /// The connection is gone.
    Closed,
}

/// Creates an outbox.
pub fn outbox<C: Weigh>() -> (Outbox<C>, OutboxReceiver<C>) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            commands: VecDeque::new(),
            command_bytes: 0,
            in_flight: 0,
            driver: None,
            signals: Vec::new(),
            starved: false,
            status: Status::Open,
        }),
        room: Event::new(),
    });
    let receiver = OutboxReceiver { shared: Arc::clone(&shared) };
    (Outbox { shared }, receiver)
}

impl<C: Weigh> Outbox<C> {
    /// Queues a command, whole or not at all, and never waits. A full outbox ends the connection.
    pub fn try_send(&self, command: C) -> Result<(), OutboxError> {
        let weight = command.weight();
        let mut state = self.shared.lock();
        if state.status != Status::Open {
            return Err(OutboxError::Closed);
        }
        let queued = state.queued().saturating_add(weight);
        let result = if queued > MAX_OUTBOX_BYTES {
            state.status = Status::Overflowed;
            state.commands = VecDeque::new();
            state.command_bytes = 0;
            Err(OutboxError::Full { queued, limit: MAX_OUTBOX_BYTES })
        } else {
            state.commands.push_back(command);
            state.command_bytes += weight;
            Ok(())
        };
        state.wake_driver();
        result
    }
}

impl<C> Outbox<C> {
    /// Tells whether less than [`MAX_QUEUED_SEND_BYTES`] wait. A `false` is followed by a signal to
    /// [`room`](Self::room) and [`signal_room`](Self::signal_room) once half of that is free, or by
    /// the end of the connection.
    pub fn has_room(&self) -> bool {
        let mut state = self.shared.lock();
        let room = state.queued() < MAX_QUEUED_SEND_BYTES;
        state.starved |= !room;
        room
    }

    /// Bytes that wait: commands, encoded bytes and bytes that the socket has not taken.
    pub fn queued_bytes(&self) -> usize {
        self.shared.lock().queued()
    }

    /// Waits until there is room or the connection has ended. Cancel-safe.
    ///
    /// For producers only: a handler that waits here stops reading, and two nodes of which each
    /// waits for the other to read wait for ever.
    pub async fn room(&self) {
        while !self.has_room() && !self.is_closed() {
            let listener = self.shared.room.listen();
            if !self.has_room() && !self.is_closed() {
                listener.await;
            }
        }
    }

    /// Sends `()` into `signal` whenever room is back after a refusal, and when the connection
    /// ends. A channel of capacity 1 is enough, and one channel may serve many outboxes: a signal
    /// that finds it full is dropped. Beyond [`MAX_ROOM_SIGNALS`] live channels nothing is kept.
    pub fn signal_room(&self, signal: async_channel::Sender<()>) {
        let mut state = self.shared.lock();
        state.signals.retain(|signal| !signal.is_closed());
        if state.signals.len() < MAX_ROOM_SIGNALS {
            state.signals.push(signal);
        }
    }

    /// Lets the connection send what is queued and then close; later commands are refused.
    pub fn shutdown(&self) {
        let mut state = self.shared.lock();
        if state.status == Status::Open {
            state.status = Status::ShuttingDown;
            state.wake_driver();
        }
    }

    /// Tells whether the connection has ended or takes no more commands.
    pub fn is_closed(&self) -> bool {
        self.shared.lock().status != Status::Open
    }
}

impl<C: Weigh> OutboxReceiver<C> {
    /// Reports the bytes in flight, moves commands of about `budget` bytes (one at least, when
    /// `budget` is not 0) to `into`, and arranges for `waker` to be woken by the next change.
    pub(crate) fn exchange(
        &self,
        waker: &Waker,
        in_flight: usize,
        budget: usize,
        into: &mut Vec<C>,
    ) -> Status {
        let mut state = self.shared.lock();
        state.in_flight = in_flight;
        let mut moved = 0;
        while moved < budget {
            let Some(command) = state.commands.pop_front() else {
                break;
            };
            moved += command.weight();
            into.push(command);
        }
        state.command_bytes = state.command_bytes.saturating_sub(moved);
        // Until the caller reports them, the moved bytes count as in flight.
        state.in_flight += moved;
        if !state.driver.as_ref().is_some_and(|old| old.will_wake(waker)) {
            state.driver = Some(waker.clone());
        }
        if state.starved && state.queued() <= MAX_QUEUED_SEND_BYTES / 2 {
            state.signal();
            self.shared.room.notify(usize::MAX);
        }
        match state.status {
            Status::ShuttingDown if !state.commands.is_empty() => Status::Open,
            status => status,
        }
    }
}

impl<C> Drop for OutboxReceiver<C> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.status = Status::Closed;
        state.commands = VecDeque::new();
        state.command_bytes = 0;
        state.in_flight = 0;
        state.driver = None;
        state.signal();
        self.shared.room.notify(usize::MAX);
    }
}

impl<C> Shared<C> {
    fn lock(&self) -> MutexGuard<'_, State<C>> {
        // Nothing panics while it holds the lock; a poisoned one still holds a consistent state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> State<C> {
    fn queued(&self) -> usize {
        self.command_bytes.saturating_add(self.in_flight)
    }

    fn wake_driver(&mut self) {
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
    }

    fn signal(&mut self) {
        self.starved = false;
        // A full channel has a signal in it already.
        self.signals
            .retain(|signal| !matches!(signal.try_send(()), Err(async_channel::TrySendError::Closed(()))));
    }
}

impl<C> Clone for Outbox<C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<C> std::fmt::Debug for Outbox<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("Outbox")
            .field("queued_bytes", &state.queued())
            .field("status", &state.status)
            .finish()
    }
}

impl<C> std::fmt::Debug for OutboxReceiver<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutboxReceiver").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future;

    impl Weigh for usize {
        fn weight(&self) -> usize {
            *self
        }
    }

    fn take(receiver: &OutboxReceiver<usize>, in_flight: usize, budget: usize) -> (Vec<usize>, Status) {
        let mut taken = Vec::new();
        let status = receiver.exchange(Waker::noop(), in_flight, budget, &mut taken);
        (taken, status)
    }

    #[test]
    fn commands_come_out_in_order_and_in_batches() {
        let (sender, receiver) = outbox();
        for weight in [10, 20, 30, 40] {
            sender.try_send(weight).unwrap();
        }
        assert_eq!(sender.queued_bytes(), 100);
        assert_eq!(take(&receiver, 0, 0), (vec![], Status::Open));
        assert_eq!(take(&receiver, 0, 25), (vec![10, 20], Status::Open));
        assert_eq!(sender.queued_bytes(), 100);
        assert_eq!(take(&receiver, 5, 1000), (vec![30, 40], Status::Open));
        assert_eq!(sender.queued_bytes(), 75);
        assert_eq!(take(&receiver, 0, 1000), (vec![], Status::Open));
        assert_eq!(sender.queued_bytes(), 0);
    }

    #[test]
    fn room_is_signalled_once_half_is_free() {
        let (sender, receiver) = outbox();
        let (signal, signalled) = async_channel::bounded(1);
        sender.signal_room(signal);
        sender.try_send(MAX_QUEUED_SEND_BYTES).unwrap();
        assert!(!sender.has_room());
        let mut waiting = Box::pin(sender.room());
        assert!(future::block_on(future::poll_once(&mut waiting)).is_none());
        take(&receiver, 0, 1);
        assert!(signalled.try_recv().is_err());
        take(&receiver, MAX_QUEUED_SEND_BYTES / 2 + 1, 1);
        assert!(signalled.try_recv().is_err());
        take(&receiver, MAX_QUEUED_SEND_BYTES / 2, 1);
        signalled.try_recv().unwrap();
        future::block_on(waiting);
        assert!(sender.has_room());
        take(&receiver, 0, 1);
        assert!(signalled.try_recv().is_err(), "a signal without a refusal before it");
    }

    #[test]
    fn a_full_outbox_gives_up_and_frees_its_memory() {
        let (sender, receiver) = outbox();
        sender.try_send(MAX_OUTBOX_BYTES).unwrap();
        assert_eq!(
            sender.try_send(1),
            Err(OutboxError::Full { queued: MAX_OUTBOX_BYTES + 1, limit: MAX_OUTBOX_BYTES })
        );
        assert_eq!(sender.queued_bytes(), 0);
        assert_eq!(sender.try_send(1), Err(OutboxError::Closed));
        assert_eq!(take(&receiver, 0, 1), (vec![], Status::Overflowed));
    }

    #[test]
    fn shutdown_comes_after_what_is_queued() {
        let (sender, receiver) = outbox();
        sender.try_send(1).unwrap();
        sender.try_send(2).unwrap();
        sender.shutdown();
        assert_eq!(sender.try_send(3), Err(OutboxError::Closed));
        assert_eq!(take(&receiver, 0, 1), (vec![1], Status::Open));
        assert_eq!(take(&receiver, 0, 1), (vec![2], Status::ShuttingDown));
    }

    #[test]
    fn the_end_of_the_connection_releases_everyone() {
        let (sender, receiver) = outbox();
        let (signal, signalled) = async_channel::bounded(1);
        sender.signal_room(signal);
        sender.try_send(MAX_QUEUED_SEND_BYTES).unwrap();
        assert!(!sender.has_room());
        drop(receiver);
        future::block_on(sender.room());
        signalled.try_recv().unwrap();
        assert!(sender.is_closed());
        assert_eq!(sender.try_send(1), Err(OutboxError::Closed));
    }
}
