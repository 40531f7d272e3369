//! Changes of validators: what the block says, and whether it may be said.

use bytes::Bytes;
use quorate_proto::{ProtoError, quorum as proto};
use quorate_types::{PublicKey, Signature};

use crate::key::{KeyError, VoteKey};
use crate::validators::{ValidatorSet, ValidatorSetError};

/// Why a change of validators may not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The body is none.
    #[error(transparent)]
    Encoding(#[from] ProtoError),
    /// The block is another entry.
    #[error("expected a block with a change of validators, found another entry")]
    OtherEntry,
    /// The keys are no set of validators.
    #[error(transparent)]
    Set(#[from] ValidatorSetError),
    /// The keys are not in their order, or the quorum is not written out.
    #[error("change of validators: expected ascending keys and a quorum, found otherwise")]
    NotCanonical,
    /// It changes nothing, or too much.
    #[error(
        "change of validators: expected one key to come or to go, or another quorum, found {added} to come and {removed} to go"
    )]
    Step {
        /// Keys that come.
        added: usize,
        /// Keys that go.
        removed: usize,
    },
    /// A key that comes is not proven to be its holder's, or there is a proof of no key.
    #[error("change of validators: expected a proof of possession for each key that comes, found otherwise")]
    Proof,
    /// The proof does not verify.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Encodes the body of a change of validators. `proof` is that of the key that comes.
pub fn encode_change(next: &ValidatorSet, proof: Option<Signature>) -> Bytes {
    let keys: Vec<PublicKey> = next.keys().copied().collect();
    let quorum = u32::try_from(next.quorum()).unwrap_or(u32::MAX);
    proto::Validators { keys, quorum, proof }.encode()
}

/// Reads the body of a change of validators, and checks that it may follow those of the epoch.
///
/// # Errors
///
/// [`ChangeError`].
pub fn decode_change(body: Bytes, current: &ValidatorSet) -> Result<ValidatorSet, ChangeError> {
    let proto::Validators { keys, quorum, proof } = proto::Validators::decode(body)?;
    let wanted = usize::try_from(quorum).unwrap_or(usize::MAX);
    let next = ValidatorSet::new(keys.iter().copied(), wanted)?;
    if next.quorum() != wanted || !next.keys().eq(keys.iter()) {
        return Err(ChangeError::NotCanonical);
    }
    let (added, removed) = current.difference(&next);
    if !current.may_become(&next) {
        return Err(ChangeError::Step { added: added.len(), removed: removed.len() });
    }
    match (added.first(), proof) {
        (Some(key), Some(proof)) => {
            VoteKey::admit(**key, &proof)?;
        }
        (None, None) => {}
        (Some(_), None) | (None, Some(_)) => return Err(ChangeError::Proof),
    }
    Ok(next)
}
