//! Rooms: what checks their blocks, and where.

mod checker;
mod feeds;
pub(crate) mod genesis;
mod signatures;
mod signing;
mod then;
pub(crate) mod wishes;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use quorate_rules::engine::{Engine, EngineConfig};

pub(crate) use checker::{CheckedHead, Checker, Known, Noted, Proposed, Replay, Stop};
pub(crate) use feeds::RoomFeeds;
pub(crate) use signatures::{Authentication, Signatures};
pub(crate) use signing::sign_many;
pub(crate) use then::{Said, Then};

use crate::{Code, Failure};

/// What all rooms of a node are checked by: the engine, which is made with the first room, and what verifies signatures.
#[derive(Default)]
pub(crate) struct RuleHost {
    engine: OnceLock<Engine>,
    making: Mutex<()>,
    signatures: Arc<Signatures>,
}

impl std::fmt::Debug for RuleHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RuleHost")
    }
}

impl RuleHost {
    /// Returns what verifies signatures.
    pub(crate) const fn signatures(&self) -> &Arc<Signatures> {
        &self.signatures
    }

    /// Returns the engine. Where the system does not give it address space for as many calls as it should run at once, it
    /// runs fewer.
    ///
    /// # Errors
    ///
    /// [`Code::Internal`] when the system does not give it what it needs.
    pub(crate) fn engine(&self) -> Result<Engine, Failure> {
        if let Some(engine) = self.engine.get() {
            return Ok(engine.clone());
        }
        // Two rooms that open at once must not both reserve what may be there once.
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = self.engine.get() {
            return Ok(engine.clone());
        }
        let mut config = EngineConfig::default();
        let engine = loop {
            match Engine::new(config.clone()) {
                Ok(engine) => break engine,
                Err(_) if config.calls_a_store > 1 => config.calls_a_store = 1,
                Err(error) if config.instances > 1 => {
                    config.instances = config.instances.div_ceil(4);
                    tracing::info!("{error}; tried with {} calls at once", config.instances);
                }
                Err(error) => {
                    let needed = "a rule reserves 4 GiB of address space, which may be limited (ulimit -v)";
                    return Err(Failure::new(Code::Internal, format!("{error}; {needed}")));
                }
            }
        };
        Ok(self.engine.get_or_init(|| engine).clone())
    }
}
