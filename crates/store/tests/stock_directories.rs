//! Directories made by hypercore 7.7.1, hypercore 9.12.0, and hyperdrive 9.16.0 with dat-storage
//! 1.1.1. They must open for ever.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bytes::Bytes;
use common::fixture;
use futures_lite::future::block_on;
use quorate_feed::sleep::{HEADER_BYTES, Header, Kind};
use quorate_feed::{Bitfield, Feed, FeedConfig};
use quorate_store::{
    Backend, DirectoryError, Encoding, FeedDirectory, FeedFiles, Home, Lock, LockError, Origin,
    SecretKeyPolicy, StreamInfo, export, find_feeds, import, read_keys,
};
use quorate_types::BlockRange;

fn open(files: &FeedFiles) -> (Feed<Backend>, Lock) {
    block_on(async {
        let opened = FeedDirectory::open(files).await.unwrap();
        let (feed, recovery) = Feed::open(opened.keys, opened.storage, FeedConfig::default()).await.unwrap();
        assert!(recovery.is_clean() && recovery.recovered.is_empty(), "{recovery:?}");
        (feed, opened.lock)
    })
}

fn blocks(feed: &mut Feed<Backend>) -> Vec<Option<String>> {
    (0..feed.length())
        .map(|index| {
            let block = block_on(feed.get(index)).unwrap();
            block.map(|block| String::from_utf8_lossy(&block).into_owned())
        })
        .collect()
}

/// What the fixtures of hypercore hold: block 4 is empty.
fn expected() -> Vec<Option<String>> {
    let text = |index| if index == 4 { String::new() } else { format!("block {index}") };
    (0..10).map(|index| Some(text(index))).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn hypercore_directories_open_and_grow() {
    for name in ["hypercore-7", "hypercore-9"] {
        let (_directory, path) = fixture(name);
        let files = FeedFiles::plain(&path);
        let (mut feed, lock) = open(&files);
        assert!(feed.is_writable());
        assert_eq!(blocks(&mut feed), expected(), "{name}");
        assert_eq!(mode(&files.secret_key()), 0o600);
        block_on(feed.append(&[Bytes::from_static(b"more")])).unwrap();
        block_on(feed.flush()).unwrap();
        drop((feed, lock));
        let (mut feed, _lock) = open(&files);
        assert_eq!(feed.length(), 11);
        assert_eq!(blocks(&mut feed).pop(), Some(Some("more".to_owned())));
    }
}

#[test]
fn headers_and_bitfields_are_read() {
    for name in ["hypercore-7", "hypercore-9"] {
        let (_directory, path) = fixture(name);
        let files = FeedFiles::plain(&path);
        for (kind, path) in [
            (Kind::Tree, files.tree()),
            (Kind::Signatures, files.signatures()),
            (Kind::Bitfield, files.bitfield()),
        ] {
            assert_eq!(Header::parse(kind, &fs::read(path).unwrap()), Ok(Header::new(kind)), "{name}");
        }
        let bytes = fs::read(files.bitfield()).unwrap();
        let bitfield = Bitfield::from_bytes(3584, &bytes[HEADER_BYTES..]).unwrap();
        assert_eq!((bitfield.count(BlockRange::new(0, 99)), bitfield.tree_length()), (10, 10), "{name}");
        assert_eq!(bitfield.page(0).unwrap(), bytes[HEADER_BYTES..], "{name}");
    }
}

#[test]
fn a_dat_folder_opens_with_the_key_from_its_own_directory() {
    let (_directory, path) = fixture("dat");
    let found = find_feeds(&path.join("shared"));
    let roles: Vec<_> = found.iter().map(|feed| feed.role).collect();
    assert_eq!(roles, [Some("metadata"), Some("content")]);
    let metadata = &found[0].files;
    let keys = read_keys(metadata).unwrap();
    assert!(keys.secret.is_none());
    let with_key = metadata.clone().with_secret_keys(&path.join("secret_keys"), &keys.public.discovery_key());
    assert!(read_keys(&with_key).unwrap().secret.is_some());
    let (mut feed, _lock) = open(&with_key);
    assert!(feed.is_writable());
    let blocks = blocks(&mut feed);
    assert_eq!(blocks.len(), 3);
    assert!(blocks[0].as_ref().unwrap().contains("hyperdrive"));
    assert!(blocks[1].as_ref().unwrap().contains("hello.txt"));
}

#[test]
fn a_hyperdrive_folder_opens() {
    let (_directory, path) = fixture("hyperdrive");
    let found = find_feeds(&path);
    let (mut metadata, _lock) = open(&found[0].files);
    assert!(metadata.is_writable() && blocks(&mut metadata)[0].as_ref().unwrap().contains("hyperdrive"));
    let (mut content, _lock) = open(&found[1].files);
    assert_eq!(blocks(&mut content), [Some("hello world\n".to_owned())]);
    assert!(!content.is_writable());
}

#[test]
fn imports_leave_the_source_as_it_was() {
    let (directory, path) = fixture("hypercore-9");
    let before: Vec<_> = snapshot(&path);
    let home = Home::open(directory.path().join("home")).unwrap();
    let info = StreamInfo::new(1, Encoding::Binary, Origin::Imported);
    let mut told = vec![];
    let name = "old".parse().unwrap();
    let stream = home
        .import(&name, &FeedFiles::plain(&path), SecretKeyPolicy::Take, &info, &mut |done, total| {
            told.push((done, total));
        })
        .unwrap();
    assert_eq!(snapshot(&path), before);
    assert_eq!(told.last(), Some(&(3616 + 63 + 672 + 792, 3616 + 63 + 672 + 792)));
    assert!(stream.is_writable && mode(&stream.files.secret_key()) == 0o600);
    let (mut feed, lock) = open(&stream.files);
    assert_eq!(blocks(&mut feed), expected());
    drop((feed, lock));
    // Twice is once too often, and leaves nothing.
    let again = home.import(
        &"again".parse().unwrap(),
        &FeedFiles::plain(&path),
        SecretKeyPolicy::Take,
        &info,
        &mut |_, _| {},
    );
    assert!(again.unwrap_err().to_string().contains("as stream old"));
    assert_eq!(fs::read_dir(home.root().join("streams")).unwrap().count(), 1);
}

fn snapshot(path: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.map(|path| (path.display().to_string(), fs::read(path).unwrap())).collect();
    files.sort();
    files
}

#[test]
fn exports_hold_the_secret_key_only_when_asked() {
    let (directory, path) = fixture("hypercore-7");
    let files = FeedFiles::plain(&path);
    for (policy, name) in [(SecretKeyPolicy::Leave, "reader"), (SecretKeyPolicy::Take, "writer")] {
        let target = FeedFiles::plain(directory.path().join(name));
        let keys = export(&files, &target, policy, &mut |_, _| {}).unwrap();
        assert_eq!(keys.secret.is_some(), policy == SecretKeyPolicy::Take);
        assert_eq!(target.secret_key().exists(), policy == SecretKeyPolicy::Take);
        for (from, to) in [
            (files.tree(), target.tree()),
            (files.data(), target.data()),
            (files.bitfield(), target.bitfield()),
            (files.signatures(), target.signatures()),
            (files.key(), target.key()),
        ] {
            assert_eq!(fs::read(from).unwrap(), fs::read(to).unwrap());
        }
        let entries = if policy == SecretKeyPolicy::Take { 6 } else { 5 };
        assert_eq!(fs::read_dir(target.directory()).unwrap().count(), entries, "nothing of ours is left");
        let again = export(&files, &target, policy, &mut |_, _| {});
        assert!(matches!(again, Err(DirectoryError::NotEmpty { .. })));
        let (mut feed, _lock) = open(&target);
        assert_eq!(blocks(&mut feed), expected());
    }
}

#[test]
fn nothing_is_written_where_something_is() {
    let (directory, path) = fixture("hypercore-9");
    let target = FeedFiles::plain(directory.path().join("taken"));
    fs::create_dir(target.directory()).unwrap();
    fs::write(target.tree(), "somebody's").unwrap();
    let refused = export(&FeedFiles::plain(&path), &target, SecretKeyPolicy::Leave, &mut |_, _| {});
    assert!(matches!(refused, Err(DirectoryError::NotEmpty { .. })), "{refused:?}");
    assert_eq!(fs::read(target.tree()).unwrap(), b"somebody's");
    assert_eq!(fs::read_dir(target.directory()).unwrap().count(), 1);
}

#[test]
fn holes_of_sparse_feeds_stay_holes() {
    let (directory, path) = fixture("hypercore-9");
    let files = FeedFiles::plain(&path);
    let data = fs::OpenOptions::new().write(true).open(files.data()).unwrap();
    data.set_len(64 << 20).unwrap();
    let target = FeedFiles::plain(directory.path().join("copy"));
    import(&files, &target, SecretKeyPolicy::Leave, &mut |_, _| {}).unwrap();
    let copied = fs::metadata(target.data()).unwrap();
    assert_eq!(copied.len(), 64 << 20);
    assert!(std::os::unix::fs::MetadataExt::blocks(&copied) * 512 < 1 << 20);
    assert_eq!(fs::read(target.data()).unwrap(), fs::read(files.data()).unwrap());
}

#[test]
fn what_is_in_use_is_not_copied() {
    let (directory, path) = fixture("hypercore-9");
    let files = FeedFiles::plain(&path);
    let target = FeedFiles::plain(directory.path().join("copy"));
    // As stock clients lock it.
    let stock = fs::File::open(files.bitfield()).unwrap();
    stock.lock().unwrap();
    for result in [
        import(&files, &target, SecretKeyPolicy::Leave, &mut |_, _| {}),
        export(&files, &target, SecretKeyPolicy::Leave, &mut |_, _| {}),
    ] {
        assert!(matches!(result, Err(DirectoryError::Locked(LockError::HeldByOther { .. }))));
    }
    assert!(matches!(block_on(FeedDirectory::open(&files)), Err(DirectoryError::Locked(_))));
    drop(stock);
    let opened = block_on(FeedDirectory::open(&files)).unwrap();
    let result = export(&files, &target, SecretKeyPolicy::Leave, &mut |_, _| {});
    assert!(matches!(result, Err(DirectoryError::Locked(LockError::Held { holder: Some(_), .. }))));
    drop(opened);
    export(&files, &target, SecretKeyPolicy::Leave, &mut |_, _| {}).unwrap();
}

#[test]
fn what_is_no_feed_is_named_and_left_alone() {
    let (directory, path) = fixture("dat");
    let empty = directory.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let result = block_on(FeedDirectory::open(&FeedFiles::plain(&empty)));
    assert!(matches!(result, Err(DirectoryError::NotFound { .. })));
    assert_eq!(fs::read_dir(&empty).unwrap().count(), 0);
    fs::write(empty.join("oplog"), "").unwrap();
    let result = block_on(FeedDirectory::open(&FeedFiles::plain(&empty)));
    assert!(matches!(result, Err(DirectoryError::OtherFormat { found: "a hypercore 10 feed", .. })));
    // The blocks of a dat's content are the files of its folder.
    let content = &find_feeds(&path.join("shared"))[1].files;
    let target = FeedFiles::plain(directory.path().join("copy"));
    let result = import(content, &target, SecretKeyPolicy::Leave, &mut |_, _| {});
    assert!(
        matches!(result, Err(DirectoryError::NotFound { missing, .. }) if missing.ends_with("content.data"))
    );
}

#[test]
fn keys_that_do_not_fit_are_refused() {
    let (_directory, path) = fixture("hypercore-9");
    let files = FeedFiles::plain(&path);
    let mut secret = fs::read(files.secret_key()).unwrap();
    secret[40] ^= 1;
    fs::write(files.secret_key(), &secret).unwrap();
    let error = block_on(FeedDirectory::open(&files)).unwrap_err();
    assert!(matches!(error, DirectoryError::OtherSecretKey { .. }));
    let half = data_encoding_of(&secret[..32]);
    assert!(!format!("{error} {error:?}").contains(&half), "no secret is printed");
    fs::write(files.secret_key(), &secret[..63]).unwrap();
    let error = block_on(FeedDirectory::open(&files)).unwrap_err();
    assert!(matches!(error, DirectoryError::KeyLength { expected: 64, found: 63, .. }));
    fs::write(files.secret_key(), "").unwrap();
    assert!(block_on(FeedDirectory::open(&files)).unwrap().keys.secret.is_none());
}

fn data_encoding_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
