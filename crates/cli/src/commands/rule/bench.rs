//! A rule with a state in memory: what a room does with a rule, without the room.

use std::collections::BTreeMap;

use bytes::Bytes;
use quorate_node::{Code, Failure};
use quorate_rules::abi::{Call, CallKind, Host, Missing, Usage};
use quorate_rules::engine::Rule;
use quorate_rules::limits::GAS_LIMIT_CHECK;
use quorate_rules::state::StateError;
use quorate_rules::verdict::{Outcome as Judgement, Verdict};
use quorate_types::{Hash, PublicKey};

use crate::stop::Outcome;
use crate::text;

/// The author of entries that name none.
pub(super) const NOBODY: PublicKey = PublicKey::new([0; PublicKey::LEN]);

/// A rule that has begun. Nothing stands before its first entry but what it is given, and the tree hashes of the history are zeros, as they
/// are where a room runs the test vectors of a change.
pub(super) struct Bench {
    rule: Rule,
    params: Vec<u8>,
    state: State,
}

impl Bench {
    /// Lets a rule begin with its params, on an empty state.
    pub(super) fn begin(rule: Rule, params: Vec<u8>) -> Outcome<Self> {
        let mut bench = Self { rule, params, state: State::default() };
        let judgement = bench.call(CallKind::Init, 0, NOBODY, &[]);
        match judgement.verdict {
            Verdict::Accept => Ok(bench),
            Verdict::Reject { code, reason } => {
                let message =
                    format!("the rule refuses its params, with code {code}: {}", text::clean(&reason));
                Err(Failure::new(Code::ParamsRefused, message).into())
            }
            Verdict::Unable(why) => Err(Failure::new(Code::Unable, why.to_string()).into()),
        }
    }

    /// Goes on with a rule that has begun, on the state that it has.
    pub(super) fn resume(rule: Rule, params: Vec<u8>, values: BTreeMap<Vec<u8>, Vec<u8>>) -> Self {
        let bytes = values.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum();
        let usage = Usage { bytes, keys: values.len() as u64 };
        Self { rule, params, state: State { values, usage, ..State::default() } }
    }

    /// Judges an entry at a height. What the rule writes stays when it accepts.
    pub(super) fn judge(&mut self, height: u64, author: PublicKey, payload: &[u8]) -> Judgement {
        self.call(CallKind::Check, height, author, payload)
    }

    /// Lets the rule read a block that stands before the entries to come.
    pub(super) fn remember(&mut self, index: u64, block: Bytes) {
        self.state.blocks.insert(index, block);
    }

    fn call(&mut self, kind: CallKind, index: u64, author: PublicKey, payload: &[u8]) -> Judgement {
        let call = Call {
            kind,
            flags: 0,
            index,
            previous: Hash::new([0; Hash::LEN]),
            author,
            params: &self.params,
            payload,
            gas: GAS_LIMIT_CHECK.unsigned_abs(),
        };
        let judgement = self.rule.check(&call, &mut self.state);
        self.state.take(&judgement);
        judgement
    }
}

#[derive(Default)]
struct State {
    /// Blocks that stand before, for a rule that reads them.
    blocks: BTreeMap<u64, Bytes>,
    values: BTreeMap<Vec<u8>, Vec<u8>>,
    usage: Usage,
}

impl State {
    /// Takes over what an accepted call has written.
    fn take(&mut self, judgement: &Judgement) {
        self.usage = judgement.usage.unwrap_or(self.usage);
        for (key, value) in &judgement.writes {
            match value {
                Some(value) => self.values.insert(key.clone(), value.clone()),
                None => self.values.remove(key),
            };
        }
    }
}

impl Host for State {
    fn block(&mut self, index: u64) -> Result<Bytes, Missing> {
        self.blocks.get(&index).cloned().ok_or(Missing { index })
    }

    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.values.get(key).cloned())
    }

    fn usage(&mut self) -> Result<Usage, StateError> {
        Ok(self.usage)
    }
}
