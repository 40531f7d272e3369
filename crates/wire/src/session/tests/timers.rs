//! Keep-alive, silence, handshakes that take too long.

use quorate_types::limits::{
    HANDSHAKE_TIMEOUT, WIRE_A_KEEP_ALIVE, WIRE_A_TIMEOUT, WIRE_B2_KEEP_ALIVE, WIRE_B2_TIMEOUT,
};

use super::*;

#[test]
fn an_idle_side_pings_and_a_ping_is_no_event() {
    for (wire, keep_alive) in [(Wire::A, WIRE_A_KEEP_ALIVE), (Wire::B2, WIRE_B2_KEEP_ALIVE)] {
        let (mut pair, ..) = Pair::open(wire);
        let start = pair.now;
        events(&mut pair.b);
        for beat in 1..20 {
            pair.now = start + keep_alive * beat;
            assert_eq!(pair.a.poll_timeout(), Some(pair.now));
            pair.a.handle_timeout(pair.now - Duration::from_millis(1)).unwrap();
            assert_eq!(pair.a.queued_bytes(), 0);
            pair.a.handle_timeout(pair.now).unwrap();
            assert_eq!(pair.a.queued_bytes(), 1);
            pair.b.handle_timeout(pair.now).unwrap();
            pair.exchange().unwrap();
        }
        assert_eq!(events(&mut pair.b), []);
    }
}

#[test]
fn bytes_that_wait_already_need_no_ping() {
    let (mut pair, a, _) = Pair::open(Wire::B2);
    pair.a.send(a, &have(1)).unwrap();
    let queued = pair.a.queued_bytes();
    pair.a.handle_timeout(pair.now + WIRE_B2_KEEP_ALIVE).unwrap();
    assert_eq!(pair.a.queued_bytes(), queued);
}

#[test]
fn a_silent_peer_is_given_up() {
    for (wire, limit) in [(Wire::A, WIRE_A_TIMEOUT), (Wire::B2, WIRE_B2_TIMEOUT)] {
        let (mut pair, a, _) = Pair::open(wire);
        let nearly = pair.now + limit - Duration::from_millis(1);
        pair.a.handle_timeout(nearly).unwrap();
        let error = SessionError::Silence { limit };
        assert_eq!(pair.a.handle_timeout(pair.now + limit), Err(error.clone()));
        assert_eq!(pair.a.send(a, &have(1)), Err(error.clone()));
        assert_eq!(pair.a.receive(nearly, &[0][..]), Err(error));
        assert_eq!(pair.a.poll_timeout(), None);
    }
}

#[test]
fn a_handshake_without_end_is_given_up() {
    for wire in WIRES {
        let mut pair = Pair::new(wire);
        pair.a.open(&key(7)).unwrap();
        let bytes = pair.a.take_transmit().unwrap();
        let start = pair.now;
        // One byte now and then keeps the silence from counting, and not the handshake.
        for (at, byte) in bytes.iter().take(20).enumerate() {
            let now = start + Duration::from_millis(400) * at as u32;
            pair.b.receive(now, &[*byte][..]).unwrap();
            pair.b.handle_timeout(now).unwrap();
        }
        assert_eq!(pair.b.poll_timeout(), Some(start + HANDSHAKE_TIMEOUT));
        let error = SessionError::HandshakeTimeout { limit: HANDSHAKE_TIMEOUT };
        assert_eq!(pair.b.handle_timeout(start + HANDSHAKE_TIMEOUT), Err(error));
    }
}

/// A clock that runs backwards makes nothing happen early or twice.
#[test]
fn time_never_runs_backwards() {
    let (mut pair, ..) = Pair::open(Wire::B2);
    let later = pair.now + WIRE_B2_KEEP_ALIVE;
    pair.a.handle_timeout(later).unwrap();
    pair.a.take_transmit();
    pair.a.handle_timeout(pair.now).unwrap();
    assert_eq!(pair.a.queued_bytes(), 0);
    assert_eq!(pair.a.poll_timeout(), Some((later + WIRE_B2_KEEP_ALIVE).min(pair.now + WIRE_B2_TIMEOUT)));
}
