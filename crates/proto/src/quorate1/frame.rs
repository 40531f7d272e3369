//! Frames: `type u8 | length u32le | body`, any number of them in one extension message.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use quorate_types::limits::MAX_EXTENSION_BYTES;

use super::Message;
use crate::ProtoError;

/// Types of frames.
pub mod kind {
    /// `Status`.
    pub const STATUS: u8 = 1;
    /// `Submit`.
    pub const SUBMIT: u8 = 2;
    /// `Receipt`.
    pub const RECEIPT: u8 = 3;
    /// `Module`.
    pub const MODULE: u8 = 4;
    /// `WantModule`.
    pub const WANT_MODULE: u8 = 5;
    /// `QuorumStatus`.
    pub const QUORUM_STATUS: u8 = 6;
    /// A signed `VOTE` or `REJECT`.
    pub const VOTE: u8 = 7;
    /// `GetQc`.
    pub const GET_QC: u8 = 8;
    /// `Qc`.
    pub const QC: u8 = 9;
    /// `GetHandover`.
    pub const GET_HANDOVER: u8 = 10;
    /// `Handover`.
    pub const HANDOVER: u8 = 11;
    /// A signed `SEAL` or `ACCEPT`.
    pub const SEAL: u8 = 12;
    /// `Evidence`.
    pub const EVIDENCE: u8 = 13;
    /// `WantEvidence`.
    pub const WANT_EVIDENCE: u8 = 14;
    /// A signed `HAVE`.
    pub const HAVE: u8 = 15;
    /// A signed `CHALLENGE`.
    pub const CHALLENGE: u8 = 16;
    /// A signed `RESPONSE`.
    pub const RESPONSE: u8 = 17;
}

/// Bytes of a frame before its body.
pub const FRAME_HEADER_BYTES: usize = 5;

/// Largest body, bytes: the frame fits into one extension message.
pub const MAX_BODY_BYTES: usize = MAX_EXTENSION_BYTES - FRAME_HEADER_BYTES;

/// What a frame holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A message of a known type.
    Message(Message),
    /// A type that is not known here; it is to be ignored.
    Unknown {
        /// The type.
        kind: u8,
        /// The body.
        body: Bytes,
    },
}

/// Why an extension message holds no frames.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The message is larger than one may be.
    #[error("extension message: expected at most {limit} bytes, found {found}")]
    TooLong {
        /// Largest size, bytes.
        limit: usize,
        /// Bytes that came.
        found: usize,
    },
    /// The message ends inside the header of a frame.
    #[error("frame: expected a header of {FRAME_HEADER_BYTES} bytes, found {found}")]
    Header {
        /// Bytes that are there.
        found: usize,
    },
    /// The message ends inside the body of a frame.
    #[error("frame of type {kind}: expected a body of {expected} bytes, found {found}")]
    Body {
        /// Type of the frame.
        kind: u8,
        /// Bytes that the header promises.
        expected: u64,
        /// Bytes that are there.
        found: usize,
    },
    /// The body is not what its type says.
    #[error(transparent)]
    Message(#[from] ProtoError),
}

/// The frames of one extension message, in order; nothing follows an error.
#[derive(Debug, Clone)]
pub struct Frames {
    rest: Bytes,
}

impl Frames {
    /// Reads an extension message; bodies share its memory.
    pub const fn new(message: Bytes) -> Self {
        Self { rest: message }
    }

    fn take(&mut self) -> Result<Frame, FrameError> {
        let found = self.rest.len();
        if found > MAX_EXTENSION_BYTES {
            return Err(FrameError::TooLong { limit: MAX_EXTENSION_BYTES, found });
        }
        if found < FRAME_HEADER_BYTES {
            return Err(FrameError::Header { found });
        }
        let (kind, len) = (self.rest.get_u8(), self.rest.get_u32_le());
        let found = self.rest.len();
        let body = match usize::try_from(len) {
            Ok(len) if len <= found => self.rest.split_to(len),
            _ => return Err(FrameError::Body { kind, expected: len.into(), found }),
        };
        Ok(match Message::decode(kind, body.clone())? {
            Some(message) => Frame::Message(message),
            None => Frame::Unknown { kind, body },
        })
    }
}

impl Iterator for Frames {
    type Item = Result<Frame, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let frame = self.take();
        if frame.is_err() {
            self.rest.clear();
        }
        Some(frame)
    }
}

/// Encodes one frame.
pub(super) fn encode(kind: u8, body: &[u8]) -> Bytes {
    let len = u32::try_from(body.len()).expect("a message's fields are bounded far below 4 GiB");
    let mut frame = BytesMut::with_capacity(FRAME_HEADER_BYTES.saturating_add(body.len()));
    frame.put_u8(kind);
    frame.put_u32_le(len);
    frame.put_slice(body);
    frame.freeze()
}
