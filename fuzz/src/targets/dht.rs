//! Datagrams of distributed hash tables, from anyone on the internet.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use quorate_net::discovery::dht::{
    Contact, DhtConfig, DhtDiscovery, DhtInput, DhtKind, DhtOutput, Message, NodeId, Question, Reply,
    Transaction, decode, encode_question, encode_reply,
};
use quorate_types::DiscoveryKey;
use quorate_types::limits::{
    MAX_DHT_BYTES, MAX_DHT_NODES, MAX_DHT_PEERS, MAX_DHT_TABLE, MAX_DHT_TOKEN_BYTES,
};

use crate::Target;

/// Each input is one datagram, to a client of either table.
pub(super) const TARGET: Target = Target { name: "dht", run, seeds, cost: 1 };

const FEED: DiscoveryKey = DiscoveryKey::new([7; 32]);

/// Number that the questions of a client of this seed begin with.
const SEED: u64 = 1;

fn run(input: &[u8]) {
    for kind in DhtKind::ALL {
        if let Ok(message) = decode(kind, input) {
            check(kind, &message);
        }
        drive(kind, input);
    }
}

/// What was read is within its bounds, and says the same when it is written again.
fn check(kind: DhtKind, message: &Message) {
    let to = SocketAddrV4::new([10, 0, 0, 1].into(), 1);
    let again = match message {
        Message::Reply { transaction, reply } => {
            assert!(reply.nodes.len() <= MAX_DHT_NODES);
            assert!(reply.peers.len() <= MAX_DHT_PEERS && reply.local_peers.len() <= MAX_DHT_PEERS);
            assert!(reply.token.as_ref().is_none_or(|token| token.len() <= MAX_DHT_TOKEN_BYTES));
            // A refusal of BitTorrent says nothing else.
            if reply.refused {
                return;
            }
            encode_reply(kind, transaction, to, reply)
        }
        Message::Question { question: Question::Other, .. } => return,
        Message::Question { transaction, question } => {
            encode_question(kind, &NodeId::new(kind, &[1; 32]), transaction, to, question)
        }
    };
    assert!(again.len() <= MAX_DHT_BYTES, "{} bytes", again.len());
    assert_eq!(decode(kind, &again).as_ref(), Ok(message));
}

/// A client takes it from a node that it asked, and from a stranger, and stays within its bounds.
fn drive(kind: DhtKind, input: &[u8]) {
    let mut now = Instant::now();
    let config =
        DhtConfig { kind, port: Some(3282), local: Some([192, 168, 1, 2].into()), id: [3; 32], seed: SEED };
    let mut client = DhtDiscovery::new(config, now);
    let node = SocketAddrV4::new([10, 0, 0, 2].into(), 49737);
    client.handle(now, DhtInput::Bootstrap(&[node]));
    client.handle(now, DhtInput::Join(FEED));
    for from in [SocketAddrV4::new([10, 0, 0, 66].into(), 1), node, node] {
        let before = sent(&mut client).0;
        client.handle(now, DhtInput::Datagram { from, bytes: input });
        let (after, found) = sent(&mut client);
        // An answer to a question; or, to an answer, the questions that go on from it.
        assert!(before + after <= 2 * (1 + MAX_DHT_NODES) + 2, "{before} and {after}");
        assert!(found <= 2 * MAX_DHT_PEERS);
    }
    for _ in 0..4 {
        now += Duration::from_secs(2);
        client.handle(now, DhtInput::Timeout);
        sent(&mut client);
    }
    assert!(client.counts().nodes <= MAX_DHT_TABLE && client.poll_timeout().is_some());
    client.handle(now, DhtInput::Close);
    assert!(sent(&mut client).0 <= MAX_DHT_NODES);
}

fn sent(client: &mut DhtDiscovery) -> (usize, usize) {
    let (mut sent, mut found) = (0, 0);
    while let Some(output) = client.poll_output() {
        match output {
            DhtOutput::Send { bytes, .. } => {
                assert!(bytes.len() <= MAX_DHT_BYTES);
                sent += 1;
            }
            DhtOutput::Found { feed, address } => {
                assert!(feed == FEED && address.port() != 0, "{address}");
                found += 1;
            }
        }
    }
    (sent, found)
}

/// Questions and answers; answers as well to what a client of [`SEED`] asks first.
fn seeds() -> Vec<Vec<u8>> {
    let at = |host| SocketAddrV4::new([10, 0, 0, host].into(), 3282);
    let mut seeds = Vec::new();
    for kind in DhtKind::ALL {
        let id = NodeId::new(kind, &[5; 32]);
        let target = NodeId::of(kind, &FEED);
        let token = vec![9; 32];
        let local = (kind == DhtKind::Hyperswarm).then(|| at(9));
        let reply = Reply {
            id: Some(id),
            nodes: vec![Contact { id: NodeId::new(kind, &[6; 32]), address: at(3) }],
            token: Some(token.clone()),
            peers: vec![at(4), at(5)],
            local_peers: local.map(|_| ([1, 8], 3282)).into_iter().collect(),
            refused: false,
        };
        let mut client = DhtDiscovery::new(
            DhtConfig { kind, port: None, local: None, id: [3; 32], seed: SEED },
            Instant::now(),
        );
        client.handle(Instant::now(), DhtInput::Bootstrap(&[at(2)]));
        client.handle(Instant::now(), DhtInput::Join(FEED));
        while let Some(output) = client.poll_output() {
            let DhtOutput::Send { bytes, .. } = output else { continue };
            let Ok(Message::Question { transaction, .. }) = decode(kind, &bytes) else { continue };
            seeds.push(encode_reply(kind, &transaction, at(1), &reply));
        }
        let transaction = Transaction::new(kind, 0x0102);
        let questions = [
            Question::Ping,
            Question::FindNode { target },
            Question::Peers { target, port: None, local },
            Question::Announce { target, port: 3282, local, token },
        ];
        seeds.extend(
            questions.iter().map(|question| encode_question(kind, &id, &transaction, at(1), question)),
        );
        let refusal = Reply { refused: true, ..Reply::default() };
        seeds.push(encode_reply(kind, &transaction, at(1), &refusal));
    }
    seeds
}
