use std::fs;
use std::os::unix::fs::PermissionsExt;

use futures_lite::future::block_on;
use quorate_feed::Keys;
use quorate_types::{NoiseSecretKey, PublicKey, SecretKey};
use tempfile::TempDir;

use super::*;

fn keys(byte: u8) -> Keys {
    let (mut secret, public) = ([0; 64], [byte; 32]);
    secret[32..].copy_from_slice(&public);
    Keys { public: PublicKey::new(public), secret: Some(SecretKey::new(secret)) }
}

fn info() -> StreamInfo {
    StreamInfo::new(1, Encoding::Utf8, Origin::Created)
}

fn name(text: &str) -> StreamName {
    text.parse().unwrap()
}

fn home() -> (TempDir, Home) {
    let directory = tempfile::tempdir().unwrap();
    let home = Home::open(directory.path().join("home")).unwrap();
    (directory, home)
}

fn create(home: &Home, text: &str, byte: u8) -> Result<FeedDirectory, HomeError> {
    block_on(home.create(&name(text), keys(byte), &info()))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_new_stream_is_there_and_its_secrets_are_secret() {
    let (_directory, home) = home();
    let created = create(&home, "room", 0xab).unwrap();
    assert_eq!(mode(&created.files.secret_key()), 0o600);
    assert_eq!((mode(home.root()), mode(created.files.directory())), (0o700, 0o700));
    let stream = home.find("room").unwrap();
    assert_eq!((stream.key, stream.is_writable, stream.info), (keys(0xab).public, true, info()));
    let mut reader = keys(0xcd);
    reader.secret = None;
    block_on(home.create(&name("clone"), reader, &info())).unwrap();
    assert!(!home.find("clone").unwrap().is_writable);
}

#[test]
fn names_and_keys_are_taken_once() {
    let (_directory, home) = home();
    create(&home, "a", 1).unwrap();
    assert!(matches!(create(&home, "a", 2), Err(HomeError::NameTaken { .. })));
    let error = create(&home, "b", 1).unwrap_err();
    assert!(matches!(&error, HomeError::KeyTaken { name, .. } if name.as_str() == "a"), "{error}");
    assert_eq!(home.list().unwrap().streams.len(), 1);
    assert!(!home.files(&name("b")).directory().exists());
}

#[test]
fn streams_are_found_by_name_short_key_and_link() {
    let (_directory, home) = home();
    for (text, byte) in [("one", 0x11), ("two", 0x12), ("face", 0x13), ("other", 0xfa)] {
        create(&home, text, byte).unwrap();
    }
    let found = |text: &str| home.find(text).map(|stream| stream.name.to_string());
    let key = keys(0x12).public;
    for text in ["two", "1212", "121212121", &key.to_string(), &format!("dat://{key}"), &format!("{key}+3")] {
        assert_eq!(found(text).unwrap(), "two", "{text}");
    }
    assert_eq!(found("FAFA").unwrap(), "other");
    assert_eq!(found("face").unwrap(), "face", "a name goes before a short key");
    for text in ["", "121", "nothing", "1213", "../one", &keys(9).public.to_string()] {
        assert!(matches!(home.find(text), Err(HomeError::NotFound { .. })), "{text}");
    }
    assert!(matches!(home.find(&format!("{key}+x")), Err(HomeError::Link(_))));
    // Two keys that begin alike.
    let mut twin = keys(0x11);
    let mut bytes = *twin.public.as_bytes();
    bytes[31] = 0;
    (twin.public, twin.secret) = (PublicKey::new(bytes), None);
    block_on(home.create(&name("twin"), twin, &info())).unwrap();
    match home.find("11111") {
        Err(HomeError::Ambiguous { names, .. }) => assert_eq!(names, ["one", "twin"]),
        other => panic!("expected two streams, found {other:?}"),
    }
}

#[test]
fn a_damaged_stream_does_not_hide_the_others() {
    let (_directory, home) = home();
    for (text, byte) in [("a", 1), ("b", 2), ("c", 3)] {
        create(&home, text, byte).unwrap();
    }
    fs::write(home.files(&name("a")).key(), "short").unwrap();
    fs::write(home.files(&name("b")).directory().join("quorate.json"), "{").unwrap();
    fs::create_dir(home.root().join("streams/unfinished")).unwrap();
    fs::write(home.root().join("streams/file"), "").unwrap();
    let listing = home.list().unwrap();
    let names: Vec<&str> = listing.streams.iter().map(|stream| stream.name.as_str()).collect();
    assert_eq!(names, ["c"]);
    let damaged: Vec<String> =
        listing.damaged.iter().map(|(name, error)| format!("{name}: {error}")).collect();
    assert_eq!(damaged.len(), 2);
    assert!(
        damaged[0].contains("expected a key of 32 bytes") && damaged[0].contains("found 5"),
        "{damaged:?}"
    );
    assert!(
        damaged[1].starts_with("b: expected what is kept about a stream, in JSON, in line 1 of"),
        "{damaged:?}"
    );
    // What was never finished can be made.
    create(&home, "unfinished", 4).unwrap();
}

#[test]
fn info_is_replaced() {
    let (_directory, home) = home();
    create(&home, "a", 1).unwrap();
    let mut info = home.find("a").unwrap().info;
    info.add_peer("127.0.0.1:3282");
    home.write_info(&name("a"), &info).unwrap();
    assert_eq!(home.find("a").unwrap().info.peers(), ["127.0.0.1:3282"]);
    assert!(home.write_info(&name("none"), &info).is_err());
}

#[test]
fn the_noise_key_is_kept() {
    let (_directory, home) = home();
    let first = home.noise_key(&NoiseSecretKey::new([1; 32])).unwrap();
    let second = home.noise_key(&NoiseSecretKey::new([2; 32])).unwrap();
    assert_eq!((first.expose(), second.expose()), (&[1; 32], &[1; 32]));
    let path = home.root().join("noise_key");
    assert_eq!(mode(&path), 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    home.noise_key(&NoiseSecretKey::new([2; 32])).unwrap();
    assert_eq!(mode(&path), 0o600);
    fs::write(&path, "short").unwrap();
    let error = home.noise_key(&NoiseSecretKey::new([2; 32])).unwrap_err();
    assert!(matches!(error, HomeError::NoiseKey { found: 5, .. }));
}

#[test]
fn one_node_runs_in_a_home() {
    let (_directory, home) = home();
    let lock = home.lock_node().unwrap();
    assert!(matches!(home.lock_node(), Err(LockError::Held { holder: Some(_), .. })));
    drop(lock);
    home.lock_node().unwrap();
}
