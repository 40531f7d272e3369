//! Two nodes on loopback.

use std::time::Duration;

use bytes::Bytes;
use quorate_net::runtime::{AsyncStd, Runtime, before};
use quorate_node::event::Event;
use quorate_node::model::{CloneStream, Encoding, NewStream};
use quorate_node::{EventStream, Listen, Node, NodeConfig, Stream};

const PATIENCE: Duration = Duration::from_secs(20);

struct Home {
    node: Node,
    _directory: tempfile::TempDir,
}

async fn home() -> Home {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::open(NodeConfig::new(directory.path())).await.unwrap();
    Home { node, _directory: directory }
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let runtime = AsyncStd;
    match before(&runtime, runtime.now() + PATIENCE, future).await {
        Some(value) => value,
        None => panic!("{what}: not within {PATIENCE:?}"),
    }
}

async fn sharing(home: &Home, blocks: usize) -> (Stream, String) {
    let new = NewStream { name: "log".into(), encoding: Encoding::Binary, room: None };
    let stream = home.node.create(new).await.unwrap();
    stream.append((0..blocks).map(block).collect()).await.unwrap();
    let listen = Listen { host: Some([127, 0, 0, 1].into()), port: 0, or_next_free: false };
    let address = home.node.listen(listen).await.unwrap();
    (stream, address.to_string())
}

fn block(index: usize) -> Bytes {
    Bytes::from(format!("block {index} {}", "x".repeat(index % 300)))
}

fn clone(stream: &Stream, peer: &str) -> CloneStream {
    CloneStream {
        link: stream.link().to_string(),
        name: None,
        peers: vec![peer.into()],
        sparse: false,
        no_check: false,
    }
}

async fn until(events: &mut EventStream, wanted: impl Fn(&Event) -> bool) -> Event {
    within("event", async {
        loop {
            let event = events.next().await.expect("the node runs");
            if wanted(&event) {
                return event;
            }
        }
    })
    .await
}

#[test]
fn a_clone_gets_every_block_and_what_is_appended_later() {
    AsyncStd::block_on(async {
        let (writer, reader) = (home().await, home().await);
        let (stream, address) = sharing(&writer, 500).await;
        let mut events = reader.node.events();
        let copy = reader.node.clone_stream(clone(&stream, &address), true).await.unwrap();
        assert_eq!(within("sync", copy.synced()).await.unwrap(), 500);
        for index in 0..500 {
            assert_eq!(copy.get(index as u64).await.unwrap(), block(index));
        }
        until(&mut events, |event| matches!(event, Event::Synced { length: 500, .. })).await;
        stream.append(vec![Bytes::from("live")]).await.unwrap();
        assert_eq!(within("live block", copy.fetch(500)).await.unwrap(), "live");
        until(&mut events, |event| matches!(event, Event::Synced { length: 501, .. })).await;
        let info = copy.info().await.unwrap();
        assert_eq!((info.length, info.here, info.peers, info.remote_length), (501, 501, 1, 501));
        assert_eq!(info.tree_hash, stream.info().await.unwrap().tree_hash);
        let peers = reader.node.peers(None).await.unwrap();
        assert_eq!((peers.len(), peers[0].wire.as_str(), peers[0].quorate), (1, "B2", true));
        writer.node.shutdown().await.unwrap();
        reader.node.shutdown().await.unwrap();
    });
}

#[test]
fn a_sparse_clone_fetches_what_is_asked_for() {
    AsyncStd::block_on(async {
        let (writer, reader) = (home().await, home().await);
        let (stream, address) = sharing(&writer, 100).await;
        let wanted = CloneStream { sparse: true, ..clone(&stream, &address) };
        let copy = reader.node.clone_stream(wanted, true).await.unwrap();
        assert_eq!(within("block", copy.fetch(42)).await.unwrap(), block(42));
        let info = copy.info().await.unwrap();
        assert_eq!((info.length, info.here), (100, 1));
    });
}

#[test]
fn a_sparse_clone_follows_the_head_and_fetches_nothing_else() {
    AsyncStd::block_on(async {
        let (writer, reader) = (home().await, home().await);
        let (stream, address) = sharing(&writer, 100).await;
        let mut events = reader.node.events();
        let wanted = CloneStream { sparse: true, ..clone(&stream, &address) };
        let copy = reader.node.clone_stream(wanted, true).await.unwrap();
        until(&mut events, |event| matches!(event, Event::Synced { length: 100, .. })).await;
        stream.append(vec![block(100), block(101)]).await.unwrap();
        until(&mut events, |event| matches!(event, Event::Synced { length: 102, .. })).await;
        let info = copy.info().await.unwrap();
        assert_eq!((info.length, info.here), (102, 0));
        assert_eq!(info.tree_hash, stream.info().await.unwrap().tree_hash);
    });
}

#[test]
fn a_clone_goes_on_where_it_was_and_serves_others() {
    AsyncStd::block_on(async {
        let writer = home().await;
        let (stream, address) = sharing(&writer, 300).await;
        let middle = home().await;
        let copy = middle.node.clone_stream(clone(&stream, &address), true).await.unwrap();
        within("sync", copy.synced()).await.unwrap();
        writer.node.shutdown().await.unwrap();

        let listen = Listen { host: Some([127, 0, 0, 1].into()), port: 0, or_next_free: false };
        let address = middle.node.listen(listen).await.unwrap().to_string();
        let last = home().await;
        let copy = last.node.clone_stream(clone(&stream, &address), true).await.unwrap();
        assert_eq!(within("sync", copy.synced()).await.unwrap(), 300);
        assert_eq!(copy.get(299).await.unwrap(), block(299));
    });
}

#[test]
fn a_node_that_dialled_ends_its_connections_in_order_and_at_once() {
    AsyncStd::block_on(async {
        let (writer, reader) = (home().await, home().await);
        let (stream, address) = sharing(&writer, 10).await;
        let mut events = writer.node.events();
        let copy = reader.node.clone_stream(clone(&stream, &address), true).await.unwrap();
        within("sync", copy.synced()).await.unwrap();
        let started = AsyncStd.now();
        reader.node.shutdown().await.unwrap();
        assert!(AsyncStd.now() - started < Duration::from_secs(2), "the end was waited for in vain");
        let end = until(&mut events, |event| matches!(event, Event::Disconnected { .. })).await;
        assert!(
            matches!(end, Event::Disconnected { reason, .. } if reason == "the peer closed the connection")
        );
    });
}

#[test]
fn extension_messages_go_both_ways() {
    AsyncStd::block_on(async {
        let mut homes = Vec::new();
        for _ in 0..2 {
            let directory = tempfile::tempdir().unwrap();
            let mut config = NodeConfig::new(directory.path());
            config.extensions.push("chat".into());
            homes.push(Home { node: Node::open(config).await.unwrap(), _directory: directory });
        }
        let (stream, address) = sharing(&homes[0], 1).await;
        let copy = homes[1].node.clone_stream(clone(&stream, &address), true).await.unwrap();
        within("sync", copy.synced()).await.unwrap();
        let (here, there) = (stream.extensions().await.unwrap(), copy.extensions().await.unwrap());
        for size in [0, 200, 60_000] {
            let payload = Bytes::from(vec![7; size]);
            assert_eq!(stream.send_extension("chat", payload.clone()).await.unwrap(), 1);
            assert_eq!(copy.send_extension("chat", payload.clone()).await.unwrap(), 1);
            for messages in [&here, &there] {
                let message = within("message", messages.recv()).await.unwrap();
                assert_eq!((message.name.as_str(), message.payload), ("chat", payload.clone()));
            }
        }
    });
}
