//! The engine: wasmtime, which is named nowhere else.
//!
//! Each call has an instance of its own, from a pool, and a stack of the engine's own where that of the thread is short,
//! so a call may come from any thread. What the engine counts decides nothing: gas and depth are the meter's, and where memory, time or the native
//! stack end, a node is [`Unable`](crate::verdict::Unable) instead of coming to another verdict than the others.
//! `docs/decisions/0008-rules-engine.md` has the reasons.

mod cache;
mod config;
mod data;
mod drive;
mod imports;
mod row;
mod rule;
mod stack;
mod trap;
mod tries;
mod turns;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quorate_types::ModuleHash;

pub use self::config::{EngineConfig, STACK_BYTES};
pub use self::rule::Rule;
pub use self::stack::with_stack;

use self::cache::Cache;
use self::data::Data;
use self::turns::Turns;
use crate::gate::{self, GateError};
use crate::meter;

/// Runs rules. Cheap to clone; clones share the pool and what is compiled.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    wasm: wasmtime::Engine,
    asking: wasmtime::Linker<Data>,
    at_hand: wasmtime::Linker<Data>,
    cache: Mutex<Cache>,
    turns: Arc<Turns>,
    config: EngineConfig,
}

impl Engine {
    /// Makes an engine with its pool: address space is reserved, memory is not used yet.
    ///
    /// # Errors
    ///
    /// The system does not give the address space, or is not one that the engine compiles for.
    pub fn new(config: EngineConfig) -> Result<Self, EngineError> {
        let failed = |error: wasmtime::Error| EngineError { reason: format!("{error:#}") };
        let wasm = wasmtime::Engine::new(&config.wasm()).map_err(failed)?;
        let asking = imports::asking(&wasm).map_err(failed)?;
        let at_hand = imports::at_hand(&wasm).map_err(failed)?;
        let cache = Mutex::new(Cache::new(config.cached_module_bytes));
        let turns = Turns::new(config.instances.max(1));
        Ok(Self { shared: Arc::new(Shared { wasm, asking, at_hand, cache, turns, config }) })
    }

    /// Makes a rule of a module: gate, METER v1, compiler. A module that was compiled lately is not compiled again.
    ///
    /// Takes at most a second or so for the largest modules, and is for a thread that may wait.
    ///
    /// # Errors
    ///
    /// [`CompileError::Gate`] says the same on every node; [`CompileError::Backend`] is this node's alone.
    pub fn compile(&self, module: &[u8]) -> Result<Rule, CompileError> {
        let inspected = gate::inspect(module)?;
        let hash = inspected.hash();
        if let Some(rule) = self.cache(|cache| cache.get(&hash)) {
            return Ok(rule);
        }
        let metered = meter::meter(&inspected);
        let rule = Rule::compile(&self.shared, hash, inspected.exports(), &metered)
            .map_err(|error| CompileError::Backend { reason: format!("{error:#}") })?;
        self.cache(|cache| cache.put(rule.clone(), metered.bytes.len()));
        Ok(rule)
    }

    /// Returns a rule that was compiled lately.
    pub fn compiled(&self, hash: &ModuleHash) -> Option<Rule> {
        self.cache(|cache| cache.get(hash))
    }

    /// Returns the handle with which time goes on for calls that take too long.
    pub fn backstop(&self) -> Backstop {
        Backstop { wasm: self.shared.wasm.clone() }
    }

    fn cache<R>(&self, act: impl FnOnce(&mut Cache) -> R) -> R {
        // A panic elsewhere leaves the cache whole: it holds nothing but finished rules.
        act(&mut self.shared.cache.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

/// Lets time go on for the calls of an engine. Cheap to clone.
///
/// The engine has no clock. Whoever has one calls [`tick`](Self::tick) each [`INTERVAL`](Self::INTERVAL); a call that
/// sees [`EngineConfig::timeout_ticks`] of them ends as [`Unable::Timeout`](crate::verdict::Unable::Timeout). Without
/// ticks a call ends when its gas does.
#[derive(Clone)]
pub struct Backstop {
    wasm: wasmtime::Engine,
}

impl Backstop {
    /// Time between two ticks.
    pub const INTERVAL: Duration = Duration::from_millis(250);

    /// Lets one interval pass. Takes a few nanoseconds.
    pub fn tick(&self) {
        self.wasm.increment_epoch();
    }
}

impl fmt::Debug for Backstop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backstop").finish_non_exhaustive()
    }
}

/// Why there is no engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the engine for rules cannot be set up here: {reason}")]
pub struct EngineError {
    /// What the engine or the system says.
    pub reason: String,
}

/// Why a module is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// The gate refuses it, here and everywhere.
    #[error("the gate refuses the module: {0}")]
    Gate(#[from] GateError),
    /// It could not be compiled on this node; nothing is said of the module.
    #[error("this node cannot compile the module: {reason}")]
    Backend {
        /// What the compiler or the system says.
        reason: String,
    },
}
