//! Proofs against a tree that is built the naive way.

use bytes::Bytes;
use proptest::prelude::*;
use quorate_feed::proof::{ProofError, verify_standalone};
use quorate_feed::sign::{Form, Signer, Verifier, key_pair};
use quorate_feed::{Flavour, MemoryTree, flat, hash};
use quorate_proto::dat::Data;
use quorate_types::{Hash, Node, NodeIndex, Signature};

/// Hash of the blocks below one node, by the definition: halves that are powers of two.
fn naive(flavour: Flavour, blocks: &[Vec<u8>], first: u64) -> Node {
    let size = blocks.iter().map(|block| block.len() as u64).sum();
    if let [block] = blocks {
        return Node { index: NodeIndex::new(2 * first), hash: hash::leaf(flavour, block), size };
    }
    let (left, right) = blocks.split_at(blocks.len() / 2);
    let half = left.len() as u64;
    let (left, right) = (naive(flavour, left, first), naive(flavour, right, first + half));
    Node { index: NodeIndex::new(2 * (first + half) - 1), hash: hash::parent(flavour, &left, &right), size }
}

fn naive_roots(flavour: Flavour, blocks: &[Vec<u8>]) -> Vec<Node> {
    let mut roots = Vec::new();
    let (mut rest, mut first) = (blocks, 0);
    while !rest.is_empty() {
        let (tree, after) = rest.split_at(1 << rest.len().ilog2());
        roots.push(naive(flavour, tree, first));
        first += tree.len() as u64;
        rest = after;
    }
    roots
}

fn signer() -> (Signer, Verifier) {
    let (public, secret) = key_pair(&[1; 32]);
    (Signer::new(&public, &secret).unwrap(), Verifier::new(public).unwrap())
}

fn sign(flavour: Flavour, tree: &MemoryTree, length: u64) -> Signature {
    let form = match flavour {
        Flavour::Dat => Form::Tree,
        Flavour::Hypercore10 => Form::Compat { fork: 0 },
    };
    signer().0.sign(form, &tree.roots_at(length).unwrap().tree_hash(flavour), length)
}

fn flavours() -> impl Strategy<Value = Flavour> {
    prop_oneof![Just(Flavour::Dat), Just(Flavour::Hypercore10)]
}

fn some_blocks() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..80)
}

proptest! {
    #[test]
    fn trees_are_those_of_the_definition(flavour in flavours(), blocks in some_blocks()) {
        let mut tree = MemoryTree::new(flavour);
        for (i, block) in blocks.iter().enumerate() {
            tree.push(block).unwrap();
            prop_assert_eq!(tree.roots().nodes(), naive_roots(flavour, &blocks[..=i]));
        }
        for length in 0..=blocks.len() {
            let earlier = tree.roots_at(length as u64).unwrap();
            prop_assert_eq!(earlier.nodes(), naive_roots(flavour, &blocks[..length]));
        }
        prop_assert_eq!(tree.roots_at(blocks.len() as u64 + 1), None);
    }

    #[test]
    fn proofs_hold_and_any_change_breaks_them(
        flavour in flavours(),
        blocks in some_blocks(),
        at in any::<prop::sample::Index>(),
        until in any::<prop::sample::Index>(),
        with_value in any::<bool>(),
        change in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let mut tree = MemoryTree::new(flavour);
        blocks.iter().for_each(|block| tree.push(block).unwrap());
        let index = at.index(blocks.len());
        let length = index + 1 + until.index(blocks.len() - index);
        let value = with_value.then(|| Bytes::from(blocks[index].clone()));
        let signature = sign(flavour, &tree, length as u64);
        let data = tree.proof(index as u64, value, length as u64, signature).unwrap();
        let (_, verifier) = signer();
        let proof = verify_standalone(flavour, &verifier, &data).unwrap();
        prop_assert_eq!(proof.signed().roots.length(), length as u64);
        prop_assert_eq!(proof.signed().roots.nodes(), naive_roots(flavour, &blocks[..length]));
        prop_assert_eq!(proof.index().get(), index as u64);
        for node in proof.nodes() {
            prop_assert_eq!(tree.node(node.index.get()), Some(*node));
        }

        let mut bad = data.clone();
        bad.index ^= 1;
        prop_assert!(verify_standalone(flavour, &verifier, &bad).is_err());
        bad = data.clone();
        bad.signature = None;
        let missing = ProofError::NoSignature { length: length as u64 };
        prop_assert_eq!(verify_standalone(flavour, &verifier, &bad), Err(missing));
        if !data.nodes.is_empty() {
            let change = change.index(data.nodes.len());
            bad = data.clone();
            bad.nodes.remove(change);
            prop_assert!(verify_standalone(flavour, &verifier, &bad).is_err());
            bad = data.clone();
            let mut hash = *bad.nodes[change].hash.as_bytes();
            hash[change % 32] ^= 1 << bit;
            bad.nodes[change].hash = Hash::new(hash);
            prop_assert!(verify_standalone(flavour, &verifier, &bad).is_err());
            bad = data.clone();
            bad.nodes[change].size += 1;
            prop_assert!(verify_standalone(flavour, &verifier, &bad).is_err());
            bad = data.clone();
            bad.nodes.push(bad.nodes[change]);
            prop_assert!(verify_standalone(flavour, &verifier, &bad).is_err());
        }
        if let Some(value) = &data.value {
            bad = data.clone();
            let mut longer = value.to_vec();
            longer.push(0);
            bad.value = Some(longer.into());
            prop_assert!(verify_standalone(flavour, &verifier, &bad).is_err());
        }
        let other = if flavour == Flavour::Dat { Flavour::Hypercore10 } else { Flavour::Dat };
        prop_assert!(verify_standalone(other, &verifier, &data).is_err());
    }

    #[test]
    fn no_message_panics(
        index in any::<u64>(),
        value in prop::option::of(prop::collection::vec(any::<u8>(), 0..10)),
        nodes in prop::collection::vec((any::<u64>(), any::<u64>()), 0..200),
        signed in any::<bool>(),
    ) {
        let nodes = nodes.into_iter().map(|(index, size)| Node {
            index: NodeIndex::new(index),
            hash: Hash::new([1; 32]),
            size,
        });
        let data = Data {
            index,
            value: value.map(Bytes::from),
            nodes: nodes.collect(),
            signature: signed.then(|| Signature::new([3; 64])),
        };
        prop_assert!(verify_standalone(Flavour::Dat, &signer().1, &data).is_err());
    }
}

/// A block that no node of the proof covers must not ride on a valid signature over something else.
#[test]
fn a_block_beside_the_signed_peaks_is_refused() {
    let mut tree = MemoryTree::new(Flavour::Dat);
    (0..8_u8).for_each(|i| tree.push(&[i]).unwrap());
    let data = Data {
        index: 0,
        value: Some(Bytes::from_static(b"forged")),
        nodes: vec![tree.node(7).unwrap()],
        signature: Some(sign(Flavour::Dat, &tree, 8)),
    };
    let error = ProofError::MissingNode { index: NodeIndex::new(2) };
    assert_eq!(verify_standalone(Flavour::Dat, &signer().1, &data), Err(error));
}

#[test]
fn faults_are_named() {
    let verifier = signer().1;
    let check = |data: Data| verify_standalone(Flavour::Dat, &verifier, &data).unwrap_err();
    assert_eq!(check(Data { index: 3, ..Data::default() }), ProofError::NoValueNoNodes { index: 3 });
    assert_eq!(check(Data { index: 1 << 60, ..Data::default() }), ProofError::OutOfRange { index: 1 << 60 });
    let node = Node { index: NodeIndex::new(4), hash: Hash::new([0; 32]), size: 1 };
    let missing = ProofError::MissingNode { index: NodeIndex::new(6) };
    assert_eq!(check(Data { index: 3, nodes: vec![node], ..Data::default() }), missing);
    let many = Data { index: 3, nodes: vec![node; 200], ..Data::default() };
    assert_eq!(check(many), ProofError::TooManyNodes { found: 200 });
    let large = Bytes::from(vec![0; quorate_types::limits::MAX_HELD_BLOCK_BYTES + 1]);
    let found = large.len();
    let data = Data { index: 0, value: Some(large), ..Data::default() };
    assert_eq!(check(data), ProofError::BlockTooLarge { found });
    let sibling = Node { index: NodeIndex::new(2), hash: Hash::new([0; 32]), size: u64::MAX };
    let data =
        Data { index: 0, value: Some(Bytes::from_static(b"a")), nodes: vec![sibling], signature: None };
    assert_eq!(check(data), ProofError::WrongSize { at: NodeIndex::new(0) });
    assert_eq!(flat::full_roots(1).next(), Some(0));
}
