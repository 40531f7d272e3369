//! How epochs end and begin: seals, handovers, starts.

use std::time::Instant;

use quorate_proto::quorate1::{Message, QuorumMessage};
use quorate_types::PublicKey;

use super::disk::After;
use super::event::{Base, Output, Peer, Slot};
use super::limits::MAX_LEFT;
use super::{Engine, Here, Step};
use crate::certificate::{
    Certified, Change, Epoch, Start, VerifiedHandover, VerifiedStart, accept_statement,
};
use crate::statement::{Accept, Grant, Seal, SealReason, Verified};

impl Step {
    pub(super) fn new(start: &VerifiedStart) -> Self {
        let (epoch, bytes, hash) = (start.epoch().clone(), start.start().encode(), start.hash());
        Self { epoch, start: Some((start.start().clone(), bytes, hash)) }
    }
}

impl Engine {
    /// Counts a verified seal of this epoch; tells whether it is new.
    pub(super) fn count_seal(&mut self, seal: Verified<Seal>, from: Option<Peer>) -> bool {
        let own = self.vote_key.as_ref().is_some_and(|key| key.public() == *seal.signer());
        if own && from.is_some() && self.here.seal.map(|own| *own.signed()) != Some(*seal.signed()) {
            self.fall_silent();
            return false;
        }
        let Some(claims) = self.here.tally.seal(seal) else { return false };
        self.claim_all(claims);
        self.here.is_worth_a_handover = true;
        true
    }

    /// Counts an acceptance of the base that this epoch ends with.
    pub(super) fn count_accept(&mut self, accept: Verified<Accept>) -> bool {
        let is_new = self.here.accepts.insert(*accept.signer(), accept).is_none();
        self.here.is_worth_a_handover |= is_new;
        is_new
    }

    /// Tells whether an acceptance is one that this epoch waits for.
    pub(super) fn is_expected(&self, accept: &Accept) -> bool {
        let Some((_, checked)) = self.here.heads.last_key_value() else { return false };
        let Some(closes) = &checked.closes else { return false };
        let signer = accept.common.signer;
        closes.next.contains(&signer)
            && *accept == accept_statement(self.epoch(), signer, *closes.next.hash(), checked.head)
    }

    /// Hands over when there are enough seals.
    pub(super) fn try_handover(&mut self, now: Instant) {
        let epoch = &self.current.epoch;
        let seals = self.here.tally.seals();
        if !self.here.is_worth_a_handover || seals.len() < epoch.validators().quorum() {
            return;
        }
        self.here.is_worth_a_handover = false;
        let mut seals: Vec<&Verified<Seal>> = seals.values().collect();
        // The host goes on if enough seals say that it may.
        seals.sort_by_key(|seal| seal.reason != SealReason::Membership);
        let find = |named: &crate::statement::QcRef| self.find_qc(&named.qc).cloned();
        let made = VerifiedHandover::of_seals(epoch, seals, find, |base| self.change_at(base));
        let Ok(made) = made else { return };
        if let Ok(start) = Start::with_grant(made, None, epoch) {
            self.adopt(now, &start);
        }
    }

    /// Shows the change of validators that a base ends with, if it does.
    fn change_at(&self, base: &Certified) -> Option<Change> {
        let checked = self.here.heads.get(&base.head().length())?;
        let closes = checked.closes.as_ref().filter(|_| checked.head == *base.head())?;
        let accepts = self.here.accepts.iter().filter_map(|(signer, accept)| {
            let place = closes.next.position(signer)?;
            Some((u32::try_from(place).ok()?, *accept.signature()))
        });
        let accepts = accepts.take(closes.next.quorum()).collect();
        Some(Change { block: closes.block.clone(), nodes: closes.nodes.clone(), accepts })
    }

    /// Considers starts of consecutive epochs, each verified by the one before it. `is_carried` is set for one that a
    /// feed holds: what the validators vote on decides between several.
    pub(super) fn consider(&mut self, now: Instant, starts: Vec<VerifiedStart>, is_carried: bool) {
        self.learn_grants(now, &starts);
        let (Some(first), Some(last)) = (starts.first(), starts.last()) else { return };
        let (first, last) = (first.epoch().number(), last.epoch());
        let here = self.current.epoch.number();
        if last.number() < here {
            return;
        }
        if last.number() == here {
            let Some(start) = starts.last().filter(|_| first == here) else {
                self.consider_beside(now, starts);
                return;
            };
            let is_same = self.current.start.as_ref().is_some_and(|(_, _, hash)| *hash == start.hash());
            let is_better = match (self.current.epoch.feed(), start.epoch().feed()) {
                (None, Some(_)) => true,
                (Some(held), Some(found)) if held == found => {
                    is_carried && self.current.epoch.base() != start.epoch().base()
                }
                (Some(_), Some(_)) => is_carried,
                (None, None) => self.is_before(start.epoch()),
                (Some(_), None) => false,
            };
            let may_take = match self.votes_decide(start.epoch()) {
                Some(is_certified) => is_certified,
                None => is_better && self.has_signed_nothing(),
            };
            if !is_same && may_take {
                self.adopt(now, start);
            } else if self.is_beside(start.epoch()) {
                self.keep_beside(starts);
            } else if !is_same {
                self.keep_other(start.start().clone());
            }
            return;
        }
        self.take_line(now, &starts);
    }

    /// Takes another line of epochs, from where it leaves this one: a longer one is preferred.
    pub(super) fn take_line(&mut self, now: Instant, starts: &[VerifiedStart]) {
        let here = self.current.epoch.number();
        let Some(first) = starts.first().map(|start| start.epoch().number()) else { return };
        let parent = first.saturating_sub(1);
        if parent < here {
            let Some(place) = usize::try_from(parent).ok().filter(|place| *place < self.past.len()) else {
                return;
            };
            self.leave(here);
            let mut left = self.past.split_off(place);
            left.truncate(1);
            let Some(step) = left.pop() else { return };
            self.current = step;
        }
        for start in starts {
            self.adopt(now, start);
        }
    }

    /// Enters an epoch, or takes another start of the one that is on.
    pub(super) fn adopt(&mut self, now: Instant, start: &VerifiedStart) {
        let step = Step::new(start);
        let number = step.epoch.number();
        if let Some(base) = start.base() {
            let rank = crate::certificate::qc_rank(&base.reference());
            if self.highest_rank().is_none_or(|highest| highest < rank) || !self.longest.contains_key(&rank.0)
            {
                self.hold(base.clone());
            }
        }
        let start_bytes = start.start().encode();
        self.write(Slot::Start { epoch: number }, start_bytes.clone(), After::Nothing);
        let before = std::mem::replace(&mut self.current, step);
        let (before_number, before_vset) = (before.epoch.number(), *before.epoch.validators().hash());
        let (before_start, mut replaced) = (before.start.clone(), None);
        if before_number < number {
            self.leave(before_number);
            self.past.push(before);
            self.complete(before_number);
        }
        self.peers.values_mut().for_each(|remote| remote.back = 0);
        let mut here = Here::default();
        let validators = self.current.epoch.validators();
        if before_number == number && before_vset == *validators.hash() {
            // What came before the feed was known still counts, and what was signed binds.
            let was = &mut self.here;
            std::mem::swap(&mut here.tally, &mut was.tally);
            std::mem::swap(&mut here.beside, &mut was.beside);
            std::mem::swap(&mut here.others, &mut was.others);
            (here.last_vote, here.voting, here.seal) = (was.last_vote, was.voting, was.seal);
            (here.durable_vote, here.durable_seal) = (was.durable_vote.take(), was.durable_seal.take());
            replaced = before_start.map(|(start, _, _)| start);
        }
        self.here = here;
        if let Some(replaced) = replaced {
            self.keep_other(replaced);
        }
        self.entered_at = Some(now);
        if let Some(base) = start.base()
            && let Some(validators) = self.epoch_at(base.certified().epoch).map(Epoch::validators)
        {
            let votes = base.votes(self.current.epoch.room(), validators);
            votes.iter().for_each(|vote| self.look_back(vote.signed()));
        }
        self.out.push_back(self.entered());
        let message = Message::Quorum(QuorumMessage::Handover(vec![start_bytes])).encode();
        self.broadcast(None, &message);
        self.announced.now();
        self.begin_hosting(now);
        self.read_waiting(now);
    }

    /// Keeps the votes of an epoch that is over.
    fn leave(&mut self, number: u64) {
        let tally = std::mem::take(&mut self.here.tally);
        if !tally.is_empty() {
            self.left.insert(number, tally);
        }
        while self.left.len() > MAX_LEFT {
            self.left.pop_first();
        }
    }

    /// Says which epoch is on.
    pub(super) fn entered(&self) -> Output {
        let epoch = &self.current.epoch;
        Output::Entered {
            epoch: epoch.number(),
            base: base_of(epoch),
            feed: epoch.feed().copied(),
            validators: Box::new(epoch.validators().clone()),
        }
    }

    /// Makes the feed of this epoch known, as its host.
    pub(super) fn grant(&mut self, now: Instant, feed: PublicKey) {
        let (Some(key), Some((start, _, _))) = (self.host_key.clone(), self.current.start.clone()) else {
            return;
        };
        let number = self.current.epoch.number();
        let Some(before) = self.past.last().map(|step| step.epoch.clone()) else { return };
        let grant = Verified::sign(Grant { common: self.current.epoch.common(key.public()), feed }, &key);
        let start = Start { grant: Some((feed, *grant.signature())), ..start };
        let Ok(start) = start.verify(&before) else { return };
        self.grants.insert(number, feed);
        self.write(Slot::Grant { epoch: number }, grant.encode(), After::Nothing);
        let bytes = start.start().encode();
        self.write(Slot::Start { epoch: number }, bytes, After::Granted(Box::new(start)));
        self.entered_at = Some(now);
    }

    /// The grant is durable: the feed is known from here on, and never another one.
    pub(super) fn granted_is_durable(&mut self, start: &VerifiedStart) {
        let epoch = start.epoch();
        let (number, Some(feed)) = (epoch.number(), epoch.feed().copied()) else { return };
        if self.current.epoch.number() != number || self.current.epoch.feed().is_some() {
            return;
        }
        let base = base_of(epoch);
        self.granted.learn(start.grant());
        self.current = Step::new(start);
        let bytes = start.start().encode();
        self.out.push_back(self.entered());
        self.out.push_back(Output::OpenFeed { epoch: number, feed, base, start: bytes.clone() });
        let message = Message::Quorum(QuorumMessage::Handover(vec![bytes])).encode();
        self.broadcast(None, &message);
        self.announced.now();
    }
}

pub(super) fn base_of(epoch: &Epoch) -> Base {
    let base = epoch.base();
    Base { feed: base.map_or(*epoch.genesis_feed(), |base| base.feed), head: base.map(|base| *base.head()) }
}
