//! The model as the checker sees it: what can happen next, and what must hold.

use stateright::{Model, Property};

use super::coverage::{Counters, Coverage};
use super::log::{CHANGE, Log, higher};
use super::settings::{Change, Settings};
use super::state::{Ballot, State};

/// The invariant that everything is for: Finals are prefixes of one another.
pub(super) const AGREEMENT: &str = "agreement";

/// Voting and handover, ready to be searched.
#[derive(Debug)]
pub struct Voting {
    /// Its bounds and rules.
    pub settings: Settings,
    counters: Counters,
}

/// A step. Validators are named by their place in the state before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A validator votes for a history of this epoch, or repeats its vote with a higher acknowledgement.
    Say(usize, Ballot, Log),
    /// What was said reaches the disk, or leaves, whichever comes second.
    Settle(usize),
    /// A crash between the two.
    Crash(usize),
    /// A validator seals the epoch for the validators before the change or after it, reporting this certificate.
    Seal(usize, bool, Log),
    /// The next epoch begins.
    ///
    /// What happens in an epoch depends on earlier epochs only through certificates that exist, which are never fewer
    /// later, and no validator goes back. So every run can be put into the order of its epochs, ends in the same
    /// signatures, and breaks the same invariants.
    NextEpoch,
}

impl Model for Voting {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(&self.settings)]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        let settings = &self.settings;
        let certificates = state.certificates(settings);
        let last = state.epoch + 1 == settings.epochs;
        for (at, validator) in state.validators.iter().enumerate() {
            let twin = at.checked_sub(1).and_then(|before| state.validators.get(before));
            if validator.seal.is_some() || twin == Some(validator) {
                continue;
            }
            if validator.ballot != validator.behind {
                steps.push(Step::Settle(at));
                if state.crashes > 0 {
                    steps.push(Step::Crash(at));
                }
                continue;
            }
            self.votes(state, at, steps);
            self.acknowledgements(state, at, &certificates, steps);
            if settings.seals(state.epoch) {
                self.seals(state, at, steps);
            }
        }
        if !last && !state.handover_bases(settings).is_empty() {
            steps.push(Step::NextEpoch);
        }
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = state.clone();
        match step {
            Step::Say(at, ballot, shown) => {
                let validator = next.validators.get_mut(at)?;
                validator.ballot = ballot;
                validator.held = higher(validator.held, shown);
                if self.settings.crashes == 0 {
                    validator.behind = ballot;
                }
            }
            Step::Settle(at) => {
                let validator = next.validators.get_mut(at)?;
                validator.behind = validator.ballot;
            }
            Step::Crash(at) => {
                let validator = next.validators.get_mut(at)?;
                // Written before it is sent: nothing that was sent is lost, and it is sent after the restart.
                if self.settings.send_first {
                    validator.forgotten = Some(validator.ballot);
                    validator.ballot = validator.behind;
                }
                next.crashes -= 1;
            }
            Step::Seal(at, is_changed, report) => {
                let validator = next.validators.get_mut(at)?;
                validator.seal = Some((is_changed, report));
                validator.held = report;
            }
            Step::NextEpoch => return state.next_epoch(&self.settings),
        }
        next.forget_order();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(AGREEMENT, |model: &Self, state: &State| {
                model.counters.count(state, &model.settings);
                agreement(state, &model.settings)
            }),
            Property::always("a Final survives handover", |model: &Self, state: &State| {
                survival(state, &model.settings)
            }),
            Property::always("certificates of an epoch agree", |model: &Self, state: &State| {
                pairwise(&state.certificates(&model.settings))
            }),
        ]
    }
}

impl Voting {
    /// Makes the model.
    pub fn new(settings: Settings) -> Self {
        Self { settings, counters: Counters::default() }
    }

    /// Returns what a search has met so far.
    pub fn coverage(&self) -> Coverage {
        self.counters.total(&self.settings)
    }

    /// The host may present any history that stands on the base of some handover certificate; a validator votes for
    /// what contains its last vote.
    fn votes(&self, state: &State, at: usize, steps: &mut Vec<Step>) {
        let Some(validator) = state.validators.get(at) else { return };
        let starts = match validator.ballot {
            Ballot::NONE => state.past.bases.clone(),
            ballot => vec![ballot.log],
        };
        for start in starts {
            if !validator.votes(start.before(state.epoch).is_changed()) {
                continue;
            }
            let mut ends = Vec::new();
            self.extensions(state, start, &mut ends);
            for log in ends {
                let lengths = validator.ballot.lengths | 1 << log.length_in(state.epoch);
                let ballot = Ballot { log, lengths, ack: validator.ballot.ack };
                steps.push(Step::Say(at, ballot, log.before(state.epoch)));
            }
        }
    }

    /// Lists the histories of this epoch that continue one. Of two blocks at one place, the first that is voted for is
    /// content 0: names mean nothing.
    fn extensions(&self, state: &State, from: Log, ends: &mut Vec<Log>) {
        let length = from.length_in(state.epoch);
        if length == self.settings.length || length > 0 && from.is_closed() {
            return;
        }
        let known = |log: Log| {
            let mut ballots = state.validators.iter().flat_map(|validator| validator.ballots());
            ballots.any(|ballot| log.is_prefix_of(ballot.log))
        };
        let first = from.push(state.epoch, 0);
        ends.push(first);
        self.extensions(state, first, ends);
        let second = from.push(state.epoch, 1);
        if known(first) && (known(second) || forks(state) < self.settings.forks) {
            ends.push(second);
            self.extensions(state, second, ends);
        }
        if self.settings.change != Change::No && !from.is_changed() {
            ends.push(from.push(state.epoch, CHANGE));
        }
    }

    /// A certificate for a prefix of the validator's own vote, in this epoch.
    fn acknowledgements(&self, state: &State, at: usize, certificates: &[Log], steps: &mut Vec<Step>) {
        let Some(validator) = state.validators.get(at) else { return };
        for certificate in certificates.iter().filter(|log| log.is_prefix_of(validator.ballot.log)) {
            let ack = certificate.length_in(state.epoch);
            if ack > validator.ballot.ack {
                steps.push(Step::Say(at, Ballot { ack, ..validator.ballot }, *certificate));
            }
        }
    }

    /// A seal reports the highest certificate held: any that exists, from the least that the validator must hold. One
    /// that has not voted may have entered the epoch by any handover certificate.
    fn seals(&self, state: &State, at: usize, steps: &mut Vec<Step>) {
        let Some(validator) = state.validators.get(at) else { return };
        let certificates = state.all_certificates(&self.settings);
        for is_changed in [false, true] {
            if !validator.votes(is_changed) {
                continue;
            }
            let entry = match validator.ballot {
                Ballot::NONE => {
                    let bases = state.past.bases.iter().filter(|base| base.is_changed() == is_changed);
                    bases.copied().min_by_key(|base| base.rank())
                }
                ballot => {
                    let base = ballot.log.before(state.epoch);
                    (base.is_changed() == is_changed).then_some(base)
                }
            };
            let Some(entry) = entry else { continue };
            let least = higher(validator.held, entry);
            steps.push(Step::Seal(at, is_changed, least));
            for certificate in &certificates {
                if certificate.rank() >= least.rank() && *certificate != least {
                    steps.push(Step::Seal(at, is_changed, *certificate));
                }
            }
        }
    }
}

/// Finals are prefixes of one another, those of earlier epochs among them.
fn agreement(state: &State, settings: &Settings) -> bool {
    let mut finals = state.finals(settings);
    finals.push(state.past.last_final);
    pairwise(&finals)
}

/// The base of every handover certificate contains every Final.
fn survival(state: &State, settings: &Settings) -> bool {
    let mut finals = state.finals(settings);
    finals.push(state.past.last_final);
    let bases = state.handover_bases(settings);
    bases.iter().all(|base| finals.iter().all(|log| log.is_prefix_of(*base)))
}

fn pairwise(logs: &[Log]) -> bool {
    logs.iter().enumerate().all(|(at, log)| logs.iter().skip(at + 1).all(|other| log.agrees_with(*other)))
}

/// Counts the places of this epoch at which two blocks were voted for.
fn forks(state: &State) -> u8 {
    let ballots = state.validators.iter().flat_map(|validator| validator.ballots());
    let mut seconds: Vec<_> = ballots
        .flat_map(|ballot| {
            let blocks = ballot.log.blocks().enumerate();
            blocks
                .filter(|&(_, (epoch, content))| epoch == state.epoch && content == 1)
                .map(|(place, _)| ballot.log.prefix(place as u32 + 1))
        })
        .collect();
    seconds.sort_unstable();
    seconds.dedup();
    seconds.len() as u8
}
