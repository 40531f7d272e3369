//! The hypercore: Merkle log, proofs, bitfield, signatures, fork proofs.
