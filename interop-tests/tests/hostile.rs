//! Peers that mean no good against a node in a process of its own: it must not panic, its memory is bounded, and
//! honest peers are served meanwhile. The figures that this prints stand in `docs/performance.md`.

mod hostile {
    pub(crate) mod floods;
    pub(crate) mod liar;
    pub(crate) mod submitter;
    pub(crate) mod victim;
}

#[path = "crash/relay.rs"]
mod relay;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use quorate_interop_tests::attacker::{Attacker, frame, varint};
use quorate_interop_tests::{
    Chance, Memory, Node, PATIENCE, Workspace, block_on, checksum, generated_blocks, stream_checksum,
};
use quorate_proto::dat::{FeedMessage, Request, Want};
use quorate_types::Wire;
use quorate_types::limits::{HANDSHAKE_TIMEOUT, MAX_CONNECTIONS, WANT_WINDOW_BLOCKS};

use hostile::floods::{self, Fate};
use hostile::liar;
use hostile::submitter;
use hostile::victim::{BLOCKS, Victim, test_node};
use relay::Relay;

/// Bound on the memory of a victim, MiB, whatever one attacker does.
const MOST_MIB: u64 = 96;

/// The same for a thousand connections.
const MOST_MIB_OF_A_THOUSAND: u64 = 128;

/// The same for 16 peers for each of which 4 MiB of answers wait, after others who did likewise.
const MOST_MIB_OF_16_DEAF: u64 = 160;

const WIRES: [Wire; 2] = [Wire::A, Wire::B2];

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.set_write_timeout(Some(Duration::from_secs(30)))?;
    Ok(stream)
}

/// Reads until the other side has closed.
fn wait_for_end(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    while matches!(stream.read(&mut buffer), Ok(1..)) {}
}

#[test]
fn what_comes_before_the_handshake_is_done() -> Result<()> {
    let mut victim = Victim::start()?;
    let mut chance = Chance::new(1);
    victim.suffer("random bytes, 400 connections", MOST_MIB, |victim| {
        for round in 0..400_usize {
            let mut noise = chance.bytes(1 + round * 11 % 3000);
            // Most of them begin as a wire does.
            let first_feed = [&[0x3d, 0, 0x0a, 0x20][..], victim.key.discovery_key().as_bytes()].concat();
            let first: &[u8] = [&[0x3a][..], &first_feed, &[0x3d, 0, 0x0a, 0x20], &[]][round % 4];
            let len = first.len().min(noise.len());
            noise[..len].copy_from_slice(&first[..len]);
            let mut stream = connect(victim.address)?;
            // The victim may have closed already.
            let _ = stream.write_all(&noise);
            let _ = stream.shutdown(Shutdown::Write);
            wait_for_end(stream);
        }
        Ok(())
    })?;
    victim.suffer("lengths that lie, in the handshake", MOST_MIB, |victim| {
        for length in [0, 1, 255, 1024, 1025, 65_536, 1 << 24, 1 << 32, 1 << 56, u64::MAX] {
            let mut bytes = Vec::new();
            varint(&mut bytes, length);
            bytes.extend(chance.bytes(2000));
            let mut stream = connect(victim.address)?;
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(Shutdown::Write);
            wait_for_end(stream);
        }
        Ok(())
    })?;
    victim.suffer("cipher text without a key, 64 connections", MOST_MIB_OF_A_THOUSAND, |victim| {
        let mut held = Vec::new();
        for _ in 0..64 {
            let mut stream = connect(victim.address)?;
            let nonce = chance.bytes(24);
            let body =
                [&[0x0a, 0x20][..], victim.key.discovery_key().as_bytes(), &[0x12, 0x18], &nonce].concat();
            stream.write_all(&frame(0, 0, &body))?;
            let _ = stream.write_all(&chance.bytes(512 * 1024));
            held.push(stream);
        }
        Ok(())
    })?;
    victim.suffer("connections that end at once, 3000", MOST_MIB, |victim| {
        for round in 0..3000 {
            let mut stream = connect(victim.address)?;
            if round % 3 == 0 {
                let _ = stream.write_all(&[0x3a, 0x0a]);
            }
        }
        Ok(())
    })?;
    victim.shut_down()
}

#[test]
fn connections_that_do_nothing() -> Result<()> {
    let mut victim = Victim::start()?;
    victim.suffer("1000 connections that say nothing", MOST_MIB_OF_A_THOUSAND, |victim| {
        let held = (0..1000).map(|_| connect(victim.address)).collect::<Result<Vec<_>>>()?;
        thread::sleep(Duration::from_secs(2));
        drop(held);
        Ok(())
    })?;
    victim.suffer("1000 connections, open on the feed, idle", MOST_MIB_OF_A_THOUSAND, |victim| {
        let held = (0..1000)
            .map(|number| Attacker::dial(victim.address, &victim.key, WIRES[number % 2]))
            .collect::<Result<Vec<_>>>()?;
        thread::sleep(Duration::from_secs(1));
        drop(held);
        Ok(())
    })?;
    victim.shut_down()
}

#[test]
fn handshakes_that_never_end() -> Result<()> {
    let mut victim = Victim::start()?;
    victim.suffer("handshakes at a byte a second, and half-open ones", MOST_MIB_OF_A_THOUSAND, |victim| {
        let started = Instant::now();
        // More than may be open at once: the rest are turned away, and honest peers among them until time is up.
        let mut slow = (0..200).map(|_| connect(victim.address)).collect::<Result<Vec<_>>>()?;
        let half_open = (0..50)
            .map(|_| {
                let stream = connect(victim.address)?;
                stream.shutdown(Shutdown::Write)?;
                Ok(stream)
            })
            .collect::<Result<Vec<_>>>()?;
        half_open.into_iter().for_each(wait_for_end);
        ensure!(started.elapsed() < HANDSHAKE_TIMEOUT, "half-open connections were kept");
        let message = [&[0x3a, 0x0a, 0x20][..], &[7; 57]].concat();
        for byte in message.iter().take(HANDSHAKE_TIMEOUT.as_secs() as usize + 2) {
            slow.retain_mut(|stream| stream.write_all(&[*byte]).is_ok());
            thread::sleep(Duration::from_secs(1));
        }
        slow.into_iter().for_each(wait_for_end);
        let took = started.elapsed();
        ensure!(took < 2 * HANDSHAKE_TIMEOUT, "slow handshakes were kept for {took:?}");
        Ok(())
    })?;
    victim.shut_down()
}

#[test]
fn what_is_said_above_the_cipher() -> Result<()> {
    for wire in WIRES {
        let mut victim = Victim::start()?;
        for flood in floods::all() {
            let what = format!("{wire}: {}", flood.name);
            victim.suffer(&what, MOST_MIB, |victim| {
                let mut attacker = Attacker::dial(victim.address, &victim.key, wire)?;
                if flood.reads {
                    attacker.read_in_background()?;
                }
                // A victim that has had enough closes the connection in the middle of it.
                let said = (flood.run)(&mut attacker, &mut Chance::new(7)).and_then(|()| attacker.flush());
                match flood.fate {
                    Fate::Ended => ensure!(
                        attacker.is_ended_within(Duration::from_secs(20)),
                        "expected the end of the connection, found it open"
                    ),
                    Fate::Kept => said.context("the connection is to be kept")?,
                    Fate::Either => {}
                }
                Ok(())
            })?;
        }
        victim.shut_down()?;
    }
    Ok(())
}

/// Each liar is believed in nothing; what it withholds comes from a peer that is honest and slow.
#[test]
fn what_is_answered_to_requests() -> Result<()> {
    const SIZE: usize = 1000;
    let (node, stream) = block_on(async {
        let node = Node::fresh().await?;
        let stream = node.create("log", generated_blocks(1, 0, liar::BLOCKS as u32, SIZE)).await?;
        anyhow::Ok((node, stream))
    })?;
    let answers = Arc::new(block_on(liar::true_answers(&stream))?);
    let honest = Relay::start(&block_on(node.listen())?, 400_000)?;
    let (key, link) = (*stream.key(), stream.link().to_string());
    let expected = checksum(generated_blocks(1, 0, liar::BLOCKS as u32, SIZE));
    for lies in liar::all().chunks(4) {
        let told = lies.iter().map(|(what, lie)| {
            let liar = liar::start(key, Arc::clone(&answers), *lie)?;
            let workspace = Workspace::new()?;
            let home = workspace.join("home");
            let peers = format!("{liar},{}", honest.address());
            let clone = test_node(&["clone", home.to_str().context("UTF-8")?, &link, &peers])?;
            anyhow::Ok((what, clone, home, workspace))
        });
        for victim in told.collect::<Result<Vec<_>>>()? {
            let (what, mut clone, home, _workspace) = victim;
            let whole = |event: &serde_json::Value| event["here"].as_u64() == Some(liar::BLOCKS);
            clone
                .event_where("downloaded", PATIENCE, whole)
                .with_context(|| format!("{what} is answered"))?;
            let peak = Memory::of(clone.id()).peak_mib()?;
            println!("answered with {what:<40} {peak:>4} MiB at most");
            ensure!(peak < MOST_MIB, "answered with {what}: {peak} MiB");
            clone.close_stdin();
            let status = clone.wait(PATIENCE)?;
            ensure!(status.success(), "answered with {what}: {}", clone.stderr());
            block_on(async {
                let options = quorate_interop_tests::NodeOptions { home: Some(home), ..Default::default() };
                let node = Node::open(options).await?;
                let copy = node.node.open_stream("log").await?;
                ensure!(stream_checksum(&copy).await? == expected, "{what}: another block was stored");
                node.shutdown().await
            })?;
        }
    }
    block_on(node.shutdown())
}

#[test]
fn unfinished_frames_on_many_connections() -> Result<()> {
    let mut victim = Victim::start()?;
    victim.suffer("64 frames of 8 MiB that never end", MOST_MIB, |victim| {
        let mut held = Vec::new();
        for number in 0..64 {
            let mut attacker = Attacker::dial(victim.address, &victim.key, WIRES[number % 2])?;
            let mut start = Vec::new();
            varint(&mut start, 8 << 20);
            varint(&mut start, attacker.number() << 4 | 9);
            start.resize(4 << 20, 1);
            // Nobody asked for a block: the victim may end it at once.
            let _ = attacker.raw(&start);
            held.push(attacker);
        }
        Ok(())
    })?;
    victim.shut_down()
}

#[test]
fn peers_that_never_read() -> Result<()> {
    let mut victim = Victim::start()?;
    let unread = |attacker: &mut Attacker, messages: u64| {
        let want = FeedMessage::Want(Want { start: 0, length: Some(WANT_WINDOW_BLOCKS) });
        let request = |index| FeedMessage::Request(Request { index: BLOCKS + index, ..Request::default() });
        (0..messages).try_for_each(|index| match index % 100 {
            0 => attacker.send(&want),
            _ => attacker.send(&request(index)),
        })
    };
    victim.suffer("32 peers that want and never read", MOST_MIB_OF_A_THOUSAND, |victim| {
        let mut held = Vec::new();
        for number in 0..32 {
            let mut attacker = Attacker::dial(victim.address, &victim.key, WIRES[number % 2])?;
            // The victim may have had enough before.
            let _ = unread(&mut attacker, 100_000);
            held.push(attacker);
        }
        Ok(())
    })?;
    victim.suffer("a peer that never reads and never stops", MOST_MIB, |victim| {
        let mut attacker = Attacker::dial(victim.address, &victim.key, Wire::B2)?;
        let said = unread(&mut attacker, 10_000_000);
        ensure!(said.is_err(), "expected the end of the connection, found it open");
        Ok(())
    })?;
    victim.ended_because(PATIENCE, "too slow")?;
    victim.suffer("16 peers that request and never read", MOST_MIB_OF_16_DEAF, |victim| {
        let mut held = Vec::new();
        for number in 0..16 {
            let mut attacker = Attacker::dial(victim.address, &victim.key, WIRES[number % 2])?;
            for index in 0..2000 {
                attacker.send(&FeedMessage::Request(Request { index, ..Request::default() }))?;
            }
            attacker.flush()?;
            held.push(attacker);
        }
        thread::sleep(Duration::from_secs(3));
        Ok(())
    })?;
    victim.shut_down()
}

#[test]
fn more_connections_than_there_are_places_for() -> Result<()> {
    let mut victim = Victim::start()?;
    let address = victim.address;
    let held = (0..MAX_CONNECTIONS + 100).map(|_| connect(address)).collect::<Result<Vec<_>>>()?;
    // Those that say nothing are let go of after a while, though they stay connected.
    thread::sleep(HANDSHAKE_TIMEOUT + Duration::from_secs(1));
    victim.suffer("after 1124 connections that say nothing", MOST_MIB_OF_A_THOUSAND, |_| Ok(()))?;
    drop(held);
    victim.shut_down()
}

#[test]
fn what_is_submitted_to_a_host_and_is_no_entry_is_refused_with_its_code() -> Result<()> {
    block_on(submitter::bad_submissions())
}

#[test]
fn what_is_submitted_again_to_a_host_that_was_started_again_stands_where_it_stood() -> Result<()> {
    block_on(submitter::submitted_again())
}
