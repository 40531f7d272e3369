//! The functions that a room calls.

use crate::call::{Call, Change};
use crate::host;
use crate::verdict::{Answer, Reject, Verdict};

/// A rule: what [`rule!`](crate::rule!) puts together, and what [`testing`](crate::testing) runs.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Judges an action.
    pub check: fn(&Call<'_>) -> Verdict,
    /// Is told that the rule begins to hold, and may refuse the params.
    pub init: Option<fn(&Call<'_>) -> Verdict>,
    /// Has an opinion on a change of the room's rules; it can read the state and not write it.
    pub change: Option<fn(&Call<'_>, &Change<'_>) -> Verdict>,
    /// Answers a question of an interface; it can read the state and not write it.
    pub query: Option<fn(&Call<'_>) -> Answer>,
    /// Whether it keeps state.
    pub state: bool,
    /// Whether it reads earlier blocks.
    pub history: bool,
}

/// Writes a line that `quorate rule run` shows.
pub fn log(line: &str) {
    host::log(line.as_bytes());
}

/// What a function returns where the call is none that this crate reads.
const NO_CALL: i32 = -1;

/// Runs `rule_check` or `rule_init`.
pub fn judge(input: &[u8], check: fn(&Call<'_>) -> Verdict) -> i32 {
    Call::parse(input).map_or(NO_CALL, |call| code(check(&call)))
}

/// Runs `rule_change`.
pub fn judge_change(input: &[u8], change: fn(&Call<'_>, &Change<'_>) -> Verdict) -> i32 {
    let Some(call) = Call::parse(input) else { return NO_CALL };
    Change::parse(call.payload()).map_or(NO_CALL, |details| code(change(&call, &details)))
}

/// Runs `rule_query`; the answer goes out as the last line of the log.
pub fn answer(input: &[u8], query: fn(&Call<'_>) -> Answer) -> i32 {
    Call::parse(input).map_or(NO_CALL, |call| code(query(&call).map(|answer| host::log(answer.as_bytes()))))
}

fn code(verdict: Verdict) -> i32 {
    match verdict {
        Ok(()) => 0,
        Err(Reject { code, reason }) => {
            host::fail(reason.as_bytes());
            i32::from(code.get())
        }
    }
}

/// Gives the room the memory that it writes a call into; 0 where there cannot be so much.
pub fn allocate(size: i32) -> *mut u8 {
    match usize::try_from(size) {
        Ok(size) => crate::buffer(size).as_mut_ptr(),
        Err(_) => core::ptr::null_mut(),
    }
}

/// Exports a rule: `rule! { check: f, init: g, change: h, query: i, needs: [state, history] }`. All but `check` may be
/// left out; the order stays. Once in a crate. The rule is then also there as the constant `RULE`, for its tests.
///
/// `check` and `init` are `fn(&Call) -> Verdict`, `change` is `fn(&Call, &Change) -> Verdict`, and `query` is
/// `fn(&Call) -> Answer`.
#[macro_export]
macro_rules! rule {
    (
        check: $check:path
        $(, init: $init:path)?
        $(, change: $change:path)?
        $(, query: $query:path)?
        $(, needs: [$($need:ident),* $(,)?])?
        $(,)?
    ) => {
        /// The rule, as the module exports it.
        #[allow(unreachable_pub)]
        pub const RULE: $crate::Rule = {
            #[allow(unused_mut)]
            let mut rule = $crate::Rule {
                check: $check, init: None, change: None, query: None, state: false, history: false,
            };
            $(rule.init = Some($init);)?
            $(rule.change = Some($change);)?
            $(rule.query = Some($query);)?
            $($(rule.$need = true;)*)?
            rule
        };

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            #[unsafe(no_mangle)]
            extern "C" fn rule_abi_v1() {}

            #[unsafe(no_mangle)]
            extern "C" fn rule_alloc(size: i32) -> *mut u8 {
                $crate::exports::allocate(size)
            }

            $crate::__entry!(rule_check, judge, $check);
            $($crate::__entry!(rule_init, judge, $init);)?
            $($crate::__entry!(rule_change, judge_change, $change);)?
            $($crate::__entry!(rule_query, answer, $query);)?
            $($($crate::__marker!($need);)*)?
        };
    };
}

/// Exports a function that gets a call.
#[doc(hidden)]
#[macro_export]
macro_rules! __entry {
    ($name:ident, $run:ident, $function:path) => {
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(at: *const u8, size: usize) -> i32 {
            // SAFETY: the room passes what it got from `rule_alloc` and has written to, whole.
            $crate::exports::$run(unsafe { ::core::slice::from_raw_parts(at, size) }, $function)
        }
    };
}

/// Exports a marker.
#[doc(hidden)]
#[macro_export]
macro_rules! __marker {
    (state) => {
        #[unsafe(no_mangle)]
        extern "C" fn requires_state() {}
    };
    (history) => {
        #[unsafe(no_mangle)]
        extern "C" fn requires_history() {}
    };
}
