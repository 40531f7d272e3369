//! The Dat session as a protocol of the driver.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use quorate_proto::dat::FeedMessage;
use quorate_types::{DiscoveryKey, Node, PublicKey};
use quorate_wire::{Channel, Event, Session, SessionError};

use crate::drive::Protocol;
use crate::outbox::Weigh;

/// What other tasks can ask of a Dat connection.
///
/// What is refused without harm to the connection (a channel that is closed or not open yet, an
/// extension that is too long) is logged and dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Open a feed: `Opened` follows when the peer has it too.
    Open(PublicKey),
    /// Refuse a feed that the peer opened.
    Refuse(DiscoveryKey),
    /// Close a channel.
    Close(Channel),
    /// Send messages about blocks, in order.
    Send(Vec<(Channel, FeedMessage)>),
    /// Send a message of an extension, about a feed or about the whole connection.
    Extension {
        /// Feed; `None` for the connection.
        channel: Option<Channel>,
        /// Name of the extension.
        name: String,
        /// The message.
        payload: Bytes,
    },
}

impl Weigh for Command {
    fn weight(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Open(_) | Self::Refuse(_) | Self::Close(_) => 0,
                Self::Send(messages) => messages.iter().map(message_weight).sum(),
                Self::Extension { name, payload, .. } => name.len() + payload.len(),
            }
    }
}

fn message_weight((_, message): &(Channel, FeedMessage)) -> usize {
    let held = match message {
        FeedMessage::Data(data) => {
            data.value.as_ref().map_or(0, Bytes::len) + data.nodes.len() * size_of::<Node>()
        }
        FeedMessage::Have(have) => have.bitfield.as_ref().map_or(0, Bytes::len),
        _ => 0,
    };
    size_of::<(Channel, FeedMessage)>() + held
}

impl Protocol for Session {
    type Event = Event;
    type Command = Command;
    type Error = SessionError;

    fn receive(&mut self, now: Instant, bytes: BytesMut) -> Result<(), SessionError> {
        Session::receive(self, now, bytes)
    }

    fn receive_end(&mut self) -> Result<(), SessionError> {
        match self.end() {
            // A peer that is killed stops anywhere.
            Err(SessionError::FrameEnded { .. }) => Ok(()),
            result => result,
        }
    }

    fn poll_event(&mut self) -> Option<Event> {
        Session::poll_event(self)
    }

    fn apply(&mut self, command: Command) -> Result<(), SessionError> {
        match command {
            Command::Open(key) => harmless(self.open(&key)),
            Command::Refuse(discovery_key) => harmless(self.refuse(&discovery_key)),
            Command::Close(channel) => {
                self.close(channel);
                Ok(())
            }
            Command::Send(messages) => {
                messages.iter().try_for_each(|(channel, message)| harmless(self.send(*channel, message)))
            }
            Command::Extension { channel, name, payload } => {
                harmless(self.send_extension(channel, &name, &payload))
            }
        }
    }

    fn take_transmit(&mut self) -> Option<Bytes> {
        Session::take_transmit(self)
    }

    fn queued_bytes(&self) -> usize {
        Session::queued_bytes(self)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        Session::poll_timeout(self)
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), SessionError> {
        Session::handle_timeout(self, now)
    }

    fn is_timeout(error: &SessionError) -> bool {
        matches!(error, SessionError::Silence { .. })
    }
}

fn harmless<T>(result: Result<T, SessionError>) -> Result<(), SessionError> {
    match result {
        Err(error) if error.is_fatal() => Err(error),
        Err(error) => {
            tracing::debug!(%error, "a command was not carried out");
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}
