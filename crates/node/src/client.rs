//! One face for whoever uses streams, whether a node runs on the home or not.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use quorate_types::BlockRange;

use crate::api::RemoteNode;
use crate::model::{
    Appended, AuditSummary, BlockInfo, ChangeRules, CloneStream, Decision, DiscoveryInfo, NewStream,
    PeerInfo, ProofFile, Publish, Published, Resolve, Said, Say, Settled, StreamInfo, Streams, ValidatorWish,
    ValidatorsChanged,
};
use crate::{EventStream, Failure, Node, NodeConfig};

/// What can be done with the streams of a home.
///
/// Where a node runs on the home (`quorate share`), it does the work and is asked over its local API; else the files are
/// opened here. Nothing is started in secret.
#[derive(Debug, Clone)]
pub enum Client {
    /// The files are opened here.
    Local(Node),
    /// A node runs.
    Remote(RemoteNode),
}

impl Client {
    /// Finds out whether a node runs on the home.
    ///
    /// # Errors
    ///
    /// A [`Failure`] when the home can be neither used nor created.
    pub async fn connect(home: &Path) -> Result<Self, Failure> {
        let node = Node::open(NodeConfig::new(home)).await?;
        match RemoteNode::find(node.socket_path(), node.runtime().clone()).await? {
            Some(remote) => Ok(Self::Remote(remote)),
            None => Ok(Self::Local(node)),
        }
    }

    /// Tells whether a running node does the work.
    pub const fn is_remote(&self) -> bool {
        matches!(self, Self::Remote(_))
    }

    /// Lists the streams of the home, by name.
    pub async fn streams(&self) -> Result<Streams, Failure> {
        match self {
            Self::Local(node) => node.streams().await,
            Self::Remote(node) => node.streams().await,
        }
    }

    /// Says how a stream stands; `stream` is a name, a short key or a link, here and below.
    pub async fn info(&self, stream: &str) -> Result<StreamInfo, Failure> {
        match self {
            Self::Local(node) => node.open_stream(stream).await?.info().await,
            Self::Remote(node) => node.info(stream).await,
        }
    }

    /// Creates a stream that is written here.
    pub async fn create(&self, new: NewStream) -> Result<StreamInfo, Failure> {
        match self {
            Self::Local(node) => node.create(new).await?.info().await,
            Self::Remote(node) => node.create(new).await,
        }
    }

    /// Takes a stream that is recovering for all that was ever written with its key, on the word of its user.
    ///
    /// # Errors
    ///
    /// As [`Stream::trust_only_writer`](crate::Stream::trust_only_writer).
    pub async fn trust_only_writer(&self, stream: &str) -> Result<(), Failure> {
        match self {
            Self::Local(node) => node.open_stream(stream).await?.trust_only_writer().await,
            Self::Remote(node) => node.trust_only_writer(stream).await,
        }
    }

    /// Appends one batch; it is durable when this returns.
    pub async fn append(&self, stream: &str, blocks: Vec<Bytes>) -> Result<Appended, Failure> {
        match self {
            Self::Local(node) => node.open_stream(stream).await?.append(blocks).await,
            Self::Remote(node) => node.append(stream, blocks).await,
        }
    }

    /// Signs payloads by a local identity and brings them to the host of the room; says what became of each.
    ///
    /// # Errors
    ///
    /// As [`Node::say`]. A refusal is no failure.
    pub async fn say(&self, stream: &str, say: Say) -> Result<Vec<Said>, Failure> {
        match self {
            Self::Local(node) => node.say(stream, say).await,
            Self::Remote(node) => node.say(stream, &say).await,
        }
    }

    /// Ends the waiting of [`say`](Self::say) and [`change_rules`](Self::change_rules) with this call.
    ///
    /// # Errors
    ///
    /// As [`Node::hurry`].
    pub async fn hurry(&self, stream: &str, call: u64) -> Result<(), Failure> {
        match self {
            Self::Local(node) => node.hurry(stream, call).await,
            Self::Remote(node) => node.hurry(stream, call).await,
        }
    }

    /// Waits until every block of a stream that is here has a verdict, where the stream is a room; returns the length.
    ///
    /// # Errors
    ///
    /// As [`Stream::checked`](crate::Stream::checked).
    pub async fn checked(&self, stream: &str) -> Result<u64, Failure> {
        match self {
            Self::Local(node) => node.open_stream(stream).await?.checked().await,
            Self::Remote(node) => node.checked(stream).await,
        }
    }

    /// Signs a change of rules by a local identity and brings it to the host of the room; says what became of it.
    ///
    /// # Errors
    ///
    /// As [`Node::change_rules`]. A refusal is no failure.
    pub async fn change_rules(&self, stream: &str, change: ChangeRules) -> Result<Vec<Said>, Failure> {
        match self {
            Self::Local(node) => node.change_rules(stream, change).await,
            Self::Remote(node) => node.change_rules(stream, &change).await,
        }
    }

    /// Appends a change of the validators of a room that this node hosts.
    ///
    /// # Errors
    ///
    /// As [`Stream::change_validators`](crate::Stream::change_validators).
    pub async fn change_validators(
        &self,
        stream: &str,
        wish: ValidatorWish,
    ) -> Result<ValidatorsChanged, Failure> {
        match self {
            Self::Local(node) => node.open_stream(stream).await?.change_validators(wish).await,
            Self::Remote(node) => node.change_validators(stream, &wish).await,
        }
    }

    /// Waits until so many blocks are committed; returns how many are then.
    pub async fn committed(&self, stream: &str, length: u64) -> Result<u64, Failure> {
        match self {
            Self::Local(node) => node.open_stream(stream).await?.committed(length).await,
            Self::Remote(node) => node.committed(stream, length).await,
        }
    }

    /// Waits until what was said is committed, wherever it comes to stand.
    ///
    /// # Errors
    ///
    /// As [`Stream::settled`](crate::Stream::settled).
    pub async fn settled(&self, stream: &str, said: Vec<Said>) -> Result<Settled, Failure> {
        match self {
            Self::Local(node) => node.open_stream(stream).await?.settled(said).await,
            Self::Remote(node) => node.settled(stream, &said).await,
        }
    }

    /// Returns a piece of evidence by its id, or the first digits of it.
    pub async fn evidence(&self, stream: &str, id: &str) -> Result<Bytes, Failure> {
        match self {
            Self::Local(node) => node.open_stream(stream).await?.evidence(id).await,
            Self::Remote(node) => node.evidence(stream, id).await,
        }
    }

    /// Sends evidence to every connected quorate node that carries the stream.
    ///
    /// # Errors
    ///
    /// As [`Node::publish`].
    pub async fn publish(&self, stream: &str, publish: Publish) -> Result<Published, Failure> {
        match self {
            Self::Local(node) => node.publish(stream, publish).await,
            Self::Remote(node) => node.publish(stream, &publish).await,
        }
    }

    /// Decides what is done about the key that evidence in a stream is against.
    ///
    /// # Errors
    ///
    /// As [`Node::resolve`].
    pub async fn resolve(&self, stream: &str, resolve: Resolve) -> Result<Decision, Failure> {
        match self {
            Self::Local(node) => node.resolve(stream, resolve).await,
            Self::Remote(node) => node.resolve(stream, &resolve).await,
        }
    }

    /// Lists what was decided about keys that signed contradictions.
    pub async fn decisions(&self) -> Result<Vec<Decision>, Failure> {
        match self {
            Self::Local(node) => Ok(node.decisions()),
            Self::Remote(node) => node.decisions().await,
        }
    }

    /// Reads a block that is here.
    pub async fn get(&self, stream: &str, index: u64) -> Result<Bytes, Failure> {
        match self {
            Self::Local(node) => node.open_stream(stream).await?.get(index).await,
            Self::Remote(node) => node.get(stream, index).await,
        }
    }

    /// Describes blocks, at most [`MAX_BLOCKS_DESCRIBED`](crate::MAX_BLOCKS_DESCRIBED) of the range.
    pub async fn blocks(&self, stream: &str, range: BlockRange) -> Result<Vec<BlockInfo>, Failure> {
        match self {
            Self::Local(node) => node.open_stream(stream).await?.blocks(range).await,
            Self::Remote(node) => node.blocks(stream, range).await,
        }
    }

    /// Proves a block, so that it can be checked offline.
    pub async fn proof(&self, stream: &str, index: u64) -> Result<ProofFile, Failure> {
        match self {
            Self::Local(node) => node.open_stream(stream).await?.prove(index).await,
            Self::Remote(node) => node.proof(stream, index).await,
        }
    }

    /// Checks every block, parent and signature again; `progress` gets (done, total).
    pub async fn audit(
        &self,
        stream: &str,
        progress: &mut (dyn FnMut(u64, u64) + Send),
    ) -> Result<AuditSummary, Failure> {
        match self {
            Self::Local(node) => {
                let stream = node.open_stream(stream).await?;
                let (to, from) = async_channel::bounded(16);
                let watch = async {
                    while let Ok((done, total)) = from.recv().await {
                        progress(done, total);
                    }
                    futures_lite::future::pending().await
                };
                futures_lite::future::or(stream.audit(to), watch).await
            }
            Self::Remote(node) => node.audit(stream, progress).await,
        }
    }

    /// Copies a stream into a new or an empty directory, given as an absolute path.
    pub async fn export(&self, stream: &str, to: PathBuf, with_secret_key: bool) -> Result<(), Failure> {
        match self {
            Self::Local(node) => node.open_stream(stream).await?.export(to, with_secret_key).await,
            Self::Remote(node) => node.export(stream, to, with_secret_key).await,
        }
    }

    /// Deletes blocks here; returns how many.
    pub async fn clear(&self, stream: &str, range: BlockRange) -> Result<u64, Failure> {
        match self {
            Self::Local(node) => node.open_stream(stream).await?.clear(range).await,
            Self::Remote(node) => node.clear(stream, range).await,
        }
    }

    /// Lists connections, of one stream or of all; none when no node runs.
    pub async fn peers(&self, stream: Option<&str>) -> Result<Vec<PeerInfo>, Failure> {
        match self {
            Self::Local(node) => node.peers(stream).await,
            Self::Remote(node) => node.peers(stream).await,
        }
    }

    /// Says how each discovery service stands; none when no node runs.
    pub async fn discovery(&self) -> Result<Vec<DiscoveryInfo>, Failure> {
        match self {
            Self::Local(node) => Ok(node.discovery()),
            Self::Remote(node) => node.discovery().await,
        }
    }

    /// Listens to what happens from now on.
    pub async fn events(&self) -> Result<EventStream, Failure> {
        match self {
            Self::Local(node) => Ok(node.events()),
            Self::Remote(node) => Ok(EventStream::Remote(node.events().await?)),
        }
    }

    /// Begins to carry a stream of somebody else; a running node fetches it from then on.
    pub async fn clone_stream(&self, clone: CloneStream) -> Result<StreamInfo, Failure> {
        match self {
            Self::Local(node) => node.clone_stream(clone, true).await?.info().await,
            Self::Remote(node) => node.clone_stream(clone).await,
        }
    }

    /// Writes everything down and lets go of what was opened here. A running node goes on.
    pub async fn close(self) -> Result<(), Failure> {
        match self {
            Self::Local(node) => node.shutdown().await,
            Self::Remote(_) => Ok(()),
        }
    }
}
