//! What connections cost that do nothing.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Peer, accept, connect, dialling, feed, is_served, listening, pause, run, runtime};
use futures_lite::future;
use quorate_net::dial::Dialer;
use quorate_net::listen::ListenConfig;

/// Resident memory of this process, bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// One test, for nothing else is to allocate meanwhile.
#[test]
fn a_thousand_connections_cost_little() {
    idle_before_a_word();
    idle_when_connected();
}

fn idle_before_a_word() {
    run(async {
        let runtime = runtime();
        let (listening, address) = listening(&runtime, ListenConfig::default()).await;
        let before = resident();
        let mut idle = Vec::new();
        for _ in 0..1000 {
            idle.push(connect(&runtime, address).await);
        }
        while listening.connections() < 1000 {
            pause(Duration::from_millis(5)).await;
        }
        // Both ends are in this process.
        let each = resident().saturating_sub(before) / 1000;
        assert!(each < 16 * 1024, "{each} bytes for both ends of an idle connection");
        is_served(&runtime, &listening).await;
        drop(idle);
        while listening.connections() > 0 {
            pause(Duration::from_millis(5)).await;
        }
    });
}

fn idle_when_connected() {
    run(async {
        let runtime = runtime();
        let (listening, _) = listening(&runtime, ListenConfig::default()).await;
        let dialer = Dialer::new(Arc::clone(&runtime));
        let mut peers = Vec::new();
        let before = resident();
        for _ in 0..500 {
            let accept = accept(&listening, vec![feed(1)]);
            let dial = dialer.dial(listening.local_addr(), dialling);
            let (dialled, (theirs, _)) = future::zip(dial, accept).await;
            let dialled = dialled.unwrap();
            peers.push(Peer::start(dialled.connection, dialled.session, &[]));
            peers.push(theirs);
        }
        let each = resident().saturating_sub(before) / peers.len();
        assert!(each < 32 * 1024, "{each} bytes for one end of a connection");
    });
}
