//! Commands on a home that no node holds.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::{World, objects};

#[test]
fn a_stream_is_created_appended_to_and_read() {
    let world = World::new();
    let said = world.run("home", &["new", "chess"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let link = said.text().trim_end().to_string();
    assert!(link.starts_with("dat://") && link.len() == 70, "{link}");
    assert!(said.stderr.contains(&format!("quorate clone {link} --peer HOST:PORT")), "{}", said.stderr);
    assert!(said.stderr.contains("quorate share chess"));

    assert_eq!(world.ok("home", &["append", "chess", "e4"]), "appended 1, length 1\n");
    let said = world.run_with("home", &["append", "chess", "-"], b"e5\n\nd4\n");
    assert_eq!((said.code, said.text()), (Some(0), "appended 3, length 4\n"), "{said:?}");
    assert_eq!(world.ok("home", &["cat", "chess"]), "e4\ne5\n\nd4\n");
    assert_eq!(world.ok("home", &["cat", "chess", "--start", "1", "--end", "2"]), "e5\n");
    assert_eq!(world.ok("home", &["cat", "chess", "--tail", "1"]), "d4\n");
    assert_eq!(world.ok("home", &["get", "chess", "0"]), "e4");
    assert_eq!(world.ok("home", &["get", &link, "3"]), "d4");
    assert_eq!(world.ok("home", &["get", &link[6..14], "3"]), "d4");
}

#[test]
fn quiet_means_no_hints() {
    let world = World::new();
    let said = world.run("home", &["-q", "new", "chess"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
}

#[test]
fn files_are_one_block_each() {
    let world = World::new();
    world.ok("home", &["new", "files", "--encoding", "binary"]);
    let contents: [&[u8]; 3] = [b"\x00\xff\n", b"", b"plain"];
    let mut words = vec!["append".to_string(), "files".into(), "--files".into()];
    for (index, content) in contents.iter().enumerate() {
        let path = world.path(&format!("file-{index}"));
        fs::write(&path, content).unwrap();
        words.push(path.to_str().unwrap().into());
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert_eq!(world.ok("home", &words), "appended 3, length 3\n");
    let said = world.run("home", &["cat", "files"]);
    assert_eq!(said.stdout, contents.concat());
    let shown = world.ndjson("home", &["cat", "files"]);
    assert_eq!(shown[0], json!({"schema": "quorate.payload/1", "index": 0, "base64": "AP8K"}));
    assert_eq!(shown[1], json!({"schema": "quorate.payload/1", "index": 1, "base64": ""}));
}

#[test]
fn json_streams_hold_json_only() {
    let world = World::new();
    world.ok("home", &["new", "moves", "--encoding", "json"]);
    world.ok("home", &["append", "moves", "{\"move\": \"e4\",\n \"n\": 1.10}"]);
    let said = world.run_with("home", &["--json", "append", "moves", "--batch"], b"{\"n\": 2}\nno json\n");
    said.failure("E1011", 2);
    let said = world.run("home", &["--json", "cat", "moves"]);
    assert_eq!(
        said.text(),
        "{\"schema\":\"quorate.payload/1\",\"index\":0,\"payload\":{\"move\": \"e4\",  \"n\": 1.10}}\n"
    );
}

#[test]
fn a_batch_is_one_append() {
    let world = World::new();
    world.ok("home", &["new", "numbers"]);
    let lines: String = (0..5000).map(|number| format!("{number}\n")).collect();
    let said = world.run_with("home", &["--json", "append", "numbers", "--batch"], lines.as_bytes());
    let appended = objects(said.text());
    assert_eq!(appended.len(), 1, "{said:?}");
    assert_eq!((&appended[0]["start"], &appended[0]["length"]), (&json!(0), &json!(5000)));
    assert_eq!(appended[0]["schema"], "quorate.appended/1");
    let audit = world.json("home", &["audit", "numbers"]);
    assert_eq!((&audit["blocks"], &audit["missing"]), (&json!(5000), &json!(0)));
    assert_eq!(world.ok("home", &["cat", "numbers"]), lines);
}

#[test]
fn lines_are_acknowledged_as_they_come() {
    let world = World::new();
    world.ok("home", &["new", "chat"]);
    let mut append = world.start("home", &["append", "chat"]);
    for number in 1..=3 {
        append.send("hello\n");
        assert_eq!(append.line(), format!("appended 1, length {number}"));
    }
    append.interrupt();
    assert_eq!(append.wait(), Some(130));
    assert_eq!(world.json("home", &["info", "chat"])["length"], 3);
}

#[test]
fn many_lines_are_all_there() {
    let world = World::new();
    world.ok("home", &["new", "many"]);
    let lines: String = (0..20_000).map(|number| format!("line {number}\n")).collect();
    let said = world.run_with("home", &["--json", "append", "many"], lines.as_bytes());
    let appended = objects(said.text());
    let mut length = 0;
    for group in &appended {
        assert_eq!(group["start"], length);
        length = group["length"].as_u64().unwrap();
    }
    assert_eq!(length, 20_000);
    assert_eq!(world.ok("home", &["cat", "many"]), lines);
}

#[test]
fn log_ls_and_info_tell_what_is_there() {
    let world = World::new();
    let created = world.json("home", &["new", "chess"]);
    assert_eq!(created["schema"], "quorate.stream/1");
    let key = created["key"].as_str().unwrap();
    assert_eq!(created["link"], format!("dat://{key}"));
    world.run_with("home", &["append", "chess"], b"one\nthree\n");
    let log = world.ok("home", &["log", "chess"]);
    let lines: Vec<Vec<&str>> = log.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((lines[0][0], lines[0][1], lines[0][3]), ("0", "3", "here"));
    assert_eq!((lines[1][0], lines[1][1], lines[1][2].len()), ("1", "5", 8));
    let blocks = world.ndjson("home", &["log", "chess"]);
    assert_eq!(blocks[1]["schema"], "quorate.block/1");
    assert_eq!(&blocks[1]["hash"].as_str().unwrap()[..8], lines[1][2]);

    world.ok("home", &["new", "another"]);
    let streams = world.ndjson("home", &["ls"]);
    let names: Vec<&str> = streams.iter().map(|info| info["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["another", "chess"]);
    let ls = world.ok("home", &["ls"]);
    assert!(
        ls.lines().last().unwrap().ends_with(&format!("writable   dat://{key}"))
            || ls.lines().last().unwrap().ends_with(&format!("writable  dat://{key}")),
        "{ls}"
    );
    let info = world.json("home", &["info", "chess"]);
    assert_eq!((&info["length"], &info["here"], &info["byte_length"]), (&json!(2), &json!(2), &json!(8)));
    assert_eq!(
        (&info["kind"], &info["encoding"], &info["writable"]),
        (&json!("plain"), &json!("utf-8"), &json!(true))
    );
    assert!(world.ok("home", &["info", "chess"]).contains(key));
    assert_eq!(world.ok("home", &["peers"]), "");
}

#[test]
fn a_proof_holds_offline_and_a_changed_one_does_not() {
    let world = World::new();
    world.ok("home", &["new", "chess"]);
    world.run_with("home", &["append", "chess"], b"a\nb\nc\nd\ne\n");
    let path = world.path("b.proof");
    let path = path.to_str().unwrap();
    let written = world.json("home", &["proof", "chess", "1", "-o", path]);
    assert_eq!(written["schema"], "quorate.written/1");
    let verified = world.json("nowhere", &["verify", path]);
    assert_eq!(
        (&verified["index"], &verified["length"], &verified["bytes"]),
        (&json!(1), &json!(5), &json!(1))
    );
    assert!(!world.path("nowhere").exists(), "a proof needs no home");
    world.run("home", &["--json", "proof", "chess", "1", "-o", path]).failure("E2006", 2);

    let proof = fs::read_to_string(path).unwrap();
    let changed = proof.replace("\"block\":\"Yg==\"", "\"block\":\"Yw==\"");
    assert_ne!(proof, changed);
    fs::write(path, changed).unwrap();
    let said = world.run("home", &["--json", "verify", path]);
    said.failure("E1010", 1);
    let said = world.run_with("home", &["verify", "-"], proof.as_bytes());
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(
        world.run_with("home", &["--json", "verify", "-"], b"{}").failure("E1010", 1)["kind"],
        "other"
    );
}

#[test]
fn clearing_needs_a_yes() {
    let world = World::new();
    world.ok("home", &["new", "chess"]);
    world.run_with("home", &["append", "chess"], b"a\nb\nc\n");
    let failure = world.run("home", &["--json", "clear", "chess", "0", "2"]).failure("E1011", 2);
    assert!(failure["message"].as_str().unwrap().contains("2 blocks (2 B)"), "{failure}");
    assert_eq!(world.ok("home", &["cat", "chess"]), "a\nb\nc\n");
    let cleared = world.json("home", &["clear", "chess", "0", "2", "--yes"]);
    assert_eq!((&cleared["schema"], &cleared["blocks"]), (&json!("quorate.cleared/1"), &json!(2)));
    let said = world.run("home", &["--json", "cat", "chess"]);
    said.failure("E1005", 3);
    assert_eq!(world.ok("home", &["cat", "chess", "--start", "2"]), "c\n");
    let log = world.ok("home", &["log", "chess"]);
    assert_eq!(log.matches("missing").count(), 2);
    assert_eq!(world.json("home", &["audit", "chess"])["missing"], 2);
}

#[test]
fn secret_keys_stay_where_they_are() {
    let world = World::new();
    world.ok("home", &["new", "chess"]);
    world.ok("home", &["append", "chess", "a"]);
    let keys = world.ndjson("home", &["key", "ls"]);
    assert_eq!(keys.len(), 2);
    let secret = keys[1]["secret"].as_str().unwrap();
    assert_eq!(fs::metadata(secret).unwrap().permissions().mode() & 0o777, 0o600);
    let hex = data_encoding::HEXLOWER.encode(&fs::read(secret).unwrap()[..32]);
    let all = format!("{}{}", world.ok("home", &["key", "ls"]), world.ok("home", &["-vvv", "info", "chess"]));
    assert!(!all.contains(&hex));

    let without = world.path("without");
    let exported = world.json("home", &["export", "chess", without.to_str().unwrap()]);
    assert_eq!(exported["secret_key"], false);
    assert!(!without.join("secret_key").exists() && without.join("data").exists());
    let with = world.path("with");
    world.ok("home", &["export", "chess", with.to_str().unwrap(), "--with-secret-key"]);
    assert!(with.join("secret_key").exists());
}

#[test]
fn an_exported_directory_is_imported() {
    let world = World::new();
    world.ok("home", &["new", "chess"]);
    world.run_with("home", &["append", "chess"], b"a\nb\n");
    let read_only = world.path("read-only");
    let writable = world.path("writable");
    world.ok("home", &["export", "chess", read_only.to_str().unwrap()]);
    world.ok("home", &["export", "chess", writable.to_str().unwrap(), "--with-secret-key"]);

    let imported = world.ndjson("other", &["import", read_only.to_str().unwrap()]);
    assert_eq!((&imported[0]["name"], &imported[0]["writable"]), (&json!("read-only"), &json!(false)));
    assert_eq!(world.ok("other", &["cat", "read-only"]), "ab");
    let failure = world.run("other", &["--json", "append", "read-only", "c"]).failure("E1007", 8);
    assert!(failure["message"].as_str().unwrap().contains("nothing was appended"));

    let imported = world.ndjson("third", &["import", writable.to_str().unwrap(), "mine"]);
    assert_eq!((&imported[0]["name"], &imported[0]["writable"]), (&json!("mine"), &json!(false)));
    world.run("third", &["--json", "append", "mine", "c"]).failure("E2007", 8);
    let words = ["append", "mine", "c", "--unsafe-only-writer", "--yes"];
    assert_eq!(world.ok("third", &words), "appended 1, length 3\n");
    let failure =
        world.run("home", &["--json", "export", "chess", writable.to_str().unwrap()]).failure("E2006", 2);
    assert!(failure["message"].as_str().is_some());
}

#[test]
fn a_closed_pipe_is_a_quiet_end() {
    let world = World::new();
    world.ok("home", &["new", "many"]);
    let lines: String = (0..50_000).map(|number| format!("a line of some length {number}\n")).collect();
    let said = world.run_with("home", &["append", "many", "--batch"], lines.as_bytes());
    assert_eq!(said.code, Some(0), "{said:?}");
    let mut cat = crate::support::bare(&["cat", "many"]);
    cat.env("QUORATE_HOME", world.path("home"));
    let mut child = cat
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn colours_and_homes_are_chosen() {
    let world = World::new();
    let plain = world.run("home", &["info", "nowhere"]).stderr;
    assert!(!plain.contains('\x1b'), "no terminal, no colour");
    let painted = world.run("home", &["--color", "always", "info", "nowhere"]).stderr;
    assert!(painted.contains("\x1b["), "{painted:?}");
    let other = world.path("other home");
    let said = world.run("home", &["--home", other.to_str().unwrap(), "new", "chess"]);
    assert!(said.stderr.contains("quorate --home '"), "{}", said.stderr);
    assert!(other.join("streams").join("chess").is_dir());
}

#[test]
fn a_dat_folder_gives_its_archive() {
    let world = World::new();
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../store/tests/fixtures/dat");
    let shared = format!("{fixtures}/shared");
    let said = world.run("home", &["--json", "import", &shared, "archive"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let imported = objects(said.text());
    let named: Vec<&Value> = imported.iter().map(|info| &info["name"]).collect();
    assert_eq!(named, ["archive", "archive-content"], "{said:?}");
    assert_eq!((&imported[0]["kind"], &imported[1]["kind"]), (&json!("hyperdrive"), &json!("plain")));
    for info in &imported {
        assert_eq!((&info["here"], &info["writable"]), (&info["length"], &json!(false)), "{said:?}");
        world.ok("home", &["audit", info["name"].as_str().unwrap()]);
    }
    let said = world.run("home", &["import", &shared, "again"]);
    assert_eq!(said.code, Some(2), "the feed is here already: {said:?}");
    // The files come out as they went in.
    let out = world.path("out");
    world.ok("home", &["checkout", "archive", out.to_str().unwrap()]);
    for file in ["b.txt", "hello.txt"] {
        let (there, here) = (std::fs::read(format!("{shared}/{file}")), std::fs::read(out.join(file)));
        assert_eq!(there.unwrap(), here.unwrap(), "{file}");
    }
    let said = world.run("home", &["ls-files", "archive"]);
    assert!(said.text().contains("hello.txt"), "{said:?}");
    let said = world.run("home", &["ls-files", "archive", "--version", "99"]);
    assert_eq!(said.code, Some(3), "{said:?}");
}

#[test]
fn a_dat_folder_is_writable_with_the_secret_key_that_dat_keeps() {
    let world = World::new();
    let fixtures = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../store/tests/fixtures/dat"));
    let key = "78/25d0d1839b7628bc98d77e28cde69e7ee1ee2ca78c75e622b6fc2a1d7d96d0";
    let kept = world.path("user").join(".dat/secret_keys").join(key);
    std::fs::create_dir_all(kept.parent().unwrap()).unwrap();
    std::fs::copy(fixtures.join("secret_keys").join(key), &kept).unwrap();
    let shared = fixtures.join("shared");
    let mut command = crate::support::bare(&["--json", "import", shared.to_str().unwrap(), "archive"]);
    command.env("QUORATE_HOME", world.path("home")).env("HOME", world.path("user"));
    let said = crate::support::finish(&mut command, b"");
    let imported = objects(said.text());
    assert_eq!(imported[0]["recovering"]["needed"], 2, "the key is here, and came from elsewhere: {said:?}");
}

#[test]
fn files_that_were_changed_since_are_left_out_of_an_archive() {
    let world = World::new();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../store/tests/fixtures/dat/shared");
    let shared = world.path("shared");
    std::fs::create_dir_all(shared.join(".dat")).unwrap();
    for name in ["", ".dat"] {
        for entry in std::fs::read_dir(std::path::Path::new(fixture).join(name)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                std::fs::copy(entry.path(), shared.join(name).join(entry.file_name())).unwrap();
            }
        }
    }
    let length = std::fs::metadata(shared.join("hello.txt")).unwrap().len();
    std::fs::write(shared.join("hello.txt"), vec![b'?'; length as usize]).unwrap();
    let said = world.run("home", &["--json", "import", shared.to_str().unwrap(), "archive"]);
    let imported = objects(said.text());
    let content = &imported[1];
    assert!(content["here"].as_u64() < content["length"].as_u64(), "{said:?}");
    world.ok("home", &["audit", "archive-content"]);
    let out = world.path("out");
    let said = world.run("home", &["checkout", "archive", out.to_str().unwrap(), "--timeout", "1"]);
    assert_eq!(said.code, Some(4), "a peer would be needed: {said:?}");
}

#[test]
fn what_is_no_key_makes_nothing() {
    let world = World::new();
    world.ok("home", &["new", "diary"]);
    // No point of the curve, and one that anyone can sign for.
    for key in ["ab".repeat(32), "00".repeat(32)] {
        let link = format!("dat://{key}");
        world.run("home", &["--json", "clone", &link, "copy"]).failure("E1004", 2);
        assert_eq!(world.ndjson("home", &["ls"]).len(), 1);
    }
    let directory = world.path("feed");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("key"), [0; 32]).unwrap();
    for file in ["tree", "data", "signatures", "bitfield"] {
        fs::write(directory.join(file), "").unwrap();
    }
    world.run("home", &["--json", "import", directory.to_str().unwrap(), "copy"]).failure("E2002", 9);
    assert_eq!(world.ndjson("home", &["ls"]).len(), 1);
    assert!(!world.path("home/streams/copy").exists());
}

#[test]
fn a_stream_that_cannot_be_opened_hides_no_other() {
    let world = World::new();
    for name in ["one", "two", "three"] {
        world.ok("home", &["new", name]);
    }
    fs::write(world.path("home/streams/two/secret_key"), [1; 3]).unwrap();
    fs::write(world.path("home/streams/three/key"), [1; 3]).unwrap();
    let said = world.run("home", &["--json", "ls"]);
    said.failure_after_data("E2002", 9);
    let listed = objects(said.text());
    assert_eq!((listed.len(), &listed[0]["name"]), (1, &json!("one")), "{listed:?}");
    let said = world.run("home", &["--json", "key", "ls"]);
    said.failure_after_data("E2002", 9);
    let (mut node, _) = world.share("home", &[]);
    let sharing = node.object(|event| event["event"] == "sharing");
    assert_eq!(sharing["stream"], "one");
}

#[test]
fn secret_keys_go_from_home_to_home_in_files() {
    let world = World::new();
    let file = |name: &str| world.path(name).to_str().unwrap().to_owned();
    let (alice, diary) = (file("alice.key"), file("diary.key"));
    let made = world.json("home", &["key", "new", "alice"]);
    let exported = world.json("home", &["key", "export", "alice", &alice, "--identity"]);
    assert_eq!((&exported["key"], &exported["identity"]), (&made["key"], &json!("alice")));
    assert_eq!(fs::metadata(&alice).unwrap().permissions().mode() & 0o777, 0o600);
    world.run("home", &["--json", "key", "export", "alice", &alice, "--identity"]).failure("E2006", 2);
    let taken = world.json("other", &["key", "import", &alice, "me", "--identity"]);
    assert_eq!((&taken["key"], &taken["identity"]), (&made["key"], &json!("me")));
    world.run("other", &["--json", "key", "import", &alice, "me", "--identity"]).failure("E1013", 2);

    let link = world.json("home", &["new", "diary"])["link"].as_str().unwrap().to_owned();
    world.ok("home", &["append", "diary", "one"]);
    world.json("home", &["key", "export", "diary", &diary]);
    let taken = world.json("other", &["key", "import", &diary, "diary"]);
    assert!(link.ends_with(taken["key"].as_str().unwrap()), "{taken}");
    assert_eq!(world.json("other", &["info", "diary"])["recovering"]["answered"], json!(0));
    world.run("other", &["--json", "append", "diary", "two"]).failure("E2007", 8);
    world.run("other", &["--json", "key", "import", &diary, "again"]).failure("E1002", 2);

    // A copy that was cloned gets its key, and waits as well.
    let (_home, address) = world.share("home", &[]);
    world.json("third", &["clone", &link, "copy", "--peer", &address]);
    world.run("third", &["--json", "key", "export", "copy", &file("none")]).failure("E1007", 8);
    world.json("third", &["key", "import", &diary, "any"]);
    assert!(world.json("third", &["info", "copy"])["recovering"].is_object());

    fs::write(&alice, [7; 64]).unwrap();
    world.run("other", &["--json", "key", "import", &alice, "x", "--identity"]).failure("E1011", 2);
    world.run("other", &["--json", "key", "import", &alice, "x"]).failure("E1011", 2);
    world.run("other", &["--json", "key", "import", &file("nowhere"), "x"]).failure("E1011", 2);
}
