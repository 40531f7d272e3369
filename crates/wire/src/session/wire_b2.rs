//! Wire B2: hypercore-protocol 8 (`index.js`) over simple-hypercore-protocol 2.
//!
//! A Noise handshake first, then channels that each side numbers for itself from 1. Channel 0 has
//! the extensions of the connection.

use bytes::{Buf, Bytes};
use quorate_proto::dat::{ChannelOpen, Close, Options, kind};
use quorate_types::limits::MAX_HANDSHAKE_MESSAGE_BYTES;
use quorate_types::{DiscoveryKey, PublicKey};

use super::Session;
use crate::capability;
use crate::channels::Entry;
use crate::cipher::Cipher;
use crate::extensions::RemoteNames;
use crate::frame::{self, Frame};
use crate::handshake::{Handshake, Secured, Step};
use crate::varint::{self, Varint};
use crate::{Channel, Event, SessionError};

/// What wire B2 alone has.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Handshake, until it is complete.
    handshake: Option<Handshake>,
    /// What the handshake left.
    pub(super) secured: Option<Box<Secured>>,
    /// Extensions of the connection that the other side knows.
    pub(super) remote_names: Option<RemoteNames>,
}

impl Session {
    pub(super) fn b2_begin(&mut self) -> Result<(), SessionError> {
        let (handshake, first) = Handshake::new(&self.config)?;
        self.b2.handshake = Some(handshake);
        if let Some(message) = first {
            self.outbound.push_prefixed(&message);
        }
        Ok(())
    }

    /// Reads messages of the handshake until it is complete or more bytes are needed.
    pub(super) fn b2_handshake(&mut self) -> Result<(), SessionError> {
        while let Some(message) = self.b2_handshake_message()? {
            let Some(handshake) = &mut self.b2.handshake else { return Ok(()) };
            match handshake.read(&message, |key| self.config.peers.admits(key))? {
                Step::Reply(reply) => self.outbound.push_prefixed(&reply),
                Step::Complete { reply, secured } => {
                    if let Some(reply) = reply {
                        self.outbound.push_prefixed(&reply);
                    }
                    return self.b2_secured(secured);
                }
            }
        }
        Ok(())
    }

    fn b2_handshake_message(&mut self) -> Result<Option<Bytes>, SessionError> {
        let (value, len) = match varint::read(&self.inbound) {
            Varint::Complete { value, len } => (value, len),
            Varint::Incomplete => return Ok(None),
            Varint::TooLong => return Err(SessionError::Varint { what: "length of a handshake message" }),
        };
        let limit = MAX_HANDSHAKE_MESSAGE_BYTES as u64;
        if value > limit {
            return Err(SessionError::HandshakeTooLarge { limit, found: value });
        }
        let size = usize::try_from(value).unwrap_or(usize::MAX);
        if self.inbound.len() < size.saturating_add(len) {
            return Ok(None);
        }
        self.inbound.advance(len);
        Ok(Some(self.inbound.split_to(size).freeze()))
    }

    fn b2_secured(&mut self, secured: Box<Secured>) -> Result<(), SessionError> {
        self.b2.handshake = None;
        self.outbound.start(Cipher::new(&secured.split.tx, &self.config.entropy.nonce));
        let inbound = Cipher::new(&secured.split.rx, &secured.remote_nonce);
        self.events.push_back(Event::Connected {
            remote_key: Some(secured.remote_key),
            remote_id: None,
            live: true,
            user_data: None,
        });
        self.b2.secured = Some(secured);
        self.connected = true;
        self.clock.connected();
        if !self.stream_names.names().is_empty() {
            let extensions = self.stream_names.names().to_vec();
            self.b2_send_options(0, &Options { extensions, ack: false });
        }
        let wanted: Vec<Channel> = self.channels.all().map(|(channel, _)| channel).collect();
        wanted.into_iter().try_for_each(|channel| self.b2_send_open(channel))?;
        self.start_inbound(inbound);
        Ok(())
    }

    pub(super) fn b2_frame(&mut self, frame: Frame) -> Result<(), SessionError> {
        let channel = self.channels.of_remote(frame.channel);
        match (frame.kind, channel) {
            (kind::OPEN, _) => self.b2_remote_open(frame),
            (kind::CLOSE, _) => self.b2_remote_close(frame),
            (kind::OPTIONS, Some(channel)) => self.b2_remote_options(channel, frame.body),
            (kind::OPTIONS, None) if frame.channel == 0 => self.b2_stream_options(frame.body),
            (kind::EXTENSION, Some(channel)) => self.deliver_extension(Some(channel), frame.body),
            (kind::EXTENSION, None) if frame.channel == 0 => self.deliver_extension(None, frame.body),
            (_, Some(channel)) => self.deliver(channel, frame),
            // What was under way when the channel was closed here.
            (_, None) => Ok(()),
        }
    }

    fn b2_remote_open(&mut self, frame: Frame) -> Result<(), SessionError> {
        let ChannelOpen { discovery_key, capability } = ChannelOpen::decode(frame.body)?;
        let id = frame.channel;
        if id == 0 || self.channels.of_remote(id).is_some() {
            return Err(SessionError::ChannelInUse { channel: id, discovery_key });
        }
        let channel = self.channels.find_or_create(discovery_key);
        let Some(entry) = self.channels.get_mut(channel) else { return Ok(()) };
        if entry.remote.is_some() {
            return Err(SessionError::DuplicateOpen { channel: id, discovery_key });
        }
        entry.capability = capability;
        let ours = entry.key.is_some();
        self.channels.attach_remote(channel, id);
        if ours {
            return self.complete(channel);
        }
        self.events.push_back(Event::RemoteOpen { discovery_key });
        Ok(())
    }

    fn b2_remote_close(&mut self, frame: Frame) -> Result<(), SessionError> {
        let close = Close::decode(frame.body)?;
        let channel = self.channels.of_remote(frame.channel);
        let channel = channel.or_else(|| self.channels.find(&close.discovery_key?));
        if let Some(channel) = channel
            && let Some(entry) = self.channels.remove(channel)
        {
            if let Some(local) = entry.local {
                self.b2_send_close(local, Close::default());
            }
            if entry.key.is_some() {
                self.events.push_back(Event::Closed { channel });
            }
        }
        Ok(())
    }

    /// Options of a feed that is not open here are dropped, as in the reference, which sends them
    /// only when the feed is open on both sides.
    fn b2_remote_options(&mut self, channel: Channel, body: Bytes) -> Result<(), SessionError> {
        let options = Options::decode(body)?;
        let names = self.names.matched(options.extensions);
        if let Some(entry) = self.channels.get_mut(channel).filter(|entry| entry.opened) {
            let names_told = names.names().to_vec();
            entry.remote_ack = options.ack;
            entry.remote_names = Some(names);
            self.events.push_back(Event::Extensions { channel: Some(channel), names: names_told });
        }
        Ok(())
    }

    fn b2_stream_options(&mut self, body: Bytes) -> Result<(), SessionError> {
        let names = self.stream_names.matched(Options::decode(body)?.extensions);
        self.events.push_back(Event::Extensions { channel: None, names: names.names().to_vec() });
        self.b2.remote_names = Some(names);
        Ok(())
    }

    pub(super) fn b2_open(
        &mut self,
        key: &PublicKey,
        discovery_key: DiscoveryKey,
    ) -> Result<Channel, SessionError> {
        if let Some(entry) = self.channels.find(&discovery_key).and_then(|channel| self.channels.get(channel))
            && entry.remote.is_some()
            && !self.b2_is_proven(entry, key)
        {
            // As for an unknown feed, or the answer would tell that this one is carried here.
            self.b2_refuse(&discovery_key);
            return Err(SessionError::Refused { discovery_key });
        }
        if self.connected {
            self.channels.free_local()?;
        }
        let channel = self.channels.find_or_create(discovery_key);
        if let Some(entry) = self.channels.get_mut(channel) {
            entry.key = Some(*key);
            entry.muted = false;
        }
        if self.connected {
            self.b2_send_open(channel)?;
            self.complete(channel)?;
        }
        Ok(channel)
    }

    /// Asks for a feed, or answers that it is carried here.
    fn b2_send_open(&mut self, channel: Channel) -> Result<(), SessionError> {
        let Some(entry) = self.channels.get(channel) else { return Ok(()) };
        let (Some(key), Some(secured)) = (entry.key, &self.b2.secured) else { return Ok(()) };
        let capability = Some(capability::ours(&secured.split, &key));
        let open = ChannelOpen { discovery_key: entry.discovery_key, capability };
        let local = self.channels.attach_local(channel)?;
        self.push(frame::header(local, kind::OPEN), open.encoded_len(), |out| open.encode(out));
        Ok(())
    }

    /// Tells whether the other side has shown that it knows the key.
    pub(super) fn b2_is_proven(&self, entry: &Entry, key: &PublicKey) -> bool {
        match (&self.b2.secured, &entry.capability) {
            (Some(secured), Some(theirs)) => capability::is_theirs(&secured.split, key, theirs),
            _ => false,
        }
    }

    /// Sends what follows the opening of a channel.
    pub(super) fn b2_opened(&mut self, channel: Channel) {
        let local = self.channels.get(channel).and_then(|entry| entry.local);
        if let Some(local) = local
            && (self.config.ack || !self.names.names().is_empty())
        {
            let extensions = self.names.names().to_vec();
            self.b2_send_options(local, &Options { extensions, ack: self.config.ack });
        }
    }

    fn b2_send_options(&mut self, local: u64, options: &Options) {
        self.push(frame::header(local, kind::OPTIONS), options.encoded_len(), |out| options.encode(out));
    }

    /// Closes a feed by its name, on a number that is not in use (hypercore-protocol 8, `close`).
    pub(super) fn b2_refuse(&mut self, discovery_key: &DiscoveryKey) {
        let Some(channel) = self.channels.find(discovery_key) else { return };
        if self.channels.get(channel).is_some_and(|entry| entry.key.is_none() && !entry.muted) {
            self.channels.mute(channel);
            if let Ok(local) = self.channels.free_local() {
                self.b2_send_close(local, Close { discovery_key: Some(*discovery_key) });
            }
        }
    }

    pub(super) fn b2_close(&mut self, channel: Channel) {
        if let Some(local) = self.channels.remove(channel).and_then(|entry| entry.local) {
            self.b2_send_close(local, Close::default());
        }
    }

    fn b2_send_close(&mut self, local: u64, close: Close) {
        self.push(frame::header(local, kind::CLOSE), close.encoded_len(), |out| close.encode(out));
    }
}
