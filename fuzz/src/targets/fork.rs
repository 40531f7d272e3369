//! Fork proofs.

use quorate_feed::fork::{ForkProof, MAX_PROOF_BYTES};
use quorate_feed::{Flavour, MemoryTree, SignedRoots};

use super::world;
use crate::Target;

pub(super) const TARGET: Target = Target { name: "fork-proofs", run, seeds, cost: 8 };

fn run(input: &[u8]) {
    let Ok(proof) = ForkProof::decode(input) else {
        return;
    };
    assert!(input.len() <= MAX_PROOF_BYTES);
    assert_eq!(proof.encode(), input, "a proof has one encoding");
    if proof.clone().verify().is_ok() {
        let (a, b) = (proof.a.roots, proof.b.roots);
        assert!(a.length() <= b.length());
        assert_ne!(a.tree_hash(proof.flavour), b.tree_hash(proof.flavour), "no fork at all");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    proofs().iter().map(ForkProof::encode).collect()
}

/// Forks of one length and of different lengths.
pub(super) fn proofs() -> Vec<ForkProof> {
    [Flavour::Dat, Flavour::Hypercore10]
        .iter()
        .flat_map(|flavour| [proof(*flavour, 0), proof(*flavour, 9)])
        .collect()
}

/// Two histories that part in their last block, the second one longer by `more` blocks.
fn proof(flavour: Flavour, more: u64) -> ForkProof {
    let (key, _) = world::keys();
    let tree = world::tree(flavour);
    let mut other = MemoryTree::new(flavour);
    for index in 0..world::LENGTH + more {
        let block =
            if index + 1 < world::LENGTH { world::block(index) } else { b"another".as_slice().into() };
        other.push(&block).expect("a small tree is within the limits");
    }
    let signed = |tree: &MemoryTree| SignedRoots {
        roots: tree.roots().clone(),
        signature: world::sign(flavour, tree),
    };
    let link = match more {
        0 => Vec::new(),
        _ => {
            let last = world::LENGTH - 1;
            let leaf = other.node(2 * last).expect("the leaf is there");
            let siblings = other.siblings(last, world::LENGTH + more).expect("the block is within the tree");
            std::iter::once(leaf).chain(siblings).collect()
        }
    };
    let proof = ForkProof { key, flavour, a: signed(&tree), b: signed(&other), link };
    assert!(proof.clone().verify().is_ok(), "the seed is a fork");
    proof
}
