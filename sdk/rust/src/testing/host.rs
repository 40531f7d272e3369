//! The functions that a room offers, for the call that runs on this thread.

use std::any::Any;
use std::boxed::Box;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::string::{String, ToString};
use std::thread_local;
use std::vec::Vec;

use super::{Outcome, Writes, blake2b, code, sha256 as sha};
use crate::entry::Rule;

const KEY_BYTES: usize = 256;
const VALUE_BYTES: usize = 64 * 1024;
const READ_BYTES: usize = 256 * 1024;
const WRITES: usize = 1024;
const REASON_BYTES: usize = 256;

/// What lasts from call to call.
#[derive(Debug, Clone)]
pub(super) struct Host {
    rule: Rule,
    pub(super) index: u64,
    pub(super) state: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) blocks: BTreeMap<u64, Vec<u8>>,
    pub(super) signatures: BTreeSet<([u8; 32], Vec<u8>, [u8; 64])>,
}

/// What a call may do, where the rule has the markers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowed {
    pub(super) write: bool,
    pub(super) history: bool,
}

struct Running {
    host: Host,
    allowed: Allowed,
    reason: String,
    logs: Vec<String>,
    writes: Writes,
    written: usize,
    read: usize,
}

/// Ends a call with a code that the rule did not choose.
struct Trap {
    code: u32,
    reason: String,
}

thread_local! {
    static RUNNING: RefCell<Option<Running>> = const { RefCell::new(None) };
}

impl Host {
    pub(super) fn new(rule: Rule) -> Self {
        let (state, blocks, signatures) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { rule, index: 1, state, blocks, signatures }
    }

    /// Runs a function of the rule.
    pub(super) fn run(&self, allowed: Allowed, call: impl FnOnce() -> i32) -> Outcome {
        let running = Running {
            host: self.clone(),
            allowed,
            reason: String::new(),
            logs: Vec::new(),
            writes: Writes::new(),
            written: 0,
            read: 0,
        };
        let before = RUNNING.with_borrow_mut(|slot| slot.replace(running));
        let result = catch_unwind(AssertUnwindSafe(call));
        let running = RUNNING.with_borrow_mut(|slot| std::mem::replace(slot, before));
        let Running { mut reason, logs, mut writes, .. } = running.expect("the call that began ends here");
        let code = match result {
            Ok(result) => u32::try_from(result).ok().filter(|code| *code < 65535).unwrap_or_else(|| {
                reason = format!("a result of {result}");
                code::MALFORMED_RESULT
            }),
            Err(panic) => {
                let trap = trap_of(panic);
                reason = trap.reason;
                trap.code
            }
        };
        if code == 0 {
            reason.clear();
        } else {
            writes.clear();
        }
        Outcome { code, reason, logs, writes }
    }
}

fn trap_of(panic: Box<dyn Any + Send>) -> Trap {
    let panic = match panic.downcast::<Trap>() {
        Ok(trap) => return *trap,
        Err(panic) => panic,
    };
    let message = panic.downcast_ref::<&str>().map(|text| text.to_string());
    let message = message.or_else(|| panic.downcast_ref::<String>().cloned());
    Trap { code: code::TRAP, reason: message.unwrap_or_else(|| "a panic".into()) }
}

/// Works with the call that runs on this thread.
fn with<T>(work: impl FnOnce(&mut Running) -> Result<T, Trap>) -> T {
    let result = RUNNING.with_borrow_mut(|slot| {
        work(slot.as_mut().expect("functions of the room are called inside of testing::Room"))
    });
    // Outside of the borrow, and without the message of a panic.
    result.unwrap_or_else(|trap| resume_unwind(Box::new(trap)))
}

fn trap<T>(code: u32, reason: impl Into<String>) -> Result<T, Trap> {
    Err(Trap { code, reason: reason.into() })
}

impl Running {
    fn needs(&self, has: bool, marker: &str) -> Result<(), Trap> {
        if has { Ok(()) } else { trap(code::NOT_ALLOWED, format!("the rule does not say needs: [{marker}]")) }
    }

    fn key(&self, key: &[u8]) -> Result<(), Trap> {
        self.needs(self.host.rule.state, "state")?;
        if key.len() <= KEY_BYTES {
            Ok(())
        } else {
            trap(code::LIMIT, format!("a key of {} bytes", key.len()))
        }
    }

    fn write(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), Trap> {
        self.key(key)?;
        if !self.allowed.write {
            return trap(code::NOT_ALLOWED, "the state is read-only here");
        }
        self.written += 1;
        if self.written > WRITES {
            return trap(code::LIMIT, "too many writes");
        }
        self.writes.insert(key.to_vec(), value.map(<[u8]>::to_vec));
        Ok(())
    }

    /// Copies as much as there is room for; the whole size, or -1.
    fn give(&mut self, value: Option<Vec<u8>>, out: &mut [u8]) -> Result<i32, Trap> {
        let Some(value) = value else { return Ok(-1) };
        let given = value.len().min(out.len());
        out[..given].copy_from_slice(&value[..given]);
        self.read += given;
        if self.read > READ_BYTES {
            return trap(code::LIMIT, "too many bytes read");
        }
        Ok(i32::try_from(value.len()).expect("a value is small"))
    }
}

pub(crate) fn get_block(index: u64, out: &mut [u8]) -> i32 {
    with(|call| {
        call.needs(call.host.rule.history, "history")?;
        if !call.allowed.history {
            return trap(code::NOT_ALLOWED, "there is no history here");
        }
        let block =
            if index < call.host.index {
                Some(
                    call.host.blocks.get(&index).cloned().unwrap_or_else(|| {
                        panic!("the rule asks for block {index}, which the test has not put")
                    }),
                )
            } else {
                None
            };
        call.give(block, out)
    })
}

pub(crate) fn state_get(key: &[u8], out: &mut [u8]) -> i32 {
    with(|call| {
        call.key(key)?;
        let value = match call.writes.get(key) {
            Some(written) => written.clone(),
            None => call.host.state.get(key).cloned(),
        };
        call.give(value, out)
    })
}

pub(crate) fn state_set(key: &[u8], value: &[u8]) {
    with(|call| {
        if value.len() > VALUE_BYTES {
            return trap(code::LIMIT, format!("a value of {} bytes", value.len()));
        }
        call.write(key, Some(value))
    });
}

pub(crate) fn state_del(key: &[u8]) {
    with(|call| call.write(key, None));
}

pub(crate) fn fail(reason: &[u8]) {
    with(|call| {
        let reason = String::from_utf8_lossy(reason);
        let end = (0..=REASON_BYTES).rev().find(|end| reason.is_char_boundary(*end)).unwrap_or(0);
        call.reason = reason.get(..end).unwrap_or(&reason).to_string();
        Ok(())
    });
}

pub(crate) fn log(line: &[u8]) {
    with(|call| {
        call.logs.push(String::from_utf8_lossy(line).into_owned());
        Ok(())
    });
}

pub(crate) fn blake2b_256(bytes: &[u8], out: &mut [u8; 32]) {
    *out = blake2b::hash(bytes);
}

pub(crate) fn sha256(bytes: &[u8], out: &mut [u8; 32]) {
    *out = sha::hash(bytes);
}

pub(crate) fn ed25519_verify(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> i32 {
    with(|call| Ok(call.host.signatures.contains(&(*key, message.to_vec(), *signature)).into()))
}
