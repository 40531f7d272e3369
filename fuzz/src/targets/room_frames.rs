//! Messages of `quorate/1`, to the host of a room and to somebody else.

use std::time::Instant;

use bytes::Bytes;
use quorate_proto::quorate1::{
    Frame, Frames, Message, Module, Outcome, Receipt, Refused, Status, Submit, WantModule,
};
use quorate_stream::entry::VerifiedEntry;
use quorate_stream::identity::Author;
use quorate_stream::submit::{Answer, Input, Output, Peer, Relay};
use quorate_types::{Hash, ModuleHash, RuleId, Signature};

use super::entries::{ROOM, signed};
use crate::Target;

/// Each message goes to the host and to somebody else.
pub(super) const TARGET: Target = Target { name: "room-frames", run, seeds, cost: 20 };

const PEERS: [Peer; 2] = [Peer(1), Peer(2)];

/// Times that are waited for after a message.
const TIMERS: usize = 12;

fn run(input: &[u8]) {
    let message = Bytes::copy_from_slice(input);
    for frame in Frames::new(message.clone()) {
        if let Ok(Frame::Message(message)) = frame {
            let body = Bytes::from(message.encode_body());
            assert_eq!(Message::decode(message.kind(), body).as_ref(), Ok(&Some(message)));
        }
    }
    let host = Author::from_seed(&[1; 32]);
    let follower = Relay::follower(ROOM, host.public()).expect("the key is good");
    let host = Relay::host(ROOM, host).expect("the key is good");
    for relay in [host, follower] {
        converse(relay, &message);
    }
}

/// Gives the message to a relay, and lets time pass.
fn converse(mut relay: Relay, message: &Bytes) {
    let mut now = Instant::now();
    let own = signed().remove(0);
    PEERS.into_iter().for_each(|peer| relay.handle(now, Input::PeerOpened { peer }));
    let submitted = relay.submit(now, own.clone(), None, None);
    assert_eq!(submitted.as_ref(), Ok(own.digest()));
    let mut gone = Vec::new();
    let mut sent = 0;
    drain(&mut relay, now, &mut gone, &mut sent);
    relay.handle(now, Input::Message { peer: Peer(1), payload: message.clone() });
    drain(&mut relay, now, &mut gone, &mut sent);
    for _ in 0..TIMERS {
        let Some(at) = relay.poll_timeout() else { break };
        now = now.max(at);
        relay.handle(now, Input::Timeout);
        drain(&mut relay, now, &mut gone, &mut sent);
    }
    // Each message in may go out to the other peer; besides there are announcements and what is sent again.
    assert!(sent <= 64 + message.len() / 5, "{sent} messages after one of {} bytes", message.len());
}

fn drain(relay: &mut Relay, now: Instant, gone: &mut Vec<Peer>, sent: &mut usize) {
    while let Some(output) = relay.poll_output() {
        match output {
            Output::Send { peer, payload } => {
                assert!(!gone.contains(&peer), "a peer that is gone is sent nothing");
                assert!(Frames::new(payload).all(|frame| matches!(frame, Ok(Frame::Message(_)))));
                *sent += 1;
            }
            Output::Offer { digest, entry, .. } => {
                assert_eq!(digest, *entry.digest());
                assert!(signed().iter().any(|known| known.encode() == entry.encode()), "nobody signed this");
                let answer = match *entry {
                    VerifiedEntry::Action(_) => Answer::Appended { index: 1 },
                    VerifiedEntry::RuleChange(_) => Answer::NeedsModule,
                };
                relay.handle(now, Input::Answered { digest, answer });
            }
            Output::Heard { entry } => {
                assert!(signed().iter().any(|known| known.encode() == entry.encode()), "nobody signed this");
            }
            Output::Settled { digest } => {
                assert!(signed().iter().any(|known| *known.digest() == digest), "nobody said this");
            }
            Output::Disconnect { peer, .. } => gone.push(peer),
            Output::Submission { .. } | Output::PeerStatus { .. } => {}
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let (room, module) = (ROOM, ModuleHash::of(b"module"));
    let digest = *signed()[0].digest();
    let signature = Signature::new([8; 64]);
    let receipt = |outcome| Message::Receipt(Receipt { room, digest, outcome, signature });
    let rule = Some((RuleId::new([4; 32]), "chess".to_owned()));
    let refused = Refused { code: 3101, rule, rule_code: 7, reason: "it is black's turn".to_owned() };
    let mut messages = vec![
        Message::Status(Status { length: 301, tree_hash: Some(Hash::new([7; 32])), distance: 2 }),
        receipt(Outcome::Appended { index: 3 }),
        receipt(Outcome::Refused(refused)),
        Message::Module(Module { room, module, size: 6, offset: 0, data: Bytes::from_static(b"module") }),
        Message::WantModule(WantModule { room, module, offset: 0 }),
    ];
    let submits = signed().into_iter().map(|entry| Submit { room, entry: entry.encode() });
    messages.extend(submits.map(Message::Submit));
    let mut frames: Vec<Vec<u8>> = messages.iter().map(|message| message.encode().to_vec()).collect();
    frames.push(b"\xc8\x03\0\0\0abc".to_vec());
    frames.push(frames.concat());
    frames
}
