//! Forks: found, proven, and never said of an honest writer.

use bytes::Bytes;
use futures_lite::future::block_on;
use proptest::prelude::*;
use quorate_feed::fork::{ForkCodecError, ForkProof, ForkProofError, MAX_PROOF_BYTES, find_link};
use quorate_feed::proof::ProofError;
use quorate_feed::sign::{Form, Signer, key_pair};
use quorate_feed::{
    Feed, Flavour, Investigation, Meeting, MemoryTree, RemoteTree, SignedRoots, VerifyError, flat,
};
use quorate_proto::dat::{Data, Request};
use quorate_types::{BlockIndex, Hash, Node, NodeIndex, Signature};

use crate::support::{Disk, File, blocks, create, open, written};

/// Two histories that agree on `shared` blocks.
fn histories(flavour: Flavour, shared: u64, a: u64, b: u64) -> (MemoryTree, MemoryTree) {
    let mut one = MemoryTree::new(flavour);
    let mut two = MemoryTree::new(flavour);
    (0..a).for_each(|i| one.push(&i.to_le_bytes()).unwrap());
    for i in 0..b {
        let block = if i < shared { i.to_le_bytes() } else { (!i).to_le_bytes() };
        two.push(&block).unwrap();
    }
    (one, two)
}

fn signed(flavour: Flavour, tree: &MemoryTree, form: Form) -> SignedRoots {
    let (public, secret) = key_pair(&[1; 32]);
    let roots = tree.roots().clone();
    let signature =
        Signer::new(&public, &secret).unwrap().sign(form, &roots.tree_hash(flavour), roots.length());
    SignedRoots { roots, signature }
}

/// The proof that follows from two whole trees, beginning at one of the shorter one's peaks.
fn proof(flavour: Flavour, form: Form, a: &MemoryTree, b: &MemoryTree, peak: usize) -> ForkProof {
    let mut link = Vec::new();
    let found = find_link(a.roots(), b.roots(), |node| b.node(node.get()));
    if a.roots().length() != b.roots().length() {
        let mut node = a.roots().nodes()[peak].index.get();
        link.push(b.node(node).unwrap());
        while b.roots().peak(NodeIndex::new(node)).is_none() {
            link.push(b.node(flat::sibling(node).unwrap()).unwrap());
            node = flat::parent(node).unwrap();
        }
    }
    // The link that is found begins at the first peak that differs; here it may be another one.
    assert!(found.is_none_or(|found| found.first() != link.first() || found == link));
    let (a, b) = (signed(flavour, a, form), signed(flavour, b, form));
    ForkProof { key: key_pair(&[1; 32]).0, flavour, a, b, link }
}

fn kinds() -> impl Strategy<Value = (Flavour, Form)> {
    prop_oneof![
        Just((Flavour::Dat, Form::Tree)),
        Just((Flavour::Dat, Form::TreeLength)),
        Just((Flavour::Hypercore10, Form::Compat { fork: 0 })),
    ]
}

proptest! {
    #[test]
    fn forks_are_proven_and_no_part_of_the_proof_can_be_changed(
        kind in kinds(),
        a in 1_u64..100,
        more in 0_u64..100,
        shared in any::<prop::sample::Index>(),
        bit in any::<prop::sample::Index>(),
    ) {
        let (flavour, form) = kind;
        let shared = shared.index(a as usize) as u64;
        let (one, two) = histories(flavour, shared, a, a + more);
        // The peak above the first block that differs.
        let peak = one.roots().nodes().iter().position(|peak| flat::right_span(peak.index.get()) >= 2 * shared);
        let proof = proof(flavour, form, &one, &two, peak.unwrap());
        let verified = proof.clone().verify().unwrap();
        prop_assert_eq!(verified.lengths(), (a, a + more));
        prop_assert!(verified.differ_at() > shared && verified.differ_at() <= a);
        prop_assert_eq!(verified.proof(), &proof);

        let bytes = proof.encode();
        prop_assert_eq!(bytes.len(), proof.encoded_len());
        prop_assert!(bytes.len() <= MAX_PROOF_BYTES);
        prop_assert_eq!(ForkProof::decode(&bytes), Ok(proof));
        let bit = bit.index(bytes.len() * 8);
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let changed = ForkProof::decode(&changed).map_err(|_| ()).and_then(|proof| proof.verify().map_err(|_| ()));
        prop_assert!(changed.is_err(), "bit {} of {}", bit, bytes.len());
        prop_assert!(ForkProof::decode(&bytes[..bit / 8]).is_err());
        let mut longer = bytes;
        longer.push(0);
        prop_assert_eq!(ForkProof::decode(&longer), Err(ForkCodecError::NotCanonical));
    }

    /// An honest writer signs lengths of one history. No choice of two of them, of a peak, or of sizes that are
    /// shifted between siblings, makes a proof.
    #[test]
    fn honest_histories_prove_nothing(
        kind in kinds(),
        a in 1_u64..100,
        more in 0_u64..100,
        peak in any::<prop::sample::Index>(),
        shift in any::<bool>(),
    ) {
        let (flavour, form) = kind;
        let (one, two) = histories(flavour, a + more, a, a + more);
        let peak = peak.index(one.roots().nodes().len());
        let mut proof = proof(flavour, form, &one, &two, peak);
        if shift && proof.link.len() > 1 && proof.link[1].size > 0 {
            proof.link[0].size += 1;
            proof.link[1].size -= 1;
        }
        prop_assert!(proof.clone().verify().is_err());
        (proof.a, proof.b) = (proof.b, proof.a);
        prop_assert!(proof.clone().verify().is_err());
        proof.link.clear();
        prop_assert!(proof.clone().verify().is_err());
        proof.a = proof.b.clone();
        prop_assert!(proof.verify().is_err());
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(ForkProof::decode(&bytes).is_err());
    }
}

#[test]
fn what_proves_nothing_is_said() {
    let (one, two) = histories(Flavour::Dat, 5, 6, 9);
    let good = proof(Flavour::Dat, Form::Tree, &one, &two, 1);
    let change = |change: &dyn Fn(&mut ForkProof)| {
        let mut proof = good.clone();
        change(&mut proof);
        proof.verify().unwrap_err()
    };
    let at = NodeIndex::new;
    assert_eq!(
        change(&|proof| proof.a.signature = proof.b.signature),
        ForkProofError::BadSignature { length: 6 }
    );
    assert_eq!(change(&|proof| proof.link.clear()), ForkProofError::LinkLength { expected: "a", found: 0 });
    let agreeing = proof(Flavour::Dat, Form::Tree, &one, &two, 0);
    assert_eq!(agreeing.verify(), Err(ForkProofError::LinkAgrees { at: at(3) }));
    assert_eq!(
        change(&|proof| proof.link[0].index = at(3)),
        ForkProofError::LinkPath { of: at(3), found: at(13) }
    );
    assert_eq!(change(&|proof| proof.link[0].index = at(1)), ForkProofError::LinkStart { found: at(1) });
    let missing = change(&|proof| proof.link = vec![proof.link[0], proof.link[2]]);
    assert_eq!(missing, ForkProofError::LinkPath { of: at(9), found: at(3) });
    assert_eq!(change(&|proof| proof.link.truncate(2)), ForkProofError::LinkEnd { at: at(11) });
    assert_eq!(
        change(&|proof| proof.b = proof.a.clone()),
        ForkProofError::LinkLength { expected: "no", found: 3 }
    );
    assert_eq!(
        change(&|proof| {
            proof.b = proof.a.clone();
            proof.link.clear();
        }),
        ForkProofError::SameHistory { length: 6 }
    );
    assert_eq!(
        change(&|proof| std::mem::swap(&mut proof.a, &mut proof.b)),
        ForkProofError::Lengths { a: 9, b: 6 }
    );
    let node = Node { index: at(0), hash: Hash::new([0; 32]), size: 0 };
    assert!(matches!(change(&|proof| proof.link = vec![node; 80]), ForkProofError::TooLarge { .. }));
}

fn forked(count: usize, shared: usize) -> Vec<Bytes> {
    let fork = (0..count - shared).map(|i| Bytes::from(format!("fork {i}")));
    blocks(shared as u64).into_iter().chain(fork).collect()
}

fn replica(source: &mut Feed<File>, indexes: impl IntoIterator<Item = u64>) -> Feed<File> {
    let mut feed = create(&Disk::default(), false);
    for index in indexes {
        take(&mut feed, block_on(source.proof(index)).unwrap().unwrap());
    }
    feed
}

fn take(feed: &mut Feed<File>, data: Data) {
    let block = block_on(feed.verify(data)).unwrap();
    block_on(feed.put(block)).unwrap();
}

fn investigate(feed: &mut Feed<File>, data: &Data) -> Investigation {
    block_on(feed.investigate(data)).unwrap()
}

#[test]
fn a_fork_is_proven_whichever_history_is_longer() {
    for (ours, theirs, shared) in
        [(10, 10, 4), (10, 37, 4), (37, 10, 4), (8, 16, 0), (21, 64, 20), (64, 21, 20)]
    {
        let (_, mut one) = written(&blocks(ours), || 5);
        let (_, mut two) = written(&forked(theirs, shared), || 5);
        let mut feed = replica(&mut one, 0..ours);
        let last = (ours as usize).min(theirs) as u64 - 1;
        let data = block_on(two.proof(last)).unwrap().unwrap();
        let verified = block_on(feed.verify(data.clone()));
        assert!(verified.is_err(), "{ours} {theirs}");
        match investigate(&mut feed, &data) {
            Investigation::Fork(proof) => {
                let lengths = (ours.min(theirs as u64), ours.max(theirs as u64));
                assert_eq!(proof.lengths(), lengths);
                assert_eq!(proof.proof().clone().verify().as_ref(), Ok(&*proof));
            }
            other => panic!("{ours} {theirs} {shared}: {other:?}"),
        }
        assert_eq!(feed.roots(), one.roots());
    }
}

#[test]
fn where_the_conflict_is_not_shown_the_right_blocks_are_asked_for() {
    let (_, mut one) = written(&blocks(11), || 11);
    let (_, mut two) = written(&forked(40, 6), || 40);
    let mut feed = replica(&mut one, 0..11);
    // The last block lies under another peak than those of 11 blocks.
    let data = block_on(two.proof(39)).unwrap().unwrap();
    let Investigation::Ask(blocks) = investigate(&mut feed, &data) else { panic!() };
    assert_eq!(blocks, [BlockIndex::new(10), BlockIndex::new(11)]);
    for index in blocks {
        let data = block_on(two.proof(index.get())).unwrap().unwrap();
        assert!(matches!(investigate(&mut feed, &data), Investigation::Fork(_)), "{index}");
    }
}

#[test]
fn honest_peers_are_consistent_at_any_length() {
    let all = blocks(40);
    let (_, mut long) = written(&all, || 3);
    let (_, mut short) = written(&all[..11], || 3);
    let mut feed = replica(&mut short, 0..11);
    for index in 0..40 {
        let data = block_on(long.proof(index)).unwrap().unwrap();
        match investigate(&mut feed, &data) {
            Investigation::Consistent => {}
            Investigation::Ask(blocks) => {
                for index in blocks {
                    let data = block_on(long.proof(index.get())).unwrap().unwrap();
                    assert_eq!(investigate(&mut feed, &data), Investigation::Consistent);
                }
            }
            other => panic!("{index}: {other:?}"),
        }
    }
    let mut feed = replica(&mut long, 0..40);
    for index in 0..11 {
        let data = block_on(short.proof(index)).unwrap().unwrap();
        assert_eq!(investigate(&mut feed, &data), Investigation::Consistent);
    }
    let data = block_on(short.proof(3)).unwrap().unwrap();
    assert_eq!(investigate(&mut create(&Disk::default(), false), &data), Investigation::Consistent);
}

#[test]
fn garbage_is_corruption() {
    let (_, mut one) = written(&blocks(11), || 11);
    let mut feed = replica(&mut one, 0..10);
    let good = block_on(one.proof(10)).unwrap().unwrap();
    let mut value = good.clone();
    value.value = Some(Bytes::from_static(b"garbage"));
    let mut node = good.clone();
    node.nodes[0].hash = Hash::new([3; 32]);
    let mut signature = good.clone();
    signature.signature = Some(Signature::new([3; 64]));
    for data in [&value, &node, &signature] {
        let expected = Investigation::Corrupt(ProofError::BadSignature { length: 11 });
        assert_eq!(investigate(&mut feed, data), expected);
    }
    let nothing = Data { index: 3, ..Data::default() };
    let expected = Investigation::Corrupt(ProofError::NoValueNoNodes { index: 3 });
    assert_eq!(investigate(&mut feed, &nothing), expected);
}

#[test]
fn what_was_claimed_once_leaves_the_answer_incomplete() {
    let (_, mut one) = written(&blocks(10), || 10);
    let (_, mut two) = written(&forked(16, 6), || 16);
    let mut feed = replica(&mut one, 0..10);
    let mut remote = RemoteTree::new();
    let request = Request { index: 12, nodes: feed.digest(12), ..Request::default() };
    let data = block_on(two.answer(&request, &mut remote)).unwrap().unwrap();
    assert!(matches!(block_on(feed.verify(data)), Err(VerifyError::Proof(_))));
    let again = Request { nodes: 0, ..request };
    let data = block_on(two.answer(&again, &mut remote)).unwrap().unwrap();
    assert_eq!(investigate(&mut feed, &data), Investigation::Incomplete);
    let fresh = block_on(two.answer(&again, &mut RemoteTree::new())).unwrap().unwrap();
    assert!(matches!(investigate(&mut feed, &fresh), Investigation::Fork(_) | Investigation::Ask(_)));
}

#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    /// A request with the digest of what is here, which claims nodes for good at a peer that remembers them.
    Fetch {
        index: u64,
        hash: bool,
    },
    /// A request with an empty digest.
    Ask {
        index: u64,
        hash: bool,
    },
    /// A new connection: nothing is claimed.
    Connect,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let index = || 0_u64..70;
    let step = prop_oneof![
        1 => (1_usize..20).prop_map(Step::Append),
        4 => (index(), any::<bool>()).prop_map(|(index, hash)| Step::Fetch { index, hash }),
        4 => (index(), any::<bool>()).prop_map(|(index, hash)| Step::Ask { index, hash }),
        1 => Just(Step::Connect),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    /// A peer with the writer's history is never said to be corrupt, or to have another history, whatever it was
    /// asked before: it may leave out what was claimed, and it may have grown.
    #[test]
    fn honest_peers_are_never_accused(first in 0_usize..70, steps in steps()) {
        let all = blocks(70);
        let (_, mut peer) = written(&all[..first], || 7);
        let mut feed = create(&Disk::default(), false);
        let mut remote = RemoteTree::new();
        for step in steps {
            match step {
                Step::Append(count) => {
                    let length = peer.length() as usize;
                    let more = &all[length..(length + count).min(all.len())];
                    if !more.is_empty() {
                        block_on(peer.append(more)).unwrap();
                    }
                }
                Step::Fetch { index, hash } => {
                    let request = Request { index, hash, nodes: feed.digest(index), ..Request::default() };
                    if let Some(data) = block_on(peer.answer(&request, &mut remote)).unwrap() {
                        take(&mut feed, data);
                    }
                }
                Step::Ask { index, hash } => {
                    let request = Request { index, hash, nodes: 0, ..Request::default() };
                    let Some(data) = block_on(peer.answer(&request, &mut remote)).unwrap() else { continue };
                    let result = investigate(&mut feed, &data);
                    let accuses = matches!(result, Investigation::Corrupt(_) | Investigation::Fork(_));
                    prop_assert!(!accuses, "block {}: {:?}", index, result);
                    let fresh = block_on(peer.answer(&request, &mut RemoteTree::new())).unwrap().unwrap();
                    let result = investigate(&mut feed, &fresh);
                    let tells = matches!(result, Investigation::Consistent | Investigation::Ask(_));
                    prop_assert!(tells, "block {} of a fresh connection: {:?}", index, result);
                }
                Step::Connect => remote = RemoteTree::new(),
            }
        }
    }
}

/// A sparse replica takes a longer length without seeing how it meets the one it knows. The fork shows when
/// the blocks between come, and both signed lengths are still there to prove it.
#[test]
fn a_fork_behind_a_gap_is_found_when_the_gap_closes() {
    let (_, mut one) = written(&blocks(6), || 6);
    let (_, mut two) = written(&forked(16, 3), || 16);
    let mut feed = replica(&mut one, [5]);
    let data = block_on(two.proof(12)).unwrap().unwrap();
    let block = block_on(feed.verify(data)).unwrap();
    assert!(!block.is_linked());
    block_on(feed.put(block)).unwrap();
    assert_eq!(feed.length(), 16);
    let data = block_on(two.proof(7)).unwrap().unwrap();
    assert!(matches!(
        block_on(feed.verify(data.clone())),
        Err(VerifyError::Proof(ProofError::WrongHash { .. }))
    ));
    let Investigation::Fork(proof) = investigate(&mut feed, &data) else { panic!() };
    assert_eq!(proof.lengths(), (6, 16));
}

#[test]
fn a_writer_learns_what_else_was_signed_with_its_key() {
    let all = blocks(20);
    let (disk, mut writer) = written(&all[..12], || 4);
    let signed = |feed: &Feed<File>| SignedRoots {
        roots: feed.roots().clone(),
        signature: *feed.head_signature().unwrap(),
    };
    let meet = |feed: &mut Feed<File>, signed: &SignedRoots| block_on(feed.meet(signed)).unwrap();
    let own = signed(&writer);
    assert_eq!(meet(&mut writer, &own), Meeting::Same);
    let (_, other) = written(&all[..8], || 1);
    assert_eq!(meet(&mut writer, &signed(&other)), Meeting::Older);
    let (_, other) = written(&forked(8, 5), || 1);
    assert!(matches!(meet(&mut writer, &signed(&other)), Meeting::Fork(_)));
    let (_, other) = written(&forked(12, 5), || 1);
    assert!(matches!(meet(&mut writer, &signed(&other)), Meeting::Fork(_)));
    let (_, other) = written(&all[..13], || 1);
    assert_eq!(meet(&mut writer, &signed(&other)), Meeting::Newer);
    let (_, other) = written(&all, || 1);
    assert_eq!(meet(&mut writer, &signed(&other)), Meeting::Unclear);
    let mut forged = own;
    forged.signature = Signature::new([1; 64]);
    assert_eq!(meet(&mut writer, &forged), Meeting::Unsigned);
    assert_eq!(meet(&mut create(&Disk::default(), true), &signed(&other)), Meeting::Newer);
    // A writer whose storage was set back can take its own later blocks from a peer, and goes on behind them.
    let (_, mut peer) = written(&all, || 4);
    for index in 12..20 {
        let data = block_on(peer.proof(index)).unwrap().unwrap();
        take(&mut writer, data);
    }
    block_on(writer.append(&[Bytes::from_static(b"next")])).unwrap();
    block_on(writer.flush()).unwrap();
    assert_eq!(open(&disk, true).0.length(), 21);
}
