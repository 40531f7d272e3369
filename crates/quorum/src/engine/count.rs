//! Votes that come together: QCs, Finals.

use super::Engine;
use super::disk::After;
use super::event::{Alarm, Output, Peer, Slot};
use super::limits::MAX_QCS;
use crate::certificate::{Certified, VerifiedFinal, VerifiedQc, qc_rank};
use crate::key::Signer;
use crate::statement::{Ack, Verified, Vote};

impl Engine {
    /// Counts a verified vote of this epoch; tells whether it says something new.
    pub(super) fn count(&mut self, vote: Verified<Vote>, from: Option<Peer>) -> bool {
        if from.is_some() && self.is_foreign(&vote) {
            return false;
        }
        let counted = self.here.tally.vote(vote);
        self.claim_all(counted.claims);
        if !counted.is_new {
            return false;
        }
        self.out.push_back(Output::Voted(Box::new(vote)));
        self.compare_votes(vote.common.epoch, vote.signer(), &vote.feed);
        if let Some(qc) = self.here.tally.qc(&vote, self.current.epoch.validators()) {
            self.certify(qc);
        }
        if let Some(ack) = vote.ack {
            self.try_final(&ack);
        }
        true
    }

    /// Counts the votes of a certificate.
    fn count_all(&mut self, votes: Vec<Verified<Vote>>) {
        for vote in votes {
            if !self.is_foreign(&vote) {
                let counted = self.here.tally.vote(vote);
                self.claim_all(counted.claims);
                if counted.is_new {
                    self.compare_votes(vote.common.epoch, vote.signer(), &vote.feed);
                }
            }
        }
    }

    /// Tells whether a vote is by this node's key; its own were counted when they were durable. One that its records do
    /// not have shows that they were set back, or that the key is not this node's alone.
    fn is_foreign(&mut self, vote: &Verified<Vote>) -> bool {
        let Some(key) = self.vote_key.as_ref().filter(|key| key.public() == *vote.signer()) else {
            return false;
        };
        debug_assert_eq!(key.public(), vote.common.signer);
        if !self.is_recorded(vote) {
            self.fall_silent();
        }
        // What is its own was counted when it was signed.
        true
    }

    /// Tells whether the records show that this node signed a vote of its key, or may have.
    fn is_recorded(&self, vote: &Verified<Vote>) -> bool {
        self.here.last_vote.is_some_and(|own| {
            let (own_head, head) = (own.target.head, vote.target.head);
            own.feed == vote.feed
                && (head.length() < own_head.length()
                    || own.target == vote.target
                        && vote.ack.map(|ack| ack.length) <= own.ack.map(|ack| ack.length))
        })
    }

    /// Counts the votes that the certificates of this epoch hold, which were on the disk: others are heard again, or not.
    pub(super) fn recover_votes(&mut self) {
        let (epoch, number) = (&self.current.epoch, self.current.epoch.number());
        let (room, validators) = (epoch.room(), epoch.validators());
        let qc = self.longest.get(&number).map(|qc| qc.votes(room, validators));
        let last = self.last_final.as_ref().filter(|last| last.certified().epoch == number);
        let last = last.map(|last| last.votes(room, validators));
        let key = self.vote_key.as_ref().map(Signer::public);
        for vote in qc.into_iter().chain(last).flatten() {
            if key == Some(*vote.signer()) && !self.is_recorded(&vote) {
                continue;
            }
            let counted = self.here.tally.vote(vote);
            self.claim_all(counted.claims);
            if counted.is_new {
                self.compare_votes(number, vote.signer(), &vote.feed);
            }
        }
    }

    /// Stops signing: the records were set back, or the key is in use elsewhere.
    pub(super) fn fall_silent(&mut self) {
        if !self.is_silent {
            self.is_silent = true;
            let epoch = self.current.epoch.number();
            self.out.push_back(Output::Alarm(Alarm::ForeignVote { epoch }));
        }
    }

    /// Takes a QC that holds, of this epoch or of one before it.
    pub(super) fn certify(&mut self, qc: VerifiedQc) {
        let certified = *qc.certified();
        let key = (certified.epoch, certified.head().length(), *qc.hash());
        if self.qcs.contains_key(&key) {
            return;
        }
        self.compare(&certified);
        if certified.epoch == self.current.epoch.number() {
            let votes = qc.votes(self.current.epoch.room(), self.current.epoch.validators());
            self.count_all(votes);
        } else if let Some(epoch) = self.epoch_at(certified.epoch) {
            let votes = qc.votes(epoch.room(), epoch.validators());
            votes.iter().for_each(|vote| self.look_back(vote.signed()));
        }
        self.hold(qc);
        self.here.is_worth_a_handover = true;
        if self.is_one_phase() {
            self.commit(&certified);
        }
        let ack = certified.ack(self.current.epoch.room());
        self.try_final(&ack);
    }

    /// Keeps a QC, and writes it if it is the longest of its epoch.
    pub(super) fn hold(&mut self, qc: VerifiedQc) {
        let certified = *qc.certified();
        let (epoch, length) = (certified.epoch, certified.head().length());
        self.qcs.insert((epoch, length, *qc.hash()), qc.clone());
        if self.qcs.len() > MAX_QCS {
            self.qcs.pop_first();
        }
        let longest = self.longest.get(&epoch).map(|longest| longest.certified().head().length());
        if longest.is_none_or(|longest| longest < length) {
            self.write(Slot::Qc { epoch }, qc.qc().encode(), After::Nothing);
            self.longest.insert(epoch, qc);
        }
    }

    /// Compares a certified head with what is known of its epoch: two that contradict each other are for people to
    /// look at, whoever is to blame.
    fn compare(&mut self, found: &Certified) {
        let length = found.head().length();
        let held = self.qcs.range((found.epoch, length, ZERO)..=(found.epoch, length, FULL));
        let held = held.map(|(_, qc)| *qc.certified()).find(|held| held != found);
        let checked = self.here.heads.get(&length).filter(|_| found.epoch == self.current.epoch.number());
        let held = held.map(|held| *held.head()).or_else(|| {
            let longest = self.longest.get(&found.epoch)?.certified();
            let agrees = |certified: &Certified| {
                self.here.heads.get(&certified.head().length()).map(|head| head.head == *certified.head())
            };
            // A longer head only shows that this node holds another branch behind what is certified.
            checked.filter(|_| length <= longest.head().length())?;
            (agrees(longest) == Some(true) && agrees(found) == Some(false)).then(|| *longest.head())
        });
        if let Some(held) = held {
            let alarm = Alarm::Disagreement { epoch: found.epoch, held, found: *found.head() };
            self.out.push_back(Output::Alarm(alarm));
        }
    }

    /// Finds a QC by its name.
    pub(super) fn find_qc(&self, hash: &quorate_types::QcHash) -> Option<&VerifiedQc> {
        let held = self.qcs.values().chain(self.longest.values());
        held.into_iter().find(|qc| qc.hash() == hash)
    }

    fn try_final(&mut self, ack: &Ack) {
        let number = self.current.epoch.number();
        let Some(qc) = self.qcs.get(&(number, ack.length, ack.qc)) else { return };
        let (room, validators) = (self.current.epoch.room(), self.current.epoch.validators());
        if let Some(last) = self.here.tally.last_final(qc.certified(), room, validators) {
            self.finalize(last);
        }
    }

    /// Takes a Final that holds.
    pub(super) fn finalize(&mut self, last: VerifiedFinal) {
        let certified = *last.certified();
        let is_here = certified.epoch == self.current.epoch.number();
        if let Some(epoch) = self.epoch_at(certified.epoch) {
            let votes = last.votes(epoch.room(), epoch.validators());
            if is_here {
                self.count_all(votes);
            } else {
                votes.iter().for_each(|vote| self.look_back(vote.signed()));
            }
        }
        if let Some(held) = self.last_final.as_ref().map(|held| *held.certified())
            && certified.rank() <= held.rank()
        {
            if certified.rank() == held.rank() && certified != held {
                self.compare_finals(&held, &certified);
            }
            return;
        }
        self.compare(&certified);
        let after = if self.is_one_phase() { After::Nothing } else { After::Final(certified) };
        self.write(Slot::Final, last.last_final().encode(), after);
        self.last_final = Some(last);
        if is_here {
            let length = certified.head().length();
            self.here.tally.forget_below(length);
            let voted = self.last_vote().map(|head| head.length());
            self.here.heads.retain(|checked, _| *checked >= length || Some(*checked) == voted);
        }
    }

    fn compare_finals(&mut self, held: &Certified, found: &Certified) {
        let (held, found, epoch) = (*held.head(), *found.head(), held.epoch);
        self.out.push_back(Output::Alarm(Alarm::Disagreement { epoch, held, found }));
    }

    /// A Final is durable, or, with a planted bug, a QC is there.
    pub(super) fn commit(&mut self, certified: &Certified) {
        self.committed = Some(*certified);
        let Certified { epoch, feed, target, .. } = *certified;
        self.out.push_back(Output::Committed { epoch, feed, target });
    }

    /// Ranks the highest QC that is held.
    pub(super) fn highest_rank(&self) -> Option<(u64, u64)> {
        self.last_qc().map(|qc| qc_rank(&qc.reference()))
    }

    fn is_one_phase(&self) -> bool {
        #[cfg(feature = "planted-bugs")]
        return self.bug == Some(super::Bug::OnePhase);
        #[cfg(not(feature = "planted-bugs"))]
        false
    }
}

const ZERO: quorate_types::QcHash = quorate_types::QcHash::new([0; 32]);
const FULL: quorate_types::QcHash = quorate_types::QcHash::new([0xff; 32]);
