//! Writing rules and trying them out.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::help::snapshot;
use crate::support::{Said, World, bare, finish, objects};

const ALICE: &str = "a67e57833f3a55f9a8307f1bf98a96f95cb375c1850bbefac40a74bfd112f823";

/// A rule that was built from the example of the Rust SDK.
fn turns() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/turns")
}

/// Writes a module given as text.
fn module(world: &World, name: &str, text: &str) -> String {
    let path = world.path(name);
    fs::write(&path, wat::parse_str(text).unwrap()).unwrap();
    path.to_str().unwrap().to_string()
}

/// Text of a rule with `check` as the body of its check, and `more` beside it.
fn rule(check: &str, more: &str) -> String {
    format!(
        "(module {more}
           (memory (export \"memory\") 2)
           (func (export \"rule_abi_v1\"))
           (func (export \"rule_alloc\") (param i32) (result i32) (i32.const 1024))
           (func (export \"rule_check\") (param $at i32) (param $size i32) (result i32) {check}))"
    )
}

/// Runs with nothing on the PATH but these programs, which are scripts for a shell.
fn run_with_tools(world: &World, tools: &[(&str, &str)], words: &[&str]) -> Said {
    let bin = world.path("bin");
    fs::create_dir_all(&bin).unwrap();
    for (name, script) in tools {
        let path = bin.join(name);
        fs::write(&path, format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    finish(bare(words).current_dir(world.path("")).env("PATH", bin), b"")
}

#[test]
fn a_rule_in_webassembly_text_is_made_built_and_tested() {
    let world = World::new();
    let said = world.run("home", &["rule", "new", "talk", "--lang", "wat"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    snapshot("rule-new-wat", &format!("{}{}", said.text(), said.stderr));
    let said = world.run("home", &["rule", "build", "talk"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.text().starts_with("talk/build/talk.wasm  "), "{said:?}");
    assert_eq!(said.stderr, "next: quorate rule test talk\n      quorate rule check talk/build/talk.wasm\n");
    let built = world.json("home", &["rule", "build", "talk"]);
    assert_eq!((&built["schema"], &built["name"]), (&json!("quorate.built/1"), &json!("talk")));
    let checked = world.json("home", &["rule", "check", "talk/build/talk.wasm"]);
    assert_eq!(checked["schema"], "quorate.module/1");
    assert_eq!(checked["hash"], built["hash"]);
    assert_eq!(checked["imports"], json!(["state_get", "state_set", "fail"]));
    assert_eq!(checked["exports"], json!(["rule_check", "requires_state"]));
    assert!(checked["metered_bytes"].as_u64() > checked["bytes"].as_u64());
    let codes: Vec<Value> =
        world.ndjson("home", &["rule", "test", "talk"]).iter().map(|line| line["code"].clone()).collect();
    assert_eq!(codes, [json!(0), json!(3), json!(0), json!(2)]);
    assert!(!world.path("home").exists(), "rules need no home");
}

#[test]
fn a_project_is_where_nothing_was() {
    let world = World::new();
    world.ok("home", &["rule", "new", "talk", "--lang", "wat", "--dir", "deep/er"]);
    assert!(world.path("deep/er/talk.wat").is_file());
    world.run("home", &["rule", "new", "talk", "--dir", "deep/er", "--json"]).failure("E2006", 2);
    world.run("home", &["rule", "new", "talk", "--dir", "deep/er/talk.wat", "--json"]).failure("E2006", 2);
    fs::create_dir(world.path("empty")).unwrap();
    let made = world.json("home", &["rule", "new", "talk", "--lang", "wat", "--dir", "empty"]);
    assert_eq!(made["files"], json!([".gitignore", "talk.wat", "rule.json"]));
    for name in ["", "Talk", "a/b", "a_b", "123456789012345678901234567890123"] {
        world.run("home", &["rule", "new", name, "--json"]).failure("E1011", 2);
    }
}

#[test]
fn a_rust_project_has_all_that_it_needs() {
    let world = World::new();
    let said = world.run("home", &["rule", "new", "9-lives", "--lang", "rust"]);
    snapshot("rule-new-rust", &format!("{}{}", said.text(), said.stderr));
    let output = Command::new(env!("CARGO"))
        .args(["test", "--offline", "--quiet"])
        .current_dir(world.path("9-lives"))
        .env("CARGO_TARGET_DIR", world.path("target"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("2 passed"));
}

#[test]
fn a_rust_rule_is_what_cargo_makes() {
    let world = World::new();
    world.ok("home", &["rule", "new", "turns", "--lang", "rust"]);
    let made = turns().join("turns.wasm");
    let cargo = format!(
        "echo \"$@\" > arguments; echo '{{\"reason\":\"compiler-artifact\",\"filenames\":[\"/x/lib.rlib\"]}}'
         echo '{{\"reason\":\"compiler-artifact\",\"filenames\":[\"{}\"]}}'
         echo '{{\"reason\":\"build-finished\",\"success\":true}}'; echo told >&2",
        made.display()
    );
    let said = run_with_tools(&world, &[("cargo", &cargo)], &["rule", "build", "turns"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stderr.starts_with("told\n"), "{said:?}");
    assert_eq!(fs::read(world.path("turns/build/turns.wasm")).unwrap(), fs::read(made).unwrap());
    let arguments = fs::read_to_string(world.path("turns/arguments")).unwrap();
    assert!(arguments.contains("--release --target wasm32-unknown-unknown"), "{arguments}");
    let said = run_with_tools(&world, &[("cargo", &cargo)], &["--json", "rule", "build", "turns"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{said:?}");
}

#[test]
fn missing_tools_are_told_with_the_way_to_them() {
    let world = World::new();
    world.ok("home", &["rule", "new", "in-rust", "--lang", "rust"]);
    world.ok("home", &["rule", "new", "in-as"]);
    let next = |tools: &[(&str, &str)], project: &str, code: &str| {
        let failure = run_with_tools(&world, tools, &["--json", "rule", "build", project]).failure(code, 1);
        (
            failure["message"].as_str().unwrap().to_string(),
            failure["next"].as_str().unwrap_or_default().to_string(),
        )
    };
    assert!(next(&[], "in-as", "E6001").1.contains("Node.js"));
    assert!(next(&[], "in-rust", "E6001").1.contains("rustup target add wasm32-unknown-unknown"));
    let (cargo, rustc) = (("cargo", "echo no core >&2; exit 101"), ("rustc", "echo /nowhere/at/all"));
    let (message, fix) = next(&[cargo, rustc], "in-rust", "E6001");
    assert!(message.contains("standard library of Rust for wasm32-unknown-unknown"), "{message}");
    assert_eq!(fix, "rustup target add wasm32-unknown-unknown");
    // A target that is there: the fault is the project's.
    let (message, _) = next(&[cargo, ("rustc", "echo /")], "in-rust", "E6002");
    assert!(message.contains("cargo build") && message.ends_with("no core"), "{message}");
    let (message, _) = next(&[("cargo", "echo '{\"reason\":\"build-finished\"}'")], "in-rust", "E6002");
    assert!(message.contains("found none"), "{message}");
}

#[test]
fn an_assemblyscript_rule_is_what_npm_makes() {
    let world = World::new();
    world.ok("home", &["rule", "new", "turns"]);
    let npm = format!(
        "echo \"$@\" >> arguments
         case \"$1\" in
           install) mkdir node_modules ;;
           run) mkdir -p build; cp {} build/turns.wasm ;;
         esac; echo told",
        turns().join("turns.wasm").display()
    );
    for _ in 0..2 {
        let said = run_with_tools(&world, &[("npm", &npm)], &["rule", "build", "turns"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(said.stderr.starts_with("told\n") && !said.text().contains("told"), "{said:?}");
    }
    let arguments = fs::read_to_string(world.path("turns/arguments")).unwrap();
    assert_eq!(arguments, "install\nrun build\nrun build\n");
    let failing = [("npm", "echo 'index.ts:7 is wrong'; exit 3")];
    let said = run_with_tools(&world, &failing, &["-q", "rule", "build", "turns"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.starts_with("index.ts:7 is wrong\nerror: npm run build ended with"), "{said:?}");
}

#[test]
fn webassembly_text_with_a_fault_is_told_with_the_place() {
    let world = World::new();
    world.ok("home", &["rule", "new", "talk", "--lang", "wat"]);
    fs::write(world.path("talk/talk.wat"), "(module\n  (func (result i32)\n").unwrap();
    let failure = world.run("home", &["--json", "rule", "build", "talk"]).failure("E6002", 1);
    assert!(failure["message"].as_str().unwrap().contains("talk.wat:3"), "{failure}");
    // Built, and refused by the gate.
    fs::write(world.path("talk/talk.wat"), "(module)").unwrap();
    let failure = world.run("home", &["--json", "rule", "build", "talk"]).failure("E3201", 5);
    assert!(failure["message"].as_str().unwrap().contains("export memory"), "{failure}");
}

#[test]
fn the_rules_that_come_with_quorate_are_taken() {
    let world = World::new();
    for name in ["access-control", "chess", "ledger", "rate-limit"] {
        let checked = world.json("home", &["rule", "check", &format!("builtin:{name}")]);
        assert_eq!(checked["module"], format!("builtin:{name}"));
        assert!(checked["exports"].as_array().unwrap().contains(&json!("rule_init")), "{checked}");
    }
    let text = world.ok("home", &["rule", "check", "builtin:chess"]);
    assert!(text.starts_with("builtin:chess: rooms take it\nhash "), "{text}");
}

#[test]
fn the_gate_says_which_limit_which_function_and_where() {
    let world = World::new();
    let locals = format!("(func $other (local {}))", "i64 ".repeat(1025));
    let path = module(&world, "locals.wasm", &rule("(i32.const 0)", &locals));
    let failure = world.run("home", &["--json", "rule", "check", &path]).failure("E3201", 5);
    let message = failure["message"].as_str().unwrap();
    assert!(
        message.contains("function 0, offset 0x") && message.contains("at most 1024 locals"),
        "{message}"
    );
    for command in [&["rule", "run", &path, "--entries", "-"][..], &["rule", "check", &path]] {
        assert_eq!(world.run("home", command).code, Some(5));
    }
    for (bytes, found) in [
        (&b""[..], "nothing"),
        (b" (module)", "WebAssembly text"),
        (b"no module", "text"),
        (b"\x7fELF\xff", "other bytes"),
        (b"\0asm\x02\0\0\0", "offset"),
    ] {
        fs::write(world.path("none.wasm"), bytes).unwrap();
        let failure = world.run("home", &["--json", "rule", "check", "none.wasm"]).failure("E3201", 5);
        let message = failure["message"].as_str().unwrap();
        assert!(message.contains(found) && !message.contains('\n'), "{message}");
    }
}

#[test]
fn vectors_are_run_by_the_engine() {
    let world = World::new();
    let directory = turns();
    let lines = world.ndjson("home", &["rule", "test", directory.to_str().unwrap()]);
    assert_eq!(lines.len(), 6);
    assert_eq!((&lines[0]["schema"], &lines[0]["index"]), (&json!("quorate.vector/1"), &json!(1)));
    assert!(lines.iter().all(|line| line["ok"] == true && line["gas"].as_u64() > Some(0)), "{lines:?}");
    assert_eq!(lines[0]["reason"], format!("it is the turn of {}", &ALICE[..8]));
    assert_eq!(lines[1]["writes"].as_array().unwrap().len(), 2);
}

#[test]
fn the_first_vector_that_differs_is_told() {
    let world = World::new();
    let project = |vectors: Value| {
        let manifest = json!({"name": "turns", "module": "turns.wasm", "params":
            {"players": ["key:alice", "key:bob"]}, "vectors": vectors});
        fs::write(world.path("rule.json"), manifest.to_string()).unwrap();
    };
    fs::copy(turns().join("turns.wasm"), world.path("turns.wasm")).unwrap();
    project(json!([
        {"author": "alice", "text": "x", "code": 0},
        {"author": ALICE, "hex": "00", "code": 0},
        {"payload": "nobody", "code": 3}
    ]));
    let said = world.run("home", &["--json", "rule", "test"]);
    let failure = said.failure_after_data("E3202", 5);
    let message = failure["message"].as_str().unwrap();
    assert!(message.starts_with("vector 2: expected accept, found reject 3: it is the turn of"), "{message}");
    let ok: Vec<Value> = objects(said.text()).iter().map(|line| line["ok"].clone()).collect();
    assert_eq!(ok, [true, false, false]);
    let said = world.run("home", &["rule", "test"]);
    assert!(said.text().contains("FAILED   2"), "{said:?}");
    for wrong in [
        json!([{"author": "alice", "code": 0}]),
        json!([{"text": "", "payload": 1, "code": 0}]),
        json!([{"text": ""}]),
        json!([{"text": "", "code": 0, "codes": 1}]),
        json!([{"text": "", "code": 0, "author": &ALICE[..60]}]),
    ] {
        project(wrong);
        world.run("home", &["--json", "rule", "test"]).failure("E1011", 2);
    }
    fs::remove_file(world.path("turns.wasm")).unwrap();
    project(json!([]));
    let failure = world.run("home", &["--json", "rule", "test"]).failure("E1011", 2);
    assert_eq!(failure["next"], "quorate rule build DIR builds one");
}

#[test]
fn a_file_in_the_place_of_a_project_is_told_with_the_command_to_type() {
    let world = World::new();
    world.ok("home", &["rule", "new", "turns", "--lang", "wat"]);
    world.ok("home", &["rule", "build", "turns"]);
    fs::write(world.path("alone"), "").unwrap();
    for command in ["test", "build"] {
        for (given, file, next) in [
            ("turns/rule.json", "turns/rule.json", format!("quorate rule {command} turns")),
            ("turns/rule.json/", "turns/rule.json", format!("quorate rule {command} turns")),
            ("turns/build/turns.wasm", "turns/build/turns.wasm", format!("quorate rule {command} turns")),
            ("alone", "alone", "quorate rule new NAME makes a project".into()),
        ] {
            let failure = world.run("home", &["--json", "rule", command, given]).failure("E1011", 2);
            assert_eq!(
                failure["message"],
                format!("expected the directory of a project, found the file {file}")
            );
            assert_eq!(failure["next"], next);
        }
        let mut inside = bare(&["--json", "rule", command, "rule.json"]);
        let said = finish(inside.current_dir(world.path("turns")), b"");
        assert_eq!(said.failure("E1011", 2)["next"], format!("quorate rule {command}"));
    }
    fs::create_dir_all(world.path("odd/rule.json")).unwrap();
    for words in [
        &["test", "odd"][..],
        &["check", "alone/x.wasm"],
        &["run", "builtin:rate-limit", "--entries", "alone/x"],
    ] {
        world.run("home", &[&["--json", "rule"], words].concat()).failure("E1011", 2);
    }
}

#[test]
fn what_stands_in_rule_json_in_the_place_of_an_object_is_told() {
    let world = World::new();
    fs::copy(turns().join("turns.wasm"), world.path("turns.wasm")).unwrap();
    let vectors = |vectors: &str| {
        format!(
            "{{\"name\":\"turns\",\"module\":\"turns.wasm\",\"params\":[\"any\"],\n\"vectors\":{vectors}}}"
        )
    };
    let (rule, vector) = ("name, module and vectors", "author, payload, text or hex, and code");
    for (text, message) in [
        ("[]".to_owned(), format!("rule.json: expected an object with {rule}, found an array")),
        (
            "[\"turns\",\"turns.wasm\",null,[]]".to_owned(),
            format!("rule.json: expected an object with {rule}, found an array"),
        ),
        ("7".to_owned(), format!("rule.json: expected an object with {rule}, found 7")),
        (
            vectors("[] 1"),
            format!(
                "rule.json: expected an object with {rule}, found what is no JSON in line 2, column 14: expected `,` or `}}`"
            ),
        ),
        ("{\"module\":\"turns.wasm\"}".to_owned(), "rule.json: expected a string as name, found none".into()),
        (vectors("{}"), "rule.json: expected an array as vectors, found an object".into()),
        (
            vectors("[{\"text\":\"\",\"code\":2},[\"bob\",1,null,null,0]]"),
            format!("vector 2 of rule.json: expected an object with {vector}, found an array"),
        ),
        (
            vectors("[{\"text\":\"\",\"code\":-1}]"),
            "vector 1 of rule.json: expected a whole number of 0 to 4294967295 as code, found -1".into(),
        ),
        (
            vectors("[{\"text\":\"\"}]"),
            "vector 1 of rule.json: expected code, which is 0 for what the rule accepts, found none".into(),
        ),
        (
            vectors("[{\"code\":0}]"),
            "vector 1 of rule.json: expected one of payload, text and hex, found none".into(),
        ),
        (
            vectors("[{\"payload\":1,\"hex\":\"\",\"code\":0}]"),
            "vector 1 of rule.json: expected one of payload, text and hex, found payload and hex".into(),
        ),
        (
            vectors("[{\"payload\":1,\"codes\":0}]"),
            format!("vector 1 of rule.json: expected {vector}, found \"codes\""),
        ),
    ] {
        fs::write(world.path("rule.json"), &text).unwrap();
        let failure = world.run("home", &["--json", "rule", "test"]).failure("E1011", 2);
        assert_eq!(failure["message"], message);
    }
}

#[test]
fn entries_get_verdicts() {
    let world = World::new();
    let params = format!("{{ \"issuer\" : \"{ALICE}\" }}");
    let entries = format!(
        "{{\"author\":\"{ALICE}\",\"payload\":{{\"mint\": {{\"to\": \"{ALICE}\", \"amount\": 10}}}}}}\n\n\
         {{\"author\":\"bob\",\"payload\":{{\"mint\":{{\"to\":\"{ALICE}\",\"amount\":10}}}}}}\n\
         {{\"author\":\"{ALICE}\",\"payload\":\"no transfer\"}}\n\
         {{\"hex\":\"ff\"}}"
    );
    let words = ["rule", "run", "builtin:ledger", "--params", &params, "--entries", "-"];
    let mut json_words = words.to_vec();
    json_words.push("--json");
    let said = world.run_with("home", &json_words, entries.as_bytes());
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{said:?}");
    let lines = objects(said.text());
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0]["schema"], "quorate.verdict/1");
    assert_eq!((&lines[0]["verdict"], &lines[0]["code"]), (&json!("accept"), &json!(0)));
    assert_eq!((&lines[0]["index"], &lines[0]["author"]), (&json!(1), &json!(ALICE)));
    assert!(lines[0]["gas"].as_u64() > Some(1000) && lines[0]["reason"].is_null());
    let writes = lines[0]["writes"].as_array().unwrap();
    assert!(!writes.is_empty() && writes.iter().all(|write| write["key"].is_string()), "{writes:?}");
    assert_eq!((&lines[1]["verdict"], &lines[1]["code"]), (&json!("reject"), &json!(3)));
    assert!(lines[1]["reason"].as_str().unwrap().contains("is not the issuer"));
    assert_eq!(lines[1]["writes"], json!([]));
    assert_eq!(lines[3]["author"], "0".repeat(64));
    // The same out of a file, for people.
    fs::write(world.path("entries.ndjson"), entries).unwrap();
    let text = world.ok("home", &[&words[..6], &["entries.ndjson"]].concat());
    assert!(text.starts_with("   1  accept  (gas "), "{text}");
    assert_eq!(text.lines().count(), 4);

    // On what the first entry has written the next ones go on.
    let state: serde_json::Map<String, Value> = writes
        .iter()
        .map(|write| (write["key"].as_str().unwrap().to_owned(), write["value"].clone()))
        .collect();
    fs::write(world.path("state.json"), Value::from(state).to_string()).unwrap();
    let spend = |amount: u64| {
        let payload = json!({ "transfer": { "to": "22".repeat(32), "amount": amount } });
        format!("\u{feff}{}\n", json!({ "author": ALICE, "payload": payload, "note": "passed over" }))
    };
    let with_state = [&json_words[..], &["--state", "state.json"]].concat();
    for (amount, verdict) in [(10, "accept"), (11, "reject")] {
        let said = world.run_with("home", &with_state, spend(amount).as_bytes());
        assert_eq!(objects(said.text())[0]["verdict"], verdict, "{said:?}");
        let said = world.run_with("home", &json_words, spend(amount).as_bytes());
        assert_eq!(objects(said.text())[0]["verdict"], "reject", "{said:?}");
    }
    // What no rule's state can hold, and what says two things.
    let (long, large) = ("6b".repeat(257), "00".repeat(65_537));
    for wrong in [
        "{\"key\": 1}".to_owned(),
        format!("{{\"{long}\": \"\"}}"),
        format!("{{\"6b\": \"{large}\"}}"),
        "{\"6b\": \"01\", \"6B\": \"02\"}".to_owned(),
        "[]".to_owned(),
        "[[\"6b\", \"01\"]]".to_owned(),
    ] {
        fs::write(world.path("state.json"), wrong).unwrap();
        world.run_with("home", &with_state, b"").failure("E1011", 2);
    }
}

#[test]
fn a_payload_reaches_the_rule_as_it_was_written() {
    let world = World::new();
    // Logs the payload.
    let echo = rule(
        "(call $log (i32.add (local.get $at) (i32.add (i32.const 84) (i32.load offset=76 align=1 (local.get $at))))
                    (i32.load offset=80 align=1 (local.get $at))) (i32.const 0)",
        "(import \"rule_v1\" \"log\" (func $log (param i32 i32)))",
    );
    let path = module(&world, "echo.wasm", &echo);
    let entries = "{\"payload\": {\"b\": 1.50, \"a\": [1e3, \"x y\", \"\\u00e9\"]}}\n{\"payload\": \"it's\\n\\u00e9\"}\n{\"payload\":[ ]}\n";
    let said =
        world.run_with("home", &["--json", "rule", "run", &path, "--entries", "-"], entries.as_bytes());
    let logs: Vec<Value> = objects(said.text()).iter().map(|line| line["logs"][0].clone()).collect();
    assert_eq!(logs, ["{\"b\":1.50,\"a\":[1e3,\"x y\",\"\\u00e9\"]}", "it's\né", "[]"]);
    let said =
        world.run_with("home", &["rule", "run", &path, "--entries", "-"], b"{\"payload\":\"a\\u001b[2J\"}");
    assert!(said.text().contains("log: a\u{fffd}[2J\n"), "{said:?}");
}

#[test]
fn a_rule_that_traps_or_cannot_tell_is_a_verdict_like_any_other() {
    let world = World::new();
    // Traps on an empty payload, and asks for block 0 on any other.
    let path = module(
        &world,
        "asks.wasm",
        &rule(
            "(if (i32.eqz (i32.load offset=80 align=1 (local.get $at))) (then unreachable))
             (call $get_block (i64.const 0) (i32.const 0) (i32.const 8))",
            "(import \"rule_v1\" \"get_block\" (func $get_block (param i64 i32 i32) (result i32)))
             (func (export \"requires_history\"))",
        ),
    );
    let said = world.run_with(
        "home",
        &["--json", "rule", "run", &path, "--entries", "-"],
        b"{\"payload\":\"\"}\n{\"payload\":\"x\"}\n",
    );
    assert_eq!(said.code, Some(0), "{said:?}");
    let lines = objects(said.text());
    assert_eq!((&lines[0]["verdict"], &lines[0]["code"]), (&json!("reject"), &json!(65536)));
    assert_eq!((&lines[1]["verdict"], &lines[1]["code"]), (&json!("unable"), &json!(null)));
    assert!(lines[1]["reason"].as_str().unwrap().contains("block 0"), "{lines:?}");
}

#[test]
fn entries_and_params_that_are_none_are_told() {
    let world = World::new();
    let path = module(&world, "yes.wasm", &rule("(i32.const 0)", ""));
    let words = ["--json", "rule", "run", &path, "--entries", "-"];
    let said = world.run_with("home", &words, b"{\"payload\":1}\n\n{\"payload\"}\n{\"payload\":2}\n");
    let failure = said.failure_after_data("E1011", 2);
    let message = failure["message"].as_str().unwrap();
    assert_eq!(
        message,
        "line 3 of standard input: expected an object with author, payload or hex, \
         found what is no JSON in column 11: expected `:`"
    );
    assert_eq!(objects(said.text()).len(), 1);
    for (line, problem) in [
        (
            "[\"aa\",{\"move\":\"e2e4\"},null]",
            "expected an object with author, payload or hex, found an array",
        ),
        ("[]", "expected an object with author, payload or hex, found an array"),
        ("5", "expected an object with author, payload or hex, found 5"),
        ("{\"payload\":1,\"hex\":\"00\"}", "expected one of payload and hex, found both"),
        ("{\"author\":\"bob\"}", "expected one of payload and hex, found neither"),
        ("{\"author\":[],\"payload\":1}", "expected a string as author, found an array"),
    ] {
        let entries = format!("{{\"payload\":[null]}}\n{line}\n");
        let said = world.run_with("home", &words, entries.as_bytes());
        let failure = said.failure_after_data("E1011", 2);
        assert_eq!(failure["message"], format!("line 2 of standard input: {problem}"));
        assert_eq!(objects(said.text()).len(), 1);
    }
    world.run("home", &["--json", "rule", "run", &path, "--entries", "nowhere"]).failure("E1011", 2);
    world.run("home", &["--json", "rule", "run", "nowhere", "--entries", "-"]).failure("E1011", 2);
    world.run("home", &[&words[..], &["--params", "{"]].concat()).failure("E1011", 2);
    // Params that no room takes, directories, and a field that nobody reads.
    let large = format!("\"{}\"", "x".repeat(16 * 1024));
    let with_params = [&words[..], &["--params", &large]].concat();
    let failure = world.run_with("home", &with_params, b"").failure("E1011", 2);
    assert!(failure["message"].as_str().unwrap().contains("at most 16384 bytes"), "{failure}");
    world.run("home", &["--json", "rule", "run", ".", "--entries", "-"]).failure("E1011", 2);
    world.run("home", &["--json", "rule", "run", &path, "--entries", "."]).failure("E1011", 2);
    let entries = b"{\"payload\":1}\n{\"payload\":1,\"autor\":\"bob\"}\n{\"payload\":1,\"autor\":\"bob\"}\n";
    let said = world.run_with("home", &words[1..], entries);
    assert_eq!((said.code, said.text().lines().count()), (Some(0), 3), "{said:?}");
    assert_eq!(
        said.stderr.matches("the field \"autor\" in line 2 of standard input is passed over").count(),
        1
    );
    assert_eq!(said.stderr.lines().count(), 1, "{said:?}");
    let ledger = ["--json", "rule", "run", "builtin:ledger", "--entries", "-"];
    let failure = world.run("home", &[&ledger[..], &["--params", "{}"]].concat()).failure("E3209", 5);
    assert!(failure["message"].as_str().unwrap().contains("refuses its params"), "{failure}");
    world.run("home", &["--json", "rule", "check", "builtin:checkers"]).failure("E1011", 2);
}

#[test]
fn a_new_room_names_the_module_that_is_refused() {
    let world = World::new();
    module(&world, "yes.wasm", &rule("(i32.const 0)", ""));
    module(&world, "start.wasm", &rule("(i32.const 0)", "(func $first) (start $first)"));
    fs::write(world.path("README.md"), "# Rules\n").unwrap();
    let refused = |words: &[&str]| {
        let all = [&["--json", "new", "room", "--rule", "yes.wasm"], words].concat();
        let failure = world.run("home", &all).failure("E3201", 5);
        failure["message"].as_str().unwrap().to_owned()
    };
    for named in ["start.wasm", "start.wasm:first"] {
        let message = refused(&["--rule", named]);
        assert!(message.starts_with("the gate refuses start.wasm: offset 0x"), "{message}");
        assert!(
            message.ends_with("expected no start function, found function 0; nothing was made"),
            "{message}"
        );
    }
    // A name that no rule can have is a lesser fault than a file that is no module, where it is only the file's.
    let message = refused(&["--rule", "README.md"]);
    assert!(message.starts_with("the gate refuses README.md: expected a WebAssembly module"), "{message}");
    for named in ["README.md:README", "yes.wasm:Yes"] {
        world.run("home", &["--json", "new", "room", "--rule", named]).failure("E1011", 2);
    }
    world.run("home", &["--json", "info", "room"]).failure("E1001", 3);
}

#[test]
fn a_delay_of_rules_is_at_least_one_block() {
    let world = World::new();
    let failure =
        world.run("home", &["--json", "new", "room", "--room", "--rule-delay", "0"]).failure("E1011", 2);
    assert!(failure["message"].as_str().unwrap().contains("0 is not in 1.."), "{failure}");
    let made = world.json("home", &["new", "room", "--room", "--rule-delay", "1"]);
    assert_eq!(made["room"]["rule_delay"], 1);
}

#[test]
fn failures_of_rules_are_told_as_stored() {
    let world = World::new();
    fs::create_dir(world.path("taken")).unwrap();
    fs::write(world.path("taken/file"), "").unwrap();
    fs::create_dir(world.path("none")).unwrap();
    fs::write(world.path("none/rule.json"), "{\"name\":\"none\",\"module\":\"none.wasm\"}").unwrap();
    let cases: &[(&str, &[&str], i32)] = &[
        ("taken", &["new", "talk", "--dir", "taken"], 2),
        ("bad-name", &["new", "Talk"], 2),
        ("no-project", &["build", "nowhere"], 2),
        ("no-source", &["build", "none"], 2),
        ("no-module", &["test", "none"], 2),
        ("no-builtin", &["check", "builtin:checkers"], 2),
    ];
    for (name, words, exit) in cases {
        let said = world.run("home", &[&["rule"], *words].concat());
        assert_eq!((said.code, said.text()), (Some(*exit), ""), "{said:?}");
        snapshot(&format!("error-rule-{name}"), &said.stderr);
    }
}
