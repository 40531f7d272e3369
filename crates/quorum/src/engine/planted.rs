//! Rules of the protocol that can be broken on purpose, to show that the tests notice.

use std::collections::BTreeSet;

use quorate_types::PublicKey;

use crate::validators::{ValidatorSet, ValidatorSetError};

#[cfg(not(debug_assertions))]
compile_error!("`planted-bugs` breaks agreement: it is for builds with debug assertions only");

/// A rule that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bug {
    /// A QC is taken for a Final.
    OnePhase,
    /// A vote is sent before its record is durable.
    VoteBeforeDurable,
}

impl ValidatorSet {
    /// Makes a set whose quorum is a simple majority, which does not bear one faulty validator of five.
    ///
    /// # Errors
    ///
    /// [`ValidatorSetError`] for keys that are no set.
    pub fn with_planted_majority(
        keys: impl IntoIterator<Item = PublicKey>,
    ) -> Result<Self, ValidatorSetError> {
        let keys: BTreeSet<PublicKey> = keys.into_iter().collect();
        let mut set = Self::new(keys, 0)?;
        let majority = set.n() / 2 + 1;
        set.plant_quorum(majority);
        Ok(set)
    }
}
