//! What a search has met: no violation among states that never commit is no result.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::log::{Log, MAX_EPOCHS};
use super::settings::Settings;
use super::state::State;

/// Numbers of states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// All of them, by the number of epochs in which something is final.
    pub finality: Vec<u64>,
    /// In which an honest validator builds, in a later epoch, on a certified base.
    pub handover_with_certificate: u64,
    /// In which it builds, in a later epoch, on genesis.
    pub handover_without_certificate: u64,
    /// With handover certificates that differ in their base.
    pub several_bases: u64,
    /// In which honest validators have voted for histories that disagree.
    pub split_votes: u64,
}

/// The same while the checker's threads count.
#[derive(Debug, Default)]
pub(super) struct Counters {
    finality: [AtomicU64; MAX_EPOCHS as usize + 1],
    handover_with_certificate: AtomicU64,
    handover_without_certificate: AtomicU64,
    several_bases: AtomicU64,
    split_votes: AtomicU64,
}

impl Counters {
    /// Counts a state.
    pub(super) fn count(&self, state: &State, settings: &Settings) {
        if let Some(counter) = self.finality.get(state.epochs_with_final(settings)) {
            add(counter, true);
        }
        let mut voted =
            state.validators.iter().map(|validator| validator.ballot.log).filter(|log| !log.is_empty());
        let on_genesis = |log: Log| log.before(state.epoch).is_empty();
        add(&self.handover_with_certificate, state.epoch > 0 && voted.clone().any(|log| !on_genesis(log)));
        add(&self.handover_without_certificate, state.epoch > 0 && voted.clone().any(on_genesis));
        add(&self.several_bases, state.past.bases.len() > 1);
        let first = voted.next();
        add(&self.split_votes, first.is_some_and(|first| voted.any(|log| !log.agrees_with(first))));
    }

    /// Returns the counts.
    pub(super) fn total(&self, settings: &Settings) -> Coverage {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Coverage {
            finality: self.finality.iter().map(load).take(usize::from(settings.epochs) + 1).collect(),
            handover_with_certificate: load(&self.handover_with_certificate),
            handover_without_certificate: load(&self.handover_without_certificate),
            several_bases: load(&self.several_bases),
            split_votes: load(&self.split_votes),
        }
    }
}

fn add(counter: &AtomicU64, condition: bool) {
    if condition {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "states with finality in")?;
        for (epochs, states) in self.finality.iter().enumerate() {
            write!(f, "{} {epochs} epochs: {states}", if epochs == 0 { "" } else { "," })?;
        }
        write!(
            f,
            "; handover with a certificate: {}, without: {}; several bases: {}; split votes: {}",
            self.handover_with_certificate,
            self.handover_without_certificate,
            self.several_bases,
            self.split_votes,
        )
    }
}
