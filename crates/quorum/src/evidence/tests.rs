//! What is evidence, and that honest statements never are.

use proptest::prelude::*;
use quorate_feed::fork::find_link;
use quorate_feed::sign::{Form, Signer as FeedSigner, key_pair};
use quorate_feed::{Flavour, MemoryTree};
use quorate_types::{PublicKey, QcHash};

use super::*;
use crate::certificate::tests::{FEED, ROOM, genesis, host, seal, signer, target, vote};
use crate::certificate::{Certified, Inclusion};
use crate::key::KeyError;
use crate::statement::{Ack, QcRef, SealReason, Verified, response_digest};

fn tree(blocks: u64, shared: u64) -> MemoryTree {
    let mut tree = MemoryTree::new(Flavour::Dat);
    for i in 0..blocks {
        let fork = if i < shared { "" } else { " of a fork" };
        tree.push(format!("block {i}{fork}").as_bytes()).unwrap();
    }
    tree
}

fn head(tree: &MemoryTree, length: u64) -> Head {
    Head::new(length, tree.roots_at(length).unwrap().tree_hash(Flavour::Dat)).unwrap()
}

fn check(claim: Claim) -> Result<VerifiedEvidence, EvidenceError> {
    check_with(claim, &NoOracle)
}

/// Verifies a claim after a round through its bytes.
fn check_with(claim: Claim, oracle: &dyn Oracle) -> Result<VerifiedEvidence, EvidenceError> {
    let evidence = Evidence { room: ROOM, claim };
    let bytes = evidence.encode();
    assert_eq!(Evidence::decode(bytes.clone()), Ok(evidence));
    Evidence::decode(bytes)?.verify(&ROOM, oracle)
}

fn byte_head(length: u64, byte: u8) -> Head {
    Head::new(length, Hash::new([byte; 32])).unwrap()
}

fn signed_vote(head: Head) -> Signed<Vote> {
    *vote(&genesis(4), 1, head, None).signed()
}

/// Evidence about two votes at different lengths of two histories.
fn linked(short: &MemoryTree, a: u64, long: &MemoryTree, b: u64) -> Option<Claim> {
    let (first, second) = (short.roots_at(a).unwrap(), long.roots_at(b).unwrap());
    let nodes = find_link(&first, &second, |node| long.node(node.get()))?;
    let (one, two) = (signed_vote(head(short, a)), signed_vote(head(long, b)));
    Some(Claim::DoubleVote {
        first: one,
        second: two,
        link: Some(Box::new(VoteLink { first, second, nodes })),
    })
}

fn every_bit_counts(claim: Claim, oracle: &dyn Oracle) {
    let bytes = Evidence { room: ROOM, claim }.encode();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        let outcome = Evidence::decode(changed.into()).and_then(|evidence| evidence.verify(&ROOM, oracle));
        assert!(outcome.is_err(), "bit {bit}");
    }
    for cut in 0..bytes.len() {
        assert!(Evidence::decode(bytes.slice(..cut)).is_err());
    }
}

#[test]
fn two_votes_for_one_length() {
    let claim = Claim::double_vote(signed_vote(byte_head(5, 1)), signed_vote(byte_head(5, 2)));
    let verified = check(claim.clone()).unwrap();
    assert_eq!((verified.kind(), *verified.culprit()), (EvidenceKind::DoubleVote, signer(1).public()));
    every_bit_counts(claim.clone(), &NoOracle);
    let Claim::DoubleVote { first, second, .. } = claim else { unreachable!() };
    let swapped = Claim::DoubleVote { first: second, second: first, link: None };
    assert_eq!(check(swapped), Err(EvidenceError::NotCanonical));
    let why = "one head";
    let same = Claim::DoubleVote { first, second: first, link: None };
    assert_eq!(check(same), Err(EvidenceError::Consistent { why }));
    // Sent again with an acknowledgement it is the same vote.
    let ack = Some(Ack { length: 5, qc: QcHash::new([7; 32]) });
    let again = *vote(&genesis(4), 1, byte_head(5, 1), ack).signed();
    assert_eq!(
        check(Claim::double_vote(signed_vote(byte_head(5, 1)), again)),
        Err(EvidenceError::Consistent { why })
    );
}

#[test]
fn two_votes_that_are_not_of_one_key_room_and_epoch() {
    let one = signed_vote(byte_head(5, 1));
    let resigned = |change: &dyn Fn(&mut Vote), i| {
        let mut vote = signed_vote(byte_head(5, 2)).statement;
        change(&mut vote);
        *Verified::sign(vote, &signer(i)).signed()
    };
    let (first, second) = (signer(1).public(), signer(2).public());
    let pair = |two| Claim::DoubleVote { first: one, second: two, link: None };
    assert_eq!(check(pair(resigned(&|_| (), 2))), Err(EvidenceError::Signers { first, second }));
    let epochs = EvidenceError::Epochs { first: 0, second: 1 };
    assert_eq!(check(pair(resigned(&|vote| vote.common.epoch = 1, 1))), Err(epochs));
    let room = RoomId::new([9; 32]);
    let rooms = EvidenceError::Room { expected: ROOM, found: room };
    assert_eq!(check(pair(resigned(&|vote| vote.common.room = room, 1))), Err(rooms.clone()));
    let other = Evidence { room, claim: pair(signed_vote(byte_head(5, 2))) };
    assert_eq!(other.verify(&ROOM, &NoOracle), Err(rooms));
    // Another feed in the same epoch contradicts at any length, and whatever the set of validators is.
    let other_feed = resigned(
        &|vote| {
            vote.feed = PublicKey::new([9; 32]);
            vote.common.vset = *genesis(5).validators().hash();
        },
        1,
    );
    assert!(check(Claim::double_vote(one, other_feed)).is_ok());
}

#[test]
fn forged_signatures_prove_nothing() {
    let (one, mut two) = (signed_vote(byte_head(5, 1)), signed_vote(byte_head(5, 2)));
    let key = signer(1).public();
    two.signature = one.signature;
    let error = EvidenceError::Key(KeyError::Signature { key });
    assert_eq!(check(Claim::double_vote(one, two)), Err(error.clone()));
    // S + L verifies where nobody checks that S is reduced; the statement is the same, so it would prove nothing anyway.
    let mut malleated = one;
    let mut bytes = *one.signature.as_bytes();
    let order: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    for (byte, add) in bytes[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    malleated.signature = Signature::new(bytes);
    assert_eq!(malleated.verify(), Err(KeyError::Signature { key }));
    assert!(check(Claim::DoubleVote { first: one, second: malleated, link: None }).is_err());
    // Under a key of small order anything verifies where nobody checks: R = A, S = 0.
    let small: PublicKey =
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa".parse().unwrap();
    let forged = |byte| {
        let mut signed = signed_vote(byte_head(5, byte));
        signed.statement.common.signer = small;
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(small.as_bytes());
        signed.signature = Signature::new(signature);
        signed
    };
    let error = EvidenceError::Key(KeyError::Torsion { key: small });
    assert_eq!(check(Claim::double_vote(forged(1), forged(2))), Err(error));
}

#[test]
fn a_seal_and_what_breaks_it() {
    let epoch = genesis(4);
    let certified =
        |head| Certified { epoch: 0, vset: *epoch.validators().hash(), feed: FEED, target: target(head) };
    let reference = |head: Head| QcRef { epoch: 0, head, qc: certified(head).qc_hash(&ROOM) };
    let seal = |qc: Option<QcRef>| *seal(&epoch, 1, qc, SealReason::Stalled).signed();
    let against = |seal, head, ack: Option<Head>| {
        let ack = ack.map(|head| certified(head).ack(&ROOM));
        check(Claim::SealBreak { seal, vote: *vote(&epoch, 1, head, ack).signed() })
    };
    let (five, six) = (byte_head(5, 5), byte_head(6, 6));
    let why = "the seal reports this vote, or a longer one, and what it acknowledges";
    let keeps = Err(EvidenceError::Consistent { why });
    let sealed = seal(Some(reference(five)));
    assert_eq!(against(sealed, five, None), keeps);
    assert_eq!(against(sealed, five, Some(five)), keeps);
    assert_eq!(against(sealed, byte_head(3, 3), Some(byte_head(2, 2))), keeps);
    assert!(against(sealed, six, None).is_ok());
    assert!(against(sealed, byte_head(5, 9), None).is_ok());
    assert!(against(seal(None), five, None).is_ok());
    // Amnesia: it acknowledged a QC that its seal does not have.
    let mut forgetful = sealed.statement;
    forgetful.highest_qc = Some(reference(byte_head(4, 4)));
    let forgetful = *Verified::sign(forgetful, &signer(1)).signed();
    assert!(against(forgetful, five, Some(five)).is_ok());
    assert_eq!(against(forgetful, five, Some(byte_head(4, 4))), keeps);
    assert!(against(forgetful, five, Some(byte_head(4, 9))).is_ok());
    every_bit_counts(
        Claim::SealBreak { seal: sealed, vote: *vote(&epoch, 1, six, None).signed() },
        &NoOracle,
    );
}

#[test]
fn grants_and_writers() {
    let grant = |feed| {
        let common = genesis(4).common(host(0).public());
        *Verified::sign(Grant { common, feed: PublicKey::new([feed; 32]) }, &host(0)).signed()
    };
    let claim = Claim::double_grant(grant(8), grant(7));
    assert_eq!(*check(claim.clone()).unwrap().culprit(), host(0).public());
    every_bit_counts(claim, &NoOracle);
    let same = Claim::DoubleGrant(grant(7), grant(7));
    assert_eq!(check(same), Err(EvidenceError::Consistent { why: "one feed" }));

    let (key, secret) = key_pair(&[5; 32]);
    let writer = FeedSigner::new(&key, &secret).unwrap();
    let mut ten = MemoryTree::new(Flavour::Hypercore10);
    ten.push(b"block").unwrap();
    let hash = ten.roots().tree_hash(Flavour::Hypercore10);
    let truncate = |fork| {
        let signature = writer.sign(Form::Compat { fork }, &hash, 1);
        let signed = SignedRoots { roots: ten.roots().clone(), signature };
        Claim::WriterTruncate { key, signed, fork }
    };
    assert_eq!(*check(truncate(1)).unwrap().culprit(), key);
    every_bit_counts(truncate(1), &NoOracle);
    let why = "a history that was never rewritten";
    assert_eq!(check(truncate(0)), Err(EvidenceError::Consistent { why }));
    let Claim::WriterTruncate { signed, .. } = truncate(0) else { unreachable!() };
    let claim = Claim::WriterTruncate { key, signed, fork: 1 };
    assert_eq!(check(claim), Err(EvidenceError::WriterSignature { length: 1 }));
}

/// Holds one history; the rules refuse blocks that end with `fork`.
struct Holder {
    tree: MemoryTree,
    blocks: Vec<Bytes>,
    rules_hash: RulesHash,
}

impl Holder {
    fn new(blocks: u64, shared: u64) -> Self {
        let block = |i| Bytes::from(format!("block {i}{}", if i < shared { "" } else { " of a fork" }));
        let rules_hash = target(byte_head(1, 1)).rules_hash;
        Self { tree: tree(blocks, shared), blocks: (0..blocks).map(block).collect(), rules_hash }
    }

    fn holds(&self, head: &Head) -> bool {
        self.tree
            .roots_at(head.length())
            .is_some_and(|roots| roots.tree_hash(Flavour::Dat) == *head.tree_hash())
    }

    fn says(&self, block: &[u8]) -> Judgement {
        let rules_hash = self.rules_hash;
        if block.ends_with(b"fork") {
            return Judgement::Refused { rules_hash };
        }
        Judgement::Accepted { state_root: target(byte_head(1, 1)).state_root, rules_hash }
    }
}

impl Oracle for Holder {
    fn judge(&self, _: &PublicKey, head: &Head) -> Judgement {
        let last = self.blocks.get(head.length() as usize - 1).filter(|_| self.holds(head));
        last.map_or(Judgement::Unable, |block| self.says(block))
    }

    fn judge_block(&self, _: &PublicKey, before: Option<&Head>, block: &Bytes) -> Judgement {
        if before.is_none_or(|before| self.holds(before)) { self.says(block) } else { Judgement::Unable }
    }

    fn block(&self, _: &PublicKey, head: &Head, index: u64) -> Option<Bytes> {
        self.blocks.get(index as usize).filter(|_| self.holds(head)).cloned()
    }
}

#[test]
fn a_bad_block_is_judged_by_who_holds_the_prefix() {
    let (key, secret) = key_pair(&[5; 32]);
    let writer = FeedSigner::new(&key, &secret).unwrap();
    let signed = tree(9, 4);
    let claim = |index: u64, block: &str| {
        let hash = signed.roots().tree_hash(Flavour::Dat);
        Claim::BadAppend {
            key,
            length: 9,
            nodes: Inclusion::nodes(index, 9, |node| signed.node(node)).unwrap(),
            signature: writer.sign(Form::Tree, &hash, 9),
            index,
            block: Bytes::copy_from_slice(block.as_bytes()),
        }
    };
    let holder = Holder::new(4, 4);
    assert_eq!(*check_with(claim(4, "block 4 of a fork"), &holder).unwrap().culprit(), key);
    every_bit_counts(claim(4, "block 4 of a fork"), &holder);
    let unable = EvidenceError::Unable { kind: EvidenceKind::BadAppend };
    assert_eq!(check(claim(4, "block 4 of a fork")), Err(unable.clone()));
    // Its prefix is not the history that is held.
    assert_eq!(check_with(claim(5, "block 5 of a fork"), &holder), Err(unable));
    let why = "the rules accept the block";
    assert_eq!(check_with(claim(3, "block 3"), &holder), Err(EvidenceError::Consistent { why }));
    // A bad block that the writer never signed.
    assert_eq!(
        check_with(claim(3, "block 3 of a fork"), &holder),
        Err(EvidenceError::WriterSignature { length: 9 })
    );
}

#[test]
fn a_wrong_verdict_is_judged_by_the_same_rules_only() {
    let holder = Holder::new(9, 6);
    let epoch = genesis(4);
    let of = |length| *vote(&epoch, 1, head(&holder.tree, length), None).signed();
    let verdict = |vote| check_with(Claim::BadVerdict(SignedVerdict::Vote(vote)), &holder);
    assert_eq!(*verdict(of(8)).unwrap().culprit(), signer(1).public());
    let why = "the rules accept it, with this state";
    assert_eq!(verdict(of(5)), Err(EvidenceError::Consistent { why }));
    let changed = |change: &dyn Fn(&mut Vote)| {
        let mut vote = of(5).statement;
        change(&mut vote);
        verdict(*Verified::sign(vote, &signer(1)).signed())
    };
    assert!(changed(&|vote| vote.target.state_root = StateRoot::new([9; 32])).is_ok());
    let other = RulesHash::new([9; 32]);
    assert_eq!(changed(&|vote| vote.target.rules_hash = other), Err(EvidenceError::Profile));
    let unable = EvidenceError::Unable { kind: EvidenceKind::BadVerdict };
    assert_eq!(changed(&|vote| vote.target.head = byte_head(5, 9)), Err(unable));
    let reject = |length| {
        let (common, head) = (epoch.common(signer(1).public()), head(&holder.tree, length));
        let reject = Reject { common, feed: FEED, head, rules_hash: holder.rules_hash, rule: 3101, code: 1 };
        let claim = Claim::BadVerdict(SignedVerdict::Reject(*Verified::sign(reject, &signer(1)).signed()));
        check_with(claim, &holder)
    };
    assert!(reject(5).is_ok());
    assert_eq!(reject(8), Err(EvidenceError::Consistent { why: "the rules refuse it" }));
}

#[test]
fn broken_promises_of_storage() {
    let holder = Holder::new(9, 9);
    let epoch = genesis(4);
    let common = epoch.common(signer(9).public());
    let have = |sequence, length| {
        let head = head(&holder.tree, length);
        let have = Have { common, feed: FEED, head, sequence, from: 1, to: length, until_epoch: 3 };
        *Verified::sign(have, &signer(9)).signed()
    };
    let later = |a, b| check(Claim::HaveRollback { have: a, broken_by: PromiseBreak::Have(b) });
    assert_eq!(*later(have(1, 9), have(2, 8)).unwrap().culprit(), signer(9).public());
    let why = "a later promise of as much or more, or of another feed";
    for (a, b) in [(have(1, 8), have(2, 9)), (have(2, 9), have(1, 8)), (have(1, 9), have(1, 8))] {
        assert_eq!(later(a, b), Err(EvidenceError::Consistent { why }));
    }
    let answer = |index: u64, block: &[u8]| {
        let nonce = [7; 32];
        let digest = response_digest(&nonce, block);
        let response = Response { common, feed: FEED, index, nonce, digest };
        let broken_by = PromiseBreak::Response(*Verified::sign(response, &signer(9)).signed());
        check_with(Claim::HaveRollback { have: have(1, 9), broken_by }, &holder)
    };
    assert!(answer(3, b"something else").is_ok());
    assert_eq!(answer(3, b"block 3"), Err(EvidenceError::Consistent { why: "a right answer" }));
    let why = "a block that was not promised";
    assert_eq!(answer(0, b"something else"), Err(EvidenceError::Consistent { why }));
}

#[test]
fn a_fork_of_a_long_feed_is_small_evidence() {
    let (key, secret) = key_pair(&[5; 32]);
    let writer = FeedSigner::new(&key, &secret).unwrap();
    let (one, two) = (tree(1000, 1000), tree(1023, 700));
    let signed = |tree: &MemoryTree| {
        let hash = tree.roots().tree_hash(Flavour::Dat);
        SignedRoots {
            roots: tree.roots().clone(),
            signature: writer.sign(Form::Tree, &hash, tree.roots().length()),
        }
    };
    let link = find_link(one.roots(), two.roots(), |node| two.node(node.get())).unwrap();
    let proof = ForkProof { key, flavour: Flavour::Dat, a: signed(&one), b: signed(&two), link };
    let verified = check(Claim::WriterFork(Box::new(proof.clone()))).unwrap();
    assert!(verified.bytes().len() < 1024, "{}", verified.bytes().len());
    let mut same = proof;
    same.b = same.a.clone();
    same.link.clear();
    assert!(check(Claim::WriterFork(Box::new(same))).is_err());
}

#[test]
fn a_fork_of_one_length_has_one_id_and_its_other_order_proves_the_same() {
    let (key, secret) = key_pair(&[5; 32]);
    let writer = FeedSigner::new(&key, &secret).unwrap();
    let signed = |tree: &MemoryTree| {
        let hash = tree.roots().tree_hash(Flavour::Dat);
        let signature = writer.sign(Form::Tree, &hash, tree.roots().length());
        SignedRoots { roots: tree.roots().clone(), signature }
    };
    let (one, two) = (signed(&tree(30, 30)), signed(&tree(30, 7)));
    let proof = |a: &SignedRoots, b: &SignedRoots| ForkProof {
        key,
        flavour: Flavour::Dat,
        a: a.clone(),
        b: b.clone(),
        link: Vec::new(),
    };
    let made = |a, b| check(Claim::writer_fork(proof(a, b))).unwrap();
    assert_eq!(made(&one, &two), made(&two, &one));
    // What was kept in the order in which it was met still holds, and says nothing new.
    let kept = |a, b| check(Claim::WriterFork(Box::new(proof(a, b)))).unwrap();
    let kept = [kept(&one, &two), kept(&two, &one)];
    assert_ne!(kept[0].id(), kept[1].id());
    assert!(kept.iter().all(|kept| kept.topic() == made(&one, &two).topic()));
    assert!(kept.iter().any(|kept| kept.id() == made(&one, &two).id()));
    // Of two lengths the shorter one stays first.
    let (long, short) = (tree(31, 7), tree(30, 30));
    let link = find_link(short.roots(), long.roots(), |node| long.node(node.get())).unwrap();
    let proof = ForkProof { link, ..proof(&signed(&short), &signed(&long)) };
    assert_eq!(Claim::writer_fork(proof.clone()), Claim::WriterFork(Box::new(proof)));
}

proptest! {
    /// Votes at two lengths are evidence exactly when their histories differ, and nothing else makes them so.
    #[test]
    fn votes_for_two_histories(a in 1_u64..60, more in 1_u64..60, shared in any::<prop::sample::Index>()) {
        let b = a + more;
        let shared = shared.index(a as usize) as u64;
        let (one, two) = (tree(a, a), tree(b, shared));
        let claim = linked(&one, a, &two, b).unwrap();
        prop_assert!(check(claim).is_ok());
        // One history gives no link, and no link of another one fits.
        let honest = tree(b, b);
        prop_assert_eq!(linked(&honest, a, &honest, b), None);
        let (first, second) = (signed_vote(head(&honest, a)), signed_vote(head(&honest, b)));
        let claim = Claim::DoubleVote { first, second, link: None };
        prop_assert!(check(claim).is_err());
        let Some(Claim::DoubleVote { link, .. }) = linked(&one, a, &two, b) else { unreachable!() };
        let claim = Claim::DoubleVote { first, second, link };
        prop_assert!(check(claim).is_err());
        // Peaks of the honest history, and every node that it has in the place of a peak.
        for peak in honest.roots_at(a).unwrap().nodes() {
            let nodes = vec![honest.node(peak.index.get()).unwrap()];
            let link = VoteLink { first: honest.roots_at(a).unwrap(), second: honest.roots_at(b).unwrap(), nodes };
            let claim = Claim::DoubleVote { first, second, link: Some(Box::new(link)) };
            prop_assert!(check(claim).is_err());
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Evidence::decode(bytes.into()).is_err());
    }

    /// What an honest validator signs in an epoch, through crashes that lose what was not durable, is no evidence in any
    /// combination.
    #[test]
    fn an_honest_validator_is_never_framed(
        steps in prop::collection::vec((0_u8..5, 1_u64..4), 1..25),
        seals in any::<bool>(),
    ) {
        let epoch = genesis(4);
        let history = tree(120, 120);
        let certified = |length| Certified {
            epoch: 0,
            vset: *epoch.validators().hash(),
            feed: FEED,
            target: target(head(&history, length)),
        };
        // On the disk: the longest vote, and the longest QC.
        let (mut voted, mut qc): (Option<(u64, u64)>, u64) = (None, 0);
        let mut sent: Vec<Signed<Vote>> = Vec::new();
        for (step, more) in steps {
            let (length, acked) = voted.unwrap_or((0, 0));
            match step {
                // A longer vote, written and sent, or written and lost with the crash before it was sent.
                0 | 1 => {
                    let length = length + more;
                    let ack = qc.min(length);
                    voted = Some((length, ack));
                    if step == 0 {
                        let ack = (ack > 0).then(|| certified(ack).ack(&ROOM));
                        sent.push(*vote(&epoch, 1, head(&history, length), ack).signed());
                    }
                }
                // A QC that covers a vote comes to the disk.
                2 => qc = qc.max(length.saturating_sub(more - 1)),
                // The same vote with a larger acknowledgement.
                3 if length > 0 && qc > acked && qc <= length => {
                    voted = Some((length, qc));
                    sent.push(*vote(&epoch, 1, head(&history, length), Some(certified(qc).ack(&ROOM))).signed());
                }
                // A crash: the last vote is sent again.
                _ if length > 0 => {
                    let ack = (acked > 0).then(|| certified(acked).ack(&ROOM));
                    sent.push(*vote(&epoch, 1, head(&history, length), ack).signed());
                }
                _ => {}
            }
        }
        for a in &sent {
            for b in &sent {
                let claim = Claim::double_vote(*a, *b);
                prop_assert!(check(claim).is_err());
                let (short, long) = (a.statement.target.head.length(), b.statement.target.head.length());
                if short < long {
                    prop_assert_eq!(linked(&history, short, &history, long), None);
                }
            }
        }
        if seals {
            let highest_qc = (qc > 0).then(|| QcRef { epoch: 0, head: head(&history, qc), qc: certified(qc).qc_hash(&ROOM) });
            let mut statement = seal(&epoch, 1, highest_qc, SealReason::Stalled).signed().statement;
            statement.highest_vote = voted.map(|(length, _)| head(&history, length));
            statement.feed = Some(FEED);
            let seal = *Verified::sign(statement, &signer(1)).signed();
            for vote in &sent {
                let claim = Claim::SealBreak { seal, vote: *vote };
                prop_assert!(check(claim).is_err());
            }
        }
    }
}
