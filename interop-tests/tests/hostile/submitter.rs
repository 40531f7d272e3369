//! A peer of a room's host that submits by hand, and hears what the host answers.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use quorate_interop_tests::attacker::Attacker;
use quorate_interop_tests::{Node, NodeOptions, PATIENCE, Workspace};
use quorate_node::Stream;
use quorate_node::model::{Encoding, NewRoom, NewStream};
use quorate_proto::quorate1::{Frame, Frames, Message, Outcome, Submit};
use quorate_stream::action::{Action, UnsignedAction};
use quorate_stream::identity::{Anchor, Author, room_id};
use quorate_stream::submit::limits::MAX_BAD_SUBMISSIONS;
use quorate_stream::submit::submission_digest;
use quorate_types::{Hash, RoomId, Signature, Wire};
use quorate_wire::Event;

struct Submitter {
    attacker: Attacker,
    room: RoomId,
}

impl Submitter {
    async fn dial(stream: &Stream, address: SocketAddr) -> Result<Self> {
        let room = room_id(stream.key(), &stream.get(0).await?);
        Ok(Self { attacker: Attacker::dial(address, stream.key(), Wire::B2)?, room })
    }

    fn submit(&mut self, room: RoomId, entry: &Bytes) -> Result<()> {
        let submit = Message::Submit(Submit { room, entry: entry.clone() });
        self.attacker.extension(&submit.encode())
    }

    /// Waits for the next receipt.
    fn receipt(&mut self) -> Result<(Hash, Outcome)> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            for event in self.attacker.receive(Duration::from_millis(100))? {
                let Event::Extension { payload, .. } = event else { continue };
                for frame in Frames::new(payload) {
                    if let Frame::Message(Message::Receipt(receipt)) = frame? {
                        ensure!(receipt.room == self.room, "a receipt of another room");
                        return Ok((receipt.digest, receipt.outcome));
                    }
                }
            }
        }
        bail!("expected a receipt within {PATIENCE:?}, found none")
    }

    /// Submits an entry, and waits for what becomes of it.
    fn becomes(&mut self, entry: &Bytes) -> Result<Outcome> {
        self.submit(self.room, entry)?;
        Ok(self.receipt()?.1)
    }
}

async fn host(home: &std::path::Path) -> Result<(Node, SocketAddr)> {
    let node = Node::open(NodeOptions { home: Some(home.to_owned()), ..NodeOptions::default() }).await?;
    let address = node.listen().await?.parse()?;
    Ok((node, address))
}

async fn room(node: &Node) -> Result<Stream> {
    let room = NewRoom { rules: Vec::new(), rule_delay: 0, quorum: None };
    let new = NewStream { name: "room".into(), encoding: Encoding::Json, room: Some(room) };
    Ok(node.node.create(new).await?)
}

fn action(room: &RoomId, sequence: u64, payload: &'static str) -> Result<Bytes> {
    let (anchor, valid_until) = (Anchor::NONE, 0);
    let action = UnsignedAction { sequence, anchor, valid_until, payload: payload.into() };
    Ok(action.sign(room, &Author::from_seed(&[1; 32]))?.encode())
}

pub(crate) async fn bad_submissions() -> Result<()> {
    let workspace = Workspace::new()?;
    let (node, address) = host(&workspace.join("home")).await?;
    let stream = room(&node).await?;
    let mut submitter = Submitter::dial(&stream, address).await?;
    let here = submitter.room;
    let good = action(&here, 0, "{}")?;
    let mut forged = good.to_vec();
    *forged.last_mut().context("the signature")? ^= 1;
    let unknown_field = [&good[..], &[0x78, 1]].concat();
    let large = Action {
        author: Author::from_seed(&[1; 32]).public(),
        sequence: 0,
        anchor: Anchor::NONE,
        valid_until: 0,
        payload: vec![b'1'; 64_513].into(),
        signature: Signature::new([0; 64]),
    };
    let elsewhere = RoomId::new([9; 32]);
    for (room, entry, expected) in [
        (here, Bytes::from(unknown_field), 3001),
        (here, Bytes::from(forged), 3002),
        (here, large.encode(), 3007),
        (elsewhere, good.clone(), 3008),
    ] {
        submitter.submit(room, &entry)?;
        let (digest, outcome) = submitter.receipt()?;
        ensure!(digest == submission_digest(&room, &entry), "E{expected}: a receipt about something else");
        let Outcome::Refused(refused) = outcome else { bail!("E{expected}: {outcome:?}") };
        ensure!(
            refused.code == expected,
            "expected E{expected}, found E{}: {}",
            refused.code,
            refused.reason
        );
    }
    // The connection is as good as before, and so is the action that was forged.
    ensure!(submitter.becomes(&good)? == Outcome::Appended { index: 1 });
    for _ in 0..=MAX_BAD_SUBMISSIONS {
        submitter.submit(elsewhere, &good)?;
    }
    ensure!(submitter.attacker.is_ended_within(PATIENCE), "too much of it is borne");
    ensure!(stream.info().await?.length == 2);
    node.shutdown().await
}

pub(crate) async fn submitted_again() -> Result<()> {
    let workspace = Workspace::new()?;
    let home = workspace.join("home");
    let (node, address) = host(&home).await?;
    let stream = room(&node).await?;
    let mut submitter = Submitter::dial(&stream, address).await?;
    let room = submitter.room;
    let entries = ["1", "2", "3"].iter().zip(0..).map(|(payload, sequence)| action(&room, sequence, payload));
    let entries = entries.collect::<Result<Vec<_>>>()?;
    for (entry, index) in entries.iter().zip(1..) {
        ensure!(submitter.becomes(entry)? == Outcome::Appended { index });
    }
    node.shutdown().await?;

    let (node, address) = host(&home).await?;
    let stream = node.node.open_stream("room").await?;
    let mut submitter = Submitter::dial(&stream, address).await?;
    for (entry, index) in entries.iter().zip(1..) {
        let found = submitter.becomes(entry)?;
        ensure!(found == Outcome::Appended { index }, "expected it at {index}, found {found:?}");
    }
    let Outcome::Refused(refused) = submitter.becomes(&action(&room, 1, "\"another one\"")?)? else {
        bail!("expected a number that is used");
    };
    ensure!(refused.code == 3003, "{refused:?}");
    // What comes now is known as well.
    let next = action(&room, 3, "4")?;
    ensure!(submitter.becomes(&next)? == Outcome::Appended { index: 4 });
    ensure!(submitter.becomes(&next)? == Outcome::Appended { index: 4 });
    ensure!(stream.info().await?.length == 5);
    node.shutdown().await
}
