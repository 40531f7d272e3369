//! Datagrams of multicast DNS, from anyone on the network.

use std::net::SocketAddrV4;
use std::time::Instant;

use quorate_net::discovery::{
    Dialect, LocalConfig, LocalDiscovery, LocalInput, LocalOutput, Network, Topic, answers, parse, questions,
};
use quorate_net::names::{DatName, parse_txt, parse_well_known};
use quorate_types::limits::{MAX_DNS_PEERS, MAX_DNS_RECORDS};

use crate::Target;

/// Each input is one datagram.
pub(super) const TARGET: Target = Target { name: "dns", run, seeds, cost: 1 };

const TOPIC: Topic = Topic::new([7; 20]);

fn run(input: &[u8]) {
    let name: DatName = "example.org".parse().expect("two labels are a name");
    // A resolver, and a web server, may say anything.
    let _ = parse_txt(input, &name);
    let _ = parse_well_known(input);
    if let Ok(heard) = parse(input) {
        assert!(heard.questions.len() + heard.announcements.len() <= MAX_DNS_RECORDS);
        for announcement in &heard.announcements {
            assert!((1..=MAX_DNS_PEERS).contains(&announcement.peers.len()));
        }
    }
    let now = Instant::now();
    let mut machine = LocalDiscovery::new(LocalConfig { port: Some(3282), mark: [1; 32] }, now);
    let network =
        Network { interface: "v0".into(), address: [10, 0, 0, 1].into(), mask: [255, 0, 0, 0].into() };
    machine.handle(now, LocalInput::Networks(std::slice::from_ref(&network)));
    machine.handle(now, LocalInput::Join(TOPIC));
    let from = SocketAddrV4::new([10, 0, 0, 2].into(), 5353);
    for _ in 0..4 {
        machine.handle(now, LocalInput::Datagram { from, bytes: input });
    }
    let (mut sent, mut found) = (0, 0);
    while let Some(output) = machine.poll_output() {
        match output {
            LocalOutput::Send(_) => sent += 1,
            LocalOutput::Found(peer) => {
                assert!(peer.topic == TOPIC && network.contains(*peer.address.ip()), "{peer:?}");
                found += 1;
            }
        }
    }
    assert!(sent <= 1, "an answer out of proportion");
    assert!(found <= 4 * MAX_DNS_RECORDS * MAX_DNS_PEERS);
}

fn seeds() -> Vec<Vec<u8>> {
    let topics = [TOPIC, Topic::new([8; 20])];
    Dialect::ALL
        .into_iter()
        .flat_map(|dialect| [questions(dialect, &topics), answers(dialect, &topics, 4000, &[2; 32])])
        .collect()
}
