//! The vote key of a home: with it this node votes in the rooms whose validator it is.

use quorate_feed::sign::key_pair;
use quorate_types::{PublicKey, SecretKey};

use super::{Home, HomeError};
use crate::atomic::{self, SECRET_MODE};

/// Name of the file in the home.
const VOTE_KEY_FILE: &str = "vote_key";

/// Bytes of the seed.
const SEED_BYTES: usize = 32;

/// A vote key: it is never a feed's and never an identity's.
#[derive(Debug, Clone)]
pub struct StoredVoteKey {
    /// The key by which validators are known.
    pub key: PublicKey,
    /// What signs.
    pub secret: SecretKey,
}

impl Home {
    /// Reads the vote key; `None` when there is none.
    ///
    /// # Errors
    ///
    /// [`HomeError::IdentityDamaged`] when the file holds no seed, and what the system answers.
    pub fn vote_key(&self) -> Result<Option<StoredVoteKey>, HomeError> {
        let path = self.root.join(VOTE_KEY_FILE);
        let bytes = atomic::read(&path, 2 * SEED_BYTES).map_err(HomeError::io("read", &path))?;
        let Some(bytes) = bytes else { return Ok(None) };
        let seed = <[u8; SEED_BYTES]>::try_from(bytes.as_slice())
            .map_err(|_| HomeError::IdentityDamaged { path: path.clone(), found: bytes.len() })?;
        atomic::make_secret(&path).map_err(HomeError::io("restrict", &path))?;
        let (key, secret) = key_pair(&seed);
        Ok(Some(StoredVoteKey { key, secret }))
    }

    /// Returns the vote key, made of a seed of 32 random bytes when there is none.
    ///
    /// # Errors
    ///
    /// As [`vote_key`](Self::vote_key).
    pub fn make_vote_key(&self, seed: &[u8; SEED_BYTES]) -> Result<StoredVoteKey, HomeError> {
        if let Some(key) = self.vote_key()? {
            return Ok(key);
        }
        let path = self.root.join(VOTE_KEY_FILE);
        match atomic::create(&path, seed, SECRET_MODE) {
            // Another process was faster.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            made => made.map_err(HomeError::io("make", &path))?,
        }
        let missing = || HomeError::IdentityDamaged { path: path.clone(), found: 0 };
        self.vote_key()?.ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_home_has_one_vote_key_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::open(directory.path()).unwrap();
        assert!(home.vote_key().unwrap().is_none());
        let made = home.make_vote_key(&[1; 32]).unwrap();
        assert_eq!(home.make_vote_key(&[2; 32]).unwrap().key, made.key);
        assert_eq!(home.vote_key().unwrap().unwrap().secret.expose(), made.secret.expose());
        let file = directory.path().join(VOTE_KEY_FILE);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&file, [7; 5]).unwrap();
        assert!(matches!(home.vote_key(), Err(HomeError::IdentityDamaged { found: 5, .. })));
    }
}
