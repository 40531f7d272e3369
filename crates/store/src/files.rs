//! Where the files of a feed are, in each of the layouts that Dat programs use.

use std::path::{Path, PathBuf};

use quorate_types::DiscoveryKey;

/// Directory of the metadata and content feeds that dat and dat-storage keep in a shared folder.
const DAT_DIRECTORY: &str = ".dat";

/// The two feeds of a drive, each with its prefix or directory.
const DRIVE_FEEDS: [&str; 2] = ["metadata", "content"];

/// Paths of the files of one feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedFiles {
    directory: PathBuf,
    /// What stands before each file name: nothing, `metadata.` or `content.`.
    prefix: String,
    /// Where the secret key is, when it is not beside the others.
    secret_key: Option<PathBuf>,
    /// Where the blocks are, when they are not beside the others.
    data: Option<PathBuf>,
}

impl FeedFiles {
    /// A directory that holds one feed, as hypercore makes it.
    pub fn plain(directory: impl Into<PathBuf>) -> Self {
        Self::prefixed(directory, "")
    }

    /// A directory that holds several feeds, with a prefix such as `content.` before each file name,
    /// as dat-storage 1.1.1 makes it.
    pub fn prefixed(directory: impl Into<PathBuf>, prefix: impl Into<String>) -> Self {
        Self { directory: directory.into(), prefix: prefix.into(), secret_key: None, data: None }
    }

    /// Takes the secret key from a directory of secret keys, such as `~/.dat/secret_keys`, in which
    /// it is found by the discovery key (dat-secret-storage 4).
    #[must_use]
    pub fn with_secret_keys(mut self, directory: &Path, discovery_key: &DiscoveryKey) -> Self {
        let name = discovery_key.to_string();
        let (first, rest) = name.split_at(2);
        self.secret_key = Some(directory.join(first).join(rest));
        self
    }

    /// Takes the blocks from another file: a folder that `dat` shares has those of its content as files.
    #[must_use]
    pub fn with_data(mut self, path: impl Into<PathBuf>) -> Self {
        self.data = Some(path.into());
        self
    }

    /// Returns the directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the path of the public key: 32 bytes.
    pub fn key(&self) -> PathBuf {
        self.file("key")
    }

    /// Returns the path of the secret key: 64 bytes, seed and public key.
    pub fn secret_key(&self) -> PathBuf {
        self.secret_key.clone().unwrap_or_else(|| self.file("secret_key"))
    }

    /// Returns the path of the Merkle tree.
    pub fn tree(&self) -> PathBuf {
        self.file("tree")
    }

    /// Returns the path of the blocks.
    pub fn data(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(|| self.file("data"))
    }

    /// Returns the path of the bitfield.
    pub fn bitfield(&self) -> PathBuf {
        self.file("bitfield")
    }

    /// Returns the path of the signatures.
    pub fn signatures(&self) -> PathBuf {
        self.file("signatures")
    }

    /// Returns the path of our lock file, which stock programs do not know.
    pub fn lock(&self) -> PathBuf {
        self.file("quorate.lock")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{}{name}", self.prefix))
    }

    fn is_there(&self) -> bool {
        self.key().is_file() || self.tree().is_file()
    }
}

/// A feed in a directory of another program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFeed {
    /// `metadata` or `content` for the two feeds of a drive.
    pub role: Option<&'static str>,
    /// Its files.
    pub files: FeedFiles,
}

/// Lists the feeds at a path: a hypercore directory, a `.dat` folder, a folder with `.dat` in it, or
/// a hyperdrive folder with `metadata` and `content` in it. Empty when there is none.
pub fn find_feeds(path: &Path) -> Vec<FoundFeed> {
    let plain = FeedFiles::plain(path);
    if plain.is_there() {
        return vec![FoundFeed { role: None, files: plain }];
    }
    let in_one = |directory: PathBuf| DRIVE_FEEDS.map(|role| (role, directory.clone(), format!("{role}.")));
    let candidates = [
        in_one(path.to_owned()),
        in_one(path.join(DAT_DIRECTORY)),
        DRIVE_FEEDS.map(|role| (role, path.join(role), String::new())),
    ];
    for candidate in candidates {
        let feeds = candidate.map(|(role, directory, prefix)| FoundFeed {
            role: Some(role),
            files: FeedFiles::prefixed(directory, prefix),
        });
        let found: Vec<FoundFeed> = feeds.into_iter().filter(|feed| feed.files.is_there()).collect();
        if !found.is_empty() {
            return found;
        }
    }
    vec![]
}

/// Recognises directories of newer programs, which hold no SLEEP feed.
pub(crate) fn other_format(path: &Path) -> Option<&'static str> {
    if path.join("CORESTORE").exists() || path.join("db").is_dir() {
        Some("a hypercore 11 store")
    } else if path.join("oplog").is_file() {
        Some("a hypercore 10 feed")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn touch(directory: &Path, name: &str) {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    fn roles(path: &Path) -> Vec<(Option<&'static str>, PathBuf)> {
        find_feeds(path).into_iter().map(|feed| (feed.role, feed.files.tree())).collect()
    }

    #[test]
    fn every_layout_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        assert_eq!(roles(at), []);
        touch(at, "metadata/tree");
        touch(at, "content/tree");
        let expected = [("metadata", "metadata/tree"), ("content", "content/tree")];
        assert_eq!(roles(at), expected.map(|(role, path)| (Some(role), at.join(path))));
        touch(at, ".dat/metadata.tree");
        touch(at, ".dat/content.tree");
        let expected = [("metadata", ".dat/metadata.tree"), ("content", ".dat/content.tree")]
            .map(|(role, path)| (Some(role), at.join(path)));
        assert_eq!(roles(at), expected);
        assert_eq!(roles(&at.join(".dat")), expected);
        touch(at, "key");
        assert_eq!(roles(at), [(None, at.join("tree"))]);
    }

    #[test]
    fn secret_keys_are_found_by_the_discovery_key() {
        let key = DiscoveryKey::new([0xab; 32]);
        let files = FeedFiles::prefixed("/x/.dat", "metadata.").with_secret_keys(Path::new("/keys"), &key);
        assert_eq!(files.secret_key(), Path::new("/keys/ab").join("ab".repeat(31)));
        assert_eq!(files.key(), Path::new("/x/.dat/metadata.key"));
        assert_eq!(files.lock(), Path::new("/x/.dat/metadata.quorate.lock"));
    }

    #[test]
    fn newer_stores_are_recognised() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(other_format(directory.path()), None);
        touch(directory.path(), "oplog");
        assert_eq!(other_format(directory.path()), Some("a hypercore 10 feed"));
        touch(directory.path(), "CORESTORE");
        assert_eq!(other_format(directory.path()), Some("a hypercore 11 store"));
    }
}
