//! Writes a small room into a directory that stock clients read: a game of chess, with one rule.
//!
//! `cargo run -p quorate-stream --example write_room DIRECTORY`
//!
//! Nothing here is secret, and no rule is run: the seeds are fixed, and the room is the same every time.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_lite::future::block_on;
use quorate_feed::{Feed, FeedConfig, Flavour, Keys, Storage, sign};
use quorate_stream::action::UnsignedAction;
use quorate_stream::header::{GenesisRule, StreamHeader};
use quorate_stream::identity::{Anchor, Author, room_id};
use quorate_stream::payload::PayloadEncoding;
use quorate_stream::rule_change::{Change, UnsignedRuleChange};
use quorate_stream::{chunk, entry::Entry};
use quorate_types::ModuleHash;
use random_access_disk::RandomAccessDisk;

/// The smallest WebAssembly module. It is no rule.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args_os().nth(1).map(PathBuf::from).ok_or("expected a directory")?;
    fs::create_dir_all(&directory)?;
    block_on(write(&directory))
}

async fn write(directory: &Path) -> Result<(), Box<dyn Error>> {
    let (public, secret) = sign::key_pair(&[1; 32]);
    let file = |name: &str| {
        let path = directory.join(name);
        async move { RandomAccessDisk::open(path).await }
    };
    let storage = Storage {
        tree: file("tree").await?,
        data: file("data").await?,
        signatures: file("signatures").await?,
        bitfield: file("bitfield").await?,
    };
    let keys = Keys { public, secret: Some(secret) };
    let mut feed = Feed::create(keys, storage, FeedConfig::default()).await?;

    let module = Bytes::from_static(MODULE);
    let mut header = StreamHeader::new("a game of chess", PayloadEncoding::Json);
    header.rules.push(GenesisRule {
        name: "chess".parse()?,
        module: ModuleHash::of(&module),
        meter: 1,
        params: Bytes::from_static(b"{}"),
        locked: false,
    });
    let block_0 = header.encode()?;
    let room = room_id(&public, &block_0);
    let mut blocks = vec![block_0];
    blocks.extend(chunk::split(&module)?.into_iter().map(|chunk| Entry::Chunk(chunk).encode()));
    feed.append(&blocks).await?;

    let (white, black) = (Author::from_seed(&[2; 32]), Author::from_seed(&[3; 32]));
    for (at, (author, movement)) in
        [(&white, "e2e4"), (&black, "e7e5"), (&white, "g1f3"), (&black, "b8c6")].into_iter().enumerate()
    {
        let anchor = Anchor::new(feed.length(), feed.roots().tree_hash(Flavour::Dat));
        let payload = Bytes::from(format!("{{\"move\":\"{movement}\"}}"));
        let action = UnsignedAction { sequence: at as u64 / 2, anchor, valid_until: 0, payload };
        feed.append(&[action.sign(&room, author)?.encode()]).await?;
    }
    let change = UnsignedRuleChange {
        sequence: 2,
        anchor: Anchor::NONE,
        valid_until: 100,
        change: Change::Install {
            name: "rate-limit".parse()?,
            module: ModuleHash::of(&module),
            meter: 1,
            params: Bytes::from_static(br#"{"per_minute":6}"#),
        },
        activation: feed.length() + 1,
        vectors: Vec::new(),
    };
    feed.append(&[change.sign(&room, &white)?.encode()]).await?;
    feed.flush().await?;
    fs::write(directory.join("key"), public.as_bytes())?;
    println!("{public}");
    Ok(())
}
