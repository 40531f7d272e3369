//! Streams that were copied or put back: nothing is appended before their newest head is known.

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use crate::support::{PATIENCE, World};

/// Copies a home as people do.
fn copy(world: &World, from: &str, to: &str) {
    fn copy_all(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy_all(&entry.path(), &target);
            } else if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    copy_all(&world.path(from), &world.path(to));
}

/// A home `here` with a stream `log` of one message.
fn written() -> World {
    let world = World::new();
    world.ok("here", &["new", "log"]);
    world.ok("here", &["append", "log", "one"]);
    world
}

fn info(world: &World, home: &str) -> Value {
    world.json(home, &["info", "log"])
}

#[test]
fn a_copied_home_is_read_and_not_written() {
    let world = written();
    copy(&world, "here", "there");
    assert_eq!(world.ok("there", &["cat", "log"]), "one\n");
    let refused = world.run("there", &["append", "log", "two"]);
    assert_eq!(refused.code, Some(8), "{refused:?}");
    assert!(refused.stderr.contains("E2007") && refused.stderr.contains("it is a copy"), "{refused:?}");
    assert!(refused.stderr.contains("nothing was appended"), "{refused:?}");
    let told = info(&world, "there");
    assert_eq!((&told["writable"], &told["length"]), (&false.into(), &1.into()), "{told}");
    assert_eq!((&told["recovering"]["answered"], &told["recovering"]["needed"]), (&0.into(), &2.into()));
    assert!(world.ok("there", &["ls"]).contains("recovering"));
    // Where it was written, it still is.
    assert_eq!(info(&world, "here")["recovering"], Value::Null);
    world.ok("here", &["append", "log", "two"]);
}

#[test]
fn the_user_can_say_that_nothing_was_written_elsewhere() {
    let world = written();
    copy(&world, "here", "there");
    let hasty = world.run("there", &["append", "log", "two", "--unsafe-only-writer"]);
    assert_eq!(hasty.code, Some(2), "{hasty:?}");
    assert!(hasty.stderr.contains("--yes") && hasty.stderr.contains("fork"), "{hasty:?}");
    assert_eq!(info(&world, "there")["length"], 1);
    world.ok("there", &["append", "log", "two", "--unsafe-only-writer", "--yes"]);
    world.ok("there", &["append", "log", "three"]);
    let told = info(&world, "there");
    assert_eq!((&told["writable"], &told["length"]), (&true.into(), &3.into()), "{told}");
    // Where the key is not, nobody's word makes a writer.
    let (_node, address) = world.share("there", &[]);
    let link = told["link"].as_str().unwrap();
    world.ok("reader", &["clone", link, "log", "--peer", &address]);
    let refused = world.run("reader", &["append", "log", "four", "--unsafe-only-writer", "--yes"]);
    assert_eq!(refused.code, Some(8), "{refused:?}");
    assert!(refused.stderr.contains("E1007"), "{refused:?}");
}

#[test]
fn a_feed_that_was_put_back_takes_up_what_peers_have_and_is_written_again() {
    let world = World::new();
    let link = world.json("writer", &["new", "log"])["link"].as_str().unwrap().to_string();
    world.ok("writer", &["append", "log", "one"]);
    // A backup, and life goes on.
    copy(&world, "writer", "backup");
    world.ok("writer", &["append", "log", "two"]);
    let peers = ["alice", "bob"].map(|home| {
        let (node, address) = world.share("writer", &[]);
        world.ok(home, &["clone", &link, "log", "--peer", &address]);
        drop(node);
        world.share(home, &[])
    });
    fs::remove_dir_all(world.path("writer")).unwrap();
    copy(&world, "backup", "writer");
    let [(_alice, first), (_bob, second)] = &peers;
    // One peer is not enough.
    let (alone, _) = world.share("writer", &["--peer", first]);
    wait(&world, |told| told["recovering"]["answered"] == 1 && told["length"] == 2);
    let refused = world.run("writer", &["append", "log", "three"]);
    assert_eq!(refused.code, Some(8), "{refused:?}");
    drop(alone);
    let (_both, _) = world.share("writer", &["--peer", first, "--peer", second]);
    wait(&world, |told| told["writable"] == true);
    world.ok("writer", &["append", "log", "three"]);
    assert_eq!(world.ok("writer", &["cat", "log"]), "one\ntwo\nthree\n");
    for home in ["alice", "bob"] {
        let until = Instant::now() + PATIENCE;
        while world.ok(home, &["cat", "log", "--encoding", "utf-8"]) != "one\ntwo\nthree\n" {
            assert!(Instant::now() < until, "{home} has not got the third block");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        assert_eq!(info(&world, home)["fork"], Value::Null);
    }
}

fn wait(world: &World, fits: impl Fn(&Value) -> bool) {
    let until = Instant::now() + PATIENCE;
    loop {
        let told = info(world, "writer");
        if fits(&told) {
            return;
        }
        assert!(Instant::now() < until, "{told}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn an_older_copy_of_the_files_is_noticed_where_it_was_written() {
    let world = written();
    let feed = world.path("here").join("streams/log");
    let parts = ["tree", "data", "signatures", "bitfield"];
    let older: Vec<Vec<u8>> = parts.iter().map(|part| fs::read(feed.join(part)).unwrap()).collect();
    world.ok("here", &["append", "log", "two"]);
    for (part, bytes) in parts.iter().zip(&older) {
        fs::write(feed.join(part), bytes).unwrap();
    }
    let refused = world.run("here", &["append", "log", "other"]);
    assert_eq!(refused.code, Some(8), "{refused:?}");
    assert!(refused.stderr.contains("expected the 2 blocks that were written here, found 1"), "{refused:?}");
}

#[test]
fn a_backup_that_is_written_over_the_home_is_noticed() {
    let world = written();
    copy(&world, "here", "backup");
    world.ok("here", &["append", "log", "two"]);
    copy(&world, "backup", "here");
    let refused = world.run("here", &["append", "log", "other"]);
    assert_eq!(refused.code, Some(8), "{refused:?}");
    assert!(refused.stderr.contains("E2007") && refused.stderr.contains("was put back"), "{refused:?}");
    assert_eq!(info(&world, "here")["length"], 1);
}

#[test]
fn an_imported_key_is_not_written_with() {
    let world = written();
    world.ok("here", &["export", "log", "taken", "--with-secret-key"]);
    let told = world.json("there", &["import", "taken", "log"]);
    assert_eq!(told["writable"], false, "{told}");
    let reason = told["recovering"]["reason"].as_str().unwrap();
    assert!(reason.contains("came from elsewhere"), "{told}");
    assert_eq!(world.run("there", &["append", "log", "two"]).code, Some(8));
    // Rooms are no exception.
    world.ok("here", &["new", "room", "--room"]);
    world.ok("here", &["append", "room", "{}"]);
    copy(&world, "here", "copied");
    let refused = world.run("copied", &["append", "room", "{}"]);
    assert_eq!(refused.code, Some(8), "{refused:?}");
    world.ok("copied", &["append", "room", "{}", "--unsafe-only-writer", "--yes"]);
    assert_eq!(world.json("copied", &["info", "room"])["room"]["host"], true);
}
