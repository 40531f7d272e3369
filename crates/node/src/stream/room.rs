//! What a stream's task does for a room: checks its blocks in their order, appends what passes, carries submissions.

mod audit;
mod behind;
mod branch;
mod epochs;
mod gate;
mod hold;
mod jobs;
mod judge;
mod kept;
mod log;
mod open;
mod past;
mod pending;
mod quorum;
mod recall;
mod say;
mod settle;
mod tell;
mod unheard;
mod validators;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use quorate_quorum::head::Head;
use quorate_replicate::{Input, Peer, Selection};
use quorate_store::outbox::Outbox;
use quorate_store::room_state::ROOM_STATE_FILE;
use quorate_stream::entry::{Proof, VerifiedEntry};
use quorate_stream::refusal::Refusal;
use quorate_stream::room::Lacking;
use quorate_stream::submit::{Input as RelayInput, Output as RelayOutput, Relay};
use quorate_types::{Hash, PublicKey, RoomId, StateRoot};

use self::branch::Branches;
use self::epochs::Epochs;
use self::jobs::{Batch, Done, Job, Offer};
use self::kept::Kept;
use self::log::Log;
use self::pending::{Pending, Taking};
use self::quorum::Quorum;
use self::recall::Recall;
use self::say::Waiting;
use self::settle::Settlement;
use self::tell::refused_block;
use self::unheard::Unheard;
use self::validators::WantedChange;
use super::command::Reply;
use super::task::StreamTask;
use crate::event::Event;
use crate::model::{RefusedBlock, RuleInfo};
use crate::room::{Checker, Known};
use crate::{Code, EXTENSION, Failure};

pub(super) use self::jobs::Done as JobDone;
pub(crate) use self::say::{ChangeWish, Patience, Utterance, Wish};
pub(crate) use self::settle::Settling;
pub(crate) use self::validators::ChangeValidators;

/// Blocks that one job checks.
const BLOCKS_A_JOB: u64 = 4096;

/// Blocks whose signatures are verified before it is their turn, at least.
const LEAST_AHEAD: u64 = BLOCKS_A_JOB / 8;

/// Jobs whose signatures are verified before it is their turn: while the blocks of the last one are read, the cores have
/// the one before.
const BATCHES_AHEAD: usize = 2;

/// Bytes of blocks that one job checks, and one block more.
const BYTES_A_JOB: usize = 8 * 1024 * 1024;

/// Parts of the history that are fetched for one block before it is given up.
const MAX_FETCHED: usize = 4096;

/// What block 0 says about rooms.
#[derive(Default)]
pub(super) enum RoomState {
    /// Block 0 is not here.
    #[default]
    Unknown,
    /// The stream is a plain feed.
    Plain,
    /// The stream is a room whose blocks are carried without verdicts, for this reason.
    Unchecked(Failure),
    /// The room is checked.
    Open(Box<RoomKeeper>),
}

/// Those who wait for something of a room that is met anew.
#[derive(Default)]
pub(super) struct Waiters {
    utterances: VecDeque<Utterance>,
    waiting: Vec<Waiting>,
    /// What others brought to the host, which this node was.
    held: Vec<VerifiedEntry>,
    settlements: Vec<Settlement>,
    checks: Vec<Reply<u64>>,
    commits: Vec<(u64, Reply<u64>)>,
}

/// A room that is checked.
pub(super) struct RoomKeeper {
    id: RoomId,
    title: String,
    /// At rest; a job that runs has it.
    checker: Option<Box<Checker>>,
    job: Option<Job>,
    /// Length at which the latest job that checks blocks ends.
    replayed_to: u64,
    /// Blocks of the jobs to come.
    ahead: VecDeque<Batch>,
    /// Blocks that were accepted.
    checked: u64,
    state_root: StateRoot,
    tree_hash: Hash,
    rules: Vec<RuleInfo>,
    rule_delay: u64,
    relay: Relay,
    known: Known,
    offers: VecDeque<Offer>,
    /// Where the newest entries stand.
    recall: Recall,
    /// Heights at which this node, as the host, refuses its own entries.
    refused_at: BTreeMap<Hash, u64>,
    /// Certificates and evidence that are to be appended, at the host.
    proofs: Vec<Proof>,
    /// Changes of validators that are to be appended, at the host.
    changes: VecDeque<WantedChange>,
    /// Where the feed stands behind a change of validators, as long as it does not go on.
    closed: Option<Head>,
    /// Votes and commits; `None` in a room without validators.
    quorum: Option<Quorum>,
    /// Its blocks.
    log: Log,
    /// Place in the log of the feed whose blocks are checked.
    place: usize,
    /// Its later feeds; `None` in a room without validators.
    epochs: Option<Epochs>,
    /// This node orders the actions.
    is_host: bool,
    /// Actions that wait, where others may host the room one day.
    pending: Pending,
    /// The state of the room has to be made anew.
    is_lost: bool,
    utterances: VecDeque<Utterance>,
    waiting: Vec<Waiting>,
    /// Entries of this node on disk, as long as they wait.
    outbox: Option<Arc<Outbox>>,
    /// Entries of this node that are not on disk: as the host it appends most of them at once.
    unkept: BTreeSet<Hash>,
    /// How entries of this node ended of which nobody heard.
    unheard: Unheard,
    /// Entries that were on their way when this node became the host, and that the room is still to be asked about.
    taken_up: Vec<VerifiedEntry>,
    /// Author and number of each entry of this node that waits for an outcome.
    own: BTreeMap<Hash, (PublicKey, u64)>,
    /// No connection leads towards the host.
    lonely: bool,
    /// Entries of this node that the host has said it appended, and whose blocks are not here.
    promised: Vec<Kept>,
    /// Blocks were dropped since the room was met: what stands in others is looked at before it is told.
    has_dropped: bool,
    /// Entries of this node that stand in blocks that are not committed, by the length of the room with each.
    standing: BTreeMap<u64, Hash>,
    /// Who waits until entries of this node are committed.
    settlements: Vec<Settlement>,
    /// Who waits until all blocks that are here have a verdict.
    checks: Vec<Reply<u64>>,
    /// Block that a check needs, and that is fetched.
    wanted: Option<u64>,
    stopped: Option<Stopped>,
    /// Length up to which all blocks were here when the room was opened, as long as not all of them have a verdict.
    held: Option<u64>,
    branches: Branches,
}

/// Why a room is not followed any further.
enum Stopped {
    Refused(RefusedBlock),
    Unable(String),
}

impl RoomState {
    /// Time at which the task must look again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let Self::Open(keeper) = self else { return None };
        let waiting = keeper.waiting.iter().map(|waiting| waiting.patience.until);
        let uttering = keeper.utterances.iter().map(|utterance| utterance.patience.until);
        let lonely = keeper.lonely_deadlines();
        let quorum = keeper.quorum.as_ref().and_then(Quorum::deadline);
        // Looks are taken when the checker is at rest.
        let pending = keeper.pending.due().filter(|_| keeper.may_change_host() && keeper.job.is_none());
        let own = waiting.chain(uttering).chain(lonely).chain(pending);
        own.chain(keeper.relay.poll_timeout()).chain(quorum).min()
    }

    /// Waits for the job that runs, for ever when none does. Cancel-safe.
    pub(super) async fn job_done(&mut self) -> Done {
        match self {
            Self::Open(keeper) => match &mut keeper.job {
                Some(job) => job.await,
                None => std::future::pending().await,
            },
            _ => std::future::pending().await,
        }
    }
}

impl StreamTask {
    /// Does what is to be done for a room; for a plain feed, nothing.
    pub(super) async fn tend_room(&mut self) {
        self.meet_again().await;
        let mut keeper = match std::mem::take(&mut self.rooms) {
            RoomState::Open(keeper) => keeper,
            other => {
                self.rooms = other;
                return;
            }
        };
        // Before the room leaves the place that evidence is about.
        self.judge(&mut keeper).await;
        self.follow_epochs(&mut keeper).await;
        if keeper.is_lost {
            return self.lose_room(keeper).await;
        }
        self.take_wanted(&mut keeper).await;
        if keeper.job.is_none() {
            keeper.take_up(self.runtime.now());
            self.next_job(&mut keeper).await;
        }
        if keeper.job.is_some() {
            self.look_ahead(&mut keeper).await;
        }
        self.utter(&mut keeper).await;
        let now = self.runtime.now();
        if keeper.relay.poll_timeout().is_some_and(|due| due <= now) {
            keeper.relay.handle(now, RelayInput::Timeout);
        }
        self.work_relay(&mut keeper).await;
        self.keep_unanswered(&mut keeper, now).await;
        let ended = keeper.advance_waiting(now);
        self.forget_kept(&mut keeper, ended).await;
        self.work_relay(&mut keeper).await;
        self.tell_pending(&mut keeper, now);
        self.recall(&mut keeper).await;
        self.work_relay(&mut keeper).await;
        self.judge(&mut keeper).await;
        self.work_quorum(&mut keeper).await;
        self.settle(&mut keeper).await;
        if keeper.job.is_none() {
            // What was said here just now is offered to the room at once.
            self.next_job(&mut keeper).await;
        }
        self.release(&mut keeper);
        self.answer_checks(&mut keeper);
        keeper.give_up_changes(&self.identity.name);
        self.rooms = RoomState::Open(keeper);
    }

    /// Lets a job that runs come to its end, so that nothing of the room is open any more.
    pub(super) async fn end_room(&mut self) {
        if let RoomState::Open(keeper) = &mut self.rooms
            && let Some(job) = keeper.job.take()
        {
            let done = job.await;
            self.room_job_done(done).await;
        }
        if let RoomState::Open(mut keeper) = std::mem::replace(&mut self.rooms, RoomState::Plain) {
            self.work_relay(&mut keeper).await;
            self.keep_own_or_warn(&mut keeper).await;
            keeper.come_to_rest().await;
        }
    }

    /// Lets go of a room whose state cannot follow its history any more: it is met again, and checked from block 0.
    async fn lose_room(&mut self, mut keeper: Box<RoomKeeper>) {
        self.end_hold(&mut keeper);
        self.work_relay(&mut keeper).await;
        self.keep_own_or_warn(&mut keeper).await;
        keeper.come_to_rest().await;
        // What they wait for is kept on the disk.
        self.waiters = Waiters {
            utterances: std::mem::take(&mut keeper.utterances),
            waiting: std::mem::take(&mut keeper.waiting),
            held: keeper.relay.held().chain(&keeper.taken_up).cloned().collect(),
            settlements: std::mem::take(&mut keeper.settlements),
            checks: std::mem::take(&mut keeper.checks),
            commits: keeper.quorum.as_mut().map(Quorum::take_commits).unwrap_or_default(),
        };
        drop(keeper);
        let path = Path::new(&self.identity.directory).join(ROOM_STATE_FILE);
        self.rooms = match std::fs::remove_file(&path) {
            Ok(()) => RoomState::Unknown,
            Err(error) => {
                let why = format!("removing {}: {error}", path.display());
                RoomState::Unchecked(Failure::new(Code::Damaged, why))
            }
        };
        // Nobody is told in between that it is no room.
        self.meet_again().await;
        let _ = self.signal.try_send(());
    }

    async fn meet_again(&mut self) {
        if matches!(self.rooms, RoomState::Unknown) && self.feed.has(0) {
            self.rooms = self.meet_room().await;
            self.hold_unchecked();
            self.welcome_waiters();
        }
    }

    /// Lets those go on waiting who waited for a room that has been met anew.
    fn welcome_waiters(&mut self) {
        let waiters = std::mem::take(&mut self.waiters);
        let RoomState::Open(keeper) = &mut self.rooms else { return };
        keeper.utterances.extend(waiters.utterances);
        keeper.waiting.extend(waiters.waiting);
        keeper.taken_up.extend(waiters.held);
        keeper.settlements.extend(waiters.settlements);
        keeper.checks.extend(waiters.checks);
        if let Some(quorum) = &mut keeper.quorum {
            quorum.expect_commits(waiters.commits);
        }
        keeper.settle_lost();
    }

    /// Starts the next job, if there is something to check and the checker is at rest.
    async fn next_job(&mut self, keeper: &mut RoomKeeper) {
        if keeper.stopped.is_some() || keeper.wanted.is_some() || keeper.checker.is_none() {
            return;
        }
        let start = keeper.checked;
        if keeper.closed.is_some() && !keeper.has_bad_start() {
            // The next block begins another epoch.
            return;
        }
        keeper.ahead.retain(|batch| batch.start >= start);
        let batch = match keeper.ahead.pop_front_if(|batch| batch.start == start) {
            Some(batch) => Some(batch),
            None => self.read_batch(keeper, start, 1).await,
        };
        if let Some(batch) = batch {
            keeper.start_replay(self.rules.signatures(), batch);
        } else if keeper.is_host
            && start == self.log_length(&keeper.log)
            && !(keeper.offers.is_empty() && keeper.proofs.is_empty() && keeper.changes.is_empty())
        {
            keeper.start_proposal();
        }
    }

    /// Begins with the signatures of the blocks behind those that are being checked: rules run one after the other,
    /// and would leave the other cores idle.
    async fn look_ahead(&mut self, keeper: &mut RoomKeeper) {
        while keeper.stopped.is_none() && keeper.ahead.len() < BATCHES_AHEAD {
            let start = keeper.ahead.back().map_or(keeper.replayed_to, Batch::end);
            if keeper.checked >= start {
                return;
            }
            let Some(batch) = self.read_batch(keeper, start, LEAST_AHEAD).await else { return };
            keeper.ahead.push_back(batch);
        }
    }

    /// Reads the blocks of a job, when at least so many are here.
    async fn read_batch(&mut self, keeper: &mut RoomKeeper, start: u64, least: u64) -> Option<Batch> {
        let end = self.log_ready(&keeper.log, start);
        // Blocks of the next feed are checked as such.
        let is_here = keeper.log.at(start).epoch == keeper.log.part(keeper.place).epoch;
        if end < start.saturating_add(least) || !is_here {
            return None;
        }
        let blocks = self.log_read(&keeper.log, start, end).await;
        (!blocks.is_empty()).then(|| Batch::begin(self.rules.signatures(), keeper.id, start, blocks))
    }

    /// Reads blocks up to `end`, or up to the first that is not here, but no more than one job checks.
    pub(super) async fn read_blocks(&mut self, start: u64, end: u64) -> Vec<Bytes> {
        let mut blocks = Vec::new();
        let mut bytes = 0;
        for index in start..end.min(start.saturating_add(BLOCKS_A_JOB)) {
            let Ok(Some(block)) = self.feed.get(index).await else { break };
            bytes += block.len();
            blocks.push(block);
            if bytes >= BYTES_A_JOB {
                break;
            }
        }
        blocks
    }

    /// Gets what a check needs of the history; where a block is not here it is fetched, and the check waits.
    async fn supply(&mut self, keeper: &mut RoomKeeper, lacking: Lacking) {
        if self.look_up(&keeper.log, &lacking, &mut keeper.known).await {
            return;
        }
        if let Lacking::Block(index) = lacking
            && keeper.log.at(index).feed.is_none()
            && index < self.feed.length()
            && !self.feed.has(index)
        {
            tracing::info!(
                stream = self.identity.name,
                height = keeper.checked,
                "a rule reads block {index}"
            );
            keeper.wanted = Some(index);
            self.handle(Input::Want { index });
            return;
        }
        tracing::warn!(stream = self.identity.name, height = keeper.checked, "no verdict: {lacking}");
        keeper.stopped = Some(Stopped::Unable(lacking.to_string()));
    }

    /// Puts a part of the history where checks find it; false when it is not here, or was of no use.
    async fn look_up(&mut self, log: &Log, lacking: &Lacking, known: &mut Known) -> bool {
        if known.blocks.len() + known.hashes.len() >= MAX_FETCHED {
            return false;
        }
        match *lacking {
            Lacking::Block(index) if !known.blocks.contains_key(&index) => {
                let Some(block) = self.log_get(log, index).await else { return false };
                known.blocks.insert(index, block);
                true
            }
            Lacking::TreeHash(length) if !known.hashes.contains_key(&length) => {
                let Some(tree_hash) = self.log_tree_hash(log, length).await else { return false };
                known.hashes.insert(length, tree_hash);
                true
            }
            _ => false,
        }
    }

    /// Goes on when the block that a check waits for has come.
    async fn take_wanted(&mut self, keeper: &mut RoomKeeper) {
        let Some(index) = keeper.wanted.filter(|index| self.feed.has(*index)) else { return };
        keeper.wanted = None;
        self.supply(keeper, Lacking::Block(index)).await;
    }

    /// Stops following a host that appended what the rules of its room refuse; the block stays as proof.
    fn stop_following(&mut self, keeper: &mut RoomKeeper, refusal: &Refusal) {
        let refused = refused_block(keeper.checked, refusal);
        tracing::info!(stream = self.identity.name, height = refused.index, "{}", refused.reason);
        self.emit(Event::Refused {
            stream: self.identity.name.clone(),
            index: refused.index,
            code: refused.code.clone(),
            reason: refused.reason.clone(),
        });
        keeper.stopped = Some(Stopped::Refused(refused));
        keeper.ahead.clear();
        if keeper.log.part(keeper.place).feed.is_none() {
            self.handle(Input::Select { selection: Selection::Nothing });
        }
    }

    async fn work_relay(&mut self, keeper: &mut RoomKeeper) {
        let mut ended = Vec::new();
        while let Some(output) = keeper.relay.poll_output() {
            match output {
                RelayOutput::Send { peer, payload } => {
                    if let Some(joined) = self.peers.get_mut(&Peer(peer.0)) {
                        joined.extension(EXTENSION, payload);
                    }
                }
                RelayOutput::Offer { digest, entry, module } => {
                    keeper.offers.push_back(Offer { digest, entry, module });
                }
                RelayOutput::Submission { digest, state } => {
                    ended.extend(self.concluded(keeper, digest, &state));
                }
                RelayOutput::PeerStatus { .. } => {}
                RelayOutput::Heard { entry } => keeper.pending.hear(self.runtime.now(), &entry),
                RelayOutput::Settled { digest } => drop(keeper.pending.settled(&digest)),
                RelayOutput::Disconnect { peer, fault } => {
                    if let Some(joined) = self.peers.get_mut(&Peer(peer.0)) {
                        tracing::info!(peer = joined.address, "disconnecting: {fault}");
                        joined.disconnect();
                    }
                }
            }
        }
        let checked = keeper.checked;
        let came: Vec<Kept> = keeper.promised.extract_if(.., |kept| kept.index < checked).collect();
        for kept in came {
            ended.extend(keeper.stood(kept.index, kept.digest));
        }
        self.forget_kept(keeper, ended).await;
    }

    /// Tells the machine since when the oldest action waits.
    fn tell_pending(&self, keeper: &mut RoomKeeper, now: Instant) {
        if !keeper.may_change_host() {
            return;
        }
        keeper.pending.committed(keeper.committed().unwrap_or(0));
        if let Some(checker) = &mut keeper.checker {
            let entered = keeper.quorum.as_ref().map(|quorum| quorum.engine.epoch().number());
            let has_begun = entered > Some(keeper.log.part(keeper.place).epoch);
            let taking = match keeper.closed {
                None => Taking::Entries,
                Some(_) if has_begun => Taking::Start,
                Some(_) => Taking::Nothing,
            };
            keeper.pending.look(now, checker, taking);
        }
        if let (Some(since), Some(quorum)) = (keeper.pending.news(), &mut keeper.quorum) {
            quorum.tell_pending(now, since);
        }
    }

    /// Tells the relay of a peer that lists the extension, or of its end.
    pub(super) fn tell_relay(&mut self, input: RelayInput) {
        let now = self.runtime.now();
        if let RoomState::Open(keeper) = &mut self.rooms {
            keeper.relay.handle(now, input);
        }
    }

    /// Answers when all blocks that are here without a gap have a verdict, or none will be given.
    pub(super) fn wait_for_checks(&mut self, reply: Reply<u64>) {
        match &mut self.rooms {
            RoomState::Open(keeper) => keeper.checks.push(reply),
            RoomState::Unchecked(Failure { code, message: why, .. })
                if !self.identity.unchecked && !self.identity.follows_head_alone() =>
            {
                let message = format!("expected a verdict on every block, found that {why}");
                let _ = reply.try_send(Err(Failure::new(*code, message)));
            }
            RoomState::Unknown | RoomState::Plain | RoomState::Unchecked(_) => {
                let _ = reply.try_send(Ok(self.feed.length()));
            }
        }
    }

    /// Says why the records of the room cannot be read, where that is so.
    pub(in crate::stream) fn room_damage(&self) -> Option<&str> {
        match &self.rooms {
            RoomState::Unchecked(failure) if failure.code == Code::Damaged => Some(&failure.message),
            _ => None,
        }
    }

    fn answer_checks(&self, keeper: &mut RoomKeeper) {
        let is_checked = self.log_ready(&keeper.log, keeper.checked) == keeper.checked;
        let answer = match (&keeper.stopped, keeper.wanted) {
            (Some(stopped), _) => Err(stopped.failure(&self.identity.name)),
            (None, Some(index)) => {
                Err(Stopped::Unable(format!("block {index} is needed")).failure(&self.identity.name))
            }
            (None, None) if is_checked => Ok(keeper.checked),
            (None, None) => return,
        };
        for reply in keeper.checks.drain(..) {
            let _ = reply.try_send(answer.clone());
        }
    }

    /// Tells whether the blocks of the stream are entries, which nobody appends as they are.
    pub(super) fn is_room(&self) -> bool {
        matches!(self.rooms, RoomState::Open(_) | RoomState::Unchecked(_))
    }
}

impl RoomKeeper {
    /// Waits until nothing of the room is being written.
    async fn come_to_rest(&mut self) {
        if let Some(quorum) = &mut self.quorum {
            quorum.come_to_rest().await;
        }
    }

    /// Tells whether what follows a change of validators begins no epoch.
    fn has_bad_start(&self) -> bool {
        let feed = self.log.part(self.place).key;
        let is_bad =
            |head: Head| self.epochs.as_ref().is_none_or(|epochs| epochs.has_bad_start(&feed, &head));
        self.closed.is_some_and(is_bad)
    }

    /// Tells whether others may host the room one day.
    fn may_change_host(&self) -> bool {
        self.epochs.as_ref().is_some_and(Epochs::may_change)
    }

    /// Lets go of what was offered to the host before: another relay of this node knows nothing of it, or another node is
    /// the host now. Where this node `is_host` from now on, what is on its way comes to it.
    fn come_to_host(&mut self, is_host: bool) {
        self.offers.clear();
        self.taken_up.clear();
        if is_host {
            self.taken_up.extend(self.relay.held().chain(self.pending.heard()).cloned());
        }
    }

    /// Has the room asked about what was on its way when this node became the host. The job before has come to its end:
    /// what it appended in a feed that does not count is no answer.
    fn take_up(&mut self, now: Instant) {
        let mut entries = std::mem::take(&mut self.taken_up);
        entries.sort_unstable_by_key(|entry| (*entry.author(), entry.sequence()));
        for entry in entries {
            self.relay.take_up(now, entry);
        }
    }

    /// Notes that an entry of this node stands in a block; returns it when it need not be kept any longer.
    fn stood(&mut self, index: u64, digest: Hash) -> Option<Hash> {
        if !self.may_change_host() {
            return Some(digest);
        }
        self.standing.insert(index.saturating_add(1), digest);
        None
    }
}

impl Stopped {
    fn failure(&self, name: &str) -> Failure {
        match self {
            Self::Refused(block) => Failure::new(
                Code::HostBrokeRules,
                format!(
                    "expected a room that follows its own rules, found block {} {} ({}); it is not followed any further",
                    block.index, block.reason, block.code
                ),
            ),
            Self::Unable(why) => {
                Failure::new(Code::Unable, format!("expected a verdict on every block, found that {why}"))
            }
        }
        .next(format!("quorate info {name}"))
    }
}
