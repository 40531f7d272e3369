//! Small messages about blocks. A number that is out of any feed's range is an error where it
//! names a block, and cut down to the range where it counts blocks.

use bytes::{BufMut, Bytes};
use prost::Message;
use prost::encoding::{encoded_len_varint, key_len};

use super::check;
use super::data::{put_bytes, put_varint};
use crate::{ProtoError, pb};

/// Which directions the sender still takes part in; what it does not say stays as it was, true at first.
///
/// Type 2, Info on wire A.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status {
    /// The sender answers requests.
    pub uploading: Option<bool>,
    /// The sender asks for blocks.
    pub downloading: Option<bool>,
}

/// Blocks that the sender has: a range, or a run-length coded bitfield of the range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Have {
    /// First block.
    pub start: u64,
    /// Number of blocks; 1 where the message does not say.
    pub length: u64,
    /// Run-length coded bits from `start` on (npm `bitfield-rle`), not decoded here.
    pub bitfield: Option<Bytes>,
    /// The message only acknowledges blocks that were sent.
    pub ack: bool,
}

/// Blocks that the sender has no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unhave {
    /// First block.
    pub start: u64,
    /// Number of blocks; 1 where the message does not say.
    pub length: u64,
}

/// Blocks of which the sender wants to be told, or no more to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    /// First block.
    pub start: u64,
    /// Number of blocks; all from `start` on where the message does not say.
    pub length: Option<u64>,
}

/// A block, or its hash, that the sender asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Request {
    /// Block.
    pub index: u64,
    /// When not 0, the block is the one that holds this byte of the feed, and `index` is a guess.
    pub bytes: u64,
    /// The proof alone is asked for, without the block.
    pub hash: bool,
    /// Digest of the proof nodes that the sender has already; 0 asks for all of them.
    pub nodes: u64,
}

/// A request that is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cancel {
    /// Block, as in the request.
    pub index: u64,
    /// Byte, as in the request.
    pub bytes: u64,
    /// Hash alone, as in the request.
    pub hash: bool,
}

/// Gives `encode` and `encoded_len` through the generated type.
macro_rules! by_generated_type {
    ($($name:ident),*) => {
        $(impl $name {
            /// Appends the message to the buffer.
            pub fn encode(&self, out: &mut impl BufMut) {
                self.to_pb().encode_raw(out);
            }

            /// Returns the size of the encoded message, bytes.
            pub fn encoded_len(&self) -> usize {
                self.to_pb().encoded_len()
            }
        })*
    };
}

by_generated_type!(Status, Unhave, Want, Cancel);

impl Status {
    /// Decodes a whole body.
    pub fn decode(body: Bytes) -> Result<Self, ProtoError> {
        let pb::Status { uploading, downloading } = check::parse("status", body)?;
        Ok(Self { uploading, downloading })
    }

    fn to_pb(self) -> pb::Status {
        pb::Status { uploading: self.uploading, downloading: self.downloading }
    }
}

impl Have {
    /// Names a range of blocks.
    pub const fn range(start: u64, length: u64) -> Self {
        Self { start, length, bitfield: None, ack: false }
    }

    /// Decodes a whole body; the bitfield shares its memory.
    pub fn decode(body: Bytes) -> Result<Self, ProtoError> {
        let have: pb::Have = check::parse("have", body)?;
        Ok(Self {
            start: check::block("have", "start", have.start)?,
            length: check::blocks(have.length()),
            ack: have.ack(),
            bitfield: have.bitfield,
        })
    }

    /// Appends the message to the buffer.
    pub fn encode(&self, out: &mut impl BufMut) {
        put_varint(out, 1, self.start);
        if self.length != 1 {
            put_varint(out, 2, self.length);
        }
        if let Some(bitfield) = &self.bitfield {
            put_bytes(out, 3, bitfield);
        }
        if self.ack {
            put_varint(out, 4, 1);
        }
    }

    /// Returns the size of the encoded message, bytes.
    pub fn encoded_len(&self) -> usize {
        let length = if self.length == 1 { 0 } else { key_len(2) + encoded_len_varint(self.length) };
        let bitfield = self
            .bitfield
            .as_ref()
            .map_or(0, |bitfield| key_len(3) + encoded_len_varint(bitfield.len() as u64) + bitfield.len());
        key_len(1) + encoded_len_varint(self.start) + length + bitfield + if self.ack { 2 } else { 0 }
    }
}

impl Unhave {
    /// Decodes a whole body.
    pub fn decode(body: Bytes) -> Result<Self, ProtoError> {
        let unhave: pb::Unhave = check::parse("unhave", body)?;
        Ok(Self {
            start: check::block("unhave", "start", unhave.start)?,
            length: check::blocks(unhave.length()),
        })
    }

    fn to_pb(self) -> pb::Unhave {
        pb::Unhave { start: Some(self.start), length: (self.length != 1).then_some(self.length) }
    }
}

impl Want {
    /// Decodes a whole body.
    pub fn decode(body: Bytes) -> Result<Self, ProtoError> {
        let want: pb::Want = check::parse("want", body)?;
        Ok(Self { start: check::block("want", "start", want.start)?, length: want.length.map(check::blocks) })
    }

    fn to_pb(self) -> pb::Want {
        pb::Want { start: Some(self.start), length: self.length }
    }
}

impl Request {
    /// Decodes a whole body.
    pub fn decode(body: Bytes) -> Result<Self, ProtoError> {
        let request: pb::Request = check::parse("request", body)?;
        Ok(Self {
            index: check::block("request", "index", request.index)?,
            bytes: request.bytes(),
            hash: request.hash(),
            nodes: request.nodes(),
        })
    }

    /// Appends the message to the buffer.
    pub fn encode(&self, out: &mut impl BufMut) {
        put_varint(out, 1, self.index);
        if self.bytes != 0 {
            put_varint(out, 2, self.bytes);
        }
        if self.hash {
            put_varint(out, 3, 1);
        }
        if self.nodes != 0 {
            put_varint(out, 4, self.nodes);
        }
    }

    /// Returns the size of the encoded message, bytes.
    pub fn encoded_len(&self) -> usize {
        let optional = |value: u64| if value == 0 { 0 } else { 1 + encoded_len_varint(value) };
        1 + encoded_len_varint(self.index)
            + optional(self.bytes)
            + optional(u64::from(self.hash))
            + optional(self.nodes)
    }
}

impl Cancel {
    /// Decodes a whole body.
    pub fn decode(body: Bytes) -> Result<Self, ProtoError> {
        let cancel: pb::Cancel = check::parse("cancel", body)?;
        Ok(Self {
            index: check::block("cancel", "index", cancel.index)?,
            bytes: cancel.bytes(),
            hash: cancel.hash(),
        })
    }

    fn to_pb(self) -> pb::Cancel {
        pb::Cancel {
            index: Some(self.index),
            bytes: (self.bytes != 0).then_some(self.bytes),
            hash: self.hash.then_some(true),
        }
    }
}
