//! What a rule answers.

use crate::text::Text;

/// `Ok` accepts, `Err` rejects.
pub type Verdict = Result<(), Reject>;

/// What a rule answers to a question: the text, or why there is none.
pub type Answer = Result<Text, Reject>;

/// The code of a payload, params or question that [`Json`](crate::Json) does not take. A rule's own begin with 2.
pub const MALFORMED: Code = Code::new(1);

/// A reject code, 1 to 65534. It is part of what validators sign: it keeps its meaning for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u16);

impl Code {
    /// Makes a code; as a constant, so that a number that is none does not compile.
    ///
    /// Panics on 0 and 65535.
    pub const fn new(code: u16) -> Self {
        assert!(code != 0 && code != u16::MAX, "a reject code is a number from 1 to 65534");
        Self(code)
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// A no, with a reason for people.
#[derive(Debug)]
pub struct Reject {
    /// What rooms agree on.
    pub code: Code,
    /// What people read; a room keeps the first 256 bytes.
    pub reason: Text,
}

/// Makes a no. `reason` is a `&str` or a [`Text`] that was put together.
#[cold]
pub fn reject(code: Code, reason: impl Into<Text>) -> Reject {
    Reject { code, reason: reason.into() }
}

/// Rejects unless the condition holds: `ensure!(condition, CODE, "reason")`.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $code:expr, $reason:expr $(,)?) => {
        if !$condition {
            $crate::reject!($code, $reason);
        }
    };
}

/// Rejects: `reject!(CODE, "reason")` returns from the function.
#[macro_export]
macro_rules! reject {
    ($code:expr, $reason:expr $(,)?) => {
        return ::core::result::Result::Err($crate::reject($code, $reason))
    };
}
