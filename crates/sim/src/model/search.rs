//! Runs the checker.

use std::fmt;

use stateright::{Checker, HasDiscoveries, Model};

use super::checked::{AGREEMENT, Step, Voting};
use super::coverage::Coverage;
use super::settings::Settings;

/// What a search has found.
#[derive(Debug)]
pub struct Found {
    /// What was searched.
    pub settings: Settings,
    /// States that differ.
    pub states: usize,
    /// Steps that were tried.
    pub steps: usize,
    /// The longest run.
    pub depth: usize,
    /// What was met.
    pub coverage: Coverage,
    /// Broken invariants, each with a run that breaks it.
    pub violations: Vec<(&'static str, Vec<Step>)>,
}

impl Found {
    /// Tells whether two Finals disagree in some run.
    pub fn breaks_agreement(&self) -> bool {
        self.violations.iter().any(|(name, _)| *name == AGREEMENT)
    }
}

/// Searches until agreement breaks, or through the whole space.
pub fn search(settings: Settings, threads: usize) -> Found {
    let finish = HasDiscoveries::AnyOf([AGREEMENT].into());
    let checker = Voting::new(settings).checker().threads(threads).finish_when(finish).spawn_bfs().join();
    let violations =
        checker.discoveries().into_iter().map(|(name, path)| (name, path.into_actions())).collect();
    Found {
        settings,
        states: checker.unique_state_count(),
        steps: checker.state_count(),
        depth: checker.max_depth(),
        coverage: checker.model().coverage(),
        violations,
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.settings)?;
        writeln!(f, "  {} states, {} steps, depth {}", self.states, self.steps, self.depth)?;
        write!(f, "  {}", self.coverage)?;
        for (name, steps) in &self.violations {
            write!(f, "\n  broken: {name}")?;
            for step in steps {
                write!(f, "\n    {step:?}")?;
            }
        }
        Ok(())
    }
}
