//! Local identities: the keys with which actions in rooms are signed.

use std::{fs, io};

use quorate_feed::sign::key_pair;
use quorate_types::{PublicKey, SecretKey};

use super::{DIRECTORY_MODE, Home, HomeError, StreamName};
use crate::atomic;
use crate::secret_file::{self, SecretFileError};

/// Name of the identity that signs where none is named.
pub const DEFAULT_IDENTITY: &str = "default";

/// A local identity.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its local name; nobody else sees it.
    pub name: StreamName,
    /// The key by which others know it.
    pub key: PublicKey,
    /// What signs.
    pub secret: SecretKey,
}

impl Home {
    /// Makes an identity of a seed of 32 random bytes, and returns it.
    ///
    /// # Errors
    ///
    /// [`HomeError::IdentityTaken`]; the identity of that name is as it was.
    pub fn create_identity(&self, name: &StreamName, seed: &[u8; 32]) -> Result<Identity, HomeError> {
        self.keep_identity(name, key_pair(seed).1)
    }

    /// Makes an identity of a key pair that comes from elsewhere, and returns it.
    ///
    /// # Errors
    ///
    /// [`HomeError::IdentityTaken`]; the identity of that name is as it was.
    pub fn keep_identity(&self, name: &StreamName, secret: SecretKey) -> Result<Identity, HomeError> {
        let directory = self.root.join("identities");
        atomic::make_directory(&directory, DIRECTORY_MODE).map_err(HomeError::io("make", &directory))?;
        let (key, _) = key_pair(&secret.expose_seed());
        let path = directory.join(name.as_str());
        match secret_file::write(&path, &secret) {
            Err(SecretFileError::Exists) => Err(HomeError::IdentityTaken { name: name.clone() }),
            Err(error) => Err(HomeError::io("make", &path)(error.into())),
            Ok(()) => Ok(Identity { name: name.clone(), key, secret }),
        }
    }

    /// Reads an identity.
    ///
    /// # Errors
    ///
    /// [`HomeError::NoIdentity`], or [`HomeError::IdentityDamaged`] when the file holds no key pair.
    pub fn identity(&self, name: &StreamName) -> Result<Identity, HomeError> {
        let path = self.root.join("identities").join(name.as_str());
        let (key, secret) = secret_file::read(&path).map_err(|error| match error {
            SecretFileError::NoKey { found } => HomeError::IdentityDamaged { path: path.clone(), found },
            SecretFileError::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                HomeError::NoIdentity { name: name.clone() }
            }
            error => HomeError::io("read", &path)(error.into()),
        })?;
        atomic::make_secret(&path).map_err(HomeError::io("restrict", &path))?;
        Ok(Identity { name: name.clone(), key, secret })
    }

    /// Lists the identities, by name.
    ///
    /// # Errors
    ///
    /// Fails when the directory cannot be read, or at the first identity that is damaged.
    pub fn identities(&self) -> Result<Vec<Identity>, HomeError> {
        let directory = self.root.join("identities");
        if !directory.exists() {
            return Ok(Vec::new());
        }
        let mut names: Vec<StreamName> = Vec::new();
        for entry in fs::read_dir(&directory).map_err(HomeError::io("read", &directory))? {
            let entry = entry.map_err(HomeError::io("read", &directory))?;
            names.extend(entry.file_name().to_str().and_then(|name| name.parse::<StreamName>().ok()));
        }
        names.sort();
        names.iter().map(|name| self.identity(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn name(text: &str) -> StreamName {
        text.parse().unwrap()
    }

    #[test]
    fn an_identity_is_kept_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::open(directory.path()).unwrap();
        assert!(home.identities().unwrap().is_empty());
        let alice = home.create_identity(&name("alice"), &[1; 32]).unwrap();
        home.create_identity(&name("bob"), &[2; 32]).unwrap();
        let file = directory.path().join("identities/alice");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let found = home.identity(&name("alice")).unwrap();
        assert_eq!((found.key, found.secret.expose()), (alice.key, alice.secret.expose()));
        let names: Vec<_> = home.identities().unwrap().into_iter().map(|one| one.name.to_string()).collect();
        assert_eq!(names, ["alice", "bob"]);
    }

    #[test]
    fn a_name_is_given_once_and_a_damaged_key_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::open(directory.path()).unwrap();
        let alice = home.create_identity(&name("alice"), &[1; 32]).unwrap();
        let taken = home.create_identity(&name("alice"), &[2; 32]);
        assert!(matches!(taken, Err(HomeError::IdentityTaken { .. })), "{taken:?}");
        assert_eq!(home.identity(&name("alice")).unwrap().key, alice.key);
        assert!(matches!(home.identity(&name("eve")), Err(HomeError::NoIdentity { .. })));
        let file = directory.path().join("identities/alice");
        fs::write(&file, [7; 64]).unwrap();
        assert!(matches!(home.identity(&name("alice")), Err(HomeError::IdentityDamaged { found: 64, .. })));
        fs::write(&file, [7; 10]).unwrap();
        assert!(matches!(home.identity(&name("alice")), Err(HomeError::IdentityDamaged { found: 10, .. })));
    }
}
