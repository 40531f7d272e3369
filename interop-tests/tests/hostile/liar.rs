//! A peer that says it has the feed, and answers requests with something else.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use data_encoding::BASE64;
use quorate_interop_tests::Chance;
use quorate_node::Stream;
use quorate_proto::dat::{Data, FeedMessage, Have};
use quorate_types::limits::MAX_FEED_LENGTH;
use quorate_types::{Hash, Node, NodeIndex, PublicKey, Signature};
use quorate_wire::Event;

use quorate_interop_tests::attacker::Attacker;

/// What is sent instead of the true answer.
pub(crate) type Lie = fn(&Data, &mut Chance) -> Vec<Data>;

/// Lists the lies, each with its name.
pub(crate) fn all() -> Vec<(&'static str, Lie)> {
    vec![
        ("nothing at all", |_, _| vec![]),
        ("neither value nor nodes", |data, _| vec![Data { index: data.index, ..Data::default() }]),
        ("a value alone", |data, _| vec![Data { nodes: vec![], signature: None, ..data.clone() }]),
        ("nodes alone", |data, _| vec![Data { value: None, ..data.clone() }]),
        ("sizes that are one too large", |data, _| vec![with_nodes(data, |node| node.size += 1)]),
        ("sizes of nothing", |data, _| vec![with_nodes(data, |node| node.size = 0)]),
        ("sizes of 2^64 - 1", |data, _| vec![with_nodes(data, |node| node.size = u64::MAX)]),
        ("sizes of 2^53", |data, _| vec![with_nodes(data, |node| node.size = 1 << 53)]),
        ("other hashes", |data, _| vec![with_nodes(data, |node| node.hash = Hash::new([7; 32]))]),
        ("nodes at odd places", |data, _| {
            vec![with_nodes(data, |node| {
                node.index = NodeIndex::new(node.index.get() ^ 1);
            })]
        }),
        ("nodes far away", |data, _| vec![with_nodes(data, |node| node.index = NodeIndex::new(1 << 52))]),
        ("nodes at 2^64 - 1", |data, _| vec![with_nodes(data, |node| node.index = NodeIndex::new(u64::MAX))]),
        ("nodes in the wrong order", |data, _| {
            vec![Data { nodes: data.nodes.iter().rev().copied().collect(), ..data.clone() }]
        }),
        ("nodes twice", |data, _| {
            vec![Data { nodes: [&data.nodes[..], &data.nodes].concat(), ..data.clone() }]
        }),
        ("too few nodes", |data, _| {
            vec![Data { nodes: data.nodes.iter().skip(1).copied().collect(), ..data.clone() }]
        }),
        ("128 nodes", |data, chance| vec![Data { nodes: junk(128, chance), ..data.clone() }]),
        ("129 nodes", |data, chance| vec![Data { nodes: junk(129, chance), ..data.clone() }]),
        ("a value that is one byte short", |data, _| vec![with_value(data, |value| value.slice(1..))]),
        ("an empty value", |data, _| vec![with_value(data, |_| Bytes::new())]),
        ("a value of 6 MiB", |data, _| vec![with_value(data, |_| vec![7; 6 << 20].into())]),
        ("another block", |data, chance| vec![Data { index: chance.within(0..BLOCKS), ..data.clone() }]),
        ("a block beyond any feed", |data, _| vec![Data { index: MAX_FEED_LENGTH - 1, ..data.clone() }]),
        ("no signature", |data, _| vec![Data { signature: None, ..data.clone() }]),
        ("another signature", |data, _| {
            vec![Data { signature: Some(Signature::new([7; 64])), ..data.clone() }]
        }),
        ("the same answer 300 times", |data, _| vec![data.clone(); 300]),
        ("anything", |data, chance| {
            let value = chance.one_in(2).then(|| Bytes::from(chance.bytes(1000)));
            let nodes = junk(chance.within(0..100) as usize, chance);
            let index = if chance.one_in(2) { data.index } else { chance.within(0..2 * BLOCKS) };
            vec![Data { index, value, nodes, signature: data.signature }]
        }),
    ]
}

/// Blocks of the feed.
pub(crate) const BLOCKS: u64 = 400;

fn with_nodes(data: &Data, change: impl Fn(&mut Node)) -> Data {
    let mut data = data.clone();
    data.nodes.iter_mut().for_each(change);
    data
}

fn with_value(data: &Data, change: impl Fn(Bytes) -> Bytes) -> Data {
    Data { value: data.value.clone().map(change), ..data.clone() }
}

fn junk(count: usize, chance: &mut Chance) -> Vec<Node> {
    (0..count)
        .map(|_| Node {
            index: NodeIndex::new(chance.number() >> chance.within(0..64)),
            hash: Hash::new([chance.number() as u8; 32]),
            size: chance.number() >> chance.within(0..64),
        })
        .collect()
}

/// Reads the true answers off a stream: each stands alone.
pub(crate) async fn true_answers(stream: &Stream) -> Result<Vec<Data>> {
    let mut answers = Vec::new();
    for index in 0..BLOCKS {
        let proof = stream.prove(index).await?;
        let nodes = proof.nodes.iter().map(|node| Node {
            index: NodeIndex::new(node.index),
            hash: node.hash,
            size: node.size,
        });
        let value = BASE64.decode(proof.block.as_bytes()).context("a block")?;
        let (nodes, signature) = (nodes.collect(), Some(proof.signature));
        answers.push(Data { index, value: Some(value.into()), nodes, signature });
    }
    Ok(answers)
}

/// Waits for victims on a port and lies to them; returns `host:port`.
pub(crate) fn start(key: PublicKey, answers: Arc<Vec<Data>>, lie: Lie) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answers = Arc::clone(&answers);
            // It goes on until the victim has had enough.
            thread::spawn(move || Attacker::answer(stream, &key).and_then(|peer| talk(peer, &answers, lie)));
        }
    });
    Ok(address)
}

fn talk(mut peer: Attacker, answers: &[Data], lie: Lie) -> Result<()> {
    let mut chance = Chance::new(9);
    peer.send(&FeedMessage::Have(Have::range(0, BLOCKS)))?;
    peer.flush()?;
    loop {
        for event in peer.receive(Duration::from_secs(1))? {
            let Event::Message { message: FeedMessage::Request(request), .. } = event else { continue };
            let Some(answer) = answers.get(request.index as usize) else { continue };
            let value = answer.value.clone().filter(|_| !request.hash);
            for data in lie(&Data { value, ..answer.clone() }, &mut chance) {
                peer.send(&FeedMessage::Data(data))?;
            }
        }
        peer.flush()?;
    }
}
