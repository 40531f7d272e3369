use super::super::server_message::parse_from_server;
use super::*;
use simple_dns::rdata::{RData, SRV, TXT};
use simple_dns::{CLASS, Name, Packet, ResourceRecord};

const TOPIC: Topic = Topic::new([7; 20]);

fn address(text: &str) -> SocketAddrV4 {
    text.parse().unwrap()
}

fn machine(now: Instant) -> ServerDiscovery {
    let addresses = vec![address("198.51.100.1:5300"), address("198.51.100.1:53")];
    let mut machine = ServerDiscovery::new(ServerConfig { port: Some(3282), addresses, seed: 9 }, now);
    machine.handle(now, ServerInput::Join(TOPIC));
    machine
}

/// What was sent: to whom, and the message.
fn sent(machine: &mut ServerDiscovery) -> Vec<(SocketAddrV4, Vec<u8>)> {
    std::iter::from_fn(|| machine.poll_output())
        .filter_map(|output| match output {
            ServerOutput::Send { to, bytes } => Some((to, bytes)),
            ServerOutput::Found { .. } => None,
        })
        .collect()
}

fn found(machine: &mut ServerDiscovery) -> Vec<SocketAddrV4> {
    std::iter::from_fn(|| machine.poll_output())
        .filter_map(|output| match output {
            ServerOutput::Found { address, .. } => Some(address),
            ServerOutput::Send { .. } => None,
        })
        .collect()
}

/// The strings of the additional record, and the name of the question.
fn said(bytes: &[u8]) -> (String, Vec<String>) {
    let packet = Packet::parse(bytes).unwrap();
    let mut strings = Vec::new();
    for record in &packet.additional_records {
        if let RData::TXT(text) = &record.rdata {
            for (key, value) in text.iter_raw() {
                let value = String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
                strings.push(format!("{}={value}", String::from_utf8_lossy(key)));
            }
        }
    }
    (packet.questions[0].qname.to_string(), strings)
}

fn reply(question: &[u8], attributes: &[(&str, &[u8])]) -> Vec<u8> {
    let id = Packet::parse(question).unwrap().id();
    let mut packet = Packet::new_reply(id);
    let mut text = TXT::new();
    for (key, value) in attributes {
        text.add_attribute(key, Some(value)).unwrap();
    }
    packet.answers.push(ResourceRecord::new(Name::new("dat.local").unwrap(), CLASS::IN, 0, RData::TXT(text)));
    packet.build_bytes_vec().unwrap()
}

fn push(topic: &Topic, port: u16, host: &str) -> Vec<u8> {
    let mut packet = Packet::new_query(77);
    let target = Name::new(host).unwrap().into_owned();
    let name = Name::new(&format!("{topic}.dat.local")).unwrap().into_owned();
    let service = SRV { priority: 0, weight: 0, port, target };
    packet.additional_records.push(ResourceRecord::new(name, CLASS::IN, 0, RData::SRV(service)));
    packet.build_bytes_vec().unwrap()
}

/// Goes through the first question: the machine has a token then, and has asked for its feed.
fn announced(machine: &mut ServerDiscovery, now: Instant) -> Vec<u8> {
    let from = address("198.51.100.1:5300");
    let probe = sent(machine).remove(0).1;
    machine.handle(now, ServerInput::Datagram { from, bytes: &reply(&probe, &[("token", b"T0=")]) });
    sent(machine).remove(0).1
}

#[test]
fn a_token_comes_first_then_the_announcement_with_it_and_again_each_minute() {
    let now = Instant::now();
    let mut machine = machine(now);
    let first = sent(&mut machine);
    assert_eq!(first.len(), 1);
    assert_eq!(said(&first[0].1), ("dat.local".into(), vec![]));
    let from = address("198.51.100.1:5300");
    machine.handle(now, ServerInput::Datagram { from, bytes: &reply(&first[0].1, &[("token", b"T0=")]) });
    let second = sent(&mut machine);
    let expected = vec!["subscribe=true".into(), "token=T0=".into(), "announce=3282".into()];
    assert_eq!(said(&second[0].1), (format!("{TOPIC}.dat.local"), expected));
    let peers = data_encoding::BASE64.encode(&[203, 0, 113, 5, 0, 80, 0, 0, 0, 0, 0, 81]);
    let answer = reply(&second[0].1, &[("token", b"T1"), ("peers", peers.as_bytes())]);
    machine.handle(now, ServerInput::Datagram { from, bytes: &answer });
    assert_eq!(found(&mut machine), [address("203.0.113.5:80"), address("198.51.100.1:81")]);
    let next = machine.poll_timeout().unwrap();
    assert!(next >= now + ANNOUNCE_EVERY && next <= now + ANNOUNCE_EVERY * 11 / 10);
    machine.handle(next, ServerInput::Timeout);
    assert!(said(&sent(&mut machine)[0].1).1.contains(&"token=T1".to_owned()));
    assert_eq!(machine.counts().announced, 1);
    machine.handle(next, ServerInput::Leave(TOPIC));
    assert_eq!(said(&sent(&mut machine)[0].1).1, ["token=T1", "unannounce=3282"]);
    assert_eq!(machine.poll_timeout(), None);
}

#[test]
fn pushes_are_confirmed_and_of_strangers_ignored() {
    let now = Instant::now();
    let mut machine = machine(now);
    announced(&mut machine, now);
    let news = push(&TOPIC, 4000, "203.0.113.9");
    machine.handle(now, ServerInput::Datagram { from: address("203.0.113.66:53"), bytes: &news });
    assert_eq!(machine.poll_output(), None);
    machine.handle(now, ServerInput::Datagram { from: address("198.51.100.1:53"), bytes: &news });
    let outputs: Vec<ServerOutput> = std::iter::from_fn(|| machine.poll_output()).collect();
    assert!(
        matches!(&outputs[0], ServerOutput::Send { bytes, .. } if Packet::parse(bytes).unwrap().id() == 77)
    );
    let address = address("203.0.113.9:4000");
    assert_eq!(outputs[1..], [ServerOutput::Found { topic: TOPIC, address }]);
    let other = push(&Topic::new([8; 20]), 4000, "203.0.113.9");
    machine.handle(now, ServerInput::Datagram { from: "198.51.100.1:53".parse().unwrap(), bytes: &other });
    assert_eq!(found(&mut machine), []);
}

#[test]
fn a_server_of_the_internet_names_nobody_of_our_networks() {
    let now = Instant::now();
    let mut machine = machine(now);
    announced(&mut machine, now);
    for host in ["127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.0.1", "224.0.0.251", "255.255.255.255"] {
        let bytes = push(&TOPIC, 22, host);
        machine.handle(now, ServerInput::Datagram { from: address("198.51.100.1:53"), bytes: &bytes });
        assert_eq!(found(&mut machine), [], "{host}");
    }
}

#[test]
fn a_server_that_is_silent_is_asked_at_its_other_port_and_less_and_less_often() {
    let now = Instant::now();
    let mut machine = machine(now);
    let mut times = Vec::new();
    let mut ports = Vec::new();
    let mut at = now;
    for _ in 0..200 {
        for (to, _) in sent(&mut machine) {
            times.push(at);
            ports.push(to.port());
        }
        at = machine.poll_timeout().unwrap();
        machine.handle(at, ServerInput::Timeout);
    }
    assert_eq!(ports[..6], [5300, 5300, 5300, 53, 53, 53]);
    let last = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(last >= LONGEST_PAUSE / 2 && last <= LONGEST_PAUSE + ANSWER_WITHIN, "{last:?}");
    assert!(!machine.counts().answers);
}

#[test]
fn answers_to_nothing_are_ignored() {
    let now = Instant::now();
    let mut machine = machine(now);
    let probe = sent(&mut machine).remove(0).1;
    let mut wrong = reply(&probe, &[("token", b"T")]);
    wrong[1] ^= 1;
    machine.handle(now, ServerInput::Datagram { from: address("198.51.100.1:5300"), bytes: &wrong });
    // The right answer from another port.
    let right = reply(&probe, &[("token", b"T")]);
    machine.handle(now, ServerInput::Datagram { from: address("198.51.100.1:9"), bytes: &right });
    assert_eq!(sent(&mut machine), []);
    assert!(parse_from_server(&wrong).is_ok() && parse_from_server(b"").is_err());
}

proptest::proptest! {
    #[test]
    fn whatever_a_server_says_is_bounded(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        let now = Instant::now();
        let mut machine = machine(now);
        announced(&mut machine, now);
        machine.handle(now, ServerInput::Datagram { from: address("198.51.100.1:5300"), bytes: &bytes });
        let mut outputs = 0;
        while machine.poll_output().is_some() {
            outputs += 1;
        }
        proptest::prop_assert!(outputs <= 200);
    }
}
