//! A module beside its metered form: with gas enough it does the same, and without it ends.

use std::sync::LazyLock;
use std::thread;

use quorate_rules::limits::{DEPTH_LIMIT, MAX_MEMORY_PAGES, MAX_TABLE_ELEMENTS};
use quorate_rules::meter::{DEPTH_EXPORT, GAS_EXPORT};
use wasmtime::{
    Config, Engine, Extern, Func, Instance, Linker, Module, OptLevel, Ref, Store, StoreLimits,
    StoreLimitsBuilder, Trap, Val, ValType,
};

/// More than any call here can use.
const ENOUGH_GAS: i64 = 1 << 60;

/// Gas for calls that would not end.
const LITTLE_GAS: i64 = 1_000_000;

/// What the engine counts, as a bound for modules that do not count.
const PLAIN_FUEL: u64 = 200_000;

/// What the engine counts at most for the little gas. Nothing costs a hundred times as much here as there.
const BACKSTOP_FUEL: u64 = 100 * LITTLE_GAS as u64;

/// Native stack of the code, and of the thread that it runs on, in bytes: as nodes have it.
const CODE_STACK_BYTES: usize = 6 << 20;
const STACK_BYTES: usize = 16 << 20;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .cranelift_opt_level(OptLevel::None)
        .cranelift_nan_canonicalization(true)
        .max_wasm_stack(CODE_STACK_BYTES)
        .async_stack_size(STACK_BYTES);
    Engine::new(&config).expect("this machine can run modules")
});

/// How a call ended.
#[derive(Debug, PartialEq)]
enum Ended {
    Returned(Vec<String>),
    Trapped(Trap),
}

/// Runs every exported function of both, one after another.
pub(super) fn compare(plain: &[u8], metered: &[u8]) {
    let work = || {
        let modules = [plain, metered].map(|bytes| Module::new(&ENGINE, bytes).expect("the module is valid"));
        run(&modules);
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work);
        if let Err(panic) = thread.expect("there is memory for a thread").join() {
            std::panic::resume_unwind(panic);
        }
    });
}

fn run([plain, metered]: &[Module; 2]) {
    let Some(mut one) = Run::new(plain, PLAIN_FUEL) else {
        assert!(Run::new(metered, u64::MAX).is_none(), "both trap when they are instantiated");
        return;
    };
    let mut other = Run::new(metered, u64::MAX).expect("both are instantiated");
    other.set(GAS_EXPORT, ENOUGH_GAS);
    for name in one.functions() {
        let expected = one.call(&name);
        if matches!(expected, Ended::Trapped(Trap::OutOfFuel | Trap::StackOverflow)) {
            return ends(metered, &name);
        }
        let found = other.call(&name);
        assert!(other.get(GAS_EXPORT) >= 0 && other.get(DEPTH_EXPORT) >= 0, "{name}: {found:?}");
        assert_eq!(found, expected, "{name}");
        assert_eq!(other.state(), one.state(), "{name}");
        if matches!(found, Ended::Trapped(_)) {
            return;
        }
        assert_eq!(other.get(DEPTH_EXPORT), DEPTH_LIMIT, "{name} gives its depth back");
    }
}

/// What would run for ever, or too deep, ends by its own account.
fn ends(metered: &Module, name: &str) {
    let mut run = Run::new(metered, BACKSTOP_FUEL).expect("it was instantiated before");
    run.set(GAS_EXPORT, LITTLE_GAS);
    let ended = run.call(name);
    let backstop = matches!(ended, Ended::Trapped(Trap::OutOfFuel | Trap::StackOverflow));
    assert!(!backstop, "{name}: {ended:?} with gas {}", run.get(GAS_EXPORT));
}

/// An instance.
struct Run {
    store: Store<StoreLimits>,
    instance: Instance,
}

impl Run {
    /// Instantiates a module; `None` when that traps.
    fn new(module: &Module, fuel: u64) -> Option<Self> {
        // The meter lowers the maxima of memory and table to these.
        let limits = StoreLimitsBuilder::new()
            .memory_size(MAX_MEMORY_PAGES as usize * 65_536)
            .table_elements(MAX_TABLE_ELEMENTS as usize)
            .build();
        let mut store = Store::new(&ENGINE, limits);
        store.limiter(|limits| limits);
        store.set_fuel(fuel).expect("fuel is counted");
        let mut linker = Linker::new(&ENGINE);
        for import in module.imports() {
            let ty = import.ty().func().expect("rules import functions").clone();
            // They always answer the same.
            let answer = |_: wasmtime::Caller<'_, StoreLimits>, _: &[Val], results: &mut [Val]| {
                results.fill(Val::I32(-1));
                Ok(())
            };
            // A module may import one function twice.
            linker.allow_shadowing(true);
            linker
                .func_new(import.module(), import.name(), ty, answer)
                .expect("its type is as the gate wants it");
        }
        let instance = linker.instantiate(&mut store, module).ok()?;
        Some(Self { store, instance })
    }

    /// Names the functions that are exported, in order.
    fn functions(&mut self) -> Vec<String> {
        let exports = self.instance.exports(&mut self.store);
        let named = exports.map(|export| (export.name().to_owned(), export.into_extern()));
        let mut names: Vec<String> =
            named.filter(|(_, export)| matches!(export, Extern::Func(_))).map(|(name, _)| name).collect();
        names.sort();
        names
    }

    fn call(&mut self, name: &str) -> Ended {
        let function: Func = self.instance.get_func(&mut self.store, name).expect("it is exported");
        let ty = function.ty(&self.store);
        let arguments: Vec<Val> = ty.params().map(|ty| argument(&ty)).collect();
        let mut results = vec![Val::I32(0); ty.results().len()];
        match function.call(&mut self.store, &arguments, &mut results) {
            Ok(()) => Ended::Returned(results.iter().map(bits).collect()),
            Err(error) => Ended::Trapped(*error.downcast_ref::<Trap>().expect("code ends with a trap")),
        }
    }

    fn set(&mut self, name: &str, value: i64) {
        let global = self.instance.get_global(&mut self.store, name).expect("the meter adds it");
        global.set(&mut self.store, Val::I64(value)).expect("it can be changed");
    }

    fn get(&mut self, name: &str) -> i64 {
        let global = self.instance.get_global(&mut self.store, name).expect("the meter adds it");
        global.get(&mut self.store).i64().expect("the meter counts in 64 bits")
    }

    /// Everything that can be seen of the instance, but for what the meter added.
    fn state(&mut self) -> (Vec<u8>, Vec<(String, String)>) {
        let (mut memory, mut seen) = (Vec::new(), Vec::new());
        let exports = self.instance.exports(&mut self.store);
        let exports: Vec<_> =
            exports.map(|export| (export.name().to_owned(), export.into_extern())).collect();
        for (name, export) in exports {
            match export {
                Extern::Memory(found) => memory = found.data(&self.store).to_vec(),
                Extern::Global(global) if name != GAS_EXPORT && name != DEPTH_EXPORT => {
                    seen.push((name, bits(&global.get(&mut self.store))));
                }
                Extern::Table(table) => seen.push((name, table.size(&self.store).to_string())),
                _ => {}
            }
        }
        seen.sort();
        (memory, seen)
    }
}

fn argument(ty: &ValType) -> Val {
    match ty {
        ValType::I32 => Val::I32(40),
        ValType::I64 => Val::I64(-3),
        ValType::F32 => Val::F32(0.5_f32.to_bits()),
        ValType::F64 => Val::F64((-7e9_f64).to_bits()),
        ValType::V128 => Val::V128(0_u128.into()),
        ValType::Ref(_) => Val::FuncRef(None),
    }
}

/// The bits of a number; whether a reference is null.
fn bits(value: &Val) -> String {
    match value {
        Val::I32(value) => format!("i32 {value}"),
        Val::I64(value) => format!("i64 {value}"),
        Val::F32(bits) => format!("f32 {bits:#x}"),
        Val::F64(bits) => format!("f64 {bits:#x}"),
        other => format!("null {}", other.ref_().is_some_and(|value: Ref| value.is_null())),
    }
}
