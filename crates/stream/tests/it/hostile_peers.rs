//! Peers that do what none should: they are disconnected or have no effect, and memory stays bounded.

use std::time::Duration;

use bytes::Bytes;
use quorate_proto::quorate1::{
    Frame, FrameError, Frames, Message, Module, Outcome, Receipt, Status, Submit, WantModule,
};
use quorate_stream::action::Action;
use quorate_stream::entry::{Entry, EntryError, VerifiedEntry};
use quorate_stream::identity::Anchor;
use quorate_stream::submit::limits::{BAD_SUBMISSION_PERIOD, MAX_BAD_SUBMISSIONS};
use quorate_stream::submit::{
    Answer, Fault, Input, Output, Peer, Relay, SubmissionState, receipt_bytes, submission_digest,
};
use quorate_types::{ModuleHash, RoomId, Signature};

use super::world::{ROOM, World, action, author, host_key};

fn submit(entry: &VerifiedEntry) -> Bytes {
    Message::Submit(Submit { room: ROOM, entry: entry.encode() }).encode()
}

/// A relay, and the fault for which it lets a peer go that sends a message.
fn fault(relay: &mut Relay, world: &World, payload: Bytes) -> Option<Fault> {
    let peer = Peer(1 << 50);
    relay.handle(world.now, Input::PeerOpened { peer });
    while relay.poll_output().is_some() {}
    relay.handle(world.now, Input::Message { peer, payload });
    let mut fault = None;
    while let Some(output) = relay.poll_output() {
        if let Output::Disconnect { peer: gone, fault: why } = output {
            assert_eq!((gone, fault.replace(why)), (peer, None));
        }
    }
    relay.handle(world.now, Input::PeerClosed { peer });
    fault
}

fn follower() -> (Relay, World) {
    (Relay::follower(ROOM, host_key().public()).unwrap(), World::new(1, 0))
}

#[test]
fn each_misdeed_has_its_fault() {
    let (mut relay, world) = follower();
    let mut of = |payload: Bytes| fault(&mut relay, &world, payload);
    let short = of(Bytes::from_static(b"\x01\x05\0\0\0ab"));
    assert_eq!(short, Some(Fault::Frame(FrameError::Body { kind: 1, expected: 5, found: 2 })));
    assert_eq!(of(Bytes::from_static(b"\x01\x05")), Some(Fault::Frame(FrameError::Header { found: 2 })));
    let (limit, found) = (65_536, 65_537);
    assert_eq!(of(vec![0; found].into()), Some(Fault::Frame(FrameError::TooLong { limit, found })));
    assert!(matches!(of(Bytes::from_static(b"\x02\0\0\0\0")), Some(Fault::Frame(FrameError::Message(_)))));
    let entry = action(&author(1), 0, "a");
    let other = RoomId::new([6; 32]);
    let elsewhere = Message::Submit(Submit { room: other, entry: entry.encode() }).encode();
    assert_eq!(of(elsewhere), Some(Fault::Room { expected: ROOM, found: other }));
    let garbage = Message::Submit(Submit { room: ROOM, entry: Bytes::from_static(b"hello") }).encode();
    assert!(matches!(of(garbage), Some(Fault::Entry(EntryError::Encoding(_)))));
    let mut forged = entry.encode().to_vec();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let forged = Message::Submit(Submit { room: ROOM, entry: forged.into() }).encode();
    assert!(matches!(of(forged), Some(Fault::Entry(EntryError::Forged { .. }))));
    let chunk = quorate_stream::chunk::split(&Bytes::from_static(b"module")).unwrap().remove(0);
    let chunk = quorate_stream::entry::Entry::Chunk(chunk).encode();
    let chunk = Message::Submit(Submit { room: ROOM, entry: chunk }).encode();
    assert_eq!(of(chunk), Some(Fault::Entry(EntryError::NotSigned)));
}

/// What is no entry of the room, each with the code that its submitter is to hear.
fn bad_submissions() -> Vec<(Submit, u16)> {
    let entry = action(&author(1), 0, "a").encode();
    let here = |entry: Bytes| Submit { room: ROOM, entry };
    let mut forged = entry.to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let unknown_field = [&entry[..], &[0x78, 1]].concat();
    let large = Action {
        author: author(1).public(),
        sequence: 0,
        anchor: Anchor::NONE,
        valid_until: 0,
        payload: vec![b'a'; 64_513].into(),
        signature: Signature::new([0; 64]),
    };
    let chunk = quorate_stream::chunk::split(&Bytes::from_static(b"module")).unwrap().remove(0);
    vec![
        (here(Bytes::from_static(b"hello")), 3001),
        (here(unknown_field.into()), 3001),
        (here(forged.into()), 3002),
        (here(large.encode()), 3007),
        (here(Entry::Chunk(chunk).encode()), 3008),
        (Submit { room: RoomId::new([6; 32]), entry }, 3008),
    ]
}

/// Receipts among what a relay sends, and the faults for which it lets peers go.
fn answers(relay: &mut Relay) -> (Vec<Receipt>, Vec<Fault>) {
    let (mut receipts, mut faults) = (Vec::new(), Vec::new());
    while let Some(output) = relay.poll_output() {
        match output {
            Output::Send { payload, .. } => {
                receipts.extend(Frames::new(payload).filter_map(|frame| match frame {
                    Ok(Frame::Message(Message::Receipt(receipt))) => Some(receipt),
                    _ => None,
                }));
            }
            Output::Disconnect { fault, .. } => faults.push(fault),
            _ => {}
        }
    }
    (receipts, faults)
}

#[test]
fn the_host_refuses_what_is_no_entry_by_its_bytes_and_with_its_code() {
    let key = ed25519_dalek::VerifyingKey::from_bytes(host_key().public().as_bytes()).unwrap();
    let mut host = Relay::host(ROOM, host_key()).unwrap();
    let world = World::new(1, 0);
    let peer = Peer(1);
    host.handle(world.now, Input::PeerOpened { peer });
    let genuine = action(&author(1), 0, "a");
    for (submit, expected) in bad_submissions() {
        let payload = Message::Submit(submit.clone()).encode();
        host.handle(world.now, Input::Message { peer, payload });
        let (receipts, faults) = answers(&mut host);
        assert_eq!(faults, [], "E{expected}");
        let [receipt] = &receipts[..] else { panic!("E{expected}: {receipts:?}") };
        let Outcome::Refused(refused) = &receipt.outcome else { panic!("{receipt:?}") };
        assert_eq!((refused.code, receipt.room), (expected, ROOM), "{}", refused.reason);
        assert_eq!(receipt.digest, submission_digest(&submit.room, &submit.entry));
        assert_ne!(receipt.digest, *genuine.digest(), "the author's own entry is not refused");
        let bytes = receipt_bytes(&receipt.room, &receipt.digest, &receipt.outcome);
        let signature = ed25519_dalek::Signature::from_bytes(receipt.signature.as_bytes());
        key.verify_strict(&bytes, &signature).unwrap();
    }
    // What was altered on its way is still taken as its author made it.
    host.handle(world.now, Input::Message { peer, payload: submit(&genuine) });
    host.handle(
        world.now,
        Input::Answered { digest: *genuine.digest(), answer: Answer::Appended { index: 1 } },
    );
    let (receipts, faults) = answers(&mut host);
    assert_eq!(faults, []);
    assert_eq!(receipts.len(), 1);
    assert_eq!(
        (receipts[0].digest, &receipts[0].outcome),
        (*genuine.digest(), &Outcome::Appended { index: 1 })
    );
}

#[test]
fn a_peer_that_submits_too_much_that_is_no_entry_is_let_go() {
    let mut host = Relay::host(ROOM, host_key()).unwrap();
    let world = World::new(1, 0);
    let (peer, other) = (Peer(1), Peer(2));
    for peer in [peer, other] {
        host.handle(world.now, Input::PeerOpened { peer });
    }
    let (submit, _) = bad_submissions().remove(2);
    let payload = Message::Submit(submit).encode();
    for _ in 0..MAX_BAD_SUBMISSIONS {
        host.handle(world.now, Input::Message { peer, payload: payload.clone() });
    }
    let (receipts, faults) = answers(&mut host);
    assert_eq!((receipts.len(), faults.len()), (MAX_BAD_SUBMISSIONS as usize, 0));
    // Time makes up for one.
    let later = world.now + BAD_SUBMISSION_PERIOD;
    host.handle(later, Input::Message { peer, payload: payload.clone() });
    let (receipts, faults) = answers(&mut host);
    assert_eq!((receipts.len(), faults.len()), (1, 0));
    host.handle(later, Input::Message { peer, payload: payload.clone() });
    host.handle(later, Input::Message { peer: other, payload });
    let (receipts, faults) = answers(&mut host);
    assert!(matches!(faults[..], [Fault::Entry(EntryError::Forged { .. })]), "{faults:?}");
    assert_eq!(receipts.len(), 1, "others are answered");
}

#[test]
fn a_relay_passes_nothing_on_that_is_no_entry() {
    for (submit, code) in bad_submissions() {
        let mut world = World::new(1, 2);
        world.link(0, 1);
        world.run(Duration::from_secs(2));
        let (peer, sent) = (world.stranger(1), world.nodes[1].sent);
        world.input(1, Input::Message { peer, payload: Message::Submit(submit).encode() });
        assert_eq!(world.nodes[1].faults.len(), 1, "E{code}");
        assert_eq!(world.nodes[1].sent, sent, "E{code}");
    }
}

#[test]
fn an_entry_whose_bytes_the_host_refuses_has_come_to_its_end() {
    // A host of another version, to which this is no entry.
    let (mut relay, world) = follower();
    let entry = action(&author(1), 0, "a");
    relay.submit(world.now, entry.clone(), None, None).unwrap();
    let digest = submission_digest(&ROOM, &entry.encode());
    let refused = quorate_proto::quorate1::Refused {
        code: 3001,
        rule: None,
        rule_code: 0,
        reason: "expected something else".into(),
    };
    let outcome = Outcome::Refused(refused);
    let peer = Peer(1);
    relay.handle(world.now, Input::PeerOpened { peer });
    while relay.poll_output().is_some() {}
    let key = ed25519_dalek::SigningKey::from_bytes(&[100; 32]);
    let signature = ed25519_dalek::Signer::sign(&key, &receipt_bytes(&ROOM, &digest, &outcome));
    let signature = Signature::new(signature.to_bytes());
    let receipt = Receipt { room: ROOM, digest, outcome, signature };
    relay.handle(world.now, Input::Message { peer, payload: Message::Receipt(receipt).encode() });
    let end = std::iter::from_fn(|| relay.poll_output()).find_map(|output| match output {
        Output::Submission { digest, state } => Some((digest, state)),
        _ => None,
    });
    let Some((digest, SubmissionState::Refused(refusal))) = end else { panic!("{end:?}") };
    assert_eq!((digest, refusal.code.number()), (*entry.digest(), 3001));
    assert_eq!(relay.submitted().count(), 0);
}

#[test]
fn what_nobody_asked_for_is_ignored() {
    let (mut relay, world) = follower();
    let module = ModuleHash::of(b"m");
    let data = Bytes::from_static(b"m");
    let signature = Signature::new([1; 64]);
    let digest = *action(&author(1), 0, "a").digest();
    for message in [
        Message::Module(Module { room: ROOM, module, size: 1, offset: 0, data }),
        Message::WantModule(WantModule { room: ROOM, module, offset: 0 }),
        Message::Receipt(Receipt { room: ROOM, digest, outcome: Outcome::Appended { index: 1 }, signature }),
        Message::Status(Status::default()),
    ] {
        assert_eq!(fault(&mut relay, &world, message.encode()), None, "{message:?}");
    }
    assert_eq!(fault(&mut relay, &world, Bytes::from_static(b"\xff\x02\0\0\0ab\xfe\0\0\0\0")), None);
    assert_eq!(fault(&mut relay, &world, Bytes::new()), None);
}

#[test]
fn a_receipt_that_the_host_did_not_sign_changes_nothing() {
    let mut world = World::new(1, 2);
    let entry = action(&author(1), 0, "a");
    world.submit(1, &entry, None);
    let peer = world.stranger(1);
    let outcome = Outcome::Appended { index: 1 };
    let digest = *entry.digest();
    let receipt = Receipt { room: ROOM, digest, outcome, signature: Signature::new([1; 64]) };
    let payload = Message::Receipt(receipt).encode();
    world.input(1, Input::Message { peer, payload });
    assert_eq!(world.nodes[1].faults, [Fault::Receipt { host: host_key().public() }]);
    assert!(world.nodes[1].ends.is_empty());
    world.link(0, 1);
    world.run(Duration::from_secs(1));
    assert_eq!(world.nodes[1].ends.get(entry.digest()), Some(&SubmissionState::Appended { index: 1 }));
}

#[test]
fn a_receipt_of_one_entry_is_none_of_another() {
    // The host's signature over one digest, under another.
    let mut world = World::new(1, 2);
    world.link(0, 1);
    let first = action(&author(1), 0, "a");
    let mut host = Relay::host(ROOM, host_key()).unwrap();
    let peer = Peer(1);
    host.handle(world.now, Input::PeerOpened { peer });
    host.handle(world.now, Input::Message { peer, payload: submit(&first) });
    let answer = quorate_stream::submit::Answer::Appended { index: 7 };
    host.handle(world.now, Input::Answered { digest: *first.digest(), answer });
    let mut receipts = Vec::new();
    while let Some(output) = host.poll_output() {
        if let Output::Send { payload, .. } = output
            && payload[0] == 3
        {
            receipts.push(payload);
        }
    }
    let [receipt] = &receipts[..] else { panic!("one receipt, not {}", receipts.len()) };
    let second = action(&author(2), 0, "b");
    let (mut relay, world) = follower();
    relay.submit(world.now, second.clone(), None, None).unwrap();
    let mut payload = receipt.to_vec();
    let at = payload.windows(32).position(|part| part == first.digest().as_bytes()).unwrap();
    payload[at..at + 32].copy_from_slice(second.digest().as_bytes());
    let why = fault(&mut relay, &world, payload.into());
    assert_eq!(why, Some(Fault::Receipt { host: host_key().public() }));
    assert_eq!(relay.submitted().count(), 1);
}

#[test]
fn a_false_module_costs_its_sender_the_connection() {
    let mut world = World::new(1, 1);
    let peer = world.stranger(0);
    let true_module = Bytes::from_static(b"right");
    let entry = install(&true_module);
    world.input(0, Input::Message { peer, payload: submit(&entry) });
    world.run(Duration::from_secs(1));
    let module = ModuleHash::of(&true_module);
    let part = |data: &'static [u8]| {
        let data = Bytes::from_static(data);
        Message::Module(Module { room: ROOM, module, size: 5, offset: 0, data }).encode()
    };
    world.input(0, Input::Message { peer, payload: part(b"wrong") });
    assert!(matches!(world.nodes[0].faults[..], [Fault::Module(_)]), "{:?}", world.nodes[0].faults);
    world.run(Duration::from_secs(60));
    // Somebody else has it.
    let honest = world.stranger(0);
    world.input(0, Input::Message { peer: honest, payload: submit(&entry) });
    world.run(Duration::from_secs(1));
    world.input(0, Input::Message { peer: honest, payload: part(b"right") });
    world.run(Duration::from_secs(1));
    assert_eq!(world.room.log.len(), 1);
}

fn install(module: &Bytes) -> VerifiedEntry {
    use quorate_stream::rule_change::{Change, UnsignedRuleChange};
    let name = "chess".parse().unwrap();
    let change = Change::Install { name, module: ModuleHash::of(module), meter: 1, params: Bytes::new() };
    let (anchor, valid_until, activation, vectors) = (Anchor::NONE, 0, 10, Vec::new());
    let unsigned = UnsignedRuleChange { sequence: 0, anchor, valid_until, change, activation, vectors };
    unsigned.sign(&ROOM, &author(1)).unwrap().into()
}

#[test]
fn a_flood_is_handled_at_its_rate() {
    let mut world = World::new(1, 1);
    let peer = world.stranger(0);
    let entries: Vec<_> = (0..3000).map(|at| action(&author(1), at, "flood")).collect();
    for entry in &entries {
        world.input(0, Input::Message { peer, payload: submit(entry) });
    }
    // The burst at once, then what waits, and no more than that.
    world.run(Duration::from_millis(10));
    assert!(world.room.log.len() <= 520, "{}", world.room.log.len());
    world.run(Duration::from_secs(10));
    assert!((900..=1100).contains(&world.room.log.len()), "{}", world.room.log.len());
    assert!(world.nodes[0].faults.is_empty());
}

#[test]
fn a_flood_of_one_peer_does_not_starve_another() {
    let mut world = World::new(1, 2);
    world.link(0, 1);
    let flooder = world.stranger(0);
    let mine = action(&author(50), 0, "mine");
    for at in 0..2000 {
        let payload = submit(&action(&author(1), at, "flood"));
        world.input(0, Input::Message { peer: flooder, payload });
    }
    world.submit(1, &mine, None);
    world.run(Duration::from_millis(100));
    assert!(world.nodes[1].ends.contains_key(mine.digest()));
}

#[test]
fn a_module_is_not_sent_again_and_again() {
    let mut world = World::new(1, 2);
    let module: Bytes = vec![3; 500_000].into();
    let entry = install(&module);
    world.submit(1, &entry, Some(module.clone()));
    let peer = world.stranger(1);
    let want = WantModule { room: ROOM, module: ModuleHash::of(&module), offset: 0 };
    for _ in 0..100 {
        let payload = Message::WantModule(want).encode();
        world.input(1, Input::Message { peer, payload });
    }
    let parts = module.len().div_ceil(60 * 1024);
    assert_eq!(world.nodes[1].parts_sent, 2 * parts);
}

#[test]
fn entries_without_predecessors_do_not_pile_up() {
    let mut world = World::new(1, 1);
    let peer = world.stranger(0);
    for at in 0..600 {
        let payload = submit(&action(&author(1), at + 1, "late"));
        world.input(0, Input::Message { peer, payload });
        world.run(Duration::from_millis(2));
    }
    assert!(world.room.log.is_empty());
    let payload = submit(&action(&author(1), 0, "first"));
    world.input(0, Input::Message { peer, payload });
    world.run(Duration::from_secs(1));
    // The first, and as many as waited for it.
    assert_eq!(world.room.log.len(), 1 + 256);
}

#[test]
fn a_liar_about_the_host_only_delays() {
    let mut world = World::new(1, 2);
    world.link(0, 1);
    world.run(Duration::from_secs(2));
    // Three say that they are the host, and swallow what they get.
    for _ in 0..3 {
        let peer = world.stranger(1);
        let payload = Message::Status(Status { length: 0, tree_hash: None, distance: 1 }).encode();
        world.input(1, Input::Message { peer, payload });
    }
    world.cut(0, 1);
    world.run(Duration::from_secs(1));
    world.link(0, 1);
    world.run(Duration::from_secs(2));
    let entry = action(&author(1), 0, "a");
    world.submit(1, &entry, None);
    world.run(Duration::from_secs(16));
    assert!(world.nodes[1].ends.contains_key(entry.digest()));
}
