//! A node of ours in the test's own process, for what the command line does not show.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use quorate_net::runtime::{AsyncStd, Runtime, before};
use quorate_node::event::Event;
use quorate_node::model::{CloneStream, Encoding, NewStream, StreamInfo};
use quorate_node::{EventStream, Listen, NodeConfig, Stream};
use quorate_types::Link;

use crate::{PATIENCE, Workspace, checksum};

/// Runs a future of a test on the runtime that nodes use.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    AsyncStd::block_on(future)
}

/// What a node under test is told.
#[derive(Debug, Clone, Default)]
pub struct NodeOptions {
    /// Names of extensions besides quorate's own.
    pub extensions: Vec<String>,
    /// Replicate until everything is here, then let go.
    pub finite: bool,
    /// Home that goes on; a fresh one that goes away with the node otherwise.
    pub home: Option<PathBuf>,
    /// Noise keys that are turned away.
    pub denied: Vec<[u8; 32]>,
}

/// A node with its home, its events and the addresses it listens on.
#[derive(Debug)]
pub struct Node {
    /// The node itself.
    pub node: quorate_node::Node,
    events: EventStream,
    home: PathBuf,
    _workspace: Workspace,
}

impl Node {
    /// Opens a node.
    pub async fn open(options: NodeOptions) -> Result<Self> {
        let workspace = Workspace::new()?;
        let home = options.home.unwrap_or_else(|| workspace.join("home"));
        let mut config = NodeConfig::new(&home);
        config.extensions = options.extensions;
        config.replication.live = !options.finite;
        config.policy.denied = options.denied.into_iter().map(Into::into).collect();
        let node = quorate_node::Node::open(config).await?;
        let events = node.events();
        Ok(Self { node, events, home, _workspace: workspace })
    }

    /// Opens a node with nothing but defaults.
    pub async fn fresh() -> Result<Self> {
        Self::open(NodeOptions::default()).await
    }

    /// Returns its home.
    pub fn home(&self) -> &std::path::Path {
        &self.home
    }

    /// Directory of a stream of this node.
    pub fn directory(&self, stream: &Stream) -> PathBuf {
        self.home.join("streams").join(stream.name())
    }

    /// Makes a stream with blocks in it.
    pub async fn create<B: Into<Bytes>>(
        &self,
        name: &str,
        blocks: impl IntoIterator<Item = B>,
    ) -> Result<Stream> {
        let new = NewStream { name: name.into(), encoding: Encoding::Binary, room: None };
        let stream = self.node.create(new).await?;
        let blocks: Vec<Bytes> = blocks.into_iter().map(Into::into).collect();
        for batch in blocks.chunks(1000) {
            stream.append(batch.to_vec()).await?;
        }
        Ok(stream)
    }

    /// Listens on loopback and returns `host:port`.
    pub async fn listen(&self) -> Result<String> {
        let listen = Listen { host: Some([127, 0, 0, 1].into()), port: 0, or_next_free: false };
        Ok(self.node.listen(listen).await?.to_string())
    }

    /// Carries a stream of somebody else, found at an address.
    pub async fn carry(&self, key: [u8; 32], peer: &str) -> Result<Stream> {
        self.carry_as(key, peer, false).await
    }

    /// Carries a stream of somebody else, of which only what is asked for is fetched.
    pub async fn carry_sparse(&self, key: [u8; 32], peer: &str) -> Result<Stream> {
        self.carry_as(key, peer, true).await
    }

    async fn carry_as(&self, key: [u8; 32], peer: &str, sparse: bool) -> Result<Stream> {
        let link = Link::new(key.into()).to_string();
        let peers = if peer.is_empty() { Vec::new() } else { vec![peer.to_owned()] };
        let clone = CloneStream { link, name: None, peers, sparse, no_check: false };
        Ok(self.node.clone_stream(clone, true).await?)
    }

    /// Waits for the first event of a kind that was not read yet.
    pub async fn event(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) -> Result<Event> {
        let mut seen = Vec::new();
        let next = async {
            loop {
                match self.events.next().await {
                    Some(event) if wanted(&event) => return Ok(event),
                    Some(event) => seen.push(format!("{event:?}")),
                    None => return Err(anyhow!("the node ended")),
                }
            }
        };
        match before(&AsyncStd, AsyncStd.now() + PATIENCE, next).await {
            Some(result) => result,
            None => Err(anyhow!("expected event {what:?} within {PATIENCE:?}, found {seen:?}")),
        }
    }

    /// Waits for the next event that was not read yet; `None` when the node has ended.
    pub async fn next_event(&mut self) -> Option<Event> {
        self.events.next().await
    }

    /// Ends the node in order.
    pub async fn shutdown(self) -> Result<()> {
        Ok(self.node.shutdown().await?)
    }
}

/// Waits for something that is expected to happen soon.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> Result<T> {
    within(PATIENCE, what, future).await
}

/// Waits for something that is expected to happen in time.
pub async fn within<T>(patience: Duration, what: &str, future: impl Future<Output = T>) -> Result<T> {
    before(&AsyncStd, AsyncStd.now() + patience, future)
        .await
        .with_context(|| format!("expected {what} within {patience:?}, found it did not happen"))
}

/// Waits until a stream stands as wanted.
pub async fn until_info(
    stream: &Stream,
    what: &str,
    wanted: impl Fn(&StreamInfo) -> bool,
) -> Result<StreamInfo> {
    soon(what, async {
        loop {
            let info = stream.info().await?;
            if wanted(&info) {
                return Ok(info);
            }
            AsyncStd.sleep_until(AsyncStd.now() + Duration::from_millis(20)).await;
        }
    })
    .await?
}

/// Hash over all blocks of a stream, as stock peers compute it.
pub async fn stream_checksum(stream: &Stream) -> Result<String> {
    let mut blocks = Vec::new();
    for index in 0..stream.info().await?.length {
        blocks.push(stream.get(index).await?);
    }
    Ok(checksum(blocks))
}
