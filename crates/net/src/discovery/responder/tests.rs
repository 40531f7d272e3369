use super::*;

const MARK: [u8; 32] = [1; 32];

fn topic(number: u8) -> Topic {
    Topic::new([number; 20])
}

fn network() -> Network {
    Network { interface: "v0".into(), address: [10, 0, 0, 1].into(), mask: [255, 255, 255, 0].into() }
}

fn machine(port: Option<u16>, now: Instant) -> LocalDiscovery {
    let mut machine = LocalDiscovery::new(LocalConfig { port, mark: MARK }, now);
    machine.handle(now, LocalInput::Networks(&[network()]));
    machine
}

/// Runs a machine up to `end`; returns what it did and when.
fn run(machine: &mut LocalDiscovery, from: Instant, end: Instant) -> Vec<(Duration, LocalOutput)> {
    let mut done = Vec::new();
    let mut now = from;
    loop {
        while let Some(output) = machine.poll_output() {
            done.push((now - from, output));
        }
        match machine.poll_timeout() {
            Some(at) if at <= end => now = at.max(now),
            _ => return done,
        }
        machine.handle(now, LocalInput::Timeout);
    }
}

fn sent(done: &[(Duration, LocalOutput)]) -> Vec<(Duration, super::super::Heard)> {
    done.iter()
        .filter_map(|(at, output)| match output {
            LocalOutput::Send(bytes) => Some((*at, parse(bytes).unwrap())),
            LocalOutput::Found(_) => None,
        })
        .collect()
}

fn found(machine: &mut LocalDiscovery) -> Vec<SocketAddrV4> {
    std::iter::from_fn(|| machine.poll_output())
        .filter_map(|output| match output {
            LocalOutput::Found(found) => Some(found.address),
            LocalOutput::Send(_) => None,
        })
        .collect()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn from(text: &str) -> SocketAddrV4 {
    text.parse().unwrap()
}

#[test]
fn an_opened_feed_is_asked_for_and_announced_at_once_and_in_both_dialects() {
    let start = Instant::now();
    let mut machine = machine(Some(3282), start);
    machine.handle(start, LocalInput::Join(topic(1)));
    let sent = sent(&run(&mut machine, start, start + seconds(7)));
    for (round, at) in EAGER.into_iter().enumerate() {
        let of_round = &sent[round * 4..(round + 1) * 4];
        let last = at + PACE * 4;
        assert!(of_round.iter().all(|(time, _)| *time >= at && *time < last), "{of_round:?}");
        let asked: Vec<Dialect> = of_round
            .iter()
            .flat_map(|(_, heard)| &heard.questions)
            .map(|question| question.dialect)
            .collect();
        let announced: Vec<Dialect> =
            of_round.iter().flat_map(|(_, heard)| &heard.announcements).map(|said| said.dialect).collect();
        assert_eq!((asked, announced), (Dialect::ALL.to_vec(), Dialect::ALL.to_vec()));
    }
    assert_eq!(sent.len(), EAGER.len() * 4);
    assert_eq!(machine.counts().asked, 6);
}

/// Times of the rounds up to `end`; somebody answers every so often.
fn rounds(
    machine: &mut LocalDiscovery,
    start: Instant,
    end: Instant,
    answered: Option<Duration>,
) -> Vec<Duration> {
    let bytes = answers(Dialect::Dat, &[topic(1)], 4000, &[2; 32]);
    let mut times = Vec::new();
    let mut now = start;
    while now < end {
        if answered.is_some() {
            machine.handle(now, LocalInput::Datagram { from: from("10.0.0.2:5353"), bytes: &bytes });
        }
        let next = answered.map_or(end, |after| end.min(now + after));
        let of_part = sent(&run(machine, now, next));
        let asked = of_part.iter().filter(|(_, heard)| {
            assert!(heard.announcements.is_empty());
            heard
                .questions
                .iter()
                .any(|question| question.dialect == Dialect::Dat && question.topic == topic(1))
        });
        times.extend(asked.map(|(at, _)| now - start + *at));
        now = next;
    }
    times
}

#[test]
fn questions_go_on_with_times_that_vary() {
    for (answered, least, most) in
        [(Some(seconds(20)), ASK_EVERY, ASK_EVERY * 3 / 2), (None, ASK_EVERY_ALONE, ASK_EVERY_ALONE * 5 / 4)]
    {
        let start = Instant::now();
        let mut machine = machine(None, start);
        machine.handle(start, LocalInput::Join(topic(1)));
        let times = rounds(&mut machine, start, start + seconds(600), answered);
        let gaps: BTreeSet<Duration> =
            times.windows(2).skip(EAGER.len() - 1).map(|pair| pair[1] - pair[0]).collect();
        let most = most + PACE * 2;
        assert!(gaps.iter().all(|gap| (least..most).contains(gap)), "{gaps:?}");
        assert!(gaps.len() > 8, "{gaps:?}");
    }
}

#[test]
fn who_is_alone_again_asks_more_often_again() {
    let start = Instant::now();
    let mut machine = machine(None, start);
    machine.handle(start, LocalInput::Join(topic(1)));
    rounds(&mut machine, start, start + seconds(100), Some(seconds(20)));
    let left = start + seconds(100);
    let times = rounds(&mut machine, left, left + seconds(200), None);
    let last: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).skip(4).collect();
    assert!(last.len() > 10 && last.iter().all(|gap| *gap < ASK_EVERY_ALONE * 2), "{times:?}");
}

#[test]
fn many_feeds_that_nobody_answers_for_are_asked_for_less_often() {
    let start = Instant::now();
    let mut machine = machine(None, start);
    let feeds = 200;
    for number in 0..feeds {
        machine.handle(start, LocalInput::Join(topic(number)));
    }
    let after = start + seconds(60);
    run(&mut machine, start, after);
    let sent = sent(&run(&mut machine, after, after + ASK_EVERY * 4));
    let asked: usize = sent.iter().map(|(_, heard)| heard.questions.len()).sum();
    // As often as if they were answered for.
    assert!(asked <= usize::from(feeds) * Dialect::ALL.len() * 4, "{asked} questions");
    assert!(asked >= usize::from(feeds) * Dialect::ALL.len() * 2, "{asked} questions");
}

#[test]
fn many_feeds_share_datagrams_and_keep_the_pace() {
    let start = Instant::now();
    let mut machine = machine(Some(1), start);
    for number in 0..20 {
        machine.handle(start, LocalInput::Join(topic(number)));
    }
    let sent = sent(&run(&mut machine, start, start + Duration::from_millis(900)));
    assert!(sent.windows(2).all(|pair| pair[1].0 - pair[0].0 >= PACE));
    let said: usize = sent.iter().map(|(_, heard)| heard.questions.len() + heard.announcements.len()).sum();
    assert_eq!(said, 20 * 4);
    assert!(sent.len() <= 4 * 20_usize.div_ceil(TOPICS_PER_MESSAGE) + 4, "{} datagrams", sent.len());
}

#[test]
fn whoever_asks_is_answered_and_asked_but_not_without_end() {
    let start = Instant::now();
    let mut machine = machine(Some(3282), start);
    machine.handle(start, LocalInput::Join(topic(1)));
    // Somebody is there, so that the next round is far away.
    let answer = answers(Dialect::Dat, &[topic(1)], 4000, &[2; 32]);
    machine.handle(start, LocalInput::Datagram { from: from("10.0.0.3:5353"), bytes: &answer });
    run(&mut machine, start, start + seconds(10));
    let asked = start + seconds(10);
    let question = questions(Dialect::Dat, &[topic(1), topic(2)]);
    for millis in 0..1500 {
        let now = asked + Duration::from_millis(millis);
        machine.handle(now, LocalInput::Datagram { from: from("10.0.0.2:5353"), bytes: &question });
    }
    let said = sent(&run(&mut machine, asked, asked + seconds(4)));
    let answers: Vec<_> = said.iter().flat_map(|(_, heard)| &heard.announcements).collect();
    let questions: Vec<_> = said.iter().flat_map(|(_, heard)| &heard.questions).collect();
    assert!(answers.iter().all(|said| said.topic == topic(1) && said.dialect == Dialect::Dat));
    assert!((2..=3).contains(&answers.len()), "{} answers", answers.len());
    assert!((2..=3).contains(&questions.len()), "{} questions", questions.len());
    assert_eq!(machine.counts().questions, 1500);
}

#[test]
fn a_late_joiner_that_only_asks_is_asked_within_a_second() {
    let start = Instant::now();
    let mut machine = machine(None, start);
    machine.handle(start, LocalInput::Join(topic(1)));
    let at = start + Duration::from_millis(200);
    run(&mut machine, start, at);
    let question = questions(Dialect::Dat, &[topic(1)]);
    machine.handle(at, LocalInput::Datagram { from: from("10.0.0.2:5353"), bytes: &question });
    let said = sent(&run(&mut machine, at, at + SAY_AGAIN));
    assert!(said.iter().any(|(_, heard)| !heard.questions.is_empty()), "{said:?}");
}

#[test]
fn who_answers_is_found_and_we_are_not() {
    let start = Instant::now();
    let mut machine = machine(Some(3282), start);
    machine.handle(start, LocalInput::Join(topic(1)));
    run(&mut machine, start, start);
    let other = [2; 32];
    for dialect in Dialect::ALL {
        let mut hear = |port, mark: &[u8; 32], topic_number, sender: &str| {
            let bytes = answers(dialect, &[topic(topic_number)], port, mark);
            machine.handle(start, LocalInput::Datagram { from: from(sender), bytes: &bytes });
            found(&mut machine)
        };
        assert_eq!(hear(4000, &other, 1, "10.0.0.2:5353"), [from("10.0.0.2:4000")]);
        // Our own words, our own address, a feed that is not open, another network.
        assert_eq!(hear(4000, &MARK, 1, "10.0.0.2:5353"), []);
        assert_eq!(hear(3282, &other, 1, "10.0.0.1:5353"), []);
        assert_eq!(hear(4000, &other, 2, "10.0.0.2:5353"), []);
        assert_eq!(hear(4000, &other, 1, "192.0.2.1:5353"), []);
        // Another program of this machine.
        assert_eq!(hear(4000, &other, 1, "10.0.0.1:5353"), [from("10.0.0.1:4000")]);
    }
    assert_eq!(machine.counts().ignored, 2);
}

#[test]
fn nobody_is_sent_to_a_stranger_elsewhere() {
    let start = Instant::now();
    let mut machine = machine(None, start);
    machine.handle(start, LocalInput::Join(topic(1)));
    run(&mut machine, start, start);
    // `peers=` with 192.0.2.7:80 and 10.0.0.9:81.
    let mut packet = simple_dns::Packet::new_reply(0);
    let peers = data_encoding::BASE64.encode(&[192, 0, 2, 7, 0, 80, 10, 0, 0, 9, 0, 81]);
    let text = simple_dns::rdata::TXT::new().with_attribute("peers", Some(peers.as_bytes())).unwrap();
    let name = format!("{}.dat.local", topic(1));
    packet.answers.push(simple_dns::ResourceRecord::new(
        simple_dns::Name::new(&name).unwrap(),
        simple_dns::CLASS::IN,
        0,
        simple_dns::rdata::RData::TXT(text),
    ));
    let bytes = packet.build_bytes_vec().unwrap();
    machine.handle(start, LocalInput::Datagram { from: from("10.0.0.2:5353"), bytes: &bytes });
    assert_eq!(found(&mut machine), [from("10.0.0.9:81")]);
}

#[test]
fn another_network_is_asked_at_once_and_a_closed_feed_no_more() {
    let start = Instant::now();
    let mut machine = machine(None, start);
    machine.handle(start, LocalInput::Join(topic(1)));
    run(&mut machine, start, start + seconds(20));
    let moved = start + seconds(20);
    machine.handle(moved, LocalInput::Networks(&[]));
    assert!(!sent(&run(&mut machine, moved, moved + PACE)).is_empty());
    machine.handle(moved, LocalInput::Leave(&topic(1)));
    assert_eq!(machine.poll_timeout(), None);
    assert_eq!(run(&mut machine, moved, moved + seconds(600)), []);
}

#[test]
fn topics_are_bounded() {
    let start = Instant::now();
    let mut machine = machine(None, start);
    for number in 0..=MAX_TOPICS {
        let mut bytes = [0; 20];
        bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
        machine.handle(start, LocalInput::Join(Topic::new(bytes)));
    }
    assert_eq!(machine.topics.len(), MAX_TOPICS);
}
