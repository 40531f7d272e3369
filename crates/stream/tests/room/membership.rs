//! Changes of validators: the last block of an epoch, and the block with which the feed goes on.

use bytes::Bytes;
use quorate_quorum::certificate::{
    Certified, Change, Epoch, Inclusion, Start, VerifiedHandover, VerifiedQc, VerifiedStart, encode_change,
};
use quorate_quorum::key::Signer;
use quorate_quorum::statement::{Accept, Common, Seal, SealReason, Verified};
use quorate_quorum::validators::ValidatorSet;
use quorate_stream::entry::{Entry, Proof, ProofKind};
use quorate_stream::refusal::{Refusal, RoomCode};
use quorate_stream::room::RoomPart;
use quorate_types::Hash;

use crate::rules::objector;
use crate::successors::{certificate, guarded, last_final, signers, target, votes};
use crate::world::{World, author, codes, feed, genesis};

fn fifth() -> Signer {
    Signer::from_seed(&[70; 32])
}

fn five() -> ValidatorSet {
    ValidatorSet::new(signers().iter().chain([&fifth()]).map(Signer::public), 0).unwrap()
}

fn proof(kind: ProofKind, body: Bytes) -> Bytes {
    Entry::Proof(Proof { kind, body }).encode()
}

fn change() -> Bytes {
    proof(ProofKind::ValidatorChange, encode_change(&five(), Some(fifth().prove_possession())))
}

fn start_block(start: &VerifiedStart) -> Bytes {
    proof(ProofKind::EpochStart, start.start().encode())
}

/// The start with which the feed goes on behind the change that is its last block.
fn start(world: &World, epoch: &Epoch) -> VerifiedStart {
    let length = world.position().length;
    let votes = votes(world, epoch, target(world, length, world.chain.hash(length)), None);
    let qc = VerifiedQc::of_votes(&Certified::of(&votes[0]), epoch.validators(), &votes).unwrap();
    let (highest_qc, base) = (Some(qc.reference()), *qc.certified().head());
    let seal = |one: &Signer| {
        let (common, feed) = (epoch.common(one.public()), epoch.feed().copied());
        let reason = SealReason::Membership;
        Verified::sign(Seal { common, feed, highest_qc, highest_vote: Some(base), reason }, one)
    };
    let seals: Vec<_> = signers().iter().map(seal).collect();
    let next = five();
    let accept = |one: &Signer| {
        let common = Common { epoch: epoch.number() + 1, ..epoch.common(one.public()) };
        let accept = Verified::sign(Accept { common, next: *next.hash(), base }, one);
        (next.position(&one.public()).unwrap() as u32, *accept.signature())
    };
    let mut tree = quorate_feed::MemoryTree::new(quorate_feed::Flavour::Dat);
    world.chain.blocks.iter().for_each(|block| tree.push(block).unwrap());
    let shown = Change {
        block: world.chain.blocks.last().unwrap().clone(),
        nodes: Inclusion::nodes(length - 1, length, |index| tree.node(index)).unwrap(),
        accepts: signers().iter().map(accept).collect(),
    };
    let made = VerifiedHandover::of_seals(epoch, &seals, |_| Some(qc.clone()), |_| Some(shown)).unwrap();
    Start { handover: made.handover().clone(), grant: None }.verify(epoch).unwrap()
}

/// A room whose fourth block is a change of validators.
fn closed() -> (World, Epoch) {
    let mut world = World::begin(&guarded());
    for payload in [b"one", b"two"] {
        world.accept(world.action(&author(1), payload));
    }
    assert!(!world.room.is_closed());
    world.accept(change());
    assert!(world.room.is_closed());
    let epoch = world.room.epoch().unwrap().clone();
    (world, epoch)
}

fn continued(world: &World, start: &VerifiedStart) -> RoomPart {
    RoomPart::continued(start.epoch().clone(), 0, world.position().length, start.hash())
}

#[test]
fn a_change_ends_its_epoch_and_the_feed_goes_on_with_a_start() {
    let (mut world, epoch) = closed();
    // Nothing may follow, whoever asks: no action, no certificate, no other change.
    let last = last_final(&world, &epoch, 4, world.chain.hash(4));
    for block in [world.action(&author(1), b"three"), certificate(&last), change()] {
        assert_eq!(world.refuse(block).code, RoomCode::NotAllowed);
    }
    let start = start(&world, &epoch);
    assert_eq!((start.epoch().number(), start.epoch().validators().n()), (1, 5));
    assert_eq!(start.epoch().feed(), Some(&feed().public()));
    // The start is of use when the room has entered its epoch.
    assert_eq!(world.refuse(start_block(&start)).code, RoomCode::NotAllowed);
    world.room.enter(continued(&world, &start));
    assert!(!world.room.is_closed());
    assert_eq!(world.refuse(world.action(&author(1), b"three")).code, RoomCode::NotAllowed);
    let other = proof(ProofKind::EpochStart, Bytes::from_static(b"\x0a\x00"));
    assert_eq!(world.refuse(other).code, RoomCode::BadProof);
    world.accept(start_block(&start));
    // It stands once, and the room goes on with those who validate now.
    assert_eq!(world.refuse(start_block(&start)).code, RoomCode::NotAllowed);
    world.accept(world.action(&author(1), b"three"));
    let four = ValidatorSet::new(signers().iter().map(Signer::public), 0).unwrap();
    let back = proof(ProofKind::ValidatorChange, encode_change(&four, None));
    assert_eq!(world.refuse(change()).code, RoomCode::BadProof);
    let now = start.epoch().clone();
    let last = last_final(&world, &now, 6, world.chain.hash(6));
    world.accept(certificate(&last));
    world.accept(back);
    assert!(world.room.is_closed());

    // What is taken back is as it was.
    world.room.step_back(6).unwrap();
    assert!(!world.room.is_closed());
    world.room.step_back(4).unwrap();
    assert!(!world.room.is_closed(), "the feed goes on from there");
    world.room.enter(RoomPart::first(epoch));
    assert!(world.room.is_closed());
    world.room.step_back(3).unwrap();
    assert!(!world.room.is_closed());
}

#[test]
fn a_room_that_is_opened_again_knows_that_its_epoch_has_ended() {
    let (mut world, _) = closed();
    world.room.commit().unwrap();
    let block = guarded().encode().unwrap();
    let store = world.room.into_store().unwrap();
    let engine = crate::world::engine();
    let room =
        quorate_stream::room::Room::open(&feed().public(), &block, store, engine, &world.chain).unwrap();
    assert!(room.is_closed());
}

#[test]
fn changes_that_may_not_be_made_are_refused() {
    let mut world = World::begin(&guarded());
    let mut refuse = |next: &ValidatorSet, with| {
        let refusal: Refusal = world.refuse(proof(ProofKind::ValidatorChange, encode_change(next, with)));
        assert_eq!(refusal.code, RoomCode::BadProof, "{refusal}");
        refusal.reason
    };
    let possession = fifth().prove_possession();
    let of = |keys: &[Signer]| ValidatorSet::new(keys.iter().map(Signer::public), 0).unwrap();
    assert!(refuse(&five(), None).contains("proof of possession"));
    let another = Signer::from_seed(&[71; 32]).prove_possession();
    assert!(refuse(&five(), Some(another)).contains("signature"));
    let same = of(&signers());
    assert!(refuse(&same, None).contains("found 0 to come and 0 to go"));
    let two_go = of(&signers()[..2]);
    assert!(refuse(&two_go, None).contains("found 0 to come and 2 to go"));
    assert!(refuse(&of(&signers()[..3]), Some(possession)).contains("proof of possession"));
    let garbage = proof(ProofKind::ValidatorChange, Bytes::from_static(b"\xff"));
    assert_eq!(world.refuse(garbage).code, RoomCode::BadProof);
    let stray = proof(ProofKind::EpochStart, Bytes::new());
    assert_eq!(world.refuse(stray).code, RoomCode::NotAllowed);
    // A room that has no validators gets none.
    let mut plain = World::begin(&crate::world::header(Vec::new()));
    assert_eq!(plain.refuse(change()).code, RoomCode::NotAllowed);
}

#[test]
fn rules_have_an_opinion_on_validators() {
    let module = objector();
    let room = |params: &[u8]| {
        let mut header = guarded();
        header.rules = vec![genesis("watch", &module, params)];
        World::new(&header, std::slice::from_ref(&module))
    };
    // Bit 5 is that of the operation.
    let mut world = room(&[1 << 5]);
    let refusal = world.refuse(change());
    assert_eq!(codes(&refusal), (RoomCode::Objection, Some(45)));
    let mut world = room(&[!(1 << 5)]);
    let effects = world.accept(change());
    assert_eq!(effects.uses().len(), 1);
    assert_ne!(world.position().state_root.as_bytes(), Hash::new([0; 32]).as_bytes());
}
