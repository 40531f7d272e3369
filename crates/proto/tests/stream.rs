//! Blocks of rooms and frames: what decodes encodes to the same, and nothing panics.

use bytes::Bytes;
use proptest::prelude::*;
use quorate_proto::quorate1::{Frame, FrameError, Frames, Message, Status, kind};
use quorate_proto::stream::{Action, Entry, Proof, ProofKind, StreamHeader};
use quorate_proto::{Deviation, ProtoError};
use quorate_types::limits::{MAX_PROOF_BODY_BYTES, MAX_VALIDATORS};
use quorate_types::{Hash, PublicKey, Signature};

fn action() -> Entry {
    Entry::Action(Action {
        author: PublicKey::new([1; 32]),
        sequence: 300,
        anchor_length: 0,
        anchor_hash: Hash::new([0; 32]),
        valid_until: 7,
        payload: Bytes::from_static(b"payload"),
        signature: Signature::new([2; 64]),
    })
}

#[test]
fn an_entry_is_what_the_proto_file_says() {
    let block = action().encode();
    let author = [&[0x0a, 32][..], &[1; 32]].concat();
    let signature = [&[0x3a, 64][..], &[2; 64]].concat();
    let rest = b"\x10\xac\x02\x28\x07\x32\x07payload";
    let body = [&author[..], rest, &signature].concat();
    assert_eq!(block, [&[0x0a, body.len() as u8][..], &body].concat());
    assert_eq!(Entry::decode(block), Ok(action()));
}

#[test]
fn proofs_are_opaque_and_bounded() {
    for kind in
        [ProofKind::ValidatorChange, ProofKind::EpochStart, ProofKind::Certificate, ProofKind::Evidence]
    {
        let proof = |size| Entry::Proof(Proof { kind, body: vec![1; size].into() });
        for size in [0, 1, MAX_PROOF_BODY_BYTES] {
            assert_eq!(Entry::decode(proof(size).encode()), Ok(proof(size)));
        }
        let (limit, found) = (MAX_PROOF_BODY_BYTES, MAX_PROOF_BODY_BYTES + 1);
        let error = ProtoError::TooLong { message: "proof", field: "body", limit, found };
        assert_eq!(Entry::decode(proof(found).encode()), Err(error));
    }
}

#[test]
fn repeated_fields_are_bounded() {
    let key = PublicKey::new([1; 32]);
    let header = |count| StreamHeader { validators: vec![key; count], ..StreamHeader::default() };
    assert_eq!(StreamHeader::decode(header(MAX_VALIDATORS).encode()), Ok(header(MAX_VALIDATORS)));
    let (limit, found) = (MAX_VALIDATORS, MAX_VALIDATORS + 1);
    let error = ProtoError::TooLong { message: "stream header", field: "validators", limit, found };
    assert_eq!(StreamHeader::decode(header(found).encode()), Err(error));
}

#[test]
fn a_position_is_in_the_outermost_message() {
    let block = action().encode();
    let mut payload_twice = block.to_vec();
    let at = block.len() - 66;
    payload_twice.splice(at..at, *b"\x32\x01x");
    payload_twice[1] += 3;
    let error = ProtoError::NotCanonical { message: "action", at, deviation: Deviation::Duplicate };
    assert_eq!(Entry::decode(payload_twice.into()), Err(error));
}

#[test]
fn frames_stand_one_behind_the_other() {
    let status = Message::Status(Status { length: 0, tree_hash: None, distance: 1 });
    let unknown = b"\xc8\x03\0\0\0abc";
    let message = [&status.encode()[..], unknown, &status.encode()[..]].concat();
    let frames: Vec<_> = Frames::new(message.into()).collect::<Result<_, _>>().unwrap();
    let body = Bytes::from_static(b"abc");
    assert_eq!(
        frames,
        [Frame::Message(status.clone()), Frame::Unknown { kind: 200, body }, Frame::Message(status.clone())]
    );
    assert_eq!(status.kind(), kind::STATUS);
    let cut = [&status.encode()[..], b"\x01\xff\xff\xff\xff"].concat();
    let frames: Vec<_> = Frames::new(cut.into()).collect();
    let error = FrameError::Body { kind: 1, expected: 0xffff_ffff, found: 0 };
    assert_eq!(frames, [Ok(Frame::Message(status)), Err(error)]);
}

#[test]
fn a_newer_node_may_say_more() {
    let body = Message::Status(Status { length: 5, tree_hash: Some(Hash::new([1; 32])), distance: 2 });
    let mut longer = body.encode_body();
    longer.extend_from_slice(b"\x20\x07\x7a\x02ab");
    assert_eq!(Message::decode(kind::STATUS, longer.into()), Ok(Some(body)));
    // What is too far away is no way at all.
    assert_eq!(
        Message::decode(kind::STATUS, Bytes::from_static(b"\x18\x63")),
        Ok(Some(Message::Status(Status::default())))
    );
    let hashless = ProtoError::Length { message: "status", field: "tree_hash", expected: 32, found: 0 };
    assert_eq!(Message::decode(kind::STATUS, Bytes::from_static(b"\x08\x63")), Err(hashless));
}

proptest! {
    #[test]
    fn what_decodes_encodes_to_the_same(block in proptest::collection::vec(any::<u8>(), 0..200)) {
        let block = Bytes::from(block);
        if let Ok(entry) = Entry::decode(block.clone()) {
            prop_assert_eq!(entry.encode(), block.clone());
        }
        if let Ok(header) = StreamHeader::decode(block.clone()) {
            prop_assert_eq!(header.encode(), block);
        }
    }

    #[test]
    fn no_body_panics(kind in 0_u8..8, body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Message::decode(kind, body.into());
    }
}
