//! What stock peers are shown of a stream.

use clap::ValueEnum;

/// What peers that are not quorate nodes are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Gate {
    /// Everything
    None,
    /// What a quorum of the room's validators has committed
    Committed,
}

impl From<Gate> for quorate_node::model::Gate {
    fn from(gate: Gate) -> Self {
        match gate {
            Gate::None => Self::None,
            Gate::Committed => Self::Committed,
        }
    }
}
