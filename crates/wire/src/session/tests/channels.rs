//! Opening, closing, refusing.

use super::*;

/// Feeds on one connection: many of them, opened by either side.
#[test]
fn several_feeds_share_a_connection() {
    for wire in WIRES {
        let (mut pair, ..) = Pair::open(wire);
        let a: Vec<Channel> = (10..14).map(|byte| pair.a.open(&key(byte)).unwrap()).collect();
        pair.exchange().unwrap();
        // The other side answers in another order, so the numbers of the two sides differ.
        let mut b: Vec<Channel> = (10..14).rev().map(|byte| pair.b.open(&key(byte)).unwrap()).collect();
        b.reverse();
        pair.exchange().unwrap();
        assert_eq!(pair.a.open_channels(), 5);
        events(&mut pair.b);
        for (at, channel) in a.iter().enumerate() {
            pair.a.send(*channel, &have(at as u64)).unwrap();
        }
        pair.exchange().unwrap();
        let expected: Vec<Event> = b
            .iter()
            .enumerate()
            .map(|(at, channel)| Event::Message { channel: *channel, message: have(at as u64) })
            .collect();
        assert_eq!(events(&mut pair.b), expected, "wire {wire}");
    }
}

#[test]
fn a_channel_of_wire_b2_is_closed_and_opened_again() {
    let (mut pair, a, b) = Pair::open(Wire::B2);
    events(&mut pair.a);
    events(&mut pair.b);
    pair.a.close(a);
    // What was under way meets a closed channel, on either side, and goes nowhere.
    pair.b.send(b, &have(1)).unwrap();
    pair.a.send(a, &have(1)).unwrap();
    pair.exchange().unwrap();
    assert_eq!(events(&mut pair.b), [Event::Closed { channel: b }]);
    assert_eq!(events(&mut pair.a), []);
    assert_eq!((pair.a.open_channels(), pair.b.open_channels()), (0, 0));
    let again = pair.a.open(&key(7)).unwrap();
    assert_ne!(again, a, "a channel is never the old one");
    pair.exchange().unwrap();
    assert_eq!(events(&mut pair.b), [Event::RemoteOpen { discovery_key: key(7).discovery_key() }]);
    pair.b.open(&key(7)).unwrap();
    pair.exchange().unwrap();
    assert_eq!((pair.a.open_channels(), pair.b.open_channels()), (1, 1));
}

#[test]
fn both_sides_may_close_at_once_on_wire_b2() {
    let (mut pair, a, b) = Pair::open(Wire::B2);
    events(&mut pair.a);
    events(&mut pair.b);
    pair.a.close(a);
    pair.b.close(b);
    let a = pair.a.open(&key(7)).unwrap();
    pair.exchange().unwrap();
    pair.b.open(&key(7)).unwrap();
    pair.exchange().unwrap();
    assert_eq!(events(&mut pair.a), [Event::Opened { channel: a, key: key(7) }]);
    assert_eq!(pair.b.open_channels(), 1);
}

#[test]
fn a_channel_of_wire_a_is_closed_in_silence_and_opened_under_a_new_number() {
    let (mut pair, a, b) = Pair::open(Wire::A);
    events(&mut pair.a);
    pair.a.close(a);
    assert_eq!(pair.a.queued_bytes(), 0);
    pair.b.send(b, &have(1)).unwrap();
    pair.exchange().unwrap();
    assert_eq!(events(&mut pair.a), []);
    let again = pair.a.open(&key(7)).unwrap();
    assert_eq!(events(&mut pair.a), [Event::Opened { channel: again, key: key(7) }]);
    pair.a.send(again, &have(2)).unwrap();
    pair.b.send(b, &have(3)).unwrap();
    events(&mut pair.b);
    pair.exchange().unwrap();
    assert_eq!(events(&mut pair.b), [Event::Message { channel: b, message: have(2) }]);
    assert_eq!(events(&mut pair.a), [Event::Message { channel: again, message: have(3) }]);
}

/// The reference closes a feed when its number is used for another one.
#[test]
fn a_number_of_wire_a_that_is_used_again_closes_its_feed() {
    let (mut pair, _, b) = Pair::open(Wire::A);
    events(&mut pair.b);
    let discovery_key = key(9).discovery_key();
    let open = quorate_proto::dat::FeedOpen { discovery_key, nonce: None };
    pair.a.push(crate::frame::header(0, 0), open.encoded_len(), |out| open.encode(out));
    pair.exchange().unwrap();
    assert_eq!(events(&mut pair.b), [Event::Closed { channel: b }, Event::RemoteOpen { discovery_key }]);
}

#[test]
fn a_refused_feed_is_closed_on_wire_b2() {
    let mut pair = Pair::new(Wire::B2);
    let a = pair.a.open(&key(7)).unwrap();
    pair.exchange().unwrap();
    pair.b.refuse(&key(7).discovery_key()).unwrap();
    pair.b.refuse(&key(99).discovery_key()).unwrap();
    let queued = pair.b.queued_bytes();
    pair.b.refuse(&key(7).discovery_key()).unwrap();
    assert_eq!(pair.b.queued_bytes(), queued, "once is enough");
    pair.exchange().unwrap();
    events(&mut pair.b);
    assert_eq!(events(&mut pair.a).last(), Some(&Event::Closed { channel: a }));
    // It may be asked for again, and be carried by then.
    pair.a.open(&key(7)).unwrap();
    pair.exchange().unwrap();
    assert_eq!(events(&mut pair.b), [Event::RemoteOpen { discovery_key: key(7).discovery_key() }]);
    pair.b.open(&key(7)).unwrap();
    pair.exchange().unwrap();
    assert_eq!(pair.a.open_channels(), 1);
}

#[test]
fn a_refused_first_feed_ends_wire_a_and_a_later_one_does_not() {
    let discovery_key = key(7).discovery_key();
    let mut pair = Pair::new(Wire::A);
    pair.a.open(&key(7)).unwrap();
    pair.exchange().unwrap();
    let error = SessionError::FirstFeedRefused { discovery_key };
    assert_eq!(pair.b.refuse(&discovery_key), Err(error.clone()));
    assert_eq!(pair.b.open(&key(7)), Err(error), "a fatal error stays");

    let (mut pair, ..) = Pair::open(Wire::A);
    pair.a.open(&key(8)).unwrap();
    pair.exchange().unwrap();
    pair.b.refuse(&key(8).discovery_key()).unwrap();
    events(&mut pair.b);
    pair.a.outbound.push_raw(&[0x03, 0x13, 0x08, 0x05]);
    pair.exchange().unwrap();
    assert_eq!(events(&mut pair.b), []);
}

#[test]
fn the_first_feeds_of_wire_a_are_the_same() {
    let (expected, found) = (key(8).discovery_key(), key(7).discovery_key());
    let error = SessionError::FirstFeed { expected, found };
    let mut pair = Pair::new(Wire::A);
    pair.a.open(&key(7)).unwrap();
    pair.exchange().unwrap();
    assert_eq!(pair.b.open(&key(8)), Err(error.clone()));

    let mut pair = Pair::new(Wire::A);
    pair.a.open(&key(7)).unwrap();
    pair.b.open(&key(8)).unwrap();
    let bytes = pair.a.take_transmit().unwrap();
    assert_eq!(pair.b.receive(pair.now, BytesMut::from(bytes)), Err(error));
}

#[test]
fn nothing_is_sent_before_a_channel_is_open() {
    for wire in WIRES {
        let mut pair = Pair::new(wire);
        let a = pair.a.open(&key(7)).unwrap();
        let error = SessionError::NotOpen { discovery_key: key(7).discovery_key() };
        assert!(!error.is_fatal());
        assert_eq!(pair.a.send(a, &have(1)), Err(error));
        pair.exchange().unwrap();
    }
}

#[test]
fn this_side_opens_no_more_feeds_than_a_connection_carries() {
    for wire in WIRES {
        for connected in [false, true] {
            let mut pair = Pair::new(wire);
            pair.a.open(&PublicKey::new([0; 32])).unwrap();
            if connected {
                pair.exchange().unwrap();
            }
            let keys = (1_u32..).map(|number| {
                let mut bytes = [1; 32];
                bytes[..4].copy_from_slice(&number.to_be_bytes());
                PublicKey::new(bytes)
            });
            let error = keys.take(300).map(|key| pair.a.open(&key)).find_map(Result::err);
            assert_eq!(error, Some(SessionError::TooManyChannels { limit: 256 }));
            pair.exchange().unwrap();
            let opens = events(&mut pair.b);
            // Wire A reads nothing behind the first feed before that is open.
            let expected = if wire == Wire::A { 1 } else { 256 };
            let opens = opens.iter().filter(|event| matches!(event, Event::RemoteOpen { .. })).count();
            assert_eq!(opens, expected, "wire {wire}");
        }
    }
}

#[test]
fn a_message_beyond_the_largest_frame_is_not_sent() {
    let (mut pair, a, _) = Pair::open(Wire::B2);
    let value = Some(vec![0; 8 * 1024 * 1024].into());
    let data = quorate_proto::dat::Data { value, ..Default::default() };
    let error = pair.a.send(a, &data.into()).unwrap_err();
    assert!(matches!(error, SessionError::MessageTooLarge { .. }) && !error.is_fatal());
    assert_eq!(pair.a.queued_bytes(), 0);
}

#[test]
fn the_largest_block_passes() {
    for wire in WIRES {
        let (mut pair, a, b) = Pair::open(wire);
        events(&mut pair.b);
        pair.b.send(b, &FeedMessage::Request(Default::default())).unwrap();
        let value = Some(vec![7; quorate_types::limits::MAX_BLOCK_BYTES].into());
        let message: FeedMessage = quorate_proto::dat::Data { value, ..Default::default() }.into();
        pair.a.send(a, &message).unwrap();
        pair.exchange().unwrap();
        let received = events(&mut pair.b);
        assert!(matches!(&received[..], [Event::Message { message: found, .. }] if *found == message));
    }
}
