//! A connection on which a stream is open, as the stream's task keeps it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use quorate_net::Command as Wire;
use quorate_proto::dat::FeedMessage;
use quorate_wire::Channel;

use super::command::OpenedPeer;
use crate::WireOutbox;

/// Bytes of messages that are gathered before they are handed to the connection.
const BATCH_BYTES: usize = 256 * 1024;

/// Bytes that a message without a block counts for.
const SMALL_MESSAGE_BYTES: usize = 64;

/// A connection on which the stream is open.
#[derive(Debug)]
pub(crate) struct Joined {
    /// Remote `ip:port`, for people.
    pub(crate) address: String,
    /// Name by which the peer is known on all its connections; its address where it has none.
    pub(crate) id: String,
    /// The peer is a quorate node.
    pub(crate) is_quorate: bool,
    /// When it was found to be one.
    pub(crate) quorate_since: Option<Instant>,
    /// What it said last of the quorum of the room: it may say so before the room is known here.
    pub(crate) said: Option<Bytes>,
    /// It carries another history of the feed that the writer signed.
    pub(crate) has_other_history: bool,
    remote_length: Arc<AtomicU64>,
    channel: Channel,
    outbox: WireOutbox,
    batch: Vec<(Channel, FeedMessage)>,
    batch_bytes: usize,
}

impl Joined {
    pub(crate) fn new(opened: OpenedPeer) -> Self {
        Self {
            id: opened.id.unwrap_or_else(|| opened.address.clone()),
            address: opened.address,
            is_quorate: false,
            quorate_since: None,
            said: None,
            has_other_history: false,
            remote_length: opened.remote_length,
            channel: opened.channel,
            outbox: opened.outbox,
            batch: Vec::new(),
            batch_bytes: 0,
        }
    }

    /// Length that the peer announces.
    pub(crate) fn remote_length(&self) -> u64 {
        self.remote_length.load(Ordering::Relaxed)
    }

    pub(crate) fn set_remote_length(&self, length: u64) {
        self.remote_length.store(length, Ordering::Relaxed);
    }

    /// Tells whether another answer may be produced for this peer.
    pub(crate) fn has_room(&self) -> bool {
        self.outbox.has_room()
    }

    /// Gathers a message; hands the batch over when it is large.
    pub(crate) fn push(&mut self, message: FeedMessage) {
        let bytes = match &message {
            FeedMessage::Data(data) => data.value.as_ref().map_or(0, |value| value.len()),
            FeedMessage::Have(have) => have.bitfield.as_ref().map_or(0, |bits| bits.len()),
            _ => 0,
        };
        self.batch_bytes += bytes + SMALL_MESSAGE_BYTES;
        self.batch.push((self.channel, message));
        if self.batch_bytes >= BATCH_BYTES {
            self.ship();
        }
    }

    /// Hands what is gathered to the connection. A connection that is full closes itself, and says so later.
    pub(crate) fn ship(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        self.batch_bytes = 0;
        let messages = std::mem::take(&mut self.batch);
        let _ = self.outbox.try_send(Wire::Send(messages));
    }

    /// Sends an extension message; the connection drops it when the peer does not list the name.
    pub(crate) fn extension(&mut self, name: &str, payload: Bytes) -> bool {
        self.ship();
        self.outbox
            .try_send(Wire::Extension { channel: Some(self.channel), name: name.to_owned(), payload })
            .is_ok()
    }

    /// Closes the channel after what was sent before.
    pub(crate) fn close_channel(&mut self) {
        self.ship();
        let _ = self.outbox.try_send(Wire::Close(self.channel));
    }

    /// Ends the whole connection after what was sent before.
    pub(crate) fn disconnect(&mut self) {
        self.ship();
        self.outbox.shutdown();
    }
}
