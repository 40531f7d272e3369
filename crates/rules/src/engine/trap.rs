//! What an error of the engine means.

use wasmtime::{Error, PoolConcurrencyLimitError, Trap, WasmBacktrace};

use crate::abi::{Ended, Stopped};
use crate::verdict::Unable;

/// Tells a trap of the code from what this node was not able to.
pub(super) fn ended(error: &Error) -> Ended {
    if error.is::<Stopped>() {
        return Ended::Trapped(String::new());
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => Ended::Unable(Unable::Timeout),
        Some(Trap::StackOverflow) => Ended::Unable(Unable::NativeStack),
        Some(trap) if is_of_the_code(*trap) => Ended::Trapped(describe(*trap, error)),
        Some(trap) => Ended::Unable(Unable::Engine(trap.to_string())),
        None if error.is::<PoolConcurrencyLimitError>() || error.is::<std::io::Error>() => {
            Ended::Unable(Unable::OutOfMemory)
        }
        None => Ended::Unable(Unable::Engine(format!("{error:#}"))),
    }
}

/// Returns whether the specification has the trap, in the language that rules may use.
fn is_of_the_code(trap: Trap) -> bool {
    matches!(
        trap,
        Trap::MemoryOutOfBounds
            | Trap::TableOutOfBounds
            | Trap::IndirectCallToNull
            | Trap::BadSignature
            | Trap::IntegerOverflow
            | Trap::IntegerDivisionByZero
            | Trap::BadConversionToInteger
            | Trap::UnreachableCodeReached
    )
}

fn describe(trap: Trap, error: &Error) -> String {
    let text = trap.to_string();
    let text = text.strip_prefix("wasm trap: ").unwrap_or(&text);
    match error.downcast_ref::<WasmBacktrace>().and_then(|trace| trace.frames().first()) {
        Some(frame) => format!("{text} in function {}", frame.func_index()),
        None => text.to_owned(),
    }
}
