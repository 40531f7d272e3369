//! Rooms: what checks their blocks, and where.

mod checker;
mod feeds;
pub(crate) mod genesis;
mod then;
pub(crate) mod wishes;

use std::sync::{Arc, OnceLock};

use quorate_rules::engine::{Engine, EngineConfig};
use quorate_stream::identity::KnownKeys;

pub(crate) use checker::{CheckedHead, Checker, Known, Noted, Proposed, Replay, Stop};
pub(crate) use feeds::RoomFeeds;
pub(crate) use then::{Said, Then};

use crate::{Code, Failure};

/// The engine by which all rooms of a node are checked, which is made with the first room, and the keys that sign there.
#[derive(Default)]
pub(crate) struct RuleHost {
    engine: OnceLock<Engine>,
    keys: Arc<KnownKeys>,
}

impl std::fmt::Debug for RuleHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RuleHost")
    }
}

impl RuleHost {
    /// Returns the keys that have signed in any room.
    pub(crate) fn keys(&self) -> Arc<KnownKeys> {
        Arc::clone(&self.keys)
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
