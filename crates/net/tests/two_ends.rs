//! Dat connections over loopback: both wires, the fallback from one to the other, and ends.

mod common;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use common::{Peer, accept, dialling, feed, listening, run, runtime, session};
use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use quorate_net::Command;
use quorate_net::dial::{DialError, Dialer};
use quorate_net::drive::Ended;
use quorate_net::listen::{ListenConfig, ListenError, Port, listen};
use quorate_net::runtime::{AsyncStd, BoxStream, Runtime};
use quorate_proto::dat::{Data, FeedMessage, Have, Request};
use quorate_types::Wire;
use quorate_types::limits::DEFAULT_PORT;
use quorate_wire::{Event, Role, SessionError};

fn message(event: Event) -> Option<FeedMessage> {
    match event {
        Event::Message { message, .. } => Some(message),
        _ => None,
    }
}

fn data(index: u64, value: Bytes) -> FeedMessage {
    FeedMessage::Data(Data { index, value: Some(value), nodes: Vec::new(), signature: None })
}

/// Opens a feed from both ends, sends `have` one way and a large block, which was asked for, the other.
async fn exchange(ours: &Peer, theirs: &Peer) {
    ours.outbox.try_send(Command::Open(feed(1))).unwrap();
    let (here, there) = future::zip(ours.opened(), theirs.opened()).await;
    let have = FeedMessage::Have(Have { start: 3, length: 1, bitfield: None, ack: false });
    ours.outbox.try_send(Command::Send(vec![(here, have.clone())])).unwrap();
    assert_eq!(theirs.wait(message).await, have);
    let request = FeedMessage::Request(Request { index: 3, ..Request::default() });
    ours.outbox.try_send(Command::Send(vec![(here, request.clone())])).unwrap();
    assert_eq!(theirs.wait(message).await, request);
    let block = data(3, vec![7; 5_000_000].into());
    theirs.outbox.try_send(Command::Send(vec![(there, block.clone())])).unwrap();
    assert_eq!(ours.wait(message).await, block);
}

#[test]
fn both_wires_carry_a_feed_and_end_in_order() {
    for wire in [Wire::B2, Wire::A] {
        run(async {
            let runtime = runtime();
            let (listening, address) = listening(&runtime, ListenConfig::default()).await;
            let dialer = Dialer::new(Arc::clone(&runtime));
            if wire == Wire::A {
                dialer.remember(address, Wire::A);
            }
            let accept = accept(&listening, vec![feed(1)]);
            let (dialled, (theirs, heard)) = future::zip(
                async {
                    let dialled = dialer.dial(address, dialling).await.unwrap();
                    let ours = Peer::start(dialled.connection, dialled.session, &[]);
                    // On wire A the listener learns the wire from the first feed.
                    ours.outbox.try_send(Command::Open(feed(1))).unwrap();
                    ours
                },
                accept,
            )
            .await;
            assert_eq!(heard, wire);
            assert_eq!(dialer.known_wire(address), Some(wire));
            exchange(&dialled, &theirs).await;
            assert_eq!(listening.connections(), 1);
            dialled.outbox.shutdown();
            assert_eq!(theirs.ended().await, Ended::RemoteClosed);
            assert_eq!(dialled.ended().await, Ended::Local);
            assert_eq!(listening.connections(), 0);
        });
    }
}

/// Answers connections as a peer that speaks wire A alone does, one way or another.
async fn only_a<F: Future<Output = ()>>(answer_b2: impl Fn(BoxStream) -> F) -> bool {
    let runtime = runtime();
    let acceptor = runtime.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = acceptor.local_addr().unwrap();
    let dialer = Dialer::new(Arc::clone(&runtime));
    let serve = async {
        let mut first = acceptor.accept().await.unwrap().0;
        let mut byte = [0];
        first.read_exact(&mut byte).await.unwrap();
        assert_eq!(byte, [0x3a]);
        let ((), second) = future::zip(answer_b2(first), acceptor.accept()).await;
        let second = second.unwrap().0;
        let session = session(Role::Responder, Wire::A, Instant::now()).unwrap();
        Peer::start(quorate_net::Connection::new(second), session, &[feed(1)])
    };
    let dial = async {
        let dialled = dialer.dial(address, dialling).await.unwrap();
        assert_eq!(dialled.session.wire(), Wire::A);
        Peer::start(dialled.connection, dialled.session, &[])
    };
    let (theirs, ours) = future::zip(serve, dial).await;
    exchange(&ours, &theirs).await;
    dialer.known_wire(address) == Some(Wire::A)
}

#[test]
fn a_peer_that_closes_on_wire_b2_is_asked_in_wire_a() {
    let certain = run(only_a(|stream| async { drop(stream) }));
    assert!(!certain, "a closed connection alone does not prove wire A");
}

#[test]
fn a_peer_that_answers_in_wire_a_is_remembered_for_it() {
    let certain = run(only_a(|mut stream| async move {
        let mut first = session(Role::Initiator, Wire::A, Instant::now()).unwrap();
        first.open(&feed(1)).unwrap();
        stream.write_all(&first.take_transmit().unwrap()).await.unwrap();
        // It waits for more, as if a frame had begun.
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.ok();
    }));
    assert!(certain);
}

#[test]
fn a_peer_that_says_nothing_on_wire_b2_is_asked_in_wire_a() {
    let started = Instant::now();
    run(only_a(|mut stream| async move {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.ok();
    }));
    assert!(started.elapsed() >= quorate_net::dial::B2_ANSWER_TIMEOUT);
}

#[test]
fn another_wire_and_nobody_are_told_apart() {
    run(async {
        let runtime = runtime();
        let acceptor = runtime.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = acceptor.local_addr().unwrap();
        let dialer = Dialer::new(Arc::clone(&runtime));
        let serve = async {
            let mut stream = acceptor.accept().await.unwrap().0;
            // As hypercore-protocol 7: the right length, another Diffie-Hellman.
            let mut answer = vec![9; 123];
            answer[0] = 122;
            stream.write_all(&answer).await.unwrap();
            stream
        };
        let (stream, result) = future::zip(serve, dialer.dial(address, dialling)).await;
        let error = result.unwrap_err();
        assert!(
            matches!(error, DialError::OtherWire { error: SessionError::Handshake { message: 2, .. }, .. }),
            "{error}"
        );
        drop((stream, acceptor));
        assert_eq!(dialer.dial(address, dialling).await.unwrap_err(), DialError::Refused { address });
    });
}

#[test]
fn a_peer_that_spoke_b2_is_not_asked_in_wire_a() {
    run(async {
        let runtime = runtime();
        let acceptor = runtime.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = acceptor.local_addr().unwrap();
        let dialer = Dialer::new(Arc::clone(&runtime));
        dialer.remember(address, Wire::B2);
        let (_, result) =
            future::zip(async { drop(acceptor.accept().await.unwrap()) }, dialer.dial(address, dialling))
                .await;
        let error = result.unwrap_err();
        assert!(matches!(error, DialError::Network { .. }), "{error}");
        assert_eq!(dialer.known_wire(address), None);
    });
}

#[test]
fn a_busy_port_is_an_error_when_it_was_named_and_else_the_next_one_is_taken() {
    run(async {
        let host = Some([127, 0, 0, 1].into());
        let first = listen(runtime(), ListenConfig { host, ..ListenConfig::default() }).await.unwrap();
        let taken = first.local_addr().port();
        let second = listen(runtime(), ListenConfig { host, ..ListenConfig::default() }).await.unwrap();
        assert!(taken >= DEFAULT_PORT);
        assert_ne!(second.local_addr().port(), taken);
        let config = ListenConfig { host, port: Port::Exactly(taken), ..ListenConfig::default() };
        let error = listen(runtime(), config).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, ListenError::AddressInUse { .. }), "{text}");
        assert!(text.contains(&format!("127.0.0.1:{taken}")), "{text}");
        drop(first);
        // The port is free again once the listener's task is gone.
        while listen(runtime(), config).await.is_err() {
            AsyncStd.sleep_until(Instant::now()).await;
        }
    });
}

#[test]
fn a_peer_that_is_killed_ends_the_connection() {
    run(async {
        let runtime = runtime();
        let (listening, address) = listening(&runtime, ListenConfig::default()).await;
        let dialer = Dialer::new(Arc::clone(&runtime));
        let accept = accept(&listening, vec![feed(1)]);
        let (dialled, (theirs, _)) = future::zip(dialer.dial(address, dialling), accept).await;
        drop(dialled);
        assert_eq!(theirs.ended().await, Ended::RemoteClosed);
    });
}
