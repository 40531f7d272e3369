//! The later feeds of rooms: opened beside the first one, in its directory, and carried on the same connections.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};

use quorate_feed::sign::key_pair;
use quorate_feed::{Feed, FeedConfig, Keys};
use quorate_store::{DirectoryError, FeedDirectory, FeedFiles};
use quorate_types::{DiscoveryKey, PublicKey};

use crate::model::Policy;
use crate::node::{Inner, random};
use crate::open::{host_key, recovery_text};
use crate::store_failures::directory_failure;
use crate::stream::{Stream, StreamIdentity, Writer, open_failure};
use crate::{Code, Failure, Node};

/// Directory of the later feeds of a room, each under its key, in the directory of the first.
const DIRECTORY: &str = "feeds";

/// Which feeds belong to which room.
#[derive(Debug, Default)]
pub(crate) struct RoomFeeds(Mutex<Belonging>);

#[derive(Debug, Default)]
struct Belonging {
    /// Later feeds that are open, by the first feed.
    open: BTreeMap<DiscoveryKey, BTreeSet<PublicKey>>,
    /// Key of the first feed, by that of a later one. It is here before the feed is open: peers that ask for it then are told
    /// what holds for the room.
    first: BTreeMap<PublicKey, PublicKey>,
}

impl RoomFeeds {
    /// Finds the later feeds that go with the first feed of a room.
    pub(crate) fn beside(&self, first: &DiscoveryKey) -> Vec<PublicKey> {
        self.lock().open.get(first).into_iter().flatten().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Belonging> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Tells whether the feed of a key is neither fetched nor served.
    pub(crate) fn stops(&self, key: &PublicKey) -> bool {
        self.stopped_by(key).is_some()
    }

    /// Finds the key because of which a feed is neither fetched nor served: its own, or that by which the room is known
    /// whose later feed it is.
    pub(crate) fn stopped_by(&self, key: &PublicKey) -> Option<PublicKey> {
        let first = self.room_feeds.lock().first.get(key).copied();
        let stops = |key: &PublicKey| self.decisions.policy(key) == Policy::StopReplicating;
        [Some(*key), first].into_iter().flatten().find(stops)
    }
}

impl Node {
    /// Makes a feed with a fresh key pair for an epoch that this node hosts. The key is durable when this returns.
    pub(crate) async fn make_room_feed(&self, room: &StreamIdentity, epoch: u64) -> Result<Stream, Failure> {
        let (public, secret) = key_pair(&random()?);
        self.room_feed(room, epoch, Keys { public, secret: Some(secret) }).await
    }

    /// Carries a later feed of a room from now on, on the connections of the first.
    ///
    /// It does not wait for other streams to be opened or closed: whoever closes the room holds them up, and waits for
    /// the room.
    pub(crate) async fn room_feed(
        &self,
        room: &StreamIdentity,
        epoch: u64,
        keys: Keys,
    ) -> Result<Stream, Failure> {
        let key = keys.public;
        self.inner.room_feeds.lock().first.insert(key, room.key);
        let open = self.inner.stream(&key.discovery_key());
        let stream = match open {
            Some(stream) => stream,
            None => self.open_room_feed(room, epoch, keys).await?,
        };
        self.inner.room_feeds.lock().open.entry(room.discovery_key).or_default().insert(key);
        if !self.inner.stops(&key) {
            self.inner.peers.offer_beside(&room.discovery_key, &key);
        }
        Ok(stream)
    }

    async fn open_room_feed(&self, room: &StreamIdentity, epoch: u64, keys: Keys) -> Result<Stream, Failure> {
        if self.inner.is_stopping() {
            let message = format!("expected a node that runs, found one that ends; {} waits", room.name);
            return Err(Failure::new(Code::Internal, message));
        }
        let name = format!("{}@{epoch}", room.name);
        let path = Path::new(&room.directory).join(DIRECTORY).join(keys.public.to_string());
        let (path, files) = (path.display().to_string(), FeedFiles::plain(&path));
        let opened = match FeedDirectory::open(&files).await {
            Err(DirectoryError::NotFound { .. }) => (FeedDirectory::create(&files, keys).await, true),
            opened => (opened, false),
        };
        let (directory, is_new) = (opened.0.map_err(|error| directory_failure(&error))?, opened.1);
        let FeedDirectory { keys, storage, files, lock, writer } = directory;
        let host_key = host_key(&keys);
        let failed = |error| open_failure(&name, &path, &error);
        let (mut feed, recovery) = if is_new {
            (Feed::create(keys, storage, FeedConfig::default()).await.map_err(failed)?, None)
        } else {
            let (feed, recovery) = Feed::open(keys, storage, FeedConfig::default()).await.map_err(failed)?;
            (feed, recovery_text(&recovery))
        };
        let writer = match writer {
            Some((guard, found)) => Some(Writer::open(&mut feed, guard, found, host_key).await?),
            None => None,
        };
        let identity = StreamIdentity {
            name,
            key: *feed.key(),
            discovery_key: *feed.discovery_key(),
            writable: AtomicBool::new(feed.is_writable()),
            encoding: room.encoding,
            sparse: false,
            unchecked: true,
            gate: room.gate,
            directory: files.directory().display().to_string(),
            recovery,
            lost: None,
        };
        Ok(self.start(identity, feed, writer, lock))
    }
}
