//! How the engine is set up.

use std::num::NonZeroUsize;

use wasmtime::{
    Config, Enabled, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, WasmBacktraceDetails,
    WasmFeatures,
};

use crate::limits::{MAX_MEMORY_PAGES, MAX_TABLE_ELEMENTS};

/// Native stack of a call, in bytes. It is the engine's own, whatever thread the call comes from.
pub const STACK_BYTES: usize = 8 * 1024 * 1024;

/// Native stack that the code of a rule may use, in bytes. The rest of it is for host calls. METER v1 ends a recursion
/// before this.
const CODE_STACK_BYTES: usize = 6 * 1024 * 1024;

const PAGE_BYTES: usize = 64 * 1024;

/// Start of the memory of a place in the pool that is written anew when its store goes, in bytes: all that a small rule has,
/// without a system call. What lies behind goes back to the system.
pub(super) const KEPT_MEMORY_BYTES: usize = PAGE_BYTES;

/// Changed table of a place in the pool that stays for its next call, in bytes.
const KEPT_TABLE_BYTES: usize = 8 * MAX_TABLE_ELEMENTS as usize;

/// Largest description of an instance, in bytes: what a module of 4 096 functions and 256 globals needs, twice.
const INSTANCE_BYTES: usize = 1024 * 1024;

/// How an engine is set up. Nothing here can change a verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// Calls, or rows of them, that can run at once; others wait.
    pub instances: u32,
    /// Calls of a row that a store serves. Each has a place of its own in the pool, and each place reserves 4 GiB of address space,
    /// which is not memory.
    pub calls_a_store: u32,
    /// Ticks of the [`Backstop`](super::Backstop) after which a call is given up.
    pub timeout_ticks: u64,
    /// Bytes of modules whose machine code is kept for [`Engine::compile`](super::Engine::compile) to find; the code
    /// itself is some ten times as big.
    pub cached_module_bytes: usize,
}

impl Default for EngineConfig {
    /// 64 calls at once, four in a row with one store, 10 s, 8 MiB of modules. With more calls a store, memory that is written anew is no longer
    /// in the processor's caches.
    fn default() -> Self {
        Self { instances: 64, calls_a_store: 4, timeout_ticks: 40, cached_module_bytes: 8 * 1024 * 1024 }
    }
}

impl EngineConfig {
    pub(super) fn wasm(&self) -> Config {
        let mut config = Config::new();
        config
            .wasm_features(WasmFeatures::all().difference(features()), false)
            .wasm_features(features(), true)
            // The optimizing level takes time in the square of a function's length.
            .cranelift_opt_level(OptLevel::None)
            .cranelift_nan_canonicalization(true)
            .max_wasm_stack(CODE_STACK_BYTES)
            .async_stack_size(STACK_BYTES)
            .epoch_interruption(true)
            .wasm_backtrace_max_frames(NonZeroUsize::new(1))
            // Or else an environment variable decides.
            .wasm_backtrace_details(WasmBacktraceDetails::Disable)
            .generate_address_map(false)
            .native_unwind_info(cfg!(windows))
            .memory_init_cow(true)
            .concurrency_support(false)
            .allocation_strategy(InstanceAllocationStrategy::Pooling(self.pool()));
        config
    }

    fn pool(&self) -> PoolingAllocationConfig {
        let instances = self.instances.max(1);
        let memory_bytes = usize::try_from(MAX_MEMORY_PAGES).map_or(usize::MAX, |pages| pages * PAGE_BYTES);
        let mut pool = PoolingAllocationConfig::new();
        let places = instances.saturating_mul(self.calls_a_store.max(1));
        pool.total_core_instances(places)
            .total_memories(places)
            .total_tables(places)
            .total_stacks(instances)
            .max_unused_warm_slots(places)
            .max_memories_per_module(1)
            .max_tables_per_module(1)
            .max_core_instance_size(INSTANCE_BYTES)
            .max_memory_size(memory_bytes)
            .table_elements(usize::try_from(MAX_TABLE_ELEMENTS).unwrap_or(usize::MAX))
            .linear_memory_keep_resident(KEPT_MEMORY_BYTES)
            .table_keep_resident(KEPT_TABLE_BYTES)
            // Asking the system which pages were changed takes longer than writing all of them.
            .pagemap_scan(Enabled::No);
        pool
    }
}

/// What the gate lets through.
fn features() -> WasmFeatures {
    WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::FLOATS
}
