//! Calls of rules besides the checks of actions: beginnings, test vectors, opinions.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use quorate_rules::abi::{Call, CallKind, Host, Missing, Usage};
use quorate_rules::limits::GAS_LIMIT_CHECK;
use quorate_rules::state::{StateError, WriteSet};
use quorate_rules::verdict::{Outcome, Verdict};
use quorate_types::{Hash, PublicKey, RuleId};

use crate::refusal::{Refusal, RoomCode, RuleRef};
use crate::room::{Context, Lacking, Layered, RuleEngine, RuleHost, keys};
use crate::rule_change::TestVector;

/// Gas of every call on which a verdict rests.
pub(crate) const GAS: u64 = GAS_LIMIT_CHECK.unsigned_abs();

/// Flag of an init whose rule keeps its state.
const KEEPS_STATE: u8 = 1;

const NO_HASH: Hash = Hash::new([0; Hash::LEN]);
const NO_AUTHOR: PublicKey = PublicKey::new([0; PublicKey::LEN]);

/// A rule said no, or came to no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFailure {
    /// What the rule returned, or the code of its fault.
    pub code: u32,
    /// Words for people, from a stranger.
    pub reason: String,
}

impl fmt::Display for RuleFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "code {}: {}", self.code, crate::refusal::clean(&self.reason))
    }
}

impl RuleFailure {
    pub(crate) fn refusal(&self, code: RoomCode, by: RuleRef) -> Refusal {
        Refusal::by_rule(code, by, self.code, &self.reason)
    }
}

/// A call to begin.
pub(super) struct Init<'a> {
    pub(super) id: RuleId,
    pub(super) params: &'a [u8],
    pub(super) activation: u64,
    pub(super) keeps_state: bool,
}

impl Init<'_> {
    fn call(&self) -> Call<'_> {
        Call {
            kind: CallKind::Init,
            flags: if self.keeps_state { KEEPS_STATE } else { 0 },
            index: self.activation,
            previous: NO_HASH,
            author: NO_AUTHOR,
            params: self.params,
            payload: &[],
            gas: GAS,
        }
    }
}

/// Lets a rule begin with its parameters, on the state it has with `writes`; nothing is written.
pub(super) fn init<E: RuleEngine>(
    context: &Context<'_, E>,
    rule: &E::Rule,
    init: &Init<'_>,
    writes: &WriteSet,
) -> Result<Result<Outcome, RuleFailure>, Lacking> {
    let state = Layered { writes, below: context.state };
    let mut host = RuleHost::new(&state, context.prefix, init.id);
    decided(context.rules.engine().check(rule, &init.call(), &mut host))
}

/// Tells a verdict from an inability to come to one.
pub(crate) fn decided(outcome: Outcome) -> Result<Result<Outcome, RuleFailure>, Lacking> {
    match outcome.verdict {
        Verdict::Accept => Ok(Ok(outcome)),
        Verdict::Reject { code, reason } => Ok(Err(RuleFailure { code, reason })),
        Verdict::Unable(why) => Err(why.into()),
    }
}

/// Adds what a call writes to a rule's state, and what the state then holds.
pub(crate) fn write(id: &RuleId, outcome: Outcome, writes: &mut WriteSet) {
    if let Some(usage) = &outcome.usage {
        keys::put_usage(writes, id, usage);
    }
    writes.extend(outcome.writes.into_iter().map(|(key, value)| ((*id, key), value)));
}

/// Why test vectors do not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum VectorFailure {
    /// The rule does not begin with the parameters, on an empty state.
    Init(RuleFailure),
    /// A vector has another result.
    Vector { number: u64, expected: u32, found: u32, reason: String },
    /// A vector needs a block, and there are none.
    Block { number: u64 },
}

/// Runs test vectors one after the other, on what `rule_init` leaves of an empty state.
pub(super) fn run_vectors<E: RuleEngine>(
    engine: &E,
    rule: &E::Rule,
    params: &[u8],
    vectors: &[TestVector],
) -> Result<Result<(), VectorFailure>, Lacking> {
    if vectors.is_empty() {
        return Ok(Ok(()));
    }
    let mut host = Bench::default();
    let init = Init { id: RuleId::new([0; RuleId::LEN]), params, activation: 0, keeps_state: false };
    match decided(engine.check(rule, &init.call(), &mut host))? {
        Ok(outcome) => host.take(outcome),
        Err(failure) => return Ok(Err(VectorFailure::Init(failure))),
    }
    for (number, vector) in (1..).zip(vectors) {
        let call = Call {
            kind: CallKind::Check,
            flags: 0,
            index: number,
            previous: NO_HASH,
            author: vector.author.unwrap_or(NO_AUTHOR),
            params,
            payload: &vector.payload,
            gas: GAS,
        };
        let (found, reason) = match decided(engine.check(rule, &call, &mut host)) {
            Ok(Ok(outcome)) => {
                host.take(outcome);
                (0, String::new())
            }
            Ok(Err(failure)) => (failure.code, failure.reason),
            Err(Lacking::Block(_)) => return Ok(Err(VectorFailure::Block { number })),
            Err(why) => return Err(why),
        };
        if found != vector.code {
            let expected = vector.code;
            return Ok(Err(VectorFailure::Vector { number, expected, found, reason }));
        }
    }
    Ok(Ok(()))
}

/// Surroundings of test vectors: a state of their own, and no blocks.
#[derive(Debug, Default)]
struct Bench {
    values: BTreeMap<Vec<u8>, Vec<u8>>,
    usage: Usage,
}

impl Bench {
    fn take(&mut self, outcome: Outcome) {
        self.usage = outcome.usage.unwrap_or(self.usage);
        for (key, value) in outcome.writes {
            match value {
                Some(value) => self.values.insert(key, value),
                None => self.values.remove(&key),
            };
        }
    }
}

impl Host for Bench {
    fn block(&mut self, index: u64) -> Result<Bytes, Missing> {
        Err(Missing { index })
    }

    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.values.get(key).cloned())
    }

    fn usage(&mut self) -> Result<Usage, StateError> {
        Ok(self.usage)
    }
}
