//! Bugs that the engines of a world can be given, to show that the checks notice.

/// A bug.
#[cfg(feature = "planted-bugs")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// A QC is called final.
    OnePhase,
    /// More than half is called a quorum.
    Majority,
    /// A vote leaves before it is on the disk.
    VoteBeforeDurable,
}

/// There is none in this build.
#[cfg(not(feature = "planted-bugs"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {}

#[cfg(feature = "planted-bugs")]
impl Planted {
    /// Returns the switch of the engine.
    pub(super) fn in_engine(self) -> Option<quorate_quorum::engine::Bug> {
        use quorate_quorum::engine::Bug;
        match self {
            Self::OnePhase => Some(Bug::OnePhase),
            Self::VoteBeforeDurable => Some(Bug::VoteBeforeDurable),
            Self::Majority => None,
        }
    }
}
