//! What the code costs that the meter writes into a module: the same calls with it and without, in an engine that is
//! set up as that of the nodes and whose host counts nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use quorate_rules::abi::{Call, Session};
use quorate_rules::builtin;
use quorate_rules::meter::{GAS_EXPORT, meter};
use quorate_rules::{gate, limits};
use serde_json::{Value, json};
use wasmtime::{
    Caller, Config, Engine, Extern, InstanceAllocationStrategy, InstancePre, Linker, Module, OptLevel,
    PoolingAllocationConfig, Store, Val,
};

use crate::rooms::Transfer;

const ROUNDS: u32 = 400;

type State = BTreeMap<Vec<u8>, Vec<u8>>;

/// Calls of the ledger, which reads a text, and of chess, which computes.
pub(super) fn cost(calls: u32) -> Result<Value> {
    let transfer = Transfer::new();
    let ledger = percent("ledger", &transfer.call(), &transfer.state, calls)?;
    let (white, black) = ("11".repeat(32), "22".repeat(32));
    let params = format!(r#"{{"white":"{white}","black":"{black}"}}"#);
    let author = quorate_types::PublicKey::new([0x11; 32]);
    let (params, payload) = (params.as_bytes(), br#"{"move":"e2e4"}"#.as_slice());
    let chess = Call { author, params, payload, ..transfer.call() };
    let chess = percent("chess", &chess, &State::new(), calls / 4)?;
    Ok(json!({ "percent": ledger.0, "chess_percent": chess.0, "ledger_us": ledger.1, "chess_us": chess.1 }))
}

/// How much longer a call takes with the meter, in percent, and how long it takes then, in microseconds.
fn percent(rule: &str, call: &Call<'_>, state: &State, calls: u32) -> Result<(f64, f64)> {
    let bytes = builtin::named(rule).context("expected a rule that comes with the program")?.module;
    let metered = meter(&gate::inspect(bytes)?).bytes;
    let engine = engine().map_err(told)?;
    let subject = |bytes| Subject::new(&engine, bytes).map_err(told);
    let [plain, metered] = [subject(bytes)?, subject(&metered)?];
    let mut best = [Duration::MAX; 2];
    // In turn, so that a slow minute of the machine hits both.
    for _ in 0..ROUNDS {
        for (subject, best) in [&plain, &metered].into_iter().zip(&mut best) {
            let started = Instant::now();
            for _ in 0..calls.div_ceil(ROUNDS) {
                let result = subject.call(&engine, call, state).map_err(told)?;
                ensure!(result == 0, "expected the call to be accepted, found {result}");
            }
            *best = (*best).min(started.elapsed());
        }
    }
    let [plain, metered] = best.map(|time| time.as_secs_f64() * 1e6 / f64::from(calls.div_ceil(ROUNDS)));
    Ok(((metered / plain - 1.0) * 100.0, metered))
}

fn told(error: wasmtime::Error) -> anyhow::Error {
    anyhow!("{error:#}")
}

fn engine() -> wasmtime::Result<Engine> {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(4)
        .total_memories(4)
        .total_tables(4)
        .max_memory_size(16 << 20)
        .table_elements(limits::MAX_TABLE_ELEMENTS as usize)
        .linear_memory_keep_resident(1 << 20)
        .table_keep_resident(8 * limits::MAX_TABLE_ELEMENTS as usize);
    let mut config = Config::new();
    config
        .cranelift_opt_level(OptLevel::None)
        .cranelift_nan_canonicalization(true)
        .epoch_interruption(true)
        .memory_init_cow(true)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}

/// A module that can be called.
struct Subject {
    instance: InstancePre<State>,
    metered: bool,
}

impl Subject {
    fn new(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Self> {
        let module = Module::new(engine, bytes)?;
        let metered = module.get_export(GAS_EXPORT).is_some();
        Ok(Self { instance: linker(engine)?.instantiate_pre(&module)?, metered })
    }

    /// Calls the rule in an instance of its own.
    fn call(&self, engine: &Engine, call: &Call<'_>, state: &State) -> wasmtime::Result<i32> {
        let missing = || wasmtime::Error::msg("an export of a rule is missing");
        let mut store = Store::new(engine, state.clone());
        store.set_epoch_deadline(40);
        let instance = self.instance.instantiate(&mut store)?;
        if self.metered {
            let gas = instance.get_global(&mut store, GAS_EXPORT).ok_or_else(missing)?;
            gas.set(&mut store, Val::I64(limits::GAS_LIMIT_CHECK))?;
        }
        let memory = instance.get_memory(&mut store, "memory").ok_or_else(missing)?;
        let alloc = instance.get_typed_func::<i32, i32>(&mut store, "rule_alloc")?;
        let check = instance.get_typed_func::<(i32, i32), i32>(&mut store, "rule_check")?;
        let length = call.input_len() as i32;
        let pointer = alloc.call(&mut store, length)?;
        Session::new(call).write_input(memory.data_mut(&mut store), pointer, call)?;
        check.call(&mut store, (pointer, length))
    }
}

/// What the two rules import. The state is read; what is written counts for nothing.
fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    type Code<'a> = Caller<'a, State>;
    let mut linker = Linker::new(engine);
    linker.func_wrap(
        "rule_v1",
        "state_get",
        |mut code: Code<'_>, key: i32, key_length: i32, out: i32, cap: i32| {
            let memory = code.get_export("memory").and_then(Extern::into_memory);
            let memory = memory.ok_or_else(|| wasmtime::Error::msg("expected a memory"))?;
            let (bytes, state) = memory.data_and_store_mut(&mut code);
            let key = bytes.get(key as usize..(key + key_length) as usize);
            let Some(value) = key.and_then(|key| state.get(key)) else { return Ok(-1) };
            let length = value.len().min(cap as usize);
            let place = bytes.get_mut(out as usize..out as usize + length);
            place.ok_or_else(|| wasmtime::Error::msg("out of bounds"))?.copy_from_slice(&value[..length]);
            Ok(value.len() as i32)
        },
    )?;
    linker.func_wrap("rule_v1", "state_set", |_: Code<'_>, _: i32, _: i32, _: i32, _: i32| {})?;
    linker.func_wrap("rule_v1", "state_del", |_: Code<'_>, _: i32, _: i32| {})?;
    linker.func_wrap("rule_v1", "fail", |_: Code<'_>, _: i32, _: i32| {})?;
    linker.func_wrap("rule_v1", "log", |_: Code<'_>, _: i32, _: i32| {})?;
    linker.func_wrap(
        "env",
        "abort",
        |_: Code<'_>, _: i32, _: i32, _: i32, _: i32| -> wasmtime::Result<()> {
            Err(wasmtime::Error::msg("the rule gives up"))
        },
    )?;
    Ok(linker)
}
