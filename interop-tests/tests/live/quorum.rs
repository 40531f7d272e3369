//! Rooms with validators whose feeds stock peers write or carry: forks become evidence, certificates go along.

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use quorate_feed::sign;
use quorate_interop_tests::{
    FeedOptions, Generation, Node, PATIENCE, PeerOptions, StockPeer, checksum, soon, until_info,
};
use quorate_node::event::Event;
use quorate_node::evidence;
use quorate_quorum::key::Signer;
use quorate_quorum::validators::ValidatorSet;
use quorate_stream::action::UnsignedAction;
use quorate_stream::entry::{Entry, ProofKind};
use quorate_stream::header::{RoomQuorum, StreamHeader};
use quorate_stream::identity::{Anchor, Author, room_id};
use quorate_stream::payload::PayloadEncoding;
use quorate_types::PublicKey;
use serde_json::json;

use crate::support::{Dials, each_generation, meet, stock_reader};

each_generation!(
    two_stock_writers_leave_evidence,
    a_mirror_of_one_history_and_the_writer_of_another,
    certificates_go_through_a_stock_peer,
    a_stock_peer_clones_the_feed_of_the_next_host,
);

/// Largest evidence of a fork, bytes.
const MAX_FORK_BYTES: usize = 3 * 1024;

const WRITER: [u8; 32] = [9; 32];

/// A header with four validators, then actions of one participant, of which `own` are those of a history.
fn room(feed: &PublicKey, shared: u64, own: u64, history: &str) -> Result<Vec<Bytes>> {
    let keys = (1..=4).map(|i| Signer::from_seed(&[i; 32]).public());
    let mut header = StreamHeader::new("money", PayloadEncoding::Json);
    header.quorum = Some(RoomQuorum { validators: ValidatorSet::new(keys, 0)?, hosts: Vec::new() });
    let mut blocks = vec![header.encode()?];
    let room = room_id(feed, &blocks[0]);
    let author = Author::from_seed(&[70; 32]);
    for sequence in 0..shared + own {
        let text = if sequence < shared { "both" } else { history };
        let payload = Bytes::from(json!({ "pay": sequence, "in": text }).to_string());
        let action = UnsignedAction { sequence, anchor: Anchor::NONE, valid_until: 0, payload };
        blocks.push(action.sign(&room, &author)?.encode());
    }
    Ok(blocks)
}

fn writer(generation: Generation, blocks: &[Bytes]) -> Result<StockPeer> {
    let mut writer =
        StockPeer::start(generation, &PeerOptions::new(FeedOptions::from_seed(WRITER)).listen())?;
    // One after the other: every length is signed, as by somebody who speaks.
    for block in blocks {
        writer.append([block])?;
    }
    Ok(writer)
}

/// The evidence that a node has found, checked as anyone would.
async fn evidence_of(node: &mut Node, stream: &quorate_node::Stream) -> Result<Bytes> {
    let event = node.event("evidence", |event| matches!(event, Event::Evidence { .. })).await?;
    let Event::Evidence { id, kind, culprit, .. } = event else { bail!("found {event:?}") };
    assert_eq!((kind.as_str(), &culprit), ("writer-fork", stream.key()));
    let bytes = stream.evidence(&id.to_string()).await?;
    ensure!(bytes.len() <= MAX_FORK_BYTES, "{} bytes", bytes.len());
    let proven = evidence::verify(&bytes)?;
    assert_eq!((proven.id, proven.culprit), (id, culprit));
    Ok(bytes)
}

async fn two_stock_writers_leave_evidence(generation: Generation) -> Result<()> {
    let (key, _) = sign::key_pair(&WRITER);
    // In either order: the longer history comes first, last, or both are of one length.
    for (first, second) in [(1, 1), (4, 1), (1, 4)] {
        let histories = [room(&key, 5, first, "one")?, room(&key, 5, second, "another")?];
        let mut one = writer(generation, &histories[0])?;
        let mut other = writer(generation, &histories[1])?;
        let mut node = Node::fresh().await?;
        let stream = node.carry(one.key(), one.address()?).await?;
        assert_eq!(soon("sync", stream.synced()).await??, 6 + first);
        assert_eq!(soon("checks", stream.checked()).await??, 6 + first);
        one.command("close-stream", json!({}))?;
        drop(one);
        meet(Dials::They, &node, &mut other).await?;
        let bytes = evidence_of(&mut node, &stream).await?;
        // Readers still read.
        let last = stream.get(5 + first).await?;
        assert_eq!(&last, histories[0].last().unwrap());

        // It goes to nodes that have met neither of the two since, and is the same there.
        let mut second_node = Node::fresh().await?;
        let copy = second_node.carry(*key.as_bytes(), &node.listen().await?).await?;
        assert_eq!(evidence_of(&mut second_node, &copy).await?, bytes);
        second_node.shutdown().await?;
        node.shutdown().await?;
    }
    Ok(())
}

async fn a_mirror_of_one_history_and_the_writer_of_another(generation: Generation) -> Result<()> {
    let (key, _) = sign::key_pair(&WRITER);
    let mut one = writer(generation, &room(&key, 8, 2, "one")?)?;
    let mut other = writer(generation, &room(&key, 8, 3, "another")?)?;
    let feed = FeedOptions::from_key(*key.as_bytes());
    let mut mirror = StockPeer::start(generation, &PeerOptions::new(feed).listen())?;
    mirror.command("connect", json!({ "to": one.address()? }))?;
    mirror.wait_downloaded(11, PATIENCE)?;
    one.command("close-stream", json!({}))?;
    drop(one);

    let mut node = Node::fresh().await?;
    let stream = node.carry(*key.as_bytes(), mirror.address()?).await?;
    assert_eq!(soon("sync", stream.synced()).await??, 11);
    meet(Dials::They, &node, &mut other).await?;
    evidence_of(&mut node, &stream).await?;
    node.shutdown().await
}

/// Makes a room without rules.
async fn money(host: &Node, quorum: quorate_node::model::NewQuorum) -> Result<quorate_node::Stream> {
    let room = quorate_node::model::NewRoom { rules: Vec::new(), rule_delay: 0, quorum: Some(quorum) };
    let new = quorate_node::model::NewStream {
        name: "money".into(),
        encoding: quorate_node::model::Encoding::Json,
        room: Some(room),
    };
    Ok(host.node.create(new).await?)
}

/// A host of ours that is its room's only validator commits by itself; what it proves is in the feed.
async fn certificates_go_through_a_stock_peer(generation: Generation) -> Result<()> {
    let host = Node::fresh().await?;
    let validator = quorate_node::Identities::open(host.home())?.vote_key()?;
    let quorum = quorate_node::model::NewQuorum { validators: vec![validator], ..Default::default() };
    let stream = money(&host, quorum).await?;
    let say = quorate_node::model::Say {
        identity: None,
        payloads: vec![data_encoding::BASE64.encode(b"{\"pay\":1}")],
        patience_ms: 5000,
        call: 0,
    };
    // The header is committed by itself, and a certificate says so.
    assert!(soon("commit", stream.committed(1)).await?? >= 1);
    until_info(&stream, "a certificate of the header", |info| info.length >= 2).await?;
    host.node.say("money", say).await?;
    assert!(soon("commit", stream.committed(3)).await?? >= 3);
    let info = until_info(&stream, "a certificate", |info| info.length >= 4).await?;

    let mut mirror = stock_reader(generation, &stream)?;
    meet(Dials::They, &host, &mut mirror).await?;
    mirror.wait_downloaded(info.length, PATIENCE)?;
    let mut blocks = Vec::new();
    for index in 0..info.length {
        blocks.push(stream.get(index).await?);
    }
    assert_eq!(mirror.checksum()?, checksum(&blocks));
    host.shutdown().await?;

    // Whoever has nothing but the stock copy reads what was committed from its blocks.
    let reader = Node::fresh().await?;
    let copy = reader.carry(mirror.key(), "").await?;
    meet(Dials::They, &reader, &mut mirror).await?;
    assert_eq!(soon("sync", copy.synced()).await??, info.length);
    assert_eq!(soon("checks", copy.checked()).await??, info.length);
    let last = Entry::decode(copy.get(info.length - 1).await?)?;
    ensure!(matches!(&last, Entry::Proof(proof) if proof.kind == ProofKind::Certificate), "found {last:?}");
    assert!(soon("commit", copy.committed(3)).await?? >= 3);
    reader.shutdown().await
}

/// The first host is gone; one of ours follows it, alone with its vote. Its feed is one like any other.
async fn a_stock_peer_clones_the_feed_of_the_next_host(generation: Generation) -> Result<()> {
    let (host, next) = (Node::fresh().await?, Node::fresh().await?);
    let identities = quorate_node::Identities::open(next.home())?;
    let (validator, identity) = (identities.vote_key()?, identities.create("host")?);
    let quorum = quorate_node::model::NewQuorum {
        validators: vec![validator],
        hosts: vec![identity.key],
        ..Default::default()
    };
    let stream = money(&host, quorum).await?;
    let copy = next.carry(*stream.key().as_bytes(), &host.listen().await?).await?;
    assert_eq!(soon("sync", copy.synced()).await??, 1);
    assert_eq!(soon("checks", copy.checked()).await??, 1);
    assert!(soon("commit", copy.committed(1)).await?? >= 1);
    host.shutdown().await?;

    let say = quorate_node::model::Say {
        identity: None,
        payloads: vec![data_encoding::BASE64.encode(b"{\"pay\":1}")],
        patience_ms: 1,
        call: 0,
    };
    let name = copy.name().to_owned();
    next.node.say(&name, say).await?;
    let info = until_info(&copy, "another host", |info| {
        let quorum = info.room.as_ref().and_then(|room| room.quorum.as_ref());
        quorum.is_some_and(|quorum| quorum.feeds.len() == 2 && quorum.committed > quorum.feeds[1].start)
    })
    .await?;
    let feeds = info.room.and_then(|room| room.quorum).map(|quorum| quorum.feeds).unwrap_or_default();
    let later = next.node.open_stream(&feeds[1].key.to_string()).await?;

    let mut mirror = stock_reader(generation, &later)?;
    meet(Dials::They, &next, &mut mirror).await?;
    // A certificate may be appended meanwhile.
    let blocks = loop {
        let length = later.info().await?.length;
        mirror.wait_downloaded(length, PATIENCE)?;
        let found = mirror.checksum()?;
        let mut blocks = Vec::new();
        for index in 0..length {
            blocks.push(later.get(index).await?);
        }
        if found == checksum(&blocks) {
            break blocks;
        }
        let grown = later.info().await?.length;
        ensure!(grown > length, "the stock peer has other blocks than the {length} that were appended");
    };
    // A tool that reads headers sees a room, and where the history before it is.
    let header = quorate_stream::header::SuccessorHeader::parse(&blocks[0])?;
    assert_eq!((header.previous.feed, header.name.as_str()), (*stream.key(), "money"));
    next.shutdown().await
}
