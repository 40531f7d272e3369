//! Proof that a peer of wire B2 knows the key of a feed, bound to one handshake.
//!
//! hypercore-crypto 2 `capability`, `remoteCapability`: BLAKE2b-256 keyed by the receiving key of
//! the prover, over a text, the prover's sending key and the feed key.

use blake2::Blake2bMac;
use blake2::digest::consts::U32;
use blake2::digest::{KeyInit, Mac};
use quorate_types::{Capability, PublicKey};

use crate::handshake::Split;

/// Makes our proof for a feed.
pub(crate) fn ours(split: &Split, key: &PublicKey) -> Capability {
    Capability::new(mac(&split.rx, &split.tx, key).finalize().into_bytes().into())
}

/// Checks the other side's proof for a feed, in constant time.
pub(crate) fn is_theirs(split: &Split, key: &PublicKey, capability: &Capability) -> bool {
    mac(&split.tx, &split.rx, key).verify_slice(capability.as_bytes()).is_ok()
}

fn mac(receiving: &[u8; 32], sending: &[u8; 32], key: &PublicKey) -> Blake2bMac<U32> {
    let mut mac = <Blake2bMac<U32> as KeyInit>::new_from_slice(receiving)
        .expect("BLAKE2b takes keys of 1 to 64 bytes and this one has 32");
    mac.update(b"hypercore capability");
    mac.update(sending);
    mac.update(key.as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    #[test]
    fn agrees_with_the_reference_and_is_checked() {
        let (a, b) = (Split { tx: [1; 32], rx: [2; 32] }, Split { tx: [2; 32], rx: [1; 32] });
        let key = PublicKey::new([3; 32]);
        let capability = ours(&a, &key);
        assert_eq!(HEXLOWER.encode(capability.as_bytes()), REFERENCE);
        assert!(is_theirs(&b, &key, &capability));
        assert!(!is_theirs(&a, &key, &capability));
        assert!(!is_theirs(&b, &PublicKey::new([4; 32]), &capability));
    }

    /// hypercore-crypto 2.3.2: `capability(key, { tx, rx })` with keys of 1, 2 and 3.
    const REFERENCE: &str = "1a183dec7d8faaae3d5ff2e154d2ec33f16e170d85cd8c1d3b294243802d86ef";
}
