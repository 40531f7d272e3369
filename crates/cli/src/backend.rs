//! The one place that talks to the node library.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quorate_net::runtime::{AsyncStd, Runtime, before};
use quorate_node::event::Event;
use quorate_node::model::{
    Appended, AuditSummary, BlockInfo, ChangeRules, CloneStream, IdentityInfo, NewStream, PeerInfo,
    ProofFile, Said, Say, StreamInfo,
};
use quorate_node::{Client, Code, EventStream, Failure, Identities, Listen, Node, NodeConfig};
use quorate_types::limits::DEFAULT_PORT;
use quorate_types::{BlockRange, PublicKey};

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

    pub(crate) async fn streams(&self) -> Result<Vec<StreamInfo>, Failure> {
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

    /// Signs a change of rules, and waits like [`say`](Self::say).
    pub(crate) async fn change_rules(&self, stream: &str, change: ChangeRules) -> Result<Vec<Said>, Failure> {
        let patience = Duration::from_millis(change.patience_ms);
        self.patiently(patience, self.client.change_rules(stream, change)).await
    }

    /// Waits until every block that is here has a verdict.
    pub(crate) async fn checked(&self, stream: &str) -> Result<u64, Failure> {
        self.client.checked(stream).await
    }

    /// Waits until so many blocks are committed, no longer than the timeout; returns how many are then.
    pub(crate) async fn committed(&self, stream: &str, length: u64) -> Result<u64, Failure> {
        let deadline = Instant::now() + self.timeout;
        before(&AsyncStd, deadline, self.client.committed(stream, length)).await.unwrap_or_else(|| {
            let seconds = self.timeout.as_secs();
            let message =
                format!("expected a quorum to commit {length} blocks, found that it did not for {seconds} s");
            Err(Failure::new(Code::NotCommitted, message)
                .next("what was appended stays appended: quorate votes STREAM shows who has not voted"))
        })
    }

    pub(crate) async fn evidence(&self, stream: &str, id: &str) -> Result<Bytes, Failure> {
        self.answer(self.client.evidence(stream, id)).await
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
            Failure::new(Code::NoPeers, "expected the node on this home to go on, found that it has ended")
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
        Ok(Self { node: Node::open(NodeConfig::new(home)).await?, timeout })
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

    /// Opens every stream of the home, and dials the peers they came from.
    pub(crate) async fn open_all(&self) -> Result<Vec<StreamInfo>, Failure> {
        let streams = self.node.streams().await?;
        for info in &streams {
            self.open_stream(&info.name).await?;
        }
        Ok(streams)
    }

    /// Opens a stream, and dials the peers it came from.
    pub(crate) async fn open_stream(&self, stream: &str) -> Result<StreamInfo, Failure> {
        let stream = self.node.open_stream(stream).await?;
        self.node.add_remembered_peers(&stream);
        stream.info().await
    }

    /// Dials a peer, and again when it is lost.
    pub(crate) fn add_peer(&self, peer: &str) {
        self.node.add_peer(peer);
    }

    /// Begins to carry a stream of somebody else; without a peer, from those that it came from before.
    pub(crate) async fn clone_stream(&self, clone: CloneStream, live: bool) -> Result<StreamInfo, Failure> {
        let remembered = clone.peers.is_empty();
        let stream = self.node.clone_stream(clone, live).await?;
        if remembered {
            self.node.add_remembered_peers(&stream);
        }
        stream.info().await
    }

    /// Ends connections in order, writes everything down and lets go of every stream.
    pub(crate) async fn shutdown(self) -> Result<(), Failure> {
        self.node.shutdown().await
    }
}

/// Reads the key by which peers know the node of a home.
pub(crate) async fn noise_key(home: &Path) -> Result<String, Failure> {
    let node = Node::open(NodeConfig::new(home)).await?;
    let key = node.noise_key().to_string();
    node.shutdown().await?;
    Ok(key)
}

/// Makes a local identity.
pub(crate) fn create_identity(home: &Path, name: &str) -> Result<IdentityInfo, Failure> {
    Identities::open(home)?.create(name)
}

/// Returns the vote key of a home, made when there is none.
pub(crate) fn vote_key(home: &Path) -> Result<PublicKey, Failure> {
    Identities::open(home)?.vote_key()
}

/// Lists the local identities.
pub(crate) fn identities(home: &Path) -> Result<Vec<IdentityInfo>, Failure> {
    Identities::open(home)?.list()
}

/// What came of an import.
#[derive(Debug, Default)]
pub(crate) struct Imported {
    /// Streams that are here now.
    pub(crate) streams: Vec<StreamInfo>,
    /// The content feed of an archive whose blocks are nowhere but in the folder's own files, and why it was left out.
    pub(crate) left_out: Option<Failure>,
}

/// Copies the feeds in a directory of another program into the home, with their secret keys.
pub(crate) async fn import(
    home: &Path,
    directory: &Path,
    name: &str,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Imported, Failure> {
    let mut feeds = Node::feeds_in(directory)?;
    // The metadata, which every archive has, before the content.
    feeds.sort_by_key(|feed| feed.role == Some("content"));
    let node = Node::open(NodeConfig::new(home)).await?;
    let mut imported = Imported::default();
    for feed in &feeds {
        let is_content = feed.role == Some("content");
        let name = if is_content { format!("{name}-content") } else { name.to_string() };
        match node.import(&feed.files, &name, true, progress).await {
            Ok(stream) => imported.streams.push(stream.info().await?),
            Err(failure) if is_content && failure.code == Code::NotAFeed => imported.left_out = Some(failure),
            Err(failure) => return Err(failure),
        }
    }
    node.shutdown().await?;
    Ok(imported)
}

/// Copies a stream into a directory that stock clients open.
pub(crate) async fn export(
    home: &Path,
    stream: &str,
    directory: &Path,
    with_secret_key: bool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<StreamInfo, Failure> {
    let node = Node::open(NodeConfig::new(home)).await?;
    let info = node.open_stream(stream).await?.info().await?;
    node.export(stream, directory, with_secret_key, progress).await?;
    node.shutdown().await?;
    Ok(info)
}
