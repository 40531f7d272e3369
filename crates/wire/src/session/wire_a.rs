//! Wire A: hypercore-protocol 6 (`index.js`, `feed.js`).
//!
//! The first frame of each side names a feed and a nonce in clear text; all that follows is
//! encrypted under the key of that feed, so a side that dials a node can read nothing before the
//! node knows which feed is meant.

use bytes::{Buf, Bytes};
use quorate_proto::dat::{FeedOpen, Handshake, kind};
use quorate_types::limits::MAX_PENDING_BYTES;
use quorate_types::{DiscoveryKey, NoiseNonce, PeerId, PublicKey};

use super::Session;
use crate::cipher::Cipher;
use crate::extensions::RemoteNames;
use crate::frame::{self, Frame};
use crate::varint::{self, Varint};
use crate::{Channel, Event, SessionError};

/// Longest first frame, bytes: a stock one has 61.
const MAX_FIRST_FRAME_BYTES: u64 = 256;

/// What wire A alone has.
#[derive(Debug, Default)]
pub(super) struct State {
    /// First feed of this side.
    key: Option<PublicKey>,
    /// First feed of the other side, and its nonce.
    remote_first: Option<(DiscoveryKey, NoiseNonce)>,
    pub(super) remote_id: Option<PeerId>,
    pub(super) remote_ack: bool,
    pub(super) remote_names: Option<RemoteNames>,
}

impl Session {
    /// Reads the one frame that comes in clear text, and then waits until its feed is open.
    pub(super) fn a_first_frame(&mut self) -> Result<(), SessionError> {
        if self.a.remote_first.is_none() {
            let Some(frame) = self.a_clear_frame()? else { return Ok(()) };
            if frame.kind != kind::OPEN {
                return Err(SessionError::FirstFrame { found: frame.kind });
            }
            if frame.channel > self.channels.largest() {
                let limit = self.channels.largest();
                return Err(SessionError::ChannelOutOfRange { limit, found: frame.channel });
            }
            let FeedOpen { discovery_key, nonce } = FeedOpen::decode(frame.body)?;
            if let Some(key) = &self.a.key {
                self.a_same_first_feed(key.discovery_key(), discovery_key)?;
            }
            let nonce = nonce.ok_or(SessionError::MissingNonce { discovery_key })?;
            self.a.remote_first = Some((discovery_key, nonce));
            self.a_remote_open(frame.channel, discovery_key)?;
        }
        self.a_start_inbound();
        if self.cipher.is_none() && self.inbound.len() > MAX_PENDING_BYTES {
            let found = self.inbound.len();
            return Err(SessionError::PendingBytes { limit: MAX_PENDING_BYTES, found });
        }
        Ok(())
    }

    /// Cuts one frame off clear text, passing over pings.
    fn a_clear_frame(&mut self) -> Result<Option<Frame>, SessionError> {
        loop {
            let (value, len) = match varint::read(&self.inbound) {
                Varint::Complete { value, len } => (value, len),
                Varint::Incomplete => return Ok(None),
                Varint::TooLong => return Err(SessionError::Varint { what: "length of a frame" }),
            };
            if value == 0 {
                self.inbound.advance(len);
                continue;
            }
            if value > MAX_FIRST_FRAME_BYTES {
                return Err(SessionError::FrameTooLarge { limit: MAX_FIRST_FRAME_BYTES, found: value });
            }
            let size = usize::try_from(value).unwrap_or(usize::MAX).saturating_add(len);
            if self.inbound.len() < size {
                return Ok(None);
            }
            let mut run = self.inbound.split_to(size).freeze();
            return frame::next(&mut run);
        }
    }

    /// Starts to decrypt when both the key and the nonce are known.
    fn a_start_inbound(&mut self) {
        if self.cipher.is_none()
            && let (Some(key), Some((_, nonce))) = (&self.a.key, &self.a.remote_first)
        {
            let cipher = Cipher::new(key.as_bytes(), nonce);
            self.start_inbound(cipher);
        }
    }

    fn a_same_first_feed(&self, expected: DiscoveryKey, found: DiscoveryKey) -> Result<(), SessionError> {
        if expected == found { Ok(()) } else { Err(SessionError::FirstFeed { expected, found }) }
    }

    pub(super) fn a_frame(&mut self, frame: Frame) -> Result<(), SessionError> {
        let channel = self.channels.of_remote(frame.channel);
        if frame.kind == kind::OPEN {
            if let Some(old) = channel {
                self.a_closed(old);
            }
            let open = FeedOpen::decode(frame.body)?;
            return self.a_remote_open(frame.channel, open.discovery_key);
        }
        let Some(channel) = channel else {
            return Err(SessionError::UnopenedChannel { channel: frame.channel, kind: frame.kind });
        };
        match frame.kind {
            _ if frame.body.is_empty() => Ok(()),
            kind::OPTIONS => self.a_handshake(frame.body),
            kind::EXTENSION => self.deliver_extension(Some(channel), frame.body),
            _ => self.deliver(channel, frame),
        }
    }

    /// A feed that was opened again under another number keeps its channel, as in the reference.
    fn a_remote_open(&mut self, id: u64, discovery_key: DiscoveryKey) -> Result<(), SessionError> {
        let channel = self.channels.find_or_create(discovery_key);
        self.channels.attach_remote(channel, id);
        if self.channels.get(channel).is_some_and(|entry| entry.key.is_some()) {
            return self.complete(channel);
        }
        if let Some(entry) = self.channels.get_mut(channel) {
            entry.muted = false;
        }
        self.events.push_back(Event::RemoteOpen { discovery_key });
        Ok(())
    }

    /// Reads what the other side says of itself; only the first time counts.
    fn a_handshake(&mut self, body: Bytes) -> Result<(), SessionError> {
        let handshake = Handshake::decode(body)?;
        if self.connected {
            return Ok(());
        }
        self.connected = true;
        self.clock.connected();
        let names = self.names.matched(handshake.extensions);
        self.a.remote_id = handshake.id;
        self.a.remote_ack = handshake.ack;
        self.events.push_back(Event::Connected {
            remote_key: None,
            remote_id: handshake.id,
            live: handshake.live,
            user_data: handshake.user_data,
        });
        self.events.push_back(Event::Extensions { channel: None, names: names.names().to_vec() });
        self.a.remote_names = Some(names);
        let all: Vec<Channel> = self.channels.all().map(|(channel, _)| channel).collect();
        all.into_iter().try_for_each(|channel| self.complete(channel))
    }

    pub(super) fn a_open(
        &mut self,
        key: &PublicKey,
        discovery_key: DiscoveryKey,
    ) -> Result<Channel, SessionError> {
        let first = self.a.key.is_none();
        if let (true, Some((remote, _))) = (first, self.a.remote_first) {
            self.a_same_first_feed(discovery_key, remote)?;
        }
        self.channels.free_local()?;
        let channel = self.channels.find_or_create(discovery_key);
        let local = self.channels.attach_local(channel)?;
        if let Some(entry) = self.channels.get_mut(channel) {
            entry.key = Some(*key);
            entry.muted = false;
        }
        let nonce = first.then_some(self.config.entropy.nonce);
        let open = FeedOpen { discovery_key, nonce };
        self.push(frame::header(local, kind::OPEN), open.encoded_len(), |out| open.encode(out));
        if first {
            self.a.key = Some(*key);
            self.outbound.start(Cipher::new(key.as_bytes(), &self.config.entropy.nonce));
            let handshake = Handshake {
                id: Some(self.config.id),
                live: self.config.live,
                user_data: self.config.user_data.clone(),
                extensions: self.names.names().to_vec(),
                ack: self.config.ack,
            };
            let header = frame::header(local, kind::OPTIONS);
            self.push(header, handshake.encoded_len(), |out| handshake.encode(out));
            self.advance()?;
        }
        self.complete(channel)?;
        Ok(channel)
    }

    pub(super) fn a_refuse(&mut self, discovery_key: &DiscoveryKey) -> Result<(), SessionError> {
        if self.a.key.is_none() && self.a.remote_first.is_some_and(|(first, _)| first == *discovery_key) {
            return Err(SessionError::FirstFeedRefused { discovery_key: *discovery_key });
        }
        if let Some(channel) = self.channels.find(discovery_key)
            && self.channels.get(channel).is_some_and(|entry| entry.key.is_none())
        {
            self.channels.mute(channel);
        }
        Ok(())
    }

    /// The other side goes on writing on its number, so that stays known as a feed that is not read.
    pub(super) fn a_close(&mut self, channel: Channel) {
        if let Some(entry) = self.channels.remove(channel)
            && let Some(id) = entry.remote
        {
            let rest = self.channels.find_or_create(entry.discovery_key);
            self.channels.attach_remote(rest, id);
            self.channels.mute(rest);
        }
    }

    /// The other side uses the number of a feed for another one, which is how it closes a feed.
    fn a_closed(&mut self, channel: Channel) {
        if let Some(entry) = self.channels.remove(channel)
            && entry.key.is_some()
        {
            self.events.push_back(Event::Closed { channel });
        }
    }
}
