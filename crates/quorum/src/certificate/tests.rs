//! Certificates of small rooms: what holds, and everything that does not.

use bytes::Bytes;
use quorate_feed::{Flavour, MemoryTree};
use quorate_proto::stream::{Entry, Proof, ProofKind};
use quorate_types::{Hash, PublicKey, RoomId, RulesHash, StateRoot};

use super::*;
use crate::head::Head;
use crate::key::{KeyError, Signer};
use crate::statement::{Ack, Common, Grant, QcRef, Seal, SealReason, Target, Verified, Vote};
use crate::validators::ValidatorSet;

pub(crate) const ROOM: RoomId = RoomId::new([1; 32]);
pub(crate) const FEED: PublicKey = PublicKey::new([2; 32]);

/// Validator of a seed.
pub(crate) fn signer(i: u8) -> Signer {
    Signer::from_seed(&[i; 32])
}

pub(crate) fn host(i: u8) -> Signer {
    Signer::from_seed(&[100 + i; 32])
}

pub(crate) fn validators(n: u8) -> ValidatorSet {
    ValidatorSet::new((0..n).map(|i| signer(i).public()), 0).unwrap()
}

pub(crate) fn genesis(n: u8) -> Epoch {
    Epoch::genesis(ROOM, FEED, validators(n), [host(0).public(), host(1).public()])
}

pub(crate) fn head(length: u64) -> Head {
    Head::new(length, Hash::new([length as u8; 32])).unwrap()
}

pub(crate) fn target(head: Head) -> Target {
    Target { head, state_root: StateRoot::new([3; 32]), rules_hash: RulesHash::new([4; 32]) }
}

pub(crate) fn certified(epoch: &Epoch, head: Head) -> Certified {
    let (number, vset) = (epoch.number(), *epoch.validators().hash());
    Certified { epoch: number, vset, feed: *epoch.feed().unwrap(), target: target(head) }
}

pub(crate) fn vote(epoch: &Epoch, i: u8, head: Head, ack: Option<Ack>) -> Verified<Vote> {
    let signer = signer(i);
    let common = epoch.common(signer.public());
    Verified::sign(Vote { common, feed: *epoch.feed().unwrap(), target: target(head), ack }, &signer)
}

pub(crate) fn votes(epoch: &Epoch, head: Head, ack: Option<Ack>) -> Vec<Verified<Vote>> {
    (0..epoch.validators().n() as u8).map(|i| vote(epoch, i, head, ack)).collect()
}

pub(crate) fn qc(epoch: &Epoch, head: Head) -> VerifiedQc {
    let certified = certified(epoch, head);
    VerifiedQc::of_votes(&certified, epoch.validators(), &votes(epoch, head, None)).unwrap()
}

fn last_final(epoch: &Epoch, below: Head, above: Head) -> VerifiedFinal {
    let certified = certified(epoch, below);
    let votes = votes(epoch, above, Some(certified.ack(&ROOM)));
    VerifiedFinal::of_votes(&certified, &ROOM, epoch.validators(), &votes).unwrap()
}

pub(crate) fn seal(epoch: &Epoch, i: u8, highest_qc: Option<QcRef>, reason: SealReason) -> Verified<Seal> {
    let signer = signer(i);
    let common = epoch.common(signer.public());
    let highest_vote = highest_qc.filter(|qc| qc.epoch == epoch.number()).map(|qc| qc.head);
    Verified::sign(Seal { common, feed: epoch.feed().copied(), highest_qc, highest_vote, reason }, &signer)
}

fn handover(epoch: &Epoch, base: Option<&VerifiedQc>) -> VerifiedHandover {
    let reference = base.map(VerifiedQc::reference);
    let seals: Vec<_> =
        (0..epoch.validators().n() as u8).map(|i| seal(epoch, i, reference, SealReason::Stalled)).collect();
    VerifiedHandover::of_seals(epoch, &seals, |_| base.cloned(), |_| None).unwrap()
}

/// The start of the next epoch with a new feed.
pub(crate) fn start(epoch: &Epoch, base: Option<&VerifiedQc>, feed: PublicKey) -> VerifiedStart {
    let handover = handover(epoch, base).handover().clone();
    let without = Start { handover: handover.clone(), grant: None }.verify(epoch).unwrap();
    assert_eq!(without.epoch().feed(), None);
    let turn = without.epoch().host().0 as u8 - 1;
    let common = without.epoch().common(host(turn % 2).public());
    let grant = Verified::sign(Grant { common, feed }, &host(turn % 2));
    Start { handover, grant: Some((feed, *grant.signature())) }.verify(epoch).unwrap()
}

#[test]
fn a_quorum_of_votes_is_a_qc_and_one_less_is_none() {
    for n in [1, 2, 4, 7, 10] {
        let epoch = genesis(n);
        let all = votes(&epoch, head(5), None);
        let certified = certified(&epoch, head(5));
        let quorum = epoch.validators().quorum();
        assert_eq!(VerifiedQc::of_votes(&certified, epoch.validators(), &all[..quorum - 1]), None);
        let twice = all[..quorum - 1].iter().chain(&all[..quorum - 1]);
        assert_eq!(VerifiedQc::of_votes(&certified, epoch.validators(), twice), None);
        let qc = VerifiedQc::of_votes(&certified, epoch.validators(), &all).unwrap();
        assert_eq!(qc.qc().votes.len(), quorum);
        let bytes = qc.qc().encode();
        assert_eq!(Qc::decode(bytes).unwrap().verify(&epoch), Ok(qc.clone()));
        assert_eq!(*qc.hash(), certified.qc_hash(&ROOM));
    }
}

#[test]
fn what_is_no_qc() {
    let epoch = genesis(4);
    let good = qc(&epoch, head(5)).qc().clone();
    let change = |change: &dyn Fn(&mut Qc)| {
        let mut qc = good.clone();
        change(&mut qc);
        qc.verify(&epoch).unwrap_err()
    };
    let too_few = change(&|qc| assert!(qc.votes.pop_first().is_some()));
    assert_eq!(too_few, CertificateError::TooFew { expected: 3, found: 2 });
    let stranger = change(&|qc| {
        let vote = qc.votes.pop_first().unwrap().1;
        qc.votes.insert(4, vote);
    });
    assert_eq!(stranger, CertificateError::Signer { n: 4, signer: 4 });
    // A vote of one validator in the place of another.
    let moved = change(&|qc| {
        let vote = qc.votes[&0];
        qc.votes.insert(1, vote);
    });
    let key = *epoch.validators().get(1).unwrap().public();
    assert_eq!(moved, CertificateError::Key(KeyError::Signature { key }));
    let epoch_error = change(&|qc| qc.certified.epoch = 1);
    assert_eq!(epoch_error, CertificateError::Epoch { expected: 0, found: 1 });
    let other = *validators(5).hash();
    let vset = change(&|qc| qc.certified.vset = other);
    assert_eq!(vset, CertificateError::Vset { expected: *validators(4).hash(), found: other });
    let feed = PublicKey::new([9; 32]);
    let feed_error = change(&|qc| qc.certified.feed = feed);
    assert_eq!(feed_error, CertificateError::Feed { expected: FEED, found: feed });
    for forged in [
        change(&|qc| qc.certified.target.head = head(6)),
        change(&|qc| qc.certified.target.state_root = StateRoot::new([9; 32])),
        change(&|qc| qc.certified.target.rules_hash = RulesHash::new([9; 32])),
    ] {
        assert!(matches!(forged, CertificateError::Key(KeyError::Signature { .. })), "{forged}");
    }
    let other_room = Epoch::genesis(RoomId::new([9; 32]), FEED, validators(4), []);
    assert!(matches!(good.verify(&other_room), Err(CertificateError::Key(_))));
}

#[test]
fn a_certificate_has_one_encoding() {
    let epoch = genesis(4);
    let qc = qc(&epoch, head(5));
    let proto = |change: &dyn Fn(&mut quorate_proto::quorum::Qc)| {
        let mut proto = quorate_proto::quorum::Qc::decode(qc.qc().encode()).unwrap();
        change(&mut proto);
        Qc::decode(proto.encode()).unwrap_err()
    };
    let twice = proto(&|qc| qc.votes[1] = qc.votes[0]);
    assert_eq!(twice, CertificateError::Twice { signer: 0 });
    let reordered = proto(&|qc| qc.votes.swap(0, 1));
    assert_eq!(reordered, CertificateError::NotCanonical { certificate: "QC" });
    let ack = quorate_proto::quorum::Ack { length: 2, qc: *qc.hash() };
    let unused = proto(&|qc| qc.acks.push(ack));
    assert_eq!(unused, CertificateError::NotCanonical { certificate: "QC" });
    let dangling = proto(&|qc| qc.votes[0].ack = 1);
    let expected = "references to rows there are";
    assert_eq!(dangling, CertificateError::Field { certificate: "QC", expected });
    let above = proto(&|qc| {
        qc.acks.push(quorate_proto::quorum::Ack { length: 6, ..ack });
        qc.votes[0].ack = 1;
    });
    let expected = "acknowledgements of 1 up to what is certified";
    assert_eq!(above, CertificateError::Field { certificate: "QC", expected });
    let bytes = qc.qc().encode();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        let outcome = Qc::decode(changed.into()).map(|qc| qc.verify(&epoch));
        assert!(!matches!(outcome, Ok(Ok(_))), "bit {bit}");
    }
}

#[test]
fn acknowledgements_of_one_qc_are_final() {
    let epoch = genesis(4);
    let certified = certified(&epoch, head(5));
    let ack = Some(certified.ack(&ROOM));
    let of = |votes: &[Verified<Vote>]| VerifiedFinal::of_votes(&certified, &ROOM, epoch.validators(), votes);
    // Sent again for the same head, and with later votes.
    let mixed = [
        vote(&epoch, 0, head(5), ack),
        vote(&epoch, 1, head(6), ack),
        vote(&epoch, 2, head(8), ack),
        vote(&epoch, 3, head(8), None),
    ];
    let last = of(&mixed).unwrap();
    assert_eq!(last.last_final().votes.len(), 3);
    assert_eq!(Final::decode(last.last_final().encode()).unwrap().verify(&epoch), Ok(last.clone()));
    assert_eq!(of(&mixed[1..]), None);
    // What acknowledges another QC does not count.
    let other = Some(Ack { length: 5, qc: qc(&epoch, head(4)).hash().to_owned() });
    assert_eq!(of(&[mixed[0], mixed[1], vote(&epoch, 2, head(6), other)]), None);
    // Nor does a vote for another head of that length.
    let fork = Head::new(5, Hash::new([9; 32])).unwrap();
    assert_eq!(of(&[mixed[0], mixed[1], vote(&epoch, 2, fork, ack)]), None);
    let mut one_less = last.last_final().clone();
    one_less.votes.pop_first();
    assert_eq!(one_less.verify(&epoch), Err(CertificateError::TooFew { expected: 3, found: 2 }));
    let mut forged = last.last_final().clone();
    forged.certified.target.head = head(6);
    assert!(matches!(forged.verify(&epoch), Err(CertificateError::Key(_))));
    let bytes = last.last_final().encode();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        let outcome = Final::decode(changed.into()).map(|last| last.verify(&epoch));
        assert!(!matches!(outcome, Ok(Ok(_))), "bit {bit}");
    }
}

#[test]
fn a_handover_begins_from_the_highest_qc() {
    let epoch = genesis(4);
    let (low, high) = (qc(&epoch, head(3)), qc(&epoch, head(5)));
    let stalled =
        |i, qc: Option<&VerifiedQc>| seal(&epoch, i, qc.map(VerifiedQc::reference), SealReason::Stalled);
    let find = |named: &QcRef| [&low, &high].into_iter().find(|qc| qc.reference() == *named).cloned();
    let seals = [stalled(0, Some(&low)), stalled(1, None), stalled(2, Some(&high)), stalled(3, Some(&low))];
    let made = VerifiedHandover::of_seals(&epoch, &seals[..3], find, |_| None).unwrap();
    assert_eq!(made.base(), Some(&high));
    let two = VerifiedHandover::of_seals(&epoch, &seals[..2], find, |_| None);
    assert_eq!(two, Err(CertificateError::TooFew { expected: 3, found: 2 }));
    // A QC below the base need not be at hand: a validator may have sealed with it, and nobody has it any more.
    let only_high = |named: &QcRef| Some(&high).filter(|qc| qc.reference() == *named).cloned();
    for seals in [&seals[..3], &[seals[2], seals[3], seals[1]]] {
        let made = VerifiedHandover::of_seals(&epoch, seals, only_high, |_| None).unwrap();
        assert_eq!(made.base(), Some(&high));
    }
    let only_low = |named: &QcRef| Some(&low).filter(|qc| qc.reference() == *named).cloned();
    let without_base = VerifiedHandover::of_seals(&epoch, &seals[..3], only_low, |_| None);
    assert_eq!(without_base, Err(CertificateError::TooFew { expected: 3, found: 2 }));
    // A seal whose QC nobody has does not count where it may be the highest.
    let made_up = QcRef { head: head(9), ..high.reference() };
    let liar = seal(&epoch, 0, Some(made_up), SealReason::Stalled);
    let with_liar = VerifiedHandover::of_seals(&epoch, [&liar, &seals[1], &seals[2]], find, |_| None);
    assert_eq!(with_liar, Err(CertificateError::TooFew { expected: 3, found: 2 }));
    let with_liar =
        VerifiedHandover::of_seals(&epoch, [&liar].into_iter().chain(&seals[1..]), find, |_| None);
    assert_eq!(with_liar.unwrap().base(), Some(&high));
    let good = made.handover().clone();
    let change = |change: &dyn Fn(&mut Handover)| {
        let mut handover = good.clone();
        change(&mut handover);
        handover.verify(&epoch).unwrap_err()
    };
    // A stale base, or none, and a seal that says less than it did.
    assert_eq!(change(&|handover| handover.base = Some(low.qc().clone())), CertificateError::Base);
    assert_eq!(change(&|handover| handover.base = None), CertificateError::Base);
    let stale = change(&|handover| {
        handover.base = Some(low.qc().clone());
        let report =
            &mut handover.seals.values_mut().find(|seal| seal.0.highest_qc == ReportedQc::Base).unwrap().0;
        report.highest_qc = ReportedQc::Other(high.reference());
    });
    assert_eq!(stale, CertificateError::Base);
    let one_less = change(&|handover| assert!(handover.seals.pop_first().is_some()));
    assert_eq!(one_less, CertificateError::TooFew { expected: 3, found: 2 });
    let reason = change(&|handover| {
        handover.seals.values_mut().for_each(|(report, _)| report.reason = SealReason::Membership);
    });
    assert!(matches!(reason, CertificateError::Key(_)));
}

#[test]
fn epochs_follow_each_other_and_hosts_take_turns() {
    let zero = genesis(4);
    let base = qc(&zero, head(5));
    let one = start(&zero, Some(&base), PublicKey::new([11; 32]));
    assert_eq!(one.epoch().base(), Some(base.certified()));
    assert_eq!(one.epoch().host_key(), Some(&host(0).public()));
    let bytes = one.start().encode();
    assert_eq!(Start::decode(bytes).unwrap().verify(&zero), Ok(one.clone()));
    let feed = PublicKey::new([11; 32]);
    assert!(one.may_stand(&feed, None));
    assert!(!one.may_stand(&feed, Some(&head(5))) && !one.may_stand(&FEED, None));
    // An epoch without a QC is left from where it began.
    let two = start(one.epoch(), Some(&base), PublicKey::new([12; 32]));
    assert_eq!((two.epoch().number(), two.epoch().base()), (2, Some(base.certified())));
    assert_eq!(two.epoch().host_key(), Some(&host(1).public()));
    let three = start(two.epoch(), None, PublicKey::new([13; 32]));
    assert_eq!((three.epoch().host_key(), three.epoch().base()), (Some(&host(0).public()), None));
    // A start does not fit another epoch, and a grant no other feed or host.
    let error = one.start().clone().verify(one.epoch()).unwrap_err();
    assert_eq!(error, CertificateError::Epoch { expected: 1, found: 0 });
    let grant = |signer: &Signer, feed| {
        let common = one.epoch().common(host(0).public());
        let signature = *Verified::sign(Grant { common, feed }, signer).signature();
        Start { grant: Some((feed, signature)), ..one.start().clone() }.verify(&zero).map(|_| ())
    };
    let key = host(0).public();
    assert_eq!(grant(&host(0), PublicKey::new([14; 32])), Ok(()));
    assert_eq!(grant(&host(1), PublicKey::new([14; 32])), Err(KeyError::Signature { key }.into()));
    assert_eq!(grant(&host(0), FEED), Err(CertificateError::UsedFeed { found: FEED }));
    let vote_key = signer(1).public();
    assert_eq!(grant(&host(0), vote_key), Err(CertificateError::UsedFeed { found: vote_key }));
    let alone = Epoch::genesis(ROOM, FEED, validators(4), []);
    assert_eq!(one.start().clone().verify(&alone), Err(CertificateError::NoHost));
}

/// A room of real blocks whose last one changes the validators.
pub(crate) struct Closing {
    pub(crate) tree: MemoryTree,
    pub(crate) block: Bytes,
    pub(crate) next: ValidatorSet,
}

pub(crate) fn closing(next: ValidatorSet, proof: Option<quorate_types::Signature>, blocks: u64) -> Closing {
    let body = encode_change(&next, proof);
    let block = Entry::Proof(Proof { kind: ProofKind::ValidatorChange, body }).encode();
    let mut tree = MemoryTree::new(Flavour::Dat);
    (1..blocks).for_each(|i| tree.push(format!("block {i}").as_bytes()).unwrap());
    tree.push(&block).unwrap();
    Closing { tree, block, next }
}

impl Closing {
    pub(crate) fn head(&self) -> Head {
        Head::new(self.tree.roots().length(), self.tree.roots().tree_hash(Flavour::Dat)).unwrap()
    }

    pub(crate) fn change(
        &self,
        epoch: &Epoch,
        base: &Certified,
        accepting: impl Iterator<Item = u8>,
    ) -> Change {
        let length = base.head().length();
        let accept = |i: u8| {
            let statement =
                super::handover::accept(epoch, signer(i).public(), *self.next.hash(), *base.head());
            let place = self.next.position(&signer(i).public()).unwrap() as u32;
            (place, *Verified::sign(statement, &signer(i)).signature())
        };
        Change {
            block: self.block.clone(),
            nodes: Inclusion::nodes(length - 1, length, |node| self.tree.node(node)).unwrap(),
            accepts: accepting.map(accept).collect(),
        }
    }
}

#[test]
fn a_change_of_validators_goes_on_with_the_same_host() {
    let epoch = genesis(4);
    let closing = closing(validators(5), Some(signer(4).prove_possession()), 7);
    let base = qc(&epoch, closing.head());
    let seals =
        |reason| -> Vec<_> { (0..4).map(|i| seal(&epoch, i, Some(base.reference()), reason)).collect() };
    let make = |reason, accepting| {
        let change = |certified: &Certified| Some(closing.change(&epoch, certified, 0..accepting));
        VerifiedHandover::of_seals(&epoch, &seals(reason), |_| Some(base.clone()), change)
    };
    assert_eq!(make(SealReason::Membership, 3), Err(CertificateError::TooFew { expected: 4, found: 3 }));
    let made = make(SealReason::Membership, 5).unwrap();
    assert_eq!(*made.next(), validators(5));
    let begins = Start { handover: made.handover().clone(), grant: None };
    let verified = Start::decode(begins.encode()).unwrap().verify(&epoch).unwrap();
    assert_eq!(verified.epoch().feed(), Some(&FEED));
    assert!(verified.may_stand(&FEED, Some(&closing.head())));
    assert!(!verified.may_stand(&FEED, None) && !verified.may_stand(&FEED, Some(&head(7))));
    assert_eq!((verified.epoch().host(), verified.epoch().validators().n()), (HostSlot(0), 5));
    let stray = Start {
        grant: Some((PublicKey::new([9; 32]), *seals(SealReason::Stalled)[0].signature())),
        ..begins
    };
    assert_eq!(stray.verify(&epoch), Err(CertificateError::StrayGrant));
    // With a host that stalled the set changes all the same, and the host too.
    let stalled = make(SealReason::Stalled, 5).unwrap();
    let stalled = Start { handover: stalled.handover().clone(), grant: None }.verify(&epoch).unwrap();
    assert_eq!((stalled.epoch().feed(), stalled.epoch().host()), (None, HostSlot(1)));
    assert_eq!(stalled.epoch().validators().n(), 5);
    // Nobody can put another set in: the block is in the base.
    let mut forged = made.handover().clone();
    let other = self::closing(validators(3), None, 7);
    forged.change.as_mut().unwrap().block = other.block;
    assert!(matches!(
        forged.verify(&epoch),
        Err(CertificateError::Inclusion(InclusionError::TreeHash { .. }))
    ));
    let mut without = made.handover().clone();
    without.change = None;
    assert_eq!(without.verify(&epoch), Err(CertificateError::NoChange { epoch: 0 }));
    // The base of an earlier epoch has had its effect.
    let next = verified.epoch();
    let again: Vec<_> = (0..5).map(|i| seal(next, i, Some(base.reference()), SealReason::Stalled)).collect();
    let again = VerifiedHandover::of_seals(next, &again, |_| Some(base.clone()), |_| unreachable!()).unwrap();
    assert_eq!(*again.next(), validators(5));
}

/// Two handovers of one step may disagree on whether the host goes on; who hosts after that does not depend on it.
#[test]
fn two_handovers_of_one_step_agree_on_the_next_host() {
    let zero = genesis(4);
    let closing = closing(validators(5), Some(signer(4).prove_possession()), 7);
    let base = qc(&zero, closing.head());
    let start_by = |reason| {
        let seals: Vec<_> = (0..4).map(|i| seal(&zero, i, Some(base.reference()), reason)).collect();
        let change = |certified: &Certified| Some(closing.change(&zero, certified, 0..5));
        let made = VerifiedHandover::of_seals(&zero, &seals, |_| Some(base.clone()), change).unwrap();
        Start { handover: made.handover().clone(), grant: None }.verify(&zero).unwrap()
    };
    let (stays, goes) = (start_by(SealReason::Membership), start_by(SealReason::Stalled));
    assert_eq!((stays.epoch().host(), goes.epoch().host()), (HostSlot(0), HostSlot(1)));
    let two = start(stays.epoch(), Some(&base), PublicKey::new([12; 32]));
    let other = two.start().clone().verify(goes.epoch()).unwrap();
    assert_eq!((two.epoch().host(), other.epoch().host()), (HostSlot(2), HostSlot(2)));
    assert_eq!(other.epoch().feed(), Some(&PublicKey::new([12; 32])));
    // A feed that goes on needs the start that says whose it is.
    let again = self::closing(validators(4), None, 9);
    let base = qc(stays.epoch(), again.head());
    let membership = |i| seal(stays.epoch(), i, Some(base.reference()), SealReason::Membership);
    let seals: Vec<_> = (0..5).map(membership).collect();
    let change = |certified: &Certified| Some(again.change(stays.epoch(), certified, 0..4));
    let made = VerifiedHandover::of_seals(stays.epoch(), &seals, |_| Some(base.clone()), change).unwrap();
    let goes_on = Start { handover: made.handover().clone(), grant: None };
    assert_eq!(goes_on.clone().verify(stays.epoch()).unwrap().epoch().feed(), Some(&FEED));
    assert_eq!(goes_on.verify(goes.epoch()), Err(CertificateError::UnknownFeed { found: FEED }));
}

#[test]
fn changes_that_may_not_be_made() {
    let current = validators(4);
    let proof = signer(4).prove_possession();
    let read = |next: &ValidatorSet, proof| decode_change(encode_change(next, proof), &current);
    assert_eq!(read(&validators(5), Some(proof)), Ok(validators(5)));
    assert_eq!(read(&validators(3), None), Ok(validators(3)));
    assert_eq!(read(&validators(5), None), Err(ChangeError::Proof));
    assert_eq!(read(&validators(3), Some(proof)), Err(ChangeError::Proof));
    let wrong = signer(3).prove_possession();
    let key = signer(4).public();
    assert_eq!(read(&validators(5), Some(wrong)), Err(KeyError::Signature { key }.into()));
    assert_eq!(read(&validators(6), Some(proof)), Err(ChangeError::Step { added: 2, removed: 0 }));
    assert_eq!(read(&current, None), Err(ChangeError::Step { added: 0, removed: 0 }));
    let mut keys: Vec<_> = validators(3).keys().copied().collect();
    keys.reverse();
    let reversed = quorate_proto::quorum::Validators { keys, quorum: 3, proof: None }.encode();
    assert_eq!(decode_change(reversed, &current), Err(ChangeError::NotCanonical));
    let action = Bytes::from_static(b"\x0a\x00");
    assert!(Change::read(&action, &current).is_err());
}

#[test]
fn a_late_joiner_needs_less_than_2_kib() {
    let zero = genesis(4);
    let base = qc(&zero, head(5));
    let one = start(&zero, Some(&base), PublicKey::new([11; 32]));
    let qc = qc(one.epoch(), head(9));
    let last = last_final(one.epoch(), head(8), head(9));
    let catch_up = CatchUp {
        starts: vec![one.start().clone()],
        qc: Some(qc.qc().clone()),
        last_final: Some(last.last_final().clone()),
    };
    let bytes = catch_up.encode();
    assert!(bytes.len() < 2048, "{} bytes", bytes.len());
    let verified = CatchUp::decode(bytes.clone()).unwrap().verify(&zero).unwrap();
    assert_eq!((&verified.epoch, verified.qc, verified.last_final), (one.epoch(), Some(qc), Some(last)));
    let without = CatchUp { starts: Vec::new(), ..catch_up };
    assert_eq!(without.verify(&zero), Err(CertificateError::UnknownEpoch { found: 1 }));
    println!("catch-up over one handover at n=4: {} bytes", bytes.len());
}

/// The largest certificate fits into a frame.
#[test]
fn as_many_validators_as_may_be_fit() {
    let n = quorate_types::limits::MAX_VALIDATORS as u8;
    let zero = genesis(n);
    let (low, base) = (qc(&zero, head(4)), qc(&zero, head(5)));
    let seals: Vec<_> = (0..n)
        .map(|i| {
            let reported = if i == 0 { &base } else { &low };
            let signer = signer(i);
            let common: Common = zero.common(signer.public());
            let highest_vote = Some(head(u64::from(i) + 6));
            let highest_qc = Some(reported.reference());
            Verified::sign(
                Seal { common, feed: Some(FEED), highest_qc, highest_vote, reason: SealReason::Stalled },
                &signer,
            )
        })
        .collect();
    let find = |named: &QcRef| [&low, &base].into_iter().find(|qc| qc.reference() == *named).cloned();
    let handover = VerifiedHandover::of_seals(&zero, &seals, find, |_| None).unwrap();
    let size = Start { handover: handover.handover().clone(), grant: None }.encode().len();
    assert!(size <= quorate_types::limits::MAX_CERTIFICATE_BYTES, "{size} bytes");
}
