//! What a room hands over.

use crate::bytes::{Hash, Input, Key};

/// Version of the interface that this crate speaks.
const ABI: u16 = 1;

/// Flag of `rule_init`: the rule's state was kept.
const KEPT: u8 = 1;

/// What a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An action of a participant.
    Action,
    /// A change of the room's rules.
    Change,
    /// The rule begins to hold.
    Init,
    /// A question of an interface.
    Query,
}

/// Who wants what, where in the history.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    kind: Kind,
    flags: u8,
    index: u64,
    previous: Hash,
    author: Key,
    params: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Call<'a> {
    /// Reads what a room wrote; `None` when that is no call of this version.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut input = Input(bytes);
        if input.u16()? != ABI {
            return None;
        }
        let kind = match input.u8()? {
            1 => Kind::Action,
            2 => Kind::Change,
            3 => Kind::Init,
            4 => Kind::Query,
            _ => return None,
        };
        let flags = input.u8()?;
        let index = input.u64()?;
        let previous = Hash(input.array()?);
        let author = Key(input.array()?);
        let (params, payload) = (input.size()?, input.size()?);
        let (params, payload) = (input.take(params)?, input.take(payload)?);
        input.0.is_empty().then_some(Self { kind, flags, index, previous, author, params, payload })
    }

    /// What the call is about.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// In `init`: whether the rule's state was kept, as new params and a new module do.
    pub fn keeps_state(&self) -> bool {
        self.flags & KEPT != 0
    }

    /// Index of the block that the entry would become. In `init`, of the first that the rule holds for.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Tree hash of the history before the entry. Zeros in `init`.
    pub fn previous(&self) -> Hash {
        self.previous
    }

    /// Who signed the entry. Zeros in `init`.
    pub fn author(&self) -> Key {
        self.author
    }

    /// The rule's params, at most 16 KiB.
    pub fn params(&self) -> &'a [u8] {
        self.params
    }

    /// What the author says, at most 63 KiB; in `query`, the question.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// What a [`Change`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A rule is added.
    Install,
    /// A rule is taken away.
    Remove,
    /// A rule gets another module, and keeps its state.
    Replace,
    /// A rule gets other params, and keeps its state.
    Params,
    /// The room gets other validators: [`Change::params`] is the votes that commit, u32 little-endian, and their keys, 32 bytes
    /// each. The author is the host.
    Validators,
}

/// A change of the room's rules.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    operation: Operation,
    about_this_rule: bool,
    activation: u64,
    rule: Hash,
    module: Hash,
    name: &'a [u8],
    params: &'a [u8],
}

impl<'a> Change<'a> {
    /// Reads the payload of a call of kind [`Kind::Change`]; `None` when it is malformed.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut input = Input(bytes);
        let operation = match input.u8()? {
            1 => Operation::Install,
            2 => Operation::Remove,
            3 => Operation::Replace,
            4 => Operation::Params,
            5 => Operation::Validators,
            _ => return None,
        };
        let about_this_rule = input.u8()? != 0;
        let activation = input.u64()?;
        let (rule, module) = (Hash(input.array()?), Hash(input.array()?));
        let (name, params) = (input.size()?, input.size()?);
        let (name, params) = (input.take(name)?, input.take(params)?);
        let change = Self { operation, about_this_rule, activation, rule, module, name, params };
        input.0.is_empty().then_some(change)
    }

    /// What it does.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// Whether it is about the rule that is asked.
    pub fn is_about_this_rule(&self) -> bool {
        self.about_this_rule
    }

    /// Index of the first block that it holds for.
    pub fn activation(&self) -> u64 {
        self.activation
    }

    /// Id of the rule that it is about; zeros for an install.
    pub fn rule(&self) -> Hash {
        self.rule
    }

    /// Hash of the new module; zeros unless install or replace.
    pub fn module(&self) -> Hash {
        self.module
    }

    /// Name of the rule: 1 to 32 of a to z, 0 to 9 and the hyphen.
    pub fn name(&self) -> &'a [u8] {
        self.name
    }

    /// The new params.
    pub fn params(&self) -> &'a [u8] {
        self.params
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    fn call() -> Vec<u8> {
        let mut bytes = Vec::from([1, 0, 3, 1]);
        bytes.extend(7u64.to_le_bytes());
        bytes.extend([1; 32]);
        bytes.extend([2; 32]);
        bytes.extend(2u32.to_le_bytes());
        bytes.extend(3u32.to_le_bytes());
        bytes.extend(b"{}abc");
        bytes
    }

    #[test]
    fn a_call_is_read_as_it_was_written() {
        let bytes = call();
        assert_eq!(bytes.len(), 84 + 5);
        let call = Call::parse(&bytes).unwrap();
        assert_eq!((call.kind(), call.keeps_state(), call.index()), (Kind::Init, true, 7));
        assert_eq!((call.previous(), call.author()), (Hash([1; 32]), Key([2; 32])));
        assert_eq!((call.params(), call.payload()), (&b"{}"[..], &b"abc"[..]));
    }

    #[test]
    fn what_is_no_call_of_this_version_is_not_read() {
        for size in 0..call().len() {
            assert!(Call::parse(&call()[..size]).is_none(), "cut at {size}");
        }
        for (at, byte) in [(0, 2), (1, 1), (2, 0), (2, 5), (76, 3), (83, 255)] {
            let mut bytes = call();
            bytes[at] = byte;
            assert!(Call::parse(&bytes).is_none(), "{byte} at {at}");
        }
    }

    #[test]
    fn a_change_is_read_as_it_was_written() {
        let mut bytes = Vec::from([3, 1]);
        bytes.extend(9u64.to_le_bytes());
        bytes.extend([1; 32]);
        bytes.extend([2; 32]);
        bytes.extend(5u32.to_le_bytes());
        bytes.extend(1u32.to_le_bytes());
        bytes.extend(b"chess1");
        let change = Change::parse(&bytes).unwrap();
        assert_eq!(change.operation(), Operation::Replace);
        assert!(change.is_about_this_rule());
        assert_eq!((change.activation(), change.rule(), change.module()), (9, Hash([1; 32]), Hash([2; 32])));
        assert_eq!((change.name(), change.params()), (&b"chess"[..], &b"1"[..]));
        for size in 0..bytes.len() {
            assert!(Change::parse(&bytes[..size]).is_none(), "cut at {size}");
        }
    }
}
