//! The one place that talks to the node library.

mod keys;
mod transfer;

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quorate_net::runtime::{AsyncStd, Runtime, before};
use quorate_node::event::Event;
use quorate_node::model::{
    Appended, AuditSummary, BlockInfo, ChangeRules, CloneStream, Content, Decision, DiscoveryInfo, Gate,
    NewStream, PeerInfo, ProofFile, Publish, Published, Resolve, Said, SaidState, Say, Settled, StreamInfo,
    Streams, ValidatorWish, ValidatorsChanged,
};
use quorate_node::{
    Archive, AskNames, BlockReader, Checkout, CheckoutReport, Client, Code, DatName, DhtKind, DhtStatus,
    Discover, EventStream, Failure, Listen, Multicast, Node, NodeConfig, NodeName, Resolved, Selection,
    ServerAnswer, ServerName,
};
use quorate_types::BlockRange;
use quorate_types::limits::DEFAULT_PORT;

use crate::text;

/// Time for a look at a stream when something has not come in time.
const A_LOOK: Duration = Duration::from_secs(2);

pub(crate) use self::keys::{
    create_identity, export_key, identities, import_identity, import_key, known_vote_key, noise_key,
    vote_key, vote_offer,
};
pub(crate) use self::transfer::{Imported, export, import};

/// Runs the program's future.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    AsyncStd::block_on(future)
}

/// Waits until then. Cancel-safe.
pub(crate) async fn sleep(until: Instant) {
    AsyncStd.sleep_until(until).await;
}

/// The streams of a home: in their files, or through the node that runs on it.
pub(crate) struct Backend {
    client: Client,
    timeout: Duration,
}

impl Backend {
    /// Finds out which of the two it is.
    pub(crate) async fn connect(home: &Path, timeout: Duration) -> Result<Self, Failure> {
        Ok(Self { client: Client::connect(home).await?, timeout })
    }

    /// Connects to follow a stream: where no node runs on the home, this process is the node.
    pub(crate) async fn follow(home: &Path, stream: &str, timeout: Duration) -> Result<Self, Failure> {
        let backend = Self::connect(home, timeout).await?;
        if let Client::Local(node) = &backend.client {
            node.serve_api().await?;
            let stream = node.open_stream(stream).await?;
            node.add_remembered_peers(&stream);
        }
        Ok(backend)
    }

    /// Dials the peers that a stream came from before; returns how many. A running node has done so itself.
    pub(crate) async fn meet_peers(&self, stream: &str) -> Result<usize, Failure> {
        match &self.client {
            Client::Local(node) => {
                let stream = node.open_stream(stream).await?;
                Ok(node.add_remembered_peers(&stream))
            }
            Client::Remote(_) => Ok(0),
        }
    }

    /// Returns the face of the node library.
    pub(crate) fn node_client(&self) -> &Client {
        &self.client
    }

    /// Tells whether a running node does the work.
    pub(crate) fn is_remote(&self) -> bool {
        self.client.is_remote()
    }

    /// Gives up on a running node that does not answer.
    async fn answer<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        self.patiently(Duration::ZERO, work).await
    }

    /// Gives up on a running node that does not answer so long after it should.
    async fn patiently<T>(
        &self,
        patience: Duration,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        if !self.is_remote() {
            return work.await;
        }
        let deadline = Instant::now() + patience + self.timeout;
        before(&AsyncStd, deadline, work).await.unwrap_or_else(|| {
            let seconds = self.timeout.as_secs();
            Err(Failure::new(
                Code::TimedOut,
                format!("expected an answer of the node that runs on this home, found none for {seconds} s"),
            )
            .next("the node may still do it: look before you repeat it; --timeout SECONDS waits longer"))
        })
    }

    pub(crate) async fn streams(&self) -> Result<Streams, Failure> {
        self.answer(self.client.streams()).await
    }

    pub(crate) async fn info(&self, stream: &str) -> Result<StreamInfo, Failure> {
        self.answer(self.client.info(stream)).await
    }

    /// Says how a stream stands when the blocks of a room that came last have been checked. A running node tells how it
    /// stands now.
    pub(crate) async fn settled(&self, stream: &str) -> Result<StreamInfo, Failure> {
        if !self.is_remote() {
            // Why a verdict is missing is in what is told.
            let _ = self.client.checked(stream).await;
        }
        self.info(stream).await
    }

    pub(crate) async fn create(&self, new: NewStream) -> Result<StreamInfo, Failure> {
        self.answer(self.client.create(new)).await
    }

    pub(crate) async fn append(&self, stream: &str, blocks: Vec<Bytes>) -> Result<Appended, Failure> {
        self.answer(self.client.append(stream, blocks)).await
    }

    /// Signs payloads and waits for what becomes of them, no longer than they are told to wait.
    pub(crate) async fn say(&self, stream: &str, say: Say) -> Result<Vec<Said>, Failure> {
        let patience = Duration::from_millis(say.patience_ms);
        self.patiently(patience, self.client.say(stream, say)).await
    }

    /// Ends the waiting of what is said with this call: it is signed and kept, and answered as it stands.
    pub(crate) async fn hurry(&self, stream: &str, call: u64) -> Result<(), Failure> {
        self.client.hurry(stream, call).await
    }

    /// Signs a change of rules, and waits like [`say`](Self::say).
    pub(crate) async fn change_rules(&self, stream: &str, change: ChangeRules) -> Result<Vec<Said>, Failure> {
        let patience = Duration::from_millis(change.patience_ms);
        self.patiently(patience, self.client.change_rules(stream, change)).await
    }

    /// Waits until every block that is here has a verdict.
    pub(crate) async fn checked(&self, stream: &str) -> Result<u64, Failure> {
        self.client.checked(stream).await
    }

    /// Takes a stream that is recovering for all that was ever written with its key.
    pub(crate) async fn trust_only_writer(&self, stream: &str) -> Result<(), Failure> {
        self.client.trust_only_writer(stream).await
    }

    /// Appends a change of the validators of a room that this node hosts.
    pub(crate) async fn change_validators(
        &self,
        stream: &str,
        wish: ValidatorWish,
    ) -> Result<ValidatorsChanged, Failure> {
        self.answer(self.client.change_validators(stream, wish)).await
    }

    /// Waits until what was said is committed, no longer than the timeout.
    pub(crate) async fn committed(&self, stream: &str, said: Vec<Said>) -> Result<Settled, Failure> {
        let deadline = Instant::now() + self.timeout;
        if let Some(settled) = before(&AsyncStd, deadline, self.client.settled(stream, said.clone())).await {
            return settled;
        }
        let seconds = self.timeout.as_secs();
        let look = Instant::now() + A_LOOK;
        let info = before(&AsyncStd, look, self.client.info(stream)).await.and_then(Result::ok);
        let stands = info.as_ref().and_then(|info| stands(info, &said)).unwrap_or_default();
        let message = format!(
            "expected a quorum to commit what was appended, found that it did not for {seconds} s{stands}; what was \
             appended stays appended"
        );
        let name = info.map_or_else(|| stream.to_owned(), |info| info.name);
        Err(Failure::new(Code::NotCommitted, message).next(format!("quorate votes {}", text::shell(&name))))
    }

    pub(crate) async fn evidence(&self, stream: &str, id: &str) -> Result<Bytes, Failure> {
        self.answer(self.client.evidence(stream, id)).await
    }

    pub(crate) async fn publish(&self, stream: &str, publish: Publish) -> Result<Published, Failure> {
        self.answer(self.client.publish(stream, publish)).await
    }

    pub(crate) async fn resolve(&self, stream: &str, resolve: Resolve) -> Result<Decision, Failure> {
        self.answer(self.client.resolve(stream, resolve)).await
    }

    pub(crate) async fn decisions(&self) -> Result<Vec<Decision>, Failure> {
        self.answer(self.client.decisions()).await
    }

    pub(crate) async fn get(&self, stream: &str, index: u64) -> Result<Bytes, Failure> {
        self.answer(self.client.get(stream, index)).await
    }

    pub(crate) async fn blocks(&self, stream: &str, range: BlockRange) -> Result<Vec<BlockInfo>, Failure> {
        self.answer(self.client.blocks(stream, range)).await
    }

    pub(crate) async fn proof(&self, stream: &str, index: u64) -> Result<ProofFile, Failure> {
        self.answer(self.client.proof(stream, index)).await
    }

    /// Takes as long as it takes: it reports progress.
    pub(crate) async fn audit(
        &self,
        stream: &str,
        progress: &mut (dyn FnMut(u64, u64) + Send),
    ) -> Result<AuditSummary, Failure> {
        self.client.audit(stream, progress).await
    }

    pub(crate) async fn clear(&self, stream: &str, range: BlockRange) -> Result<u64, Failure> {
        self.answer(self.client.clear(stream, range)).await
    }

    pub(crate) async fn peers(&self, stream: Option<&str>) -> Result<Vec<PeerInfo>, Failure> {
        self.answer(self.client.peers(stream)).await
    }

    pub(crate) async fn discovery(&self) -> Result<Vec<DiscoveryInfo>, Failure> {
        self.answer(self.client.discovery()).await
    }

    /// Opens every stream of the home; a running node has done so.
    pub(crate) async fn inspect(&self) -> Result<Vec<(String, Option<Failure>)>, Failure> {
        match &self.client {
            Client::Local(node) => node.inspect().await,
            Client::Remote(_) => Ok(Vec::new()),
        }
    }

    pub(crate) async fn events(&self) -> Result<Events, Failure> {
        Ok(Events(self.answer(self.client.events()).await?))
    }

    pub(crate) async fn clone_stream(&self, clone: CloneStream) -> Result<StreamInfo, Failure> {
        self.answer(self.client.clone_stream(clone)).await
    }

    /// Writes everything down and lets go of what was opened here. A running node goes on.
    pub(crate) async fn close(self) -> Result<(), Failure> {
        self.client.close().await
    }
}

/// Says how far a room is committed, and how many votes what was said still needs: `: appended 12, committed 9, 3 waiting for
/// 1 more vote`.
fn stands(info: &StreamInfo, said: &[Said]) -> Option<String> {
    let quorum = info.room.as_ref()?.quorum.as_ref()?;
    let appended = said.iter().filter_map(|one| match one.state {
        SaidState::Appended { index } => Some(index.saturating_add(1)),
        _ => None,
    });
    let wanted = appended.max().unwrap_or(info.length);
    let (length, committed) = (info.length, quorum.committed);
    let voted = quorum.validators.iter().filter(|validator| validator.voted >= wanted).count();
    let waiting = length.saturating_sub(committed);
    let missing = quorum.needed.saturating_sub(voted) as u64;
    let feed = quorum.feeds.last().map_or(info.key, |feed| feed.key);
    if let Some(evidence) = quorum.evidence.iter().find(|evidence| evidence.culprit == feed) {
        let whom = if quorum.hosts.is_empty() { "in vain" } else { "for the next host" };
        let more = if quorum.hosts.is_empty() { ", and the room names no next host" } else { "" };
        return Some(format!(
            ": appended {length}, committed {committed}, {waiting} waiting {whom}: the host of now signed a \
             contradiction (evidence {}), and validators vote for nothing more of it{more}",
            evidence.id.short()
        ));
    }
    let what = match missing {
        0 => "for the validators to tell each other of their votes".to_owned(),
        _ => format!("for {} more {}", missing, if missing == 1 { "vote" } else { "votes" }),
    };
    let known = if quorum.heard { "" } else { ", as far as is known here" };
    Some(format!(": appended {length}, committed {committed}, {waiting} waiting {what}{known}"))
}

/// What happens in a node.
pub(crate) struct Events(EventStream);

impl Events {
    /// Waits for the next event. Cancel-safe.
    ///
    /// # Errors
    ///
    /// Fails when the node has ended.
    pub(crate) async fn next(&mut self) -> Result<Event, Failure> {
        self.0.next().await.ok_or_else(|| {
            Failure::new(Code::NodeEnded, "expected the node on this home to go on, found that it has ended")
                .next("repeat the command: it works without that node, too")
        })
    }
}

/// A node of this process.
pub(crate) struct Serving {
    node: Node,
    timeout: Duration,
}

impl Serving {
    /// Opens a home.
    pub(crate) async fn open(home: &Path, timeout: Duration) -> Result<Self, Failure> {
        let node = Node::open(NodeConfig::new(home)).await?;
        node.carry_archives();
        Ok(Self { node, timeout })
    }

    /// Listens to what happens from now on.
    pub(crate) fn events(&self) -> Events {
        Events(self.node.events())
    }

    /// Returns the face that all commands use, on this node.
    pub(crate) fn client(&self) -> Backend {
        Backend { client: Client::Local(self.node.clone()), timeout: self.timeout }
    }

    /// Lets other commands on the home go through this node.
    pub(crate) async fn serve_api(&self) -> Result<(), Failure> {
        self.node.serve_api().await.map(|_| ())
    }

    /// Listens for peers; without a port on the default one or the next free one.
    pub(crate) async fn listen(
        &self,
        host: Option<IpAddr>,
        port: Option<u16>,
    ) -> Result<SocketAddr, Failure> {
        let listen = Listen { host, port: port.unwrap_or(DEFAULT_PORT), or_next_free: port.is_none() };
        self.node.listen(listen).await
    }

    /// Opens every stream of the home that can be opened, and dials the peers they came from.
    pub(crate) async fn open_all(&self) -> Result<Streams, Failure> {
        let found = self.node.streams().await?;
        for info in &found.streams {
            self.open_stream(&info.name).await?;
        }
        Ok(found)
    }

    /// Opens a stream, and dials the peers it came from.
    pub(crate) async fn open_stream(&self, stream: &str) -> Result<StreamInfo, Failure> {
        let stream = self.node.open_stream(stream).await?;
        self.node.add_remembered_peers(&stream);
        stream.info().await
    }

    /// Says what stock peers are shown of a stream, before it is opened.
    pub(crate) fn set_gate(&self, stream: &str, gate: Gate) -> Result<(), Failure> {
        self.node.set_gate(stream, gate)
    }

    /// Returns the link of a stream of the home.
    pub(crate) async fn link_of(&self, stream: &str) -> Result<String, Failure> {
        Ok(self.node.open_stream(stream).await?.link().to_string())
    }

    /// Dials a peer, and again when it is lost.
    pub(crate) fn add_peer(&self, peer: &str) {
        self.node.add_peer(peer);
    }

    /// Looks for peers, and is found.
    pub(crate) fn discover(&self, discover: Discover) -> Result<(), Failure> {
        self.node.discover(discover)
    }

    /// Begins to carry a stream of somebody else; without a peer, from those that it came from before.
    pub(crate) async fn clone_stream(&self, clone: CloneStream, live: bool) -> Result<StreamInfo, Failure> {
        let remembered = clone.peers.is_empty();
        // What is here is looked at before any peer can add to it.
        let alone = CloneStream { peers: Vec::new(), ..clone.clone() };
        let info = self.node.clone_stream(alone, live).await?.info().await?;
        let stream = self.node.clone_stream(clone, live).await?;
        if remembered {
            self.node.add_remembered_peers(&stream);
        }
        Ok(info)
    }

    /// Fetches the newest signed head of a stream.
    pub(crate) async fn reach_head(&self, wanted: CloneStream) -> Result<StreamInfo, Failure> {
        let stream = self.node.clone_stream(wanted, true).await?;
        let deadline = Instant::now() + self.timeout;
        let reached = before(&AsyncStd, deadline, stream.synced()).await.unwrap_or_else(|| {
            let seconds = self.timeout.as_secs();
            Err(Failure::new(
                Code::NoPeers,
                format!("expected a peer that carries the stream, found none for {seconds} s"),
            )
            .next("see whether it runs and is on the same network; name it: --peer HOST:PORT"))
        });
        reached?;
        stream.info().await
    }

    /// Ends connections in order, writes everything down and lets go of every stream.
    pub(crate) async fn shutdown(self) -> Result<(), Failure> {
        self.node.shutdown().await
    }
}

/// An archive that is reached: in the files of the home, through the node on it, or from peers.
pub(crate) struct Reached {
    client: Client,
    /// The metadata, where this process is the node.
    metadata: Option<quorate_node::Stream>,
    timeout: Duration,
}

impl Serving {
    /// Fetches the names of the files of an archive, and begins to carry its content.
    pub(crate) async fn reach_archive(
        &self,
        wanted: CloneStream,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Reached, Failure> {
        let remembered = wanted.peers.is_empty();
        let metadata = self.node.clone_stream(wanted, true).await?;
        if remembered {
            self.node.add_remembered_peers(&metadata);
        }
        let reached = Reached {
            client: Client::Local(self.node.clone()),
            metadata: Some(metadata.clone()),
            timeout: self.timeout,
        };
        let known = metadata.info().await?.length;
        let length = match reached.in_time(metadata.synced()).await {
            Ok(length) => length,
            // Nobody is there, but something is here.
            Err(failure) if failure.code == Code::NoPeers && known > 0 => known,
            Err(failure) => return Err(failure),
        };
        reached
            .fetch(&metadata, &[BlockRange::new(0, length)], &mut |done, _| progress(done, length))
            .await?;
        if let Content::Hyperdrive { content } = metadata.info().await?.content {
            self.node.carry_content(&metadata, content).await?;
        }
        Ok(reached)
    }
}

impl Reached {
    /// Reaches an archive of which all that is needed should be here.
    pub(crate) fn here(backend: &Backend) -> Self {
        Self { client: backend.client.clone(), metadata: None, timeout: backend.timeout }
    }

    /// Reads the names of the files.
    pub(crate) async fn read(&self, stream: &str, version: Option<u64>) -> Result<Archive, Failure> {
        match &self.metadata {
            Some(metadata) => Archive::read(&self.client, metadata.name(), version).await,
            None => Archive::read(&self.client, stream, version).await,
        }
    }

    /// Writes the files that are not in the directory; `progress` is told bytes written and bytes in all.
    pub(crate) async fn checkout(
        &self,
        archive: &Archive,
        directory: &Path,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<CheckoutReport, Failure> {
        let checkout = Checkout::new(archive, directory)?;
        let mut missing = checkout.missing()?;
        // In the order of the feed: blocks come that way, and are read that way at once.
        missing.sort_by_key(|file| file.start);
        let total = missing.iter().map(|file| file.size).sum();
        let mut reader = match missing.iter().any(|file| !file.blocks().is_empty()) {
            true => Some(BlockReader::new(&self.client, &archive.content.to_string()).await?),
            false => None,
        };
        let stream = reader.as_ref().and_then(|reader| reader.stream().cloned());
        if let Some(stream) = stream.as_ref().filter(|stream| stream.is_sparse()) {
            let ranges = missing.iter().map(|file| file.blocks()).filter(|range| !range.is_empty());
            stream.select(Selection::Ranges(joined(ranges.collect()))).await?;
        }
        let mut report = CheckoutReport {
            kept: (archive.files.len() - missing.len()) as u64,
            ..CheckoutReport::default()
        };
        for file in missing {
            let mut writer = checkout.begin(file)?;
            for index in file.start..file.end {
                let Some(reader) = &mut reader else { break };
                let block = match (reader.get(index).await, &stream) {
                    (Err(failure), Some(stream)) if is_still_to_come(&failure) => {
                        self.in_time(stream.fetch(index)).await?;
                        reader.get(index).await?
                    }
                    (block, _) => block?,
                };
                writer.block(&block.bytes, block.leaf)?;
                progress(report.bytes + writer.written(), total);
            }
            report.bytes += writer.finish()?;
            report.written += 1;
        }
        Ok(report)
    }

    async fn fetch(
        &self,
        stream: &quorate_node::Stream,
        ranges: &[BlockRange],
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), Failure> {
        let total = ranges.iter().map(|range| range.len()).sum();
        if stream.is_sparse() {
            stream.select(Selection::Ranges(ranges.to_vec())).await?;
        }
        let mut done = 0;
        for range in ranges {
            for index in range.start..range.end {
                self.in_time(stream.fetch(index)).await?;
                done += 1;
                progress(done, total);
            }
        }
        Ok(())
    }

    /// Gives up when nobody answers.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let deadline = Instant::now() + self.timeout;
        before(&AsyncStd, deadline, work).await.unwrap_or_else(|| {
            Err(Failure::new(
                Code::NoPeers,
                format!(
                    "expected a peer that carries the archive, found none for {} s",
                    self.timeout.as_secs()
                ),
            )
            .next("name one: --peer HOST:PORT; on the same network, see whether it runs"))
        })
    }
}

/// Says something to the local network and listens for it.
pub(crate) async fn probe_multicast(patience: Duration) -> Result<Vec<Multicast>, String> {
    quorate_node::probe_multicast(&runtime(), patience).await
}

/// Asks discovery servers whether they answer.
pub(crate) async fn probe_servers(
    names: Vec<ServerName>,
    patience: Duration,
) -> Result<Vec<ServerAnswer>, String> {
    quorate_node::probe_servers(&runtime(), names, patience).await
}

/// Asks a distributed hash table whether anybody is there.
pub(crate) async fn probe_dht(
    kind: DhtKind,
    bootstrap: Vec<NodeName>,
    patience: Duration,
) -> Result<DhtStatus, String> {
    quorate_node::probe_dht(&runtime(), kind, bootstrap, patience).await
}

/// Finds out which key a name stands for.
pub(crate) async fn look_up(name: &DatName, ask: AskNames, patience: Duration) -> Result<Resolved, Failure> {
    quorate_net::names::look_up(&runtime(), name, ask, patience)
        .await
        .map_err(|error| Failure::new(Code::NameUnknown, error.to_string()))
}

fn runtime() -> Arc<dyn Runtime> {
    Arc::new(AsyncStd)
}

fn is_still_to_come(failure: &Failure) -> bool {
    matches!(failure.code, Code::BlockNotHere | Code::BlockBeyondEnd)
}

/// Joins ranges that touch or overlap.
fn joined(mut ranges: Vec<BlockRange>) -> Vec<BlockRange> {
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let mut joined: Vec<BlockRange> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}
