//! Moves bytes between a stream and a protocol state machine.
//!
//! One task per connection does everything: it reads while it writes, and it goes on writing (and
//! takes commands from the [`Outbox`](crate::outbox::Outbox)) while the [`Handler`] is busy. Two
//! nodes that flood each other therefore never wait for each other. Reading stops while a batch of
//! events waits for the handler: that is the back-pressure towards the peer.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::ops::{ControlFlow, Deref, DerefMut};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use crate::connection::Connection;
use crate::outbox::{OutboxReceiver, Weigh};
use crate::runtime::Runtime;

mod pump;

use pump::Pump;

/// Largest read, bytes. The buffer belongs to the thread, not to the connection: an idle
/// connection holds none.
pub const READ_BYTES: usize = 256 * 1024;

/// Encoded bytes that are gathered for one write.
pub const WRITE_BATCH_BYTES: usize = 256 * 1024;

/// Time in which a connection that we end must take the last bytes and end its own direction.
pub const LINGER: Duration = Duration::from_secs(5);

/// Time without any progress of a write after which the peer counts as too slow.
pub const WRITE_STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// The state machine of one connection, without IO. [`Session`](quorate_wire::Session) is one.
pub trait Protocol: Send + 'static {
    /// What the connection tells its owner.
    type Event: Send + 'static;
    /// What the owner can ask of it from other tasks.
    type Command: Weigh + Send + 'static;
    /// Why it cannot go on.
    type Error: fmt::Display + Send + 'static;

    /// Takes bytes that came.
    fn receive(&mut self, now: Instant, bytes: BytesMut) -> Result<(), Self::Error>;
    /// Learns that the peer ended its direction.
    fn receive_end(&mut self) -> Result<(), Self::Error>;
    /// Returns what happened next, if anything.
    fn poll_event(&mut self) -> Option<Self::Event>;
    /// Carries out a command.
    fn apply(&mut self, command: Self::Command) -> Result<(), Self::Error>;
    /// Returns all bytes to be written.
    fn take_transmit(&mut self) -> Option<Bytes>;
    /// Bytes that [`take_transmit`](Self::take_transmit) would return.
    fn queued_bytes(&self) -> usize;
    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    fn poll_timeout(&self) -> Option<Instant>;
    /// Does what is due.
    fn handle_timeout(&mut self, now: Instant) -> Result<(), Self::Error>;
    /// Tells whether an error is a time that ran out.
    fn is_timeout(error: &Self::Error) -> bool;
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ended<E> {
    /// The peer closed it, in order or by a reset.
    #[error("the peer closed the connection")]
    RemoteClosed,
    /// The peer was silent for too long, or its host is gone.
    #[error("the peer was silent for too long")]
    TimedOut,
    /// The peer broke the protocol, or we did.
    #[error("protocol: {0}")]
    Protocol(E),
    /// The peer did not read what we sent.
    #[error("the peer was too slow to read")]
    TooSlow,
    /// We closed it: the handler or the outbox asked for it.
    #[error("closed by this node")]
    Local,
    /// The network failed.
    #[error("the network failed: {0}")]
    Network(io::ErrorKind),
}

/// Receives what happens on a connection.
pub trait Handler<P: Protocol>: Send {
    /// Takes a batch of events, in order. While it waits, no more than one further batch is read;
    /// writing goes on. `Break` closes the connection in order.
    fn on_events(
        &mut self,
        link: &Link<'_, P>,
        events: Vec<P::Event>,
    ) -> impl Future<Output = ControlFlow<()>> + Send;
}

/// The handler's access to the protocol.
pub struct Link<'a, P: Protocol> {
    shared: &'a Shared<P>,
}

/// Exclusive access to the protocol. What it is told goes out when the handler returns or waits.
/// Not to be kept across an await: the driver needs it meanwhile, and the compiler refuses it.
pub struct LinkGuard<'a, P: Protocol>(MutexGuard<'a, P>);

impl<P: Protocol> Link<'_, P> {
    /// Gives access to the protocol, never waiting for long: the driver runs in the same task.
    pub fn session(&self) -> LinkGuard<'_, P> {
        self.shared.touched.store(true, Ordering::Relaxed);
        LinkGuard(self.shared.session())
    }
}

impl<P: Protocol> fmt::Debug for Link<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl<P: Protocol> Deref for LinkGuard<'_, P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.0
    }
}

impl<P: Protocol> DerefMut for LinkGuard<'_, P> {
    fn deref_mut(&mut self) -> &mut P {
        &mut self.0
    }
}

impl<P: Protocol> fmt::Debug for LinkGuard<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkGuard").finish_non_exhaustive()
    }
}

/// What the pump and the dispatcher, two futures of one task, have in common.
struct Shared<P: Protocol> {
    session: Mutex<P>,
    /// Events that the handler has not taken yet.
    batch: Mutex<Vec<P::Event>>,
    /// The handler has a batch.
    busy: AtomicBool,
    /// The dispatcher did something that the pump has to look at.
    touched: AtomicBool,
}

impl<P: Protocol> Shared<P> {
    fn session(&self) -> MutexGuard<'_, P> {
        // One task locks it, so a panic under the lock has unwound that task already.
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn batch(&self) -> MutexGuard<'_, Vec<P::Event>> {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_delivered(&self) -> bool {
        !self.busy.load(Ordering::Relaxed) && self.batch().is_empty()
    }
}

/// Runs a connection to its end.
///
/// All events that came before the end are delivered before this returns, except when this node
/// ends the connection: then a handler that waits is dropped. Dropping the future closes the socket
/// at once.
pub async fn drive<P: Protocol, H: Handler<P>>(
    runtime: Arc<dyn Runtime>,
    connection: Connection,
    session: P,
    outbox: OutboxReceiver<P::Command>,
    handler: &mut H,
) -> Ended<P::Error> {
    let shared = Shared {
        session: Mutex::new(session),
        batch: Mutex::new(Vec::new()),
        busy: AtomicBool::new(false),
        touched: AtomicBool::new(false),
    };
    let mut pump = Pump::new(runtime, connection, outbox, &shared);
    let mut dispatch = pin!(dispatch(&shared, handler));
    let mut dispatching = true;
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(ended) = pump.poll(cx) {
                return Poll::Ready(ended);
            }
            if dispatching && dispatch.as_mut().poll(cx).is_ready() {
                dispatching = false;
                pump.abandon();
                continue;
            }
            if !shared.touched.swap(false, Ordering::Relaxed) {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// Hands batches to the handler until it has enough.
async fn dispatch<P: Protocol, H: Handler<P>>(shared: &Shared<P>, handler: &mut H) {
    let link = Link { shared };
    loop {
        // Needs no waker: the driver polls this after every turn of the pump, which alone fills
        // the batch.
        let events = poll_fn(|_| {
            let mut batch = shared.batch();
            if batch.is_empty() {
                return Poll::Pending;
            }
            shared.busy.store(true, Ordering::Relaxed);
            shared.touched.store(true, Ordering::Relaxed);
            Poll::Ready(std::mem::take(&mut *batch))
        })
        .await;
        let flow = handler.on_events(&link, events).await;
        shared.busy.store(false, Ordering::Relaxed);
        shared.touched.store(true, Ordering::Relaxed);
        if flow.is_break() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
