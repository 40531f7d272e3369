//! The part of a check that needs nothing but the block: encoding, sizes, signature.

use bytes::Bytes;
use quorate_types::RoomId;

use crate::action::{Action, verify_many};
use crate::chunk::ModuleChunk;
use crate::entry::{Entry, EntryError, Proof, VerifiedEntry};
use crate::identity::KnownKeys;
use crate::refusal::Refusal;

/// An entry in its canonical encoding whose signature, if it has one, verifies for its room.
#[derive(Debug, Clone, PartialEq, Eq)]
// Chunks are few: a box would only cost an allocation for each signed entry.
#[allow(clippy::large_enum_variant)]
pub enum AuthenticEntry {
    /// What a participant signed.
    Signed(VerifiedEntry),
    /// A part of a module, which nobody signs.
    Chunk(ModuleChunk),
    /// What validators signed; the room verifies it by who they are.
    Proof(Proof),
}

impl AuthenticEntry {
    /// Reads a block after block 0, and verifies its signature for a room.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] that [`Room::check`](super::Room::check) would return.
    pub fn read(room: &RoomId, block: Bytes) -> Result<Self, Refusal> {
        Ok(match Entry::decode(block)? {
            Entry::Chunk(chunk) => Self::Chunk(chunk),
            Entry::Proof(proof) => Self::Proof(proof),
            entry => Self::Signed(entry.verify(room)?),
        })
    }
}

impl From<VerifiedEntry> for AuthenticEntry {
    fn from(entry: VerifiedEntry) -> Self {
        Self::Signed(entry)
    }
}

/// Reads and verifies blocks that do not depend on each other, each as [`AuthenticEntry::read`] does, in their order.
///
/// Much of the time of a replay is spent here: call it on as many threads as there are cores, all with the same keys, ahead
/// of [`Room::replay`](super::Room::replay).
pub fn authenticate_many(
    keys: &KnownKeys,
    room: &RoomId,
    blocks: impl IntoIterator<Item = Bytes>,
) -> Vec<Result<AuthenticEntry, Refusal>> {
    /// An action waits for the verification of all actions.
    enum Read {
        Action,
        Other(Box<Result<AuthenticEntry, EntryError>>),
    }
    let mut actions: Vec<Action> = Vec::new();
    let read = |block| match Entry::decode(block) {
        Ok(Entry::Action(action)) => {
            actions.push(action);
            Read::Action
        }
        Ok(Entry::Chunk(chunk)) => Read::Other(Box::new(Ok(AuthenticEntry::Chunk(chunk)))),
        Ok(Entry::Proof(proof)) => Read::Other(Box::new(Ok(AuthenticEntry::Proof(proof)))),
        Ok(entry) => Read::Other(Box::new(entry.verify(room).map(AuthenticEntry::Signed))),
        Err(error) => Read::Other(Box::new(Err(error))),
    };
    let entries: Vec<Read> = blocks.into_iter().map(read).collect();
    let mut actions = verify_many(keys, room, actions).into_iter();
    let finish = |entry| match entry {
        Read::Action => {
            let action = actions.next().unwrap_or(Err(EntryError::NotSigned));
            action.map(|action| AuthenticEntry::Signed(action.into())).map_err(Refusal::from)
        }
        Read::Other(entry) => entry.map_err(Refusal::from),
    };
    entries.into_iter().map(finish).collect()
}
