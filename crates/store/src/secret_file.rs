//! Secret keys in files of their own, as stock clients keep them: 64 bytes, for their owner alone.

use std::io;
use std::path::Path;

use quorate_feed::sign::{Signer, key_pair};
use quorate_types::{PublicKey, SecretKey};

use crate::atomic::{self, SECRET_MODE};

/// Why a file is not written or read.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// There is something already.
    #[error("expected no file, found one")]
    Exists,
    /// It holds no key pair.
    #[error("expected a secret key of {} bytes, found {found} that are none", SecretKey::LEN)]
    NoKey {
        /// Bytes that were read.
        found: usize,
    },
    /// What the system answers.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<SecretFileError> for io::Error {
    fn from(error: SecretFileError) -> Self {
        match error {
            SecretFileError::Io(error) => error,
            error => Self::other(error),
        }
    }
}

/// Writes a secret key into a new file.
///
/// # Errors
///
/// [`SecretFileError::Exists`]: nothing is ever overwritten.
pub fn write(path: &Path, secret: &SecretKey) -> Result<(), SecretFileError> {
    atomic::create(path, secret.expose(), SECRET_MODE).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => SecretFileError::Exists,
        _ => error.into(),
    })
}

/// Reads a secret key, and the public one that belongs to it.
///
/// # Errors
///
/// [`SecretFileError::NoKey`] for bytes that are no key pair.
pub fn read(path: &Path) -> Result<(PublicKey, SecretKey), SecretFileError> {
    let bytes = atomic::read(path, 2 * SecretKey::LEN)?;
    let bytes = bytes.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    let none = || SecretFileError::NoKey { found: bytes.len() };
    let secret = <[u8; SecretKey::LEN]>::try_from(bytes.as_slice()).map_err(|_| none())?;
    let secret = SecretKey::new(secret);
    let (public, _) = key_pair(&secret.expose_seed());
    Signer::new(&public, &secret).map_err(|_| none())?;
    Ok((public, secret))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written_and_nothing_is_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let (public, secret) = key_pair(&[7; 32]);
        write(&path, &secret).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let found = read(&path).unwrap();
        assert_eq!((found.0, found.1.expose()), (public, secret.expose()));
        assert!(matches!(write(&path, &secret), Err(SecretFileError::Exists)));
    }

    #[test]
    fn what_is_no_key_pair_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        assert!(matches!(read(&path), Err(SecretFileError::Io(_))));
        let (_, secret) = key_pair(&[7; 32]);
        let mut other = secret.expose().to_vec();
        other[63] ^= 1;
        for bytes in [vec![], vec![1; 63], vec![1; 65], other] {
            std::fs::write(&path, &bytes).unwrap();
            assert!(matches!(read(&path), Err(SecretFileError::NoKey { .. })), "{bytes:?}");
        }
    }
}
