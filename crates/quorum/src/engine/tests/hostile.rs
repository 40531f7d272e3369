//! Peers and validators that cheat.
