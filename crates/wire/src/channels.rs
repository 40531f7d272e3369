//! The feeds of one connection: which number each has on either side, and what waits for them.

use std::collections::BTreeMap;

use bytes::Bytes;
use quorate_proto::dat::FeedMessage;
use quorate_types::limits::{MAX_CHANNELS, MAX_PENDING_BYTES, MAX_PENDING_MESSAGES};
use quorate_types::{Capability, DiscoveryKey, PublicKey, Wire};

use crate::extensions::RemoteNames;
use crate::{Channel, SessionError};

/// One feed on one connection.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) discovery_key: DiscoveryKey,
    /// Key, when this side opened the feed.
    pub(crate) key: Option<PublicKey>,
    /// Number that this side writes on.
    pub(crate) local: Option<u64>,
    /// Number that the other side writes on.
    pub(crate) remote: Option<u64>,
    /// Proof of the other side that it knows the key (wire B2).
    pub(crate) capability: Option<Capability>,
    /// Open on both sides.
    pub(crate) opened: bool,
    /// What the other side writes is dropped: the feed was refused or closed here.
    pub(crate) muted: bool,
    /// The other side wants every block acknowledged.
    pub(crate) remote_ack: bool,
    /// Blocks were asked for on this feed.
    pub(crate) asked: bool,
    /// Extensions that the other side knows (wire B2).
    pub(crate) remote_names: Option<RemoteNames>,
    pending: Vec<(FeedMessage, usize)>,
}

/// All feeds of one connection.
#[derive(Debug)]
pub(crate) struct Channels {
    wire: Wire,
    entries: BTreeMap<Channel, Entry>,
    by_discovery_key: BTreeMap<DiscoveryKey, Channel>,
    local: BTreeMap<u64, Channel>,
    remote: BTreeMap<u64, Channel>,
    /// Next number on wire A, where none is used twice.
    next_local: u64,
    next_channel: u64,
    pending_bytes: usize,
}

impl Channels {
    pub(crate) fn new(wire: Wire) -> Self {
        Self {
            wire,
            entries: BTreeMap::new(),
            by_discovery_key: BTreeMap::new(),
            local: BTreeMap::new(),
            remote: BTreeMap::new(),
            next_local: 0,
            next_channel: 0,
            pending_bytes: 0,
        }
    }

    /// Largest number of a feed on the wire: wire B2 reserves channel 0.
    pub(crate) const fn largest(&self) -> u64 {
        match self.wire {
            Wire::A => MAX_CHANNELS as u64 - 1,
            Wire::B2 => MAX_CHANNELS as u64,
        }
    }

    pub(crate) fn get(&self, channel: Channel) -> Option<&Entry> {
        self.entries.get(&channel)
    }

    pub(crate) fn get_mut(&mut self, channel: Channel) -> Option<&mut Entry> {
        self.entries.get_mut(&channel)
    }

    /// All feeds, the oldest first.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Channel, &Entry)> {
        self.entries.iter().map(|(channel, entry)| (*channel, entry))
    }

    pub(crate) fn find(&self, discovery_key: &DiscoveryKey) -> Option<Channel> {
        self.by_discovery_key.get(discovery_key).copied()
    }

    /// Returns the feed whose messages come on a number of the other side.
    pub(crate) fn of_remote(&self, remote: u64) -> Option<Channel> {
        self.remote.get(&remote).copied()
    }

    /// Returns the feed, making an entry when there is none.
    pub(crate) fn find_or_create(&mut self, discovery_key: DiscoveryKey) -> Channel {
        if let Some(channel) = self.find(&discovery_key) {
            return channel;
        }
        let channel = Channel(self.next_channel);
        self.next_channel = self.next_channel.saturating_add(1);
        self.by_discovery_key.insert(discovery_key, channel);
        self.entries.insert(
            channel,
            Entry {
                discovery_key,
                key: None,
                local: None,
                remote: None,
                capability: None,
                opened: false,
                muted: false,
                remote_ack: false,
                asked: false,
                remote_names: None,
                pending: Vec::new(),
            },
        );
        channel
    }

    /// Number of feeds that this side opened or is about to open.
    pub(crate) fn ours(&self) -> usize {
        self.entries.values().filter(|entry| entry.key.is_some()).count()
    }

    /// Returns a number that this side may write on, without taking it.
    pub(crate) fn free_local(&self) -> Result<u64, SessionError> {
        let free = match self.wire {
            Wire::A => Some(self.next_local).filter(|id| *id <= self.largest()),
            Wire::B2 => (1..=self.largest()).find(|id| !self.local.contains_key(id)),
        };
        free.ok_or(SessionError::TooManyChannels { limit: MAX_CHANNELS })
    }

    /// Takes a number to write on.
    pub(crate) fn attach_local(&mut self, channel: Channel) -> Result<u64, SessionError> {
        let id = self.free_local()?;
        if let Some(entry) = self.entries.get_mut(&channel) {
            entry.local = Some(id);
            self.local.insert(id, channel);
            self.next_local = self.next_local.max(id.saturating_add(1));
        }
        Ok(id)
    }

    /// Notes the number that the other side writes on; one it had before is free again.
    pub(crate) fn attach_remote(&mut self, channel: Channel, id: u64) {
        if let Some(entry) = self.entries.get_mut(&channel) {
            if let Some(old) = entry.remote.replace(id) {
                self.remote.remove(&old);
            }
            self.remote.insert(id, channel);
        }
    }

    /// Forgets a feed.
    pub(crate) fn remove(&mut self, channel: Channel) -> Option<Entry> {
        self.drop_pending(channel);
        let entry = self.entries.remove(&channel)?;
        self.by_discovery_key.remove(&entry.discovery_key);
        if let Some(id) = entry.local {
            self.local.remove(&id);
        }
        if let Some(id) = entry.remote {
            self.remote.remove(&id);
        }
        Some(entry)
    }

    /// Keeps a message until its feed is open here.
    pub(crate) fn keep(
        &mut self,
        channel: Channel,
        message: FeedMessage,
        size: usize,
    ) -> Result<(), SessionError> {
        let Some(entry) = self.entries.get_mut(&channel) else { return Ok(()) };
        if entry.pending.len() >= MAX_PENDING_MESSAGES {
            let discovery_key = entry.discovery_key;
            return Err(SessionError::TooManyPending { discovery_key, limit: MAX_PENDING_MESSAGES });
        }
        let found = self.pending_bytes.saturating_add(size);
        if found > MAX_PENDING_BYTES {
            return Err(SessionError::PendingBytes { limit: MAX_PENDING_BYTES, found });
        }
        self.pending_bytes = found;
        entry.pending.push((message, size));
        Ok(())
    }

    /// Takes the messages that were kept.
    pub(crate) fn take_pending(&mut self, channel: Channel) -> impl Iterator<Item = FeedMessage> + use<> {
        let pending = self.entries.get_mut(&channel).map(|entry| std::mem::take(&mut entry.pending));
        let pending = pending.unwrap_or_default();
        let size: usize = pending.iter().map(|(_, size)| size).sum();
        self.pending_bytes = self.pending_bytes.saturating_sub(size);
        pending.into_iter().map(|(message, _)| message)
    }

    /// Drops what was kept, and all that the other side says from here on.
    pub(crate) fn mute(&mut self, channel: Channel) {
        self.drop_pending(channel);
        if let Some(entry) = self.entries.get_mut(&channel) {
            entry.muted = true;
        }
    }

    fn drop_pending(&mut self, channel: Channel) {
        drop(self.take_pending(channel));
    }
}

/// Frees a body of the memory of all that was received with it, for keeping it long.
pub(crate) fn detached(body: &Bytes) -> Bytes {
    Bytes::copy_from_slice(body)
}
