use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::*;

const TOPIC: &[u8] = b"00112233445566778899aabbccddeeff01234567";

/// `dns-packet` 5 with what dns-discovery 6 and @hyperswarm/discovery 2 give it.
const DAT_QUESTION: &str = "000000000001000000000000283030313132323333343435353636373738383939616162626363646465656666303132333435363703646174056c6f63616c0000100001";
const DAT_ANSWER: &str = "000084000001000100000000283030313132323333343435353636373738383939616162626363646465656666303132333435363703646174056c6f63616c0000100001283030313132323333343435353636373738383939616162626363646465656666303132333435363703646174056c6f63616c000010000100000000004a32746f6b656e3d427763484277634842776348427763484277634842776348427763484277634842776348427763484277633d1670656572733d4141414141417a53774b674242774251";
const HYPERSWARM_QUESTION: &str = "00000000000100000000000028303031313232333334343535363637373838393961616262636364646565666630313233343536370a6879706572737761726d056c6f63616c0000210001";
const HYPERSWARM_ANSWER: &str = "00008400000000030000000028303031313232333334343535363637373838393961616262636364646565666630313233343536370a6879706572737761726d056c6f63616c000021000100000000000f000000000cd201300130013001300028303031313232333334343535363637373838393961616262636364646565666630313233343536370a6879706572737761726d056c6f63616c00001000010000000000242369643d07070707070707070707070707070707070707070707070707070707070707070872656665727265720a6879706572737761726d056c6f63616c00000100010000000000040a000002";

fn topic() -> Topic {
    Topic::from_hex(TOPIC).unwrap()
}

fn stock(hex: &str) -> Vec<u8> {
    HEXLOWER.decode(hex.as_bytes()).unwrap()
}

fn address(text: &str) -> SocketAddrV4 {
    text.parse().unwrap()
}

#[test]
fn questions_are_those_of_the_stock_clients_byte_for_byte() {
    assert_eq!(questions(Dialect::Dat, &[topic()]), stock(DAT_QUESTION));
    assert_eq!(questions(Dialect::Hyperswarm, &[topic()]), stock(HYPERSWARM_QUESTION));
    for (hex, dialect) in [(DAT_QUESTION, Dialect::Dat), (HYPERSWARM_QUESTION, Dialect::Hyperswarm)] {
        let heard = parse(&stock(hex)).unwrap();
        assert_eq!(heard.questions, [Question { dialect, topic: topic() }]);
        assert_eq!(heard.announcements, []);
    }
}

#[test]
fn answers_of_stock_clients_are_read() {
    let dat = parse(&stock(DAT_ANSWER)).unwrap();
    let expected = Announcement {
        dialect: Dialect::Dat,
        topic: topic(),
        peers: vec![address("0.0.0.0:3282"), address("192.168.1.7:80")],
        mark: Some(vec![7; 32]),
        quorate: false,
    };
    // The question that it repeats is not one.
    assert_eq!(dat, Heard { questions: vec![], announcements: vec![expected] });
    let hyperswarm = parse(&stock(HYPERSWARM_ANSWER)).unwrap();
    let expected = Announcement {
        dialect: Dialect::Hyperswarm,
        topic: topic(),
        peers: vec![address("0.0.0.0:3282")],
        mark: Some(vec![7; 32]),
        quorate: false,
    };
    assert_eq!(hyperswarm, Heard { questions: vec![], announcements: vec![expected] });
}

#[test]
fn our_answers_say_the_same() {
    for (dialect, quorate) in [(Dialect::Dat, true), (Dialect::Hyperswarm, false)] {
        let heard = parse(&answers(dialect, &[topic()], 3282, &[7; 32])).unwrap();
        let peers = vec![address("0.0.0.0:3282")];
        let expected = Announcement { dialect, topic: topic(), peers, mark: Some(vec![7; 32]), quorate };
        assert_eq!(heard.announcements, [expected]);
    }
}

#[test]
fn a_full_message_fits_into_a_datagram() {
    let topics: Vec<Topic> = (0..TOPICS_PER_MESSAGE as u8).map(|number| Topic::new([number; 20])).collect();
    for dialect in Dialect::ALL {
        for message in [questions(dialect, &topics), answers(dialect, &topics, 65_535, &[255; 32])] {
            assert!(message.len() <= DATAGRAM_BYTES, "{} bytes", message.len());
            let heard = parse(&message).unwrap();
            assert_eq!(heard.questions.len() + heard.announcements.len(), topics.len());
        }
    }
}

#[test]
fn names_of_others_are_left_out() {
    for name in ["_http._tcp.local", "dat.local", "short.dat.local", "local", "x.y.z.local"] {
        let mut packet = Packet::new_query(0);
        for kind in [TYPE::TXT, TYPE::SRV] {
            let name = Name::new(name).unwrap();
            packet.questions.push(DnsQuestion::new(name, QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), false));
        }
        assert_eq!(parse(&written(&packet)), Ok(Heard::default()), "{name}");
    }
}

#[test]
fn loops_huge_counts_and_long_datagrams_are_refused() {
    // A name that points at itself, and two that point at each other.
    for name in [&[0xc0, 12][..], &[0xc0, 14, 0xc0, 12], &[1, b'a', 0xc0, 12]] {
        let mut message = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        message.extend_from_slice(name);
        message.extend_from_slice(&[0, 16, 0, 1]);
        assert!(matches!(parse(&message), Err(MessageError::Malformed { .. })), "{name:?}");
    }
    let mut counts = vec![0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255];
    let found = 4 * 65_535;
    let refused = |limit, bytes| Err(MessageError::TooManyRecords { limit, bytes, found });
    assert_eq!(parse(&counts), refused(0, 12));
    counts.resize(MAX_DNS_BYTES, 0);
    assert_eq!(parse(&counts), refused(MAX_DNS_RECORDS, MAX_DNS_BYTES));
    counts.push(0);
    assert_eq!(parse(&counts), Err(MessageError::TooLong { found: MAX_DNS_BYTES + 1 }));
}

#[test]
fn a_chain_of_pointers_ends() {
    // As many records as are read, each behind as many pointers as fit before it.
    let mut message = vec![0, 0, 0x84, 0, 0, 1, 0, 127, 0, 0, 0, 0];
    message.extend_from_slice(&[0, 0, 16, 0, 1]);
    message.extend_from_slice(&[0, 0, 16, 0, 1, 0, 0, 0, 0, 0xe0, 0]);
    let start = message.len();
    // The data of the first record is the chain.
    let data_len = 7000_u16;
    message[start - 2..].copy_from_slice(&data_len.to_be_bytes());
    let mut target = 12_u16;
    while message.len() < start + usize::from(data_len) {
        message.extend_from_slice(&(0xc000 | target).to_be_bytes());
        target = message.len() as u16 - 2;
    }
    for _ in 0..126 {
        message.extend_from_slice(&(0xc000 | target).to_be_bytes());
        message.extend_from_slice(&[0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
    }
    let started = std::time::Instant::now();
    let _ = parse(&message);
    assert!(started.elapsed() < std::time::Duration::from_secs(1));
}

proptest! {
    #[test]
    fn whatever_comes_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn one_wrong_byte_or_a_cut_does_no_harm(
        which in 0..4_usize, at in 0..400_usize, value in any::<u8>(), cut in 0..400_usize,
    ) {
        let mut message = stock([DAT_QUESTION, DAT_ANSWER, HYPERSWARM_QUESTION, HYPERSWARM_ANSWER][which]);
        if let Some(byte) = message.get_mut(at) {
            *byte = value;
        }
        message.truncate(message.len().min(cut));
        if let Ok(heard) = parse(&message) {
            for announcement in heard.announcements {
                prop_assert!(announcement.peers.iter().all(|peer| peer.port() != 0));
            }
        }
    }

    #[test]
    fn what_is_written_is_read(
        numbers in proptest::collection::vec(any::<[u8; 20]>(), 1..TOPICS_PER_MESSAGE),
        port in 1..u16::MAX,
        mark in any::<[u8; 32]>(),
    ) {
        let topics: Vec<Topic> = numbers.into_iter().map(Topic::new).collect();
        for dialect in Dialect::ALL {
            let asked = parse(&questions(dialect, &topics)).unwrap().questions;
            let expected: Vec<Question> = topics.iter().map(|topic| Question { dialect, topic: *topic }).collect();
            prop_assert_eq!(asked, expected);
            let heard = parse(&answers(dialect, &topics, port, &mark)).unwrap().announcements;
            prop_assert_eq!(heard.len(), topics.len());
            for (said, topic) in heard.iter().zip(&topics) {
                prop_assert_eq!(said.topic, *topic);
                prop_assert_eq!(&said.peers, &vec![SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port)]);
                prop_assert_eq!(said.mark.as_deref(), Some(&mark[..]));
            }
        }
    }
}
