//! Rooms with validators: their headers, certificates and evidence in blocks.

use bytes::Bytes;
use quorate_quorum::certificate::{Certified, VerifiedFinal};
use quorate_quorum::evidence::Evidence;
use quorate_quorum::head::Head;
use quorate_quorum::key::Signer;
use quorate_quorum::statement::{Common, Signed, Target, Verified, Vote};
use quorate_quorum::validators::{ValidatorSet, ValidatorSetError};
use quorate_stream::entry::{Entry, Proof, ProofKind};
use quorate_stream::header::{HeaderError, RoomQuorum, StreamHeader};
use quorate_stream::payload::PayloadEncoding;
use quorate_stream::refusal::RoomCode;
use quorate_types::Hash;

use crate::world::{World, author, feed, header};

fn signers(n: u8) -> Vec<Signer> {
    (0..n).map(|i| Signer::from_seed(&[i.wrapping_add(50); 32])).collect()
}

fn validators(n: u8) -> ValidatorSet {
    ValidatorSet::new(signers(n).iter().map(Signer::public), 0).unwrap()
}

fn guarded(n: u8) -> StreamHeader {
    let mut header = header(Vec::new());
    header.quorum = Some(RoomQuorum { validators: validators(n), hosts: vec![author(9).public()] });
    header
}

fn target(world: &World, length: u64, hash: Hash) -> Target {
    let position = world.position();
    let head = Head::new(length, hash).unwrap();
    Target { head, state_root: position.state_root, rules_hash: world.room.rules_hash() }
}

fn vote(world: &World, signer: &Signer, target: Target, ack: Option<&Certified>) -> Verified<Vote> {
    let epoch = world.room.epoch().unwrap();
    let common: Common = epoch.common(signer.public());
    let ack = ack.map(|certified| certified.ack(&world.room.id()));
    Verified::sign(Vote { common, feed: feed().public(), target, ack }, signer)
}

/// A Final of so many validators for a length with a tree hash.
fn final_of(world: &World, signers: &[Signer], length: u64, hash: Hash) -> Option<VerifiedFinal> {
    let target = target(world, length, hash);
    let certified = Certified::of(&vote(world, &signers[0], target, None));
    let votes: Vec<_> = signers.iter().map(|one| vote(world, one, target, Some(&certified))).collect();
    let epoch = world.room.epoch().unwrap();
    VerifiedFinal::of_votes(&certified, &world.room.id(), epoch.validators(), &votes)
}

fn certificate(last: &VerifiedFinal) -> Bytes {
    Entry::Proof(Proof { kind: ProofKind::Certificate, body: last.last_final().encode() }).encode()
}

#[test]
fn a_header_names_validators_who_can_commit() {
    let header = guarded(4);
    let block = header.encode().unwrap();
    let read = StreamHeader::parse(&block).unwrap().unwrap();
    assert_eq!(read, header);
    let quorum = read.quorum.unwrap();
    assert_eq!((quorum.validators.n(), quorum.validators.quorum()), (4, 3));

    let proto = |with: &dyn Fn(&mut quorate_proto::stream::StreamHeader)| {
        let mut given = quorate_proto::stream::StreamHeader {
            payload_encoding: "json".into(),
            validators: signers(5).iter().map(Signer::public).collect(),
            ..Default::default()
        };
        with(&mut given);
        StreamHeader::try_from(given)
    };
    assert!(proto(&|_| {}).is_ok());
    assert_eq!(proto(&|given| given.quorum = 5).unwrap().quorum.unwrap().validators.quorum(), 5);
    // A simple majority would let two halves commit.
    let error = proto(&|given| given.quorum = 3).unwrap_err();
    let least = ValidatorSetError::Quorum { least: 4, most: 5, found: 3 };
    assert_eq!(error, HeaderError::Validators(least));
    assert!(matches!(
        proto(&|given| given.validators[1] = given.validators[0]),
        Err(HeaderError::Validators(ValidatorSetError::Twice { .. }))
    ));
    let key = author(1).public();
    assert!(matches!(proto(&|given| given.hosts = vec![key, key]), Err(HeaderError::Hosts { found: 2, .. })));
    for with in [
        &(|given: &mut quorate_proto::stream::StreamHeader| {
            given.validators.clear();
            given.hosts = vec![author(1).public()];
        }) as &dyn Fn(&mut _),
        &|given: &mut quorate_proto::stream::StreamHeader| {
            given.validators.clear();
            given.quorum = 1;
        },
    ] {
        assert!(matches!(proto(with), Err(HeaderError::NoValidators { .. })));
    }
}

#[test]
fn a_certificate_stands_when_a_quorum_signed_this_history() {
    let mut world = World::begin(&guarded(4));
    let signers = signers(4);
    let one = author(1);
    world.accept(world.action(&one, b"pay"));
    let last = final_of(&world, &signers[..3], 2, world.chain.hash(2)).unwrap();
    world.accept(certificate(&last));
    assert_eq!(world.room.certified_length(), Ok(2));
    // It is in the state, which a step back takes back.
    assert!(world.room.step_back(2).is_ok());
    assert_eq!(world.room.certified_length(), Ok(0));
}

#[test]
fn a_certificate_is_refused_that_is_of_others_or_of_nothing_new() {
    let mut world = World::begin(&guarded(4));
    let signers = signers(4);
    let one = author(1);
    world.accept(world.action(&one, b"pay"));
    let here = world.chain.hash(2);
    assert!(final_of(&world, &signers[..2], 2, here).is_none(), "two of four are no quorum");

    // Another history, a length that is not here, and a broken signature.
    let other = final_of(&world, &signers[..3], 2, Hash::new([7; 32])).unwrap();
    assert_eq!(world.refuse(certificate(&other)).code, RoomCode::BadProof);
    let beyond = final_of(&world, &signers[..3], 3, here).unwrap();
    assert_eq!(world.refuse(certificate(&beyond)).code, RoomCode::BadProof);
    let last = final_of(&world, &signers[1..4], 2, here).unwrap();
    let mut broken = last.last_final().clone();
    let (target, signature) = broken.votes.first_entry().unwrap().get().to_owned();
    let mut bytes = *signature.as_bytes();
    bytes[3] ^= 1;
    broken.votes.first_entry().unwrap().insert((target, quorate_types::Signature::new(bytes)));
    let block = Entry::Proof(Proof { kind: ProofKind::Certificate, body: broken.encode() }).encode();
    assert_eq!(world.refuse(block).code, RoomCode::BadProof);
    let mut few = last.last_final().clone();
    few.votes.pop_first();
    let block = Entry::Proof(Proof { kind: ProofKind::Certificate, body: few.encode() }).encode();
    assert_eq!(world.refuse(block).code, RoomCode::BadProof);
    let block =
        Entry::Proof(Proof { kind: ProofKind::Certificate, body: Bytes::from_static(b"\x07") }).encode();
    assert_eq!(world.refuse(block).code, RoomCode::BadProof);

    // What is there already.
    world.accept(certificate(&last));
    assert_eq!(world.refuse(certificate(&last)).code, RoomCode::NotAllowed);

    // Who is no validator of this room, and a room that has none.
    let strangers: Vec<Signer> = (0..4).map(|i| Signer::from_seed(&[i + 150; 32])).collect();
    let theirs = ValidatorSet::new(strangers.iter().map(Signer::public), 0).unwrap();
    let mut header = guarded(4);
    header.quorum.as_mut().unwrap().validators = theirs;
    let elsewhere = World::begin(&header);
    let foreign = final_of(&elsewhere, &strangers, 1, elsewhere.chain.hash(1)).unwrap();
    assert_eq!(world.refuse(certificate(&foreign)).code, RoomCode::BadProof);
    let mut plain = World::begin(&self::header(Vec::new()));
    assert_eq!(plain.refuse(certificate(&last)).code, RoomCode::NotAllowed);
}

#[test]
fn evidence_stands_once() {
    let mut world = World::begin(&guarded(4));
    let signers = signers(4);
    let two = |byte: u8| vote(&world, &signers[0], target(&world, 1, Hash::new([byte; 32])), None);
    let signed = |vote: Verified<Vote>| Signed::<Vote>::decode(&vote.encode()).unwrap();
    let (a, b) = (signed(two(1)), signed(two(2)));
    let claim = quorate_quorum::evidence::Claim::double_vote(a, b);
    let evidence = Evidence { room: world.room.id(), claim };
    let block = |evidence: &Evidence| {
        Entry::Proof(Proof { kind: ProofKind::Evidence, body: evidence.encode() }).encode()
    };
    world.accept(block(&evidence));
    assert_eq!(world.refuse(block(&evidence)).code, RoomCode::NotAllowed);
    // Two votes that agree contradict nothing, and evidence is of one room.
    let claim = quorate_quorum::evidence::Claim::double_vote(a, a);
    let nothing = Evidence { room: world.room.id(), claim };
    assert_eq!(world.refuse(block(&nothing)).code, RoomCode::BadProof);
    let elsewhere = Evidence { room: quorate_types::RoomId::new([9; 32]), ..evidence };
    assert_eq!(world.refuse(block(&elsewhere)).code, RoomCode::BadProof);
}

#[test]
fn the_digest_of_the_rules_is_of_their_modules_and_params() {
    let digest = |params: &[u8]| {
        let mut world = World::one("picky", &crate::rules::picky(), params);
        // The rules begin to hold with the first entry after their modules.
        world.act(1, b"-").unwrap();
        world.room.rules_hash()
    };
    assert_eq!(digest(b"a"), digest(b"a"));
    assert_ne!(digest(b"a"), digest(b"b"));
    let none = StreamHeader::new("", PayloadEncoding::Json);
    assert_ne!(World::begin(&none).room.rules_hash(), digest(b"a"));
}
