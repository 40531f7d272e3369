//! Errors of directories, homes and locks, as failures that users see.

use quorate_store::{DirectoryError, HomeError, LockError};

use crate::{Code, Failure};

pub(crate) fn home_failure(error: &HomeError) -> Failure {
    match error {
        HomeError::Directory(error) => directory_failure(error),
        HomeError::NotFound { .. } => {
            Failure::new(Code::StreamNotFound, error.to_string()).next("quorate ls")
        }
        HomeError::Ambiguous { .. } => {
            Failure::new(Code::Ambiguous, error.to_string()).next("give more digits, or the name")
        }
        HomeError::Link(_) => Failure::new(Code::BadLink, error.to_string()),
        HomeError::NameTaken { name } => Failure::new(Code::NameTaken, error.to_string())
            .next(format!("choose another name, or see what is there: quorate info {name}")),
        HomeError::KeyTaken { name, .. } => {
            Failure::new(Code::NameTaken, error.to_string()).next(format!("quorate info {name}"))
        }
        HomeError::NoiseKey { path, .. } => Failure::new(Code::Damaged, error.to_string()).next(format!(
            "move {} away: a new key is made, and peers will not know this node",
            path.display()
        )),
        HomeError::IdentityTaken { .. } => {
            Failure::new(Code::IdentityTaken, error.to_string()).next("choose another name: quorate key ls")
        }
        HomeError::NoIdentity { name } => Failure::new(Code::NoIdentity, error.to_string())
            .next(format!("make it: quorate key new {name}, or see what is there: quorate key ls")),
        HomeError::IdentityDamaged { .. } => {
            Failure::new(Code::Damaged, error.to_string()).next("restore the file from where it came")
        }
        HomeError::Decisions { path, .. } => Failure::new(Code::Damaged, error.to_string()).next(format!(
            "move {} away: what was decided about keys is forgotten then, and replication that was stopped goes on",
            path.display()
        )),
        HomeError::StreamInfo { path, .. } => Failure::new(Code::Damaged, error.to_string()).next(format!(
            "correct the line, or move {} away: no block is lost, but the encoding, the peers and the gate of the stream \
             are forgotten then, and whether it is sparse or not checked",
            path.display()
        )),
        HomeError::Io { .. } => Failure::new(Code::Io, error.to_string())
            .next("check permissions and space, or use another --home"),
    }
}

pub(crate) fn directory_failure(error: &DirectoryError) -> Failure {
    match error {
        DirectoryError::Locked(error) => lock_failure(error),
        DirectoryError::NotFound { .. } | DirectoryError::OtherFormat { .. } => {
            Failure::new(Code::NotAFeed, error.to_string())
        }
        DirectoryError::AlreadyExists { .. } | DirectoryError::NotEmpty { .. } => {
            Failure::new(Code::DestinationExists, error.to_string()).next("name an empty or new directory")
        }
        DirectoryError::KeyLength { .. } | DirectoryError::OtherSecretKey { .. } => {
            Failure::new(Code::Damaged, error.to_string()).next("restore the key file from where it came")
        }
        DirectoryError::Io { .. } | DirectoryError::Open { .. } => {
            Failure::new(Code::Io, error.to_string()).next("check permissions and space")
        }
    }
}

pub(crate) fn lock_failure(error: &LockError) -> Failure {
    match error {
        LockError::Held { .. } => Failure::new(Code::Locked, error.to_string())
            .next("stop that process, or use the stream through it: quorate share keeps a local API"),
        LockError::HeldByOther { .. } => {
            Failure::new(Code::Locked, error.to_string()).next("close the other program first")
        }
        LockError::Io { .. } => Failure::new(Code::Io, error.to_string()),
    }
}
