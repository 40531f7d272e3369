//! Opening a state's file, and what is done with one that is damaged.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use quorate_rules::state::Position;
use quorate_types::RoomId;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError};

use super::{
    Hot, META, META_POSITION, META_ROOM, RedbStore, STATE, UNDO, Unsynced, read_position, write_position,
};
use crate::atomic::{PUBLIC_MODE, sync_directory};

/// Version of the layout of the tables.
const FORMAT: u32 = 2;
const META_FORMAT: &str = "format";

/// Pages of the database in memory, bytes, for one room.
const PAGE_CACHE_BYTES: usize = 32 << 20;

/// Longest file whose every page is verified at opening. Beyond, only what a crash interrupted is looked at.
const MAX_VERIFIED_BYTES: u64 = 256 << 20;

/// What opening a state has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// No file: the state begins.
    Nothing,
    /// The state, at the position it has now.
    State,
    /// A file that cannot be used, which was moved aside: the state begins again.
    Damaged {
        /// What is wrong with it.
        reason: String,
        /// Where it is now.
        aside: PathBuf,
    },
}

/// Why a state cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenStateError {
    /// It is open, in this process or another.
    #[error("{} is open already", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be opened, read or made.
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

/// Why a file was not opened.
enum Failure {
    Fatal(OpenStateError),
    /// The file is not what was written.
    Damaged(String),
}

pub(super) fn open(path: &Path, room: RoomId) -> Result<RedbStore, OpenStateError> {
    let is_new = fs::metadata(path).map_or(true, |metadata| metadata.len() == 0);
    let reason = match open_file(path, room) {
        Ok(mut store) => {
            if is_new {
                store.found = Found::Nothing;
            }
            return Ok(store);
        }
        Err(Failure::Fatal(error)) => return Err(error),
        Err(Failure::Damaged(reason)) => reason,
    };
    let mut aside = path.as_os_str().to_owned();
    aside.push(".damaged");
    let aside = PathBuf::from(aside);
    // An older one is replaced: they are looked at by people only, and must not fill the disk.
    fs::rename(path, &aside).map_err(io_error("move aside", path))?;
    tracing::warn!(
        file = %path.display(), aside = %aside.display(), %reason,
        "the state of a room cannot be used: it is made again from the blocks"
    );
    match open_file(path, room) {
        Ok(mut store) => {
            store.found = Found::Damaged { reason, aside };
            Ok(store)
        }
        Err(Failure::Fatal(error)) => Err(error),
        Err(Failure::Damaged(reason)) => Err(io_error("make", path)(io::Error::other(reason))),
    }
}

fn open_file(path: &Path, room: RoomId) -> Result<RedbStore, Failure> {
    let fatal = |action| move |source| Failure::Fatal(io_error(action, path)(source));
    let length = make(path).map_err(fatal("open"))?;
    let database = Database::builder()
        .set_cache_size(PAGE_CACHE_BYTES)
        .set_check_integrity_on_open(length <= MAX_VERIFIED_BYTES)
        .create(path)
        .map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => {
                Failure::Fatal(OpenStateError::Busy { path: path.to_owned() })
            }
            DatabaseError::Storage(StorageError::Io(error)) if !is_damage(&error) => fatal("open")(error),
            error => Failure::Damaged(error.to_string()),
        })?;
    let state = read_meta(&database, room).map_err(|error| match error {
        redb::Error::Io(error) if !is_damage(&error) => fatal("read")(error),
        error => Failure::Damaged(error.to_string()),
    })?;
    let (position, oldest, undo_bytes) = state.map_err(Failure::Damaged)?;
    Ok(RedbStore {
        database,
        path: path.to_owned(),
        room,
        found: Found::State,
        position,
        committed: position,
        oldest,
        undo_bytes,
        unsynced: Unsynced::default(),
        hot: Hot::new(),
        table: Mutex::new(None),
    })
}

/// Makes an empty file where there is none, with the permissions of the home; returns its length.
fn make(path: &Path) -> io::Result<u64> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(PUBLIC_MODE);
    let length = options.open(path)?.metadata()?.len();
    if length == 0
        && let Some(directory) = path.parent().filter(|parent| !parent.as_os_str().is_empty())
    {
        sync_directory(directory)?;
    }
    Ok(length)
}

/// Reads where the state stands: position, least length in reach, bytes of the undo records. What is new is
/// given its format and room.
fn read_meta(database: &Database, room: RoomId) -> Result<Result<(Position, u64, u64), String>, redb::Error> {
    let transaction = database.begin_write()?;
    let format = {
        let meta = transaction.open_table(META)?;
        let format = meta.get(META_FORMAT)?;
        format.map(|format| format.value().to_vec())
    };
    match format {
        None => {
            {
                let mut meta = transaction.open_table(META)?;
                meta.insert(META_FORMAT, FORMAT.to_be_bytes().as_slice())?;
                meta.insert(META_ROOM, room.as_bytes().as_slice())?;
                transaction.open_table(STATE)?;
                transaction.open_table(UNDO)?;
            }
            if let Err(error) = write_position(&transaction, &Position::START, 0) {
                return Ok(Err(error.to_string()));
            }
            transaction.commit()?;
            return Ok(Ok((Position::START, 0, 0)));
        }
        Some(format) if format != FORMAT.to_be_bytes() => {
            return Ok(Err(format!("expected a state of format {FORMAT}, found {format:02x?}")));
        }
        Some(_) => transaction.abort()?,
    }
    let transaction = database.begin_read()?;
    let meta = transaction.open_table(META)?;
    let found = meta.get(META_ROOM)?.map(|found| found.value().to_vec());
    if found.as_deref() != Some(room.as_bytes()) {
        let found = found.and_then(|found| RoomId::from_slice(&found));
        let found = found.map_or("none".to_owned(), |found| found.to_string());
        return Ok(Err(format!("expected the state of room {room}, found {found}")));
    }
    let position = meta.get(META_POSITION)?;
    let Some((position, undo_bytes)) = position.and_then(|position| read_position(position.value())) else {
        return Ok(Err("expected a position, found none that is whole".to_owned()));
    };
    transaction.open_table(STATE)?;
    let records = transaction.open_table(UNDO)?;
    let oldest = records.first()?.map_or(position.length, |(first, _)| first.value());
    if oldest > position.length {
        return Ok(Err(format!("expected undo records below {}, found {oldest}", position.length)));
    }
    Ok(Ok((position, oldest, undo_bytes)))
}

fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

pub(super) fn io_error(action: &'static str, path: &Path) -> impl Fn(io::Error) -> OpenStateError {
    move |source| OpenStateError::Io { action, path: path.to_owned(), source }
}
