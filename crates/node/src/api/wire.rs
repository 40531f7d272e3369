//! Bodies of the local API that are not models of their own.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::FailureBody;
use crate::model::AuditSummary;

/// Blocks to append, each in base64.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Blocks {
    pub(super) blocks: Vec<String>,
}

/// Blocks that are meant.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Range {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// Where a stream is copied to.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Copied {
    pub(super) to: PathBuf,
    pub(super) with_secret_key: bool,
}

/// How many blocks were deleted.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Cleared {
    pub(super) cleared: u64,
}

/// How many blocks have a verdict.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Checked {
    pub(super) length: u64,
}

/// One line of an audit.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum AuditLine {
    /// Done and total.
    Progress(u64, u64),
    /// All is checked.
    Audit(AuditSummary),
    /// The audit could not be carried out.
    Failure(FailureBody),
}

/// Whose waiting ends.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hurry {
    pub(super) call: u64,
}
