//! A room in miniature, for the tests of a rule on the machine where it is written.
//!
//! It runs the functions of a rule with a state in memory. It counts no gas and has no gate: `quorate rule test` and
//! `quorate rule check` do that, with the module itself.
//!
//! ```
//! use quorate_rule::{Call, Code, Verdict, ensure, rule, slot, state, testing::Room};
//!
//! const TWICE: Code = Code::new(2);
//!
//! rule! { check: check, needs: [state] }
//!
//! /// Everybody speaks once.
//! fn check(call: &Call) -> Verdict {
//!     let spoke = slot("spoke/").key(call.author());
//!     ensure!(!state::has(&spoke), TWICE, "you spoke already");
//!     state::set(spoke, b"");
//!     Ok(())
//! }
//!
//! # fn main() {
//! let mut room = Room::new(RULE, "");
//! assert_eq!(room.act("alice", "hello").code, 0);
//! let outcome = room.act("alice", "hello again");
//! assert_eq!((outcome.code, outcome.reason.as_str()), (2, "you spoke already"));
//! # }
//! ```

mod blake2b;
pub(crate) mod host;
mod sha256;

use std::collections::BTreeMap;
use std::format;
use std::string::String;
use std::vec::Vec;

use crate::bytes::{Hash, Key};
use crate::call::Operation;
use crate::entry::{self, Rule};

/// Codes of what a rule did not decide itself.
pub mod code {
    /// A panic, an access out of bounds, a division by zero.
    pub const TRAP: u32 = 65536;
    /// A result that is no code.
    pub const MALFORMED_RESULT: u32 = 65539;
    /// A key, a value, the reads or the writes are beyond a limit.
    pub const LIMIT: u32 = 65541;
    /// A function that the rule may not call, or not here.
    pub const NOT_ALLOWED: u32 = 65543;
}

/// Values by their keys; `None` where a value is taken away.
pub type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// 0 accepts; a code of the rule; or, above 65534, one of [`code`].
    pub code: u32,
    /// The reason of a no.
    pub reason: String,
    /// Lines of the log.
    pub logs: Vec<String>,
    /// What was written; empty unless it accepts.
    pub writes: Writes,
}

/// A change of rules, for [`Room::change`].
#[derive(Debug, Clone)]
pub struct Proposal<'a> {
    /// What it does.
    pub operation: Operation,
    /// Whether it is about the rule that is asked.
    pub about_this_rule: bool,
    /// Index of the first block that it holds for.
    pub activation: u64,
    /// Id of the rule that it is about.
    pub rule: Hash,
    /// Hash of the new module.
    pub module: Hash,
    /// Name of the rule.
    pub name: &'a str,
    /// The new params.
    pub params: &'a [u8],
}

/// A room with one rule, its state, and the index that the next block gets.
#[derive(Debug)]
pub struct Room {
    rule: Rule,
    params: Vec<u8>,
    host: host::Host,
}

impl Room {
    /// A room with this rule. Panics when the rule refuses the params.
    pub fn new(rule: Rule, params: impl AsRef<[u8]>) -> Self {
        let mut room = Self { rule, params: Vec::new(), host: host::Host::new(rule) };
        let outcome = room.install(params, false);
        assert_eq!(outcome.code, 0, "init refuses: {}", outcome.reason);
        room
    }

    /// Runs `init`: fresh, or with the state kept, as new params and a new module do.
    pub fn install(&mut self, params: impl AsRef<[u8]>, keep_state: bool) -> Outcome {
        let params = params.as_ref().to_vec();
        let Some(init) = self.rule.init else {
            self.params = params;
            if !keep_state {
                self.host.state.clear();
            }
            return Outcome { code: 0, reason: String::new(), logs: Vec::new(), writes: Writes::new() };
        };
        let kept = if keep_state { None } else { Some(std::mem::take(&mut self.host.state)) };
        let before = std::mem::replace(&mut self.params, params);
        let input = self.input(3, keep_state.into(), Key::ZERO, &[]);
        let outcome =
            self.host.run(host::Allowed { write: true, history: false }, || entry::judge(&input, init));
        if outcome.code != 0 {
            self.params = before;
            self.host.state = kept.unwrap_or_else(|| std::mem::take(&mut self.host.state));
        }
        self.commit(&outcome);
        outcome
    }

    /// Submits an action; the state and the index move on only when it is accepted.
    pub fn act(&mut self, who: &str, payload: impl AsRef<[u8]>) -> Outcome {
        let outcome = self.check(who, payload);
        if outcome.code == 0 {
            self.commit(&outcome);
            self.host.index += 1;
        }
        outcome
    }

    /// What [`act`](Self::act) would say.
    pub fn check(&mut self, who: &str, payload: impl AsRef<[u8]>) -> Outcome {
        let input = self.input(1, 0, key(who), payload.as_ref());
        let check = self.rule.check;
        self.host.run(host::Allowed { write: true, history: true }, || entry::judge(&input, check))
    }

    /// The rule's opinion on a change of rules; yes where it has none.
    pub fn change(&mut self, who: &str, proposal: &Proposal<'_>) -> Outcome {
        let mut payload = Vec::new();
        payload.push(match proposal.operation {
            Operation::Install => 1,
            Operation::Remove => 2,
            Operation::Replace => 3,
            Operation::Params => 4,
            Operation::Validators => 5,
        });
        payload.push(proposal.about_this_rule.into());
        payload.extend(proposal.activation.to_le_bytes());
        payload.extend(proposal.rule.0);
        payload.extend(proposal.module.0);
        payload.extend(size(proposal.name.as_bytes()));
        payload.extend(size(proposal.params));
        payload.extend(proposal.name.bytes());
        payload.extend(proposal.params);
        let input = self.input(2, 0, key(who), &payload);
        let change = self.rule.change;
        self.host.run(host::Allowed { write: false, history: true }, || {
            change.map_or(0, |change| entry::judge_change(&input, change))
        })
    }

    /// Asks a question: the answer, or what the rule says against it. Panics when the rule answers none.
    pub fn ask(&mut self, question: impl AsRef<[u8]>) -> Result<String, Outcome> {
        let query = self.rule.query.expect("a rule that answers questions");
        let input = self.input(4, 0, Key::ZERO, question.as_ref());
        let mut outcome =
            self.host.run(host::Allowed { write: false, history: true }, || entry::answer(&input, query));
        if outcome.code == 0 { Ok(outcome.logs.pop().unwrap_or_default()) } else { Err(outcome) }
    }

    /// Index that the next block gets; 1 in a new room.
    pub fn index(&self) -> u64 {
        self.host.index
    }

    /// Lets blocks of others pass, which the rule does not see.
    pub fn pass(&mut self, blocks: u64) {
        self.host.index += blocks;
    }

    /// The state, by key.
    pub fn state(&self) -> &BTreeMap<Vec<u8>, Vec<u8>> {
        &self.host.state
    }

    /// Puts an earlier block where `history::block` finds it.
    pub fn put_block(&mut self, index: u64, block: impl Into<Vec<u8>>) {
        self.host.blocks.insert(index, block.into());
    }

    /// Makes a signature valid, for `crypto::verify`: no others are. A real room checks them.
    pub fn put_signature(&mut self, who: Key, message: impl Into<Vec<u8>>, signature: [u8; 64]) {
        self.host.signatures.insert((who.0, message.into(), signature));
    }

    fn input(&self, kind: u8, flags: u8, author: Key, payload: &[u8]) -> Vec<u8> {
        let previous = if kind == 3 {
            [0; 32]
        } else {
            blake2b::hash(format!("history {}", self.host.index).as_bytes())
        };
        let mut bytes = Vec::from([1, 0, kind, flags]);
        bytes.extend(self.host.index.to_le_bytes());
        bytes.extend(previous);
        bytes.extend(author.0);
        bytes.extend(size(&self.params));
        bytes.extend(size(payload));
        bytes.extend(&self.params);
        bytes.extend(payload);
        bytes
    }

    fn commit(&mut self, outcome: &Outcome) {
        for (key, value) in &outcome.writes {
            match value {
                Some(value) => self.host.state.insert(key.clone(), value.clone()),
                None => self.host.state.remove(key),
            };
        }
    }
}

/// The key of somebody in a test, of a name always the same one. Sixty-four hexadecimal digits stand for themselves.
pub fn key(who: &str) -> Key {
    let digit = |at: usize| who.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let digits: Option<Vec<u8>> = (0..32).map(|byte| digit(2 * byte)).collect();
    match digits.and_then(|bytes| bytes.try_into().ok()) {
        Some(key) if who.len() == 64 => Key(key),
        _ => Key(blake2b::hash(format!("test key {who}").as_bytes())),
    }
}

fn size(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).expect("params and payloads are small").to_le_bytes()
}

#[cfg(test)]
mod tests;
