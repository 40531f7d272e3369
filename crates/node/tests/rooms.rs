//! Rooms between nodes: actions are checked before they are appended, and again by everyone who follows.

use std::path::PathBuf;
use std::time::Duration;

use data_encoding::BASE64;
use quorate_feed::{Feed, FeedConfig};
use quorate_net::runtime::{AsyncStd, Runtime, before};
use quorate_node::model::{
    CloneStream, Encoding, NewQuorum, NewRoom, NewRule, NewStream, QuorumInfo, Said, SaidState, Say, Verdict,
};
use quorate_node::{Code, Identities, Listen, Node, NodeConfig, Stream};
use quorate_rules::builtin;
use quorate_store::FeedDirectory;
use quorate_stream::action::UnsignedAction;
use quorate_stream::identity::{Anchor, Author, room_id};
use quorate_types::{BlockRange, Hash, PublicKey};

const PATIENCE: Duration = Duration::from_secs(30);

struct Home {
    node: Node,
    directory: tempfile::TempDir,
}

impl Home {
    async fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { node: Node::open(NodeConfig::new(directory.path())).await.unwrap(), directory }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    fn key(&self, name: &str) -> String {
        Identities::open(&self.path()).unwrap().create(name).unwrap().key.to_string()
    }

    fn vote_key(&self) -> PublicKey {
        Identities::open(&self.path()).unwrap().vote_key().unwrap()
    }

    /// Waits until the quorum of the game stands so, as far as this home knows.
    async fn until(&self, what: &str, fits: impl Fn(&QuorumInfo) -> bool) -> QuorumInfo {
        let end = AsyncStd.now() + PATIENCE;
        loop {
            let stream = within("stream", self.node.open_stream("game")).await.unwrap();
            let room = within("info", stream.info()).await.unwrap().room;
            match room.as_ref().and_then(|room| room.quorum.as_ref()) {
                Some(quorum) if fits(quorum) => return quorum.clone(),
                _ => assert!(AsyncStd.now() < end, "no {what}: {room:#?}"),
            }
            AsyncStd.sleep_until(AsyncStd.now() + Duration::from_millis(20)).await;
        }
    }

    async fn says(&self, name: &str, payload: &str) -> Said {
        let say = Say {
            identity: Some(name.into()),
            payloads: vec![BASE64.encode(payload.as_bytes())],
            patience_ms: PATIENCE.as_millis() as u64,
            call: 0,
        };
        let mut said = within("an answer", self.node.say("game", say)).await.unwrap();
        assert_eq!(said.len(), 1);
        said.remove(0)
    }
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    before(&AsyncStd, AsyncStd.now() + PATIENCE, future).await.unwrap_or_else(|| panic!("no {what}"))
}

async fn chess(host: &Home, white: &str, black: &str) -> (Stream, String) {
    chess_with(host, white, black, None).await
}

async fn chess_with(host: &Home, white: &str, black: &str, quorum: Option<NewQuorum>) -> (Stream, String) {
    let chess = builtin::ALL.iter().find(|rule| rule.name == "chess").unwrap();
    let params = format!("{{\"white\":\"{white}\",\"black\":\"{black}\"}}");
    let rule = NewRule {
        name: "chess".into(),
        module: BASE64.encode(chess.module),
        params: BASE64.encode(params.as_bytes()),
        locked: true,
    };
    let room = NewRoom { rules: vec![rule], rule_delay: 0, quorum };
    let new = NewStream { name: "game".into(), encoding: Encoding::Json, room: Some(room) };
    let stream = host.node.create(new).await.unwrap();
    let listen = Listen { host: Some([127, 0, 0, 1].into()), port: 0, or_next_free: false };
    let address = host.node.listen(listen).await.unwrap().to_string();
    (stream, address)
}

fn refusal(said: &Said) -> (&str, &str) {
    match &said.state {
        SaidState::Refused { code, reason, .. } => (code, reason),
        other => panic!("expected a refusal, found {other:?}"),
    }
}

#[test]
fn the_host_appends_what_the_rules_accept_and_nothing_else() {
    AsyncStd::block_on(async {
        let host = Home::open().await;
        let (white, black) = (host.key("white"), host.key("black"));
        let (stream, _) = chess(&host, &white, &black).await;
        let length = stream.info().await.unwrap().length;
        assert!(
            matches!(host.says("white", r#"{"move":"e2e4"}"#).await.state, SaidState::Appended { index } if index == length)
        );
        let said = host.says("white", r#"{"move":"d2d4"}"#).await;
        assert_eq!(refusal(&said), ("E3101", "refused by rule chess: it is black's turn"));
        let said = host.says("black", r#"{"move":"e7e4"}"#).await;
        assert_eq!(refusal(&said).0, "E3101");
        let info = stream.info().await.unwrap();
        assert_eq!(info.length, length + 1, "nothing was appended");
        let room = info.room.unwrap();
        assert_eq!((room.host, room.checked, room.rules.len(), room.refused), (true, length + 1, 1, None));
        // The bytes as they are: not even the host appends those.
        let raw = stream.append(vec!["e2e4".into()]).await.unwrap_err();
        assert_eq!(raw.code, Code::EntryNotAllowed);
        host.node.shutdown().await.unwrap();

        // Another process goes on where this one was.
        let node = Node::open(NodeConfig::new(&host.path())).await.unwrap();
        let again = Home { node, directory: host.directory };
        assert!(
            matches!(again.says("black", r#"{"move":"e7e5"}"#).await.state, SaidState::Appended { index } if index == length + 1)
        );
        again.node.shutdown().await.unwrap();
    });
}

#[test]
fn a_player_elsewhere_moves_through_the_host_and_checks_what_it_appends() {
    AsyncStd::block_on(async {
        let (host, player, between) = (Home::open().await, Home::open().await, Home::open().await);
        let (white, black) = (host.key("white"), player.key("black"));
        let (stream, address) = chess(&host, &white, &black).await;
        // The player knows a peer in between, and not the host.
        let clone = |peer: &str| CloneStream {
            link: stream.link().to_string(),
            name: Some("game".into()),
            peers: vec![peer.into()],
            sparse: false,
            no_check: false,
        };
        between.node.clone_stream(clone(&address), true).await.unwrap();
        let listen = Listen { host: Some([127, 0, 0, 1].into()), port: 0, or_next_free: false };
        let relay = between.node.listen(listen).await.unwrap().to_string();
        let copy = player.node.clone_stream(clone(&relay), true).await.unwrap();
        within("sync", copy.synced()).await.unwrap();

        assert!(matches!(host.says("white", r#"{"move":"e2e4"}"#).await.state, SaidState::Appended { .. }));
        let length = stream.info().await.unwrap().length;
        within("the move", copy.fetch(length - 1)).await.unwrap();
        let said = player.says("black", r#"{"move":"e7e6"}"#).await;
        assert_eq!(said.state, SaidState::Appended { index: length });
        let said = player.says("black", r#"{"move":"d7d5"}"#).await;
        assert_eq!(refusal(&said), ("E3101", "refused by rule chess: it is white's turn"));

        within("the move", copy.fetch(length)).await.unwrap();
        let theirs = stream.info().await.unwrap().room.unwrap();
        let ours = within("the check", async {
            loop {
                let room = copy.info().await.unwrap().room.unwrap();
                if room.checked == length + 1 {
                    return room;
                }
                AsyncStd.sleep_until(AsyncStd.now() + Duration::from_millis(20)).await;
            }
        })
        .await;
        assert_eq!((ours.state_root, ours.checked), (theirs.state_root, theirs.checked));
        for home in [player, between, host] {
            home.node.shutdown().await.unwrap();
        }
    });
}

/// Appends a block to the feed of a host behind the back of its node: a program that does not check.
async fn append_unchecked(host: &Home, sequence: u64, payload: &str) {
    let home = quorate_store::Home::open(host.path()).unwrap();
    let white = home.identity(&"white".parse().unwrap()).unwrap();
    let author = Author::from_secret(&white.secret).unwrap();
    let stored = home.find("game").unwrap();
    let FeedDirectory { keys, storage, lock, .. } = FeedDirectory::open(&stored.files).await.unwrap();
    let (mut feed, _) = Feed::open(keys, storage, FeedConfig::default()).await.unwrap();
    let room = room_id(&stored.key, &feed.get(0).await.unwrap().unwrap());
    let anchor = Anchor::new(0, Hash::new([0; 32]));
    let action = UnsignedAction { sequence, anchor, valid_until: 0, payload: payload.to_owned().into() };
    let block = action.sign(&room, &author).unwrap().encode();
    feed.append(&[block]).await.unwrap();
    feed.commit().await.unwrap();
    feed.flush().await.unwrap();
    drop(lock);
}

#[test]
fn a_host_that_breaks_the_rules_of_its_room_is_followed_no_further_and_the_block_is_kept() {
    AsyncStd::block_on(async {
        let host = Home::open().await;
        let (white, black) = (host.key("white"), host.key("black"));
        let (stream, _) = chess(&host, &white, &black).await;
        let length = stream.info().await.unwrap().length;
        host.node.shutdown().await.unwrap();
        append_unchecked(&host, 0, r#"{"move":"e2e5"}"#).await;

        let node = Node::open(NodeConfig::new(&host.path())).await.unwrap();
        let stream = node.open_stream("game").await.unwrap();
        // The host's own node sees it, too.
        let failure = within("a verdict", stream.checked()).await;
        assert_eq!(
            failure.map_err(|failure| failure.code),
            Err(Code::HostBrokeRules),
            "{:?}",
            stream.info().await
        );
        let listen = Listen { host: Some([127, 0, 0, 1].into()), port: 0, or_next_free: false };
        let address = node.listen(listen).await.unwrap().to_string();
        let (player, carrier) = (Home::open().await, Home::open().await);
        let clone = |no_check| CloneStream {
            link: stream.link().to_string(),
            name: Some("game".into()),
            peers: vec![address.clone()],
            sparse: false,
            no_check,
        };
        let copy = player.node.clone_stream(clone(false), true).await.unwrap();
        for index in 0..=length {
            within("the block", copy.fetch(index)).await.unwrap();
        }
        let failure = within("a verdict", copy.checked()).await.unwrap_err();
        assert_eq!(failure.code, Code::HostBrokeRules);
        let info = copy.info().await.unwrap();
        let refused = info.room.unwrap().refused.unwrap();
        assert_eq!((refused.index, refused.code.as_str()), (length, "E3101"));
        assert!(refused.reason.contains("e2e5 is not a legal move"), "{}", refused.reason);
        // The block is kept as proof, with its verdict.
        let entry = copy.blocks(BlockRange::new(length, length + 1)).await.unwrap().remove(0).entry.unwrap();
        assert_eq!((entry.verdict, entry.code.as_deref()), (Verdict::Refused, Some("E3101")));
        assert!(!copy.get(length).await.unwrap().is_empty());
        // Nobody speaks in such a room.
        let say = Say { identity: None, payloads: vec![], patience_ms: 1000, call: 0 };
        assert_eq!(player.node.say("game", say).await.unwrap_err().code, Code::HostBrokeRules);
        // Who only carries bytes carries them.
        let bytes = carrier.node.clone_stream(clone(true), true).await.unwrap();
        assert_eq!(within("sync", bytes.synced()).await.unwrap(), length + 1);
        assert_eq!(bytes.info().await.unwrap().room, None);
        for node in [player.node, carrier.node, node] {
            node.shutdown().await.unwrap();
        }
    });
}

#[test]
fn validators_say_no_to_a_host_that_breaks_the_rules_and_the_next_one_goes_on() {
    AsyncStd::block_on(async {
        let [host, bob, carol, dave] =
            [Home::open().await, Home::open().await, Home::open().await, Home::open().await];
        let (white, black) = (host.key("white"), carol.key("black"));
        let validators = [&host, &bob, &carol, &dave].map(Home::vote_key).to_vec();
        let quorum =
            NewQuorum { validators, hosts: vec![bob.key("host").parse().unwrap()], ..NewQuorum::default() };
        let (stream, address) = chess_with(&host, &white, &black, Some(quorum)).await;
        let feed = *stream.key();
        let listen = |port| Listen { host: Some([127, 0, 0, 1].into()), port, or_next_free: false };
        let beside = bob.node.listen(listen(0)).await.unwrap().to_string();
        for (home, peers) in
            [(&bob, vec![&address]), (&carol, vec![&address, &beside]), (&dave, vec![&address, &beside])]
        {
            let clone = CloneStream {
                link: stream.link().to_string(),
                name: Some("game".into()),
                peers: peers.into_iter().cloned().collect(),
                sparse: false,
                no_check: false,
            };
            home.node.clone_stream(clone, true).await.unwrap();
        }
        let SaidState::Appended { index } = host.says("white", r#"{"move":"e2e4"}"#).await.state else {
            panic!("expected a move that is appended");
        };
        for home in [&host, &bob, &carol, &dave] {
            home.until("commit", |quorum| quorum.committed > index).await;
        }
        // White moves again, and the host is in it.
        host.node.shutdown().await.unwrap();
        append_unchecked(&host, 1, r#"{"move":"d2d4"}"#).await;
        let node = Node::open(NodeConfig::new(&host.path())).await.unwrap();
        let host = Home { node, directory: host.directory };
        let port = address.rsplit_once(':').unwrap().1.parse().unwrap();
        host.node.open_stream("game").await.unwrap();
        host.node.listen(listen(port)).await.unwrap();

        // They say no, with the reason, and show by the block itself who did it.
        let kinds = |quorum: &QuorumInfo| -> Vec<(String, PublicKey)> {
            quorum.evidence.iter().map(|one| (one.kind.clone(), one.culprit)).collect()
        };
        for home in [&bob, &carol, &dave] {
            let quorum = home.until("evidence", |quorum| !quorum.evidence.is_empty()).await;
            assert_eq!(kinds(&quorum), [("bad-append".to_owned(), feed)]);
            let quorum = home.until("another host", |quorum| quorum.epoch == 1).await;
            assert!(quorum.committed > index, "{quorum:?}");
        }
        // The game goes on without that move.
        let said = carol.says("black", r#"{"move":"e7e5"}"#).await;
        let SaidState::Appended { index } = said.state else { panic!("{said:?}") };
        let quorum = dave.until("commit", |quorum| quorum.epoch == 1 && quorum.committed > index).await;
        assert_eq!(kinds(&quorum), [("bad-append".to_owned(), feed)], "nobody else is accused");
        let room = dave.node.open_stream("game").await.unwrap().info().await.unwrap().room.unwrap();
        assert_eq!((room.refused, room.unable), (None, None));
        // Who comes later, when the room has long gone on without that block, finds the same by itself.
        let late = Home::open().await;
        let clone = CloneStream {
            link: stream.link().to_string(),
            name: Some("game".into()),
            peers: vec![beside],
            sparse: false,
            no_check: false,
        };
        late.node.clone_stream(clone, true).await.unwrap();
        let quorum = late.until("evidence", |quorum| quorum.epoch == 1 && !quorum.evidence.is_empty()).await;
        assert_eq!(kinds(&quorum), [("bad-append".to_owned(), feed)]);
        for home in [host, bob, carol, dave, late] {
            home.node.shutdown().await.unwrap();
        }
    });
}
