use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::super::message::{decode, encode_question, encode_reply};
use super::*;

/// Written by the package bencode of bittorrent-dht 7.10.0.
const STOCK: [&str; 6] = [
    "64313a6164323a696432303a0505050505050505050505050505050505050505393a696e666f5f6861736832303a070707070707070707070707070707070707070765313a71393a6765745f7065657273313a74323a0102313a79313a7165",
    "64313a6164323a696432303a050505050505050505050505050505050505050531323a696d706c6965645f706f7274693065393a696e666f5f6861736832303a0707070707070707070707070707070707070707343a706f7274693332383265353a746f6b656e32303a090909090909090909090909090909090909090965313a7131333a616e6e6f756e63655f70656572313a74323a0102313a79313a7165",
    "64313a7264323a696432303a0505050505050505050505050505050505050505353a746f6b656e32303a0909090909090909090909090909090909090909363a76616c7565736c363a0a0000030cd26565313a74323a0102313a79313a7265",
    "64313a7264323a696432303a0505050505050505050505050505050505050505353a6e6f64657332363a06060606060606060606060606060606060606060a000002c24965313a74323a0102313a79313a7265",
    "64313a656c693230336533373a63616e6e6f742060616e6e6f756e63655f706565726020776974682062616420746f6b656e65313a74323a0102313a79313a6565",
    "64313a6164323a696432303a050505050505050505050505050505050505050565313a71343a70696e67313a74323a0102313a79313a7165",
];

fn id(byte: u8) -> NodeId {
    NodeId::new(KIND, &[byte; 32])
}

fn at(ip: [u8; 4], port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(ip.into(), port)
}

fn ours() -> Transaction {
    Transaction::new(KIND, 0x0102)
}

fn read_text(text: &[u8]) -> Result<Message, DhtError> {
    decode(KIND, text)
}

#[test]
fn what_stock_nodes_say_is_understood() {
    let question = |question| Message::Question { transaction: ours(), question };
    let reply = |reply| Message::Reply { transaction: ours(), reply };
    let expected = [
        question(Question::Peers { target: id(7), port: None, local: None }),
        question(Question::Announce { target: id(7), port: 3282, local: None, token: vec![9; 20] }),
        reply(Reply {
            id: Some(id(5)),
            token: Some(vec![9; 20]),
            peers: vec![at([10, 0, 0, 3], 3282)],
            ..Reply::default()
        }),
        reply(Reply {
            id: Some(id(5)),
            nodes: vec![Contact { id: id(6), address: at([10, 0, 0, 2], 49737) }],
            ..Reply::default()
        }),
        reply(Reply { refused: true, ..Reply::default() }),
        question(Question::Ping),
    ];
    for (text, expected) in STOCK.iter().zip(expected) {
        let bytes = HEXLOWER.decode(text.as_bytes()).unwrap();
        assert_eq!(decode(KIND, &bytes), Ok(expected));
    }
}

#[test]
fn what_we_say_is_what_stock_nodes_say_and_that_we_come_and_go() {
    let to = at([10, 0, 0, 1], 1);
    let announce = Question::Announce { target: id(7), port: 3282, local: None, token: vec![9; 20] };
    let bytes = encode_question(KIND, &id(5), &ours(), to, &announce);
    let without = String::from_utf8_lossy(&bytes).replacen("2:roi1e", "", 1);
    let stock = HEXLOWER.decode(STOCK[1].as_bytes()).unwrap();
    assert_eq!(without, String::from_utf8_lossy(&stock));
    let reply = Reply {
        id: Some(id(5)),
        token: Some(vec![9; 20]),
        peers: vec![at([10, 0, 0, 3], 3282)],
        ..Reply::default()
    };
    assert_eq!(HEXLOWER.encode(&encode_reply(KIND, &ours(), to, &reply)), STOCK[2]);
}

#[test]
fn what_cannot_be_is_refused() {
    let field = |field, expected| Err(DhtError::Field { field, expected });
    assert_eq!(read_text(b"d1:y1:qe"), field("t", "at most 16 bytes"));
    assert_eq!(read_text(b"d1:t17:aaaaaaaaaaaaaaaaa1:y1:qe"), field("t", "at most 16 bytes"));
    assert_eq!(read_text(b"d1:t2:aa1:y1:re"), field("r", "a dictionary"));
    assert_eq!(read_text(b"d1:t2:aa1:y1:xe"), field("y", "q, r or e"));
    assert_eq!(read_text(b"d1:ade1:q9:find_node1:t2:aa1:y1:qe"), field("target", "20 bytes"));
    assert_eq!(
        read_text(b"d1:ad9:info_hash20:aaaaaaaaaaaaaaaaaaaae1:q13:announce_peer1:t2:aa1:y1:qe"),
        field("port", "a port")
    );
    let huge = vec![b'l'; quorate_types::limits::MAX_DHT_BYTES + 1];
    assert_eq!(read_text(&huge), Err(DhtError::TooLong { found: huge.len() }));
}

#[test]
fn malformed_bencode_is_refused() {
    let deep = [vec![b'l'; 2000], vec![b'e'; 2000]].concat();
    let deep_inside = [b"d1:r".as_slice(), &deep, b"1:t2:aa1:y1:re"].concat();
    let cases: [&[u8]; 13] = [
        b"d",
        b"d1:a",
        b"d1:ae",
        b"i1e",
        b"l1:ae",
        b"d1:t2:aa1:y1:r",
        b"d1:y1:r1:t2:aae",
        b"d1:t99999999999999999999:aa1:y1:re",
        b"d1:t-1:aa1:y1:re",
        b"d1:t2:aa1:y1:qed1:t2:aa1:y1:qe",
        b"d1:pi1x2e1:t2:aa1:y1:qe",
        &deep,
        &deep_inside,
    ];
    for text in cases {
        let read = read_text(text);
        assert!(
            matches!(read, Err(DhtError::Bencode { .. })),
            "{:?}: {read:?}",
            String::from_utf8_lossy(text)
        );
    }
}

#[test]
fn more_than_a_datagram_has_a_use_for_is_left_out() {
    let reply = Reply {
        id: Some(id(5)),
        nodes: vec![Contact { id: id(6), address: at([10, 0, 0, 2], 1) }; MAX_DHT_NODES + 5],
        peers: vec![at([10, 0, 0, 3], 1); MAX_DHT_PEERS + 5],
        ..Reply::default()
    };
    let bytes = encode_reply(KIND, &ours(), at([10, 0, 0, 1], 1), &reply);
    let Ok(Message::Reply { reply, .. }) = decode(KIND, &bytes) else { panic!() };
    assert_eq!((reply.nodes.len(), reply.peers.len()), (MAX_DHT_NODES, MAX_DHT_PEERS));
}

#[test]
fn addresses_that_are_none_are_passed_over() {
    let text = b"d1:rd6:valuesl3:abc6:\x0a\x00\x00\x01\x00\x006:\x0a\x00\x00\x01\x00\x05i7eee1:t2:aa1:y1:re";
    let Ok(Message::Reply { reply, .. }) = read_text(text) else { panic!("{:?}", read_text(text)) };
    assert_eq!(reply.peers, [at([10, 0, 0, 1], 5)]);
}

fn any_question() -> impl Strategy<Value = Question> {
    let target = || any::<[u8; 32]>().prop_map(|bytes| NodeId::new(KIND, &bytes));
    let token = prop::collection::vec(any::<u8>(), 0..=MAX_DHT_TOKEN_BYTES);
    prop_oneof![
        Just(Question::Ping),
        target().prop_map(|target| Question::FindNode { target }),
        target().prop_map(|target| Question::Peers { target, port: None, local: None }),
        (target(), 1..=u16::MAX, token).prop_map(|(target, port, token)| Question::Announce {
            target,
            port,
            local: None,
            token
        }),
    ]
}

fn any_reply() -> impl Strategy<Value = Reply> {
    let node = || any::<[u8; 32]>().prop_map(|bytes| NodeId::new(KIND, &bytes));
    let address = || (any::<[u8; 4]>(), 1..=u16::MAX).prop_map(|(ip, port)| at(ip, port));
    let contact = (node(), address()).prop_map(|(id, address)| Contact { id, address });
    (
        prop::option::of(node()),
        prop::collection::vec(contact, 0..=MAX_DHT_NODES),
        prop::option::of(prop::collection::vec(any::<u8>(), 0..=MAX_DHT_TOKEN_BYTES)),
        prop::collection::vec(address(), 0..=20),
    )
        .prop_map(|(id, nodes, token, peers)| Reply { id, nodes, token, peers, ..Reply::default() })
}

proptest! {
    #[test]
    fn every_question_is_read_as_it_was_written(question in any_question(), number in any::<u16>()) {
        let transaction = Transaction::new(KIND, number);
        let bytes = encode_question(KIND, &id(1), &transaction, at([10, 0, 0, 1], 1), &question);
        prop_assert_eq!(decode(KIND, &bytes), Ok(Message::Question { transaction, question }));
    }

    #[test]
    fn every_reply_is_read_as_it_was_written(reply in any_reply(), number in any::<u16>()) {
        let transaction = Transaction::new(KIND, number);
        let bytes = encode_reply(KIND, &transaction, at([10, 0, 0, 1], 1), &reply);
        prop_assert_eq!(decode(KIND, &bytes), Ok(Message::Reply { transaction, reply }));
    }

    #[test]
    fn no_datagram_panics(bytes in prop::collection::vec(prop_oneof![Just(b'd'), Just(b'l'), Just(b'e'), Just(b'1'), Just(b':'), Just(b'i'), any::<u8>()], 0..200)) {
        let _ = decode(KIND, &bytes);
    }
}
