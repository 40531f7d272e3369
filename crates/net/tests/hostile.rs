//! Peers that mean no good, or nothing at all.

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Peer, accept, connect, feed, is_served, listening, pause, run, runtime};
use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use quorate_net::drive::Ended;
use quorate_net::listen::ListenConfig;
use quorate_net::runtime::BoxStream;
use quorate_wire::SessionError;

/// Waits until the other side has closed, and says how much it had sent.
async fn closed(mut stream: BoxStream) -> usize {
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await.ok();
    received.len()
}

#[test]
fn more_connections_than_allowed_are_turned_away() {
    run(async {
        let runtime = runtime();
        let mut config = ListenConfig::default();
        config.limits.total = 3;
        let (listening, address) = listening(&runtime, config).await;
        let mut held = Vec::new();
        while listening.connections() < 3 {
            held.push(connect(&runtime, address).await);
            pause(Duration::from_millis(5)).await;
        }
        assert_eq!(closed(connect(&runtime, address).await).await, 0);
        held.pop();
        while listening.connections() > 2 {
            pause(Duration::from_millis(5)).await;
        }
        is_served(&runtime, &listening).await;
    });
}

#[test]
fn a_slow_handshake_is_cut_off_in_time() {
    run(async {
        let runtime = runtime();
        let handshake_timeout = Duration::from_millis(300);
        let config = ListenConfig { handshake_timeout, ..ListenConfig::default() };
        let (listening, address) = listening(&runtime, config).await;
        let started = Instant::now();
        let silent = connect(&runtime, address).await;
        let mut slow = connect(&runtime, address).await;
        slow.write_all(&[0x3a]).await.unwrap();
        assert_eq!(closed(silent).await, 0);
        assert_eq!(closed(slow).await, 0);
        assert!(started.elapsed() >= handshake_timeout);
        // Its place is free soon after the connection is closed.
        while listening.connections() > 0 {
            pause(Duration::from_millis(5)).await;
        }
        // The wire is known, the handshake still slow: its time runs from the connection on.
        let mut slow = connect(&runtime, address).await;
        slow.write_all(&[0x3a, 1, 2, 3, 4]).await.unwrap();
        let mut incoming = listening.next().await;
        incoming.since -= quorate_types::limits::HANDSHAKE_TIMEOUT - handshake_timeout;
        let role = quorate_wire::Role::Responder;
        let session = common::session(role, incoming.wire, incoming.since).unwrap();
        let theirs = Peer::start(incoming.connection, session, &[]);
        let ended = theirs.ended().await;
        assert!(matches!(ended, Ended::Protocol(SessionError::HandshakeTimeout { .. })), "{ended:?}");
        assert_eq!(closed(slow).await, 0);
    });
}

#[test]
fn random_bytes_end_the_connection_and_nothing_else() {
    run(async {
        let runtime = runtime();
        let (listening, address) = listening(&runtime, ListenConfig::default()).await;
        let listening = Arc::new(listening);
        let heard = Arc::clone(&listening);
        let (stop, stopped) = async_channel::bounded::<()>(1);
        let serve = async move {
            let turn = async {
                loop {
                    accept(&heard, vec![feed(1)]).await;
                }
            };
            future::or(turn, async {
                stopped.recv().await.ok();
            })
            .await;
        };
        let attack = async {
            for number in 0..300_usize {
                let mut noise = vec![0; 1 + number * 7];
                getrandom::fill(&mut noise).unwrap();
                // Half of them begin as a wire does.
                let start: &[u8] = match number % 4 {
                    0 => &[0x3a],
                    1 => &[0x3d, 0, 0x0a, 0x20],
                    _ => &[],
                };
                let len = start.len().min(noise.len());
                noise[..len].copy_from_slice(&start[..len]);
                let mut stream = connect(&runtime, address).await;
                stream.write_all(&noise).await.ok();
                stream.close().await.ok();
                closed(stream).await;
            }
            drop(stop);
        };
        future::zip(serve, attack).await;
        is_served(&runtime, &listening).await;
    });
}
