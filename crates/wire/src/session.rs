//! One end of a connection, without the connection.

#[cfg(test)]
mod tests;
mod wire_a;
mod wire_b2;

use std::collections::VecDeque;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use quorate_proto::dat::{FeedMessage, kind};
use quorate_types::limits::{MAX_CHANNELS, MAX_EXTENSION_BYTES, MAX_FRAME_BYTES, MAX_PENDING_BYTES};
use quorate_types::{DiscoveryKey, NoisePublicKey, PeerId, PublicKey, Wire};

use crate::channels::{Channels, detached};
use crate::cipher::Cipher;
use crate::clock::{Clock, Due};
use crate::extensions::LocalNames;
use crate::frame::{self, Frame};
use crate::outbound::{Outbound, frame_len};
use crate::varint::{self, Varint};
use crate::{Channel, Event, SessionConfig, SessionError};

/// One end of a connection of either wire.
///
/// After each call that takes `&mut self`, [`poll_event`](Self::poll_event) and
/// [`take_transmit`](Self::take_transmit) may have something new. All that is queued between
/// two calls of `take_transmit` comes out as one buffer.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    names: LocalNames,
    stream_names: LocalNames,
    clock: Clock,
    /// Bytes that are no whole frame yet: decrypted when `cipher` is there.
    inbound: BytesMut,
    received: u64,
    cipher: Option<Cipher>,
    outbound: Outbound,
    channels: Channels,
    events: VecDeque<Event>,
    connected: bool,
    failed: Option<SessionError>,
    a: wire_a::State,
    b2: wire_b2::State,
}

impl Session {
    /// Begins a connection at the time `now`.
    ///
    /// On wire B2 an initiator has its first message ready at once; on wire A the first message is
    /// that of the first [`open`](Self::open).
    ///
    /// # Errors
    ///
    /// [`SessionError::ExtensionNames`] for lists that cannot be sent,
    /// [`SessionError::HandshakeSetup`] for a key that no handshake can begin with.
    pub fn new(config: SessionConfig, now: Instant) -> Result<Self, SessionError> {
        let mut session = Self {
            names: LocalNames::new(config.extensions.clone())?,
            stream_names: LocalNames::new(config.stream_extensions.clone())?,
            clock: Clock::new(config.timeouts, now),
            inbound: BytesMut::new(),
            received: 0,
            cipher: None,
            outbound: Outbound::default(),
            channels: Channels::new(config.wire),
            events: VecDeque::new(),
            connected: false,
            failed: None,
            a: wire_a::State::default(),
            b2: wire_b2::State::default(),
            config,
        };
        if session.config.wire == Wire::B2 {
            session.b2_begin()?;
        }
        Ok(session)
    }

    /// Takes bytes that arrived, in whatever pieces.
    ///
    /// A `BytesMut` is decrypted where it is and the payloads of messages share its memory. Pieces that
    /// were split off one `BytesMut` one after the other are joined without a copy.
    ///
    /// # Errors
    ///
    /// All of them are fatal. Events of what came before the fault are still there.
    pub fn receive(&mut self, now: Instant, bytes: impl Into<BytesMut>) -> Result<(), SessionError> {
        self.check()?;
        let bytes = bytes.into();
        if bytes.is_empty() {
            return Ok(());
        }
        self.clock.received(now);
        self.received = self.received.saturating_add(bytes.len() as u64);
        let result = self.take_in(bytes);
        self.settle(result)
    }

    /// Returns the next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Takes all bytes that are to be written, encrypted.
    pub fn take_transmit(&mut self) -> Option<Bytes> {
        self.outbound.take()
    }

    /// Returns how many bytes [`take_transmit`](Self::take_transmit) would give.
    pub fn queued_bytes(&self) -> usize {
        self.outbound.len()
    }

    /// Returns how many received bytes wait for the rest of their frame: at most one frame.
    pub fn buffered_bytes(&self) -> usize {
        self.inbound.len()
    }

    /// Returns the time at which [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.failed.is_none().then(|| self.clock.deadline())
    }

    /// Sends a ping when this side was silent for long.
    ///
    /// # Errors
    ///
    /// [`SessionError::HandshakeTimeout`] and [`SessionError::Silence`], both fatal.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), SessionError> {
        self.check()?;
        let due = self.clock.check(now);
        if due == Ok(Due::Ping) {
            self.outbound.push_ping();
            self.clock.sent();
        }
        self.settle(due.map(drop))
    }

    /// Judges the end of the stream of received bytes.
    ///
    /// # Errors
    ///
    /// The failure that occurred before, [`SessionError::HandshakeEnded`] or
    /// [`SessionError::FrameEnded`]; an end between two frames is none.
    pub fn end(&self) -> Result<(), SessionError> {
        self.check()?;
        if !self.connected {
            return Err(SessionError::HandshakeEnded { received: self.received });
        }
        match self.inbound.len() {
            0 => Ok(()),
            received => Err(SessionError::FrameEnded { received }),
        }
    }

    /// Opens a feed on this connection: answers a `RemoteOpen`, or asks the other side for the feed.
    /// Doing it again gives the same channel.
    ///
    /// On wire A both sides must open the same feed first. On wire B2 feeds that are opened during
    /// the handshake are asked for when it is complete.
    ///
    /// # Errors
    ///
    /// [`SessionError::TooManyChannels`] and [`SessionError::Refused`], which are not fatal; on wire A
    /// [`SessionError::FirstFeed`], and whatever is wrong with the bytes that the key makes readable.
    pub fn open(&mut self, key: &PublicKey) -> Result<Channel, SessionError> {
        self.check()?;
        let discovery_key = key.discovery_key();
        if let Some(channel) = self.channels.find(&discovery_key)
            && self.channels.get(channel).is_some_and(|entry| entry.key.is_some())
        {
            return Ok(channel);
        }
        if self.channels.ours() >= MAX_CHANNELS {
            return Err(SessionError::TooManyChannels { limit: MAX_CHANNELS });
        }
        let result = match self.config.wire {
            Wire::A => self.a_open(key, discovery_key),
            Wire::B2 => self.b2_open(key, discovery_key),
        };
        self.settle(result)
    }

    /// Refuses a feed that the other side opened; the other side gets a `Closed` on wire B2 and no
    /// answer on wire A.
    ///
    /// # Errors
    ///
    /// [`SessionError::FirstFeedRefused`] on wire A when nothing can be read without this feed.
    pub fn refuse(&mut self, discovery_key: &DiscoveryKey) -> Result<(), SessionError> {
        self.check()?;
        let result = match self.config.wire {
            Wire::A => self.a_refuse(discovery_key),
            Wire::B2 => {
                self.b2_refuse(discovery_key);
                Ok(())
            }
        };
        self.settle(result)
    }

    /// Closes a channel; no event follows, and what still comes on it is dropped. Wire A has no
    /// message for it: the other side learns of it when the connection ends.
    pub fn close(&mut self, channel: Channel) {
        if self.failed.is_some() {
            return;
        }
        match self.config.wire {
            Wire::A => self.a_close(channel),
            Wire::B2 => self.b2_close(channel),
        }
    }

    /// Queues a message. One for a channel that was closed goes nowhere.
    ///
    /// # Errors
    ///
    /// [`SessionError::NotOpen`] before `Opened`, [`SessionError::MessageTooLarge`] beyond
    /// [`MAX_FRAME_BYTES`]; neither is fatal.
    pub fn send(&mut self, channel: Channel, message: &FeedMessage) -> Result<(), SessionError> {
        self.check()?;
        let Some(local) = self.writable(channel)? else { return Ok(()) };
        let header = frame::header(local, message.kind());
        let body_len = message.encoded_len();
        let found = frame_len(header, body_len);
        if found > MAX_FRAME_BYTES {
            return Err(SessionError::MessageTooLarge { limit: MAX_FRAME_BYTES, found });
        }
        self.push(header, body_len, |out| message.encode(out));
        if matches!(message, FeedMessage::Request(request) if !request.hash)
            && let Some(entry) = self.channels.get_mut(channel)
        {
            entry.asked = true;
        }
        Ok(())
    }

    /// Queues an extension message about a feed, or about the connection itself, which wire B2 alone
    /// has. Returns false, and sends nothing, when the other side cannot know the name: it listed other
    /// ones, the channel is closed, or the wire has no such messages. A message that is sent before the
    /// other side listed its names is dropped there if it does not know the name.
    ///
    /// # Errors
    ///
    /// [`SessionError::UnknownExtension`] for a name that the configuration does not list,
    /// [`SessionError::ExtensionTooLarge`] beyond [`MAX_EXTENSION_BYTES`],
    /// [`SessionError::NotOpen`] before `Opened` or `Connected`; none is fatal.
    pub fn send_extension(
        &mut self,
        channel: Option<Channel>,
        name: &str,
        payload: &[u8],
    ) -> Result<bool, SessionError> {
        self.check()?;
        let names = if channel.is_some() { &self.names } else { &self.stream_names };
        let number = names.number(name);
        let number = number.ok_or_else(|| SessionError::UnknownExtension { name: name.to_owned() })?;
        if payload.len() > MAX_EXTENSION_BYTES {
            return Err(self.extension_too_large(name, payload.len(), true));
        }
        let local = match channel {
            Some(channel) => self.writable(channel)?,
            None => (self.config.wire == Wire::B2 && self.connected).then_some(0),
        };
        let Some(local) = local else { return Ok(false) };
        if self.remote_names(channel).is_some_and(|names| !names.lists(name)) {
            return Ok(false);
        }
        let body_len = varint::len(number).saturating_add(payload.len());
        self.push(frame::header(local, kind::EXTENSION), body_len, |out| {
            varint::write(out, number);
            out.extend_from_slice(payload);
        });
        Ok(true)
    }

    /// Returns the names that the other side listed, in the order of their numbers; none before it
    /// did. On wire A they are those of the connection, whatever the channel.
    pub fn remote_extensions(&self, channel: Option<Channel>) -> &[String] {
        self.remote_names(channel).map_or(&[], |names| names.names())
    }

    /// Tells whether the other side wants every block acknowledged.
    pub fn remote_ack(&self, channel: Channel) -> bool {
        match self.config.wire {
            Wire::A => self.a.remote_ack,
            Wire::B2 => self.channels.get(channel).is_some_and(|entry| entry.remote_ack),
        }
    }

    /// Returns the wire that is spoken.
    pub const fn wire(&self) -> Wire {
        self.config.wire
    }

    /// Tells whether the handshake is complete.
    pub const fn is_connected(&self) -> bool {
        self.connected
    }

    /// Returns the static key of the other side, once connected (wire B2).
    pub fn remote_key(&self) -> Option<NoisePublicKey> {
        self.b2.secured.as_ref().map(|secured| secured.remote_key)
    }

    /// Returns the identity of the other process, once connected (wire A).
    pub const fn remote_id(&self) -> Option<PeerId> {
        self.a.remote_id
    }

    /// Returns the hash of the Noise handshake, the same on both sides and on no other connection
    /// (wire B2).
    pub fn handshake_hash(&self) -> Option<&[u8; 64]> {
        self.b2.secured.as_ref().map(|secured| &secured.hash)
    }

    /// Returns how many feeds are open on both sides.
    pub fn open_channels(&self) -> usize {
        self.channels.all().filter(|(_, entry)| entry.opened).count()
    }

    fn check(&self) -> Result<(), SessionError> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    /// Remembers a fatal error, so that every later call returns it.
    fn settle<T>(&mut self, result: Result<T, SessionError>) -> Result<T, SessionError> {
        if let Err(error) = &result
            && error.is_fatal()
        {
            self.failed = Some(error.clone());
            self.inbound = BytesMut::new();
        }
        result
    }

    fn take_in(&mut self, mut bytes: BytesMut) -> Result<(), SessionError> {
        if let Some(cipher) = &mut self.cipher {
            cipher.apply(&mut bytes);
        }
        if self.inbound.is_empty() {
            self.inbound = bytes;
        } else {
            self.inbound.unsplit(bytes);
        }
        self.advance()
    }

    /// Reads as far as the bytes reach.
    fn advance(&mut self) -> Result<(), SessionError> {
        if self.cipher.is_none() {
            match self.config.wire {
                Wire::A => self.a_first_frame()?,
                Wire::B2 => self.b2_handshake()?,
            }
            if self.cipher.is_none() {
                return Ok(());
            }
        }
        loop {
            let (whole, verdict) = frame::complete(&self.inbound, self.frame_limit());
            if whole == 0 {
                return verdict;
            }
            let mut run = self.inbound.split_to(whole).freeze();
            while let Some(frame) = frame::next(&mut run)? {
                self.handle_frame(frame)?;
            }
        }
    }

    fn handle_frame(&mut self, frame: Frame) -> Result<(), SessionError> {
        let limit = self.channels.largest();
        if frame.channel > limit {
            return Err(SessionError::ChannelOutOfRange { limit, found: frame.channel });
        }
        match self.config.wire {
            Wire::A => self.a_frame(frame),
            Wire::B2 => self.b2_frame(frame),
        }
    }

    /// Only blocks need large frames: a peer that was never asked for one cannot make this side hold them.
    fn frame_limit(&self) -> u64 {
        let asked = self.channels.all().any(|(_, entry)| entry.asked);
        if asked { frame::MAX_ACCEPTED_BYTES } else { MAX_PENDING_BYTES as u64 }
    }

    /// Starts to decrypt, beginning with what is there already.
    fn start_inbound(&mut self, mut cipher: Cipher) {
        cipher.apply(&mut self.inbound);
        self.cipher = Some(cipher);
    }

    /// Hands a message about blocks to the owner, or keeps it until its feed is open.
    fn deliver(&mut self, channel: Channel, frame: Frame) -> Result<(), SessionError> {
        let Some(entry) = self.channels.get(channel) else { return Ok(()) };
        if entry.muted {
            return Ok(());
        }
        if entry.opened {
            if let Some(message) = FeedMessage::decode(frame.kind, frame.body)? {
                self.events.push_back(Event::Message { channel, message });
            }
            return Ok(());
        }
        let size = frame.body.len();
        match FeedMessage::decode(frame.kind, detached(&frame.body))? {
            Some(message) => self.channels.keep(channel, message, size),
            None => Ok(()),
        }
    }

    /// Hands an extension message to the owner. One that is empty, whose number stands for no name
    /// that both sides list, or whose feed is not open is dropped, as in the reference.
    fn deliver_extension(&mut self, channel: Option<Channel>, mut body: Bytes) -> Result<(), SessionError> {
        let Varint::Complete { value: number, len } = varint::read(&body) else { return Ok(()) };
        let local = match channel {
            Some(channel) if !self.channels.get(channel).is_some_and(|entry| entry.opened) => return Ok(()),
            Some(_) => &self.names,
            None => &self.stream_names,
        };
        let Some(name) = self.remote_names(channel).and_then(|names| names.name(number, local)) else {
            return Ok(());
        };
        body.advance(len);
        if body.len() > MAX_EXTENSION_BYTES {
            return Err(self.extension_too_large(name, body.len(), false));
        }
        let name = name.to_owned();
        self.events.push_back(Event::Extension { channel, name, payload: body });
        Ok(())
    }

    fn remote_names(&self, channel: Option<Channel>) -> Option<&crate::extensions::RemoteNames> {
        match (self.config.wire, channel) {
            (Wire::A, _) => self.a.remote_names.as_ref(),
            (Wire::B2, None) => self.b2.remote_names.as_ref(),
            (Wire::B2, Some(channel)) => self.channels.get(channel)?.remote_names.as_ref(),
        }
    }

    /// Opens a feed for good when both sides have opened it.
    fn complete(&mut self, channel: Channel) -> Result<(), SessionError> {
        let Some(entry) = self.channels.get(channel) else { return Ok(()) };
        let (Some(key), Some(_), Some(_)) = (entry.key, entry.local, entry.remote) else { return Ok(()) };
        if entry.opened || !self.connected {
            return Ok(());
        }
        if self.config.wire == Wire::B2 && !self.b2_is_proven(entry, &key) {
            return Err(SessionError::Capability { discovery_key: entry.discovery_key });
        }
        if let Some(entry) = self.channels.get_mut(channel) {
            entry.opened = true;
        }
        self.events.push_back(Event::Opened { channel, key });
        if self.config.wire == Wire::B2 {
            self.b2_opened(channel);
        }
        let kept = self.channels.take_pending(channel);
        self.events.extend(kept.map(|message| Event::Message { channel, message }));
        Ok(())
    }

    /// Returns the number to write on; `None` when the channel was closed.
    fn writable(&self, channel: Channel) -> Result<Option<u64>, SessionError> {
        match self.channels.get(channel) {
            None => Ok(None),
            Some(entry) if entry.opened => Ok(entry.local),
            Some(entry) => Err(SessionError::NotOpen { discovery_key: entry.discovery_key }),
        }
    }

    fn push(&mut self, header: u64, body_len: usize, body: impl FnOnce(&mut BytesMut)) {
        self.outbound.push_frame(header, body_len, body);
        self.clock.sent();
    }

    fn extension_too_large(&self, name: &str, found: usize, ours: bool) -> SessionError {
        SessionError::ExtensionTooLarge { name: name.to_owned(), limit: MAX_EXTENSION_BYTES, found, ours }
    }
}
