//! Streams of the home: found, made, opened.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use quorate_feed::sign::key_pair;
use quorate_feed::{Feed, FeedConfig, Keys, Recovery};
use quorate_quorum::key::Signer as VoteSigner;
use quorate_replicate::{Config as ReplicationConfig, Input, Replicator, Selection};
use quorate_store::room_state::ROOM_STATE_FILE;
use quorate_store::{
    FeedDirectory, FeedFiles, Gate, HomeError, NameError, Origin, SecretKeyPolicy, StreamInfo as StoredInfo,
    StreamName, find_feeds,
};
use quorate_stream::identity::Author;
use quorate_types::{BlockRange, Link, PublicKey};

use crate::decisions::stopped;
use crate::event::Event;
use crate::model::{CloneStream, Encoding, NewRoom, NewStream, Streams, UnreadableStream};
use crate::node::random;
use crate::room::genesis;
use crate::store_failures::{directory_failure, home_failure};
use crate::stream::{PEERS_NEEDED, Stream, StreamIdentity, StreamTask, TaskParts, Writer, open_failure};
use crate::{Code, Failure, FailureBody, Node};

/// Commands that wait for a stream before whoever sends them waits.
const INBOX_COMMANDS: usize = 256;

/// Digits of the key that name a cloned stream for which no name is given.
const NAME_DIGITS: usize = 8;

impl Node {
    /// Lists the streams of the home, by name, and those that cannot be opened apart. Streams that are not open are opened
    /// for it and stay open.
    ///
    /// # Errors
    ///
    /// The home cannot be read.
    pub async fn streams(&self) -> Result<Streams, Failure> {
        let listing = self.inner.home.list().map_err(|error| home_failure(&error))?;
        let unreadable = |name: &StreamName, failure: Failure| UnreadableStream {
            name: name.to_string(),
            failure: FailureBody::from(&failure),
        };
        let mut found = Streams::default();
        for (name, error) in &listing.damaged {
            found.unreadable.push(unreadable(name, home_failure(error)));
        }
        for stored in listing.streams {
            let name = stored.name.clone();
            let info = match self.open_stored(stored).await {
                Ok(stream) => stream.info().await,
                Err(failure) => Err(failure),
            };
            match info {
                Ok(info) => found.streams.push(info),
                Err(failure) => found.unreadable.push(unreadable(&name, failure)),
            }
        }
        Ok(found)
    }

    /// Opens a stream by name, short key or link; from then on it is replicated with everyone who connects.
    ///
    /// # Errors
    ///
    /// [`Code::StreamNotFound`], [`Code::Ambiguous`], [`Code::Locked`], [`Code::Damaged`].
    pub async fn open_stream(&self, stream: &str) -> Result<Stream, Failure> {
        if let Some(open) = self.inner.open_stream_named(stream) {
            return Ok(open);
        }
        let stored = self.inner.home.find(stream).map_err(|error| home_failure(&error))?;
        self.open_stored(stored).await
    }

    /// Makes a stream that is written here, with a fresh key pair.
    ///
    /// # Errors
    ///
    /// [`Code::NameTaken`], [`Code::BadName`].
    pub async fn create(&self, new: NewStream) -> Result<Stream, Failure> {
        let name = parse_name(&new.name)?;
        let (public, secret) = key_pair(&random()?);
        let keys = Keys { public, secret: Some(secret) };
        let info = StoredInfo::new(now_unix_s(), new.encoding, Origin::Created);
        let Some(room) = new.room else {
            return self.make(&name, keys, info).await;
        };
        self.expect_vote_keys(&room)?;
        let blocks = genesis::blocks(&public, name.as_str(), new.encoding, &room, &self.inner.rules).await?;
        let stream = self.make(&name, keys, info).await?;
        stream.append(blocks).await?;
        Ok(stream)
    }

    /// Refuses identities of this home as validators: those of others cannot be told from vote keys without a proof.
    fn expect_vote_keys(&self, room: &NewRoom) -> Result<(), Failure> {
        let Some(quorum) = &room.quorum else { return Ok(()) };
        let identities = self.inner.home.identities().map_err(|error| home_failure(&error))?;
        match identities.iter().find(|identity| quorum.validators.contains(&identity.key)) {
            None => Ok(()),
            Some(identity) => {
                let (key, name) = (identity.key, &identity.name);
                let message = format!(
                    "expected vote keys as validators, found {key}, which is the identity {name}; nothing was made"
                );
                Err(Failure::new(Code::BadQuorum, message)
                    .next("quorate validator key    # prints the vote key of a home"))
            }
        }
    }

    /// Carries a stream of somebody else from now on: made here when it is new, resumed when it is not.
    ///
    /// Its peers are dialled at once, and remembered. They are dialled again after a loss; with `live` false, one that
    /// cannot be reached is given up.
    ///
    /// # Errors
    ///
    /// [`Code::BadLink`], [`Code::NameTaken`] when the name belongs to another stream, or the stream has another name.
    pub async fn clone_stream(&self, clone: CloneStream, live: bool) -> Result<Stream, Failure> {
        let link: Link = clone.link.parse().map_err(|error: quorate_types::LinkError| {
            Failure::new(Code::BadLink, error.to_string()).next("quorate clone dat://KEY --peer HOST:PORT")
        })?;
        check_key(&link.key)?;
        if let Some(culprit) = self.inner.stopped_by(&link.key) {
            let key = link.key.short();
            let name =
                self.inner.home.find(&link.key.to_string()).map_or(key, |stored| stored.name.to_string());
            return Err(stopped(&name, &culprit));
        }
        let stream = match self.inner.home.find(&link.key.to_string()) {
            Ok(stored) => {
                check_name(&link.key, stored.name.as_str(), clone.name.as_deref())?;
                self.open_for(stored, &clone).await?
            }
            Err(HomeError::NotFound { .. }) if self.inner.stream(&link.key.discovery_key()).is_some() => {
                // A later feed of a room that is carried here.
                let open = self.inner.stream(&link.key.discovery_key());
                let open =
                    open.ok_or_else(|| home_failure(&HomeError::NotFound { found: link.to_string() }))?;
                check_name(&link.key, open.name(), clone.name.as_deref())?;
                open
            }
            Err(HomeError::NotFound { .. }) => {
                let fallback = link.key.to_string().chars().take(NAME_DIGITS).collect();
                let name = parse_name(&clone.name.unwrap_or(fallback))?;
                let keys = Keys { public: link.key, secret: None };
                let mut info = StoredInfo::new(now_unix_s(), Encoding::default(), Origin::Cloned);
                info.sparse = clone.sparse;
                info.no_check = clone.no_check;
                self.make(&name, keys, info).await?
            }
            Err(error) => return Err(home_failure(&error)),
        };
        for peer in &clone.peers {
            self.remember_peer(&stream, peer);
            self.add_peer_of(&stream, peer, live);
        }
        Ok(stream)
    }

    /// Opens a stream that was cloned before, maybe with less: a sparse one is fetched whole from now on, and one that was
    /// only carried is checked, unless that is asked for again.
    async fn open_for(
        &self,
        mut stored: quorate_store::Stream,
        clone: &CloneStream,
    ) -> Result<Stream, Failure> {
        let info = &mut stored.info;
        if (info.sparse && !clone.sparse) || (info.no_check && !clone.no_check) {
            info.sparse &= clone.sparse;
            info.no_check &= clone.no_check;
            self.inner.home.write_info(&stored.name, &stored.info).map_err(|error| home_failure(&error))?;
            self.inner.peers.end_those_with(&stored.key.discovery_key());
            self.close_stream(&stored.key).await?;
        }
        let stream = self.open_stored(stored).await?;
        if stream.is_writable() && !clone.sparse {
            // What was cleared comes back from whoever has it.
            stream.select(Selection::Everything).await?;
        }
        Ok(stream)
    }

    /// Copies a feed of another program into the home; `progress` is told bytes copied and bytes in all.
    ///
    /// With `take_secret_key`, the copy can be appended to: the original must never be appended to again.
    ///
    /// # Errors
    ///
    /// [`Code::NotAFeed`], [`Code::NameTaken`], [`Code::Locked`] when the other program runs.
    pub async fn import(
        &self,
        from: &FeedFiles,
        name: &str,
        take_secret_key: bool,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Stream, Failure> {
        let name = parse_name(name)?;
        let policy = if take_secret_key { SecretKeyPolicy::Take } else { SecretKeyPolicy::Leave };
        let info = StoredInfo::new(now_unix_s(), Encoding::default(), Origin::Imported);
        let stored = {
            let _opening = self.inner.opening.lock().await;
            self.inner
                .home
                .import(&name, from, policy, &info, progress)
                .map_err(|error| home_failure(&error))?
        };
        let name = stored.name.clone();
        let opened = self.open_stored(stored).await;
        if opened.is_err() {
            // The original is as it was.
            self.discard(&name);
        }
        opened
    }

    /// Removes a stream that was made just now and cannot be opened: nothing is in it that is not elsewhere.
    fn discard(&self, name: &StreamName) {
        if let Err(error) = self.inner.home.discard(name) {
            tracing::warn!(stream = %name, "what is left of it stays: {error}");
        }
    }

    /// Copies a stream into a directory that stock clients open; `progress` is told bytes copied and bytes in all.
    ///
    /// # Errors
    ///
    /// [`Code::DestinationExists`], [`Code::Locked`] when another process has the stream open.
    pub async fn export(
        &self,
        stream: &str,
        to: &Path,
        with_secret_key: bool,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<PublicKey, Failure> {
        let stored = self.inner.home.find(stream).map_err(|error| home_failure(&error))?;
        self.close_stream(&stored.key).await?;
        let policy = if with_secret_key { SecretKeyPolicy::Take } else { SecretKeyPolicy::Leave };
        let keys = quorate_store::export(&stored.files, &FeedFiles::plain(to), policy, progress)
            .map_err(|error| directory_failure(&error))?;
        Ok(keys.public)
    }

    /// Lists the feeds in a directory of another program.
    ///
    /// # Errors
    ///
    /// [`Code::NotAFeed`] when there is none.
    pub fn feeds_in(directory: &Path) -> Result<Vec<quorate_store::FoundFeed>, Failure> {
        let found = find_feeds(directory);
        if found.is_empty() {
            return Err(Failure::new(
                Code::NotAFeed,
                format!(
                    "expected a hypercore directory (key, tree, data, ...) or a .dat folder in {}, found neither",
                    directory.display()
                ),
            )
            .next("name the directory that holds the file `key` or the folder `.dat`"));
        }
        Ok(found)
    }

    /// Takes the secret key of a feed from the directory in which `dat` keeps them, if it is there; a feed that has its
    /// own beside it keeps that.
    pub fn with_dat_secret_key(files: &FeedFiles, secret_keys: &Path) -> FeedFiles {
        if files.secret_key().is_file() {
            return files.clone();
        }
        let key = std::fs::read(files.key()).ok().and_then(|key| PublicKey::from_slice(&key));
        match key {
            Some(key) => files.clone().with_secret_keys(secret_keys, &key.discovery_key()),
            None => files.clone(),
        }
    }

    pub(crate) async fn close_stream(&self, key: &PublicKey) -> Result<(), Failure> {
        let _opening = self.inner.opening.lock().await;
        let open = self.inner.streams().remove(&key.discovery_key());
        self.inner.discovery.wake();
        match open {
            Some(stream) => stream.close().await,
            None => Ok(()),
        }
    }

    pub(crate) async fn make(
        &self,
        name: &StreamName,
        keys: Keys,
        info: StoredInfo,
    ) -> Result<Stream, Failure> {
        let _opening = self.inner.opening.lock().await;
        let directory =
            self.inner.home.create(name, keys, &info).await.map_err(|error| home_failure(&error))?;
        let path = directory.files.directory().display().to_string();
        let FeedDirectory { keys, storage, files, lock, writer } = directory;
        let host_key = host_key(&keys);
        let mut feed = match Feed::create(keys, storage, FeedConfig::default()).await {
            Ok(feed) => feed,
            Err(error) => {
                drop(lock);
                self.discard(name);
                return Err(open_failure(name.as_str(), &path, &error));
            }
        };
        let writer = match writer {
            Some((guard, found)) => Some(Writer::open(&mut feed, guard, found, host_key).await?),
            None => None,
        };
        let identity = identity(name.as_str(), &feed, &info, &files, None);
        Ok(self.start(identity, feed, writer, lock))
    }

    async fn open_stored(&self, stored: quorate_store::Stream) -> Result<Stream, Failure> {
        let _opening = self.inner.opening.lock().await;
        if let Some(stream) = self.inner.stream(&stored.key.discovery_key()) {
            return Ok(stream);
        }
        let name = stored.name.as_str();
        let path = stored.files.directory().display().to_string();
        let FeedDirectory { keys, storage, files, lock, writer } =
            FeedDirectory::open(&stored.files).await.map_err(|error| directory_failure(&error))?;
        let host_key = host_key(&keys);
        // Opening lets go of blocks that it does not find.
        let data_bytes = std::fs::metadata(files.data()).map_or(0, |metadata| metadata.len());
        let (mut feed, recovery) = Feed::open(keys, storage, FeedConfig::default())
            .await
            .map_err(|error| open_failure(name, &path, &error))?;
        let lost = lost(&mut feed, &recovery, &files, data_bytes).await;
        if let Some(lost) = &lost {
            tracing::error!(stream = name, "{lost}");
        }
        let recovered = recovery_text(&recovery);
        if let Some(text) = &recovered {
            tracing::warn!(stream = name, "{text}");
        }
        let writer = match writer {
            Some((guard, found)) => Some(Writer::open(&mut feed, guard, found, host_key).await?),
            None => None,
        };
        if let Some(doubt) = writer.as_ref().and_then(Writer::doubt) {
            tracing::info!(stream = name, "nothing is appended before the newest head is known: {doubt}");
        }
        let identity = StreamIdentity { lost, ..identity(name, &feed, &stored.info, &files, recovered) };
        Ok(self.start(identity, feed, writer, lock))
    }

    /// Starts the task of a stream.
    pub(crate) fn start(
        &self,
        identity: StreamIdentity,
        feed: Feed<quorate_store::Backend>,
        writer: Option<Writer>,
        lock: quorate_store::Lock,
    ) -> Stream {
        let identity = Arc::new(identity);
        let doubt = writer.as_ref().and_then(Writer::doubt).map(ToString::to_string);
        let vote_key = self.vote_key();
        let length = feed.length();
        let (to, inbox) = async_channel::bounded(INBOX_COMMANDS);
        let (signal, room) = async_channel::bounded(1);
        let config = ReplicationConfig {
            // Nobody else can extend a feed that is written here, but blocks that were cleared can come back.
            ..self.inner.config.replication.clone()
        };
        let stream = Stream::new(Arc::clone(&identity), to);
        let selection = if identity.sparse || identity.is_writable() {
            Selection::Nothing
        } else {
            Selection::Everything
        };
        let mut replicator = Replicator::new(config);
        let now = self.runtime().now();
        replicator.handle(now, &crate::stream::View(&feed), Input::Select { selection });
        if identity.gate {
            replicator.handle(now, &crate::stream::View(&feed), Input::Gate { length: Some(0) });
        }
        if identity.follows_head_alone() {
            replicator.handle(now, &crate::stream::View(&feed), Input::Update);
        }
        let task = StreamTask::new(TaskParts {
            identity: Arc::clone(&identity),
            feed,
            replicator,
            inbox,
            room,
            signal,
            events: self.inner.events.clone(),
            probes: Arc::clone(&self.inner.probes),
            rules: Arc::clone(&self.inner.rules),
            writer,
            vote_key,
            runtime: Arc::clone(self.runtime()),
            node: Arc::downgrade(&self.inner),
        });
        self.runtime().spawn(Box::pin(async move {
            let closed = task.run().await;
            drop(lock);
            if let Some((reply, flushed)) = closed {
                let _ = reply.try_send(flushed);
            }
        }));
        self.inner.streams().insert(identity.discovery_key, stream.clone());
        self.inner.discovery.wake();
        self.offer(&stream);
        self.examine(&stream);
        if let Some(culprit) = self.inner.stopped_by(&identity.key) {
            // The later feeds of a room go with the first.
            if culprit == identity.key {
                let stream = identity.name.clone();
                self.inner.events.send(Event::NotReplicated { stream, key: culprit });
            }
        } else if self.inner.listens.load(Ordering::Relaxed) {
            self.inner.events.send(Event::Sharing {
                stream: identity.name.clone(),
                key: identity.key,
                link: stream.link().to_string(),
                length,
            });
            if let Some(reason) = doubt {
                let stream = identity.name.clone();
                self.inner.events.send(Event::Recovering { stream, reason, needed: PEERS_NEEDED });
            }
        }
        stream
    }

    /// Reads the key with which this node votes.
    fn vote_key(&self) -> Option<VoteSigner> {
        let stored = match self.inner.home.vote_key() {
            Ok(stored) => stored?,
            Err(error) => {
                tracing::error!("this node does not vote: {error}");
                return None;
            }
        };
        match VoteSigner::from_secret(&stored.secret) {
            Ok(signer) => Some(signer),
            Err(error) => {
                tracing::error!("this node does not vote: {error}");
                None
            }
        }
    }

    /// Says what peers that are not quorate nodes are shown of a stream, from the next time on that it is opened.
    ///
    /// # Errors
    ///
    /// [`Code::StreamNotFound`], [`Code::Ambiguous`].
    pub fn set_gate(&self, stream: &str, gate: Gate) -> Result<(), Failure> {
        let mut stored = self.inner.home.find(stream).map_err(|error| home_failure(&error))?;
        stored.info.gate = gate;
        self.inner.home.write_info(&stored.name, &stored.info).map_err(|error| home_failure(&error))
    }

    /// Dials the peers that were remembered for a stream, again and again; returns how many there are.
    pub fn add_remembered_peers(&self, stream: &Stream) -> usize {
        let peers = self
            .inner
            .home
            .find(stream.name())
            .map_or_else(|_| Vec::new(), |stored| stored.info.peers().to_vec());
        for peer in &peers {
            self.add_peer_of(stream, peer, true);
        }
        peers.len()
    }

    fn remember_peer(&self, stream: &Stream, peer: &str) {
        let noted = self.inner.home.find(stream.name()).and_then(|mut stored| {
            stored.info.add_peer(peer);
            self.inner.home.write_info(&stored.name, &stored.info)
        });
        if let Err(error) = noted {
            tracing::warn!(stream = stream.name(), "the peer is not remembered: {error}");
        }
    }
}

/// Refuses a key under which nothing can be signed, before anything is made for it.
fn check_key(key: &PublicKey) -> Result<(), Failure> {
    let wrong = |error: quorate_feed::sign::KeyError| {
        Failure::new(Code::BadLink, format!("{error}; nothing was made"))
            .next("copy the link again, whole; its owner has it from quorate info STREAM")
    };
    quorate_feed::sign::Verifier::new(*key).map(drop).map_err(wrong)
}

/// Refuses another name for a stream that is here: names stand in scripts, and one stream has one.
fn check_name(key: &PublicKey, name: &str, wanted: Option<&str>) -> Result<(), Failure> {
    match wanted {
        Some(wanted) if wanted != name => {
            let message = format!(
                "expected to make a stream {wanted} of {}, found that it is here as {name}; nothing was fetched",
                key.short()
            );
            Err(Failure::new(Code::NameTaken, message)
                .next(format!("quorate clone {}    # goes on with {name}", Link::new(*key))))
        }
        _ => Ok(()),
    }
}

/// Reads the key by which the host of a room signs receipts; `None` for a feed that is written elsewhere.
pub(crate) fn host_key(keys: &Keys) -> Option<Author> {
    keys.secret.as_ref().and_then(|secret| Author::from_secret(secret).ok())
}

fn identity(
    name: &str,
    feed: &Feed<quorate_store::Backend>,
    info: &StoredInfo,
    files: &FeedFiles,
    recovery: Option<String>,
) -> StreamIdentity {
    StreamIdentity {
        name: name.to_owned(),
        key: *feed.key(),
        discovery_key: *feed.discovery_key(),
        writable: AtomicBool::new(feed.is_writable()),
        encoding: info.encoding,
        sparse: info.sparse,
        unchecked: info.no_check,
        gate: info.gate == Gate::Committed,
        directory: files.directory().display().to_string(),
        recovery,
        lost: None,
    }
}

/// Says what is lost of the blocks that were here: `data` ends before the last of them, or the first one of a room is
/// gone. Blocks are written down before they are claimed, and deleted after, so no crash does that.
async fn lost(
    feed: &mut Feed<quorate_store::Backend>,
    recovery: &Recovery,
    files: &FeedFiles,
    data_bytes: u64,
) -> Option<String> {
    if data_bytes >= feed.byte_length() {
        return None;
    }
    let here = feed.bitfield().runs(BlockRange::new(0, feed.length())).last().map(|run| run.end - 1);
    let last = here.max(recovery.damaged.iter().map(|index| index.get()).max());
    if let Some(last) = last
        && let Ok(Some((offset, size))) = feed.byte_range(last).await
        && data_bytes < offset.saturating_add(size)
    {
        let needed = offset.saturating_add(size);
        return Some(format!("the file data has {data_bytes} bytes of the {needed} that its blocks take"));
    }
    let is_room = files.directory().join(ROOM_STATE_FILE).exists();
    (is_room && feed.length() > 0 && !feed.has(0))
        .then(|| "block 0, which makes it a room, is gone".to_owned())
}

/// Says what opening after a crash has found, unless everything was as it was left.
pub(crate) fn recovery_text(recovery: &Recovery) -> Option<String> {
    if recovery.is_clean() {
        return None;
    }
    let mut text = format!("opened after a crash: length {}", recovery.length);
    let mut say = |what: &str, count: u64| {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    };
    say("blocks recovered", recovery.recovered.len());
    say("blocks dropped that no signature covers", recovery.dropped.len());
    say("blocks lost that had been claimed", recovery.lost().len());
    say("blocks damaged and no longer claimed", recovery.damaged.len() as u64);
    Some(text)
}

pub(crate) fn parse_name(name: &str) -> Result<StreamName, Failure> {
    name.parse().map_err(|error: NameError| Failure::new(Code::BadName, error.to_string()))
}

pub(crate) fn now_unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}
