//! The engine out of its records.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::disk::Disk;
use super::event::{Config, Guard, Slot};
use super::expose::Exposed;
use super::granted::Granted;
use super::seen::Seen;
use super::status::Announced;
use super::traffic::Waiting;
use super::voter::{seal_message, vote_message};
use super::{Engine, Here, Step, checks_in_all};
use crate::certificate::{CertificateError, Epoch, Final, Qc, Start};
use crate::evidence::{Evidence, EvidenceError, NoOracle};
use crate::statement::{Ack, Grant, Seal, Signed, Statement, StatementError, Verified, Vote};

/// Why records are not those of an engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecoverError {
    /// A certificate is damaged.
    #[error("record {slot:?}: {error}")]
    Certificate {
        /// Where it lies.
        slot: Slot,
        /// What is wrong.
        error: CertificateError,
    },
    /// A statement is damaged.
    #[error("record {slot:?}: {error}")]
    Statement {
        /// Where it lies.
        slot: Slot,
        /// What is wrong.
        error: StatementError,
    },
    /// Evidence is damaged.
    #[error("record {slot:?}: {error}")]
    Evidence {
        /// Where it lies.
        slot: Slot,
        /// What is wrong.
        error: EvidenceError,
    },
    /// An epoch was entered, and how the one before it ended is missing.
    #[error("expected the starts of all epochs up to {epoch}, found none of epoch {missing}")]
    MissingStart {
        /// Newest epoch that has a record.
        epoch: u64,
        /// Epoch that has none.
        missing: u64,
    },
}

impl Engine {
    /// Makes the engine of a room from all records that the disk holds, in any order.
    ///
    /// # Errors
    ///
    /// [`RecoverError`] when a record is damaged; then nothing may be signed with this disk.
    pub fn new(
        config: Config,
        records: impl IntoIterator<Item = (Slot, Bytes)>,
    ) -> Result<Self, RecoverError> {
        let records: BTreeMap<Slot, Bytes> = records.into_iter().collect();
        let genesis = Epoch::genesis(config.room, config.feed, config.validators, config.hosts);
        let mut engine = Self {
            vote_key: config.vote_key,
            host_key: config.host_key,
            is_genesis_host: config.is_genesis_host,
            timing: config.timing,
            #[cfg(feature = "planted-bugs")]
            bug: config.bug,
            is_silent: config.guard == Guard::Recovering,
            past: Vec::new(),
            current: Step { epoch: genesis, start: None },
            entered_at: None,
            here: Here::default(),
            left: BTreeMap::new(),
            longest: BTreeMap::new(),
            qcs: BTreeMap::new(),
            last_final: None,
            committed: None,
            exposed: Exposed::default(),
            pending_since: None,
            peers: BTreeMap::new(),
            checks: checks_in_all(),
            seen: Seen::default(),
            waiting: Waiting::default(),
            announced: Announced::default(),
            promises: BTreeMap::new(),
            grants: BTreeMap::new(),
            granted: Granted::default(),
            disk: Disk::default(),
            out: VecDeque::new(),
        };
        engine.recover_starts(&records)?;
        engine.recover_certificates(&records)?;
        engine.recover_statements(&records)?;
        let entered = engine.entered();
        engine.out.push_back(entered);
        engine.recover_votes();
        Ok(engine)
    }

    fn recover_starts(&mut self, records: &BTreeMap<Slot, Bytes>) -> Result<(), RecoverError> {
        let starts = records.range(Slot::Start { epoch: 0 }..=Slot::Start { epoch: u64::MAX });
        let newest = starts.clone().filter_map(|(slot, _)| epoch_of(slot)).max().unwrap_or(0);
        for (slot, bytes) in starts {
            let next = self.current.epoch.number().saturating_add(1);
            if epoch_of(slot) != Some(next) {
                return Err(RecoverError::MissingStart { epoch: newest, missing: next });
            }
            let start = Start::decode(bytes.clone()).and_then(|start| start.verify(&self.current.epoch));
            let start = start.map_err(|error| RecoverError::Certificate { slot: *slot, error })?;
            self.granted.learn(start.grant());
            self.past.push(std::mem::replace(&mut self.current, Step::new(&start)));
        }
        Ok(())
    }

    fn recover_certificates(&mut self, records: &BTreeMap<Slot, Bytes>) -> Result<(), RecoverError> {
        let room = *self.epoch().room();
        for (slot, bytes) in records {
            let wrong = |error| RecoverError::Certificate { slot: *slot, error };
            match slot {
                Slot::Qc { epoch } => {
                    let qc = Qc::decode(bytes.clone()).map_err(wrong)?;
                    // The line of epochs may have been left for a longer one since.
                    let epoch_of_it = self.epoch_at(*epoch).map(Epoch::of_any_feed);
                    let Some(Ok(qc)) = epoch_of_it.map(|epoch| qc.verify(&epoch)) else { continue };
                    let key = (*epoch, qc.certified().head().length(), *qc.hash());
                    self.qcs.insert(key, qc.clone());
                    self.longest.insert(*epoch, qc);
                }
                Slot::Final => {
                    let last = Final::decode(bytes.clone()).map_err(wrong)?;
                    let Some(epoch) = self.epoch_at(last.certified.epoch).map(Epoch::of_any_feed) else {
                        continue;
                    };
                    let last = last.verify(&epoch).map_err(wrong)?;
                    self.committed = Some(*last.certified());
                    self.last_final = Some(last);
                }
                Slot::Evidence { .. } => {
                    let wrong = |error| RecoverError::Evidence { slot: *slot, error };
                    let evidence = Evidence::decode(bytes.clone()).map_err(wrong)?;
                    let held = match evidence.clone().verify(&room, &NoOracle) {
                        Ok(evidence) => evidence,
                        // It was checked when it was written, with the history at hand.
                        Err(EvidenceError::Unable { .. }) => evidence.judged_before().map_err(wrong)?,
                        Err(error) => return Err(wrong(error)),
                    };
                    self.exposed.insert(&held);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn recover_statements(&mut self, records: &BTreeMap<Slot, Bytes>) -> Result<(), RecoverError> {
        let number = self.current.epoch.number();
        for (slot, bytes) in records {
            match slot {
                Slot::Vote { epoch } if *epoch == number => {
                    let vote: Verified<Vote> = statement(*slot, bytes)?;
                    self.here.last_vote = Some(self.with_held_ack(vote));
                }
                Slot::Seal { epoch } if *epoch == number => {
                    let seal: Verified<Seal> = statement(*slot, bytes)?;
                    self.here.seal = Some(seal);
                    self.here.durable_seal = Some(seal_message(&seal));
                    self.here.tally.seal(seal);
                    self.here.is_worth_a_handover = true;
                }
                Slot::Grant { epoch } => {
                    let grant: Verified<Grant> = statement(*slot, bytes)?;
                    self.grants.insert(*epoch, grant.feed);
                }
                _ => {}
            }
        }
        if let Some(vote) = self.here.last_vote {
            self.here.tally.vote(vote);
            if self.here.seal.is_none() {
                self.here.durable_vote = Some(vote_message(&vote));
            }
        }
        Ok(())
    }

    /// A crash may have left a vote on the disk, and not the QC that it acknowledges: it was never sent then, and must
    /// not be. The same vote with what is held is no other vote.
    fn with_held_ack(&self, vote: Verified<Vote>) -> Verified<Vote> {
        let held = self.longest.get(&vote.common.epoch).map(|qc| qc.certified().ack(self.epoch().room()));
        let is_held = |ack: Ack| held.is_some_and(|held| held.length >= ack.length);
        if vote.ack.is_none_or(is_held) {
            return vote;
        }
        let key = self.vote_key.as_ref().filter(|key| key.public() == *vote.signer());
        let held = held.filter(|held| held.length < vote.target.head.length());
        match key {
            Some(key) => Verified::sign(Vote { ack: held, ..*vote }, key),
            None => vote,
        }
    }
}

fn statement<S: Statement>(slot: Slot, bytes: &Bytes) -> Result<Verified<S>, RecoverError> {
    let wrong = |error| RecoverError::Statement { slot, error };
    let signed = Signed::<S>::decode(bytes).map_err(wrong)?;
    signed.verify().map_err(|error| wrong(error.into()))
}

const fn epoch_of(slot: &Slot) -> Option<u64> {
    match slot {
        Slot::Vote { epoch }
        | Slot::Seal { epoch }
        | Slot::Grant { epoch }
        | Slot::Qc { epoch }
        | Slot::Start { epoch } => Some(*epoch),
        Slot::Final | Slot::Evidence { .. } => None,
    }
}
