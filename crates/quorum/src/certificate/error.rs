//! Why a certificate proves nothing.

use quorate_proto::ProtoError;
use quorate_types::{PublicKey, VsetHash};

use super::change::ChangeError;
use super::inclusion::InclusionError;
use crate::key::KeyError;

/// Why a certificate proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The bytes are none.
    #[error(transparent)]
    Encoding(#[from] ProtoError),
    /// The bytes are not the one encoding of what they hold.
    #[error("{certificate}: expected its one encoding, found another")]
    NotCanonical {
        /// Which.
        certificate: &'static str,
    },
    /// A field holds what it cannot.
    #[error("{certificate}: expected {expected}")]
    Field {
        /// Which.
        certificate: &'static str,
        /// What it holds otherwise.
        expected: &'static str,
    },
    /// It is of another epoch.
    #[error("expected a certificate of epoch {expected}, found one of epoch {found}")]
    Epoch {
        /// This epoch.
        expected: u64,
        /// Epoch that it names.
        found: u64,
    },
    /// It is of an epoch that is not known here.
    #[error("expected a certificate of a known epoch, found one of epoch {found}")]
    UnknownEpoch {
        /// Epoch that it names.
        found: u64,
    },
    /// It is of other validators.
    #[error("expected a certificate of the validators {expected}, found one of {found}")]
    Vset {
        /// Validators of the epoch.
        expected: VsetHash,
        /// Validators that it names.
        found: VsetHash,
    },
    /// It is about another feed.
    #[error("expected a certificate about feed {expected}, found one about feed {found}")]
    Feed {
        /// Feed of the epoch.
        expected: PublicKey,
        /// Feed that it names.
        found: PublicKey,
    },
    /// A signer is named twice.
    #[error("expected every signer once, found validator {signer} twice")]
    Twice {
        /// Place of the validator.
        signer: u32,
    },
    /// A signer is none of the validators.
    #[error("expected signers below {n}, found validator {signer}")]
    Signer {
        /// Number of validators.
        n: usize,
        /// Place that is named.
        signer: u32,
    },
    /// There are fewer signers than a quorum.
    #[error("expected at least {expected} signers, found {found}")]
    TooFew {
        /// The quorum.
        expected: usize,
        /// Signers there are.
        found: usize,
    },
    /// A signature does not verify.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The base is not the highest QC that the seals report.
    #[error("expected as base the highest QC that the seals report, found another, or none")]
    Base,
    /// The last block of the base is not shown to be a change of validators.
    #[error(transparent)]
    Inclusion(#[from] InclusionError),
    /// The change of validators may not be made.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The feed goes on only after a change of validators that is at the end of the base.
    #[error("expected a change of validators at the end of a base of epoch {epoch}, found none")]
    NoChange {
        /// The epoch that ends.
        epoch: u64,
    },
    /// The feed that goes on is not known to be that of the epoch that ends.
    #[error("expected the feed of the epoch that ends to go on, found {found}")]
    UnknownFeed {
        /// Feed of the base.
        found: PublicKey,
    },
    /// A feed that goes on needs no grant.
    #[error("expected no grant where the feed goes on, found one")]
    StrayGrant,
    /// The granted feed was used before.
    #[error("expected a feed of its own for the epoch, found {found}")]
    UsedFeed {
        /// The feed.
        found: PublicKey,
    },
    /// The room names no host that could follow.
    #[error("expected a room that names further hosts, found none")]
    NoHost,
}
