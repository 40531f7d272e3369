//! A rule: compiled code, and one call after another with nothing left between them.

use std::fmt;
use std::sync::Arc;

use quorate_types::ModuleHash;
use wasmtime::{Extern, Global, Instance, InstancePre, Module, ModuleExport, Store, Val};

use super::data::{Data, Handles, left};
use super::drive::drive;
use super::{Shared, trap};
use crate::abi::{Call, CallKind, Ended, Host, Meters, Stopped};
use crate::gate::RuleExports;
use crate::meter::{DEPTH_EXPORT, GAS_EXPORT, MeteredModule};
use crate::verdict::{Fault, Outcome, Verdict};

/// A rule that can be called. Cheap to clone.
#[derive(Clone)]
pub struct Rule {
    code: Arc<Code>,
}

struct Code {
    timeout_ticks: u64,
    hash: ModuleHash,
    exports: RuleExports,
    meter_version: u32,
    instance: InstancePre<Data>,
    places: Places,
}

/// Where the exports are that a call needs.
struct Places {
    memory: ModuleExport,
    gas: ModuleExport,
    depth: ModuleExport,
    alloc: ModuleExport,
    entries: [Option<ModuleExport>; CallKind::ALL.len()],
}

impl Rule {
    pub(super) fn compile(
        shared: &Shared,
        hash: ModuleHash,
        exports: RuleExports,
        metered: &MeteredModule,
    ) -> wasmtime::Result<Self> {
        let module = Module::from_binary(&shared.wasm, &metered.bytes)?;
        let needed = |name: &str| {
            let missing = || wasmtime::Error::msg(format!("the metered module has no export {name}"));
            module.get_export_index(name).ok_or_else(missing)
        };
        let places = Places {
            memory: needed("memory")?,
            gas: needed(GAS_EXPORT)?,
            depth: needed(DEPTH_EXPORT)?,
            alloc: needed("rule_alloc")?,
            entries: CallKind::ALL.map(|kind| module.get_export_index(kind.export())),
        };
        let instance = shared.linker.instantiate_pre(&module)?;
        let (timeout_ticks, meter_version) = (shared.config.timeout_ticks, metered.version);
        Ok(Self { code: Arc::new(Code { timeout_ticks, hash, exports, meter_version, instance, places }) })
    }

    /// Returns the name of the module.
    pub fn hash(&self) -> ModuleHash {
        self.code.hash
    }

    /// Returns which optional parts of the ABI the module has.
    pub fn exports(&self) -> RuleExports {
        self.code.exports
    }

    /// Returns the version of the meter that counts in it.
    pub fn meter_version(&self) -> u32 {
        self.code.meter_version
    }

    /// Calls the rule, in an instance of its own that is gone afterwards.
    ///
    /// A rule without `rule_init` or `rule_change` accepts what it would be asked there. One without `rule_query`
    /// refuses queries ([`Fault::NotAllowed`]).
    ///
    /// Blocks for the length of the call: microseconds for most rules, some 50 ms when all the gas is used. May be
    /// called on any thread; the host's methods are called on the same one.
    pub fn check(&self, call: &Call<'_>, host: &mut dyn Host) -> Outcome {
        let Some(entry) = self.entry(call.kind) else { return not_offered(call.kind) };
        let data = Data::new(call);
        let mailbox = data.mailbox.clone();
        let mut store = Store::new(self.code.instance.module().engine(), data);
        store.limiter(|data| data);
        store.set_epoch_deadline(self.code.timeout_ticks);
        let mut globals = None;
        let ended = match drive(self.run(&mut store, &entry, call, &mut globals), &mailbox, host) {
            Ok(result) => Ended::Returned(result),
            Err(error) => trap::ended(&error),
        };
        let meters = match globals {
            Some((gas, depth)) => Meters { gas: left(&gas, &mut store), depth: left(&depth, &mut store) },
            None => Meters { gas: gas_of(call), depth: 0 },
        };
        store.into_data().session.finish(call, ended, meters)
    }

    fn entry(&self, kind: CallKind) -> Option<ModuleExport> {
        let place = CallKind::ALL.into_iter().position(|one| one == kind)?;
        self.code.places.entries.get(place).copied().flatten()
    }

    async fn run(
        &self,
        store: &mut Store<Data>,
        entry: &ModuleExport,
        call: &Call<'_>,
        globals: &mut Option<(Global, Global)>,
    ) -> wasmtime::Result<i32> {
        let len = store.data_mut().session.input_len(call)?;
        let instance = self.code.instance.instantiate_async(&mut *store).await?;
        let Places { memory, gas, depth, alloc, .. } = &self.code.places;
        let memory = get(&instance, store, memory, Extern::into_memory)?;
        let gas = get(&instance, store, gas, Extern::into_global)?;
        let depth = get(&instance, store, depth, Extern::into_global)?;
        let alloc = get(&instance, store, alloc, Extern::into_func)?.typed::<i32, i32>(&mut *store)?;
        let entry = get(&instance, store, entry, Extern::into_func)?.typed::<(i32, i32), i32>(&mut *store)?;
        gas.set(&mut *store, Val::I64(gas_of(call)))?;
        *globals = Some((gas, depth));
        store.data_mut().attach(Handles { memory, gas });
        let pointer = alloc.call_async(&mut *store, len).await?;
        if left(&gas, &mut *store) < 0 {
            return Err(Stopped.into());
        }
        let (bytes, data) = memory.data_and_store_mut(&mut *store);
        data.session.write_input(bytes, pointer, call)?;
        entry.call_async(&mut *store, (pointer, len)).await
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule").field("hash", &self.code.hash).finish_non_exhaustive()
    }
}

fn get<T>(
    instance: &Instance,
    store: &mut Store<Data>,
    place: &ModuleExport,
    is: impl FnOnce(Extern) -> Option<T>,
) -> wasmtime::Result<T> {
    let missing = || wasmtime::Error::msg("an export is not what the gate has seen");
    instance.get_module_export(store, place).and_then(is).ok_or_else(missing)
}

fn gas_of(call: &Call<'_>) -> i64 {
    i64::try_from(call.gas).unwrap_or(i64::MAX)
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
