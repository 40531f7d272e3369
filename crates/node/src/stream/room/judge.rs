//! What takes the history to check: blocks that the rules refuse, and what validators say of them.
//!
//! A node accuses only by what it has seen itself: the block is refused where its own room stands, the vote differs from the
//! state that its own rules made. What others accuse by is checked in the same way, when the room stands there.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use quorate_quorum::engine::{Input, Refused};
use quorate_quorum::evidence::{Claim, Evidence, EvidenceError, Judgement, Oracle, SignedVerdict};
use quorate_quorum::head::Head;
use quorate_quorum::statement::{Reject, Verified, Vote};
use quorate_stream::room::Checked;
use quorate_types::{BlockRange, PublicKey, RoomId};

use super::super::task::StreamTask;
use super::epochs::Epochs;
use super::log::{Log, Part};
use super::past::Past;
use super::quorum::Quorum;
use super::{RoomKeeper, Stopped};
use crate::room::Checker;
use crate::stream::watch::Shown;

/// Evidence of others that waits for the history that it is about.
const MAX_TO_JUDGE: usize = 8;

/// Votes and rejects that wait for the history that they are about: of a hundred validators a few each.
const MAX_VERDICTS: usize = 512;

/// What is to be looked at when the room stands where it is about.
#[derive(Debug, Default)]
pub(super) struct Docket {
    evidence: VecDeque<Evidence>,
    verdicts: VecDeque<SignedVerdict>,
    /// Newest reject of each validator.
    rejects: BTreeMap<PublicKey, Verified<Reject>>,
    /// Head whose last block is refused here.
    refused: Option<(PublicKey, Head)>,
    /// Height of the refused block of which the host was last accused.
    accused: Option<u64>,
    /// Where the room stood when everything was last looked at, whether it was stopped there, and how many blocks were here.
    looked: Option<(u64, bool, u64)>,
}

impl Docket {
    /// Takes evidence that a peer sent; the oldest is forgotten when there is too much.
    pub(super) fn file(&mut self, evidence: Evidence) {
        self.evidence.push_back(evidence);
        self.looked = None;
        while self.evidence.len() > MAX_TO_JUDGE {
            self.evidence.pop_front();
        }
    }

    /// Takes a validator's vote.
    pub(super) fn voted(&mut self, vote: &Verified<Vote>) {
        self.verdict(SignedVerdict::Vote(*vote.signed()));
    }

    /// Takes a validator's reject.
    pub(super) fn rejected(&mut self, reject: &Verified<Reject>) {
        let is_older = |held: &Verified<Reject>| held.head.length() > reject.head.length();
        let held = self.rejects.get(reject.signer()).filter(|held| held.common.epoch == reject.common.epoch);
        if !held.is_some_and(is_older) {
            self.rejects.insert(*reject.signer(), *reject);
        }
        self.verdict(SignedVerdict::Reject(*reject.signed()));
    }

    fn verdict(&mut self, verdict: SignedVerdict) {
        self.verdicts.push_back(verdict);
        self.looked = None;
        while self.verdicts.len() > MAX_VERDICTS {
            self.verdicts.pop_front();
        }
    }

    /// Newest reject of each validator, by their keys.
    pub(super) fn rejects(&self) -> impl Iterator<Item = &Verified<Reject>> {
        self.rejects.values()
    }
}

/// Where the room stands.
#[derive(Clone, Copy)]
struct Stand<'a> {
    room: RoomId,
    log: &'a Log,
    place: usize,
}

impl<'a> Stand<'a> {
    fn part(self) -> &'a Part {
        self.log.part(self.place)
    }
}

/// The room as far as it is checked here.
struct Court<'a> {
    stand: Stand<'a>,
    checker: RefCell<&'a mut Checker>,
    refused: Option<(PublicKey, Head)>,
    /// The block of the log that stands where one is judged.
    ours: Option<Bytes>,
    /// What the rules said where the room stood when it had this head.
    past: Option<Past>,
}

impl Oracle for Court<'_> {
    fn judge(&self, feed: &PublicKey, head: &Head) -> Judgement {
        let checker = self.checker.borrow();
        let last = head.length().checked_sub(1).and_then(|index| self.stand.log.place_of(feed, index));
        let Some((_, height)) = last else { return Judgement::Unable };
        let rules_hash = checker.head().rules_hash;
        if self.refused == Some((*feed, *head)) {
            return Judgement::Refused { rules_hash };
        }
        match checker.head_at(height.saturating_add(1)) {
            Some(checked) if checked.head == Some(*head) => {
                Judgement::Accepted { state_root: checked.position.state_root, rules_hash }
            }
            _ => Judgement::Unable,
        }
    }

    fn judge_block(&self, feed: &PublicKey, before: Option<&Head>, block: &Bytes) -> Judgement {
        let Some(before) = before else { return Judgement::Unable };
        let part = self.stand.part();
        let mut checker = self.checker.borrow_mut();
        if let Some(judgement) = self.past.as_ref().and_then(|past| past.of(feed, before, block)) {
            return judgement;
        }
        let here = checker.head();
        let judged =
            Judgement::Accepted { state_root: here.position.state_root, rules_hash: here.rules_hash };
        // The feed may go on there with another block, or the room in another feed.
        if part.key == *feed && here.head == Some(*before) {
            return match checker.would_accept(block.clone()) {
                Checked::Accepted(_) => judged,
                Checked::Refused(_) => Judgement::Refused { rules_hash: here.rules_hash },
                Checked::Unable(_) => Judgement::Unable,
            };
        }
        // What stands in the room was accepted.
        let height = self.stand.log.place_of(feed, before.length()).map(|(_, height)| height);
        let Some(height) = height else { return Judgement::Unable };
        if here.position.length > height && self.ours.as_ref() == Some(block) {
            return judged;
        }
        Judgement::Unable
    }

    fn block(&self, _: &PublicKey, _: &Head, _: u64) -> Option<Bytes> {
        None
    }
}

impl Court<'_> {
    fn verify(&self, claim: Claim) -> Result<Input, EvidenceError> {
        let evidence = Evidence { room: self.stand.room, claim }.verify(&self.stand.room, self)?;
        Ok(Input::Evidence(Box::new(evidence)))
    }

    /// Tells whether a vote or a reject is what the room says; `None` when it is not known yet.
    fn agrees(&self, verdict: &SignedVerdict) -> Option<bool> {
        let (feed, head) = match verdict {
            SignedVerdict::Vote(vote) => (&vote.statement.feed, &vote.statement.target.head),
            SignedVerdict::Reject(reject) => (&reject.statement.feed, &reject.statement.head),
        };
        match (self.judge(feed, head), verdict) {
            (Judgement::Unable, _) => None,
            (Judgement::Accepted { state_root, .. }, SignedVerdict::Vote(vote)) => {
                Some(state_root == vote.statement.target.state_root)
            }
            (Judgement::Refused { .. }, SignedVerdict::Reject(_)) => Some(true),
            (Judgement::Accepted { .. }, SignedVerdict::Reject(_))
            | (Judgement::Refused { .. }, SignedVerdict::Vote(_)) => Some(false),
        }
    }
}

impl StreamTask {
    /// Looks at what waits for the room to stand where it stands now.
    pub(super) async fn judge(&mut self, keeper: &mut RoomKeeper) {
        let is_stopped = matches!(keeper.stopped, Some(Stopped::Refused(_)));
        let waits = keeper.quorum.as_ref().is_some_and(|quorum| !quorum.docket.evidence.is_empty());
        let here = if waits { self.blocks_here(keeper) } else { 0 };
        let stands = Some((keeper.checked, is_stopped, here));
        if keeper.checker.is_none() {
            return;
        }
        let Some(mut quorum) = keeper.quorum.take() else { return };
        let Some(mut checker) = keeper.checker.take() else { return };
        if quorum.docket.looked != stands {
            quorum.docket.looked = stands;
            let stand = Stand { room: keeper.id, log: &keeper.log, place: keeper.place };
            if is_stopped {
                self.accuse_host(stand, &mut quorum, &mut checker).await;
            }
            self.judge_evidence(stand, &mut quorum, &mut checker).await;
            self.judge_verdicts(stand, &mut quorum, &mut checker);
        }
        (keeper.quorum, keeper.checker) = (Some(quorum), Some(checker));
    }

    /// Counts the blocks of all feeds that are here without gaps: evidence may wait for more of them.
    fn blocks_here(&self, keeper: &RoomKeeper) -> u64 {
        let length = self.feed.length();
        let own = self.feed.bitfield().first_missing(BlockRange::new(0, length)).unwrap_or(length);
        keeper.epochs.iter().map(Epochs::blocks_here).fold(own, u64::saturating_add)
    }

    /// Signs that the rules refuse the block at which the room stopped, and accuses its host.
    async fn accuse_host(&mut self, stand: Stand<'_>, quorum: &mut Quorum, checker: &mut Checker) {
        let height = checker.length();
        if quorum.docket.accused == Some(height) {
            return;
        }
        let part = stand.part().clone();
        let index = height.saturating_sub(part.offset());
        let Some(block) = self.log_get(stand.log, height).await else { return };
        let shown: Option<Shown> = match &part.feed {
            None => self.shown(index).await,
            Some(other) => other.stream.show(index).await.ok().flatten(),
        };
        let (Some(head), Some(shown)) = (checker.head_with(&block), shown) else { return };
        let Checked::Refused(refusal) = checker.would_accept(block.clone()) else { return };
        quorum.docket.accused = Some(height);
        quorum.docket.refused = Some((part.key, head));
        let now = self.runtime.now();
        if shown.length == head.length() {
            let refused = Refused {
                epoch: part.epoch,
                feed: part.key,
                head,
                rules_hash: checker.head().rules_hash,
                rule: refusal.code.number(),
                code: refusal.rule_code.and_then(|code| u16::try_from(code).ok()).unwrap_or(0),
            };
            quorum.engine.handle(now, Input::Refused(refused));
        }
        let Shown { length, signature, nodes } = shown;
        let claim = Claim::BadAppend { key: part.key, length, nodes, signature, index, block };
        let refused = quorum.docket.refused;
        let court = Court { stand, checker: RefCell::new(checker), refused, ours: None, past: None };
        match court.verify(claim) {
            Ok(evidence) => quorum.engine.handle(now, evidence),
            Err(error) => tracing::info!(stream = self.identity.name, "no evidence of the host: {error}"),
        }
    }

    /// Checks evidence of others that takes the history.
    async fn judge_evidence(&mut self, stand: Stand<'_>, quorum: &mut Quorum, checker: &mut Checker) {
        for evidence in std::mem::take(&mut quorum.docket.evidence) {
            let ours = match &evidence.claim {
                Claim::BadAppend { key, index, .. } => match stand.log.place_of(key, *index) {
                    Some((_, height)) if height < checker.length() => self.log_get(stand.log, height).await,
                    _ => None,
                },
                _ => None,
            };
            let past = self.judge_past((stand.log, stand.place), checker, &evidence.claim).await;
            let refused = quorum.docket.refused;
            let checker = RefCell::new(&mut *checker);
            let court = Court { stand, checker, refused, ours, past };
            match court.verify(evidence.claim.clone()) {
                Ok(evidence) => quorum.engine.handle(self.runtime.now(), evidence),
                Err(EvidenceError::Unable { .. }) => quorum.docket.evidence.push_back(evidence),
                Err(error) => tracing::info!(stream = self.identity.name, "what a peer accuses of: {error}"),
            }
        }
    }

    /// Compares what validators said with what the rules say here.
    fn judge_verdicts(&self, stand: Stand<'_>, quorum: &mut Quorum, checker: &mut Checker) {
        if quorum.docket.verdicts.is_empty() {
            return;
        }
        let (refused, checked) = (quorum.docket.refused, checker.length());
        let court = Court { stand, checker: RefCell::new(checker), refused, ours: None, past: None };
        for verdict in std::mem::take(&mut quorum.docket.verdicts) {
            match court.agrees(&verdict) {
                Some(true) => {}
                Some(false) => match court.verify(Claim::BadVerdict(verdict)) {
                    Ok(evidence) => quorum.engine.handle(self.runtime.now(), evidence),
                    // Other rules, or another engine: nothing is proven.
                    Err(error) => tracing::warn!(stream = self.identity.name, "a vote differs: {error}"),
                },
                None => {
                    let (feed, length) = match &verdict {
                        SignedVerdict::Vote(vote) => {
                            (vote.statement.feed, vote.statement.target.head.length())
                        }
                        SignedVerdict::Reject(reject) => {
                            (reject.statement.feed, reject.statement.head.length())
                        }
                    };
                    let height =
                        stand.log.place_of(&feed, length.saturating_sub(1)).map(|(_, height)| height);
                    if height.is_none_or(|height| height >= checked) {
                        quorum.docket.verdicts.push_back(verdict);
                    }
                }
            }
        }
    }
}
