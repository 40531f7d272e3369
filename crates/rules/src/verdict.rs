//! What becomes of a call: accepted, refused, or not decided here.

use std::fmt;

use crate::abi::Usage;

/// A key, and its value from now on; `None` removes it.
pub type Write = (Vec<u8>, Option<Vec<u8>>);

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the rule accepts.
    pub verdict: Verdict,
    /// Gas that the call used, at most what it was given.
    pub gas_used: u64,
    /// Bytes of values and blocks that were copied to the rule.
    pub reads: u64,
    /// What the call writes, by key; of several writes of a key, the last. Empty unless accepted.
    pub writes: Vec<Write>,
    /// What the rule's state holds with the writes; `None` where there are none.
    pub usage: Option<Usage>,
    /// What the rule logged, for people. Outside consensus.
    pub logs: Vec<String>,
}

/// What a rule says about a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The rule accepts; for a query, it has answered.
    Accept,
    /// The rule refuses, or did not come to a result. Every node finds the same.
    Reject {
        /// The rule's own code, 1 to 65534, or that of a [`Fault`].
        code: u32,
        /// Why, for people. Outside consensus.
        reason: String,
    },
    /// This node cannot tell: no verdict, and no vote.
    Unable(Unable),
}

/// Why a node cannot come to a verdict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unable {
    /// The rule reads a block that is not here.
    #[error("block {0} is not here yet")]
    MissingBlock(u64),
    /// Memory is used up, or all places of the pool are taken.
    #[error("no memory is left for another call of a rule")]
    OutOfMemory,
    /// The call took longer than the backstop waits.
    #[error("the call of the rule took too long")]
    Timeout,
    /// The native stack was used up before the logical one.
    #[error("the native stack is used up")]
    NativeStack,
    /// The state cannot be read.
    #[error("the state cannot be read: {0}")]
    State(String),
    /// The engine failed in another way.
    #[error("the engine failed: {0}")]
    Engine(String),
}

/// How a call can fail other than by the rule's own code: each is a refusal with a code of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The code trapped: `unreachable`, a division, an access out of bounds.
    Trap,
    /// The gas was used up.
    OutOfGas,
    /// The logical stack was used up.
    StackDepth,
    /// The result is neither 0 nor a code of the rule's.
    MalformedResult,
    /// A host call was given a range that is not in the memory.
    OutOfBounds,
    /// A limit of the call was exceeded.
    Limit,
    /// The state would exceed its quota.
    Quota,
    /// A host call is not allowed in this kind of call, or the rule does not offer this kind.
    NotAllowed,
    /// The rule gave up with `env.abort`.
    Abort,
    /// `rule_alloc` returned a range that is not in the memory.
    BadPointer,
}

impl Fault {
    /// All of them, by code.
    pub const ALL: [Self; 10] = [
        Self::Trap,
        Self::OutOfGas,
        Self::StackDepth,
        Self::MalformedResult,
        Self::OutOfBounds,
        Self::Limit,
        Self::Quota,
        Self::NotAllowed,
        Self::Abort,
        Self::BadPointer,
    ];

    /// Least code of a fault; the rules' own codes lie below, and 65535 is no code.
    pub const LEAST_CODE: u32 = 65_536;

    /// Returns the code under which the fault is a refusal.
    pub const fn code(self) -> u32 {
        Self::LEAST_CODE + self as u32
    }

    /// Returns the fault with a code; `None` when it is no fault's.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.code() == code)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trap => "trap",
            Self::OutOfGas => "out of gas",
            Self::StackDepth => "stack too deep",
            Self::MalformedResult => "malformed result",
            Self::OutOfBounds => "host call out of bounds",
            Self::Limit => "limit exceeded",
            Self::Quota => "state quota exceeded",
            Self::NotAllowed => "call not allowed",
            Self::Abort => "abort",
            Self::BadPointer => "rule_alloc returned a bad pointer",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_faults_are_fixed() {
        let codes: Vec<u32> = Fault::ALL.into_iter().map(Fault::code).collect();
        assert_eq!(codes, (65_536..=65_545).collect::<Vec<_>>());
        assert_eq!(Fault::Quota.code(), 65_542);
        assert!(Fault::ALL.into_iter().all(|fault| Fault::from_code(fault.code()) == Some(fault)));
        assert_eq!(Fault::from_code(65_535), None);
        assert_eq!(Fault::from_code(65_546), None);
    }
}
