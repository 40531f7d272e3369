//! Fields in a row, each of a fixed size.

use quorate_types::limits::MAX_FEED_LENGTH;
use quorate_types::{Hash, PublicKey, QcHash, RoomId, RulesHash, Signature, StateRoot, VsetHash};

use super::{CONTEXT, Common, MAX_SIGNED_BYTES, Signed};
use crate::head::Head;
use crate::key::KeyError;

/// Why bytes are no statement, or not the one that is looked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The kind is another one.
    #[error("expected a statement of kind {expected}, found {}", .found.map_or("no bytes".into(), |kind| format!("kind {kind}")))]
    Kind {
        /// Kind that is looked for.
        expected: u8,
        /// Kind there is.
        found: Option<u8>,
    },
    /// The size is another one.
    #[error("statement of kind {kind}: expected {expected} bytes, found {found}")]
    Size {
        /// Its kind.
        kind: u8,
        /// Bytes that the kind takes.
        expected: usize,
        /// Bytes there are.
        found: usize,
    },
    /// A field holds what it cannot.
    #[error("statement of kind {kind}: expected {expected}")]
    Field {
        /// Its kind.
        kind: u8,
        /// What the field holds otherwise.
        expected: &'static str,
    },
    /// The statement is for another room.
    #[error("expected a statement for room {expected}, found one for room {found}")]
    Room {
        /// This room.
        expected: RoomId,
        /// Room that it names.
        found: RoomId,
    },
    /// The statement is for another epoch.
    #[error("expected a statement for epoch {expected}, found one for epoch {found}")]
    Epoch {
        /// This epoch.
        expected: u64,
        /// Epoch that it names.
        found: u64,
    },
    /// The statement is for other validators.
    #[error("expected a statement for the validators {expected}, found one for {found}")]
    Vset {
        /// Validators of the epoch.
        expected: VsetHash,
        /// Validators that it names.
        found: VsetHash,
    },
    /// The signer is no validator.
    #[error("expected a validator of the epoch, found {found}")]
    NoValidator {
        /// Key that signed.
        found: PublicKey,
    },
    /// The key or the signature is no good.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A kind of statement. Its fields stand in a row behind the [`Common`] ones.
pub trait Statement: Copy + Eq + std::fmt::Debug {
    /// Number of the kind.
    const KIND: u8;
    /// Bytes of all fields behind the common ones.
    const BYTES: usize;

    /// Returns what every statement begins with.
    fn common(&self) -> &Common;

    /// Returns what every statement begins with, to be changed.
    fn common_mut(&mut self) -> &mut Common;

    /// Writes the fields behind the common ones.
    fn put(&self, out: &mut Vec<u8>);

    /// Reads the fields behind the common ones.
    ///
    /// # Errors
    ///
    /// What the field that is wrong holds otherwise.
    fn take(common: Common, bytes: &mut &[u8]) -> Result<Self, &'static str>;
}

/// A field of fixed size.
pub(super) trait Field: Sized {
    const BYTES: usize;
    fn put(&self, out: &mut Vec<u8>);
    fn take(bytes: &mut &[u8]) -> Result<Self, &'static str>;
}

/// Takes bytes that are there, because the size of the statement was checked.
fn array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], &'static str> {
    let (head, rest) = bytes.split_first_chunk().ok_or("more bytes")?;
    *bytes = rest;
    Ok(*head)
}

macro_rules! byte_strings {
    ($($name:ty),*) => {
        $(impl Field for $name {
            const BYTES: usize = <$name>::LEN;

            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(self.as_bytes());
            }

            fn take(bytes: &mut &[u8]) -> Result<Self, &'static str> {
                array(bytes).map(Self::new)
            }
        })*
    };
}

byte_strings!(Hash, PublicKey, QcHash, RoomId, RulesHash, Signature, StateRoot, VsetHash);

macro_rules! numbers {
    ($($name:ty),*) => {
        $(impl Field for $name {
            const BYTES: usize = size_of::<$name>();

            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn take(bytes: &mut &[u8]) -> Result<Self, &'static str> {
                array(bytes).map(Self::from_le_bytes)
            }
        })*
    };
}

numbers!(u8, u16, u64);

impl Field for [u8; 32] {
    const BYTES: usize = 32;

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, &'static str> {
        array(bytes)
    }
}

impl Field for Head {
    const BYTES: usize = 8 + Hash::LEN;

    fn put(&self, out: &mut Vec<u8>) {
        self.length().put(out);
        self.tree_hash().put(out);
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, &'static str> {
        let length = u64::take(bytes)?;
        Self::new(length, Hash::take(bytes)?).ok_or("a length of 1 to 2^52")
    }
}

/// Nothing is zeros, and zeros are nothing.
impl<F: Field> Field for Option<F> {
    const BYTES: usize = F::BYTES;

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Some(field) => field.put(out),
            None => out.resize(out.len().saturating_add(F::BYTES), 0),
        }
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, &'static str> {
        let (field, rest) = bytes.split_at_checked(F::BYTES).ok_or("more bytes")?;
        if field.iter().all(|byte| *byte == 0) {
            *bytes = rest;
            return Ok(None);
        }
        F::take(bytes).map(Some)
    }
}

impl Field for Common {
    const BYTES: usize = RoomId::LEN + 8 + VsetHash::LEN + PublicKey::LEN;

    fn put(&self, out: &mut Vec<u8>) {
        self.room.put(out);
        self.epoch.put(out);
        self.vset.put(out);
        self.signer.put(out);
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, &'static str> {
        let room = Field::take(bytes)?;
        let epoch = height(bytes)?;
        Ok(Self { room, epoch, vset: Field::take(bytes)?, signer: Field::take(bytes)? })
    }
}

/// Takes a length, or a number of things of which each takes a block.
pub(super) fn height(bytes: &mut &[u8]) -> Result<u64, &'static str> {
    let number = u64::take(bytes)?;
    if number > MAX_FEED_LENGTH { Err("a number of at most 2^52") } else { Ok(number) }
}

/// Writes what is signed.
pub(super) fn signed_bytes<S: Statement>(statement: &S) -> Vec<u8> {
    let mut out = Vec::with_capacity(MAX_SIGNED_BYTES.saturating_add(Signature::LEN));
    out.extend_from_slice(CONTEXT);
    out.push(S::KIND);
    statement.common().put(&mut out);
    statement.put(&mut out);
    debug_assert_eq!(out.len(), CONTEXT.len() + 1 + Common::BYTES + S::BYTES);
    out
}

/// Reads kind, body and signature.
pub(super) fn decode<S: Statement>(bytes: &[u8]) -> Result<Signed<S>, StatementError> {
    let kind = S::KIND;
    let Some((found, mut rest)) = bytes.split_first().filter(|(found, _)| **found == kind) else {
        return Err(StatementError::Kind { expected: kind, found: bytes.first().copied() });
    };
    debug_assert_eq!(*found, kind);
    let expected = 1 + Common::BYTES + S::BYTES + Signature::LEN;
    if bytes.len() != expected {
        return Err(StatementError::Size { kind, expected, found: bytes.len() });
    }
    let field = |expected| StatementError::Field { kind, expected };
    let common = Common::take(&mut rest).map_err(field)?;
    let statement = S::take(common, &mut rest).map_err(field)?;
    Ok(Signed { statement, signature: Signature::take(&mut rest).map_err(field)? })
}
