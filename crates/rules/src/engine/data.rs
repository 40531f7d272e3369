//! What a store holds: the session, and the way to it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmtime::{Caller, Global, Memory, ResourceLimiter, Val};

use crate::abi::{Answer, Call, Guest, Question, Session, Stopped};

/// What belongs to one call.
pub(super) struct Data {
    pub(super) session: Session,
    pub(super) mailbox: Mailbox,
    handles: Option<Handles>,
}

/// The parts of an instance that host calls touch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Handles {
    pub(super) memory: Memory,
    pub(super) gas: Global,
}

/// Where a call that waits leaves its question, and finds the answer.
///
/// A store holds nothing that is borrowed, and a host is. So host calls that need the host give way to whoever drives
/// the call, who has it.
#[derive(Debug, Clone, Default)]
pub(super) struct Mailbox(Arc<Mutex<Mail>>);

#[derive(Debug, Default)]
pub(super) struct Mail {
    pub(super) question: Option<Question>,
    pub(super) answer: Option<Answer>,
}

impl Mailbox {
    pub(super) fn open(&self) -> MutexGuard<'_, Mail> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Data {
    pub(super) fn new(call: &Call<'_>) -> Self {
        Self { session: Session::new(call), mailbox: Mailbox::default(), handles: None }
    }

    pub(super) fn attach(&mut self, handles: Handles) {
        self.handles = Some(handles);
    }
}

/// Runs the host's side of a host call.
pub(super) fn serve<R>(
    caller: &mut Caller<'_, Data>,
    act: impl FnOnce(&mut Session, &mut Guest<'_>) -> Result<R, Stopped>,
) -> wasmtime::Result<R> {
    let Some(Handles { memory, gas }) = caller.data().handles else {
        return Err(wasmtime::Error::new(Stopped));
    };
    let mut left = left(&gas, &mut *caller);
    let (bytes, data) = memory.data_and_store_mut(&mut *caller);
    let result = act(&mut data.session, &mut Guest { memory: bytes, gas: &mut left });
    gas.set(&mut *caller, Val::I64(left))?;
    result.map_err(wasmtime::Error::new)
}

/// Reads a global of the meter. Its type is known, since the meter made it.
pub(super) fn left(global: &Global, store: impl wasmtime::AsContextMut) -> i64 {
    global.get(store).i64().unwrap_or(i64::MIN)
}

/// Growth within the limits of the module must succeed, or the node is unable: to the code, a failure would be a fact.
impl ResourceLimiter for Data {
    fn memory_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(maximum.is_none_or(|maximum| desired <= maximum))
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        Err(wasmtime::Error::new(self.session.out_of_memory()))
    }

    fn table_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(maximum.is_none_or(|maximum| desired <= maximum))
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        Err(wasmtime::Error::new(self.session.out_of_memory()))
    }
}
