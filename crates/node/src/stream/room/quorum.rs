//! What a stream's task does for the quorum of a room: checked heads go in, votes and certificates come out.

mod info;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::Receiver;
use bytes::Bytes;
use quorate_feed::Roots;
use quorate_feed::fork::VerifiedForkProof;
use quorate_quorum::engine::{Alarm, Append, Checked, Config, Engine, Guard, Input, Output, Slot, Ticket};
use quorate_quorum::evidence::{Claim, Evidence, NoOracle, VerifiedEvidence, VoteLink};
use quorate_quorum::head::Head;
use quorate_quorum::key::Signer;
use quorate_quorum::statement::{Verified, Vote};
use quorate_replicate::Peer;
use quorate_store::vote_records::VoteRecords;
use quorate_stream::entry::{Proof, ProofKind};
use quorate_stream::header::RoomQuorum;
use quorate_stream::room::RoomPart;
use quorate_types::{Hash, PublicKey, RoomId};

use super::super::command::Reply;
use super::super::task::StreamTask;
use super::branch::Branches;
use super::judge::Docket;
use super::log::Log;
use super::{RoomKeeper, RoomState};
use crate::event::Event;
use crate::room::{CheckedHead, Checker};
use crate::{Code, EXTENSION, Failure};

/// Shortest time between two looks at the clock of the machine.
const LEAST_PAUSE: Duration = Duration::from_millis(1);

/// Records of the machine, and what it is told when they are on the disk.
#[derive(Default)]
struct Records {
    records: Vec<(Slot, Bytes)>,
    tickets: Vec<Ticket>,
}

/// Records on their way to the disk; the stream's task does other work meanwhile.
struct Writing {
    tickets: Vec<Ticket>,
    written: Receiver<Result<(), String>>,
}

/// The quorum of one room.
pub(super) struct Quorum {
    pub(super) engine: Engine,
    records: Arc<VoteRecords>,
    /// The vote key of this node.
    key: Option<PublicKey>,
    /// Records that are to be written when those before them are.
    unwritten: Records,
    /// Records that are being written.
    writing: Option<Writing>,
    /// Why nothing is signed with it: the records are not those that it was used with.
    recovering: Option<String>,
    /// Why nothing is signed any more: the records cannot be written.
    failed: Option<String>,
    /// Who waits until so many blocks are committed.
    commits: Vec<(u64, Reply<u64>)>,
    /// When the clock of the machine was last looked at.
    looked: Option<Instant>,
    /// Blocks of the room that are here as they are committed.
    committed: u64,
    /// Blocks of the room that are committed, here or not.
    known: u64,
    /// Blocks of the room that were here as they are committed, by the records when they were opened.
    recorded: u64,
    /// What was written down of that, last.
    noted: u64,
    /// What takes the history to check.
    pub(super) docket: Docket,
}

impl Quorum {
    /// Time at which the machine wants to run.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let due = self.engine.poll_timeout()?;
        Some(self.looked.map_or(due, |looked| due.max(looked + LEAST_PAUSE)))
    }

    /// Says why nothing is signed with the vote key, although it is a validator's.
    fn silent(&self) -> Option<&str> {
        let is_validator = self.key.is_some_and(|key| self.engine.epoch().validators().contains(&key));
        self.failed.as_deref().or(self.recovering.as_deref().filter(|_| is_validator))
    }

    /// Blocks of the room that are committed, as far as they are here: they are in every history that can come after this
    /// one. A commit says nothing of blocks that may be of another history, so those behind the last length at which the
    /// copy was found to be the one that was voted for are not among them.
    pub(super) const fn committed(&self) -> u64 {
        self.committed
    }

    /// Takes nothing for committed by the records that is not here: what stood there may come again from another history.
    pub(super) fn lose_behind(&mut self, length: u64) {
        self.recorded = self.recorded.min(length);
        self.noted = self.noted.min(length);
    }

    /// Tells whether more is committed than is known to be here.
    pub(super) const fn lacks_committed(&self) -> bool {
        self.committed < self.known
    }

    /// Notes that a certificate of so many blocks stands in the history that is here.
    pub(super) fn stands_committed(&mut self, length: u64) {
        self.committed = self.committed.max(length);
        self.known = self.known.max(length);
    }

    /// Looks how much of a log is committed; returns the epoch when more of it is here than before.
    fn look_at_finals(&mut self, log: &Log, branches: &Branches) -> Option<u64> {
        let certified = self.engine.committed()?;
        let height = log.height(certified.epoch, &certified.feed, certified.head().length())?;
        self.known = self.known.max(height);
        let mut here = 0;
        for part in log.parts() {
            let is_newest = part.epoch == certified.epoch && part.key == certified.feed;
            let counts = match part.end {
                _ if is_newest => certified.head().length(),
                Some((_, end)) => end.length(),
                None => break,
            };
            let agreed = branches.agreed(&part.key).min(counts);
            if agreed > part.entry.length() {
                here = part.offset().saturating_add(agreed).min(part.end());
            }
            if is_newest || agreed < counts {
                break;
            }
        }
        let is_more = here > self.committed;
        self.committed = self.committed.max(here);
        is_more.then_some(certified.epoch)
    }

    /// Describes the first feed of the room to those who check its blocks.
    pub(super) fn first_part(&self) -> Option<RoomPart> {
        self.engine.epoch_at(0).cloned().map(RoomPart::first)
    }

    /// Tells the machine since when the oldest action waits.
    pub(super) fn tell_pending(&mut self, now: Instant, since: Option<Instant>) {
        self.engine.handle(now, Input::Pending { since });
    }

    /// Waits until no record is being written.
    pub(super) async fn come_to_rest(&mut self) {
        if let Some(writing) = self.writing.take() {
            let _ = writing.written.recv().await;
        }
    }

    /// Signs nothing by these records any more, not after the next start either.
    async fn give_up(&mut self) {
        let records = Arc::clone(&self.records);
        match blocking::unblock(move || records.give_up()).await {
            Ok(reason) => self.recovering = Some(reason.to_owned()),
            Err(error) => self.failed = Some(error.to_string()),
        }
    }

    /// Takes those who wait until blocks are committed, with how many.
    pub(super) fn take_commits(&mut self) -> Vec<(u64, Reply<u64>)> {
        std::mem::take(&mut self.commits)
    }

    pub(super) fn expect_commits(&mut self, commits: Vec<(u64, Reply<u64>)>) {
        self.commits.extend(commits);
    }

    fn answer_commits(&mut self) {
        let committed = self.committed();
        for (_, reply) in self.commits.extract_if(.., |(length, _)| *length <= committed) {
            let _ = reply.try_send(Ok(committed));
        }
    }
}

impl StreamTask {
    /// Makes the machine out of its records.
    pub(super) async fn open_quorum(
        &mut self,
        room: RoomId,
        quorum: &RoomQuorum,
        is_new: bool,
    ) -> Result<Quorum, String> {
        let directory = PathBuf::from(&self.identity.directory);
        let opened = blocking::unblock(move || VoteRecords::open(&directory, room, is_new))
            .await
            .map_err(|error| error.to_string())?;
        let vote_key = self.vote_key.clone();
        let key = vote_key.as_ref().map(Signer::public);
        // Who has no vote key signs nothing, whatever its records are; who has one may become a validator.
        let guard = if key.is_some() { opened.guard } else { Guard::Intact };
        // A home that was copied must not grant a second feed for an epoch.
        let host_key = match opened.guard {
            Guard::Intact => self.identity_among(&quorum.hosts).await,
            Guard::Recovering => None,
        };
        let config = Config {
            hosts: quorum.hosts.clone(),
            vote_key,
            host_key,
            is_genesis_host: self.identity.is_writable(),
            guard,
            ..Config::new(room, self.identity.key, quorum.validators.clone())
        };
        let engine = Engine::new(config, opened.records).map_err(|error| error.to_string())?;
        let mut quorum = Quorum {
            engine,
            records: Arc::new(opened.store),
            key,
            unwritten: Records::default(),
            writing: None,
            recovering: opened.reason.filter(|_| key.is_some()),
            failed: None,
            commits: Vec::new(),
            looked: None,
            committed: 0,
            known: 0,
            recorded: opened.committed,
            noted: opened.committed,
            docket: Docket::default(),
        };
        if let Some(reason) = quorum.silent() {
            tracing::warn!(stream = self.identity.name, "this validator does not vote: {reason}");
        }
        self.meet_peers(&mut quorum.engine);
        Ok(quorum)
    }

    /// Finds the identity of this home that may host a room, the first one in their turn.
    async fn identity_among(&mut self, hosts: &[PublicKey]) -> Option<Signer> {
        if hosts.is_empty() {
            return None;
        }
        let home = self.node.upgrade()?.home.clone();
        let identities = match blocking::unblock(move || home.identities()).await {
            Ok(identities) => identities,
            Err(error) => {
                tracing::error!(stream = self.identity.name, "this node cannot host the room: {error}");
                return None;
            }
        };
        let own = hosts.iter().find_map(|host| identities.iter().find(|identity| identity.key == *host))?;
        Signer::from_secret(&own.secret).ok()
    }

    /// Tells the machine where the room stands when it is opened: first the head that was last voted for.
    pub(super) async fn tell_first_heads(&mut self, keeper: &mut RoomKeeper, checker: &Checker) {
        let Some(quorum) = &keeper.quorum else { return };
        let part = keeper.log.part(keeper.place).clone();
        let voted = quorum.engine.last_vote().map(|head| part.offset().saturating_add(head.length()));
        let voted = voted.filter(|_| part.epoch == quorum.engine.epoch().number());
        let mut lengths: Vec<u64> = voted.into_iter().chain([checker.length()]).collect();
        lengths.sort_unstable();
        lengths.dedup();
        for length in lengths.into_iter().filter(|length| (1..=checker.length()).contains(length)) {
            if let Some(checked) = checker.head_at(length)
                && let Some(head) = checked.head
                && self.signed_from(&part, head.length() - 1).await == Some(head.length())
            {
                self.tell_head(keeper, &checked);
            }
        }
    }

    /// Tells the machine which signed heads were checked since the last time.
    pub(super) async fn tell_heads(&mut self, keeper: &mut RoomKeeper, checker: &mut Checker) {
        for proof in checker.take_proofs() {
            self.tell_proof(keeper, proof);
        }
        let heads = checker.take_heads();
        if keeper.quorum.is_none() || heads.is_empty() {
            return;
        }
        let part = keeper.log.part(keeper.place).clone();
        // What is voted for is on the disk.
        if part.feed.is_none()
            && self.feed.durable_length() < self.feed.length()
            && self.make_arrived_durable().await.is_err()
        {
            return;
        }
        // Lengths of the feed.
        let mut at = 0;
        for checked in &heads {
            let Some(length) = checked.head.map(|head| head.length()).filter(|length| *length > at) else {
                continue;
            };
            match self.signed_from(&part, length - 1).await {
                Some(signed) if signed == length => self.tell_head(keeper, checked),
                // The next head that was signed.
                Some(signed) => at = signed - 1,
                None => break,
            }
        }
    }

    /// Tells the machine what stands in a block. The room has checked it.
    fn tell_proof(&mut self, keeper: &mut RoomKeeper, proof: Proof) {
        let Some(quorum) = &mut keeper.quorum else { return };
        let input = match proof.kind {
            ProofKind::Certificate => match quorum.engine.check_final(proof.body) {
                Ok(last) => {
                    // The rules of rooms let no certificate of another history stand.
                    let certified = last.certified();
                    keeper.branches.agree(certified.feed, certified.head().length());
                    Input::Certificate(Box::new(last))
                }
                Err(error) => {
                    tracing::debug!("a certificate is of no use here: {error}");
                    return;
                }
            },
            ProofKind::Evidence => {
                let evidence = Evidence::decode(proof.body);
                match evidence.and_then(|evidence| evidence.verify(&keeper.id, &NoOracle)) {
                    Ok(evidence) => Input::Evidence(Box::new(evidence)),
                    Err(error) => {
                        tracing::debug!("evidence is of no use here: {error}");
                        return;
                    }
                }
            }
            // The head that ends with a change says so, and whoever enters an epoch has verified its start.
            ProofKind::ValidatorChange | ProofKind::EpochStart => return,
        };
        quorum.engine.handle(self.runtime.now(), input);
    }

    fn tell_head(&mut self, keeper: &mut RoomKeeper, checked: &CheckedHead) {
        let (Some(quorum), Some(head)) = (&mut keeper.quorum, checked.head) else { return };
        let part = keeper.log.part(keeper.place);
        let checked = Checked {
            epoch: part.epoch,
            feed: part.key,
            head,
            state_root: checked.position.state_root,
            rules_hash: checked.rules_hash,
            substance: checked.substance,
            closes: checked.closes.clone(),
        };
        quorum.engine.handle(self.runtime.now(), Input::Checked(checked));
    }

    /// Does what the machine asks for. Records are on the disk before anything is sent that depends on them.
    pub(super) async fn work_quorum(&mut self, keeper: &mut RoomKeeper) {
        let Some(mut quorum) = keeper.quorum.take() else { return };
        let now = self.runtime.now();
        if quorum.deadline().is_some_and(|due| due <= now) {
            quorum.looked = Some(now);
            quorum.engine.handle(now, Input::Timeout);
        }
        loop {
            let has_written = self.take_written(&mut quorum);
            let mut is_idle = true;
            while let Some(output) = quorum.engine.poll_output() {
                is_idle = false;
                match output {
                    Output::Persist { ticket, slot, record } => {
                        quorum.unwritten.records.push((slot, record));
                        quorum.unwritten.tickets.push(ticket);
                    }
                    Output::Compare(votes) => self.compare(&mut quorum, keeper.id, &votes),
                    Output::CreateFeed { epoch, .. } => {
                        self.create_feed(&mut quorum.engine, keeper, epoch).await;
                    }
                    Output::OpenFeed { epoch, feed, start, .. } => {
                        self.open_feed(&quorum.engine, keeper, (epoch, feed), start).await;
                    }
                    Output::Append { feed, what: Append::EpochStart(body) } => {
                        self.append_start(&quorum.engine, &keeper.log, feed, body).await;
                    }
                    Output::Judge(evidence) => {
                        quorum.docket.file(*evidence);
                        let _ = self.signal.try_send(());
                    }
                    Output::Rejected(reject) => quorum.docket.rejected(&reject),
                    output => {
                        match &output {
                            Output::Voted(vote) => quorum.docket.voted(vote),
                            Output::Alarm(Alarm::ForeignVote { .. }) => quorum.give_up().await,
                            _ => {}
                        }
                        self.do_for_quorum(keeper, output);
                    }
                }
            }
            self.write_down(&mut quorum);
            if is_idle && !has_written {
                break;
            }
        }
        keeper.quorum = Some(quorum);
        self.look_at_branches(keeper).await;
        let Some(quorum) = &mut keeper.quorum else { return };
        if let Some(epoch) = quorum.look_at_finals(&keeper.log, &keeper.branches) {
            let (stream, length) = (self.identity.name.clone(), quorum.committed());
            self.emit(Event::Committed { stream, epoch, length });
        }
        self.write_down(quorum);
        quorum.answer_commits();
    }

    /// Looks whether a validator voted for both histories of a fork. Both are known as far as the proof of the fork shows
    /// them: at its two lengths.
    fn compare(&mut self, quorum: &mut Quorum, room: RoomId, votes: &[Verified<Vote>]) {
        let mut found = Vec::new();
        for evidence in quorum.engine.evidence() {
            let Claim::WriterFork(fork) = &evidence.evidence().claim else { continue };
            let head = |roots: &Roots| Head::new(roots.length(), roots.tree_hash(fork.flavour));
            let of = |head: Option<Head>| {
                votes.iter().find(|vote| vote.feed == fork.key && Some(vote.target.head) == head)
            };
            let (a, b) = (of(head(&fork.a.roots)), of(head(&fork.b.roots)));
            let (Some(a), Some(b)) = (a, b) else { continue };
            let claim = if a.target.head.length() == b.target.head.length() {
                Claim::double_vote(*a.signed(), *b.signed())
            } else {
                let (first, second) = (fork.a.roots.clone(), fork.b.roots.clone());
                let link = Some(Box::new(VoteLink { first, second, nodes: fork.link.clone() }));
                Claim::DoubleVote { first: *a.signed(), second: *b.signed(), link }
            };
            match (Evidence { room, claim }).verify(&room, &NoOracle) {
                Ok(evidence) => found.push(evidence),
                Err(error) => tracing::debug!("two votes contradict nothing: {error}"),
            }
        }
        for evidence in found {
            quorum.engine.handle(self.runtime.now(), Input::Evidence(Box::new(evidence)));
        }
    }

    fn do_for_quorum(&mut self, keeper: &mut RoomKeeper, output: Output) {
        let stream = self.identity.name.clone();
        match output {
            Output::Send { peer, payload } => {
                if let Some(joined) = self.peers.get_mut(&Peer(peer.0)) {
                    joined.extension(EXTENSION, payload);
                }
            }
            Output::Disconnect { peer, fault } => {
                if let Some(joined) = self.peers.get_mut(&Peer(peer.0)) {
                    tracing::info!(peer = joined.address, "disconnecting: {fault}");
                    joined.disconnect();
                }
            }
            Output::Append { feed, what } if feed == keeper.log.last().key => {
                let (kind, body) = match what {
                    Append::Certificate(body) => (ProofKind::Certificate, body),
                    Append::Evidence(body) => (ProofKind::Evidence, body),
                    Append::EpochStart(_) => return,
                };
                keeper.proofs.push(Proof { kind, body });
            }
            Output::Exposed(evidence) => self.tell_exposed(&evidence),
            Output::Alarm(alarm) => tracing::error!(stream, "{}", alarm_text(&alarm)),
            Output::Entered { epoch, feed: None, .. } if epoch > 0 => {
                tracing::warn!(stream, epoch, "the room waits for its next host");
            }
            Output::Voted(vote) => {
                let (epoch, length) = (vote.common.epoch, vote.target.head.length());
                self.emit(Event::Voted { stream, epoch, validator: *vote.signer(), length });
            }
            // What is committed is read off the log, and so are the feeds of epochs.
            Output::Append { .. }
            | Output::Committed { .. }
            | Output::CreateFeed { .. }
            | Output::OpenFeed { .. }
            | Output::Entered { .. }
            | Output::Judge(_)
            | Output::Compare(_)
            | Output::Rejected(_)
            | Output::Storage { .. }
            | Output::Persist { .. } => {}
        }
    }

    /// Tells the machine something, in a room that has validators.
    pub(in crate::stream) fn tell_quorum(&mut self, input: Input) {
        let now = self.runtime.now();
        if let RoomState::Open(keeper) = &mut self.rooms
            && let Some(quorum) = &mut keeper.quorum
        {
            quorum.engine.handle(now, input);
        }
    }

    /// Begins to write the records that wait, unless others are being written.
    ///
    /// A Final that is on the disk shows what is here as committed when its length is here. Where it is not, what was known
    /// before is written down as well, so that what was shown stays shown.
    fn write_down(&self, quorum: &mut Quorum) {
        let is_behind = quorum.lacks_committed() && quorum.committed > quorum.noted;
        if quorum.writing.is_some() || (quorum.unwritten.tickets.is_empty() && !is_behind) {
            return;
        }
        let Records { records, tickets } = std::mem::take(&mut quorum.unwritten);
        if quorum.failed.is_some() {
            return;
        }
        let (store, signal) = (Arc::clone(&quorum.records), self.signal.clone());
        let (done, written) = async_channel::bounded(1);
        quorum.noted = quorum.noted.max(quorum.committed);
        let committed = quorum.noted;
        let write = move || {
            let result = store.write(&records, committed).map_err(|error| error.to_string());
            // Whoever hears that it is done may open the file again.
            drop(store);
            let _ = done.try_send(result);
            let _ = signal.try_send(());
        };
        blocking::unblock(write).detach();
        quorum.writing = Some(Writing { tickets, written });
    }

    /// Tells the machine what is on the disk since the last time; false when that is nothing.
    fn take_written(&self, quorum: &mut Quorum) -> bool {
        let Some(result) = quorum.writing.as_ref().and_then(|writing| writing.written.try_recv().ok()) else {
            return false;
        };
        let tickets = quorum.writing.take().map(|writing| writing.tickets).unwrap_or_default();
        if let Err(error) = result {
            // Without it nothing is sent that depends on it: this node falls silent, and the others go on.
            tracing::error!(stream = self.identity.name, "nothing is voted for any more: {error}");
            quorum.failed = Some(error);
            return true;
        }
        for ticket in tickets {
            quorum.engine.handle(self.runtime.now(), Input::Persisted { ticket });
        }
        true
    }

    /// Turns a fork of the feed into evidence.
    pub(in crate::stream) fn tell_fork(&mut self, proof: &VerifiedForkProof) {
        if let RoomState::Open(mut keeper) = std::mem::take(&mut self.rooms) {
            self.accuse(&mut keeper, proof);
            self.rooms = RoomState::Open(keeper);
        }
    }

    /// Turns a fork of one of the room's feeds into evidence.
    pub(super) fn accuse(&self, keeper: &mut RoomKeeper, proof: &VerifiedForkProof) {
        keeper.branches.meet(proof.clone());
        let Some(quorum) = &mut keeper.quorum else { return };
        let claim = Claim::writer_fork(proof.proof().clone());
        let evidence = Evidence { room: keeper.id, claim };
        match evidence.verify(&keeper.id, &NoOracle) {
            Ok(evidence) => {
                quorum.engine.handle(self.runtime.now(), Input::Evidence(Box::new(evidence)));
            }
            Err(error) => tracing::error!(stream = self.identity.name, "the fork is no evidence: {error}"),
        }
    }

    /// Answers when so many blocks are committed.
    pub(in crate::stream) fn wait_for_commit(&mut self, length: u64, reply: Reply<u64>) {
        if let RoomState::Open(keeper) = &mut self.rooms
            && let Some(quorum) = &mut keeper.quorum
        {
            quorum.commits.push((length, reply));
            quorum.answer_commits();
            return;
        }
        let _ = reply.try_send(Err(self.nobody_commits()));
    }

    pub(super) fn nobody_commits(&self) -> Failure {
        let name = &self.identity.name;
        if let Some(why) = self.room_damage() {
            return Failure::new(Code::Damaged, format!("the records of {name} cannot be read: {why}"));
        }
        let message =
            format!("expected a room with validators, found that nobody commits what is appended to {name}");
        Failure::new(Code::NoValidators, message).next(format!("quorate info {name}"))
    }

    /// Tells whether a quorum keeps the evidence of this stream.
    pub(in crate::stream) fn has_quorum(&self) -> bool {
        matches!(&self.rooms, RoomState::Open(keeper) if keeper.quorum.is_some())
    }

    /// Id of the room, where the stream is one that is checked.
    pub(in crate::stream) fn room_id(&self) -> Option<RoomId> {
        match &self.rooms {
            RoomState::Open(keeper) => Some(keeper.id),
            _ => None,
        }
    }

    /// Evidence that the quorum of the room keeps.
    pub(in crate::stream) fn quorum_evidence(&self) -> impl Iterator<Item = &VerifiedEvidence> {
        let quorum = match &self.rooms {
            RoomState::Open(keeper) => keeper.quorum.as_ref(),
            _ => None,
        };
        quorum.into_iter().flat_map(|quorum| quorum.engine.evidence())
    }
}

fn alarm_text(alarm: &Alarm) -> String {
    let short = |hash: &Hash| hash.to_string().chars().take(8).collect::<String>();
    match alarm {
        Alarm::ForeignVote { epoch } => format!(
            "a vote of epoch {epoch} by this node's own key is not in its records: they were put back, or the key is in \
             use elsewhere; it signs nothing more"
        ),
        Alarm::VotedOtherwise { voted, found } => format!(
            "expected the blocks that were voted for, with tree hash {} at length {}, found {}",
            short(voted.tree_hash()),
            voted.length(),
            short(found.tree_hash())
        ),
        Alarm::Disagreement { epoch, held, found } => format!(
            "two certificates of epoch {epoch} contradict each other: {} at length {}, {} at length {}; more validators \
             are faulty than agreement bears",
            short(held.tree_hash()),
            held.length(),
            short(found.tree_hash()),
            found.length()
        ),
    }
}
