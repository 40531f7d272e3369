//! A stream that is read while it grows.

use std::time::Instant;

use futures_lite::future;
use quorate_node::event::Event;
use quorate_node::model::StreamInfo;

use crate::backend::{Backend, Events, sleep};
use crate::context::Context;
use crate::interrupt::Interrupt;
use crate::stop::{Outcome, Stop};

/// A stream, and the news about it where the command goes on with what comes.
pub(crate) struct Follow {
    /// Where the stream is.
    pub(crate) backend: Backend,
    /// The stream as it was when last looked at.
    pub(crate) info: StreamInfo,
    /// The peer with which another history was found last.
    pub(crate) other_history: Option<String>,
    events: Option<Events>,
    interrupt: Interrupt,
}

impl Follow {
    /// Opens a stream to read it. With `live`, and no node on the home, this command is the node: it
    /// takes what other commands append, and what the peers of the stream have.
    pub(crate) async fn open(context: &Context, stream: &str, live: bool) -> Outcome<Self> {
        let backend = if live {
            Backend::follow(&context.home, stream, context.timeout).await?
        } else {
            context.backend().await?
        };
        // Events first: what happens between the two is then seen twice, and not never.
        let events = if live { Some(backend.events().await?) } else { None };
        let info = if live { backend.info(stream).await? } else { backend.settled(stream).await? };
        let interrupt = context.interrupt.clone();
        Ok(Self { backend, info, other_history: None, events, interrupt })
    }

    /// Waits until something of the stream has changed, and looks at it again. Ends on Ctrl-C.
    pub(crate) async fn changed(&mut self) -> Outcome {
        self.changed_before(None).await
    }

    /// Waits like [`changed`](Self::changed), and looks no later than `wake`.
    pub(crate) async fn changed_before(&mut self, wake: Option<Instant>) -> Outcome {
        let Some(events) = &mut self.events else {
            return Ok(());
        };
        loop {
            let next = async { Ok(Some(events.next().await?)) };
            let ended = async {
                self.interrupt.wait().await;
                Err(Stop::Interrupted)
            };
            let late = async {
                match wake {
                    Some(wake) => sleep(wake).await,
                    None => future::pending().await,
                }
                Ok(None)
            };
            let Some(event) = future::or(next, future::or(ended, late)).await? else { break };
            if let Event::Fork { stream, peer, .. } = &event
                && *stream == self.info.name
            {
                self.other_history = Some(peer.clone());
            }
            if concerns(&event, &self.info.name) {
                break;
            }
        }
        self.info = self.backend.info(&self.info.name).await?;
        Ok(())
    }

    /// Flushes and lets go of the stream.
    pub(crate) async fn close(self) -> Outcome {
        Ok(self.backend.close().await?)
    }
}

/// Tells whether there may be blocks of the stream, or something about them, that were not there before.
fn concerns(event: &Event, name: &str) -> bool {
    match event {
        Event::Appended { stream, .. }
        | Event::Downloaded { stream, .. }
        | Event::Synced { stream, .. }
        | Event::Checked { stream, .. }
        | Event::Refused { stream, .. }
        | Event::Epoch { stream, .. }
        | Event::Voted { stream, .. }
        | Event::Committed { stream, .. }
        | Event::Evidence { stream, .. }
        | Event::Fork { stream, .. }
        | Event::Sharing { stream, .. } => stream == name,
        Event::Lagged { .. } => true,
        _ => false,
    }
}
