//! Messages of the Dat wires A and B2, checked.
//!
//! Sources: hypercore-protocol 6 `schema.proto`, simple-hypercore-protocol 2 `schema.proto`, DEP-0010.

mod check;
mod control;
mod data;
mod feed;

use bytes::{BufMut, Bytes};

pub use control::{ChannelOpen, Close, FeedOpen, Handshake, NoisePayload, Options};
pub use data::Data;
pub use feed::{Cancel, Have, Request, Status, Unhave, Want};

use crate::ProtoError;

/// Type of a frame: the low four bits of its header.
pub mod kind {
    /// Names a feed: `FeedOpen` on wire A, `ChannelOpen` on wire B2.
    pub const OPEN: u8 = 0;
    /// `Handshake` on wire A, `Options` on wire B2.
    pub const OPTIONS: u8 = 1;
    /// `Status`, called Info on wire A.
    pub const STATUS: u8 = 2;
    /// `Have`.
    pub const HAVE: u8 = 3;
    /// `Unhave`.
    pub const UNHAVE: u8 = 4;
    /// `Want`.
    pub const WANT: u8 = 5;
    /// `Want`, taken back.
    pub const UNWANT: u8 = 6;
    /// `Request`.
    pub const REQUEST: u8 = 7;
    /// `Cancel`.
    pub const CANCEL: u8 = 8;
    /// `Data`.
    pub const DATA: u8 = 9;
    /// `Close`, on wire B2 alone.
    pub const CLOSE: u8 = 10;
    /// Extension message: a varint, then bytes of its own.
    pub const EXTENSION: u8 = 15;
}

/// Message about the blocks of one feed; both wires have the same ones with the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedMessage {
    /// Which directions the sender still takes part in.
    Status(Status),
    /// Blocks that the sender has.
    Have(Have),
    /// Blocks that the sender has no more.
    Unhave(Unhave),
    /// Blocks of which the sender wants to be told.
    Want(Want),
    /// Blocks of which the sender wants to be told no more.
    Unwant(Want),
    /// A block, or its hash, that the sender asks for.
    Request(Request),
    /// A request that is taken back.
    Cancel(Cancel),
    /// A block with its proof, or a proof alone.
    Data(Data),
}

impl FeedMessage {
    /// Returns the frame type, one of [`kind`].
    pub const fn kind(&self) -> u8 {
        match self {
            Self::Status(_) => kind::STATUS,
            Self::Have(_) => kind::HAVE,
            Self::Unhave(_) => kind::UNHAVE,
            Self::Want(_) => kind::WANT,
            Self::Unwant(_) => kind::UNWANT,
            Self::Request(_) => kind::REQUEST,
            Self::Cancel(_) => kind::CANCEL,
            Self::Data(_) => kind::DATA,
        }
    }

    /// Decodes the body of a frame; `None` for a type that is no message about blocks.
    ///
    /// The payloads of the result share the memory of `body`.
    pub fn decode(kind: u8, body: Bytes) -> Result<Option<Self>, ProtoError> {
        Ok(Some(match kind {
            kind::STATUS => Self::Status(Status::decode(body)?),
            kind::HAVE => Self::Have(Have::decode(body)?),
            kind::UNHAVE => Self::Unhave(Unhave::decode(body)?),
            kind::WANT => Self::Want(Want::decode(body)?),
            kind::UNWANT => Self::Unwant(Want::decode(body)?),
            kind::REQUEST => Self::Request(Request::decode(body)?),
            kind::CANCEL => Self::Cancel(Cancel::decode(body)?),
            kind::DATA => Self::Data(Data::decode(body)?),
            _ => return Ok(None),
        }))
    }

    /// Appends the body to the buffer, which must have room for [`encoded_len`](Self::encoded_len) bytes
    /// or grow by itself.
    pub fn encode(&self, out: &mut impl BufMut) {
        match self {
            Self::Status(message) => message.encode(out),
            Self::Have(message) => message.encode(out),
            Self::Unhave(message) => message.encode(out),
            Self::Want(message) | Self::Unwant(message) => message.encode(out),
            Self::Request(message) => message.encode(out),
            Self::Cancel(message) => message.encode(out),
            Self::Data(message) => message.encode(out),
        }
    }

    /// Returns the size of the body, bytes.
    pub fn encoded_len(&self) -> usize {
        match self {
            Self::Status(message) => message.encoded_len(),
            Self::Have(message) => message.encoded_len(),
            Self::Unhave(message) => message.encoded_len(),
            Self::Want(message) | Self::Unwant(message) => message.encoded_len(),
            Self::Request(message) => message.encoded_len(),
            Self::Cancel(message) => message.encoded_len(),
            Self::Data(message) => message.encoded_len(),
        }
    }
}

macro_rules! from_message {
    ($($name:ident),*) => {
        $(impl From<$name> for FeedMessage {
            fn from(message: $name) -> Self {
                Self::$name(message)
            }
        })*
    };
}

from_message!(Status, Have, Unhave, Request, Cancel, Data);
