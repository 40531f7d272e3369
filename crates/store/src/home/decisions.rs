//! What the user of a home has decided about keys that signed contradictions.

use std::io;

use quorate_types::{Hash, PublicKey};
use serde::{Deserialize, Serialize};

use super::{Home, HomeError};
use crate::atomic::{self, PUBLIC_MODE};

/// Name of the file in the home.
const FILE_NAME: &str = "decisions.json";

/// What the object says it is.
const SCHEMA: &str = "quorate.decisions/1";

/// Keys that can be decided about.
pub const MAX_DECISIONS: usize = 1024;

/// Longest file that is read, bytes: about 512 a decision.
const MAX_FILE_BYTES: usize = MAX_DECISIONS * 512;

/// What is done about a key that signed a contradiction. It binds the user of this home and nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Nothing is said about it.
    Ignore,
    /// It is told wherever the key comes up.
    #[default]
    Warn,
    /// What the key wrote is not shown.
    Mute,
    /// The feed of the key is neither fetched nor served.
    StopReplicating,
}

/// The branch of a fork that a user goes on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptBranch {
    /// Length that was signed.
    pub length: u64,
    /// Tree hash at that length.
    pub tree_hash: Hash,
}

/// What was decided about a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The key that signed a contradiction.
    pub key: PublicKey,
    /// What is done about it.
    pub policy: Policy,
    /// Id of the evidence that was looked at.
    pub evidence: Hash,
    /// When: seconds since 1970.
    pub decided_unix_s: u64,
    /// The user's own backup was put back, and this branch is the one that stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_backup: Option<KeptBranch>,
}

#[derive(Serialize, Deserialize)]
struct Decisions {
    schema: String,
    decisions: Vec<Decision>,
}

impl Home {
    /// Reads what was decided, by key.
    ///
    /// # Errors
    ///
    /// [`HomeError::Decisions`] when the file is no list of decisions: one that stops a replication is not forgotten.
    pub fn decisions(&self) -> Result<Vec<Decision>, HomeError> {
        let path = self.root.join(FILE_NAME);
        let damaged =
            |source: io::Error| HomeError::Decisions { path: path.clone(), found: source.to_string() };
        let bytes = match atomic::read(&path, MAX_FILE_BYTES) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(Vec::new()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(damaged(error)),
            Err(error) => return Err(HomeError::io("read", &path)(error)),
        };
        let stored: Decisions = serde_json::from_slice(&bytes).map_err(|error| damaged(error.into()))?;
        if stored.schema != SCHEMA {
            let found = format!("the schema {:?}", stored.schema);
            return Err(HomeError::Decisions { path, found });
        }
        Ok(stored.decisions)
    }

    /// Keeps a decision in place of the one about the same key; it is durable when this returns.
    ///
    /// # Errors
    ///
    /// [`HomeError::Decisions`] beyond [`MAX_DECISIONS`] keys; nothing is changed then.
    pub fn decide(&self, decision: &Decision) -> Result<(), HomeError> {
        let path = self.root.join(FILE_NAME);
        let mut decisions = self.decisions()?;
        decisions.retain(|other| other.key != decision.key);
        if decisions.len() >= MAX_DECISIONS {
            let found = format!("decisions about {MAX_DECISIONS} keys, which is as many as there can be");
            return Err(HomeError::Decisions { path, found });
        }
        decisions.push(decision.clone());
        decisions.sort_by_key(|decision| decision.key);
        let stored = Decisions { schema: SCHEMA.to_owned(), decisions };
        let mut bytes = serde_json::to_vec_pretty(&stored)
            .map_err(|error| HomeError::io("write", &path)(error.into()))?;
        bytes.push(b'\n');
        atomic::replace(&path, &bytes, PUBLIC_MODE).map_err(HomeError::io("write", &path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(key: u8, policy: Policy) -> Decision {
        Decision {
            key: PublicKey::new([key; 32]),
            policy,
            evidence: Hash::new([9; 32]),
            decided_unix_s: 1_700_000_000,
            own_backup: (policy == Policy::Ignore)
                .then(|| KeptBranch { length: 3, tree_hash: Hash::new([1; 32]) }),
        }
    }

    #[test]
    fn the_last_decision_about_a_key_holds() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::open(directory.path()).unwrap();
        assert_eq!(home.decisions().unwrap(), []);
        home.decide(&decision(2, Policy::Mute)).unwrap();
        home.decide(&decision(1, Policy::Ignore)).unwrap();
        home.decide(&decision(2, Policy::StopReplicating)).unwrap();
        let again = Home::open(directory.path()).unwrap();
        let expected = [decision(1, Policy::Ignore), decision(2, Policy::StopReplicating)];
        assert_eq!(again.decisions().unwrap(), expected);
    }

    #[test]
    fn damage_is_told_and_nothing_is_written_over_it() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::open(directory.path()).unwrap();
        for text in ["", "{", r#"{"schema":"other/1","decisions":[]}"#] {
            std::fs::write(directory.path().join(FILE_NAME), text).unwrap();
            assert!(matches!(home.decisions(), Err(HomeError::Decisions { .. })), "{text}");
            assert!(home.decide(&decision(1, Policy::Warn)).is_err());
            assert_eq!(std::fs::read_to_string(directory.path().join(FILE_NAME)).unwrap(), text);
        }
    }

    #[test]
    fn there_are_no_more_decisions_than_can_be_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::open(directory.path()).unwrap();
        let key = |number: usize| {
            let mut bytes = [0xff; 32];
            bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
            PublicKey::new(bytes)
        };
        let full: Vec<Decision> = (0..MAX_DECISIONS)
            .map(|number| Decision {
                key: key(number),
                decided_unix_s: u64::MAX,
                own_backup: Some(KeptBranch { length: u64::MAX, tree_hash: Hash::new([0xff; 32]) }),
                ..decision(1, Policy::StopReplicating)
            })
            .collect();
        let stored = Decisions { schema: SCHEMA.to_owned(), decisions: full };
        std::fs::write(directory.path().join(FILE_NAME), serde_json::to_vec_pretty(&stored).unwrap())
            .unwrap();
        assert_eq!(home.decisions().unwrap().len(), MAX_DECISIONS);
        let other = Decision { key: key(0), ..decision(1, Policy::Mute) };
        home.decide(&other).unwrap();
        assert!(home.decide(&Decision { key: key(MAX_DECISIONS), ..other }).is_err());
    }
}
