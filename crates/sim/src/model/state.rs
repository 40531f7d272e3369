//! A state of the model, and what anyone can put together from what was signed in it.

use super::log::{Log, higher};
use super::settings::Settings;

/// What a validator says in one epoch: its newest vote, the lengths at which it voted, and how far it acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ballot {
    /// The longest history voted for; genesis when there is no vote.
    pub log: Log,
    /// Bit L: a vote for the feed's length L.
    pub lengths: u8,
    /// The feed's length up to which a certificate was acknowledged.
    pub ack: u8,
}

impl Ballot {
    /// Before the first vote of an epoch.
    pub const NONE: Self = Self { log: Log::GENESIS, lengths: 0, ack: 0 };

    /// Tells whether it holds a vote for exactly this history.
    fn voted(&self, log: Log, length: u8) -> bool {
        self.lengths >> length & 1 == 1 && log.is_prefix_of(self.log)
    }

    /// Tells whether it acknowledges a certificate for this history or a longer one.
    fn acknowledged(&self, log: Log, length: u8) -> bool {
        self.ack >= length && log.is_prefix_of(self.log)
    }
}

/// An honest validator.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Validator {
    /// Whether it votes before the change of validators, and after it.
    pub member: [bool; 2],
    /// The least that it can hold: the highest certificate that an acknowledgement, a seal or the entry into an epoch
    /// has shown. What it holds beyond that is chosen when it is used, which is no less than what learning early allows.
    pub held: Log,
    /// What it goes by.
    pub ballot: Ballot,
    /// The other of what is on its disk and what it has sent, while they differ.
    pub behind: Ballot,
    /// What it has sent and a crash made it forget.
    pub forgotten: Option<Ballot>,
    /// Its seal of this epoch: the set for which it is (after the change or before it), and the highest certificate.
    pub seal: Option<(bool, Log)>,
}

/// What is left of the epochs before: enough for everything that can still happen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Past {
    /// The longest history that is final.
    pub last_final: Log,
    /// Bit E: something became final in epoch E.
    pub final_epochs: u8,
    /// Every certificate that can be shown.
    pub certificates: Vec<Log>,
    /// Every base of a handover certificate into this epoch.
    pub bases: Vec<Log>,
}

/// A state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// The epoch in which things happen.
    pub epoch: u8,
    /// Crashes that can still happen.
    pub crashes: u8,
    /// The epochs before.
    pub past: Past,
    /// The honest validators, in an order that does not tell them apart.
    pub validators: Vec<Validator>,
}

impl State {
    /// Nothing was signed.
    pub fn new(settings: &Settings) -> Self {
        let validator = |member| Validator {
            member,
            held: Log::GENESIS,
            ballot: Ballot::NONE,
            behind: Ballot::NONE,
            forgotten: None,
            seal: None,
        };
        Self {
            epoch: 0,
            crashes: settings.crashes,
            past: Past {
                last_final: Log::GENESIS,
                final_epochs: 0,
                certificates: Vec::new(),
                bases: vec![Log::GENESIS],
            },
            validators: settings.members().into_iter().map(validator).collect(),
        }
    }

    /// Returns the histories of this epoch that some honest validator voted for, with their prefixes.
    fn candidates(&self) -> Vec<Log> {
        let mut found = Vec::new();
        for log in self.validators.iter().flat_map(Validator::ballots).map(|ballot| ballot.log) {
            let base = log.before(self.epoch).len();
            found.extend((base + 1..=log.len()).map(|blocks| log.prefix(blocks)));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Returns the certificates of this epoch that can be put together, when the Byzantine validators sign them all.
    pub fn certificates(&self, settings: &Settings) -> Vec<Log> {
        self.agreed(settings, Ballot::voted)
    }

    /// Returns the Finals of this epoch that can be put together.
    pub fn finals(&self, settings: &Settings) -> Vec<Log> {
        if settings.one_phase {
            self.certificates(settings)
        } else {
            self.agreed(settings, Ballot::acknowledged)
        }
    }

    /// Returns what a quorum of the validators that are in force there says.
    fn agreed(&self, settings: &Settings, says: fn(&Ballot, Log, u8) -> bool) -> Vec<Log> {
        let mut found = self.candidates();
        found.retain(|log| {
            let (length, is_changed) = (log.length_in(self.epoch), log.before(self.epoch).is_changed());
            let speaks = |validator: &&Validator| {
                validator.votes(is_changed)
                    && validator.sent(settings).any(|ballot| says(ballot, *log, length))
            };
            self.validators.iter().filter(speaks).count() >= settings.honest_quorum(is_changed)
        });
        found
    }

    /// Returns every certificate that can be shown, of this epoch and those before.
    pub fn all_certificates(&self, settings: &Settings) -> Vec<Log> {
        let mut all = self.certificates(settings);
        all.extend(&self.past.certificates);
        all.sort_unstable();
        all
    }

    /// Returns every base of a handover certificate out of this epoch.
    ///
    /// It takes [`Settings::honest_quorum`] honest seals for one set of validators, each of which lifts the base to what
    /// it reports; a Byzantine seal may report any certificate that exists, or none. Those who come accept any base.
    pub fn handover_bases(&self, settings: &Settings) -> Vec<Log> {
        let certificates = self.all_certificates(settings);
        let mut bases = Vec::new();
        for is_changed in [false, true] {
            let seals = self.validators.iter().filter(|validator| validator.votes(is_changed));
            // A seal that reports no certificate of this epoch is signed for the other set as well.
            let for_this_set = |(of, log): (bool, Log)| match of == is_changed {
                true => Some((of, log)),
                false if settings.seal_beside => Some((of, log.before(self.epoch))),
                false => Some((of, log)).filter(|(_, log)| log.rank().0 <= self.epoch),
            };
            let is_entered = self.past.bases.iter().any(|base| base.is_changed() == is_changed);
            let mut reports: Vec<_> = seals
                .filter_map(|validator| validator.seal.and_then(for_this_set).filter(|_| is_entered))
                .collect();
            reports.sort_unstable_by_key(|(_, log)| log.rank());
            let Some((_, least)) = reports.get(settings.honest_quorum(is_changed) - 1) else { continue };
            let all = certificates.iter().copied().chain([Log::GENESIS]);
            bases.extend(all.filter(|base| base.rank() >= least.rank()));
        }
        bases.sort_unstable();
        bases.dedup();
        bases
    }

    /// Returns the state at the beginning of the next epoch, or none without a handover certificate.
    ///
    /// What cannot make a difference any more is dropped: who enters holds the base of its handover certificate at
    /// least, lower certificates are never reported again, and in an epoch that is not sealed nothing is reported.
    pub fn next_epoch(&self, settings: &Settings) -> Option<Self> {
        let bases = self.handover_bases(settings);
        let least = bases.iter().copied().min_by_key(|base| base.rank())?;
        let epoch = self.epoch + 1;
        let reports = settings.seals(epoch);
        let finals = self.finals(settings);
        let mut certificates = self.all_certificates(settings);
        certificates.retain(|log| reports && log.rank() >= least.rank());
        let validators = self.validators.iter().map(|validator| Validator {
            member: validator.member,
            held: match reports {
                true => higher(validator.held, least),
                false => Log::GENESIS,
            },
            ballot: Ballot::NONE,
            behind: Ballot::NONE,
            forgotten: None,
            seal: None,
        });
        let mut next = Self {
            epoch,
            crashes: self.crashes,
            past: Past {
                last_final: finals
                    .iter()
                    .copied()
                    .chain([self.past.last_final])
                    .max_by_key(|log| log.len())?,
                final_epochs: self.past.final_epochs | u8::from(!finals.is_empty()) << self.epoch,
                certificates,
                bases,
            },
            validators: validators.collect(),
        };
        next.forget_names();
        next.forget_order();
        Some(next)
    }

    /// Renames contents so that a block without a sibling is content 0.
    fn forget_names(&mut self) {
        for place in 0..self.logs().map(|log| log.len()).max().unwrap_or(0) {
            let mut alone: Vec<_> = self
                .logs()
                .filter(|log| log.len() > place)
                .map(|log| log.prefix(place + 1))
                .filter(|block| block.blocks().last().is_some_and(|(_, content)| content == 1))
                .filter(|block| !self.logs().any(|log| block.sibling().is_prefix_of(*log)))
                .collect();
            alone.dedup();
            for log in self.logs_mut() {
                if alone.iter().any(|block| block.is_prefix_of(*log)) {
                    *log = log.with_sibling_at(place);
                }
            }
        }
        self.past.certificates.sort_unstable();
        self.past.bases.sort_unstable();
    }

    fn logs(&self) -> impl Iterator<Item = &Log> {
        let held = self.validators.iter().map(|validator| &validator.held);
        [&self.past.last_final].into_iter().chain(&self.past.certificates).chain(&self.past.bases).chain(held)
    }

    fn logs_mut(&mut self) -> impl Iterator<Item = &mut Log> {
        let held = self.validators.iter_mut().map(|validator| &mut validator.held);
        let past = &mut self.past;
        [&mut past.last_final].into_iter().chain(&mut past.certificates).chain(&mut past.bases).chain(held)
    }

    /// Puts the validators into one order: states that differ only in who is who are one state.
    pub fn forget_order(&mut self) {
        self.validators.sort_unstable();
    }

    /// Returns the number of epochs in which something became final.
    pub fn epochs_with_final(&self, settings: &Settings) -> usize {
        self.past.final_epochs.count_ones() as usize + usize::from(!self.finals(settings).is_empty())
    }
}

impl Validator {
    /// Tells whether it votes before the change of validators, or after it.
    pub fn votes(&self, is_changed: bool) -> bool {
        self.member[usize::from(is_changed)]
    }

    /// Returns what others may have of it.
    fn sent(&self, settings: &Settings) -> impl Iterator<Item = &Ballot> {
        let newest = if settings.send_first { &self.ballot } else { &self.behind };
        [newest].into_iter().chain(&self.forgotten)
    }

    /// Returns everything it has decided in this epoch, sent or not.
    pub fn ballots(&self) -> impl Iterator<Item = &Ballot> {
        [&self.ballot].into_iter().chain(&self.forgotten)
    }
}
