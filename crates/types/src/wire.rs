//! The wires that a Dat peer may speak.

use std::fmt;

/// One of the two wires of Dat, told apart by the first bytes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wire {
    /// hypercore-protocol 6: hypercore up to 7, `dat` 13 and 14 (DEP-0010).
    A,
    /// hypercore-protocol 8: hypercore 9, dat-sdk 2, hyperdrive 10.
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
