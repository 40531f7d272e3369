//! Hands events to everyone who listens, without ever waiting for them.

use async_broadcast::{InactiveReceiver, Receiver, RecvError, Sender, TrySendError};

use crate::event::Event;

/// Events that wait for a slow listener before the oldest are dropped.
const EVENTS_KEPT: usize = 4096;

/// Where events come from.
#[derive(Debug, Clone)]
pub(crate) struct EventSender {
    sender: Sender<Event>,
    // Keeps the channel open while nobody listens.
    keep: InactiveReceiver<Event>,
}

impl EventSender {
    pub(crate) fn new() -> Self {
        let (mut sender, receiver) = async_broadcast::broadcast(EVENTS_KEPT);
        sender.set_overflow(true);
        Self { sender, keep: receiver.deactivate() }
    }

    /// Tells everyone who listens.
    pub(crate) fn send(&self, event: Event) {
        match self.sender.try_broadcast(event) {
            Ok(_) | Err(TrySendError::Inactive(_) | TrySendError::Closed(_) | TrySendError::Full(_)) => {}
        }
    }

    /// Listens from now on.
    pub(crate) fn listen(&self) -> EventStream {
        EventStream::Local(self.keep.activate_cloned())
    }

    /// Ends every stream of events once it has been read.
    pub(crate) fn close(&self) {
        self.sender.close();
    }
}

/// Events as they happen.
#[derive(Debug)]
pub enum EventStream {
    /// Of a node in this process.
    Local(Receiver<Event>),
    /// Of a node in another process.
    Remote(crate::api::RemoteEvents),
}

impl EventStream {
    /// Waits for the next event; `None` when the node has ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        match self {
            Self::Local(receiver) => match receiver.recv_direct().await {
                Ok(event) => Some(event),
                Err(RecvError::Overflowed(lost)) => Some(Event::Lagged { lost }),
                Err(RecvError::Closed) => None,
            },
            Self::Remote(events) => events.next().await,
        }
    }
}
