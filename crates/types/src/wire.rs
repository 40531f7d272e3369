//! The wires that carry Dat feeds.

use std::fmt;

/// Wire on which a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wire {
    /// hypercore-protocol 6, "Dat 1": encrypted by the key of the first feed (DEP-0010).
    A,
    /// hypercore-protocol 8, "Dat 2": a Noise handshake, then channels.
    B2,
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B2 => "B2",
        })
    }
}
