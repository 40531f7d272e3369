//! Rooms: what checks their blocks, and where.

mod checker;
mod feeds;
pub(crate) mod genesis;
mod signatures;
mod then;
pub(crate) mod wishes;

use std::sync::{Arc, OnceLock};

use quorate_rules::engine::{Engine, EngineConfig};

pub(crate) use checker::{CheckedHead, Checker, Known, Noted, Proposed, Replay, Stop};
pub(crate) use feeds::RoomFeeds;
pub(crate) use signatures::{Authentication, Signatures};
pub(crate) use then::{Said, Then};

use crate::{Code, Failure};

/// What all rooms of a node are checked by: the engine, which is made with the first room, and what verifies signatures.
#[derive(Default)]
pub(crate) struct RuleHost {
    engine: OnceLock<Engine>,
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

    /// Returns the engine.
    ///
    /// # Errors
    ///
    /// [`Code::Internal`] when the system does not give it what it needs.
    pub(crate) fn engine(&self) -> Result<Engine, Failure> {
        if let Some(engine) = self.engine.get() {
            return Ok(engine.clone());
        }
        let engine = Engine::new(EngineConfig::default())
            .map_err(|error| Failure::new(Code::Internal, format!("expected a rule engine: {error}")))?;
        Ok(self.engine.get_or_init(|| engine).clone())
    }
}
