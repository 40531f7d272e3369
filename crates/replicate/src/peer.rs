//! What the machine keeps of one peer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use quorate_proto::dat::{Data, Request};
use quorate_types::BlockRange;
use quorate_types::limits::STOCK_REQUESTS_IN_FLIGHT;

use crate::remote::RemoteBits;
use crate::{Config, PeerProfile};

/// Requests above the window that blocks somebody waits for may take (hypercore 9 `urgentRequests`).
pub(crate) const URGENT_REQUESTS: usize = 16;

/// Requests whose late answers are let pass.
const MAX_MOVED: usize = 4096;

/// Requests in flight towards one quorate peer when others share the work.
const SHARED_REQUESTS_IN_FLIGHT: usize = 256;

/// Size that a block is thought to have before the first ones came, bytes: few requests at first, in case they are large.
const FIRST_MEAN_BYTES: u64 = 256 * 1024;

/// A request and what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) index: u64,
    /// The proof alone is asked for.
    pub(crate) hash: bool,
    pub(crate) basis: Basis,
    /// Part of a stretch; otherwise asked for by itself.
    pub(crate) stretch: bool,
    /// When a request sent later was answered first.
    pub(crate) passed: Option<Instant>,
}

/// What the digest of a request rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Basis {
    /// Nodes that are here.
    Here,
    /// Nodes that are here or come with earlier answers.
    Expected,
    /// Nothing: the answer stands alone and is compared before it is stored.
    Nothing(Reason),
    /// The answer stood the comparison and is being stored.
    Compared,
    /// The request was given to another peer before the answer came.
    Late,
}

/// Why a proof that stands alone is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// Every fresh peer is asked once.
    Probe,
    /// A block did not verify.
    Suspicion,
}

/// Unsent part of the stretch that a peer fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) start: u64,
    pub(crate) next: u64,
    pub(crate) end: u64,
}

#[derive(Debug)]
pub(crate) struct PeerState {
    pub(crate) profile: PeerProfile,
    pub(crate) is_quorate: bool,
    pub(crate) wants_acks: bool,
    pub(crate) opened: Instant,

    // What the peer has and does.
    pub(crate) remote: RemoteBits,
    pub(crate) remote_uploading: bool,
    pub(crate) remote_downloading: bool,
    /// The peer stopped downloading after it had wanted blocks.
    pub(crate) remote_is_done: bool,
    /// The peer wants to be told what is here.
    pub(crate) remote_wants: bool,
    /// The first want was answered.
    pub(crate) answered: bool,

    // Requests of the peer.
    pub(crate) queue: VecDeque<Request>,

    // Requests to the peer.
    /// This side still asks this peer for blocks.
    pub(crate) downloading: bool,
    pub(crate) waiting: VecDeque<Sent>,
    pub(crate) verifying: VecDeque<Sent>,
    /// Blocks whose answers are no longer waited for, with how many of them may still come.
    pub(crate) moved: BTreeMap<u64, u32>,
    pub(crate) stretch: Option<Stretch>,
    /// Start of the blocks up to the stretch's next that are here or on their way from this peer, in order.
    pub(crate) run_start: u64,
    /// No block below can be asked for from this peer as part of a stretch.
    pub(crate) cursor: u64,
    pub(crate) pool_seen: u64,
    /// Block beyond the length here that is asked for, so that its proof brings the newer roots.
    pub(crate) anchor: Option<u64>,
    pub(crate) is_hungry: bool,
    pub(crate) helped: Option<Instant>,
    pub(crate) is_snubbed: bool,
    pub(crate) strikes: u32,
    pub(crate) unrequested: u32,
    pub(crate) pace: Pace,

    // Evidence.
    /// Proofs to ask for with an empty digest.
    pub(crate) to_ask: VecDeque<(u64, bool, Reason)>,
    pub(crate) investigating: VecDeque<(Sent, Data)>,
    pub(crate) head_probed: bool,
    pub(crate) suspect: Option<u64>,
    pub(crate) suspicions: u32,
    /// A proof that stood alone has shown that its history is the one here.
    pub(crate) agrees: bool,
    /// The block that it is suspected for does not have the hash that is here.
    pub(crate) contradicts: bool,
    /// Blocks whose proofs were asked for because a comparison needed them.
    pub(crate) asked: BTreeSet<u64>,

    /// A fork was found: until when the peer is still served, and the block that shows it.
    pub(crate) parting: Option<(Instant, u64)>,

    /// Blocks that came from this peer and were not announced to the others yet.
    pub(crate) fresh: Vec<BlockRange>,
}

/// How fast a peer answers, and how large its blocks are.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Last answer, or the first request after a pause.
    pub(crate) progress: Instant,
    since: Instant,
    answers: u32,
    per_block: Option<Duration>,
    mean_bytes: u64,
}

/// Shortest time over which a pace is measured.
const PACE_PERIOD: Duration = Duration::from_millis(50);

impl Pace {
    fn new(now: Instant) -> Self {
        Self { progress: now, since: now, answers: 0, per_block: None, mean_bytes: FIRST_MEAN_BYTES }
    }

    /// The first request after a pause was sent.
    pub(crate) fn start(&mut self, now: Instant) {
        self.progress = now;
        self.since = now;
        self.answers = 0;
    }

    pub(crate) fn answer(&mut self, now: Instant, bytes: Option<usize>) {
        self.progress = now;
        self.answers = self.answers.saturating_add(1);
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed >= PACE_PERIOD {
            let measured = elapsed / self.answers;
            self.per_block = Some(self.per_block.map_or(measured, |before| (before + measured) / 2));
            self.since = now;
            self.answers = 0;
        }
        if let Some(bytes) = bytes {
            self.mean_bytes = (15 * self.mean_bytes + bytes as u64) / 16;
        }
    }

    /// Time that so many answers will take, as far as can be told.
    pub(crate) fn time_for(&self, count: usize, now: Instant) -> Duration {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let silence = now.saturating_duration_since(self.progress);
        self.per_block.map_or(silence.saturating_mul(count), |each| each.saturating_mul(count)).max(silence)
    }

    /// Time that one block takes.
    pub(crate) fn per_block(&self) -> Duration {
        self.per_block.unwrap_or(Duration::from_millis(1)).max(Duration::from_micros(1))
    }
}

impl PeerState {
    pub(crate) fn new(profile: PeerProfile, now: Instant, downloading: bool) -> Self {
        Self {
            profile,
            is_quorate: false,
            wants_acks: false,
            opened: now,
            remote: RemoteBits::default(),
            remote_uploading: true,
            remote_downloading: true,
            remote_is_done: false,
            remote_wants: false,
            answered: false,
            queue: VecDeque::new(),
            downloading,
            waiting: VecDeque::new(),
            verifying: VecDeque::new(),
            moved: BTreeMap::new(),
            stretch: None,
            run_start: 0,
            cursor: 0,
            pool_seen: 0,
            anchor: None,
            is_hungry: false,
            helped: None,
            is_snubbed: false,
            strikes: 0,
            unrequested: 0,
            pace: Pace::new(now),
            to_ask: VecDeque::new(),
            investigating: VecDeque::new(),
            head_probed: false,
            suspect: None,
            suspicions: 0,
            agrees: false,
            contradicts: false,
            asked: BTreeSet::new(),
            parting: None,
            fresh: Vec::new(),
        }
    }

    /// Requests that are not settled.
    pub(crate) fn open(&self) -> usize {
        self.waiting.len() + self.verifying.len()
    }

    /// Requests that may be open at once.
    pub(crate) fn window(&self, config: &Config, shared: bool) -> usize {
        if self.is_snubbed {
            return 1;
        }
        let by_bytes = config.bytes_in_flight / self.pace.mean_bytes.max(1);
        let by_bytes = usize::try_from(by_bytes).unwrap_or(usize::MAX).max(2);
        let limit = match (self.is_quorate, shared) {
            (false, _) => STOCK_REQUESTS_IN_FLIGHT,
            (true, false) => config.requests_in_flight,
            (true, true) => config.requests_in_flight.min(SHARED_REQUESTS_IN_FLIGHT),
        };
        limit.min(by_bytes).max(1)
    }

    /// Tells whether blocks can be asked for. Evidence comes before blocks.
    pub(crate) fn may_ask(&self) -> bool {
        self.downloading && self.remote_uploading && self.suspect.is_none()
    }

    /// Forgets everything that was to be had from the peer.
    pub(crate) fn stop_asking(&mut self) {
        self.downloading = false;
        self.waiting.clear();
        self.verifying.clear();
        self.to_ask.clear();
        self.investigating.clear();
        self.moved.clear();
        self.stretch = None;
        self.anchor = None;
        self.suspect = None;
        self.head_probed = true;
    }

    /// Lets the answer to a request pass that is no longer waited for.
    pub(crate) fn let_pass(&mut self, index: u64) {
        if self.moved.len() >= MAX_MOVED {
            self.moved.pop_first();
        }
        // A peer that is silent for long may be asked for the same block again and again, and answer each time.
        *self.moved.entry(index).or_default() += 1;
    }

    /// Tells whether an answer is one that may pass.
    pub(crate) fn passes(&mut self, index: u64) -> bool {
        let Some(count) = self.moved.get_mut(&index) else { return false };
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.moved.remove(&index);
        }
        true
    }

    /// Tells whether an answer that lacks something may be that to an earlier request for the same block, with another
    /// digest, which is no longer waited for. Then the request waits again: its own answer is still to come.
    pub(crate) fn was_of_another(&mut self, sent: Sent) -> bool {
        let is_another = sent.basis != Basis::Late && self.passes(sent.index);
        if is_another {
            self.waiting.push_front(sent);
        }
        is_another
    }

    /// A request of the run will not be answered as expected: no later one may count on it.
    pub(crate) fn break_run(&mut self) {
        self.run_start = self.stretch.map_or(u64::MAX, |stretch| stretch.next);
    }

    /// Takes the request that the answer belongs to, with its position.
    pub(crate) fn take_waiting(&mut self, index: u64, hash: bool) -> Option<(usize, Sent)> {
        let at = self.waiting.iter().position(|sent| sent.index == index && sent.hash == hash)?;
        self.waiting.remove(at).map(|sent| (at, sent))
    }

    pub(crate) fn take_verifying(&mut self, index: u64) -> Option<Sent> {
        let at = self.verifying.iter().position(|sent| sent.index == index)?;
        self.verifying.remove(at)
    }

    /// Notes a block to be announced to the other peers.
    pub(crate) fn add_fresh(&mut self, index: u64) {
        match self.fresh.last_mut() {
            Some(range) if range.end == index => range.end += 1,
            _ => self.fresh.push(BlockRange::new(index, index.saturating_add(1))),
        }
    }
}
