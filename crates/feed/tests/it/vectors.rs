//! Hashes and signatures of the JavaScript reference, with a fixed key and three blocks.

use data_encoding::HEXLOWER;
use quorate_feed::sign::{Form, Signer, TREE_NAMESPACE, Verifier, key_pair};
use quorate_feed::{Flavour, MemoryTree, hash};
use quorate_types::{Hash, Signature};
use serde_json::Value;

const VECTORS: &str = include_str!("../../../../interop-tests/vectors/hashes.json");

/// Blocks of the vectors.
const BLOCKS: [&[u8]; 3] = [b"a", b"bb", b"ccc"];

fn vectors() -> Value {
    serde_json::from_str(VECTORS).unwrap()
}

fn text<'a>(vectors: &'a Value, path: &str) -> &'a str {
    vectors.pointer(path).and_then(Value::as_str).unwrap_or_else(|| panic!("no {path}"))
}

fn hash_at(vectors: &Value, path: &str) -> Hash {
    text(vectors, path).parse().unwrap()
}

fn tree(flavour: Flavour) -> MemoryTree {
    let mut tree = MemoryTree::new(flavour);
    BLOCKS.iter().for_each(|block| tree.push(block).unwrap());
    tree
}

#[test]
fn trees_of_both_flavours() {
    let vectors = vectors();
    for (name, flavour) in [("g1", Flavour::Dat), ("g2b", Flavour::Dat), ("g3b", Flavour::Hypercore10)] {
        let tree = tree(flavour);
        for (i, block) in BLOCKS.iter().enumerate() {
            let expected = hash_at(&vectors, &format!("/{name}/leaves/{i}"));
            assert_eq!(hash::leaf(flavour, block), expected, "{name} leaf {i}");
        }
        assert_eq!(tree.node(1).unwrap().hash, hash_at(&vectors, &format!("/{name}/parent01")), "{name}");
        assert_eq!(tree.roots().tree_hash(flavour), hash_at(&vectors, &format!("/{name}/tree")), "{name}");
    }
}

#[test]
fn signatures_of_every_form() {
    let vectors = vectors();
    let (public, secret) = key_pair(&[1; 32]);
    assert_eq!(public.to_string(), text(&vectors, "/g1/publicKey"));
    assert_eq!(HEXLOWER.encode(secret.expose()), text(&vectors, "/g1/secretKey"));
    assert_eq!(HEXLOWER.encode(&TREE_NAMESPACE), text(&vectors, "/g3b/namespaces/TREE"));
    let (signer, verifier) = (Signer::new(&public, &secret).unwrap(), Verifier::new(public).unwrap());
    let dat = tree(Flavour::Dat).roots().tree_hash(Flavour::Dat);
    let modern = tree(Flavour::Hypercore10).roots().tree_hash(Flavour::Hypercore10);
    let manifest = hash_at(&vectors, "/g3b/manifest_v1/key");

    for (form, tree, signable, signature) in [
        (Form::Tree, dat, "/g1/tree", Some("/g1/signature_over_tree")),
        (Form::TreeLength, dat, "/g2b/signable", Some("/g2b/signature")),
        (Form::Compat { fork: 0 }, modern, "/g3b/treeSignableCompat", None),
        (Form::Manifest { manifest, fork: 0 }, modern, "/g3b/treeSignable_v1", Some("/g3b/signature_v1")),
    ] {
        assert_eq!(HEXLOWER.encode(form.signable(&tree, 3).as_bytes()), text(&vectors, signable));
        if let Some(path) = signature {
            let expected: Signature = text(&vectors, path).parse().unwrap();
            assert_eq!(signer.sign(form, &tree, 3), expected, "{path}");
            assert!(verifier.verify_form(form, &tree, 3, &expected));
        }
    }
    let signature: Signature = text(&vectors, "/g1/signature_over_tree").parse().unwrap();
    assert_eq!(verifier.verify(Flavour::Dat, &dat, 3, &signature), Some(Form::Tree));
    let signature: Signature = text(&vectors, "/g2b/signature").parse().unwrap();
    assert_eq!(verifier.verify(Flavour::Dat, &dat, 3, &signature), Some(Form::TreeLength));
    assert_eq!(verifier.verify(Flavour::Dat, &dat, 4, &signature), None);
}
