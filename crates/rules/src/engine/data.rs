//! What a store holds: the session, and the way to it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmtime::{Caller, Global, Memory, ResourceLimiter, Store, Val};

use super::drive::ask;
use crate::abi::{Answer, AtHand, Call, Ended, Guest, Meters, Question, Reply, Session, Stopped};
use crate::verdict::Outcome;

/// What belongs to one call.
pub(super) struct Data {
    pub(super) session: Session,
    answers: Answers,
    handles: Option<Handles>,
}

/// Where a call finds the answers of its host.
#[derive(Debug, Clone)]
enum Answers {
    /// Whoever drives the call has the host, and is asked.
    Asked(Mailbox),
    /// Here, or the call is given up.
    AtHand(AtHand),
}

/// An answer is not at hand. The call has come to nothing, and is to be made again where the host can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host is to be asked")]
pub(super) struct NotAtHand;

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
    /// Begins a call that leaves its questions in a mailbox.
    pub(super) fn asking(call: &Call<'_>, mailbox: Mailbox) -> Self {
        Self { session: Session::new(call), answers: Answers::Asked(mailbox), handles: None }
    }

    /// Begins a call that asks nobody.
    pub(super) fn at_hand(call: &Call<'_>, at_hand: AtHand) -> Self {
        Self { session: Session::new(call), answers: Answers::AtHand(at_hand), handles: None }
    }

    pub(super) fn attach(&mut self, handles: Handles) {
        self.handles = Some(handles);
    }

    /// Returns how large the memory of the call's instance is; 0 where there is no instance.
    pub(super) fn memory_bytes(&self, store: &Store<Self>) -> usize {
        self.handles.map_or(0, |handles| handles.memory.data_size(store))
    }

    /// Ends the call, whose store may serve another one.
    pub(super) fn end(&mut self, call: &Call<'_>, ended: Ended, meters: Meters) -> Outcome {
        std::mem::replace(&mut self.session, Session::new(call)).finish(call, ended, meters)
    }
}

/// Runs the host's side of a host call.
pub(super) fn serve<R>(
    caller: &mut Caller<'_, Data>,
    act: impl FnOnce(&mut Session, &mut Guest<'_>) -> Result<R, Stopped>,
) -> wasmtime::Result<R> {
    let (handles, mut left) = begin(caller)?;
    let result = with_guest(caller, &handles, &mut left, act);
    handles.gas.set(&mut *caller, Val::I64(left))?;
    result.map_err(wasmtime::Error::new)
}

/// Runs the host's side of a host call that may have a question to the host.
///
/// The gas that is left stands nowhere but here as long as the call waits: no code of the rule runs then.
pub(super) async fn serve_with_host(
    mut caller: Caller<'_, Data>,
    act: impl FnOnce(&mut Session, &mut Guest<'_>) -> Result<Reply, Stopped>,
) -> wasmtime::Result<i32> {
    let (handles, mut left) = begin(&mut caller)?;
    let mut result = with_guest(&mut caller, &handles, &mut left, act);
    if let Ok(Reply::Ask(question)) = result {
        let Answers::Asked(mailbox) = &caller.data().answers else {
            return Err(wasmtime::Error::new(NotAtHand));
        };
        let answer = ask(mailbox.clone(), question).await;
        result = with_guest(&mut caller, &handles, &mut left, take(answer));
    }
    done(caller, &handles, left, result)
}

/// Runs the host's side of a host call that may have a question, to which the answer must be at hand.
pub(super) fn serve_at_hand(
    mut caller: Caller<'_, Data>,
    act: impl FnOnce(&mut Session, &mut Guest<'_>) -> Result<Reply, Stopped>,
) -> wasmtime::Result<i32> {
    let (handles, mut left) = begin(&mut caller)?;
    let mut result = with_guest(&mut caller, &handles, &mut left, act);
    if let Ok(Reply::Ask(question)) = result {
        let answer = match &caller.data().answers {
            Answers::AtHand(at_hand) => question.answer_at_hand(at_hand),
            Answers::Asked(_) => None,
        };
        let answer = answer.ok_or_else(|| wasmtime::Error::new(NotAtHand))?;
        result = with_guest(&mut caller, &handles, &mut left, take(answer));
    }
    done(caller, &handles, left, result)
}

/// Goes on with what the host says.
fn take(answer: Answer) -> impl FnOnce(&mut Session, &mut Guest<'_>) -> Result<Reply, Stopped> {
    |session, guest| session.answer(guest, answer).map(Reply::Done)
}

/// Ends a host call: the code of the rule has its gas back.
fn done(
    mut caller: Caller<'_, Data>,
    handles: &Handles,
    left: i64,
    result: Result<Reply, Stopped>,
) -> wasmtime::Result<i32> {
    handles.gas.set(&mut caller, Val::I64(left))?;
    match result.map_err(wasmtime::Error::new)? {
        Reply::Done(result) => Ok(result),
        Reply::Ask(_) => Err(wasmtime::Error::msg("a question is asked once in a call")),
    }
}

/// Finds what a host call touches, and reads what gas is left.
fn begin(caller: &mut Caller<'_, Data>) -> wasmtime::Result<(Handles, i64)> {
    let Some(handles) = caller.data().handles else {
        return Err(wasmtime::Error::new(Stopped));
    };
    let left = left(&handles.gas, &mut *caller);
    Ok((handles, left))
}

fn with_guest<R>(
    caller: &mut Caller<'_, Data>,
    handles: &Handles,
    left: &mut i64,
    act: impl FnOnce(&mut Session, &mut Guest<'_>) -> Result<R, Stopped>,
) -> Result<R, Stopped> {
    let (bytes, data) = handles.memory.data_and_store_mut(&mut *caller);
    act(&mut data.session, &mut Guest { memory: bytes, gas: left })
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
