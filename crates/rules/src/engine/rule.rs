//! A rule: compiled code, and one call after another with nothing left between them.

use std::fmt;
use std::sync::Arc;

use quorate_types::ModuleHash;
use wasmtime::{Extern, Global, Instance, InstancePre, Memory, Module, ModuleExport, Store, TypedFunc, Val};

use super::data::{Data, Handles, Mailbox, NotAtHand, left};
use super::drive::drive;
use super::row::{Serving, in_turn};
use super::tries::Tries;
use super::turns::Turns;
use super::{Shared, stack, trap};
use crate::abi::{AtHand, Call, CallKind, Ended, Host, Meters, Stopped};
use crate::gate::RuleExports;
use crate::meter::{DEPTH_EXPORT, GAS_EXPORT, MeteredModule};
use crate::verdict::{Fault, Outcome, Verdict};

/// A rule that can be called. Cheap to clone.
#[derive(Clone)]
pub struct Rule {
    code: Arc<Code>,
}

struct Code {
    turns: Arc<Turns>,
    timeout_ticks: u64,
    calls_a_store: u32,
    hash: ModuleHash,
    exports: RuleExports,
    meter_version: u32,
    /// For calls that may ask their host.
    asking: InstancePre<Data>,
    /// For calls to which all is at hand.
    at_hand: InstancePre<Data>,
    tries: Tries,
    places: Places,
}

/// What a call needs of an instance.
struct Parts {
    memory: Memory,
    gas: Global,
    alloc: TypedFunc<i32, i32>,
    entry: TypedFunc<(i32, i32), i32>,
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
        let asking = shared.asking.instantiate_pre(&module)?;
        let at_hand = shared.at_hand.instantiate_pre(&module)?;
        let code = Code {
            turns: Arc::clone(&shared.turns),
            timeout_ticks: shared.config.timeout_ticks,
            calls_a_store: shared.config.calls_a_store,
            hash,
            exports,
            meter_version: metered.version,
            asking,
            at_hand,
            tries: Tries::default(),
            places,
        };
        Ok(Self { code: Arc::new(code) })
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

    /// Calls the rule, in an instance of its own that no other call sees.
    ///
    /// A rule without `rule_init` or `rule_change` accepts what it would be asked there. One without `rule_query`
    /// refuses queries ([`Fault::NotAllowed`]).
    ///
    /// Blocks for the length of the call: microseconds for most rules, some 50 ms when all the gas is used; and before it while
    /// [`EngineConfig::instances`](super::EngineConfig::instances) others run. May be called on any thread; the host's methods are called on
    /// the same one.
    pub fn check(&self, call: &Call<'_>, host: &mut dyn Host) -> Outcome {
        let Some(entry) = self.entry(call.kind) else { return not_offered(call.kind) };
        in_turn(&self.code.turns, || self.check_in_turn(&entry, call, host))
    }

    fn check_in_turn(&self, entry: &ModuleExport, call: &Call<'_>, host: &mut dyn Host) -> Outcome {
        if let Some(at_hand) = self.may_be_at_hand(host)
            && let Some(outcome) = self.check_at_hand(entry, call, at_hand)
        {
            return outcome;
        }
        let mailbox = Mailbox::default();
        let mut store = self.store(Data::asking(call, mailbox.clone()));
        let mut globals = None;
        let ended = drive(self.run(&mut store, entry, call, &mut globals), &mailbox, host);
        finish(&mut store, call, ended, globals)
    }

    /// Returns what is at hand for a call that is worth trying at once.
    fn may_be_at_hand(&self, host: &mut dyn Host) -> Option<AtHand> {
        if stack::is_enough() && self.code.tries.is_due() { host.at_hand() } else { None }
    }

    /// Calls the rule on the stack of the thread; `None` when the host must be asked. The verdict is that of a call that
    /// asks.
    fn check_at_hand(&self, entry: &ModuleExport, call: &Call<'_>, at_hand: AtHand) -> Option<Outcome> {
        let data = Data::at_hand(call, at_hand);
        let mut serving = match Serving::take(self.engine()) {
            Some(mut serving) => {
                *serving.store.data_mut() = data;
                serving.store.set_epoch_deadline(self.code.timeout_ticks);
                serving
            }
            None => Serving::new(self.store(data), self.code.calls_a_store),
        };
        let mut globals = None;
        let ended = self.run_at_hand(&mut serving.store, entry, call, &mut globals);
        let succeeded = !ended.as_ref().is_err_and(|error| error.is::<NotAtHand>());
        self.code.tries.note(succeeded);
        let has_returned = ended.is_ok();
        let outcome = succeeded.then(|| finish(&mut serving.store, call, ended, globals));
        // What did not come to its end leaves nothing behind for the next call.
        if has_returned {
            serving.keep();
        }
        outcome
    }

    fn store(&self, data: Data) -> Store<Data> {
        let mut store = Store::new(self.engine(), data);
        store.limiter(|data| data);
        store.set_epoch_deadline(self.code.timeout_ticks);
        store
    }

    fn engine(&self) -> &wasmtime::Engine {
        self.code.asking.module().engine()
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
        let instance = self.code.asking.instantiate_async(&mut *store).await?;
        let parts = self.begin(&instance, store, entry, call, globals)?;
        let pointer = parts.alloc.call_async(&mut *store, len).await?;
        parts.write_input(store, pointer, call)?;
        parts.entry.call_async(store, (pointer, len)).await
    }

    fn run_at_hand(
        &self,
        store: &mut Store<Data>,
        entry: &ModuleExport,
        call: &Call<'_>,
        globals: &mut Option<(Global, Global)>,
    ) -> wasmtime::Result<i32> {
        let len = store.data_mut().session.input_len(call)?;
        let instance = self.code.at_hand.instantiate(&mut *store)?;
        let parts = self.begin(&instance, store, entry, call, globals)?;
        let pointer = parts.alloc.call(&mut *store, len)?;
        parts.write_input(store, pointer, call)?;
        parts.entry.call(store, (pointer, len))
    }

    fn begin(
        &self,
        instance: &Instance,
        store: &mut Store<Data>,
        entry: &ModuleExport,
        call: &Call<'_>,
        globals: &mut Option<(Global, Global)>,
    ) -> wasmtime::Result<Parts> {
        let Places { memory, gas, depth, alloc, .. } = &self.code.places;
        let memory = get(instance, store, memory, Extern::into_memory)?;
        let gas = get(instance, store, gas, Extern::into_global)?;
        let depth = get(instance, store, depth, Extern::into_global)?;
        let alloc = get(instance, store, alloc, Extern::into_func)?.typed(&mut *store)?;
        let entry = get(instance, store, entry, Extern::into_func)?.typed(&mut *store)?;
        gas.set(&mut *store, Val::I64(gas_of(call)))?;
        *globals = Some((gas, depth));
        store.data_mut().attach(Handles { memory, gas });
        Ok(Parts { memory, gas, alloc, entry })
    }
}

impl Parts {
    /// Writes the input where `rule_alloc` said.
    fn write_input(&self, store: &mut Store<Data>, pointer: i32, call: &Call<'_>) -> wasmtime::Result<()> {
        if left(&self.gas, &mut *store) < 0 {
            return Err(Stopped.into());
        }
        let (bytes, data) = self.memory.data_and_store_mut(store);
        Ok(data.session.write_input(bytes, pointer, call)?)
    }
}

fn finish(
    store: &mut Store<Data>,
    call: &Call<'_>,
    ended: wasmtime::Result<i32>,
    globals: Option<(Global, Global)>,
) -> Outcome {
    let ended = match ended {
        Ok(result) => Ended::Returned(result),
        Err(error) => trap::ended(&error),
    };
    let meters = match globals {
        Some((gas, depth)) => Meters { gas: left(&gas, &mut *store), depth: left(&depth, &mut *store) },
        None => Meters { gas: gas_of(call), depth: 0 },
    };
    store.data_mut().end(call, ended, meters)
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
