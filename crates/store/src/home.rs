//! The data directory of a node: its streams by name, and its own key.

mod decisions;
mod identities;
mod info;
mod name;
mod vote_key;

#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use quorate_feed::Keys;
use quorate_types::{Link, LinkError, NoiseSecretKey, PublicKey, SecretKey};

pub use self::decisions::{Decision, KeptBranch, MAX_DECISIONS, Policy};
pub use self::identities::{DEFAULT_IDENTITY, Identity};
pub use self::info::{Encoding, Gate, Origin, StreamInfo};
pub use self::name::{NameError, StreamName};
pub use self::vote_key::StoredVoteKey;
use crate::atomic::{self, SECRET_MODE};
use crate::directory::{DirectoryError, FeedDirectory, read_public_key};
use crate::files::FeedFiles;
use crate::lock::{Lock, LockError};
use crate::transfer::{self, SecretKeyPolicy};

const DIRECTORY_MODE: u32 = 0o700;

/// Fewest hexadecimal digits by which a stream can be named.
const MIN_SHORT_KEY_DIGITS: usize = 4;

/// Bytes of the node's static key.
const NOISE_KEY_BYTES: usize = 32;

/// Data directory of a node, for `QUORATE_HOME`.
///
/// ```text
/// noise_key            static key of the node, 32 bytes, mode 0600
/// node.lock            held by the node that runs
/// api.sock             its local API
/// vote_key             seed of the vote key, where this node is a validator, mode 0600
/// decisions.json       what its user decided about keys that signed contradictions
/// identities/NAME      secret key of a local identity, as in a stock secret_key file, mode 0600
/// streams/NAME/        one feed, in the files of stock clients
/// streams/NAME/quorate.json
/// ```
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
}

/// A stream of a [`Home`], not opened.
#[derive(Debug, Clone)]
pub struct Stream {
    /// Its name.
    pub name: StreamName,
    /// Key of its feed.
    pub key: PublicKey,
    /// Whether its secret key is here.
    pub is_writable: bool,
    /// What is kept about it.
    pub info: StreamInfo,
    /// Its files.
    pub files: FeedFiles,
}

/// All streams of a [`Home`].
#[derive(Debug, Default)]
pub struct Listing {
    /// Those that can be opened, by name.
    pub streams: Vec<Stream>,
    /// Those that cannot, with the reason.
    pub damaged: Vec<(StreamName, HomeError)>,
}

/// Why a data directory cannot be used as asked.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// No stream has the name.
    #[error(
        "expected the name of a stream, a short key or a link, found {found:?}, which is none of them here"
    )]
    NotFound {
        /// What was asked for.
        found: String,
    },
    /// A short key fits several streams.
    #[error("expected a key that fits one stream, found {found:?}, which fits {}", names.join(", "))]
    Ambiguous {
        /// What was asked for.
        found: String,
        /// Names of the streams.
        names: Vec<String>,
    },
    /// A link has something else than a version behind its key.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// A stream has the name.
    #[error("expected a name that is free, found a stream {name}")]
    NameTaken {
        /// The name.
        name: StreamName,
    },
    /// The feed is here under another name.
    #[error("expected a feed that is not here, found {key} as stream {name}")]
    KeyTaken {
        /// Name of the stream that has the feed.
        name: StreamName,
        /// Key of the feed.
        key: PublicKey,
    },
    /// The feed's directory cannot be made or opened.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The node's key is damaged.
    #[error("expected a key of {NOISE_KEY_BYTES} bytes in {}, found {found}", path.display())]
    NoiseKey {
        /// The key file.
        path: PathBuf,
        /// Bytes in the file.
        found: usize,
    },
    /// An identity has the name.
    #[error("expected a name that no identity has, found the identity {name}")]
    IdentityTaken {
        /// The name.
        name: StreamName,
    },
    /// No identity has the name.
    #[error("expected the name of an identity of this home, found {name}, which is none")]
    NoIdentity {
        /// The name.
        name: StreamName,
    },
    /// The file of an identity holds no key pair.
    #[error("expected an Ed25519 key pair of 64 bytes in {}, found {found} bytes that are none", path.display())]
    IdentityDamaged {
        /// The key file.
        path: PathBuf,
        /// Bytes in the file.
        found: usize,
    },
    /// The decisions of the user cannot be used.
    #[error("expected decisions about keys in {}, found {found}", path.display())]
    Decisions {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
    /// What is kept about a stream cannot be used.
    #[error("expected what is kept about a stream, in JSON, in line {line} of {}, found {found}", path.display())]
    StreamInfo {
        /// The file.
        path: PathBuf,
        /// Line in which it goes wrong, counted from 1.
        line: usize,
        /// What is wrong with it.
        found: String,
    },
    /// A file cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
}

impl HomeError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}

impl Home {
    /// Opens a data directory, which is made if it is not there, for its owner only.
    ///
    /// # Errors
    ///
    /// Fails when the directory cannot be made.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, HomeError> {
        let root = root.into();
        let streams = root.join("streams");
        atomic::make_directory(&streams, DIRECTORY_MODE).map_err(HomeError::io("make", &streams))?;
        Ok(Self { root })
    }

    /// Returns the directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the path of the local API's socket.
    pub fn socket_path(&self) -> PathBuf {
        self.root.join("api.sock")
    }

    /// Takes the data directory for a node that runs.
    ///
    /// # Errors
    ///
    /// [`LockError::Held`] names the process of the node that runs.
    pub fn lock_node(&self) -> Result<Lock, LockError> {
        Lock::acquire(&self.root.join("node.lock"))
    }

    /// Returns the static key of the node. The first time it is `fresh`, which is then kept.
    ///
    /// # Errors
    ///
    /// Fails when the key file is damaged, or cannot be read or made.
    pub fn noise_key(&self, fresh: &NoiseSecretKey) -> Result<NoiseSecretKey, HomeError> {
        let path = self.root.join("noise_key");
        // A home that is only read needs no disk that can be written.
        if !path.exists() {
            match atomic::create(&path, fresh.expose(), SECRET_MODE) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(HomeError::io("make", &path)(error)),
                Ok(()) => return Ok(fresh.clone()),
            }
        }
        let bytes = atomic::read(&path, 2 * NOISE_KEY_BYTES).map_err(HomeError::io("read", &path))?;
        let bytes = bytes.unwrap_or_default();
        let Ok(key) = <[u8; NOISE_KEY_BYTES]>::try_from(bytes.as_slice()) else {
            return Err(HomeError::NoiseKey { path, found: bytes.len() });
        };
        atomic::make_secret(&path).map_err(HomeError::io("restrict", &path))?;
        Ok(NoiseSecretKey::new(key))
    }

    /// Returns the files of the stream with a name, whether it is there or not.
    pub fn files(&self, name: &StreamName) -> FeedFiles {
        FeedFiles::plain(self.directory(name.as_str()))
    }

    fn directory(&self, name: &str) -> PathBuf {
        self.root.join("streams").join(name)
    }

    /// Makes a stream and opens it.
    ///
    /// # Errors
    ///
    /// [`HomeError::NameTaken`], [`HomeError::KeyTaken`]; nothing is made then.
    pub async fn create(
        &self,
        name: &StreamName,
        keys: Keys,
        info: &StreamInfo,
    ) -> Result<FeedDirectory, HomeError> {
        self.check_free(name, &keys.public)?;
        let files = self.files(name);
        let directory = files.directory();
        atomic::make_directory(directory, DIRECTORY_MODE).map_err(HomeError::io("make", directory))?;
        // Before the key file, which makes it a stream.
        info.write(directory).map_err(HomeError::io("write", &directory.join(info::FILE_NAME)))?;
        Ok(FeedDirectory::create(&files, keys).await?)
    }

    /// Copies a feed of another program into a new stream; it is all there, or not at all.
    ///
    /// `progress` is told the bytes copied and the bytes in all. Blocks the thread.
    ///
    /// # Errors
    ///
    /// Those of [`transfer::import`], [`HomeError::NameTaken`] and [`HomeError::KeyTaken`].
    pub fn import(
        &self,
        name: &StreamName,
        from: &FeedFiles,
        secret_key: SecretKeyPolicy,
        info: &StreamInfo,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Stream, HomeError> {
        self.check_free(name, &read_public_key(from)?)?;
        // Names do not begin with a dot, so this is no stream.
        let incoming = self.directory(&format!(".incoming-{name}"));
        remove_stale(&incoming)?;
        let copied = transfer::import(from, &FeedFiles::plain(&incoming), secret_key, progress);
        let result = copied.map_err(HomeError::from).and_then(|_| {
            info.write(&incoming).map_err(HomeError::io("write", &incoming.join(info::FILE_NAME)))?;
            let directory = self.directory(name.as_str());
            fs::rename(&incoming, &directory).map_err(HomeError::io("make", &directory))?;
            let streams = self.root.join("streams");
            atomic::sync_directory(&streams).map_err(HomeError::io("sync", &streams))
        });
        if result.is_err() {
            let _ = fs::remove_dir_all(&incoming);
        }
        result?;
        self.stream(name.clone())
    }

    /// Puts the secret key beside a stream that has none here.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn add_secret_key(&self, stream: &Stream, secret: &SecretKey) -> Result<(), HomeError> {
        let path = stream.files.secret_key();
        atomic::replace(&path, secret.expose(), SECRET_MODE).map_err(HomeError::io("write", &path))
    }

    /// Removes the directory of a stream that was made just now and is of no use.
    ///
    /// # Errors
    ///
    /// The directory cannot be removed.
    pub fn discard(&self, name: &StreamName) -> Result<(), HomeError> {
        let directory = self.directory(name.as_str());
        fs::remove_dir_all(&directory).map_err(HomeError::io("remove", &directory))
    }

    fn check_free(&self, name: &StreamName, key: &PublicKey) -> Result<(), HomeError> {
        if self.files(name).key().exists() {
            return Err(HomeError::NameTaken { name: name.clone() });
        }
        let listing = self.list()?;
        match listing.streams.into_iter().find(|stream| stream.key == *key) {
            Some(stream) => Err(HomeError::KeyTaken { name: stream.name, key: *key }),
            None => Ok(()),
        }
    }

    /// Lists the streams, by name.
    ///
    /// # Errors
    ///
    /// Fails when the directory cannot be read. A stream that is damaged does not hide the others.
    pub fn list(&self) -> Result<Listing, HomeError> {
        let streams = self.root.join("streams");
        let mut names = Vec::new();
        for entry in fs::read_dir(&streams).map_err(HomeError::io("read", &streams))? {
            let entry = entry.map_err(HomeError::io("read", &streams))?;
            let name = entry.file_name().to_str().and_then(|name| name.parse::<StreamName>().ok());
            // A directory without a key is one that was never made to its end.
            names.extend(name.filter(|name| self.files(name).key().exists()));
        }
        names.sort();
        let mut listing = Listing::default();
        for name in names {
            match self.stream(name.clone()) {
                Ok(stream) => listing.streams.push(stream),
                Err(error) => listing.damaged.push((name, error)),
            }
        }
        Ok(listing)
    }

    fn stream(&self, name: StreamName) -> Result<Stream, HomeError> {
        let files = self.files(&name);
        let key = read_public_key(&files)?;
        let directory = files.directory();
        let info = StreamInfo::read(directory)?;
        let is_writable = fs::metadata(files.secret_key()).is_ok_and(|metadata| metadata.len() > 0);
        Ok(Stream { name, key, is_writable, info, files })
    }

    /// Finds a stream by its name, by the first digits of its key, or by a link.
    ///
    /// # Errors
    ///
    /// [`HomeError::NotFound`], or [`HomeError::Ambiguous`] when the digits fit several.
    pub fn find(&self, text: &str) -> Result<Stream, HomeError> {
        if let Ok(name) = text.parse::<StreamName>()
            && self.files(&name).key().exists()
        {
            return self.stream(name);
        }
        let not_found = || HomeError::NotFound { found: text.chars().take(100).collect() };
        let listing = self.list()?;
        match text.parse::<Link>() {
            Ok(link) => {
                return listing
                    .streams
                    .into_iter()
                    .find(|stream| stream.key == link.key)
                    .ok_or_else(not_found);
            }
            Err(error @ LinkError::Version { .. }) => return Err(error.into()),
            Err(LinkError::NoKey { .. } | LinkError::TooLong { .. }) => {}
        }
        let digits = text.to_ascii_lowercase();
        if digits.len() < MIN_SHORT_KEY_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(not_found());
        }
        let mut fitting = listing.streams;
        fitting.retain(|stream| stream.key.to_string().starts_with(&digits));
        if fitting.len() > 1 {
            let names = fitting.into_iter().map(|stream| stream.name.to_string()).collect();
            return Err(HomeError::Ambiguous { found: text.to_owned(), names });
        }
        fitting.pop().ok_or_else(not_found)
    }

    /// Replaces what is kept about a stream.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be written; the old one is then still there.
    pub fn write_info(&self, name: &StreamName, info: &StreamInfo) -> Result<(), HomeError> {
        let directory = self.directory(name.as_str());
        info.write(&directory).map_err(HomeError::io("write", &directory.join(info::FILE_NAME)))
    }
}

/// Removes what an import left behind that was killed.
fn remove_stale(directory: &Path) -> Result<(), HomeError> {
    if !directory.exists() {
        return Ok(());
    }
    // Another import of the same name may be at work.
    let lock = Lock::acquire(&FeedFiles::plain(directory).lock()).map_err(DirectoryError::from)?;
    fs::remove_dir_all(directory).map_err(HomeError::io("remove", directory))?;
    drop(lock);
    Ok(())
}
