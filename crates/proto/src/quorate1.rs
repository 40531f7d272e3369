//! Messages of the extension `quorate/1` (`proto/quorate1.proto`): frames, and what is checked about their bodies.
//!
//! Unlike entries these bodies need no canonical encoding: what is signed has a fixed layout, and a field that is not
//! known is skipped, so that newer nodes may say more.

mod frame;
mod quorum;
mod receipt;

use bytes::Bytes;
use prost::Message as _;
use quorate_types::limits::{MAX_EXTENSION_BYTES, MAX_MODULE_BYTES};
use quorate_types::{Hash, ModuleHash, RoomId};

pub use frame::{FRAME_HEADER_BYTES, Frame, FrameError, Frames, MAX_BODY_BYTES, kind};
pub use quorum::{MAX_PROPOSALS, QuorumMessage, QuorumStatus};
pub use receipt::{Outcome, Receipt, Refused};

use crate::fields::In;
use crate::{ProtoError, pb_quorate1 as pb};

/// Largest part of a module in one frame, bytes: hash, positions and framing fit beside it.
pub const MAX_PART_BYTES: usize = 60 * 1024;

/// Largest entry that can be submitted, bytes: the room id and the framing fit beside it.
pub const MAX_SUBMIT_BYTES: usize = MAX_EXTENSION_BYTES - 64;

/// Largest distance to the host that is believed; what is further away is unknown.
pub const MAX_DISTANCE: u32 = 16;

/// What a node tells its peers about a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status {
    /// Blocks that it has from block 0 on.
    pub length: u64,
    /// Tree hash of those blocks; `None` when there are none.
    pub tree_hash: Option<Hash>,
    /// 1 for the host, one more for each peer on the way to it, 0 when no way is known.
    pub distance: u32,
}

/// A signed entry on its way to the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submit {
    /// Room for which it is signed.
    pub room: RoomId,
    /// The block, not decoded.
    pub entry: Bytes,
}

/// A part of a module that a submitted rule change needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Room of the rule change.
    pub room: RoomId,
    /// Hash of the whole module.
    pub module: ModuleHash,
    /// Size of the whole module, bytes.
    pub size: u32,
    /// Where the part begins; it ends within the size.
    pub offset: u32,
    /// The part, 1 byte or more.
    pub data: Bytes,
}

/// Asks for a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WantModule {
    /// Room of the rule change.
    pub room: RoomId,
    /// Hash of the module.
    pub module: ModuleHash,
    /// First byte that is wanted.
    pub offset: u32,
}

/// A message, by the type of its frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// What a node tells about a room.
    Status(Status),
    /// An entry on its way to the host.
    Submit(Submit),
    /// The host's answer on its way back.
    Receipt(Receipt),
    /// A part of a module.
    Module(Module),
    /// Asks for a module.
    WantModule(WantModule),
    /// What only rooms with validators have.
    Quorum(QuorumMessage),
}

impl Message {
    /// Returns the type of the frame, one of [`kind`].
    pub const fn kind(&self) -> u8 {
        match self {
            Self::Status(_) => kind::STATUS,
            Self::Submit(_) => kind::SUBMIT,
            Self::Receipt(_) => kind::RECEIPT,
            Self::Module(_) => kind::MODULE,
            Self::WantModule(_) => kind::WANT_MODULE,
            Self::Quorum(message) => message.kind(),
        }
    }

    /// Decodes the body of a frame; `None` for a type that is not known.
    ///
    /// # Errors
    ///
    /// [`ProtoError`] for a body that is no message of this type.
    pub fn decode(kind: u8, body: Bytes) -> Result<Option<Self>, ProtoError> {
        Ok(Some(match kind {
            kind::STATUS => Self::Status(Status::from_pb(&parse("status", body)?)?),
            kind::SUBMIT => Self::Submit(Submit::from_pb(parse("submit", body)?)?),
            kind::RECEIPT => Self::Receipt(Receipt::from_pb(parse("receipt", body)?)?),
            kind::MODULE => Self::Module(Module::from_pb(parse("module", body)?)?),
            kind::WANT_MODULE => Self::WantModule(WantModule::from_pb(&parse("want module", body)?)?),
            _ => return Ok(QuorumMessage::decode(kind, body)?.map(Self::Quorum)),
        }))
    }

    /// Encodes the body of the frame.
    pub fn encode_body(&self) -> Vec<u8> {
        match self {
            Self::Status(status) => status.to_pb().encode_to_vec(),
            Self::Submit(submit) => submit.to_pb().encode_to_vec(),
            Self::Receipt(receipt) => receipt.to_pb().encode_to_vec(),
            Self::Module(module) => module.to_pb().encode_to_vec(),
            Self::WantModule(want) => want.to_pb().encode_to_vec(),
            Self::Quorum(message) => message.encode_body(),
        }
    }

    /// Encodes the message as one frame.
    pub fn encode(&self) -> Bytes {
        frame::encode(self.kind(), &self.encode_body())
    }
}

impl Status {
    /// Tells whether the sender says that it is the host.
    pub const fn is_host(&self) -> bool {
        self.distance == 1
    }

    fn from_pb(status: &pb::Status) -> Result<Self, ProtoError> {
        let here = In("status");
        let tree_hash = here.fixed_or_none("tree_hash", &status.tree_hash)?;
        if tree_hash.is_some() != (status.length > 0) {
            let expected = if status.length > 0 { Hash::LEN } else { 0 };
            let found = status.tree_hash.len();
            return Err(ProtoError::Length { message: "status", field: "tree_hash", expected, found });
        }
        Ok(Self {
            length: here.height("length", status.length)?,
            tree_hash,
            distance: if status.distance > MAX_DISTANCE { 0 } else { status.distance },
        })
    }

    fn to_pb(self) -> pb::Status {
        pb::Status {
            length: self.length,
            tree_hash: self.tree_hash.map_or_else(Bytes::new, |hash| copy(hash.as_bytes())),
            distance: self.distance,
        }
    }
}

impl Submit {
    fn from_pb(submit: pb::Submit) -> Result<Self, ProtoError> {
        let here = In("submit");
        let room = here.fixed("room", &submit.room)?;
        Ok(Self { room, entry: here.some_bytes("entry", MAX_SUBMIT_BYTES, submit.entry)? })
    }

    fn to_pb(&self) -> pb::Submit {
        pb::Submit { room: copy(self.room.as_bytes()), entry: self.entry.clone() }
    }
}

impl Module {
    fn from_pb(module: pb::Module) -> Result<Self, ProtoError> {
        let here = In("module");
        let size = here.number("size", MAX_MODULE_BYTES as u64, module.size)?;
        let data = here.some_bytes("data", MAX_PART_BYTES, module.data)?;
        let end = u64::from(module.offset).saturating_add(data.len() as u64);
        here.number("offset plus data", u64::from(size), end)?;
        Ok(Self {
            room: here.fixed("room", &module.room)?,
            module: here.fixed("module", &module.module)?,
            size,
            offset: module.offset,
            data,
        })
    }

    fn to_pb(&self) -> pb::Module {
        pb::Module {
            room: copy(self.room.as_bytes()),
            module: copy(self.module.as_bytes()),
            size: self.size,
            offset: self.offset,
            data: self.data.clone(),
        }
    }
}

impl WantModule {
    fn from_pb(want: &pb::WantModule) -> Result<Self, ProtoError> {
        let here = In("want module");
        Ok(Self {
            room: here.fixed("room", &want.room)?,
            module: here.fixed("module", &want.module)?,
            offset: here.number("offset", MAX_MODULE_BYTES as u64, want.offset)?,
        })
    }

    fn to_pb(self) -> pb::WantModule {
        pb::WantModule {
            room: copy(self.room.as_bytes()),
            module: copy(self.module.as_bytes()),
            offset: self.offset,
        }
    }
}

fn parse<M: prost::Message + Default>(message: &'static str, body: Bytes) -> Result<M, ProtoError> {
    M::decode(body).map_err(|error| ProtoError::Malformed { message, error })
}

fn copy(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}
