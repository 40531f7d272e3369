//! A room as it is met: its header is read, its state opened and brought in line with the feed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use quorate_feed::Roots;
use quorate_rules::engine::Engine;
use quorate_store::outbox::{Outbox, OutboxError};
use quorate_store::room_state::{Found, ROOM_STATE_FILE, RedbStore};
use quorate_stream::entry::{Entry, ProofKind};
use quorate_stream::header::StreamHeader;
use quorate_stream::identity::room_id;
use quorate_stream::room::{Lacking, OpenRoomError, ReconcileError};
use quorate_stream::submit::{Input as RelayInput, Peer as RelayPeer, Relay};
use quorate_types::{Hash, PublicKey, RoomId, StateRoot};

use super::super::task::StreamTask;
use super::branch::Branches;
use super::epochs::Epochs;
use super::log::{Log, Part};
use super::pending::Pending;
use super::recall::Recall;
use super::tell::refused_block;
use super::unheard::Unheard;
use super::{RoomKeeper, RoomState, Stopped};
use crate::room::{Checker, Known, Stop};
use crate::{Code, Failure};

/// Certificates one after the other that are looked at: a host writes one behind another only where it was started anew.
const CERTIFICATES_AT_MOST: u64 = 64;

/// Why a room is not checked here: unless it says otherwise, its records cannot be read.
struct Unopened(Failure);

impl From<String> for Unopened {
    fn from(why: String) -> Self {
        Self(Failure::new(Code::Damaged, why))
    }
}

impl From<&str> for Unopened {
    fn from(why: &str) -> Self {
        why.to_owned().into()
    }
}

impl StreamTask {
    pub(super) async fn meet_room(&mut self) -> RoomState {
        let block = match self.feed.get(0).await {
            Ok(Some(block)) => block,
            Ok(None) => return RoomState::Unknown,
            // Nobody knows what it is: nothing is appended as it is.
            Err(error) => return unchecked(Code::Unable, format!("block 0 cannot be read: {error}")),
        };
        let header = match StreamHeader::parse(&block) {
            Ok(None) => return RoomState::Plain,
            Ok(Some(header)) => header,
            Err(error) => return unchecked(Code::BadHeader, error.to_string()),
        };
        if self.identity.unchecked {
            return unchecked(Code::Unable, "it is carried without checks, as was asked for");
        }
        if self.identity.follows_head_alone() {
            return unchecked(Code::Unable, "a sparse copy gives no verdicts");
        }
        match self.open_room(header, block).await {
            Ok(keeper) => RoomState::Open(Box::new(keeper)),
            Err(Unopened(failure)) => {
                tracing::error!(stream = self.identity.name, "the room is not checked: {}", failure.message);
                RoomState::Unchecked(failure)
            }
        }
    }

    async fn open_room(&mut self, header: StreamHeader, block: Bytes) -> Result<RoomKeeper, Unopened> {
        let key = self.identity.key;
        let id = room_id(&key, &block);
        let mut relay = match self.host_key() {
            Some(author) => Relay::host(id, author.clone()),
            None => Relay::follower(id, key),
        }
        .map_err(|error| error.to_string())?;
        let engine =
            self.rules.engine().map_err(|failure| Unopened(Failure::new(Code::Unable, failure.message)))?;
        let path: PathBuf = Path::new(&self.identity.directory).join(ROOM_STATE_FILE);
        let is_new = !path.exists();
        let now = self.runtime.now();
        for (peer, joined) in &self.peers {
            if joined.is_quorate {
                relay.handle(now, RelayInput::PeerOpened { peer: RelayPeer(peer.0) });
            }
        }
        let directory = PathBuf::from(&self.identity.directory);
        let opened = blocking::unblock(move || {
            let outbox = Outbox::open(&directory)?;
            let outcomes = outbox.as_ref().map(Outbox::outcomes).transpose()?;
            Ok((outbox, outcomes))
        });
        let (outbox, outcomes) = opened.await.map_err(|error: OutboxError| error.to_string())?;
        let epochs = header.quorum.as_ref().and_then(|_| Epochs::new(header.clone(), &block));
        if epochs.as_ref().is_some_and(Epochs::may_change) {
            relay.expect_other_hosts();
        }
        let first = Part {
            epoch: 0,
            key,
            feed: None,
            checked_as: None,
            entry: Roots::default(),
            start: 0,
            end: None,
        };
        let mut keeper = RoomKeeper {
            id,
            title: header.name.clone(),
            rule_delay: header.rule_delay,
            checked: 0,
            state_root: StateRoot::new([0; StateRoot::LEN]),
            tree_hash: Hash::new([0; Hash::LEN]),
            rules: Vec::new(),
            checker: None,
            job: None,
            replayed_to: 0,
            ahead: VecDeque::new(),
            relay,
            known: Known::default(),
            offers: VecDeque::new(),
            recall: Recall::default(),
            refused_at: BTreeMap::new(),
            proofs: Vec::new(),
            changes: VecDeque::new(),
            closed: None,
            quorum: None,
            log: Log::of(first.clone()),
            place: 0,
            epochs,
            is_host: self.host_key().is_some(),
            pending: Pending::default(),
            is_lost: false,
            utterances: VecDeque::new(),
            waiting: Vec::new(),
            outbox: outbox.map(Arc::new),
            unheard: outcomes.as_deref().map(Unheard::of).unwrap_or_default(),
            unkept: BTreeSet::new(),
            taken_up: Vec::new(),
            own: BTreeMap::new(),
            lonely: false,
            promised: Vec::new(),
            has_dropped: false,
            standing: BTreeMap::new(),
            settlements: Vec::new(),
            checks: Vec::new(),
            wanted: None,
            stopped: None,
            held: None,
            branches: Branches::default(),
        };
        if let Some(quorum) = &header.quorum {
            let opened = self.open_quorum(id, quorum, is_new).await?;
            let checked_as = opened.first_part();
            keeper.log = Log::of(Part { checked_as, ..first });
            keeper.quorum = Some(opened);
            // What this node knows of later epochs says which blocks count.
            if let Some(log) = self.learn_epochs(&mut keeper).await {
                keeper.log = log;
            }
            // What of later feeds is here is not known before they are opened.
            let here = self.log_ready(&keeper.log, 0);
            if let Some(quorum) = keeper.quorum.as_mut().filter(|_| !keeper.log.has_later_feeds()) {
                quorum.lose_behind(here);
            }
        }
        let opened = self.open_checker(&block, &path, id, &engine).await?;
        let mut checker = match self.reconcile(&mut keeper, opened).await? {
            Some(checker) => checker,
            None => {
                tracing::warn!(stream = self.identity.name, "the state of the room is of another history");
                std::fs::remove_file(&path)
                    .map_err(|error| format!("removing {}: {error}", path.display()))?;
                let fresh = self.open_checker(&block, &path, id, &engine).await?;
                self.reconcile(&mut keeper, fresh).await?.ok_or("expected an empty state to fit any feed")?
            }
        };
        if checker.length() == 0
            && let Some(stop) = checker.begin(&block, &Known::default()).stop
        {
            keeper.stopped = Some(match stop {
                Stop::Refused(refusal) => Stopped::Refused(refused_block(0, &refusal)),
                Stop::Lacking(lacking) => Stopped::Unable(lacking.to_string()),
            });
        }
        self.recall_change(&keeper.log, &mut checker).await;
        self.note(&mut keeper, &checker, Vec::new());
        self.change_host(&mut keeper);
        self.take_up_kept(&mut keeper, &checker).await?;
        if let (Some(quorum), Ok(length)) = (&mut keeper.quorum, checker.room().certified_length()) {
            quorum.engine.stands_certified(length);
            quorum.stands_committed(length);
            let part = keeper.log.part(keeper.log.place_before(length));
            keeper.branches.agree(part.key, length.saturating_sub(part.offset()));
        }
        self.tell_first_heads(&mut keeper, &checker).await;
        keeper.checker = Some(Box::new(checker));
        Ok(keeper)
    }

    /// Opens the state; the chunks of the modules of its rules come from the feed.
    async fn open_checker(
        &mut self,
        header: &Bytes,
        path: &Path,
        id: RoomId,
        engine: &Engine,
    ) -> Result<Checker, String> {
        let mut known = Known::default();
        loop {
            let (key, header, path, engine) =
                (self.identity.key, header.clone(), path.to_owned(), engine.clone());
            let (opened, mut given) = blocking::unblock(move || {
                let opened = open_checker(&key, &header, &path, id, &engine, &known);
                (opened, known)
            })
            .await;
            let index = match opened {
                Ok(checker) => return Ok(checker),
                Err(OpenFailure::Needs(index)) if !given.blocks.contains_key(&index) => index,
                Err(OpenFailure::Needs(index)) => return Err(format!("block {index} is of no use")),
                Err(OpenFailure::Other(why)) => return Err(why),
            };
            let Ok(Some(block)) = self.feed.get(index).await else {
                return Err(format!("block {index} is needed, and not here"));
            };
            given.blocks.insert(index, block);
            known = given;
        }
    }

    /// Brings the state to a length that the log has; `None` when it is of another history.
    async fn reconcile(
        &mut self,
        keeper: &mut RoomKeeper,
        mut checker: Checker,
    ) -> Result<Option<Checker>, String> {
        let mut known = Known::default();
        let length = loop {
            match checker.reconcile(self.log_length(&keeper.log), &known) {
                Ok(length) => break length,
                Err(ReconcileError::OtherHistory { .. }) => return Ok(None),
                Err(ReconcileError::MissingTreeHash { length }) if !known.hashes.contains_key(&length) => {
                    let Some(hash) = self.log_tree_hash(&keeper.log, length).await else { return Ok(None) };
                    known.hashes.insert(length, hash);
                }
                Err(error) => return Err(error.to_string()),
            }
        };
        let Some(roots) = self.log_roots(&keeper.log, length).await else { return Ok(None) };
        keeper.place = keeper.log.place_before(length);
        if let Some(part) = keeper.log.part(keeper.place).checked_as.clone() {
            checker.enter(part, roots.clone());
        }
        let substance = self.substance_before(&keeper.log, length).await;
        checker.stand_on(roots, substance);
        Ok(Some(checker))
    }

    /// Returns the length up to the last block before a length that is no certificate, as far as is worth looking.
    async fn substance_before(&mut self, log: &Log, length: u64) -> u64 {
        let mut substance = length;
        while substance > length.saturating_sub(CERTIFICATES_AT_MOST) {
            let Some(block) = self.log_get(log, substance.saturating_sub(1)).await else { break };
            let is_certificate = matches!(
                Entry::decode(block),
                Ok(Entry::Proof(proof)) if proof.kind == ProofKind::Certificate
            );
            if !is_certificate {
                break;
            }
            substance = substance.saturating_sub(1);
        }
        substance
    }
}

fn unchecked(code: Code, why: impl Into<String>) -> RoomState {
    RoomState::Unchecked(Failure::new(code, why))
}

/// Why a state is not opened.
enum OpenFailure {
    /// This block is needed.
    Needs(u64),
    Other(String),
}

fn open_checker(
    key: &PublicKey,
    header: &Bytes,
    path: &Path,
    id: RoomId,
    engine: &Engine,
    known: &Known,
) -> Result<Checker, OpenFailure> {
    let store = RedbStore::open(path, id).map_err(|error| OpenFailure::Other(error.to_string()))?;
    if let Found::Damaged { reason, aside } = store.found() {
        tracing::warn!("the state of a room is made again: {reason}; the old one is in {}", aside.display());
    }
    Checker::open(key, header, store, engine, known).map_err(|error| match error {
        OpenRoomError::Lacking(Lacking::Block(index)) => OpenFailure::Needs(index),
        error => OpenFailure::Other(error.to_string()),
    })
}
