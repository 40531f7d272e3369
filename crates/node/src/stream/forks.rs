//! Evidence about the writer of a feed, where no quorum of a room keeps it; and what the user's decisions do to a stream.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quorate_feed::Flavour;
use quorate_feed::fork::VerifiedForkProof;
use quorate_proto::quorate1::{Frame, Frames, Message as WireMessage, QuorumMessage};
use quorate_quorum::evidence::{Claim, Evidence, EvidenceKind, NoOracle, VerifiedEvidence};
use quorate_replicate::{Input, Peer};
use quorate_store::evidence_files;
use quorate_types::{Hash, PublicKey, RoomId};

use super::task::StreamTask;
use crate::event::Event;
use crate::model::{EvidenceInfo, Policy, Published};
use crate::{Code, EXTENSION, Failure};

/// Evidence against the writer of one feed that is kept (quorum.md, section 8).
const MAX_EVIDENCE_OF_FEED: usize = 8;

/// Forks of one feed that are told, before a node starts again.
const MAX_TOLD: usize = 1024;

/// Checks in a second of evidence that peers send: two signatures each.
const CHECKS_PER_SECOND: u32 = 10;

/// Room of evidence about a feed that is none.
const NO_ROOM: RoomId = RoomId::new([0; 32]);

/// Evidence against the writer, by id.
#[derive(Debug, Default)]
pub(super) struct Forks {
    held: BTreeMap<Hash, VerifiedEvidence>,
    /// When the second began in which so many were checked.
    checked: Option<(Instant, u32)>,
    /// Tree hashes of the two histories of the forks that were told: they are met again with every connection.
    told: BTreeSet<(Hash, Hash)>,
}

impl Forks {
    /// Counts a check; false when there were enough for now.
    fn may_check(&mut self, now: Instant) -> bool {
        let (since, count) = match self.checked {
            Some((since, count)) if now < since + Duration::from_secs(1) => (since, count),
            _ => (now, 0),
        };
        self.checked = Some((since, count.saturating_add(1)));
        count < CHECKS_PER_SECOND
    }

    /// Notes that a fork is told; false when it was before, or so many were that it is of no use.
    pub(super) fn tells(&mut self, proof: &VerifiedForkProof) -> bool {
        let proof = proof.proof();
        let (a, b) = (proof.a.roots.tree_hash(Flavour::Dat), proof.b.roots.tree_hash(Flavour::Dat));
        self.told.len() < MAX_TOLD && self.told.insert((a, b))
    }

    fn knows(&self, evidence: &VerifiedEvidence) -> bool {
        self.held.values().any(|held| held.topic() == evidence.topic())
    }
}

impl StreamTask {
    /// Reads what is kept about the writer.
    pub(super) async fn open_forks(&mut self) {
        let directory = PathBuf::from(&self.identity.directory);
        let kept = match blocking::unblock(move || evidence_files::read(&directory)).await {
            Ok(kept) => kept,
            Err(error) => {
                tracing::error!(stream = self.identity.name, "evidence cannot be read: {error}");
                return;
            }
        };
        for bytes in kept {
            match self.check_fork(bytes) {
                Ok(evidence) if self.forks.held.len() < MAX_EVIDENCE_OF_FEED => {
                    self.forks.held.insert(*evidence.id(), evidence);
                }
                Ok(_) => {}
                Err(why) => tracing::warn!(stream = self.identity.name, "a file is no evidence: {why}"),
            }
        }
    }

    /// Checks evidence about the writer of this very feed.
    fn check_fork(&self, bytes: Bytes) -> Result<VerifiedEvidence, String> {
        let evidence = Evidence::decode(bytes).map_err(|error| error.to_string())?;
        let is_fork =
            matches!(evidence.claim.kind(), EvidenceKind::WriterFork | EvidenceKind::WriterTruncate);
        if !is_fork || *evidence.claim.culprit() != self.identity.key {
            let (kind, key) = (evidence.claim.kind().name(), evidence.claim.culprit().short());
            return Err(format!(
                "expected two histories that key {} signed, found {kind} by key {key}",
                self.identity.key.short()
            ));
        }
        let room = evidence.room;
        evidence.verify(&room, &NoOracle).map_err(|error| error.to_string())
    }

    /// Keeps what proves a fork of the feed: among the records of the room's quorum, else beside the feed.
    pub(super) async fn take_fork(&mut self, proof: &VerifiedForkProof) {
        if self.has_quorum() {
            self.tell_fork(proof);
            return;
        }
        let room = self.room_id().unwrap_or(NO_ROOM);
        let claim = Claim::writer_fork(proof.proof().clone());
        match (Evidence { room, claim }).verify(&room, &NoOracle) {
            Ok(evidence) => drop(self.keep_fork(&evidence).await),
            Err(error) => tracing::error!(stream = self.identity.name, "the fork is no evidence: {error}"),
        }
    }

    /// Keeps evidence on disk; tells whether it says something new. There is no more of it than is useful.
    async fn keep_fork(&mut self, evidence: &VerifiedEvidence) -> Result<bool, Failure> {
        if self.forks.knows(evidence) || self.forks.held.len() >= MAX_EVIDENCE_OF_FEED {
            return Ok(false);
        }
        let directory = PathBuf::from(&self.identity.directory);
        let (id, bytes) = (*evidence.id(), evidence.bytes().clone());
        let kept = blocking::unblock(move || evidence_files::keep(&directory, &id, &bytes)).await;
        if let Err(error) = kept {
            let failure = Failure::new(Code::Io, format!("the evidence cannot be kept: {error}"));
            self.storage_failed(failure.message.clone());
            return Err(failure);
        }
        self.forks.held.insert(id, evidence.clone());
        Ok(true)
    }

    /// Takes evidence out of what a peer says, where no quorum takes it. What is no evidence about this feed is let pass:
    /// the peer may speak of a room that is not known here.
    pub(super) async fn take_evidence(&mut self, from: Peer, payload: &Bytes) {
        if self.has_quorum() {
            return;
        }
        for frame in Frames::new(payload.clone()) {
            let Ok(Frame::Message(WireMessage::Quorum(QuorumMessage::Evidence(bytes)))) = frame else {
                continue;
            };
            let now = self.runtime.now();
            let is_known = self.forks.held.values().any(|held| *held.bytes() == bytes);
            if is_known || self.forks.held.len() >= MAX_EVIDENCE_OF_FEED || !self.forks.may_check(now) {
                continue;
            }
            let Ok(evidence) = self.check_fork(bytes) else { continue };
            if self.keep_fork(&evidence).await.is_ok_and(|is_new| is_new) {
                self.send_evidence(evidence.bytes(), Some(from));
                self.tell_exposed(&evidence);
            }
        }
    }

    /// Says that somebody is found out, unless the user does not want to hear of it.
    pub(super) fn tell_exposed(&self, evidence: &VerifiedEvidence) {
        let (id, culprit, kind) = (*evidence.id(), *evidence.culprit(), evidence.kind().name().to_owned());
        if self.policy(&culprit) == Policy::Ignore {
            return;
        }
        let stream = self.identity.name.clone();
        tracing::warn!(stream, %culprit, kind, "evidence");
        self.emit(Event::Evidence { stream, id, kind, culprit });
    }

    /// Sends evidence to every quorate peer but one; returns to how many.
    fn send_evidence(&mut self, bytes: &Bytes, except: Option<Peer>) -> usize {
        let message = WireMessage::Quorum(QuorumMessage::Evidence(bytes.clone())).encode();
        let peers =
            self.peers.iter_mut().filter(|(peer, joined)| joined.is_quorate && Some(**peer) != except);
        let sent = peers.map(|(_, joined)| joined.extension(EXTENSION, message.clone()));
        sent.filter(|sent| *sent).count()
    }

    /// Sends evidence to every quorate peer, and has it kept here first where it is not.
    pub(super) async fn publish(&mut self, id: &str, bytes: Option<Bytes>) -> Result<Published, Failure> {
        let bytes = match bytes {
            Some(bytes) => self.take_in(bytes).await?,
            None => self.evidence(id)?,
        };
        let peers = self.send_evidence(&bytes, None);
        let id = quorate_quorum::evidence::id_of(&bytes);
        let kept = self.kept_as(&id, &bytes);
        Ok(Published { schema: Published::SCHEMA.into(), id, peers, in_room: self.has_quorum(), kept })
    }

    /// Finds the evidence that is kept here and proves what these bytes do.
    fn kept_as(&self, id: &Hash, bytes: &Bytes) -> Option<Hash> {
        let mut all = self.quorum_evidence().chain(self.forks.held.values());
        if all.any(|held| held.id() == id) {
            return Some(*id);
        }
        let evidence = self.check_fork(bytes.clone()).ok()?;
        self.forks.held.values().find(|held| held.topic() == evidence.topic()).map(|held| *held.id())
    }

    /// Takes evidence that came some other way than from a peer; returns what is kept.
    async fn take_in(&mut self, bytes: Bytes) -> Result<Bytes, Failure> {
        let name = self.identity.name.clone();
        let nothing = |why: String| {
            let message = format!("the evidence proves nothing about {name}: {why}; nothing was published");
            Failure::new(Code::NoEvidence, message)
        };
        if !self.has_quorum() {
            let evidence = self.check_fork(bytes).map_err(nothing)?;
            if self.keep_fork(&evidence).await? {
                self.tell_exposed(&evidence);
            }
            return Ok(evidence.bytes().clone());
        }
        let evidence = Evidence::decode(bytes).map_err(|error| nothing(error.to_string()))?;
        let room = self.room_id().unwrap_or(NO_ROOM);
        let evidence = evidence.verify(&room, &NoOracle).map_err(|error| nothing(error.to_string()))?;
        let (id, bytes) = (*evidence.id(), evidence.bytes().clone());
        let culprit = *evidence.culprit();
        self.tell_quorum(quorate_quorum::engine::Input::Evidence(Box::new(evidence)));
        if self.evidence(&id.to_string()).is_err() {
            return Err(nothing(format!(
                "key {} is no writer, host or validator of the room, or enough is known about it",
                culprit.short()
            )));
        }
        Ok(bytes)
    }

    /// Finds evidence by its id, or the first digits of it.
    pub(super) fn evidence(&self, id: &str) -> Result<Bytes, Failure> {
        let name = &self.identity.name;
        let all = self.quorum_evidence().chain(self.forks.held.values());
        let found: Vec<&VerifiedEvidence> =
            all.filter(|evidence| evidence.id().to_string().starts_with(id)).collect();
        match found.as_slice() {
            [one] => Ok(one.bytes().clone()),
            found => Err(Failure::new(
                Code::NoSuchEvidence,
                format!(
                    "expected one piece of evidence in {name} whose id begins with {id}, found {}",
                    found.len()
                ),
            )
            .next(format!("quorate fork ls {name}"))),
        }
    }

    /// Describes all evidence of the stream, and what is done about each key.
    pub(super) fn evidence_infos(&self) -> Vec<EvidenceInfo> {
        let all = self.quorum_evidence().chain(self.forks.held.values());
        all.map(|evidence| {
            let decision = self.node.upgrade().and_then(|node| node.decisions.of(evidence.culprit()));
            EvidenceInfo {
                id: *evidence.id(),
                kind: evidence.kind().name().to_owned(),
                culprit: *evidence.culprit(),
                bytes: evidence.bytes().len(),
                policy: decision.as_ref().map_or_else(Policy::default, |decision| decision.policy),
                resolved: decision.is_some(),
                own_backup: decision.and_then(|decision| decision.own_backup),
            }
        })
        .collect()
    }

    /// Says that the writer signed two histories, unless the user does not want to hear of it.
    pub(super) fn fork_sentence(&self) -> Option<String> {
        if self.policy(&self.identity.key) == Policy::Ignore {
            return None;
        }
        let is_fork = |evidence: &&VerifiedEvidence| {
            evidence.kind() == EvidenceKind::WriterFork && *evidence.culprit() == self.identity.key
        };
        let kept = || {
            let mut all = self.quorum_evidence().chain(self.forks.held.values()).filter(is_fork);
            let Claim::WriterFork(proof) = &all.next()?.evidence().claim else { return None };
            Some(format!(
                "key {} signed two different histories, of lengths {} and {}",
                self.identity.key.short(),
                proof.a.roots.length(),
                proof.b.roots.length()
            ))
        };
        self.fork.clone().or_else(kept)
    }

    /// What the user has said is done about a key.
    pub(super) fn policy(&self, key: &PublicKey) -> Policy {
        self.node.upgrade().map_or_else(Policy::default, |node| node.decisions.policy(key))
    }

    /// Finds the first of some keys that the user has muted.
    pub(super) fn muted(&self, keys: impl IntoIterator<Item = Option<PublicKey>>) -> Option<PublicKey> {
        let node = self.node.upgrade()?;
        keys.into_iter().flatten().find(|key| node.decisions.policy(key) == Policy::Mute)
    }

    /// Tells whether the feed is neither fetched nor served.
    pub(super) fn is_stopped(&self) -> bool {
        self.node.upgrade().is_some_and(|node| node.stops(&self.identity.key))
    }

    /// Lets go of every peer where the user has stopped the replication. Their connections stay: nobody is blamed for
    /// what a writer signed.
    pub(super) fn policy_changed(&mut self) {
        if !self.is_stopped() {
            return;
        }
        let peers: Vec<Peer> = self.peers.keys().copied().collect();
        for peer in peers {
            if let Some(joined) = self.peers.get_mut(&peer) {
                joined.close_channel();
            }
            self.forget(peer);
            self.handle(Input::PeerClosed { peer });
        }
    }
}
