//! Checks of fields of proto3 messages, where a field that is missing has its default value.

use bytes::Bytes;
use quorate_types::limits::MAX_FEED_LENGTH;

use crate::ProtoError;

/// What is being checked, for its errors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct In(pub(crate) &'static str);

impl In {
    /// Takes exactly `N` bytes.
    pub(crate) fn fixed<const N: usize, T: From<[u8; N]>>(
        self,
        field: &'static str,
        value: &[u8],
    ) -> Result<T, ProtoError> {
        <[u8; N]>::try_from(value).map(T::from).map_err(|_| ProtoError::Length {
            message: self.0,
            field,
            expected: N,
            found: value.len(),
        })
    }

    /// Takes exactly `N` bytes, or none.
    pub(crate) fn fixed_or_none<const N: usize, T: From<[u8; N]>>(
        self,
        field: &'static str,
        value: &[u8],
    ) -> Result<Option<T>, ProtoError> {
        if value.is_empty() { Ok(None) } else { self.fixed(field, value).map(Some) }
    }

    /// Takes bytes up to a number of them.
    pub(crate) fn bytes(self, field: &'static str, limit: usize, value: Bytes) -> Result<Bytes, ProtoError> {
        self.long(field, limit, value.len()).map(|()| value)
    }

    /// Takes at least one byte, up to a number of them.
    pub(crate) fn some_bytes(
        self,
        field: &'static str,
        limit: usize,
        value: Bytes,
    ) -> Result<Bytes, ProtoError> {
        if value.is_empty() {
            return Err(ProtoError::Missing { message: self.0, field });
        }
        self.bytes(field, limit, value)
    }

    /// Takes text up to a number of bytes.
    pub(crate) fn text(self, field: &'static str, limit: usize, value: String) -> Result<String, ProtoError> {
        self.long(field, limit, value.len()).map(|()| value)
    }

    /// Takes a number up to a largest one.
    pub(crate) fn number<T: Into<u64> + Copy>(
        self,
        field: &'static str,
        limit: u64,
        value: T,
    ) -> Result<T, ProtoError> {
        let found = value.into();
        if found > limit {
            return Err(ProtoError::OutOfRange { message: self.0, field, limit, found });
        }
        Ok(value)
    }

    /// Takes a position in a feed or a count of things that each take a block.
    pub(crate) fn height(self, field: &'static str, value: u64) -> Result<u64, ProtoError> {
        self.number(field, MAX_FEED_LENGTH, value)
    }

    fn long(self, field: &'static str, limit: usize, found: usize) -> Result<(), ProtoError> {
        if found > limit {
            return Err(ProtoError::TooLong { message: self.0, field, limit, found });
        }
        Ok(())
    }
}
