//! The host's side of one call, from the input to the outcome.

use std::collections::BTreeMap;

use super::call::{Call, CallKind};
use super::gas;
use super::guest::Guest;
use super::overlay::Overlay;
use super::question::Question;
use super::text;
use crate::limits::{MAX_INPUT_BYTES, MAX_LOG_BYTES, MAX_LOGS};
use crate::verdict::{Fault, Outcome, Unable, Verdict};

/// The host's side of one call.
///
/// An engine makes one, puts the input where `rule_alloc` says, runs the code, hands each host call to the method of
/// its name, and ends with [`finish`](Self::finish). Whatever [`Stopped`] comes from, the code must not run on.
#[derive(Debug)]
pub struct Session {
    pub(super) kind: CallKind,
    pub(super) index: u64,
    pub(super) overlay: Overlay,
    /// Keys that the host was asked for, with the lengths of their values: a write of one need not ask again.
    pub(super) read: BTreeMap<Vec<u8>, Option<usize>>,
    pub(super) reads: u64,
    pub(super) writes: u32,
    stop: Option<Stop>,
    reason: String,
    logs: Vec<String>,
    log_bytes: usize,
}

/// Why the code must not run on.
#[derive(Debug)]
enum Stop {
    Fault(Fault, String),
    Unable(Unable),
}

/// The code must not run on. The session knows why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the call was stopped by its host")]
pub struct Stopped;

/// What a host call comes to.
#[derive(Debug)]
pub enum Reply {
    /// A result, which a call without results drops.
    Done(i32),
    /// The host is to be asked; [`Session::answer`] takes what it says.
    Ask(Question),
}

/// How the code came to its end.
#[derive(Debug)]
pub enum Ended {
    /// It returned a result.
    Returned(i32),
    /// It trapped, or was stopped; with what the engine says of the place.
    Trapped(String),
    /// The engine could not run it.
    Unable(Unable),
}

/// What the meter's globals hold at the end.
#[derive(Debug, Clone, Copy)]
pub struct Meters {
    /// Gas that is left.
    pub gas: i64,
    /// Depth that is left.
    pub depth: i64,
}

impl Session {
    /// Begins a call.
    pub fn new(call: &Call<'_>) -> Self {
        Self {
            kind: call.kind,
            index: call.index,
            overlay: Overlay::default(),
            read: BTreeMap::new(),
            reads: 0,
            writes: 0,
            stop: None,
            reason: String::new(),
            logs: Vec::new(),
            log_bytes: 0,
        }
    }

    /// Returns the length of the input, for `rule_alloc`.
    ///
    /// # Errors
    ///
    /// The input is longer than [`MAX_INPUT_BYTES`].
    pub fn input_len(&mut self, call: &Call<'_>) -> Result<i32, Stopped> {
        let len = call.input_len();
        match i32::try_from(len) {
            Ok(found) if len <= MAX_INPUT_BYTES => Ok(found),
            _ => Err(self.fault(Fault::Limit, format!("an input of {len} bytes, at most {MAX_INPUT_BYTES}"))),
        }
    }

    /// Writes the input where `rule_alloc` said.
    ///
    /// # Errors
    ///
    /// There is no room for it in the memory.
    pub fn write_input(&mut self, memory: &mut [u8], pointer: i32, call: &Call<'_>) -> Result<(), Stopped> {
        let (len, memory_len) = (call.input_len(), memory.len());
        let start = usize::try_from(pointer.cast_unsigned()).unwrap_or(usize::MAX);
        match memory.get_mut(start..start.saturating_add(len)) {
            Some(place) => {
                call.write_input(place);
                Ok(())
            }
            None => {
                let found = format!("{len} bytes at {start}, in a memory of {memory_len} bytes");
                Err(self.fault(Fault::BadPointer, found))
            }
        }
    }

    /// `fail(pointer, length)`: the reason of a refusal. The last one counts.
    ///
    /// # Errors
    ///
    /// Gas or bounds.
    pub fn fail(&mut self, guest: &mut Guest<'_>, pointer: i32, length: i32) -> Result<(), Stopped> {
        let text = self.text("fail", guest, pointer, length)?;
        self.reason = text::reason(text);
        Ok(())
    }

    /// `log(pointer, length)`: a message for people, or the answer to a query.
    ///
    /// # Errors
    ///
    /// Gas or bounds.
    pub fn log(&mut self, guest: &mut Guest<'_>, pointer: i32, length: i32) -> Result<(), Stopped> {
        let text = self.text("log", guest, pointer, length)?;
        let room = MAX_LOG_BYTES.saturating_sub(self.log_bytes);
        if self.logs.len() < MAX_LOGS && room > 0 {
            let message = text::log(text, room);
            self.log_bytes = self.log_bytes.saturating_add(message.len());
            self.logs.push(message);
        }
        Ok(())
    }

    /// `env.abort(message, file, line, column)`: the rule gives up. Never returns a result.
    pub fn abort(
        &mut self,
        guest: &mut Guest<'_>,
        message: i32,
        file: i32,
        line: i32,
        column: i32,
    ) -> Stopped {
        if !guest.pay(gas::ABORT) {
            return Stopped;
        }
        let read = |pointer| text::utf16(guest.memory, pointer).unwrap_or_default();
        let found = format!("{} ({}:{line}:{column})", read(message), read(file));
        self.fault(Fault::Abort, found)
    }

    /// Says what the call came to.
    pub fn finish(self, call: &Call<'_>, ended: Ended, meters: Meters) -> Outcome {
        let left = u64::try_from(meters.gas).unwrap_or(0);
        let gas_used = call.gas.saturating_sub(left);
        let (verdict, accepted) = match self.judge(ended, meters) {
            Ok(()) => (Verdict::Accept, true),
            Err(verdict) => (verdict, false),
        };
        let (writes, usage) = if accepted { self.overlay.finish() } else { (Vec::new(), None) };
        Outcome { verdict, gas_used, reads: self.reads, writes, usage, logs: self.logs }
    }

    fn judge(&self, ended: Ended, meters: Meters) -> Result<(), Verdict> {
        let refused = |fault: Fault, found: &str| {
            let reason = if found.is_empty() { fault.to_string() } else { format!("{fault}: {found}") };
            Err(Verdict::Reject { code: fault.code(), reason })
        };
        match (&self.stop, ended) {
            (Some(Stop::Unable(why)), _) => Err(Verdict::Unable(why.clone())),
            (_, Ended::Unable(why)) => Err(Verdict::Unable(why)),
            _ if meters.gas < 0 => refused(Fault::OutOfGas, ""),
            _ if meters.depth < 0 => refused(Fault::StackDepth, ""),
            (Some(Stop::Fault(fault, found)), _) => refused(*fault, found),
            (None, Ended::Trapped(found)) => refused(Fault::Trap, &found),
            (None, Ended::Returned(0)) => Ok(()),
            (None, Ended::Returned(result)) => match u16::try_from(result) {
                Ok(code) if code < u16::MAX => {
                    let none = || format!("the rule gives code {code} and no reason");
                    let reason = if self.reason.is_empty() { none() } else { self.reason.clone() };
                    Err(Verdict::Reject { code: code.into(), reason })
                }
                _ => refused(Fault::MalformedResult, &format!("{result}, expected 0 to 65534")),
            },
        }
    }

    /// Notes a fault.
    pub(super) fn fault(&mut self, fault: Fault, found: String) -> Stopped {
        self.stop.get_or_insert(Stop::Fault(fault, found));
        Stopped
    }

    /// Notes that there is no verdict here.
    pub(super) fn unable(&mut self, why: Unable) -> Stopped {
        self.stop = Some(Stop::Unable(why));
        Stopped
    }

    /// Notes that the memory could not be had which the code is entitled to.
    pub fn out_of_memory(&mut self) -> Stopped {
        self.unable(Unable::OutOfMemory)
    }

    /// Notes that a range is not in the memory.
    pub(super) fn out_of_bounds(
        &mut self,
        name: &str,
        guest: &Guest<'_>,
        pointer: i32,
        length: i32,
    ) -> Stopped {
        let (pointer, length, memory) = (pointer.cast_unsigned(), length.cast_unsigned(), guest.memory.len());
        let found = format!("{name} of {length} bytes at {pointer}, in a memory of {memory} bytes");
        self.fault(Fault::OutOfBounds, found)
    }

    fn text<'a>(
        &mut self,
        name: &str,
        guest: &'a mut Guest<'_>,
        pointer: i32,
        length: i32,
    ) -> Result<&'a [u8], Stopped> {
        let Some(range) = guest.range(pointer, length) else {
            return Err(self.out_of_bounds(name, guest, pointer, length));
        };
        if guest.pay(gas::TEXT.saturating_add(gas::BYTE.saturating_mul(range.len() as u64))) {
            Ok(guest.bytes(&range))
        } else {
            Err(Stopped)
        }
    }
}
