//! Rooms between nodes: actions are checked before they are appended, and again by everyone who follows.

use std::path::PathBuf;
use std::time::Duration;

use data_encoding::BASE64;
use quorate_net::runtime::{AsyncStd, Runtime, before};
use quorate_node::model::{CloneStream, Encoding, NewRoom, NewRule, NewStream, Said, SaidState, Say};
use quorate_node::{Code, Identities, Listen, Node, NodeConfig, Stream};
use quorate_rules::builtin;

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

    async fn says(&self, name: &str, payload: &str) -> Said {
        let say = Say {
            identity: Some(name.into()),
            payloads: vec![BASE64.encode(payload.as_bytes())],
            patience_ms: PATIENCE.as_millis() as u64,
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
    let chess = builtin::ALL.iter().find(|rule| rule.name == "chess").unwrap();
    let params = format!("{{\"white\":\"{white}\",\"black\":\"{black}\"}}");
    let rule = NewRule {
        name: "chess".into(),
        module: BASE64.encode(chess.module),
        params: BASE64.encode(params.as_bytes()),
        locked: true,
    };
    let room = NewRoom { rules: vec![rule], rule_delay: 0 };
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
