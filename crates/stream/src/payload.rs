//! What applications put into actions.
//!
//! The encoding is a promise to readers. Clients keep it before they sign; nobody refuses a block for it, a rule may.

use std::fmt;
use std::str::FromStr;

use quorate_types::limits::MAX_PAYLOAD_BYTES;

/// What payloads of a room are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum PayloadEncoding {
    /// One JSON value in UTF-8.
    #[default]
    Json,
    /// Text in UTF-8.
    Utf8,
    /// Any bytes.
    Binary,
}

/// Why bytes are no payload of their room.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// There are more of them than an action holds.
    #[error("payload: expected at most {limit} bytes, found {found}")]
    TooLarge {
        /// Largest payload, bytes.
        limit: usize,
        /// Bytes that there are.
        found: usize,
    },
    /// They are not UTF-8.
    #[error("payload: expected text in UTF-8, found another byte at position {position}")]
    Utf8 {
        /// Position of the first byte that does not fit.
        position: usize,
    },
    /// They are no JSON.
    #[error("payload: expected one JSON value, found: {error}")]
    Json {
        /// What the parser says.
        error: String,
    },
}

/// The text is no name of an encoding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("payload encoding: expected json, utf-8 or binary, found {found:?}")]
pub struct UnknownEncoding {
    /// The text, cut after 100 characters.
    pub found: String,
}

impl PayloadEncoding {
    /// Returns the name that stands in the header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Utf8 => "utf-8",
            Self::Binary => "binary",
        }
    }

    /// Tells whether bytes are what readers of the room expect.
    ///
    /// # Errors
    ///
    /// [`PayloadError`] says where they are not; JSON that is nested more than 128 deep is none.
    pub fn check(self, payload: &[u8]) -> Result<(), PayloadError> {
        let found = payload.len();
        if found > MAX_PAYLOAD_BYTES {
            return Err(PayloadError::TooLarge { limit: MAX_PAYLOAD_BYTES, found });
        }
        if self == Self::Binary {
            return Ok(());
        }
        let text = std::str::from_utf8(payload)
            .map_err(|error| PayloadError::Utf8 { position: error.valid_up_to() })?;
        if self == Self::Json {
            // Into a value and not past it: skipping would not limit the depth.
            serde_json::from_str::<serde_json::Value>(text)
                .map_err(|error| PayloadError::Json { error: error.to_string() })?;
        }
        Ok(())
    }
}

impl fmt::Display for PayloadEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for PayloadEncoding {
    type Err = UnknownEncoding;

    fn from_str(text: &str) -> Result<Self, UnknownEncoding> {
        [Self::Json, Self::Utf8, Self::Binary]
            .into_iter()
            .find(|encoding| encoding.name() == text)
            .ok_or_else(|| UnknownEncoding { found: text.chars().take(100).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_encoding_takes_its_own() {
        let (json, utf8, binary) = (PayloadEncoding::Json, PayloadEncoding::Utf8, PayloadEncoding::Binary);
        assert_eq!(json.check(br#"{"move":"e2e4"}"#), Ok(()));
        assert!(matches!(json.check(b"{} {}"), Err(PayloadError::Json { .. })));
        assert!(matches!(json.check(b""), Err(PayloadError::Json { .. })));
        assert_eq!(json.check(b"\"\xff\""), Err(PayloadError::Utf8 { position: 1 }));
        assert!(matches!(json.check("[".repeat(40_000).as_bytes()), Err(PayloadError::Json { .. })));
        assert_eq!(utf8.check("é".as_bytes()), Ok(()));
        assert_eq!(utf8.check(b"a\xc3"), Err(PayloadError::Utf8 { position: 1 }));
        assert_eq!(binary.check(b"\xff"), Ok(()));
        let (limit, found) = (MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES + 1);
        assert_eq!(binary.check(&vec![0; found]), Err(PayloadError::TooLarge { limit, found }));
    }

    #[test]
    fn names_read_back() {
        for encoding in [PayloadEncoding::Json, PayloadEncoding::Utf8, PayloadEncoding::Binary] {
            assert_eq!(encoding.to_string().parse(), Ok(encoding));
        }
        assert_eq!("JSON".parse::<PayloadEncoding>(), Err(UnknownEncoding { found: "JSON".into() }));
    }
}
