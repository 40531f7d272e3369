//! Rooms, carried by peers that know nothing of them.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use quorate_interop_tests::{Generation, Node, PATIENCE, checksum, generated_block, soon};
use quorate_stream::action::UnsignedAction;
use quorate_stream::chunk::split;
use quorate_stream::entry::Entry;
use quorate_stream::header::StreamHeader;
use quorate_stream::identity::{Anchor, Author, room_id};
use quorate_stream::payload::PayloadEncoding;
use quorate_types::PublicKey;

use crate::support::{Dials, each_generation, meet, stock_reader};

each_generation!(a_room_goes_through_a_stock_peer_byte_for_byte);

/// Actions of each participant.
const ACTIONS: u64 = 40;

/// Bytes of a module that takes several blocks.
const MODULE_BYTES: usize = 150_000;

/// Makes the blocks of a room on a feed: header, a module in its chunks, signed actions of two participants.
fn room(feed: &PublicKey) -> Result<Vec<Bytes>> {
    let module = Bytes::from(generated_block(1, 0, MODULE_BYTES));
    let header = StreamHeader::new("chess", PayloadEncoding::Json);
    let mut blocks = vec![header.encode()?];
    blocks.extend(split(&module)?.into_iter().map(|chunk| Entry::Chunk(chunk).encode()));
    let room = room_id(feed, &blocks[0]);
    let players = [Author::from_seed(&[1; 32]), Author::from_seed(&[2; 32])];
    for sequence in 0..ACTIONS {
        for player in &players {
            let payload = Bytes::from(format!("{{\"move\":{sequence}}}"));
            let action = UnsignedAction { sequence, anchor: Anchor::NONE, valid_until: 0, payload };
            blocks.push(action.sign(&room, player)?.encode());
        }
    }
    Ok(blocks)
}

async fn a_room_goes_through_a_stock_peer_byte_for_byte(generation: Generation) -> Result<()> {
    let host = Node::fresh().await?;
    let stream = host.create("room", Vec::<Bytes>::new()).await?;
    let blocks = room(stream.key())?;
    stream.append(blocks.clone()).await?;

    let mut mirror = stock_reader(generation, &stream)?;
    meet(Dials::They, &host, &mut mirror).await?;
    mirror.wait_downloaded(blocks.len() as u64, PATIENCE)?;
    assert_eq!(mirror.checksum()?, checksum(&blocks));
    host.shutdown().await?;

    // Whoever has it from the stock peer alone can check all of it.
    let reader = Node::fresh().await?;
    let copy = reader.carry(mirror.key(), "").await?;
    meet(Dials::They, &reader, &mut mirror).await?;
    assert_eq!(soon("sync", copy.synced()).await??, blocks.len() as u64);
    let first = copy.get(0).await?;
    let header = StreamHeader::parse(&first)?.context("block 0 is a room's header")?;
    assert_eq!(header.name, "chess");
    let room = room_id(copy.key(), &first);
    let mut actions = 0;
    for index in 1..blocks.len() as u64 {
        match Entry::decode(copy.get(index).await?)? {
            Entry::Chunk(chunk) => ensure!(chunk.size as usize == MODULE_BYTES),
            entry => {
                entry.verify(&room)?;
                actions += 1;
            }
        }
    }
    assert_eq!(actions, 2 * ACTIONS);
    reader.shutdown().await
}
