//! Why bytes are not the message that they should be.

use crate::Deviation;

/// Reason for which a message was not decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtoError {
    /// The bytes are no protobuf message of this shape.
    #[error("{message} message: expected protobuf, found malformed bytes: {error}")]
    Malformed {
        /// Name of the message.
        message: &'static str,
        /// What the decoder found.
        error: prost::DecodeError,
    },
    /// A field that must be there is not.
    #[error("{message} message: expected field `{field}`, found none")]
    Missing {
        /// Name of the message.
        message: &'static str,
        /// Name of the field.
        field: &'static str,
    },
    /// A field of fixed size has another size.
    #[error("{message} message: expected {expected} bytes in field `{field}`, found {found}")]
    Length {
        /// Name of the message.
        message: &'static str,
        /// Name of the field.
        field: &'static str,
        /// Bytes that the field takes.
        expected: usize,
        /// Bytes that came.
        found: usize,
    },
    /// A field has more elements or bytes than are ever needed.
    #[error("{message} message: expected at most {limit} in field `{field}`, found {found}")]
    TooLong {
        /// Name of the message.
        message: &'static str,
        /// Name of the field.
        field: &'static str,
        /// Largest number of elements or bytes.
        limit: usize,
        /// Elements or bytes that came.
        found: usize,
    },
    /// A position lies beyond the largest feed that is believed.
    #[error("{message} message: expected at most {limit} in field `{field}`, found {found}")]
    OutOfRange {
        /// Name of the message.
        message: &'static str,
        /// Name of the field.
        field: &'static str,
        /// Largest value.
        limit: u64,
        /// Value that came.
        found: u64,
    },
    /// The bytes are another encoding of a message than the one that counts.
    #[error("{message} message: expected the canonical encoding, found {deviation}, at byte {at}")]
    NotCanonical {
        /// Name of the innermost message.
        message: &'static str,
        /// Where its encoding deviates, bytes from the beginning of the outermost message.
        at: usize,
        /// In what way.
        deviation: Deviation,
    },
}
