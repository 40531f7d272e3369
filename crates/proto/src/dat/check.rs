//! Checks that every message shares.

use bytes::Bytes;
use prost::Message;
use quorate_types::limits::MAX_FEED_LENGTH;

use crate::ProtoError;

/// Decodes a generated type from a whole body.
pub(super) fn parse<M: Message + Default>(message: &'static str, body: Bytes) -> Result<M, ProtoError> {
    M::decode(body).map_err(|error| ProtoError::Malformed { message, error })
}

/// Takes a field that must be there.
pub(super) fn required<T>(
    message: &'static str,
    field: &'static str,
    value: Option<T>,
) -> Result<T, ProtoError> {
    value.ok_or(ProtoError::Missing { message, field })
}

/// Takes a byte string of exactly `N` bytes.
pub(super) fn fixed<const N: usize, T: From<[u8; N]>>(
    message: &'static str,
    field: &'static str,
    value: &[u8],
) -> Result<T, ProtoError> {
    <[u8; N]>::try_from(value).map(T::from).map_err(|_| ProtoError::Length {
        message,
        field,
        expected: N,
        found: value.len(),
    })
}

/// Takes the position of a block.
pub(super) fn block(
    message: &'static str,
    field: &'static str,
    value: Option<u64>,
) -> Result<u64, ProtoError> {
    at_most(message, field, MAX_FEED_LENGTH, required(message, field, value)?)
}

/// Takes a number that is no larger than the limit.
pub(super) fn at_most(
    message: &'static str,
    field: &'static str,
    limit: u64,
    found: u64,
) -> Result<u64, ProtoError> {
    if found > limit { Err(ProtoError::OutOfRange { message, field, limit, found }) } else { Ok(found) }
}

/// Takes a number of blocks: one beyond the largest feed names no more blocks than that feed has.
pub(super) fn blocks(value: u64) -> u64 {
    value.min(MAX_FEED_LENGTH)
}
