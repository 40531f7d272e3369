//! Certificates, evidence and the frames that carry them: what decodes encodes to the same, and nothing panics.

use bytes::Bytes;
use proptest::prelude::*;
use quorate_proto::ProtoError;
use quorate_proto::quorate1::{Frame, Frames, MAX_PROPOSALS, Message, QuorumMessage, QuorumStatus, kind};
use quorate_proto::quorum::{
    Ack, CatchUp, Certified, Change, Evidence, EvidenceKind, Final, Handover, Qc, QcVote, Report, Sealed,
    Start, Target, Validators, place,
};
use quorate_types::limits::{MAX_CERTIFICATE_BYTES, MAX_EVIDENCE, MAX_VALIDATORS};
use quorate_types::{Hash, PublicKey, QcHash, RoomId, RulesHash, Signature, StateRoot, VsetHash};

fn target(length: u64) -> Target {
    Target {
        length,
        tree_hash: Hash::new([1; 32]),
        state_root: StateRoot::new([2; 32]),
        rules_hash: RulesHash::new([3; 32]),
    }
}

fn qc(votes: u32) -> Qc {
    Qc {
        certified: Certified {
            epoch: 1,
            vset: VsetHash::new([4; 32]),
            feed: PublicKey::new([5; 32]),
            target: target(9),
        },
        acks: vec![Ack { length: 3, qc: QcHash::new([6; 32]) }],
        votes: (0..votes)
            .map(|signer| QcVote { signer, ack: 1, signature: Signature::new([7; 64]) })
            .collect(),
    }
}

fn start() -> Start {
    let report = Report {
        feed: Some(PublicKey::new([5; 32])),
        base: true,
        qc: None,
        vote_length: 9,
        vote_tree_hash: Some(Hash::new([1; 32])),
        reason: 1,
    };
    let seal = Sealed { signer: 2, report: 0, signature: Signature::new([7; 64]) };
    let change = Change {
        block: Bytes::from_static(b"block"),
        nodes: vec![(Hash::new([8; 32]), 7)],
        accepts: Vec::new(),
    };
    Start {
        handover: Handover {
            epoch: 1,
            vset: VsetHash::new([4; 32]),
            base: Some(qc(3)),
            reports: vec![report],
            seals: vec![seal],
            change: Some(change),
        },
        grant: Some((PublicKey::new([9; 32]), Signature::new([7; 64]))),
    }
}

#[test]
fn certificates_come_back() {
    assert_eq!(Qc::decode(qc(3).encode()), Ok(qc(3)));
    assert_eq!(Start::decode(start().encode()), Ok(start()));
    let last_final = Final { certified: qc(1).certified, targets: vec![target(10)], votes: Vec::new() };
    assert_eq!(Final::decode(last_final.encode()), Ok(last_final.clone()));
    let catch_up = CatchUp { starts: vec![start(); 2], qc: Some(qc(3)), last_final: Some(last_final) };
    assert_eq!(CatchUp::decode(catch_up.encode()), Ok(catch_up));
    let validators = Validators { keys: vec![PublicKey::new([5; 32])], quorum: 1, proof: None };
    assert_eq!(Validators::decode(validators.encode()), Ok(validators));
}

#[test]
fn certificates_are_bounded() {
    let (limit, found) = (MAX_VALIDATORS, MAX_VALIDATORS + 1);
    let error = ProtoError::TooLong { message: "QC", field: "votes", limit, found };
    assert_eq!(Qc::decode(qc(found as u32).encode()), Err(error));
    let (limit, found) = (MAX_CERTIFICATE_BYTES, MAX_CERTIFICATE_BYTES + 1);
    let error = ProtoError::TooLong { message: "QC", field: "body", limit, found };
    assert_eq!(Qc::decode(vec![0; found].into()), Err(error));
    let mut grant = start();
    grant.grant = None;
    assert_eq!(Start::decode(grant.encode()), Ok(grant));
    let mut bytes = start().encode().to_vec();
    // The grant's signature is the last field: 2 bytes of key, 64 of signature.
    bytes.truncate(bytes.len() - 66);
    let error = ProtoError::Missing { message: "start", field: "grant" };
    assert_eq!(Start::decode(bytes.into()), Err(error));
}

#[test]
fn nodes_stand_where_they_belong() {
    let nodes = [(Hash::new([1; 32]), 5), (Hash::new([2; 32]), 6)];
    let placed = place(&nodes, [3, 8]).unwrap();
    assert_eq!((placed[1].index.get(), placed[1].size), (8, 6));
    assert_eq!(place(&nodes, [3]), None);
    assert_eq!(place(&nodes, [3, 8, 9]), None);
}

fn messages() -> Vec<QuorumMessage> {
    let bytes = Bytes::from_static(b"bytes");
    let status = QuorumStatus {
        epoch: 1,
        last_final: 2,
        qc: 3,
        tip: 4,
        proposals: vec![4, 5],
        evidence: Some(Hash::new([1; 32])),
        start: Some(Hash::new([2; 32])),
    };
    vec![
        QuorumMessage::Status(QuorumStatus::default()),
        QuorumMessage::Status(status),
        QuorumMessage::Vote(bytes.clone()),
        QuorumMessage::GetQc(None),
        QuorumMessage::GetQc(Some(QcHash::new([3; 32]))),
        QuorumMessage::Qc { qc: Some(bytes.clone()), last_final: None },
        QuorumMessage::Qc { qc: None, last_final: Some(bytes.clone()) },
        QuorumMessage::GetHandover(1),
        QuorumMessage::Handover(vec![bytes.clone(), bytes.clone()]),
        QuorumMessage::Seal(bytes.clone()),
        QuorumMessage::Evidence(bytes.clone()),
        QuorumMessage::WantEvidence(vec![Hash::new([4; 32])]),
        QuorumMessage::Have(bytes.clone()),
        QuorumMessage::Challenge(bytes.clone()),
        QuorumMessage::Response(bytes),
    ]
}

#[test]
fn frames_come_back() {
    for message in messages() {
        let message = Message::Quorum(message);
        let frames: Vec<_> = Frames::new(message.encode()).collect();
        assert_eq!(frames, [Ok(Frame::Message(message))]);
    }
}

#[test]
fn frames_are_bounded() {
    let status = QuorumStatus { proposals: vec![1; MAX_PROPOSALS + 1], ..QuorumStatus::default() };
    for message in [
        QuorumMessage::Status(status),
        QuorumMessage::Vote(Bytes::new()),
        QuorumMessage::Vote(vec![0; 513].into()),
        QuorumMessage::Qc { qc: None, last_final: None },
        QuorumMessage::WantEvidence(vec![Hash::new([4; 32]); MAX_EVIDENCE + 1]),
        QuorumMessage::Evidence(vec![0; MAX_CERTIFICATE_BYTES + 1].into()),
        QuorumMessage::Handover(vec![Bytes::new()]),
    ] {
        let frame = Frames::new(Message::Quorum(message.clone()).encode()).next();
        assert!(matches!(frame, Some(Err(_))), "{message:?}");
    }
}

#[test]
fn evidence_of_the_wrong_shape_is_refused() {
    let kind = EvidenceKind::BadVerdict(Bytes::from_static(b"statement"));
    let evidence = Evidence { room: RoomId::new([1; 32]), kind };
    let bytes = evidence.encode();
    assert_eq!(Evidence::decode(bytes.clone()), Ok(evidence));
    let none = bytes.slice(..34);
    let missing = ProtoError::Missing { message: "evidence", field: "kind" };
    assert_eq!(Evidence::decode(none), Err(missing));
    let two = [&bytes[..], &[0x4a, 0]].concat();
    assert!(Evidence::decode(two.into()).is_err());
}

proptest! {
    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..200), kind in kind::QUORUM_STATUS..=kind::RESPONSE) {
        let body = Bytes::from(body);
        if let Ok(Some(message)) = Message::decode(kind, body.clone()) {
            let again = Message::decode(kind, message.encode_body().into());
            prop_assert_eq!(again, Ok(Some(message)));
        }
        if let Ok(qc) = Qc::decode(body.clone()) {
            prop_assert_eq!(qc.encode(), body.clone());
        }
        if let Ok(start) = Start::decode(body.clone()) {
            prop_assert_eq!(start.encode(), body.clone());
        }
        if let Ok(evidence) = Evidence::decode(body.clone()) {
            prop_assert_eq!(evidence.encode(), body);
        }
    }
}
