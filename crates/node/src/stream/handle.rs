//! The handle to an open stream.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_channel::{Receiver, Sender};
use bytes::Bytes;
use quorate_feed::Roots;
use quorate_feed::fork::VerifiedForkProof;
use quorate_replicate::Selection;
use quorate_types::{BlockRange, DiscoveryKey, Link, PublicKey};

use quorate_stream::identity::Author;

use super::command::{Command, ExtensionMessage, Reply};
use super::room::{ChangeValidators, Patience, Settling, Utterance, Wish};
use super::watch::{Shown, Watch};
use crate::model::{
    Appended, AuditSummary, BlockInfo, Encoding, ProofFile, Published, Said, Settled, StreamInfo,
    ValidatorWish, ValidatorsChanged,
};
use crate::{Code, Failure};

/// What a stream is while it is open.
#[derive(Debug)]
pub(crate) struct StreamIdentity {
    pub(crate) name: String,
    pub(crate) key: PublicKey,
    pub(crate) discovery_key: DiscoveryKey,
    /// Set once, when a stream that was recovering is written again.
    pub(crate) writable: AtomicBool,
    pub(crate) encoding: Encoding,
    pub(crate) sparse: bool,
    /// Blocks of a room are carried without verdicts.
    pub(crate) unchecked: bool,
    /// Peers that are not quorate nodes are shown only what is committed.
    pub(crate) gate: bool,
    pub(crate) directory: String,
    /// What opening after a crash has found.
    pub(crate) recovery: Option<String>,
    /// What is lost of the blocks that were here, which no crash can do.
    pub(crate) lost: Option<String>,
}

impl StreamIdentity {
    /// Tells whether the head is fetched as it grows, and blocks only when they are asked for.
    pub(crate) fn follows_head_alone(&self) -> bool {
        self.sparse && !self.is_writable()
    }

    /// Tells whether blocks can be appended here.
    pub(crate) fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Relaxed)
    }

    pub(super) fn set_writable(&self) {
        self.writable.store(true, Ordering::Relaxed);
    }
}

/// An open stream. Clones name the same stream; it stays open until [`Node::shutdown`](crate::Node::shutdown).
///
/// Every method waits for the stream's task and fails with [`Code::Internal`] when that has ended.
#[derive(Debug, Clone)]
pub struct Stream {
    identity: Arc<StreamIdentity>,
    inbox: Sender<Command>,
}

impl Stream {
    pub(crate) fn new(identity: Arc<StreamIdentity>, inbox: Sender<Command>) -> Self {
        Self { identity, inbox }
    }

    /// Returns the local name.
    pub fn name(&self) -> &str {
        &self.identity.name
    }

    /// Returns the feed's key.
    pub fn key(&self) -> &PublicKey {
        &self.identity.key
    }

    /// Returns the discovery key.
    pub fn discovery_key(&self) -> &DiscoveryKey {
        &self.identity.discovery_key
    }

    /// Returns `dat://<key>`.
    pub fn link(&self) -> Link {
        Link::new(self.identity.key)
    }

    /// Tells whether blocks can be appended here: the secret key is here, and the stream is not recovering.
    pub fn is_writable(&self) -> bool {
        self.identity.is_writable()
    }

    /// Tells whether the stream only fetches what is asked for.
    pub fn is_sparse(&self) -> bool {
        self.identity.sparse
    }

    /// Takes a stream that is recovering for all that was ever written with its key, on the word of its user: when it is
    /// not, the next append makes a fork. One that is not recovering stays as it is.
    ///
    /// # Errors
    ///
    /// [`Code::NotWritable`] where the secret key is not here.
    pub async fn trust_only_writer(&self) -> Result<(), Failure> {
        self.ask(|reply| Command::TrustWriter { reply }).await
    }

    /// Appends one batch; it is durable when this returns.
    pub async fn append(&self, blocks: Vec<Bytes>) -> Result<Appended, Failure> {
        self.ask(|reply| Command::Append { blocks, reply }).await
    }

    /// Signs payloads, an action each, or a change of rules, and brings them to the host of the room.
    ///
    /// Returns what became of each when all have come to an end, or at `until`, or when no connection leads to the
    /// host: what is then still `submitted` is kept, and tried again whenever the stream is open.
    ///
    /// # Errors
    ///
    /// [`Code::NotARoom`], [`Code::EntryTooLarge`], [`Code::HostBrokeRules`], [`Code::Unable`],
    /// [`Code::NoSuchRule`]. A refusal is no failure.
    pub(crate) async fn utter(
        &self,
        author: Author,
        wish: Wish,
        patience: Patience,
    ) -> Result<Vec<Said>, Failure> {
        self.ask(|reply| Command::Say(Box::new(Utterance { author, wish, reply, patience }))).await
    }

    /// Ends the waiting of [`utter`](Self::utter) with this call: what it says is signed and kept, and told as it stands.
    pub(crate) async fn hurry(&self, call: u64) -> Result<(), Failure> {
        self.tell(Command::Hurry { call }).await
    }

    /// Appends a change of the room's validators, as its host: a key comes with its proof of possession, or one goes, or
    /// another quorum is asked for. It holds from the next epoch on, which begins when the change is final and a quorum of
    /// the validators that it names has accepted.
    ///
    /// # Errors
    ///
    /// [`Code::NoValidators`], [`Code::NotHost`], [`Code::ChangeUnderWay`], [`Code::BadQuorum`], and what a rule
    /// that objects says.
    pub async fn change_validators(&self, wish: ValidatorWish) -> Result<ValidatorsChanged, Failure> {
        self.ask(|reply| Command::ChangeValidators(ChangeValidators { wish, reply })).await
    }

    /// Waits until every block that is here, up to the first that is not, has a verdict; returns how many were
    /// accepted. A plain feed needs none.
    ///
    /// # Errors
    ///
    /// [`Code::HostBrokeRules`] and [`Code::Unable`] when not every block gets one.
    pub async fn checked(&self) -> Result<u64, Failure> {
        self.ask(|reply| Command::Checked { reply }).await
    }

    /// Waits until so many blocks are committed; returns how many are then.
    ///
    /// # Errors
    ///
    /// [`Code::NoValidators`] where nobody commits anything.
    pub async fn committed(&self, length: u64) -> Result<u64, Failure> {
        self.ask(|reply| Command::Committed { length, reply }).await
    }

    /// Waits until what was said is committed, wherever it comes to stand: where another host goes on from fewer blocks it is
    /// submitted again. An entry that is refused then is no failure.
    ///
    /// # Errors
    ///
    /// [`Code::NoValidators`] where nobody commits anything, [`Code::NotCommitted`] where something else stands in the place
    /// of an entry that this node knows nothing more about.
    pub async fn settled(&self, said: Vec<Said>) -> Result<Settled, Failure> {
        self.ask(|reply| Command::Settled(Settling { said, reply })).await
    }

    /// Returns a piece of evidence by its id, or the first digits of it.
    ///
    /// # Errors
    ///
    /// [`Code::NoSuchEvidence`] when none or several begin so.
    pub async fn evidence(&self, id: &str) -> Result<Bytes, Failure> {
        let id = id.to_owned();
        self.ask(|reply| Command::Evidence { id, reply }).await
    }

    /// Sends evidence to every connected quorate peer: what is here with this id, or these bytes, which are kept.
    pub(crate) async fn publish(&self, id: String, bytes: Option<Bytes>) -> Result<Published, Failure> {
        self.ask(|reply| Command::Publish { id, bytes, reply }).await
    }

    /// Reads a block that is here.
    pub async fn get(&self, index: u64) -> Result<Bytes, Failure> {
        self.ask(|reply| Command::Get { index, reply }).await
    }

    /// Reads a block, from peers if need be; waits until one has it.
    pub async fn fetch(&self, index: u64) -> Result<Bytes, Failure> {
        self.ask(|reply| Command::Fetch { index, reply }).await
    }

    /// Says how the stream stands.
    pub async fn info(&self) -> Result<StreamInfo, Failure> {
        self.ask(|reply| Command::Info { reply }).await
    }

    /// Describes blocks, at most [`MAX_BLOCKS_DESCRIBED`](crate::MAX_BLOCKS_DESCRIBED) of the range.
    pub async fn blocks(&self, range: BlockRange) -> Result<Vec<BlockInfo>, Failure> {
        self.ask(|reply| Command::Blocks { range, reply }).await
    }

    /// Proves a block that is here, so that it can be checked offline.
    pub async fn prove(&self, index: u64) -> Result<ProofFile, Failure> {
        self.ask(|reply| Command::Prove { index, reply }).await
    }

    /// Copies the stream into a new or an empty directory, which stock clients open.
    ///
    /// # Errors
    ///
    /// [`Code::DestinationExists`], [`Code::Io`].
    pub async fn export(&self, to: PathBuf, with_secret_key: bool) -> Result<(), Failure> {
        self.ask(|reply| Command::Export { to, with_secret_key, reply }).await
    }

    /// Deletes blocks here; returns how many.
    pub async fn clear(&self, range: BlockRange) -> Result<u64, Failure> {
        self.ask(|reply| Command::Clear { range, reply }).await
    }

    /// Checks every block, parent and signature again; `progress` gets (done, total).
    pub async fn audit(&self, progress: Sender<(u64, u64)>) -> Result<AuditSummary, Failure> {
        self.ask(|reply| Command::Audit { progress, reply }).await
    }

    /// Fetches these blocks from now on.
    pub async fn select(&self, selection: Selection) -> Result<(), Failure> {
        self.ask(|reply| Command::Select { selection, reply }).await
    }

    /// Waits until everything selected is here and on disk, as far as connected peers tell; returns the length.
    pub async fn synced(&self) -> Result<u64, Failure> {
        self.ask(|reply| Command::Synced { reply }).await
    }

    /// Sends an extension message to every connected peer; returns to how many.
    pub async fn send_extension(&self, name: &str, payload: Bytes) -> Result<usize, Failure> {
        let name = name.to_owned();
        self.ask(|reply| Command::SendExtension { name, payload, reply }).await
    }

    /// Hands over extension messages from now on. Messages that nobody reads in time are dropped.
    pub async fn extensions(&self) -> Result<Receiver<ExtensionMessage>, Failure> {
        let (to, messages) = async_channel::bounded(256);
        self.tell(Command::WatchExtensions { to }).await?;
        Ok(messages)
    }

    /// Shows the task of a room how far the feed is; returns what signs receipts, where the feed is written here.
    pub(crate) async fn watch(&self, watch: Watch) -> Result<Option<Author>, Failure> {
        self.ask(|reply| Command::Watch { watch, reply }).await
    }

    /// Appends blocks of a room that its task has checked; they are durable when this returns.
    pub(crate) async fn extend(&self, blocks: Vec<Bytes>) -> Result<Appended, Failure> {
        self.ask(|reply| Command::Extend { blocks, reply }).await
    }

    /// Reads blocks up to the first that is not here, but not too many.
    pub(crate) async fn read(&self, range: BlockRange) -> Result<Vec<Bytes>, Failure> {
        self.ask(|reply| Command::Read { range, reply }).await
    }

    /// Returns the peaks at a length, if they are known.
    pub(crate) async fn roots(&self, length: u64) -> Result<Option<Roots>, Failure> {
        self.ask(|reply| Command::Roots { length, reply }).await
    }

    /// Returns the first signed length that covers a block, if it is known.
    pub(crate) async fn signed(&self, index: u64) -> Result<Option<u64>, Failure> {
        self.ask(|reply| Command::Signed { index, reply }).await
    }

    /// Shows where a block stands in what the writer signed, if that is known.
    pub(crate) async fn show(&self, index: u64) -> Result<Option<Shown>, Failure> {
        self.ask(|reply| Command::Show { index, reply }).await
    }

    /// Goes over to the other history of a fork; returns the blocks that are dropped, nothing where neither is here.
    pub(crate) async fn take_branch(
        &self,
        fork: VerifiedForkProof,
        shared: u64,
    ) -> Result<Option<BlockRange>, Failure> {
        self.ask(|reply| Command::TakeBranch { fork: Box::new(fork), shared, reply }).await
    }

    pub(crate) async fn close(&self) -> Result<(), Failure> {
        self.ask(|reply| Command::Close { reply }).await
    }

    /// Hands a command to the task; waits while its inbox is full.
    pub(crate) async fn tell(&self, command: Command) -> Result<(), Failure> {
        self.inbox.send(command).await.map_err(|_| self.ended())
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Failure> {
        let (reply, answer) = async_channel::bounded(1);
        self.tell(command(reply)).await?;
        answer.recv().await.unwrap_or_else(|_| Err(self.ended()))
    }

    fn ended(&self) -> Failure {
        Failure::new(
            Code::Internal,
            format!("expected stream {} to be open, found it closed", self.identity.name),
        )
    }
}
