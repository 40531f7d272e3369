//! The room's own bookkeeping: what stands in namespace zero of its state.
//!
//! ```text
//! "room"                u8 1 | room id 32                                          from block 0 on
//! "genesis"             u64 index of the block before which the genesis rules begin to hold
//! "s" author 32         u64 sequence of the author's next entry
//! "rules"               rules that hold, by id; for each:
//!                       id 32 | module 32 | u32 meter | u8 locked | u64 since | u8 length | name
//! "p" rule 32           parameters of a rule that holds
//! "u" rule 32           u64 bytes | u64 keys, of all that the rule's state holds
//! "pending"             changes that wait, in the order in which they take effect; for each:
//!                       u64 activation | u64 index of the block of the change
//! "c" u64 index         change that waits: u8 operation | rule 32 | module 32 | u32 meter | u8 length | name | parameters
//! "modules"             modules that are coming in, the longest quiet one first; for each:
//!                       module 32 | u32 size | u32 bytes that came | u16 number of chunks | u64 index of each chunk
//! "final"             u64 length of the longest Final that stands in a certificate block
//! "e" id 32           u64 index of the block in which this evidence stands
//! "closes"            u64 index of the newest change of validators
//! "m" module 32         module that has come: u32 size | u64 index of each chunk
//! ```
//!
//! Numbers are little-endian. What an operation does not have is zeros. Keys are told apart by their lengths.

use quorate_rules::abi::Usage;
use quorate_rules::state::{ROOM_SPACE, StateError, StateStore, WriteSet};
use quorate_types::{Hash, ModuleHash, PublicKey, RoomId, RuleId};

pub(crate) const ROOM: &[u8] = b"room";
pub(crate) const GENESIS: &[u8] = b"genesis";
pub(crate) const RULES: &[u8] = b"rules";
pub(crate) const PENDING: &[u8] = b"pending";
pub(crate) const MODULES: &[u8] = b"modules";
pub(crate) const FINAL: &[u8] = b"final";
pub(crate) const CLOSES: &[u8] = b"closes";

/// Version of this layout.
const LAYOUT: u8 = 1;

pub(crate) fn sequence(author: &PublicKey) -> Vec<u8> {
    key(b's', author.as_bytes())
}

pub(crate) fn params(rule: &RuleId) -> Vec<u8> {
    key(b'p', rule.as_bytes())
}

pub(crate) fn usage(rule: &RuleId) -> Vec<u8> {
    key(b'u', rule.as_bytes())
}

pub(crate) fn change(index: u64) -> Vec<u8> {
    key(b'c', &index.to_le_bytes())
}

pub(crate) fn evidence(id: &Hash) -> Vec<u8> {
    key(b'e', id.as_bytes())
}

pub(crate) fn module(module: &ModuleHash) -> Vec<u8> {
    key(b'm', module.as_bytes())
}

fn key(kind: u8, of: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(of.len().saturating_add(1));
    key.push(kind);
    key.extend_from_slice(of);
    key
}

/// Value of `"room"`.
pub(crate) fn room_value(room: &RoomId) -> Vec<u8> {
    key(LAYOUT, room.as_bytes())
}

pub(crate) fn put(writes: &mut WriteSet, key: Vec<u8>, value: Vec<u8>) {
    writes.insert((ROOM_SPACE, key), Some(value));
}

pub(crate) fn remove(writes: &mut WriteSet, key: Vec<u8>) {
    writes.insert((ROOM_SPACE, key), None);
}

/// Reads a value of the bookkeeping.
pub(crate) fn get(state: &dyn StateStore, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
    state.get(&ROOM_SPACE, key)
}

/// Reads a number of the bookkeeping; 0 where there is none.
pub(crate) fn get_u64(state: &dyn StateStore, key: &[u8]) -> Result<Option<u64>, StateError> {
    let Some(value) = get(state, key)? else { return Ok(None) };
    let number = <[u8; 8]>::try_from(value.as_slice()).map_err(|_| damaged(key))?;
    Ok(Some(u64::from_le_bytes(number)))
}

/// Reads what a rule's state holds.
pub(crate) fn get_usage(state: &dyn StateStore, rule: &RuleId) -> Result<Usage, StateError> {
    let key = usage(rule);
    let Some(value) = get(state, &key)? else { return Ok(Usage::default()) };
    let mut reader = Reader(&value);
    let usage = reader.u64().zip(reader.u64()).filter(|_| reader.is_empty());
    let (bytes, keys) = usage.ok_or_else(|| damaged(&key))?;
    Ok(Usage { bytes, keys })
}

pub(crate) fn put_usage(writes: &mut WriteSet, rule: &RuleId, of: &Usage) {
    put(writes, usage(rule), [of.bytes.to_le_bytes(), of.keys.to_le_bytes()].concat());
}

/// The bookkeeping is not what this module writes.
pub(crate) fn damaged(key: &[u8]) -> StateError {
    let name: String = key.iter().take(8).map(|byte| char::from(*byte)).collect();
    StateError::Damaged { what: format!("expected the room's bookkeeping at {name:?}, found something else") }
}

/// Reads a value from its start.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}
