//! What is signed: votes, seals, promises; exact bytes, one layout for one kind.
//!
//! ```text
//! statement = kind u8 | body | signature 64
//! body      = room_id 32 | epoch u64 | vset_hash 32 | signer 32 | what the kind has
//! signed    = "quorate/1\0" | kind u8 | body
//! ```
//!
//! Numbers are little-endian. A part that is not there is written as zeros, and only so: a length of 0 with a hash is
//! refused. Everything that changes the meaning is inside, so that nothing can be replayed across rooms, epochs, feeds
//! or sets of validators.

mod codec;
mod kinds;
#[cfg(test)]
mod tests;

use std::ops::Deref;

use quorate_types::{PublicKey, RoomId, Signature, VsetHash};

use crate::key::{KeyError, Signer, VoteKey};
use crate::validators::ValidatorSet;

pub use codec::{Statement, StatementError};
pub use kinds::{
    Accept, Ack, Challenge, Grant, Have, QcRef, Reject, Response, Seal, SealReason, Target, Vote, kind,
    response_digest,
};

/// What everything signed begins with.
pub const CONTEXT: &[u8] = b"quorate/1\0";

/// Most bytes that are signed in one statement.
pub const MAX_SIGNED_BYTES: usize = 300;

/// What every statement begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Common {
    /// Room that it is about.
    pub room: RoomId,
    /// Epoch in which it holds.
    pub epoch: u64,
    /// Validators of that epoch.
    pub vset: VsetHash,
    /// Key that signs.
    pub signer: PublicKey,
}

/// A statement and what is said to be its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed<S> {
    /// The statement.
    pub statement: S,
    /// Its signature, not verified.
    pub signature: Signature,
}

/// A statement whose signature verifies. Only verification and signing make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified<S> {
    signed: Signed<S>,
}

impl<S: Statement> Signed<S> {
    /// Decodes the bytes of a statement of this kind.
    ///
    /// # Errors
    ///
    /// [`StatementError`] for bytes that no such statement has.
    pub fn decode(bytes: &[u8]) -> Result<Self, StatementError> {
        codec::decode(bytes)
    }

    /// Encodes kind, body and signature.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = codec::signed_bytes(&self.statement).split_off(CONTEXT.len());
        bytes.extend_from_slice(self.signature.as_bytes());
        bytes
    }

    /// Returns what is signed, without the signature.
    pub fn statement_bytes(&self) -> Vec<u8> {
        codec::signed_bytes(&self.statement)
    }

    /// Verifies the signature under the key that the statement names.
    ///
    /// # Errors
    ///
    /// [`KeyError`] for a key that is unfit to sign, and a signature that does not verify.
    pub fn verify(self) -> Result<Verified<S>, KeyError> {
        let key = VoteKey::new(self.statement.common().signer)?;
        self.verify_by(&key)
    }

    /// Verifies that a validator of this room and epoch signed.
    ///
    /// # Errors
    ///
    /// [`StatementError`] names what is of another room, epoch or set, or a signer that is no validator.
    pub fn verify_in(
        self,
        room: &RoomId,
        epoch: u64,
        validators: &ValidatorSet,
    ) -> Result<Verified<S>, StatementError> {
        let found = *self.statement.common();
        if found.room != *room {
            return Err(StatementError::Room { expected: *room, found: found.room });
        }
        if found.epoch != epoch {
            return Err(StatementError::Epoch { expected: epoch, found: found.epoch });
        }
        if found.vset != *validators.hash() {
            return Err(StatementError::Vset { expected: *validators.hash(), found: found.vset });
        }
        let key =
            validators.find(&found.signer).ok_or(StatementError::NoValidator { found: found.signer })?;
        Ok(self.verify_by(key)?)
    }

    /// Verifies the signature under a key that was read before; it must be the one that the statement names.
    fn verify_by(self, key: &VoteKey) -> Result<Verified<S>, KeyError> {
        debug_assert_eq!(*key.public(), self.statement.common().signer);
        key.verify(&codec::signed_bytes(&self.statement), &self.signature)?;
        Ok(Verified { signed: self })
    }
}

impl<S: Statement> Verified<S> {
    /// Signs a statement; its signer becomes the key that signs.
    pub fn sign(mut statement: S, signer: &Signer) -> Self {
        statement.common_mut().signer = signer.public();
        let signature = signer.sign(&codec::signed_bytes(&statement));
        Self { signed: Signed { statement, signature } }
    }

    /// Takes a statement whose signature was verified as a part of something larger.
    pub(crate) const fn part_of_verified(signed: Signed<S>) -> Self {
        Self { signed }
    }

    /// Encodes kind, body and signature.
    pub fn encode(&self) -> Vec<u8> {
        self.signed.encode()
    }

    /// Returns the statement with its signature.
    pub const fn signed(&self) -> &Signed<S> {
        &self.signed
    }

    /// Returns the signature.
    pub const fn signature(&self) -> &Signature {
        &self.signed.signature
    }

    /// Returns the key that signed.
    pub fn signer(&self) -> &PublicKey {
        &self.signed.statement.common().signer
    }
}

impl<S> Deref for Verified<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.signed.statement
    }
}
