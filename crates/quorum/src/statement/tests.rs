//! Golden bytes, round trips, and what is refused.

use proptest::prelude::*;
use quorate_types::{Hash, QcHash, RulesHash, StateRoot};

use super::*;
use crate::head::Head;

fn signer() -> Signer {
    Signer::from_seed(&[7; 32])
}

fn set() -> ValidatorSet {
    ValidatorSet::new((1..=4).map(|i| Signer::from_seed(&[i; 32]).public()).chain([signer().public()]), 0)
        .unwrap()
}

fn common() -> Common {
    Common { room: RoomId::new([1; 32]), epoch: 2, vset: *set().hash(), signer: signer().public() }
}

fn head(length: u64) -> Head {
    Head::new(length, Hash::new([length as u8; 32])).unwrap()
}

fn target(length: u64) -> Target {
    Target { head: head(length), state_root: StateRoot::new([3; 32]), rules_hash: RulesHash::new([4; 32]) }
}

fn feed() -> PublicKey {
    PublicKey::new([2; 32])
}

fn ack(length: u64) -> Ack {
    Ack { length, qc: QcHash::new([5; 32]) }
}

fn qc(epoch: u64) -> QcRef {
    QcRef { epoch, head: head(6), qc: QcHash::new([6; 32]) }
}

fn vote() -> Vote {
    Vote { common: common(), feed: feed(), target: target(9), ack: Some(ack(5)) }
}

fn seal() -> Seal {
    Seal {
        common: common(),
        feed: Some(feed()),
        highest_qc: Some(qc(1)),
        highest_vote: Some(head(9)),
        reason: SealReason::Stalled,
    }
}

fn have() -> Have {
    Have { common: common(), feed: feed(), head: head(9), sequence: 3, from: 1, to: 9, until_epoch: 4 }
}

/// Calls a macro with a statement of each kind.
macro_rules! for_each_kind {
    ($check:ident) => {
        let (common, feed, head, nonce) = (common(), feed(), head(9), [8; 32]);
        $check(vote());
        $check(Vote { ack: None, ..vote() });
        $check(Reject { common, feed, head, rules_hash: RulesHash::new([4; 32]), rule: 3101, code: 7 });
        $check(seal());
        $check(Seal { feed: None, highest_qc: None, highest_vote: None, ..seal() });
        $check(Grant { common, feed });
        $check(Accept { common, next: VsetHash::new([9; 32]), base: head });
        $check(have());
        $check(Challenge { common, feed, index: 3, nonce });
        $check(Response { common, feed, index: 3, nonce, digest: response_digest(&nonce, b"block") });
    };
}

#[test]
fn golden_bytes() {
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    let vote = Verified::sign(vote(), &signer());
    let fields = [
        "01".to_owned(),
        "01".repeat(32),
        "0200000000000000".to_owned(),
        set().hash().to_string(),
        signer().public().to_string(),
        "02".repeat(32),
        "0900000000000000".to_owned(),
        "09".repeat(32),
        "03".repeat(32),
        "04".repeat(32),
        "0500000000000000".to_owned(),
        "05".repeat(32),
        vote.signature().to_string(),
    ];
    assert_eq!(hex(&vote.encode()), fields.concat());
    assert_eq!(hex(&codec::signed_bytes(vote.deref()))[..22], *"71756f726174652f310001");
    assert_eq!(
        vote.signature().to_string(),
        "b029fc332bc743588ba9a39d3fa7fc6d14ffd19bc8a036419c4d27a529e9f241aa5280e61fe474710066e4e4dd9225ba7962dcfb0f7b5029874472d79883c500"
    );
    let seal = Verified::sign(seal(), &signer());
    let fields = [
        "03".to_owned(),
        "01".repeat(32),
        "0200000000000000".to_owned(),
        set().hash().to_string(),
        signer().public().to_string(),
        "02".repeat(32),
        "0100000000000000".to_owned(),
        "0600000000000000".to_owned(),
        "06".repeat(32),
        "06".repeat(32),
        "0900000000000000".to_owned(),
        "09".repeat(32),
        "01".to_owned(),
        seal.signature().to_string(),
    ];
    assert_eq!(hex(&seal.encode()), fields.concat());
}

#[test]
fn sizes_are_those_of_the_layout() {
    fn check<S: Statement>(statement: S) {
        let bytes = codec::signed_bytes(&statement);
        assert!(bytes.len() <= MAX_SIGNED_BYTES, "{} bytes", bytes.len());
        assert_eq!(Verified::sign(statement, &signer()).encode().len(), 1 + 104 + S::BYTES + 64);
    }
    for_each_kind!(check);
}

#[test]
fn what_is_signed_comes_back_and_verifies() {
    fn check<S: Statement>(statement: S) {
        let verified = Verified::sign(statement, &signer());
        let signed = Signed::<S>::decode(&verified.encode()).unwrap();
        assert_eq!(signed, *verified.signed());
        assert_eq!(signed.verify(), Ok(verified));
        assert_eq!(signed.verify_in(&common().room, 2, &set()), Ok(verified));
    }
    for_each_kind!(check);
}

#[test]
fn every_bit_counts() {
    fn check<S: Statement>(statement: S) {
        let bytes = Verified::sign(statement, &signer()).encode();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let outcome = Signed::<S>::decode(&changed).map(Signed::verify);
            assert!(!matches!(outcome, Ok(Ok(_))), "bit {bit}");
        }
        for cut in 0..bytes.len() {
            assert!(Signed::<S>::decode(&bytes[..cut]).is_err());
        }
        let longer = [&bytes[..], &[0]].concat();
        let (expected, found) = (bytes.len(), longer.len());
        let error = StatementError::Size { kind: S::KIND, expected, found };
        assert_eq!(Signed::<S>::decode(&longer), Err(error));
    }
    for_each_kind!(check);
}

#[test]
fn other_rooms_epochs_sets_and_signers_are_refused() {
    fn check<S: Statement>(statement: S) {
        let signed = *Verified::sign(statement, &signer()).signed();
        let room = RoomId::new([9; 32]);
        let error = StatementError::Room { expected: room, found: common().room };
        assert_eq!(signed.verify_in(&room, 2, &set()), Err(error));
        let error = StatementError::Epoch { expected: 3, found: 2 };
        assert_eq!(signed.verify_in(&common().room, 3, &set()), Err(error));
        let other = ValidatorSet::new([signer().public()], 0).unwrap();
        let error = StatementError::Vset { expected: *other.hash(), found: *set().hash() };
        assert_eq!(signed.verify_in(&common().room, 2, &other), Err(error));
        let stranger = Signer::from_seed(&[99; 32]);
        let signed = *Verified::sign(statement, &stranger).signed();
        let error = StatementError::NoValidator { found: stranger.public() };
        assert_eq!(signed.verify_in(&common().room, 2, &set()), Err(error));
    }
    for_each_kind!(check);
}

/// No kind passes for another, even with the same bytes behind it.
#[test]
fn a_kind_is_part_of_what_is_signed() {
    let nonce = [8; 32];
    let (common, feed) = (common(), feed());
    let mut bytes = Verified::sign(Challenge { common, feed, index: 3, nonce }, &signer()).encode();
    let error = StatementError::Kind { expected: kind::GRANT, found: Some(kind::CHALLENGE) };
    assert_eq!(Signed::<Grant>::decode(&bytes), Err(error));
    bytes[0] = kind::ACCEPT;
    let accept = Signed::<Accept>::decode(&bytes).unwrap();
    assert_eq!(accept.verify(), Err(KeyError::Signature { key: signer().public() }));
    let error = StatementError::Kind { expected: kind::GRANT, found: None };
    assert_eq!(Signed::<Grant>::decode(&[]), Err(error));
}

#[test]
fn what_means_nothing_has_no_bytes() {
    let refused = |bytes: Vec<u8>, expected| {
        let error = StatementError::Field { kind: bytes[0], expected };
        match bytes[0] {
            kind::VOTE => assert_eq!(Signed::<Vote>::decode(&bytes), Err(error)),
            kind::SEAL => assert_eq!(Signed::<Seal>::decode(&bytes), Err(error)),
            _ => assert_eq!(Signed::<Have>::decode(&bytes), Err(error)),
        }
    };
    let vote = |vote: Vote| Verified::sign(vote, &signer()).encode();
    refused(
        vote(Vote { ack: Some(ack(10)), ..self::vote() }),
        "an acknowledgement that is not above the vote",
    );
    let mut bytes = vote(self::vote());
    bytes[137..145].fill(0);
    refused(bytes, "a length of 1 to 2^52");
    let mut bytes = vote(self::vote());
    bytes[241..249].fill(0);
    refused(bytes, "an acknowledged length of 1 to 2^52");
    let seal = |seal: Seal| Verified::sign(seal, &signer()).encode();
    refused(
        seal(Seal { highest_qc: Some(qc(3)), ..self::seal() }),
        "a QC of the sealed epoch or of one before it",
    );
    refused(seal(Seal { feed: None, ..self::seal() }), "the feed that was voted for");
    let mut bytes = seal(self::seal());
    let reason = bytes.len() - 65;
    bytes[reason] = 9;
    refused(bytes, "a known reason for a seal");
    for have in [Have { from: 9, ..have() }, Have { to: 10, ..have() }] {
        refused(Verified::sign(have, &signer()).encode(), "blocks below the length, at least one");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400), kind in 0_u8..10) {
        if let Some(first) = bytes.first_mut() {
            *first = kind;
        }
        let verifies = [
            Signed::<Vote>::decode(&bytes).is_ok_and(|signed| signed.verify().is_ok()),
            Signed::<Reject>::decode(&bytes).is_ok_and(|signed| signed.verify().is_ok()),
            Signed::<Seal>::decode(&bytes).is_ok_and(|signed| signed.verify().is_ok()),
            Signed::<Have>::decode(&bytes).is_ok_and(|signed| signed.verify().is_ok()),
        ];
        prop_assert_eq!(verifies, [false; 4]);
    }

    #[test]
    fn votes_round_trip(
        length in 1_u64..1 << 52,
        acked in prop::option::of(any::<prop::sample::Index>()),
        bytes in any::<[u8; 32]>(),
        epoch in 0_u64..1 << 52,
    ) {
        let acked = acked.map(|index| Ack { length: index.index(length as usize) as u64 + 1, qc: QcHash::new(bytes) });
        let head = Head::new(length, Hash::new(bytes)).unwrap();
        let target = Target { head, ..target(1) };
        let vote = Vote { common: Common { epoch, ..common() }, feed: PublicKey::new(bytes), target, ack: acked };
        let verified = Verified::sign(vote, &signer());
        let signed = Signed::<Vote>::decode(&verified.encode()).unwrap();
        prop_assert_eq!(signed.statement, vote);
        prop_assert!(signed.verify().is_ok());
    }
}
