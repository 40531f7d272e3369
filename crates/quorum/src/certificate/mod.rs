//! What many signatures prove together.
//!
//! * A [`Qc`]: a quorum of validators votes for one head.
//! * A [`Final`]: a quorum of validators has that QC on its disks. It is *committed*, and nobody can forget it.
//! * A [`Handover`]: a quorum has sealed an epoch, and this is the highest QC that any of them holds.
//! * A [`Start`]: a handover, and the feed that the next host grants.
//! * A [`CatchUp`]: the starts of all epochs, the newest QC and the newest Final.
//!
//! Each has one encoding (`proto/quorum.proto`) and verifies in an [`Epoch`], which the start before it gives.

mod build;
mod catch_up;
mod change;
mod epoch;
mod error;
mod handover;
mod inclusion;
mod last_final;
mod qc;
#[cfg(test)]
pub(crate) mod tests;

pub use catch_up::{CatchUp, VerifiedCatchUp};
pub use change::{ChangeError, decode_change, encode_change};
pub use epoch::{Epoch, HostSlot};
pub use error::CertificateError;
pub use handover::{
    Accepted, Change, Handover, ReportedQc, SealReport, Start, VerifiedHandover, VerifiedStart,
};
pub(crate) use handover::{accept as accept_statement, rank as qc_rank};
pub use inclusion::{Inclusion, InclusionError};
pub use last_final::{Final, VerifiedFinal};
pub use qc::{Certified, Qc, VerifiedQc};
