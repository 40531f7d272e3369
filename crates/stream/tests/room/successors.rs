//! Later feeds of a room: their headers, and their blocks as the room's.

use bytes::Bytes;
use quorate_quorum::certificate::{
    CertificateError, Certified, Epoch, Start, VerifiedFinal, VerifiedHandover, VerifiedQc, VerifiedStart,
};
use quorate_quorum::head::Head;
use quorate_quorum::key::{KeyError, Signer};
use quorate_quorum::statement::{Grant, Seal, SealReason, Target, Verified, Vote};
use quorate_quorum::validators::ValidatorSet;
use quorate_stream::entry::{Entry, Proof, ProofKind};
use quorate_stream::header::{HeaderError, RoomQuorum, StreamHeader, SuccessorError, SuccessorHeader};
use quorate_stream::refusal::RoomCode;
use quorate_stream::room::{Checked, Prefix, RoomPart};
use quorate_types::{Hash, PublicKey, StateRoot};

use crate::world::{Chain, World, author, feed, header};

pub(crate) fn signers() -> Vec<Signer> {
    (0..4).map(|i| Signer::from_seed(&[50 + i; 32])).collect()
}

/// Author as one who signs grants.
fn host(number: u8) -> Signer {
    Signer::from_seed(&[number + 100; 32])
}

fn next_feed() -> PublicKey {
    author(77).public()
}

pub(crate) fn guarded() -> StreamHeader {
    let mut header = header(Vec::new());
    let validators = ValidatorSet::new(signers().iter().map(Signer::public), 0).unwrap();
    header.quorum = Some(RoomQuorum { validators, hosts: vec![host(9).public(), host(8).public()] });
    header
}

pub(crate) fn target(world: &World, length: u64, hash: Hash) -> Target {
    let head = Head::new(length, hash).unwrap();
    Target { head, state_root: StateRoot::new([1; 32]), rules_hash: world.room.rules_hash() }
}

pub(crate) fn votes(
    world: &World,
    epoch: &Epoch,
    target: Target,
    ack: Option<&Certified>,
) -> Vec<Verified<Vote>> {
    let ack = ack.map(|certified| certified.ack(&world.room.id()));
    let feed = *epoch.feed().unwrap();
    let vote =
        |one: &Signer| Verified::sign(Vote { common: epoch.common(one.public()), feed, target, ack }, one);
    signers().iter().map(vote).collect()
}

pub(crate) fn last_final(world: &World, epoch: &Epoch, length: u64, hash: Hash) -> VerifiedFinal {
    let target = target(world, length, hash);
    let certified = Certified::of(&votes(world, epoch, target, None)[0]);
    let votes = votes(world, epoch, target, Some(&certified));
    VerifiedFinal::of_votes(&certified, &world.room.id(), epoch.validators(), &votes).unwrap()
}

/// A handover from an epoch, with the first blocks of its feed as the base.
fn handover(world: &World, epoch: &Epoch, base: Option<u64>) -> VerifiedHandover {
    let qc = base.map(|length| {
        let target = target(world, length, world.chain.hash(length));
        let votes = votes(world, epoch, target, None);
        VerifiedQc::of_votes(&Certified::of(&votes[0]), epoch.validators(), &votes).unwrap()
    });
    let highest_qc = qc.as_ref().map(VerifiedQc::reference);
    let (feed, highest_vote) = (epoch.feed().copied(), highest_qc.map(|qc| qc.head));
    let seal = |one: &Signer| {
        let common = epoch.common(one.public());
        Verified::sign(Seal { common, feed, highest_qc, highest_vote, reason: SealReason::Stalled }, one)
    };
    let seals: Vec<_> = signers().iter().map(seal).collect();
    VerifiedHandover::of_seals(epoch, &seals, |_| qc.clone(), |_| None).unwrap()
}

/// The start of the epoch after one, with a grant by somebody.
fn granted(
    handover: &VerifiedHandover,
    epoch: &Epoch,
    by: &Signer,
    feed: PublicKey,
) -> Result<VerifiedStart, CertificateError> {
    let handover = handover.handover().clone();
    let begins = Start { handover: handover.clone(), grant: None }.verify(epoch)?;
    let grant = Verified::sign(Grant { common: begins.epoch().common(by.public()), feed }, by);
    Start { handover, grant: Some((feed, *grant.signature())) }.verify(epoch)
}

fn genesis(world: &World) -> Head {
    Head::new(1, world.chain.hash(1)).unwrap()
}

/// A room of three blocks, of which two are the base of the next epoch.
fn world() -> (World, VerifiedStart) {
    let mut world = World::begin(&guarded());
    for payload in [b"one", b"two"] {
        world.accept(world.action(&author(1), payload));
    }
    let epoch = world.room.epoch().unwrap().clone();
    let start = granted(&handover(&world, &epoch, Some(2)), &epoch, &host(9), next_feed()).unwrap();
    (world, start)
}

#[test]
fn a_header_says_what_it_follows_and_why() {
    let (world, start) = world();
    let header = SuccessorHeader::of(&guarded(), &start, genesis(&world));
    assert_eq!((header.previous.feed, header.previous.base.length()), (feed().public(), 2));
    let block = header.encode().unwrap();
    assert_eq!(SuccessorHeader::parse(&block), Ok(header.clone()));
    assert_eq!(header.check(&next_feed(), &start, &guarded(), genesis(&world)), Ok(()));
    // It is no room of its own.
    let previous = feed().public();
    assert_eq!(StreamHeader::parse(&block), Err(HeaderError::Successor { previous }));

    // Without any certificate the room is continued from its header.
    let epoch = world.room.epoch().unwrap();
    let start = granted(&handover(&world, epoch, None), epoch, &host(9), next_feed()).unwrap();
    let header = SuccessorHeader::of(&guarded(), &start, genesis(&world));
    assert_eq!((header.previous.feed, header.previous.base), (previous, genesis(&world)));
    assert_eq!(header.check(&next_feed(), &start, &guarded(), genesis(&world)), Ok(()));
}

#[test]
fn a_header_that_does_not_continue_the_room_is_refused() {
    let (world, start) = world();
    let good = SuccessorHeader::of(&guarded(), &start, genesis(&world));
    let check = |header: &SuccessorHeader, start: &VerifiedStart| {
        header.check(&next_feed(), start, &guarded(), genesis(&world)).unwrap_err()
    };
    let base_error = |change: &dyn Fn(&mut SuccessorHeader)| {
        let mut header = good.clone();
        change(&mut header);
        check(&header, &start)
    };
    let head = |length, hash| Head::new(length, hash).unwrap();
    for error in [
        base_error(&|header| header.previous.base = head(3, world.chain.hash(3))),
        base_error(&|header| header.previous.base = head(2, Hash::new([7; 32]))),
        base_error(&|header| header.previous.feed = author(3).public()),
    ] {
        assert!(matches!(error, SuccessorError::Base { .. }), "{error}");
    }
    assert_eq!(base_error(&|header| header.name = "another".into()), SuccessorError::OtherRoom);

    // Another feed is granted, or none.
    let epoch = world.room.epoch().unwrap().clone();
    let handed = handover(&world, &epoch, Some(2));
    let other = granted(&handed, &epoch, &host(9), author(78).public()).unwrap();
    let expected = next_feed();
    let found = Some(author(78).public());
    assert_eq!(check(&good, &other), SuccessorError::Granted { expected, found });
    let without = Start { handover: handed.handover().clone(), grant: None }.verify(&epoch).unwrap();
    assert_eq!(check(&good, &without), SuccessorError::Granted { expected, found: None });

    // The start itself: a grant of who is not the next host, one of another room, and none at all.
    let error = granted(&handed, &epoch, &host(8), next_feed()).unwrap_err();
    assert!(matches!(error, CertificateError::Key(KeyError::Signature { .. })), "{error}");
    let mut elsewhere = guarded();
    elsewhere.name = "elsewhere".into();
    let elsewhere = World::begin(&elsewhere);
    let error = start.start().clone().verify(elsewhere.room.epoch().unwrap()).unwrap_err();
    assert!(matches!(error, CertificateError::Key(KeyError::Signature { .. })), "{error}");
    assert!(Start::decode(Bytes::new()).is_err());
    // One that was cut short by a seal.
    let mut few = start.start().clone();
    few.handover.seals.pop_first();
    let error = few.verify(&epoch).unwrap_err();
    assert_eq!(error, CertificateError::TooFew { expected: 3, found: 2 });
}

#[test]
fn a_header_of_a_later_feed_has_nothing_else() {
    let (world, start) = world();
    let block = SuccessorHeader::of(&guarded(), &start, genesis(&world)).encode().unwrap();
    let first = guarded().encode().unwrap();
    for other in [&b"hello"[..], b"", &first] {
        let other = Bytes::copy_from_slice(other);
        assert_eq!(SuccessorHeader::parse(&other), Err(SuccessorError::NoSuccessor));
    }
    let cut = block.slice(..block.len() - 1);
    assert!(matches!(SuccessorHeader::parse(&cut), Err(SuccessorError::Header(_))));
    let envelope = quorate_proto::header::FeedHeader::parse(&block).unwrap();
    let body = quorate_proto::stream::StreamHeader::decode(envelope.extension.unwrap()).unwrap();
    let error = |change: &dyn Fn(&mut quorate_proto::stream::StreamHeader)| {
        let mut body = body.clone();
        change(&mut body);
        let kind = "quorate/1".to_owned();
        let header = quorate_proto::header::FeedHeader { kind, extension: Some(body.encode()) };
        SuccessorHeader::parse(&header.encode()).unwrap_err()
    };
    for error in [
        error(&|body| body.validators = vec![signers()[0].public()]),
        error(&|body| body.hosts = vec![host(9).public()]),
        error(&|body| body.rule_delay = 1),
        error(&|body| body.previous.as_mut().unwrap().length = 0),
    ] {
        let unsupported = matches!(error, SuccessorError::Header(HeaderError::Unsupported { .. }));
        assert!(unsupported, "{error}");
    }
    let error = error(&|body| body.payload_encoding = "text".into());
    assert!(matches!(error, SuccessorError::Header(HeaderError::PayloadEncoding(_))), "{error}");
}

/// The blocks of two feeds as the room's.
struct Both<'a> {
    first: &'a Chain,
    base: u64,
    second: &'a Chain,
}

impl Prefix for Both<'_> {
    fn block(&self, index: u64) -> Option<Bytes> {
        match index.checked_sub(self.base) {
            None => self.first.block(index),
            Some(more) => self.second.block(more + 1),
        }
    }

    fn tree_hash(&self, length: u64) -> Option<Hash> {
        match length.checked_sub(self.base).filter(|more| *more > 0) {
            None => self.first.tree_hash(length),
            Some(more) => self.second.tree_hash(more + 1),
        }
    }
}

pub(crate) fn certificate(last: &VerifiedFinal) -> Bytes {
    Entry::Proof(Proof { kind: ProofKind::Certificate, body: last.last_final().encode() }).encode()
}

#[test]
fn a_room_goes_on_in_another_feed() {
    let (mut world, start) = world();
    let old = world.room.epoch().unwrap().clone();
    let block = SuccessorHeader::of(&guarded(), &start, genesis(&world)).encode().unwrap();
    let mut second = Chain::of([block]);
    let part = RoomPart::later(start.epoch().clone(), 2, second.hash(1));
    assert_eq!((part.offset(), part.height(1)), (1, 2));
    assert_eq!(part.head(2, world.chain.hash(2)), Head::new(1, second.hash(1)));
    let dropped = world.position();
    world.room.step_back(2).unwrap();
    world.room.enter(part);

    // The action that was dropped is as good as it was, and its author goes on from there.
    let first = world.chain.clone();
    let append = |world: &mut World, second: &mut Chain, block: Bytes| {
        let both = Both { first: &first, base: 2, second };
        let before = world.position();
        match world.room.check(block.clone(), before.tree_hash, &both) {
            Checked::Accepted(effects) => {
                second.push(block);
                world.room.apply(effects, second.head()).unwrap();
                Ok(world.position().length)
            }
            Checked::Refused(refusal) => Err(refusal.code),
            Checked::Unable(why) => panic!("unable: {why}"),
        }
    };
    // A certificate of the header alone makes the base final.
    let head = last_final(&world, start.epoch(), 1, second.hash(1));
    assert_eq!(append(&mut world, &mut second, certificate(&head)), Ok(3));
    assert_eq!(world.room.certified_length(), Ok(2));
    let again = world.chain.blocks[2].clone();
    assert_eq!(append(&mut world, &mut second, again.clone()), Ok(4));
    assert_eq!(append(&mut world, &mut second, again), Err(RoomCode::Replayed));
    assert_eq!(world.position().tree_hash, second.hash(3));
    assert_ne!(world.position().state_root, dropped.state_root);

    // Heights are those of the room, in certificates as well; those of the epoch before are over.
    let last = last_final(&world, start.epoch(), 3, second.hash(3));
    assert_eq!(append(&mut world, &mut second, certificate(&last)), Ok(5));
    assert_eq!(world.room.certified_length(), Ok(4));
    let over = last_final(&world, &old, 3, world.chain.hash(3));
    assert_eq!(append(&mut world, &mut second, certificate(&over)), Err(RoomCode::BadProof));
    let other = last_final(&world, start.epoch(), 4, Hash::new([9; 32]));
    assert_eq!(append(&mut world, &mut second, certificate(&other)), Err(RoomCode::BadProof));
    let beyond = last_final(&world, start.epoch(), 9, second.hash(4));
    assert_eq!(append(&mut world, &mut second, certificate(&beyond)), Err(RoomCode::BadProof));

    // The feed can be left again.
    world.room.step_back(2).unwrap();
    assert_eq!(world.room.certified_length(), Ok(0));
    assert_eq!(world.position().tree_hash, world.chain.hash(2));
}
