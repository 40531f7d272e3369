//! A second engine for rules: an interpreter, with nothing in common with the first but the gate, the meter and the ABI.
//!
//! For tests of any crate that depends on `quorate-rules` and has `wasmi` among its dev-dependencies:
//! `#[path = "../../../rules/tests/support/mod.rs"] mod support;`

#![allow(dead_code)]

mod surroundings;

pub(crate) use surroundings::{Partly, Surroundings};

use quorate_rules::abi::{Call, CallKind, Ended, Guest, Host, Meters, Reply, Session, Stopped};
use quorate_rules::engine::{Rule, with_stack};
use quorate_rules::gate;
use quorate_rules::meter::{self, DEPTH_EXPORT, GAS_EXPORT};
use quorate_rules::verdict::{Fault, Outcome, Unable, Verdict};
use wasmi::{
    Caller, Config, Engine, Error, Extern, Global, Instance, Linker, Memory, Module, Store, TrapCode, Val,
};

struct Data<'a> {
    session: Session,
    host: &'a mut dyn Host,
    handles: Option<(Memory, Global)>,
}

/// A module that the interpreter has read.
pub(crate) struct Interpreted {
    engine: Engine,
    module: Module,
}

impl Interpreted {
    /// Reads a module.
    ///
    /// # Panics
    ///
    /// When the gate refuses the module, or the interpreter itself fails.
    pub(crate) fn new(module: &[u8]) -> Self {
        let metered = meter::meter(&gate::inspect(module).unwrap());
        let engine = Engine::new(&config());
        let module = Module::new(&engine, &metered.bytes).unwrap();
        Self { engine, module }
    }

    /// Tells whether the module has an opinion on changes of rules.
    pub(crate) fn has_opinion(&self) -> bool {
        self.module.exports().any(|export| export.name() == CallKind::Change.export())
    }

    /// Runs the module the way the first engine does, and says what it comes to.
    ///
    /// # Panics
    ///
    /// When the interpreter itself fails.
    pub(crate) fn check(&self, call: &Call<'_>, host: &mut dyn Host) -> Outcome {
        if !self.module.exports().any(|export| export.name() == call.kind.export()) {
            return not_offered(call.kind);
        }
        let mut store = Store::new(&self.engine, Data { session: Session::new(call), host, handles: None });
        let linker = linker(&self.engine);
        let mut globals = None;
        let ended = match run(&mut store, &linker, &self.module, call, &mut globals) {
            Ok(result) => Ended::Returned(result),
            Err(error) => match error.as_trap_code() {
                Some(TrapCode::StackOverflow) => Ended::Unable(Unable::NativeStack),
                Some(code) => Ended::Trapped(code.to_string()),
                None if error.downcast_ref::<Halt>().is_some() => Ended::Trapped(String::new()),
                None if globals.is_none() => Ended::Trapped(error.to_string()),
                None => panic!("the interpreter failed: {error}"),
            },
        };
        let read = |global: &Global| global.get(&store).i64().unwrap();
        let meters = match globals {
            Some((gas, depth)) => Meters { gas: read(&gas), depth: read(&depth) },
            None => Meters { gas: i64::try_from(call.gas).unwrap(), depth: 0 },
        };
        store.into_data().session.finish(call, ended, meters)
    }
}

/// Runs a module of any author's the way the first engine does, and says what it comes to.
///
/// # Panics
///
/// When the gate refuses the module, or the interpreter itself fails.
pub(crate) fn second_opinion(module: &[u8], call: &Call<'_>, host: &mut dyn Host) -> Outcome {
    Interpreted::new(module).check(call, host)
}

/// Calls a rule with all of its state at hand, and with some of it, in a row on a stack on which it runs at once: the outcome
/// must be the same to the letter each time.
///
/// # Panics
///
/// When it is another one.
pub(crate) fn assert_same_at_hand(rule: &Rule, call: &Call<'_>, around: &Surroundings, outcome: &Outcome) {
    let parts: [fn(&[u8]) -> bool; 2] = [|_| true, |key| key.last().is_some_and(|byte| byte % 2 == 0)];
    with_stack(|| {
        for is_at_hand in [parts[0], parts[0], parts[1], parts[0]] {
            let mut host = Partly { around: around.clone(), is_at_hand };
            assert_eq!(rule.check(call, &mut host), *outcome, "it differs with the state at hand");
        }
    });
}

/// Compares two outcomes in everything that is part of consensus, and in the logs.
///
/// # Panics
///
/// When they differ.
pub(crate) fn assert_same(one: &Outcome, other: &Outcome, what: &str) {
    let consensus = |outcome: &Outcome| {
        let mut outcome = outcome.clone();
        if let Verdict::Reject { code, reason } = &mut outcome.verdict
            && Fault::from_code(*code) == Some(Fault::Trap)
        {
            reason.clear();
        }
        outcome
    };
    assert_eq!(consensus(one), consensus(other), "{what}");
}

fn config() -> Config {
    let mut config = Config::default();
    config.set_max_recursion_depth(1 << 20).set_max_stack_height(1 << 26);
    config
}

fn run<'a>(
    store: &mut Store<Data<'a>>,
    linker: &Linker<Data<'a>>,
    module: &Module,
    call: &Call<'_>,
    globals: &mut Option<(Global, Global)>,
) -> Result<i32, Error> {
    let len = store.data_mut().session.input_len(call).map_err(halt)?;
    let instance = linker.instantiate_and_start(&mut *store, module)?;
    let memory = instance.get_memory(&*store, "memory").unwrap();
    let [gas, depth] = [GAS_EXPORT, DEPTH_EXPORT].map(|name| instance.get_global(&*store, name).unwrap());
    gas.set(&mut *store, Val::I64(i64::try_from(call.gas).unwrap())).unwrap();
    *globals = Some((gas, depth));
    store.data_mut().handles = Some((memory, gas));
    let pointer = function::<i32>(&instance, store, "rule_alloc").call(&mut *store, len)?;
    if gas.get(&*store).i64().unwrap() < 0 {
        return Err(halt(Stopped));
    }
    let (bytes, data) = memory.data_and_store_mut(&mut *store);
    data.session.write_input(bytes, pointer, call).map_err(halt)?;
    function::<(i32, i32)>(&instance, store, call.kind.export()).call(&mut *store, (pointer, len))
}

fn function<P: wasmi::WasmParams>(
    instance: &Instance,
    store: &Store<Data<'_>>,
    name: &str,
) -> wasmi::TypedFunc<P, i32> {
    instance.get_export(store, name).and_then(Extern::into_func).unwrap().typed(store).unwrap()
}

fn not_offered(kind: CallKind) -> Outcome {
    let verdict = match kind {
        CallKind::Init | CallKind::Change => Verdict::Accept,
        CallKind::Check | CallKind::Query => Verdict::Reject {
            code: Fault::NotAllowed.code(),
            reason: format!("{}: the rule has no {}", Fault::NotAllowed, kind.export()),
        },
    };
    Outcome { verdict, gas_used: 0, reads: 0, writes: Vec::new(), usage: None, logs: Vec::new() }
}

/// The host's end of a call, as an error of the interpreter.
#[derive(Debug)]
struct Halt;

impl std::fmt::Display for Halt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("stopped")
    }
}

impl wasmi::errors::HostError for Halt {}

fn halt(_: Stopped) -> Error {
    Error::host(Halt)
}

fn serve<R>(
    caller: &mut Caller<'_, Data<'_>>,
    act: impl FnOnce(&mut Session, &mut Guest<'_>) -> Result<R, Stopped>,
) -> Result<R, Error> {
    let (memory, global) = caller.data().handles.unwrap();
    let mut gas = global.get(&*caller).i64().unwrap();
    let (bytes, data) = memory.data_and_store_mut(&mut *caller);
    let result = act(&mut data.session, &mut Guest { memory: bytes, gas: &mut gas });
    global.set(&mut *caller, Val::I64(gas)).unwrap();
    result.map_err(halt)
}

fn settle(caller: &mut Caller<'_, Data<'_>>, reply: Reply) -> Result<i32, Error> {
    match reply {
        Reply::Done(result) => Ok(result),
        Reply::Ask(question) => {
            let answer = question.put_to(caller.data_mut().host);
            serve(caller, |session, guest| session.answer(guest, answer))
        }
    }
}

fn linker<'a>(engine: &Engine) -> Linker<Data<'a>> {
    type Code<'c, 'a> = Caller<'c, Data<'a>>;
    let mut linker = Linker::new(engine);
    let rule = "rule_v1";
    linker
        .func_wrap(rule, "get_block", |mut code: Code<'_, 'a>, index: i64, out: i32, cap: i32| {
            let reply = serve(&mut code, |session, guest| session.get_block(guest, index, out, cap))?;
            settle(&mut code, reply)
        })
        .unwrap()
        .func_wrap(rule, "state_get", |mut code: Code<'_, 'a>, key: i32, key_len: i32, out: i32, cap: i32| {
            let reply = serve(&mut code, |session, guest| session.state_get(guest, key, key_len, out, cap))?;
            settle(&mut code, reply)
        })
        .unwrap()
        .func_wrap(
            rule,
            "state_set",
            |mut code: Code<'_, 'a>, key: i32, key_len: i32, value: i32, value_len: i32| {
                let reply = serve(&mut code, |session, guest| {
                    session.state_set(guest, key, key_len, value, value_len)
                })?;
                settle(&mut code, reply).map(drop)
            },
        )
        .unwrap()
        .func_wrap(rule, "state_del", |mut code: Code<'_, 'a>, key: i32, key_len: i32| {
            let reply = serve(&mut code, |session, guest| session.state_del(guest, key, key_len))?;
            settle(&mut code, reply).map(drop)
        })
        .unwrap()
        .func_wrap(rule, "fail", |mut code: Code<'_, 'a>, pointer: i32, length: i32| {
            serve(&mut code, |session, guest| session.fail(guest, pointer, length))
        })
        .unwrap()
        .func_wrap(rule, "log", |mut code: Code<'_, 'a>, pointer: i32, length: i32| {
            serve(&mut code, |session, guest| session.log(guest, pointer, length))
        })
        .unwrap()
        .func_wrap(rule, "blake2b_256", |mut code: Code<'_, 'a>, pointer: i32, length: i32, out: i32| {
            serve(&mut code, |session, guest| session.blake2b_256(guest, pointer, length, out))
        })
        .unwrap()
        .func_wrap(rule, "sha256", |mut code: Code<'_, 'a>, pointer: i32, length: i32, out: i32| {
            serve(&mut code, |session, guest| session.sha256(guest, pointer, length, out))
        })
        .unwrap()
        .func_wrap(
            rule,
            "ed25519_verify",
            |mut code: Code<'_, 'a>, key: i32, message: i32, length: i32, signature: i32| {
                serve(&mut code, |session, guest| {
                    session.ed25519_verify(guest, key, message, length, signature)
                })
            },
        )
        .unwrap()
        .func_wrap(
            "env",
            "abort",
            |mut code: Code<'_, 'a>, message: i32, file: i32, line: i32, column: i32| {
                serve(&mut code, |session, guest| {
                    Err::<(), Stopped>(session.abort(guest, message, file, line, column))
                })
            },
        )
        .unwrap();
    linker
}
