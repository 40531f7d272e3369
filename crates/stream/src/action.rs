//! A participant's signed message.

use std::ops::Deref;

use bytes::Bytes;
use quorate_proto::stream as proto;
use quorate_types::limits::{MAX_FEED_LENGTH, MAX_PAYLOAD_BYTES};
use quorate_types::{Hash, PublicKey, RoomId, Signature};

use crate::entry::EntryError;
use crate::identity::{Anchor, Author, KnownKeys, Together, Verifier, b2b256, b2b256_many};

/// What every action's signed bytes begin with.
pub const ACTION_CONTEXT: &[u8] = b"quorate/1 action\0";

/// A message that is still to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsignedAction {
    /// The author's actions and rule changes in the room before this one.
    pub sequence: u64,
    /// Head that the author has seen.
    pub anchor: Anchor,
    /// Last index at which the action may stand; 0 for any.
    pub valid_until: u64,
    /// The application's bytes, at most [`MAX_PAYLOAD_BYTES`].
    pub payload: Bytes,
}

/// A participant's signed message. Its signature is not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Key of the author.
    pub author: PublicKey,
    /// The author's actions and rule changes in the room before this one.
    pub sequence: u64,
    /// Head that the author had seen.
    pub anchor: Anchor,
    /// Last index at which the action may stand; 0 for any.
    pub valid_until: u64,
    /// The application's bytes.
    pub payload: Bytes,
    /// By the author.
    pub signature: Signature,
}

/// A participant's message whose signature verifies for a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedAction {
    action: Action,
    room: RoomId,
    digest: Hash,
}

/// Why a message cannot be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected at most {limit} in `{field}`, found {found}")]
pub struct UnsignableError {
    /// Name of the field.
    pub field: &'static str,
    /// Largest value.
    pub limit: u64,
    /// Value that was given.
    pub found: u64,
}

impl UnsignedAction {
    /// Signs the message for a room.
    ///
    /// # Errors
    ///
    /// [`UnsignableError`] when a field is beyond its limit.
    pub fn sign(self, room: &RoomId, author: &Author) -> Result<VerifiedAction, UnsignableError> {
        let mut action = self.unsigned(author.public())?;
        let bytes = action.signed_bytes(room);
        action.signature = author.sign(&bytes);
        Ok(VerifiedAction { action, room: *room, digest: b2b256(&bytes) })
    }

    /// Returns the action with a signature of zeros.
    fn unsigned(self, author: PublicKey) -> Result<Action, UnsignableError> {
        check_heights(self.sequence, &self.anchor, self.valid_until)?;
        at_most("payload", MAX_PAYLOAD_BYTES as u64, self.payload.len() as u64)?;
        Ok(Action {
            author,
            sequence: self.sequence,
            anchor: self.anchor,
            valid_until: self.valid_until,
            payload: self.payload,
            signature: Signature::new([0; 64]),
        })
    }
}

/// Signs actions of an author, each as [`UnsignedAction::sign`] does, in less time.
///
/// # Errors
///
/// [`UnsignableError`] of the first that has a field beyond its limit; none is signed then.
pub fn sign_many(
    room: &RoomId,
    author: &Author,
    actions: impl IntoIterator<Item = UnsignedAction>,
) -> Result<Vec<VerifiedAction>, UnsignableError> {
    let public = author.public();
    let actions = actions.into_iter().map(|action| action.unsigned(public));
    let actions = actions.collect::<Result<Vec<Action>, _>>()?;
    let texts: Vec<Vec<u8>> = actions.iter().map(|action| action.signed_bytes(room)).collect();
    let made = author.sign_many(&texts).into_iter().zip(b2b256_many(&texts));
    let signed = actions.into_iter().zip(made).map(|(action, (signature, digest))| VerifiedAction {
        action: Action { signature, ..action },
        room: *room,
        digest,
    });
    Ok(signed.collect())
}

pub(crate) fn check_heights(sequence: u64, anchor: &Anchor, valid_until: u64) -> Result<(), UnsignableError> {
    at_most("sequence", MAX_FEED_LENGTH, sequence)?;
    at_most("anchor_length", MAX_FEED_LENGTH, anchor.length())?;
    at_most("valid_until", MAX_FEED_LENGTH, valid_until)
}

pub(crate) fn at_most(field: &'static str, limit: u64, found: u64) -> Result<(), UnsignableError> {
    if found > limit { Err(UnsignableError { field, limit, found }) } else { Ok(()) }
}

impl Action {
    /// Returns what the author signs: `"quorate/1 action\0" | room | author | u64le sequence | u64le anchor length |
    /// anchor hash | u64le valid until | u32le payload length | payload`.
    pub fn signed_bytes(&self, room: &RoomId) -> Vec<u8> {
        let len = u32::try_from(self.payload.len()).unwrap_or(u32::MAX);
        [
            ACTION_CONTEXT,
            room.as_ref(),
            self.author.as_ref(),
            &self.sequence.to_le_bytes(),
            &self.anchor.length().to_le_bytes(),
            self.anchor.hash().as_ref(),
            &self.valid_until.to_le_bytes(),
            &len.to_le_bytes(),
            &self.payload,
        ]
        .concat()
    }

    /// Verifies the signature for a room, strictly: everyone comes to the same result.
    ///
    /// # Errors
    ///
    /// [`EntryError::Forged`].
    pub fn verify(self, room: &RoomId) -> Result<VerifiedAction, EntryError> {
        let bytes = self.signed_bytes(room);
        match Verifier::new(&self.author).and_then(|verifier| verifier.verify(&bytes, &self.signature)) {
            Ok(()) => Ok(VerifiedAction { action: self, room: *room, digest: b2b256(&bytes) }),
            Err(why) => Err(EntryError::Forged { author: self.author, room: *room, why }),
        }
    }

    /// Encodes the block.
    pub fn encode(&self) -> Bytes {
        proto::Entry::Action(proto::Action {
            author: self.author,
            sequence: self.sequence,
            anchor_length: self.anchor.length(),
            anchor_hash: *self.anchor.hash(),
            valid_until: self.valid_until,
            payload: self.payload.clone(),
            signature: self.signature,
        })
        .encode()
    }
}

/// Actions whose signatures are settled together.
const SETTLED_TOGETHER: usize = 128;

/// Verifies actions that do not depend on each other, each as [`Action::verify`] does, in their order.
///
/// Split a long list and call this from as many threads as there are cores, all with the same keys.
pub fn verify_many(
    keys: &KnownKeys,
    room: &RoomId,
    actions: impl IntoIterator<Item = Action>,
) -> Vec<Result<VerifiedAction, EntryError>> {
    let mut actions = actions.into_iter();
    let mut verified = Vec::with_capacity(actions.size_hint().0);
    loop {
        let begun: Vec<Action> = actions.by_ref().take(SETTLED_TOGETHER).collect();
        if begun.is_empty() {
            return verified;
        }
        let texts: Vec<Vec<u8>> = begun.iter().map(|action| action.signed_bytes(room)).collect();
        let mut together = Together::new(keys);
        for (action, text) in begun.iter().zip(&texts) {
            together.add(&action.author, text, &action.signature);
        }
        let begun = begun.into_iter().zip(b2b256_many(&texts));
        let settled = begun.zip(together.settle());
        verified.extend(settled.map(|((action, digest), result)| match result {
            Ok(()) => Ok(VerifiedAction { action, room: *room, digest }),
            Err(why) => Err(EntryError::Forged { author: action.author, room: *room, why }),
        }));
    }
}

impl VerifiedAction {
    /// Returns the hash of what the author signed, by which the action is known.
    pub const fn digest(&self) -> &Hash {
        &self.digest
    }

    /// Returns the room for which it is signed.
    pub const fn room(&self) -> &RoomId {
        &self.room
    }

    /// Returns the action.
    pub fn into_inner(self) -> Action {
        self.action
    }
}

impl Deref for VerifiedAction {
    type Target = Action;

    fn deref(&self) -> &Action {
        &self.action
    }
}

impl From<proto::Action> for Action {
    fn from(action: proto::Action) -> Self {
        Self {
            author: action.author,
            sequence: action.sequence,
            anchor: Anchor::new(action.anchor_length, action.anchor_hash),
            valid_until: action.valid_until,
            payload: action.payload,
            signature: action.signature,
        }
    }
}
