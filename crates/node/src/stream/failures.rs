//! Errors of the feed, as failures that users see and as refusals that the replicator acts on.

use quorate_feed::proof::ProofError;
use quorate_feed::{AppendError, ClearError, OpenError, PutError, ReadError, StorageError, VerifyError};
use quorate_replicate::Refusal;

use super::handle::StreamIdentity;
use crate::{Code, Failure};

const AUDIT: &str = "quorate audit";

pub(crate) fn storage_failure(identity: &StreamIdentity, error: &StorageError) -> Failure {
    let code = match error {
        StorageError::Node { .. } | StorageError::Short { .. } => Code::Damaged,
        StorageError::Access { .. } | StorageError::Poisoned => Code::Io,
    };
    let next = match code {
        Code::Damaged => format!("{AUDIT} {}", identity.name),
        _ => format!(
            "check the disk under {} (space, permissions), then run the command again",
            identity.directory
        ),
    };
    Failure::new(code, format!("stream {}: {error}", identity.name)).next(next)
}

pub(crate) fn read_failure(identity: &StreamIdentity, error: &ReadError) -> Failure {
    match error {
        ReadError::Storage(error) => storage_failure(identity, error),
    }
}

pub(crate) fn clear_failure(identity: &StreamIdentity, error: &ClearError) -> Failure {
    match error {
        ClearError::Storage(error) => storage_failure(identity, error),
    }
}

pub(crate) fn append_failure(identity: &StreamIdentity, error: &AppendError) -> Failure {
    let (code, next) = match error {
        AppendError::NotWritable => (
            Code::NotWritable,
            "append where the stream was created, or create one of your own: quorate new NAME".to_owned(),
        ),
        AppendError::BlockTooLarge { .. } => {
            (Code::BlockTooLarge, "split the message; a stock peer takes no larger one".to_owned())
        }
        AppendError::Limit(_) => (Code::BlockTooLarge, "start a new stream: quorate new NAME".to_owned()),
        AppendError::Refused { .. } => (Code::Refused, "see the check that refused it".to_owned()),
        AppendError::Storage(error) => return storage_failure(identity, error),
    };
    Failure::new(code, format!("stream {}: {error}; nothing was appended", identity.name)).next(next)
}

pub(crate) fn open_failure(name: &str, directory: &str, error: &OpenError) -> Failure {
    let code = match error {
        OpenError::Storage(StorageError::Access { .. } | StorageError::Poisoned) => Code::Io,
        OpenError::Exists { .. } => Code::DestinationExists,
        OpenError::Header { .. } | OpenError::PageSize(_) => Code::NotAFeed,
        _ => Code::Damaged,
    };
    Failure::new(code, format!("stream {name} in {directory}: {error}"))
        .next("restore the directory from a copy, or clone the stream again from a peer")
}

/// Turns a failed verification into what the replicator is told; `failed` hears of storage that failed.
pub(crate) fn verify_refusal(error: &VerifyError, failed: &mut dyn FnMut(String)) -> Refusal {
    match error {
        VerifyError::Proof(error) => proof_refusal(error),
        VerifyError::Storage(error) => {
            failed(error.to_string());
            Refusal::Storage
        }
    }
}

fn proof_refusal(error: &ProofError) -> Refusal {
    match error {
        ProofError::MissingNode { .. } => Refusal::MissingNode,
        ProofError::WrongHash { .. } | ProofError::WrongSize { .. } => Refusal::WrongHash,
        ProofError::NoSignature { .. } => Refusal::NoSignature,
        ProofError::BadSignature { .. } => Refusal::BadSignature,
        ProofError::NoValueNoNodes { .. }
        | ProofError::OutOfRange { .. }
        | ProofError::BlockTooLarge { .. }
        | ProofError::TooManyNodes { .. }
        | ProofError::UnexpectedNode { .. }
        | ProofError::Roots(_) => Refusal::Malformed,
    }
}

/// Turns a failed put into what the replicator is told; `failed` hears of storage that failed.
pub(crate) fn put_refusal(error: &PutError, failed: &mut dyn FnMut(String)) -> Refusal {
    match error {
        PutError::Refused { .. } => Refusal::Rules,
        PutError::WrongSize { .. } => Refusal::WrongHash,
        PutError::OtherFeed { .. } | PutError::Stale { .. } => Refusal::MissingNode,
        PutError::Storage(error) => {
            failed(error.to_string());
            Refusal::Storage
        }
    }
}
