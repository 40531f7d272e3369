//! Runs modules in an interpreter that has nothing in common with the engine of the rules.

use wasmi::{Config, Engine, Extern, Linker, Module, Store, TrapCode, Val};

/// Functions that every module of these tests has, besides what it is about.
pub(super) const ABI: &str = r#"
    (memory (export "memory") 1)
    (func (export "rule_abi_v1"))
    (func (export "rule_alloc") (param i32) (result i32) i32.const 0)
    (func (export "rule_check") (param i32 i32) (result i32) i32.const 0)"#;

/// Puts the text of a module together with what a rule needs.
pub(super) fn rule(text: &str) -> Vec<u8> {
    wat::parse_str(format!("(module {text} {ABI})")).unwrap()
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ended {
    Returned(Vec<String>),
    Trapped(TrapCode),
}

/// An instance.
pub(super) struct Run {
    store: Store<()>,
    instance: wasmi::Instance,
}

impl Run {
    /// Instantiates a module that imports nothing but the ABI. `None` when it traps before any call.
    pub(super) fn new(bytes: &[u8], fuel: Option<u64>) -> Option<Self> {
        let mut config = Config::default();
        config.consume_fuel(fuel.is_some()).set_max_recursion_depth(100_000).set_max_stack_height(64 << 20);
        let engine = Engine::new(&config);
        let module = Module::new(&engine, bytes).unwrap();
        let mut store = Store::new(&engine, ());
        if let Some(fuel) = fuel {
            store.set_fuel(fuel).unwrap();
        }
        let mut linker = Linker::new(&engine);
        // Functions of the engine that are not there, and always answer the same.
        for import in module.imports() {
            let ty = import.ty().func().unwrap().clone();
            linker
                .func_new(import.module(), import.name(), ty, |_, _, results| {
                    results.iter_mut().for_each(|result| *result = Val::I32(-1));
                    Ok(())
                })
                .unwrap();
        }
        let instance = linker.instantiate_and_start(&mut store, &module).ok()?;
        Some(Self { store, instance })
    }

    /// Calls an export.
    pub(super) fn call(&mut self, name: &str, arguments: &[Val]) -> Ended {
        let function = self.instance.get_func(&self.store, name).unwrap();
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        match function.call(&mut self.store, arguments, &mut results) {
            Ok(()) => Ended::Returned(results.iter().map(bits).collect()),
            Err(error) => Ended::Trapped(error.as_trap_code().unwrap()),
        }
    }

    pub(super) fn global(&self, name: &str) -> i64 {
        self.instance.get_global(&self.store, name).unwrap().get(&self.store).i64().unwrap()
    }

    pub(super) fn set_global(&mut self, name: &str, value: i64) {
        let global = self.instance.get_global(&self.store, name).unwrap();
        global.set(&mut self.store, Val::I64(value)).unwrap();
    }

    /// Everything that can be seen of the instance, but for what the meter added.
    pub(super) fn state(&self) -> (u64, Vec<u8>, Vec<(String, String)>) {
        let mut globals = Vec::new();
        let (mut pages, mut memory) = (0, Vec::new());
        for export in self.instance.exports(&self.store) {
            let name = export.name().to_owned();
            match export.into_extern() {
                Extern::Memory(found) => {
                    pages = found.size(&self.store);
                    memory = found.data(&self.store).to_vec();
                }
                Extern::Global(global) if !name.starts_with("quorate_") => {
                    globals.push((name, bits(&global.get(&self.store))));
                }
                _ => {}
            }
        }
        globals.sort();
        (pages, memory, globals)
    }
}

/// The bits of a number; whether a reference is null.
fn bits(value: &Val) -> String {
    match value {
        Val::I32(value) => format!("i32 {value}"),
        Val::I64(value) => format!("i64 {value}"),
        Val::F32(value) => format!("f32 {:#x}", value.to_bits()),
        Val::F64(value) => format!("f64 {:#x}", value.to_bits()),
        Val::FuncRef(value) => format!("funcref {}", value.is_null()),
        other => panic!("{other:?} is no value of a rule"),
    }
}
