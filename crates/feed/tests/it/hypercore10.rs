//! The hypercore-10 flavour against the `hypercore` crate, an independent implementation.

use bytes::Bytes;
use futures_lite::future::block_on;
use hypercore::{HypercoreBuilder, PartialKeypair, SigningKey, Storage};
use hypercore_schema::{RequestBlock, RequestUpgrade};
use quorate_feed::proof::verify_standalone;
use quorate_feed::sign::{Form, Signer, Verifier, key_pair};
use quorate_feed::{Flavour, MemoryTree};
use quorate_proto::dat::Data;
use quorate_types::{Hash, Node, NodeIndex, Signature};

use crate::support::blocks;

fn node(node: &hypercore_schema::Node) -> Node {
    let hash = Hash::from_slice(&node.hash).unwrap();
    Node { index: NodeIndex::new(node.index), hash, size: node.length }
}

/// Every proof of the crate is, node for node, the one that follows from our tree, and verifies; and so does
/// its signature, which ours equals.
#[test]
fn trees_proofs_and_signatures_agree() {
    let (public, secret) = key_pair(&[1; 32]);
    let key = SigningKey::from_bytes(&[1; 32]);
    let verifier = Verifier::new(public).unwrap();
    let signer = Signer::new(&public, &secret).unwrap();
    block_on(async {
        for length in [1, 2, 3, 5, 8, 13, 32, 37] {
            let all = blocks(length);
            let storage = Storage::new_memory().await.unwrap();
            let pair = PartialKeypair { public: key.verifying_key(), secret: Some(key.clone()) };
            let mut core = HypercoreBuilder::new(storage).key_pair(pair).build().await.unwrap();
            core.append_batch(&all).await.unwrap();
            let mut tree = MemoryTree::new(Flavour::Hypercore10);
            all.iter().for_each(|block| tree.push(block).unwrap());
            for index in 0..length {
                let block = RequestBlock { index, nodes: 0 };
                let upgrade = RequestUpgrade { start: 0, length };
                let proof = core.create_proof(Some(block), None, None, Some(upgrade)).await.unwrap().unwrap();
                let (block, upgrade) = (proof.block.unwrap(), proof.upgrade.unwrap());
                let signature = Signature::from_slice(&upgrade.signature).unwrap();
                let theirs = Data {
                    index,
                    value: Some(Bytes::from(block.value)),
                    nodes: block.nodes.iter().chain(&upgrade.nodes).map(node).collect(),
                    signature: Some(signature),
                };
                let value = Some(all[index as usize].clone());
                let ours = tree.proof(index, value, length, signature);
                assert_eq!(ours.as_ref(), Some(&theirs), "block {index} of {length}");
                let proof = verify_standalone(Flavour::Hypercore10, &verifier, &theirs).unwrap();
                assert_eq!(proof.form(), Form::Compat { fork: 0 });
                let hash = tree.roots().tree_hash(Flavour::Hypercore10);
                assert_eq!(signer.sign(Form::Compat { fork: 0 }, &hash, length), signature);
            }
        }
    });
}
