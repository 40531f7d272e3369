use std::collections::BTreeSet;

use super::super::message::decode;
use super::*;

const KEY: DiscoveryKey = DiscoveryKey::new([7; 32]);

fn at(host: u16, port: u16) -> SocketAddrV4 {
    let [high, low] = host.to_be_bytes();
    SocketAddrV4::new([10, 1, high, low].into(), port)
}

fn config(kind: DhtKind, host: u16) -> DhtConfig {
    let [high, low] = host.to_be_bytes();
    let mut id = [0x55; 32];
    (id[0], id[19]) = (low, high);
    let local = Some([192, 168, high, low].into());
    DhtConfig { kind, port: Some(3282), local, id, seed: u64::from(host) }
}

/// A lasting node, as stock ones are: it knows all others, keeps announcements, and gives a token to each asker.
#[derive(Debug, Default)]
struct Node {
    peers: BTreeSet<(NodeId, SocketAddrV4)>,
    local: BTreeSet<(NodeId, SocketAddrV4)>,
    refused: u32,
}

/// A network of nodes, and clients of ours.
struct World {
    kind: DhtKind,
    now: Instant,
    nodes: BTreeMap<SocketAddrV4, (NodeId, Node)>,
    clients: BTreeMap<SocketAddrV4, DhtDiscovery>,
    found: Vec<(SocketAddrV4, SocketAddrV4)>,
    sent: usize,
    silent: BTreeSet<SocketAddrV4>,
}

impl World {
    fn new(kind: DhtKind, nodes: u16) -> Self {
        let node = |number: u16| {
            let mut id = [0; 32];
            let spread = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            id[..8].copy_from_slice(&spread.to_be_bytes());
            (at(number, 1000), (NodeId::new(kind, &id), Node::default()))
        };
        Self {
            kind,
            now: Instant::now(),
            nodes: (1..=nodes).map(node).collect(),
            clients: BTreeMap::new(),
            found: Vec::new(),
            sent: 0,
            silent: BTreeSet::new(),
        }
    }

    fn client(&mut self, host: u16, port: Option<u16>) -> SocketAddrV4 {
        let mut client = DhtDiscovery::new(DhtConfig { port, ..config(self.kind, host) }, self.now);
        client.handle(self.now, DhtInput::Bootstrap(&[at(1, 1000)]));
        client.handle(self.now, DhtInput::Join(KEY));
        self.clients.insert(at(host, 5000), client);
        at(host, 5000)
    }

    fn tell(&mut self, client: SocketAddrV4, input: DhtInput<'_>) {
        let now = self.now;
        self.clients.get_mut(&client).unwrap().handle(now, input);
    }

    /// Lets time go by, and all datagrams arrive.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.deliver();
            let next = self.clients.values().filter_map(DhtDiscovery::poll_timeout).min();
            match next.filter(|next| *next <= end) {
                Some(next) => self.now = self.now.max(next),
                None => break,
            }
            for client in self.clients.values_mut() {
                client.handle(self.now, DhtInput::Timeout);
            }
        }
        self.now = end;
    }

    fn deliver(&mut self) {
        loop {
            let mut datagrams = Vec::new();
            for (from, client) in &mut self.clients {
                while let Some(output) = client.poll_output() {
                    match output {
                        DhtOutput::Send { to, bytes } => datagrams.push((*from, to, bytes)),
                        DhtOutput::Found { feed, address } => {
                            assert_eq!(feed, KEY);
                            self.found.push((*from, address));
                        }
                    }
                }
            }
            if datagrams.is_empty() {
                return;
            }
            for (from, to, bytes) in datagrams {
                self.sent += 1;
                if let Some(answer) = self.answer(from, to, &bytes) {
                    let now = self.now;
                    let client = self.clients.get_mut(&from).unwrap();
                    client.handle(now, DhtInput::Datagram { from: to, bytes: &answer });
                }
            }
        }
    }

    fn answer(&mut self, from: SocketAddrV4, to: SocketAddrV4, bytes: &[u8]) -> Option<Vec<u8>> {
        let Ok(Message::Question { transaction, question }) = decode(self.kind, bytes) else {
            panic!("{bytes:?}")
        };
        if self.silent.contains(&to) {
            return None;
        }
        let closest = |target: &NodeId| {
            let mut nodes: Vec<Contact> =
                self.nodes.iter().map(|(address, (id, _))| Contact { id: *id, address: *address }).collect();
            nodes.sort_by_key(|node| node.id.distance(target));
            nodes.truncate(self.kind.closest());
            nodes
        };
        let token = from.ip().octets().to_vec();
        let mut reply = Reply { token: Some(token.clone()), ..Reply::default() };
        match &question {
            Question::FindNode { target } | Question::Peers { target, .. } => reply.nodes = closest(target),
            _ => {}
        }
        let (id, node) = self.nodes.get_mut(&to)?;
        reply.id = Some(*id);
        match question {
            Question::Peers { target, local, .. } => {
                let of_feed = |(feed, _): &&(NodeId, SocketAddrV4)| *feed == target;
                reply.peers = node.peers.iter().filter(of_feed).map(|(_, peer)| *peer).collect();
                let near = node.local.iter().filter(of_feed).filter(|(_, peer)| {
                    local.is_some_and(|local| local.ip().octets()[..2] == peer.ip().octets()[..2])
                });
                reply.local_peers = near
                    .map(|(_, peer)| ([peer.ip().octets()[2], peer.ip().octets()[3]], peer.port()))
                    .collect();
            }
            Question::Announce { token: theirs, .. } | Question::Unannounce { token: theirs, .. }
                if theirs != token =>
            {
                node.refused += 1;
                reply = Reply { refused: true, ..Reply::default() };
            }
            Question::Announce { target, port, local, .. } => {
                node.peers.insert((target, SocketAddrV4::new(*from.ip(), port)));
                node.local.extend(local.map(|local| (target, local)));
            }
            Question::Unannounce { target, port, local, .. } => {
                node.peers.remove(&(target, SocketAddrV4::new(*from.ip(), port)));
                if let Some(local) = local {
                    node.local.remove(&(target, local));
                }
            }
            _ => {}
        }
        Some(encode_reply(self.kind, &transaction, from, &reply))
    }

    /// Nodes that hold an announcement, and how close they are among all.
    fn holders(&self) -> Vec<usize> {
        let target = NodeId::of(self.kind, &KEY);
        let mut nodes: Vec<&(NodeId, Node)> = self.nodes.values().collect();
        nodes.sort_by_key(|(id, _)| id.distance(&target));
        let holds = |(place, (_, node)): (usize, &&(NodeId, Node))| (!node.peers.is_empty()).then_some(place);
        nodes.iter().enumerate().filter_map(holds).collect()
    }
}

#[test]
fn what_one_announces_at_the_closest_nodes_another_finds() {
    for kind in DhtKind::ALL {
        let mut world = World::new(kind, 300);
        let sharer = world.client(1001, Some(3282));
        world.run(Duration::from_secs(1));
        assert_eq!(world.holders(), (0..kind.closest()).collect::<Vec<_>>(), "{kind:?}");
        let counts = world.clients[&sharer].counts();
        assert_eq!(counts.announced, kind.closest() as u64, "{kind:?}: {counts:?}");
        assert!(counts.answers && counts.nodes >= kind.closest(), "{counts:?}");
        world.sent = 0;
        let cloner = world.client(1002, None);
        world.run(Duration::from_secs(1));
        let found: BTreeSet<_> =
            world.found.iter().filter(|(by, _)| *by == cloner).map(|(_, at)| *at).collect();
        let mut expected = BTreeSet::from([at(1001, 3282)]);
        if kind == DhtKind::Hyperswarm {
            expected.insert("192.168.3.233:3282".parse().unwrap());
        }
        assert_eq!(found, expected, "{kind:?}");
        // Two searches among 300 nodes ask a small part of them.
        assert!(world.sent < 120, "{kind:?}: {}", world.sent);
        // Whoever only asks announces nothing.
        let peers: BTreeSet<_> = world.nodes.values().flat_map(|(_, node)| &node.peers).collect();
        assert_eq!(peers.len(), 1);
    }
}

#[test]
fn a_late_sharer_is_found_by_who_asks_again() {
    for kind in DhtKind::ALL {
        let mut world = World::new(kind, 20);
        let cloner = world.client(1002, None);
        world.run(Duration::from_secs(3));
        assert_eq!(world.found, []);
        world.client(1001, Some(3282));
        world.run(Duration::from_secs(15));
        assert!(world.found.contains(&(cloner, at(1001, 3282))), "{kind:?}");
    }
}

#[test]
fn an_announcement_is_taken_back_where_there_is_a_word_for_it() {
    for kind in DhtKind::ALL {
        let mut world = World::new(kind, 50);
        let sharer = world.client(1001, Some(3282));
        world.run(Duration::from_secs(1));
        assert_eq!(world.holders().len(), kind.closest());
        let sent = world.sent;
        world.tell(sharer, DhtInput::Close);
        world.deliver();
        let left = if kind == DhtKind::BitTorrent { kind.closest() } else { 0 };
        assert_eq!(world.holders().len(), left, "{kind:?}");
        assert_eq!(world.sent - sent, kind.closest() - left);
        assert!(world.nodes.values().all(|(_, node)| node.local.is_empty()));
    }
}

#[test]
fn nodes_that_are_gone_hold_nobody_up() {
    for kind in DhtKind::ALL {
        let mut world = World::new(kind, 100);
        world.silent = (2..=100).filter(|number| number % 3 != 0).map(|number| at(number, 1000)).collect();
        let sharer = world.client(1001, Some(3282));
        world.run(Duration::from_secs(60));
        let cloner = world.client(1002, None);
        world.run(Duration::from_secs(60));
        assert!(world.found.contains(&(cloner, at(1001, 3282))), "{kind:?}");
        assert!(world.clients[&sharer].counts().announced > 0);
    }
}

#[test]
fn where_nobody_answers_is_said_and_asked_less_and_less_often() {
    for kind in DhtKind::ALL {
        let mut world = World::new(kind, 1);
        world.silent.insert(at(1, 1000));
        let client = world.client(1001, Some(3282));
        world.run(Duration::from_secs(3600));
        assert!(!world.clients[&client].counts().answers);
        // Two searches, each asked twice, every two minutes or so.
        assert!((100..200).contains(&world.sent), "{}", world.sent);
        world.silent.clear();
        world.run(Duration::from_secs(200));
        assert!(world.clients[&client].counts().answers, "{kind:?}");
        assert_eq!(world.holders(), [0]);
    }
}

#[test]
fn nothing_is_said_before_there_is_a_node_to_begin_with() {
    let now = Instant::now();
    let mut client = DhtDiscovery::new(config(DhtKind::Hyperswarm, 1), now);
    client.handle(now, DhtInput::Join(KEY));
    client.handle(now + Duration::from_secs(100), DhtInput::Timeout);
    assert_eq!((client.poll_output(), client.poll_timeout()), (None, None));
}

fn sent(client: &mut DhtDiscovery) -> Vec<(SocketAddrV4, Transaction, Question)> {
    let mut all = Vec::new();
    while let Some(output) = client.poll_output() {
        if let DhtOutput::Send { to, bytes } = output
            && let Ok(Message::Question { transaction, question }) = decode(client.config.kind, &bytes)
        {
            all.push((to, transaction, question));
        }
    }
    all
}

fn begun(kind: DhtKind, now: Instant) -> (DhtDiscovery, Transaction) {
    let mut client = DhtDiscovery::new(config(kind, 1), now);
    client.handle(now, DhtInput::Bootstrap(&[at(1, 1000)]));
    client.handle(now, DhtInput::Join(KEY));
    let asked = sent(&mut client);
    let about_feed = |(_, _, question): &&(SocketAddrV4, Transaction, Question)| {
        matches!(question, Question::Peers { .. })
    };
    let transaction = asked.iter().find(about_feed).unwrap().1.clone();
    (client, transaction)
}

#[test]
fn only_whoever_was_asked_is_believed() {
    for kind in DhtKind::ALL {
        let now = Instant::now();
        let (mut client, transaction) = begun(kind, now);
        let reply = Reply {
            id: Some(NodeId::new(kind, &[9; 32])),
            peers: vec![at(66, 66)],
            token: Some(vec![1]),
            ..Reply::default()
        };
        let say = |client: &mut DhtDiscovery, from, transaction: &Transaction| {
            let bytes = encode_reply(kind, transaction, at(1, 1), &reply);
            client.handle(now, DhtInput::Datagram { from, bytes: &bytes });
            let found = std::iter::from_fn(|| client.poll_output());
            found.filter(|output| matches!(output, DhtOutput::Found { .. })).count()
        };
        assert_eq!(say(&mut client, at(2, 1000), &transaction), 0, "another host");
        assert_eq!(say(&mut client, at(1, 1001), &transaction), 0, "another port");
        let number = transaction.number(kind).unwrap();
        let others = (0..=u16::MAX).filter(|other| *other != number && !client.pending.contains_key(other));
        for other in others.step_by(97).collect::<Vec<_>>() {
            assert_eq!(say(&mut client, at(1, 1000), &Transaction::new(kind, other)), 0, "another question");
        }
        assert_eq!(say(&mut client, at(1, 1000), &transaction), 1);
        assert_eq!(say(&mut client, at(1, 1000), &transaction), 0, "the same again");
    }
}

#[test]
fn a_node_of_the_internet_names_nobody_of_our_networks() {
    for kind in DhtKind::ALL {
        let now = Instant::now();
        let public: SocketAddrV4 = "198.51.100.1:1000".parse().unwrap();
        let mut client = DhtDiscovery::new(config(kind, 1), now);
        client.handle(now, DhtInput::Bootstrap(&[public]));
        client.handle(now, DhtInput::Join(KEY));
        for (_, transaction, _) in sent(&mut client) {
            let near: Vec<SocketAddrV4> =
                ["127.0.0.1:22", "10.0.0.1:22", "192.168.1.1:80", "224.0.0.251:5353"]
                    .iter()
                    .map(|text| text.parse().unwrap())
                    .collect();
            let contact = |address: &SocketAddrV4| Contact {
                id: NodeId::new(kind, &[address.ip().octets()[0]; 32]),
                address: *address,
            };
            let reply =
                Reply { peers: near.clone(), nodes: near.iter().map(contact).collect(), ..Reply::default() };
            let bytes = encode_reply(kind, &transaction, public, &reply);
            client.handle(now, DhtInput::Datagram { from: public, bytes: &bytes });
        }
        assert_eq!(client.poll_output(), None, "{kind:?}");
    }
}

#[test]
fn questions_of_others_are_answered_in_proportion() {
    for kind in DhtKind::ALL {
        let mut world = World::new(kind, 30);
        let client = world.client(1001, Some(3282));
        world.run(Duration::from_secs(1));
        let mut client = world.clients.remove(&client).unwrap();
        let now = world.now;
        let target = NodeId::new(kind, &[3; 32]);
        let token = vec![1; 4];
        let questions = [
            Question::Ping,
            Question::FindNode { target },
            Question::Peers { target, port: None, local: None },
            Question::Announce { target, port: 1, local: None, token },
        ];
        for (number, question) in questions.iter().enumerate() {
            let transaction = Transaction::from_bytes(&[0, 0, 0, 0, 0, 9, 9, 9]).unwrap();
            let bytes = encode_question(kind, &target, &transaction, at(1, 1), question);
            client.handle(now, DhtInput::Datagram { from: at(5, 5), bytes: &bytes });
            let Some(DhtOutput::Send { to, bytes: answer }) = client.poll_output() else {
                panic!("{question:?}")
            };
            let Ok(Message::Reply { transaction: same, reply }) = decode(kind, &answer) else { panic!() };
            assert_eq!((to, same), (at(5, 5), transaction));
            assert_eq!(reply.id.is_some(), kind == DhtKind::BitTorrent && number != 3);
            assert_eq!((reply.refused, reply.token, reply.peers), (number == 3, None, Vec::new()));
            assert_eq!(reply.nodes.len(), if (1..3).contains(&number) { NODES_TOLD } else { 0 });
            assert!(answer.len() < 6 * bytes.len(), "{} for {}", answer.len(), bytes.len());
        }
        let ping = encode_question(kind, &target, &Transaction::new(kind, 1), at(1, 1), &Question::Ping);
        let answers = |client: &mut DhtDiscovery, now| {
            for _ in 0..1000 {
                client.handle(now, DhtInput::Datagram { from: at(5, 5), bytes: &ping });
            }
            std::iter::from_fn(|| client.poll_output()).count()
        };
        let limit = quorate_types::limits::MAX_DHT_ANSWERS_PER_SECOND as usize;
        assert_eq!(answers(&mut client, now), limit - questions.len());
        assert_eq!(answers(&mut client, now + Duration::from_secs(1)), limit);
    }
}

#[test]
fn a_wrong_token_announces_nothing() {
    for kind in DhtKind::ALL {
        let now = Instant::now();
        let (mut client, transaction) = begun(kind, now);
        let id = Some(NodeId::new(kind, &[9; 32]));
        let reply = Reply { id, token: Some(vec![1]), ..Reply::default() };
        let bytes = encode_reply(kind, &transaction, at(1, 1), &reply);
        client.handle(now, DhtInput::Datagram { from: at(1, 1000), bytes: &bytes });
        let announced = sent(&mut client);
        let [(to, transaction, Question::Announce { token, .. })] = announced.as_slice() else {
            panic!("{announced:?}")
        };
        assert_eq!((*to, token.as_slice()), (at(1, 1000), &[1][..]));
        let refusal = encode_reply(kind, transaction, at(1, 1), &Reply { refused: true, ..Reply::default() });
        client.handle(now, DhtInput::Datagram { from: at(1, 1000), bytes: &refusal });
        assert_eq!(client.counts().announced, 0);
        // So nothing is taken back either.
        client.handle(now, DhtInput::Close);
        assert_eq!(client.poll_output(), None);
    }
}

#[test]
fn many_feeds_are_searched_for_a_few_at_a_time() {
    for kind in DhtKind::ALL {
        let now = Instant::now();
        let mut client = DhtDiscovery::new(config(kind, 1), now);
        client.handle(now, DhtInput::Bootstrap(&[at(1, 1000)]));
        for number in 0..2000_u16 {
            let mut key = [0; 32];
            key[..2].copy_from_slice(&number.to_be_bytes());
            client.handle(now, DhtInput::Join(DiscoveryKey::new(key)));
            assert!(client.searches.len() <= MAX_DHT_SEARCHES && client.pending.len() <= MAX_DHT_PENDING);
        }
        assert_eq!(client.feeds.len(), MAX_TOPICS);
        assert!(sent(&mut client).len() <= MAX_DHT_SEARCHES);
    }
}

proptest::proptest! {
    #[test]
    fn whatever_nodes_say_the_client_stays_bounded(
        steps in proptest::collection::vec(
            (proptest::num::u8::ANY, proptest::num::u8::ANY, proptest::num::u8::ANY, 0..3000_u64), 1..200),
        hyperswarm in proptest::bool::ANY,
    ) {
        let kind = if hyperswarm { DhtKind::Hyperswarm } else { DhtKind::BitTorrent };
        let mut now = Instant::now();
        let mut client = DhtDiscovery::new(config(kind, 1), now);
        client.handle(now, DhtInput::Bootstrap(&[at(1, 1000), at(2, 1000)]));
        client.handle(now, DhtInput::Join(KEY));
        let mut asked: VecDeque<(SocketAddrV4, Transaction, Question)> = VecDeque::new();
        for (what, one, two, millis) in steps {
            now += Duration::from_millis(millis);
            asked.extend(sent(&mut client));
            match (what % 4, asked.pop_front()) {
                (0, _) => client.handle(now, DhtInput::Timeout),
                (_, Some((from, transaction, _))) => {
                    let contact = |number: u8| Contact {
                        id: NodeId::new(kind, &[number.wrapping_mul(one) ^ two; 32]),
                        address: at(u16::from(number) * 7, 1000 + u16::from(two)),
                    };
                    let reply = Reply {
                        id: (what & 8 == 0).then(|| NodeId::new(kind, &[one; 32])),
                        nodes: (0..what % 20).map(contact).collect(),
                        token: (what & 16 == 0).then(|| vec![two; usize::from(one % 64)]),
                        peers: (1..=u16::from(two % 100)).map(|port| at(u16::from(one), port)).collect(),
                        refused: what & 32 != 0 && what & 64 != 0,
                        ..Reply::default()
                    };
                    let bytes = encode_reply(kind, &transaction, at(1, 1), &reply);
                    client.handle(now, DhtInput::Datagram { from, bytes: &bytes });
                }
                (_, None) => client.handle(now, DhtInput::Timeout),
            }
            proptest::prop_assert!(client.pending.len() <= MAX_DHT_PENDING);
            proptest::prop_assert!(client.searches.len() <= MAX_DHT_SEARCHES);
            proptest::prop_assert!(client.table.len() <= quorate_types::limits::MAX_DHT_TABLE);
            proptest::prop_assert!(client.announcements.len() <= MAX_DHT_SEARCHES * kind.closest());
            let next = client.poll_timeout();
            proptest::prop_assert!(next.is_some(), "it comes to a stop");
        }
    }
}
