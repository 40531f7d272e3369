//! What compiles and runs rules.

use quorate_rules::abi::{Call, Host};
use quorate_rules::engine::{CompileError, Engine, Rule};
use quorate_rules::verdict::Outcome;

/// An engine that runs rules. Two of them give the same verdicts, or one has a defect.
pub trait RuleEngine {
    /// A module that was compiled; cheap to clone.
    type Rule: Clone;

    /// Checks a module at the gate, meters and compiles it.
    ///
    /// # Errors
    ///
    /// [`CompileFailure`].
    fn compile(&self, module: &[u8]) -> Result<Self::Rule, CompileFailure>;

    /// Tells whether a rule has an opinion on changes of the room's rules (`rule_change`).
    fn has_opinion(&self, rule: &Self::Rule) -> bool;

    /// Calls a rule.
    fn check(&self, rule: &Self::Rule, call: &Call<'_>, host: &mut dyn Host) -> Outcome;
}

/// Why a module is not compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileFailure {
    /// It is not fit to be a rule, for everyone.
    #[error("{reason}")]
    Refused {
        /// What the gate says.
        reason: String,
    },
    /// It is not compiled here and now.
    #[error("{reason}")]
    Unable {
        /// What the engine says.
        reason: String,
    },
}

impl RuleEngine for Engine {
    type Rule = Rule;

    fn compile(&self, module: &[u8]) -> Result<Rule, CompileFailure> {
        Engine::compile(self, module).map_err(|error| match error {
            CompileError::Gate(error) => CompileFailure::Refused { reason: error.to_string() },
            error => CompileFailure::Unable { reason: error.to_string() },
        })
    }

    fn has_opinion(&self, rule: &Rule) -> bool {
        rule.exports().change
    }

    fn check(&self, rule: &Rule, call: &Call<'_>, host: &mut dyn Host) -> Outcome {
        rule.check(call, host)
    }
}
