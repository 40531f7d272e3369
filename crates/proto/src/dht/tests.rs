use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::*;

/// Written by the packages dht-rpc 4.9.6 and @hyperswarm/dht 4.0.1.
const STOCK: [&str; 4] = [
    "5801080110820252060a0000010fa0222007070707070707070707070707070707070707070707070707070707070707073a0570656572734a0b08d2191206c0a801090cd2",
    "5801080210830252060a0000010fa022200707070707070707070707070707070707070707070707070707070707070707322009090909090909090909090909090909090909090909090909090909090909093a0570656572734a0508d2191801",
    "5801080310820252060a0000010fa01a2005050505050505050505050505050505050505050505050505050505050505052a2606060606060606060606060606060606060606060606060606060606060606060a000002c249322009090909090909090909090909090909090909090909090909090909090909094a0e0a060a0000030cd2120401080cd2",
    "58010801100152060a0000010fa01a2005050505050505050505050505050505050505050505050505050505050505053a055f70696e674a200404040404040404040404040404040404040404040404040404040404040404",
];

fn stock(number: usize) -> Vec<u8> {
    HEXLOWER.decode(STOCK[number].as_bytes()).unwrap()
}

fn at(ip: [u8; 4], port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(ip.into(), port)
}

fn messages() -> [DhtMessage; 4] {
    let to = Some(at([10, 0, 0, 1], 4000));
    let question = |rid, id, command, target, token: Option<[u8; 32]>| DhtMessage {
        rid,
        id,
        to,
        body: DhtBody::Question { command, target, token: token.map(|token| token.to_vec().into()) },
    };
    let local = Some(at([192, 168, 1, 9], 3282));
    let lookup = PeersQuestion { port: Some(3282), local, unannounce: false };
    let goodbye = PeersQuestion { port: Some(3282), local: None, unannounce: true };
    let answer = DhtAnswer {
        nodes: vec![([6; 32], at([10, 0, 0, 2], 49737))],
        token: Some(vec![9; 32].into()),
        peers: vec![at([10, 0, 0, 3], 3282)],
        local_peers: vec![([1, 8], 3282)],
        refused: false,
    };
    [
        question(258, None, DhtCommand::Peers(lookup), Some([7; 32]), None),
        question(259, None, DhtCommand::Peers(goodbye), Some([7; 32]), Some([9; 32])),
        DhtMessage { rid: 258, id: Some([5; 32]), to, body: DhtBody::Answer(answer) },
        question(1, Some([5; 32]), DhtCommand::Ping, None, None),
    ]
}

#[test]
fn what_stock_nodes_say_is_understood() {
    for (number, message) in messages().into_iter().enumerate() {
        assert_eq!(DhtMessage::decode(&stock(number)), Ok(message), "message {number}");
    }
}

#[test]
fn what_is_written_is_read() {
    for message in messages() {
        assert_eq!(DhtMessage::decode(&message.encode()), Ok(message));
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let missing = |field| Err(ProtoError::Missing { message: "dht", field });
    assert_eq!(DhtMessage::decode(b""), missing("type"));
    assert_eq!(DhtMessage::decode(b"\x08\x01"), missing("rid"));
    let with = |change: &dyn Fn(&mut pb::Message)| {
        let mut message =
            pb::Message { r#type: Some(3), rid: Some(1), version: Some(1), ..pb::Message::default() };
        change(&mut message);
        DhtMessage::decode(&message.encode_to_vec())
    };
    let length = |field, found| Err(ProtoError::Length { message: "dht", field, expected: 32, found });
    assert_eq!(with(&|message| message.id = Some(vec![1; 31].into())), length("id", 31));
    assert_eq!(with(&|message| message.target = Some(vec![1; 33].into())), length("target", 33));
    let long = with(&|message| message.roundtrip_token = Some(vec![1; 65].into()));
    assert!(matches!(long, Err(ProtoError::TooLong { field: "roundtripToken", limit: 64, .. })), "{long:?}");
    let unknown = with(&|message| message.r#type = Some(9));
    assert!(matches!(unknown, Err(ProtoError::OutOfRange { field: "type", found: 9, .. })), "{unknown:?}");
    let huge = DhtMessage::decode(&vec![0; MAX_DHT_BYTES + 1]);
    assert!(matches!(huge, Err(ProtoError::TooLong { field: "datagram", .. })), "{huge:?}");
    let port = with(&|message| {
        message.r#type = Some(1);
        message.command = Some("peers".into());
        message.value = Some(b"\x08\x80\x80\x04".to_vec().into());
    });
    assert!(matches!(port, Err(ProtoError::OutOfRange { field: "port", found: 65536, .. })), "{port:?}");
}

#[test]
fn the_id_of_an_old_node_does_not_count() {
    let old =
        pb::Message { r#type: Some(3), rid: Some(1), id: Some(vec![5; 32].into()), ..pb::Message::default() };
    assert_eq!(DhtMessage::decode(&old.encode_to_vec()).unwrap().id, None);
}

#[test]
fn more_than_a_datagram_has_a_use_for_is_left_out() {
    let answer = DhtAnswer {
        nodes: vec![([6; 32], at([10, 0, 0, 2], 1)); MAX_DHT_NODES + 5],
        peers: vec![at([10, 0, 0, 3], 1); MAX_DHT_PEERS + 5],
        ..DhtAnswer::default()
    };
    let message = DhtMessage { rid: 1, id: None, to: None, body: DhtBody::Answer(answer) };
    let DhtBody::Answer(read) = DhtMessage::decode(&message.encode()).unwrap().body else { panic!() };
    assert_eq!((read.nodes.len(), read.peers.len()), (MAX_DHT_NODES, MAX_DHT_PEERS));
}

fn any_message() -> impl Strategy<Value = DhtMessage> {
    let address = || (any::<[u8; 4]>(), 1..=u16::MAX).prop_map(|(ip, port)| at(ip, port));
    let token = || prop::option::of(prop::collection::vec(any::<u8>(), 1..=64).prop_map(Bytes::from));
    let peers = (prop::option::of(1..=u16::MAX), prop::option::of(address()), any::<bool>())
        .prop_map(|(port, local, unannounce)| DhtCommand::Peers(PeersQuestion { port, local, unannounce }));
    let command =
        prop_oneof![Just(DhtCommand::Ping), Just(DhtCommand::FindNode), Just(DhtCommand::Other), peers];
    let question = (command, any::<Option<[u8; 32]>>(), token())
        .prop_map(|(command, target, token)| DhtBody::Question { command, target, token });
    let answer = (
        prop::collection::vec((any::<[u8; 32]>(), address()), 0..=MAX_DHT_NODES),
        token(),
        prop::collection::vec(address(), 0..=20),
        prop::collection::vec((any::<[u8; 2]>(), 1..=u16::MAX), 0..=20),
        any::<bool>(),
    )
        .prop_map(|(nodes, token, peers, local_peers, refused)| {
            DhtBody::Answer(DhtAnswer { nodes, token, peers, local_peers, refused })
        });
    let body = prop_oneof![question, answer];
    (any::<u64>(), any::<Option<[u8; 32]>>(), prop::option::of(address()), body)
        .prop_map(|(rid, id, to, body)| DhtMessage { rid, id, to, body })
}

proptest! {
    #[test]
    fn every_message_is_read_as_it_was_written(message in any_message()) {
        prop_assert_eq!(DhtMessage::decode(&message.encode()), Ok(message));
    }

    #[test]
    fn no_datagram_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = DhtMessage::decode(&bytes);
    }
}
