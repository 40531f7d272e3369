//! The client's side: a node that runs in another process.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use data_encoding::BASE64;
use quorate_net::http::{self, CallError, Lines};
use quorate_net::runtime::Runtime;
use quorate_types::{BlockRange, Link};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::MAX_APPEND_BYTES;
use super::wire::{AuditLine, Blocks, Checked, Cleared, Copied, Hurry, Range};
use crate::event::Event;
use crate::model::{
    Appended, AuditSummary, BlockInfo, ChangeRules, CloneStream, Decision, DiscoveryInfo, NewStream,
    PeerInfo, ProofFile, Publish, Published, Resolve, Said, Say, Settled, StreamInfo, Streams, ValidatorWish,
    ValidatorsChanged,
};
use crate::{Code, Failure, FailureBody};

/// A node that runs on the home in another process.
#[derive(Debug, Clone)]
pub struct RemoteNode {
    socket: PathBuf,
    runtime: Arc<dyn Runtime>,
}

impl RemoteNode {
    /// Looks for a node that answers on the home's socket; a socket that nobody answers on is none.
    pub async fn find(socket: PathBuf, runtime: Arc<dyn Runtime>) -> Result<Option<Self>, Failure> {
        if !socket.exists() {
            return Ok(None);
        }
        match runtime.connect_unix(&socket).await {
            Ok(_) => Ok(Some(Self { socket, runtime })),
            Err(_) => Ok(None),
        }
    }

    /// Lists the streams of the home, by name.
    pub async fn streams(&self) -> Result<Streams, Failure> {
        self.get_json("/v1/streams".into()).await
    }

    /// Says how a stream stands.
    pub async fn info(&self, stream: &str) -> Result<StreamInfo, Failure> {
        self.get_json(path(stream, "")?).await
    }

    /// Creates a stream.
    pub async fn create(&self, new: NewStream) -> Result<StreamInfo, Failure> {
        self.post_json("/v1/streams".into(), &new).await
    }

    /// Takes a stream that is recovering for all that was ever written with its key.
    pub async fn trust_only_writer(&self, stream: &str) -> Result<(), Failure> {
        self.post_json(path(stream, "/only-writer")?, &()).await
    }

    /// Appends one batch.
    pub async fn append(&self, stream: &str, blocks: Vec<Bytes>) -> Result<Appended, Failure> {
        let bytes: usize = blocks.iter().map(Bytes::len).sum();
        if bytes > MAX_APPEND_BYTES {
            return Err(Failure::new(
                Code::BlockTooLarge,
                format!(
                    "expected a batch of at most {MAX_APPEND_BYTES} bytes for a running node, found {bytes}"
                ),
            )
            .next("append in smaller batches, or stop the node first"));
        }
        let blocks = Blocks { blocks: blocks.iter().map(|block| BASE64.encode(block)).collect() };
        self.post_json(path(stream, "/blocks")?, &blocks).await
    }

    /// Signs payloads and brings them to the host of the room.
    pub async fn say(&self, stream: &str, say: &Say) -> Result<Vec<Said>, Failure> {
        self.post_json(path(stream, "/actions")?, say).await
    }

    /// Ends the waiting of what is said with this call.
    pub async fn hurry(&self, stream: &str, call: u64) -> Result<(), Failure> {
        self.post_json(path(stream, "/hurry")?, &Hurry { call }).await
    }

    /// Waits until every block that is here has a verdict.
    pub async fn checked(&self, stream: &str) -> Result<u64, Failure> {
        let Checked { length } = self.post_json(path(stream, "/checked")?, &()).await?;
        Ok(length)
    }

    /// Waits until so many blocks are committed.
    pub async fn committed(&self, stream: &str, length: u64) -> Result<u64, Failure> {
        let Checked { length } = self.post_json(path(stream, "/committed")?, &Checked { length }).await?;
        Ok(length)
    }

    /// Waits until what was said is committed.
    pub async fn settled(&self, stream: &str, said: &[Said]) -> Result<Settled, Failure> {
        self.post_json(path(stream, "/settled")?, &said).await
    }

    /// Returns a piece of evidence.
    pub async fn evidence(&self, stream: &str, id: &str) -> Result<Bytes, Failure> {
        self.call("GET", path(stream, &format!("/evidence/{}", name(id)?))?, Bytes::new()).await
    }

    /// Sends evidence to every connected quorate node that carries the stream.
    pub async fn publish(&self, stream: &str, publish: &Publish) -> Result<Published, Failure> {
        self.post_json(path(stream, "/published")?, publish).await
    }

    /// Decides what is done about a key that signed a contradiction.
    pub async fn resolve(&self, stream: &str, resolve: &Resolve) -> Result<Decision, Failure> {
        self.post_json(path(stream, "/decisions")?, resolve).await
    }

    /// Lists what was decided about keys.
    pub async fn decisions(&self) -> Result<Vec<Decision>, Failure> {
        self.get_json("/v1/decisions".into()).await
    }

    /// Signs a change of rules and brings it to the host of the room.
    pub async fn change_rules(&self, stream: &str, change: &ChangeRules) -> Result<Vec<Said>, Failure> {
        self.post_json(path(stream, "/rules")?, change).await
    }

    /// Appends a change of the validators of a room.
    pub async fn change_validators(
        &self,
        stream: &str,
        wish: &ValidatorWish,
    ) -> Result<ValidatorsChanged, Failure> {
        self.post_json(path(stream, "/validators")?, wish).await
    }

    /// Reads a block.
    pub async fn get(&self, stream: &str, index: u64) -> Result<Bytes, Failure> {
        self.call("GET", path(stream, &format!("/blocks/{index}"))?, Bytes::new()).await
    }

    /// Describes blocks.
    pub async fn blocks(&self, stream: &str, range: BlockRange) -> Result<Vec<BlockInfo>, Failure> {
        self.get_json(path(stream, &format!("/blocks?start={}&end={}", range.start, range.end))?).await
    }

    /// Proves a block.
    pub async fn proof(&self, stream: &str, index: u64) -> Result<ProofFile, Failure> {
        self.get_json(path(stream, &format!("/proofs/{index}"))?).await
    }

    /// Checks everything again.
    pub async fn audit(
        &self,
        stream: &str,
        progress: &mut (dyn FnMut(u64, u64) + Send),
    ) -> Result<AuditSummary, Failure> {
        let mut lines = self.open_lines("POST", path(stream, "/audit")?).await?;
        while let Some(line) = lines.next().await.map_err(broken)? {
            match parse(&line)? {
                AuditLine::Progress(done, total) => progress(done, total),
                AuditLine::Audit(summary) => return Ok(summary),
                AuditLine::Failure(failure) => return Err(failure.into()),
            }
        }
        Err(Failure::new(Code::Internal, "expected the result of the audit, found the end of the answer"))
    }

    /// Copies a stream.
    pub async fn export(&self, stream: &str, to: PathBuf, with_secret_key: bool) -> Result<(), Failure> {
        self.post_json(path(stream, "/exported")?, &Copied { to, with_secret_key }).await
    }

    /// Deletes blocks.
    pub async fn clear(&self, stream: &str, range: BlockRange) -> Result<u64, Failure> {
        let range = Range { start: range.start, end: range.end };
        let cleared: Cleared = self.post_json(path(stream, "/clear")?, &range).await?;
        Ok(cleared.cleared)
    }

    /// Lists connections.
    pub async fn peers(&self, stream: Option<&str>) -> Result<Vec<PeerInfo>, Failure> {
        match stream {
            Some(stream) => self.get_json(format!("/v1/peers?stream={}", name(stream)?)).await,
            None => self.get_json("/v1/peers".into()).await,
        }
    }

    /// Says how each discovery service stands.
    pub async fn discovery(&self) -> Result<Vec<DiscoveryInfo>, Failure> {
        self.get_json("/v1/discovery".into()).await
    }

    /// Listens to what happens.
    pub async fn events(&self) -> Result<RemoteEvents, Failure> {
        Ok(RemoteEvents { lines: self.open_lines("GET", "/v1/events".into()).await? })
    }

    /// Begins to carry a stream of somebody else.
    pub async fn clone_stream(&self, clone: CloneStream) -> Result<StreamInfo, Failure> {
        self.post_json("/v1/clones".into(), &clone).await
    }

    async fn get_json<T: DeserializeOwned>(&self, path: String) -> Result<T, Failure> {
        parse(&self.call("GET", path, Bytes::new()).await?)
    }

    async fn post_json<T: DeserializeOwned>(
        &self,
        path: String,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let body =
            serde_json::to_vec(body).map_err(|error| Failure::new(Code::Internal, error.to_string()))?;
        parse(&self.call("POST", path, body.into()).await?)
    }

    async fn call(&self, method: &str, path: String, body: Bytes) -> Result<Bytes, Failure> {
        let answer = http::call(&self.runtime, &self.socket, method, &path, body).await.map_err(broken)?;
        if answer.status == 200 {
            return Ok(answer.body);
        }
        Err(failure_of(&answer.body))
    }

    async fn open_lines(&self, method: &str, path: String) -> Result<Lines, Failure> {
        let lines = http::call_streaming(&self.runtime, &self.socket, method, &path, Bytes::new()).await;
        let mut lines = lines.map_err(broken)?;
        if lines.status() == 200 {
            return Ok(lines);
        }
        let body = lines.next().await.map_err(broken)?.unwrap_or_default();
        Err(failure_of(&body))
    }
}

/// Events of a node in another process.
pub struct RemoteEvents {
    lines: Lines,
}

impl std::fmt::Debug for RemoteEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteEvents").finish_non_exhaustive()
    }
}

impl RemoteEvents {
    /// Waits for the next event; `None` when the node has ended.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let line = self.lines.next().await.ok().flatten()?;
            // A newer node may know events that this program does not.
            if let Ok(event) = serde_json::from_slice(&line) {
                return Some(event);
            }
        }
    }
}

fn path(stream: &str, rest: &str) -> Result<String, Failure> {
    Ok(format!("/v1/streams/{}{rest}", name(stream)?))
}

/// Writes a name, short key or link so that it can stand in a path.
fn name(stream: &str) -> Result<String, Failure> {
    if let Ok(link) = stream.parse::<Link>() {
        return Ok(link.key.to_string());
    }
    if !stream.is_empty() && stream.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    {
        return Ok(stream.to_owned());
    }
    Err(Failure::new(
        Code::StreamNotFound,
        format!("expected a stream's name, short key or link, found {stream:?}"),
    )
    .next("quorate ls"))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| {
        Failure::new(
            Code::Internal,
            format!("expected an answer of the running node, found another: {error}"),
        )
        .next("stop the running node and start it again with this version")
    })
}

fn failure_of(body: &[u8]) -> Failure {
    match serde_json::from_slice::<FailureBody>(body) {
        Ok(failure) => failure.into(),
        Err(_) => Failure::new(
            Code::Internal,
            format!("the running node answered {}", String::from_utf8_lossy(body)),
        ),
    }
}

fn broken(error: CallError) -> Failure {
    match error {
        CallError::NotRunning { .. } | CallError::Connect { .. } | CallError::Http(_) => Failure::new(
            Code::NodeEnded,
            format!("expected an answer of the node on this home, found that it has ended: {error}"),
        )
        .next("look how far it came, and repeat the command: it works without that node, too"),
        CallError::Target { .. } | CallError::TooLong { .. } => {
            Failure::new(Code::Internal, format!("expected an answer of the running node: {error}"))
        }
    }
}
