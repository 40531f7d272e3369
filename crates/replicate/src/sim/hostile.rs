//! Peers that send anything, and nodes that report anything.

use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;
use quorate_proto::dat::{Cancel, Data, FeedMessage, Have, Request, Status, Unhave, Want};
use quorate_types::limits::{MAX_FEED_LENGTH, MAX_QUEUED_REQUESTS, MAX_REMOTE_WINDOWS, WANT_WINDOW_BLOCKS};
use quorate_types::{BlockRange, Wire};

use super::model::Model;
use crate::{
    Config, Input, InvestigationResult, LocalFeed, Output, Peer, PeerFault, PeerProfile, Refusal, Replicator,
    Selection,
};

fn index() -> impl Strategy<Value = u64> {
    prop_oneof![
        8 => 0u64..64,
        2 => 0u64..3 * WANT_WINDOW_BLOCKS,
        1 => Just(WANT_WINDOW_BLOCKS),
        1 => Just(MAX_FEED_LENGTH - 1),
        1 => any::<u64>(),
    ]
}

fn length() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0u64..70, 2 => (0u64..4).prop_map(|n| n * WANT_WINDOW_BLOCKS), 1 => any::<u64>()]
}

fn message() -> impl Strategy<Value = FeedMessage> {
    let bits = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..12));
    prop_oneof![
        (any::<Option<bool>>(), any::<Option<bool>>())
            .prop_map(|(uploading, downloading)| FeedMessage::Status(Status { uploading, downloading })),
        (index(), length(), bits, any::<bool>()).prop_map(|(start, length, bits, ack)| {
            FeedMessage::Have(Have { start, length, bitfield: bits.map(Bytes::from), ack })
        }),
        (index(), length()).prop_map(|(start, length)| FeedMessage::Have(Have::range(start, length))),
        (index(), length()).prop_map(|(start, length)| FeedMessage::Unhave(Unhave { start, length })),
        (index(), proptest::option::of(length())).prop_map(|(start, length)| {
            FeedMessage::Want(Want { start: start / 8192 * 8192, length: length.map(|n| n / 8192 * 8192) })
        }),
        (index(), proptest::option::of(length()))
            .prop_map(|(start, length)| FeedMessage::Unwant(Want { start, length })),
        (index(), any::<bool>(), any::<u64>())
            .prop_map(|(index, hash, nodes)| FeedMessage::Request(Request { index, bytes: 0, hash, nodes })),
        (index(), any::<bool>()).prop_map(|(index, hash)| FeedMessage::Cancel(Cancel {
            index,
            bytes: 0,
            hash
        })),
        (index(), any::<bool>()).prop_map(|(index, value)| {
            FeedMessage::Data(Data {
                index,
                value: value.then(|| Bytes::from_static(b"x")),
                ..Data::default()
            })
        }),
    ]
}

fn refusal() -> impl Strategy<Value = Refusal> {
    prop_oneof![
        Just(Refusal::MissingNode),
        Just(Refusal::BadSignature),
        Just(Refusal::Malformed),
        Just(Refusal::Rules),
        Just(Refusal::Storage),
    ]
}

fn result() -> impl Strategy<Value = InvestigationResult> {
    prop_oneof![
        Just(InvestigationResult::Consistent),
        Just(InvestigationResult::Incomplete),
        Just(InvestigationResult::Corrupt),
        proptest::collection::vec(index(), 0..5).prop_map(InvestigationResult::Ask),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    let peer = || (0u64..4).prop_map(Peer);
    let range =
        || (index(), 0u64..70).prop_map(|(start, len)| BlockRange::new(start, start.saturating_add(len)));
    let selection = prop_oneof![
        Just(Selection::Nothing),
        Just(Selection::Everything),
        proptest::collection::vec(range(), 0..5).prop_map(Selection::Ranges),
    ];
    let wire = prop_oneof![Just(Wire::A), Just(Wire::B2)];
    prop_oneof![
        4 => (peer(), wire, any::<Option<bool>>(), proptest::option::of(index())).prop_map(
            |(peer, wire, remote_live, probe)| {
                Input::PeerOpened { peer, profile: PeerProfile { wire, remote_live, probe } }
            }
        ),
        1 => peer().prop_map(|peer| Input::PeerIsQuorate { peer }),
        1 => peer().prop_map(|peer| Input::PeerWantsAcks { peer }),
        1 => peer().prop_map(|peer| Input::PeerClosed { peer }),
        24 => (peer(), message()).prop_map(|(peer, message)| Input::Message { peer, message }),
        1 => range().prop_map(|range| Input::Appended { range }),
        1 => range().prop_map(|range| Input::Cleared { range }),
        2 => selection.prop_map(|selection| Input::Select { selection }),
        2 => index().prop_map(|index| Input::Want { index }),
        1 => index().prop_map(|index| Input::Forget { index }),
        1 => Just(Input::Update),
        4 => (peer(), index(), any::<bool>(), any::<bool>())
            .prop_map(|(peer, index, new, upgraded)| Input::Stored { peer, index, new, upgraded }),
        4 => (peer(), index(), refusal())
            .prop_map(|(peer, index, refusal)| Input::Refused { peer, index, refusal }),
        3 => (peer(), result()).prop_map(|(peer, result)| Input::Investigated { peer, result }),
        4 => Just(Input::Timeout),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_input_panics_or_makes_it_grow(
        live in any::<bool>(),
        download in any::<bool>(),
        blocks in 0u64..40,
        steps in proptest::collection::vec((input(), 0u64..3000), 0..120),
    ) {
        let mut feed = Model::default();
        feed.append(blocks);
        let mut machine = Replicator::new(Config { live, download, ..Config::default() });
        let mut now = Instant::now();
        for (input, ms) in steps {
            now += Duration::from_millis(ms);
            machine.handle(now, &feed, input);
            let mut outputs = 0;
            while machine.poll_output().is_some() {
                outputs += 1;
            }
            // Requests for a whole window towards each peer at most, and their takings back.
            prop_assert!(outputs < 4 * 2200, "{} outputs", outputs);
            for peer in machine.peers.values() {
                prop_assert!(peer.remote.open_count() <= MAX_REMOTE_WINDOWS);
                prop_assert!(peer.open() <= 1024 + 16 + 64 + 8, "{} requests", peer.open());
                prop_assert!(peer.queue.len() <= MAX_QUEUED_REQUESTS);
                prop_assert!(peer.to_ask.len() <= 300 && peer.moved.len() <= 4096);
            }
        }
    }
}

fn opened(feed: &Model) -> (Replicator, Instant, Peer) {
    let mut machine = Replicator::new(Config::default());
    let (now, peer) = (Instant::now(), Peer(1));
    machine.handle(now, feed, Input::Select { selection: Selection::Everything });
    machine.handle(now, feed, Input::PeerOpened { peer, profile: PeerProfile::new(Wire::B2) });
    while machine.poll_output().is_some() {}
    (machine, now, peer)
}

fn fault(machine: &mut Replicator) -> Option<PeerFault> {
    std::iter::from_fn(|| machine.poll_output()).find_map(|output| match output {
        Output::Disconnect { fault, .. } => Some(fault),
        _ => None,
    })
}

#[test]
fn each_excess_has_its_fault() {
    let mut feed = Model::default();
    feed.append(10);
    let request = Request { index: 3, ..Request::default() };
    let (mut machine, now, peer) = opened(&feed);
    for _ in 0..MAX_QUEUED_REQUESTS {
        machine.handle(now, &feed, Input::Message { peer, message: request.into() });
    }
    assert_eq!(fault(&mut machine), None);
    machine.handle(now, &feed, Input::Message { peer, message: request.into() });
    assert_eq!(fault(&mut machine), Some(PeerFault::TooManyRequests { limit: MAX_QUEUED_REQUESTS }));
    assert_eq!(machine.next_request(peer), None);

    let (mut machine, now, peer) = opened(&feed);
    let data = Data { index: 77, value: Some(Bytes::new()), ..Data::default() };
    let unhave = Output::Send { peer, message: Unhave { start: 77, length: 1 }.into() };
    machine.handle(now, &feed, Input::Message { peer, message: data.clone().into() });
    assert_eq!(machine.poll_output(), Some(unhave));
    for _ in 0..256 {
        machine.handle(now, &feed, Input::Message { peer, message: data.clone().into() });
    }
    assert_eq!(fault(&mut machine), Some(PeerFault::Unrequested { limit: 256 }));

    let (mut machine, now, peer) = opened(&feed);
    let have = Have { bitfield: Some(Bytes::from_static(&[0x80])), ..Have::range(0, WANT_WINDOW_BLOCKS) };
    machine.handle(now, &feed, Input::Message { peer, message: have.into() });
    assert!(matches!(fault(&mut machine), Some(PeerFault::BadBitfield { .. })));

    let (mut machine, now, peer) = opened(&feed);
    machine.handle(now, &feed, Input::Message { peer, message: Have::range(MAX_FEED_LENGTH, 1).into() });
    let out_of_range = PeerFault::OutOfRange { limit: MAX_FEED_LENGTH, found: MAX_FEED_LENGTH };
    assert_eq!(fault(&mut machine), Some(out_of_range));
}

#[test]
fn wants_are_answered_as_stock_peers_expect() {
    let mut feed = Model::default();
    feed.append(5);
    let (mut machine, now, peer) = opened(&feed);
    let want = |start, length| Input::Message { peer, message: FeedMessage::Want(Want { start, length }) };
    // Nothing is announced before the peer wants, and nothing that is not aligned is answered.
    machine.handle(now, &feed, Input::Appended { range: BlockRange::new(4, 5) });
    machine.handle(now, &feed, want(1, Some(8192)));
    machine.handle(now, &feed, want(0, Some(8191)));
    assert_eq!(machine.poll_output(), None);
    machine.handle(now, &feed, want(0, Some(WANT_WINDOW_BLOCKS)));
    let sent: Vec<Output> = std::iter::from_fn(|| machine.poll_output()).collect();
    let bitfield = Some(Bytes::from_static(&[0x02, 0xf8]));
    let window = Have { bitfield, ..Have::range(0, WANT_WINDOW_BLOCKS) };
    let expected: Vec<Output> =
        [Have::range(4, 1), window].map(|have| Output::Send { peer, message: have.into() }).into();
    assert_eq!(sent, expected);
    // Appends of one batch are one announcement; a cleared range is taken back.
    for index in 5..8 {
        feed.append(1);
        machine.handle(now, &feed, Input::Appended { range: BlockRange::new(index, index + 1) });
    }
    feed.clear(BlockRange::new(2, 4));
    machine.handle(now, &feed, Input::Cleared { range: BlockRange::new(2, 4) });
    let sent: Vec<Output> = std::iter::from_fn(|| machine.poll_output()).collect();
    let unhave = Unhave { start: 2, length: 2 };
    let expected: Vec<Output> = [FeedMessage::Have(Have::range(5, 3)), unhave.into()]
        .map(|message| Output::Send { peer, message })
        .into();
    assert_eq!(sent, expected);
}

#[test]
fn requests_wait_in_order_and_can_be_cancelled() {
    let mut feed = Model::default();
    feed.append(10);
    feed.clear(BlockRange::new(9, 10));
    let (mut machine, now, peer) = opened(&feed);
    let mut send = |message: FeedMessage| machine.handle(now, &feed, Input::Message { peer, message });
    for index in [4, 5, 6, 9] {
        send(Request { index, ..Request::default() }.into());
    }
    send(Cancel { index: 5, ..Cancel::default() }.into());
    assert_eq!(machine.poll_output(), Some(Output::Serve { peer }));
    let unhave = Unhave { start: 9, length: 1 };
    assert_eq!(machine.poll_output(), Some(Output::Send { peer, message: unhave.into() }));
    assert_eq!(machine.poll_output(), None);
    let waiting: Vec<u64> =
        std::iter::from_fn(|| machine.next_request(peer)).map(|request| request.index).collect();
    assert_eq!(waiting, [4, 6]);

    let mut machine = Replicator::new(Config { upload: false, ..Config::default() });
    machine.handle(now, &feed, Input::PeerOpened { peer, profile: PeerProfile::new(Wire::B2) });
    let status = Status { uploading: Some(false), downloading: Some(true) };
    assert_eq!(machine.poll_output(), Some(Output::Send { peer, message: status.into() }));
    let message = FeedMessage::Want(Want { start: 0, length: Some(8192) });
    machine.handle(now, &feed, Input::Message { peer, message });
    let request = Request { index: 4, ..Request::default() };
    machine.handle(now, &feed, Input::Message { peer, message: request.into() });
    let first_want = FeedMessage::Want(Want { start: 0, length: Some(WANT_WINDOW_BLOCKS) });
    assert_eq!(machine.poll_output(), Some(Output::Send { peer, message: first_want }));
    assert_eq!(machine.poll_output(), None);
    assert!(feed.has(4) && machine.next_request(peer).is_none());
}

/// A feed of which everything below a block is here, too large to keep node by node.
struct Below {
    length: u64,
    here: u64,
}

impl LocalFeed for Below {
    fn length(&self) -> u64 {
        self.length
    }

    fn has(&self, index: u64) -> bool {
        index < self.here
    }

    fn has_node(&self, node: u64) -> bool {
        node / 2 < self.here
    }

    fn digest(&self, _: u64) -> u64 {
        0
    }

    fn compress(&self, _: u64, _: u64) -> Vec<u8> {
        Vec::new()
    }

    fn first_missing(&self, range: BlockRange) -> Option<u64> {
        Some(range.start.max(self.here)).filter(|&index| index < range.end)
    }
}

#[test]
fn a_feed_of_more_windows_than_are_kept_is_fetched() {
    let windows = 3 * MAX_REMOTE_WINDOWS as u64;
    let length = windows * WANT_WINDOW_BLOCKS;
    let mut feed = Below { length, here: 0 };
    let config = Config { probe_heads: false, ..Config::default() };
    let (mut machine, now, peer) = (Replicator::new(config), Instant::now(), Peer(1));
    machine.handle(now, &feed, Input::Select { selection: Selection::Everything });
    machine.handle(now, &feed, Input::PeerOpened { peer, profile: PeerProfile::new(Wire::B2) });
    machine.handle(now, &feed, Input::Message { peer, message: Have::range(length - 1, 1).into() });
    let (mut wanted, mut requested) = (Vec::new(), 0u64);
    while let Some(output) = machine.poll_output() {
        match output {
            Output::Send { message: FeedMessage::Want(want), .. } => {
                wanted.push(want.start / WANT_WINDOW_BLOCKS);
                // A window of ones: 4 * 131072 + 3.
                let bitfield = Some(Bytes::from_static(&[0x83, 0x80, 0x20]));
                let message = Have { bitfield, ..Have::range(want.start, WANT_WINDOW_BLOCKS) };
                machine.handle(now, &feed, Input::Message { peer, message: message.into() });
            }
            Output::Send { message: FeedMessage::Request(request), .. } => {
                requested += 1;
                // Most of each window comes from elsewhere.
                if requested.is_multiple_of(100) {
                    feed.here = (request.index / WANT_WINDOW_BLOCKS + 1) * WANT_WINDOW_BLOCKS;
                }
                let data = Data { index: request.index, value: Some(Bytes::new()), ..Data::default() };
                machine.handle(now, &feed, Input::Message { peer, message: data.into() });
            }
            Output::Verify { data, .. } => {
                let stored = Input::Stored { peer, index: data.index, new: true, upgraded: false };
                machine.handle(now, &feed, stored);
            }
            _ => {}
        }
        assert!(machine.peers[&peer].remote.open_count() <= MAX_REMOTE_WINDOWS);
    }
    assert!(feed.here >= length - WANT_WINDOW_BLOCKS, "it stopped at {}", feed.here);
    let distinct: std::collections::BTreeSet<u64> = wanted.iter().copied().collect();
    assert_eq!(distinct.into_iter().collect::<Vec<_>>(), (0..windows).collect::<Vec<_>>());
    assert!(wanted.len() < 2 * windows as usize, "{wanted:?}");
}
