//! Extension messages, by name.

use super::*;

fn named(wire: Wire, a: &[&str], b: &[&str]) -> (Pair, Channel, Channel) {
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut left = config(Role::Initiator, wire);
    let mut right = config(Role::Responder, wire);
    (left.extensions, right.extensions) = (list(a), list(b));
    (left.stream_extensions, right.stream_extensions) = (list(a), list(b));
    let mut pair = Pair::with(left, right);
    let a = pair.a.open(&key(7)).unwrap();
    pair.exchange().unwrap();
    let b = pair.b.open(&key(7)).unwrap();
    pair.exchange().unwrap();
    (pair, a, b)
}

#[test]
fn a_message_arrives_under_its_name_in_either_direction() {
    for wire in WIRES {
        let (mut pair, a, b) = named(wire, &["z", "both", "a"], &["both", "c"]);
        assert_eq!(pair.a.remote_extensions(Some(a)), ["both", "c"]);
        assert_eq!(pair.b.remote_extensions(Some(b)), ["a", "both", "z"]);
        let listed = match wire {
            Wire::A => Event::Extensions { channel: None, names: vec!["both".into(), "c".into()] },
            Wire::B2 => Event::Extensions { channel: Some(a), names: vec!["both".into(), "c".into()] },
        };
        assert!(events(&mut pair.a).contains(&listed));
        events(&mut pair.b);
        for size in [0, 200, 60_000, 65_536] {
            let payload = vec![size as u8; size];
            assert_eq!(pair.a.send_extension(Some(a), "both", &payload), Ok(true));
            assert_eq!(pair.b.send_extension(Some(b), "both", &payload), Ok(true));
            pair.exchange().unwrap();
            for (session, channel) in [(&mut pair.a, a), (&mut pair.b, b)] {
                let name = "both".to_owned();
                let payload = payload.clone().into();
                let expected = Event::Extension { channel: Some(channel), name, payload };
                assert_eq!(events(session), [expected], "wire {wire}, {size} bytes");
            }
        }
    }
}

#[test]
fn a_name_that_the_other_side_does_not_list_is_not_sent() {
    for wire in WIRES {
        let (mut pair, a, _) = named(wire, &["both", "mine"], &["both"]);
        assert_eq!(pair.a.send_extension(Some(a), "mine", b"x"), Ok(false));
        let unknown = SessionError::UnknownExtension { name: "other".into() };
        assert_eq!(pair.a.send_extension(Some(a), "other", b"x"), Err(unknown));
        let long = pair.a.send_extension(Some(a), "both", &[0; 65_537]).unwrap_err();
        assert!(matches!(long, SessionError::ExtensionTooLarge { found: 65_537, ours: true, .. }));
        assert!(!long.is_fatal());
        assert_eq!(pair.a.queued_bytes(), 0);
    }
}

/// Ids beyond the list, names that this side does not know, empty bodies: dropped without a word.
#[test]
fn what_the_reference_drops_is_dropped() {
    for wire in WIRES {
        let (mut pair, _, b) = named(wire, &["both", "mine"], &["both"]);
        events(&mut pair.b);
        let header = if wire == Wire::A { 0x0f } else { 0x1f };
        for body in [&[1, 9][..], &[2, 9], &[0xff, 0xff, 0x7f, 9], &[0x80], &[]] {
            pair.a.outbound.push_raw(&[body.len() as u8 + 1, header]);
            pair.a.outbound.push_raw(body);
        }
        // And one that is not.
        pair.a.outbound.push_raw(&[3, header, 0, 9]);
        pair.exchange().unwrap();
        let payload = vec![9].into();
        let expected = Event::Extension { channel: Some(b), name: "both".into(), payload };
        assert_eq!(events(&mut pair.b), [expected], "wire {wire}");
    }
}

#[test]
fn the_connection_has_extensions_of_its_own_on_wire_b2() {
    let (mut pair, ..) = named(Wire::B2, &["both", "mine"], &["both"]);
    let names = vec!["both".to_owned()];
    assert!(events(&mut pair.a).contains(&Event::Extensions { channel: None, names }));
    events(&mut pair.b);
    assert_eq!(pair.a.send_extension(None, "mine", b"x"), Ok(false));
    assert_eq!(pair.a.send_extension(None, "both", b"hello"), Ok(true));
    pair.exchange().unwrap();
    let payload = bytes::Bytes::from_static(b"hello");
    assert_eq!(events(&mut pair.b), [Event::Extension { channel: None, name: "both".into(), payload }]);

    let (mut pair, ..) = named(Wire::A, &["both"], &["both"]);
    assert_eq!(pair.a.send_extension(None, "both", b"hello"), Ok(false));
}

#[test]
fn a_message_that_is_too_long_ends_the_connection_when_its_name_is_known() {
    for wire in WIRES {
        let (mut pair, ..) = named(wire, &["both", "mine"], &["both"]);
        let channel = if wire == Wire::A { 0 } else { 1 };
        let header = crate::frame::header(channel, 15);
        let long = |number: u8| {
            move |out: &mut BytesMut| out.extend_from_slice(&[&[number][..], &[0; 70_000]].concat())
        };
        pair.a.push(header, 70_001, long(1));
        assert_eq!(pair.exchange(), Ok(()), "an unknown one is passed over");
        pair.a.push(header, 70_001, long(0));
        let error = pair.exchange().unwrap_err();
        assert!(matches!(error, SessionError::ExtensionTooLarge { found: 70_000, ours: false, .. }));
        assert!(error.is_fatal());
    }
}
