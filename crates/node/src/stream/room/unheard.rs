//! How entries of this node ended without a block while nobody waited to hear of it.

use std::collections::VecDeque;

use quorate_store::outbox::MAX_OUTCOMES;
use quorate_types::{Hash, PublicKey};

use crate::model::{Ended, Said, SaidState};
use crate::open::now_unix_s;

/// Time for which they are told.
const TOLD_S: u64 = 7 * 24 * 60 * 60;

/// The newest of them, the oldest first.
#[derive(Default)]
pub(super) struct Unheard {
    newest: VecDeque<Ended>,
    /// How many of the last are not on the disk.
    unsaved: usize,
}

impl Unheard {
    /// Takes up what was kept; what cannot be read is left out.
    pub(super) fn of(records: &[Vec<u8>]) -> Self {
        let newest = records.iter().filter_map(|record| serde_json::from_slice(record).ok()).collect();
        Self { newest, unsaved: 0 }
    }

    /// Notes how an entry ended, which has an author and a number.
    pub(super) fn note(&mut self, digest: Hash, (author, sequence): (PublicKey, u64), state: SaidState) {
        let said = Said { schema: Said::SCHEMA.into(), state, digest, author, sequence };
        self.newest.push_back(Ended { said, ended_unix_s: now_unix_s() });
        if self.newest.len() > MAX_OUTCOMES {
            self.newest.pop_front();
        }
        self.unsaved = self.newest.len().min(self.unsaved + 1);
    }

    /// Returns the records that are to be written.
    pub(super) fn take_unsaved(&mut self) -> Vec<Vec<u8>> {
        let saved = self.newest.len().saturating_sub(std::mem::take(&mut self.unsaved));
        self.newest.range(saved..).filter_map(|ended| serde_json::to_vec(ended).ok()).collect()
    }

    /// Returns those of the last days, the oldest first.
    pub(super) fn told(&self) -> Vec<Ended> {
        let since = now_unix_s().saturating_sub(TOLD_S);
        self.newest.iter().filter(|ended| ended.ended_unix_s >= since).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(number: u64) -> (Hash, (PublicKey, u64), SaidState) {
        let state = SaidState::Refused {
            code: "E3101".into(),
            reason: "rule chess: no".into(),
            place: "at the host".into(),
            rule_code: Some(7),
        };
        (Hash::new([1; 32]), (PublicKey::new([2; 32]), number), state)
    }

    fn numbers(unheard: &Unheard) -> Vec<u64> {
        unheard.told().iter().map(|ended| ended.said.sequence).collect()
    }

    #[test]
    fn what_is_written_is_taken_up_again() {
        let mut unheard = Unheard::default();
        for number in 0..2 {
            let (digest, number, state) = refused(number);
            unheard.note(digest, number, state);
        }
        let mut records = unheard.take_unsaved();
        assert_eq!((records.len(), unheard.take_unsaved().len()), (2, 0));
        records.push(b"{}".to_vec());
        assert_eq!(Unheard::of(&records).told(), unheard.told());
        assert_eq!(numbers(&unheard), [0, 1]);
    }

    #[test]
    fn the_newest_of_the_last_days_are_told() {
        let mut unheard = Unheard::default();
        for number in 0..=MAX_OUTCOMES as u64 {
            let (digest, number, state) = refused(number);
            unheard.note(digest, number, state);
        }
        assert_eq!(numbers(&unheard).first(), Some(&1));
        assert_eq!(numbers(&unheard).len(), MAX_OUTCOMES);
        for ended in unheard.newest.iter_mut().take(MAX_OUTCOMES - 1) {
            ended.ended_unix_s -= TOLD_S + 1;
        }
        assert_eq!(numbers(&unheard), [MAX_OUTCOMES as u64]);
    }
}
