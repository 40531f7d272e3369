//! Datagrams on the local network: who speaks when, and whoever means no good.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use quorate_interop_tests::Chance;
use quorate_net::discovery::dht::{
    Contact, DhtKind, Message, NodeId, Question, Reply, decode, encode_question, encode_reply,
};
use quorate_net::discovery::local::GROUP;
use quorate_net::discovery::{Dialect, Topic, answers, questions};
use serde_json::json;
use socket2::{Domain, Protocol, Socket, Type};

use crate::print;

/// Largest datagram of UDP over IPv4, bytes.
const LARGEST: usize = 65_507;

/// Datagrams between two pauses, so that the other side reads some of them.
const BURST: u64 = 64;
const PAUSE: Duration = Duration::from_millis(5);

/// Answers to one question of a DHT.
const ANSWERS: usize = 8;

/// Ports of the first nodes of the tables.
const TABLES: [(DhtKind, u16); 2] = [(DhtKind::BitTorrent, 6881), (DhtKind::Hyperswarm, 49737)];

/// Joins the group of multicast DNS on the interface with this address.
fn join(address: Ipv4Addr) -> Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_multicast_if_v4(&address)?;
    socket.set_multicast_ttl_v4(255)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, GROUP.port())).into())?;
    socket.join_multicast_v4(GROUP.ip(), &address)?;
    Ok(socket.into())
}

/// Prints `said` with sender and time for every datagram that goes to the group.
pub(crate) fn listen(address: &str) -> Result<()> {
    let socket = join(address.parse()?)?;
    print(&json!({ "event": "listening" }));
    let mut buffer = vec![0; LARGEST];
    loop {
        let (_, from) = socket.recv_from(&mut buffer)?;
        let at = SystemTime::now().duration_since(UNIX_EPOCH)?;
        print(&json!({ "event": "said", "from": from.ip().to_string(), "ms": at.as_millis() as u64 }));
    }
}

/// Says to the group, and to whoever asks it as a node of a DHT, what nobody should say; ends after so many seconds.
pub(crate) fn pester(address: &str, topic: &str, seconds: &str) -> Result<()> {
    let address: Ipv4Addr = address.parse()?;
    let topic = Topic::from_hex(topic.as_bytes()).context("a topic of 40 digits")?;
    let end = Instant::now() + Duration::from_secs(seconds.parse()?);
    let group = join(address)?;
    let mut tables = Vec::new();
    for (kind, port) in TABLES {
        let socket = UdpSocket::bind((address, port))?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        tables.push((kind, socket));
    }
    print(&json!({ "event": "listening" }));
    let said = thread::scope(|scope| -> Result<u64> {
        let answering: Vec<_> =
            tables.iter().map(|(kind, socket)| scope.spawn(move || answer(*kind, socket, end))).collect();
        let mut said = speak(&group, topic, end)?;
        for table in answering {
            said += table.join().expect("no thread panics")?;
        }
        Ok(said)
    })?;
    print(&json!({ "event": "said", "datagrams": said }));
    Ok(())
}

fn speak(socket: &UdpSocket, topic: Topic, end: Instant) -> Result<u64> {
    let mut chance = Chance::new(1);
    let mut said = 0;
    while Instant::now() < end {
        let bytes = dns(&mut chance, topic);
        // The system has no room for it at the moment.
        let _ = socket.send_to(&bytes, GROUP);
        said += 1;
        if said % BURST == 0 {
            thread::sleep(PAUSE);
        }
    }
    Ok(said)
}

/// Makes one datagram: broken, huge, endless, or well formed and a lie.
fn dns(chance: &mut Chance, topic: Topic) -> Vec<u8> {
    let dialect = Dialect::ALL[chance.within(0..2) as usize];
    let port = chance.within(1..65_536) as u16;
    let mark = [chance.number() as u8; 32];
    let header = |counts: [u8; 8]| [&[0, 0, 0x84, 0][..], &counts].concat();
    match chance.within(0..10) {
        // Noise.
        0 => {
            let count = chance.within(0..1500) as usize;
            chance.bytes(count)
        }
        // The largest datagram, with a good header and without.
        1 => chance.bytes(LARGEST),
        2 => [header([0, 1, 0, 0, 0, 0, 0, 0]), vec![1; LARGEST - 12]].concat(),
        // More records than there are.
        3 => header([0xff; 8]),
        // Names that point at themselves, and at each other.
        4 => [header([0, 1, 0, 0, 0, 0, 0, 0]), vec![0xc0, 12, 0, 16, 0, 1]].concat(),
        5 => [header([0, 0, 0, 2, 0, 0, 0, 0]), vec![0xc0, 14, 0xc0, 12, 0, 16, 0, 1]].concat(),
        // A stock message with wrong bytes.
        6 => {
            let mut bytes = answers(dialect, &[topic], port, &mark);
            for _ in 0..chance.within(1..8) {
                let at = chance.within(0..bytes.len() as u64) as usize;
                bytes[at] = chance.number() as u8;
            }
            bytes
        }
        // Questions without end.
        7 => questions(dialect, &[topic]),
        // Peers that are not there: of this network, and of others.
        8 => answers(dialect, &[topic], port, &mark),
        _ => named(chance, topic),
    }
}

/// An answer of dat 13 that names a hundred peers.
fn named(chance: &mut Chance, topic: Topic) -> Vec<u8> {
    let mut peers = Vec::new();
    for _ in 0..30 {
        let address = stranger(chance);
        peers.extend(address.ip().octets());
        peers.extend(address.port().to_be_bytes());
    }
    let text = format!("peers={}", data_encoding::BASE64.encode(&peers));
    let name = [&[40][..], topic.to_string().as_bytes(), &[3], b"dat", &[5], b"local", &[0]].concat();
    let length = (text.len() + 1) as u16;
    [
        &[0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0][..],
        &name,
        &[0, 16, 0, 1, 0, 0, 0, 0],
        &length.to_be_bytes(),
        &[text.len() as u8],
        text.as_bytes(),
    ]
    .concat()
}

/// An address where nobody is, two of three in the network that tests have.
fn stranger(chance: &mut Chance) -> SocketAddrV4 {
    let host = chance.within(20..250) as u8;
    let ip = if chance.one_in(3) { [192, 0, 2, host] } else { [10, 77, 0, host] };
    SocketAddrV4::new(ip.into(), chance.within(1..65_536) as u16)
}

/// Answers whoever asks, several times.
fn answer(kind: DhtKind, socket: &UdpSocket, end: Instant) -> Result<u64> {
    let mut chance = Chance::new(2);
    let mut buffer = vec![0; LARGEST];
    let mut said = 0;
    while Instant::now() < end {
        let Ok((count, from)) = socket.recv_from(&mut buffer) else { continue };
        let question = buffer.get(..count).unwrap_or_default();
        for _ in 0..ANSWERS {
            let _ = socket.send_to(&table(kind, &mut chance, question, from), from);
            said += 1;
        }
    }
    Ok(said)
}

/// Makes one datagram of a node that means no good.
fn table(kind: DhtKind, chance: &mut Chance, question: &[u8], from: SocketAddr) -> Vec<u8> {
    let SocketAddr::V4(from) = from else { return Vec::new() };
    let id = |chance: &mut Chance| {
        let mut id = [0; NodeId::BYTES];
        id.copy_from_slice(&chance.bytes(NodeId::BYTES));
        NodeId::new(kind, &id)
    };
    // What it answers us is of no use to us.
    let Ok(Message::Question { transaction, .. }) = decode(kind, question) else { return Vec::new() };
    let reply = |chance: &mut Chance, nodes, peers, token| Reply {
        id: Some(id(chance)),
        nodes: (0..nodes).map(|_| Contact { id: id(chance), address: stranger(chance) }).collect(),
        token: Some(chance.bytes(token)),
        peers: (0..peers).map(|_| stranger(chance)).collect(),
        local_peers: Vec::new(),
        refused: false,
    };
    match chance.within(0..8) {
        0 => {
            let count = chance.within(0..1500) as usize;
            chance.bytes(count)
        }
        1 => chance.bytes(LARGEST),
        // Lists in lists, without end; lengths that lie.
        2 => vec![b'l'; LARGEST],
        3 => [&b"d1:t"[..], b"99999999999:", &[b'd'; 1000]].concat(),
        4 => [&[0x08, 3, 0x10, 1, 0x2a][..], &[0xff; 9], &[1]].concat(),
        // What was asked, with wrong bytes.
        5 => {
            let mut bytes = question.to_vec();
            for _ in 0..chance.within(1..8) {
                let at = chance.within(0..bytes.len().max(1) as u64) as usize;
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = chance.number() as u8;
                }
            }
            bytes
        }
        // It asks back.
        6 => {
            let question = Question::FindNode { target: id(chance) };
            encode_question(kind, &id(chance), &transaction, from, &question)
        }
        // More nodes and peers than anybody has, none of which is there.
        _ => {
            let many = [8, 20, 200][chance.within(0..3) as usize];
            let token = [8, 2000][chance.within(0..2) as usize];
            encode_reply(kind, &transaction, from, &reply(chance, many, many, token))
        }
    }
}
