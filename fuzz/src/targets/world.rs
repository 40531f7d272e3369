//! A small feed and its messages, from which the seeds of several targets are made.

use bytes::{Bytes, BytesMut};
use quorate_feed::sign::{Form, Signer, key_pair};
use quorate_feed::{Flavour, MemoryTree};
use quorate_proto::dat::{Cancel, Data, FeedMessage, Have, Request, Status, Unhave, Want};
use quorate_types::{PublicKey, SecretKey, Signature};

/// Blocks in the feed: enough for peaks of several heights.
pub(super) const LENGTH: u64 = 11;

/// Keys of the feed's writer.
pub(super) fn keys() -> (PublicKey, SecretKey) {
    key_pair(&[7; 32])
}

/// The block at an index.
pub(super) fn block(index: u64) -> Bytes {
    Bytes::from(format!("block {index}").repeat(index as usize % 4))
}

/// The tree of the feed.
pub(super) fn tree(flavour: Flavour) -> MemoryTree {
    let mut tree = MemoryTree::new(flavour);
    (0..LENGTH).for_each(|index| tree.push(&block(index)).expect("a small tree is within the limits"));
    tree
}

/// The writer's signature over the peaks of a tree.
pub(super) fn sign(flavour: Flavour, tree: &MemoryTree) -> Signature {
    let (public, secret) = keys();
    let signer = Signer::new(&public, &secret).expect("the keys belong together");
    let form = match flavour {
        Flavour::Dat => Form::Tree,
        Flavour::Hypercore10 => Form::Compat { fork: 0 },
    };
    signer.sign(form, &tree.roots().tree_hash(flavour), tree.roots().length())
}

/// Every block with a proof that stands alone, and every hash with one.
pub(super) fn proofs(flavour: Flavour) -> Vec<Data> {
    let tree = tree(flavour);
    let signature = sign(flavour, &tree);
    (0..LENGTH)
        .flat_map(|index| [(index, Some(block(index))), (index, None)])
        .map(|(index, value)| {
            tree.proof(index, value, LENGTH, signature).expect("the block is within the tree")
        })
        .collect()
}

/// One message of each kind, and a few more.
pub(super) fn messages() -> Vec<FeedMessage> {
    let bitfield = Bytes::from(quorate_feed::rle::encode(&[0xff; 1300]));
    let mut messages = vec![
        FeedMessage::Status(Status { uploading: Some(true), downloading: Some(false) }),
        FeedMessage::Have(Have { start: 10, length: 1, bitfield: None, ack: false }),
        FeedMessage::Have(Have { start: 0, length: 1 << 20, bitfield: Some(bitfield), ack: false }),
        FeedMessage::Unhave(Unhave { start: 3, length: 4 }),
        FeedMessage::Want(Want { start: 0, length: Some(1 << 20) }),
        FeedMessage::Unwant(Want { start: 8192, length: None }),
        FeedMessage::Request(Request { index: 5, bytes: 0, hash: false, nodes: 0b1011 }),
        FeedMessage::Cancel(Cancel { index: 5, bytes: 0, hash: true }),
    ];
    messages.extend(proofs(Flavour::Dat).into_iter().map(FeedMessage::Data));
    messages
}

/// The body of a message.
pub(super) fn body(message: &FeedMessage) -> Vec<u8> {
    let mut out = BytesMut::new();
    message.encode(&mut out);
    out.to_vec()
}
