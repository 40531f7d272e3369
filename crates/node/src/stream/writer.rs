//! The writer's side of a stream: the record of what was written here, and whether it may be written at all.
//!
//! A key that was copied, or a directory that was put back, may lack blocks that others have. Whoever appends then signs
//! a second history. So such a stream is *recovering*: it is carried like one of somebody else, until peers have said
//! how long it is.

use std::collections::BTreeSet;

use quorate_feed::{Feed, Flavour};
use quorate_store::Backend;
use quorate_store::writer_guard::{Doubt, GuardSync, WriterGuard, WriterRecord, WrittenHead};
use quorate_stream::identity::Author;

use super::peer::Joined;
use super::room::RoomState;
use super::task::{StreamTask, erased};
use crate::event::Event;
use crate::model::RecoveringInfo;
use crate::{Code, Failure};

/// Peers that have to say how long a stream is before it is written again.
pub(crate) const PEERS_NEEDED: usize = 2;

/// What a stream has whose secret key is here.
#[derive(Debug)]
pub(crate) struct Writer {
    guard: WriterGuard,
    /// Why nothing may be appended.
    doubt: Option<Doubt>,
    /// Signs receipts of a room.
    host_key: Option<Author>,
    /// The record does not say what the feed is, since it could not be written.
    behind: bool,
    /// The record was written since it was synced.
    unsynced: bool,
}

impl Writer {
    /// Looks whether the feed is what was written here; one that is not cannot be appended to.
    ///
    /// # Errors
    ///
    /// [`Code::Io`] when the record cannot be written.
    pub(crate) async fn open(
        feed: &mut Feed<Backend>,
        guard: WriterGuard,
        found: Result<WriterRecord, Doubt>,
        host_key: Option<Author>,
    ) -> Result<Self, Failure> {
        let mut writer = Self { guard, doubt: None, host_key, behind: false, unsynced: false };
        let judged = match found {
            Ok(record) => {
                let at_record = hash_at(feed, record.head.length).await;
                record.check(feed.length(), at_record).map(|()| record)
            }
            Err(doubt) => Err(doubt),
        };
        match judged {
            Err(doubt) => {
                feed.suspend_writing();
                writer.doubt = Some(doubt);
            }
            // What a crash left is shown to peers from now on.
            Ok(record) if record.writing => {
                let noted = note(&mut writer, head_of(feed)).await;
                noted.map_err(|error| Failure::new(Code::Io, cannot_note(&error)))?;
            }
            Ok(_) => {}
        }
        Ok(writer)
    }

    pub(crate) const fn doubt(&self) -> Option<&Doubt> {
        self.doubt.as_ref()
    }

    /// Key that signs receipts; `None` while nothing may be appended.
    pub(crate) fn host_key(&self) -> Option<&Author> {
        self.host_key.as_ref().filter(|_| self.doubt.is_none())
    }

    pub(super) const fn is_behind(&self) -> bool {
        self.behind
    }
}

impl StreamTask {
    /// Key by which the host of a room signs receipts; `None` for a feed that is written elsewhere.
    pub(super) fn host_key(&self) -> Option<&Author> {
        self.writer.as_ref().and_then(Writer::host_key)
    }

    fn doubt(&self) -> Option<&Doubt> {
        self.writer.as_ref().and_then(Writer::doubt)
    }

    /// Says why nothing may be appended yet, where that is so.
    pub(super) fn refuse_writing(&self) -> Option<Failure> {
        let name = &self.identity.name;
        if let Some(lost) = &self.identity.lost {
            let message = format!("expected {name} as it was left, found that {lost}; nothing was appended");
            return Some(Failure::new(Code::Damaged, message).next(format!("quorate audit {name}")));
        }
        let doubt = self.doubt()?;
        let failure = Failure::new(
            Code::Recovering,
            format!(
                "expected the newest head of {name} to be known before anything is appended to it, found that {doubt}; \
                 nothing was appended"
            ),
        );
        Some(failure.next(format!(
            "quorate share {name}    # until {PEERS_NEEDED} peers that carry it have answered"
        )))
    }

    /// Says how far recovering has come.
    pub(super) fn recovering_info(&self) -> Option<RecoveringInfo> {
        let reason = self.doubt()?.to_string();
        Some(RecoveringInfo { reason, answered: self.answered().0, needed: PEERS_NEEDED })
    }

    /// Peers that have said how long the stream is, each once, and the greatest length.
    fn answered(&self) -> (usize, u64) {
        let answers: Vec<&Joined> = self.peers.values().filter(|joined| joined.remote_length() > 0).collect();
        let peers: BTreeSet<&str> = answers.iter().map(|joined| joined.id.as_str()).collect();
        (peers.len(), answers.iter().map(|joined| joined.remote_length()).max().unwrap_or(0))
    }

    /// Writes again as soon as enough peers have answered, and the longest of their heads is here.
    pub(super) async fn recover(&mut self) {
        if self.doubt().is_none() || self.fork.is_some() {
            return;
        }
        let (peers, longest) = self.answered();
        if peers < PEERS_NEEDED || longest > self.feed.length() {
            return;
        }
        if self.take_up_writing().await.is_ok() {
            let (stream, length) = (self.identity.name.clone(), self.feed.length());
            self.emit(Event::Recovered { stream, length, peers });
        }
    }

    /// Writes again on the word of the user, who says that nothing was written elsewhere.
    pub(super) async fn trust_writer(&mut self) -> Result<(), Failure> {
        if self.writer.is_none() {
            let name = &self.identity.name;
            let reason =
                format!("expected the secret key of {name}, found only its public key; nothing was changed");
            return Err(Failure::new(Code::NotWritable, reason));
        }
        let Some(doubt) = self.doubt() else { return Ok(()) };
        tracing::warn!(
            stream = self.identity.name,
            "what is here is taken for all that was written: {doubt}"
        );
        self.take_up_writing().await
    }

    async fn take_up_writing(&mut self) -> Result<(), Failure> {
        // What is adopted is on the disk before it is built upon.
        self.flush().await?;
        let head = head_of(&self.feed);
        let Some(writer) = &mut self.writer else { return Ok(()) };
        if let Err(error) = note(writer, head).await {
            let failure = Failure::new(Code::Io, cannot_note(&error));
            self.storage_failed(failure.message.clone());
            return Err(failure);
        }
        writer.doubt = None;
        self.feed.resume_writing();
        self.identity.set_writable();
        // The room is opened anew, by its host.
        self.end_room().await;
        self.rooms = RoomState::default();
        Ok(())
    }

    /// Notes that blocks are about to be appended.
    pub(super) fn begin_writing(&mut self) -> Result<(), Failure> {
        if let Some(failure) = self.refuse_writing() {
            return Err(failure);
        }
        let head = head_of(&self.feed);
        let Some(writer) = &mut self.writer else { return Ok(()) };
        // Blocks that could not be made durable still wait: what it says of the head before them holds.
        if writer.guard.record().is_some_and(|record| record.writing) {
            return Ok(());
        }
        let begun = writer.guard.begin(head);
        writer.unsynced = true;
        begun
            .map(drop)
            .map_err(|error| Failure::new(Code::Io, format!("{}; nothing was appended", cannot_note(&error))))
    }

    /// Makes appended blocks durable, and the record that says that there are some; then the record says which.
    pub(super) async fn commit_feed(&mut self) -> Result<(), Failure> {
        let begun = self.writer.as_ref().map(|writer| writer.guard.sync());
        let begun = async {
            match begun {
                Some(sync) => blocking::unblock(move || GuardSync::sync(&sync)).await,
                None => Ok(()),
            }
        };
        let (committed, begun) = futures_lite::future::zip(erased(self.feed.commit()), begun).await;
        let noted = match (&committed, begun, &mut self.writer) {
            (Ok(()), Ok(()), Some(writer)) => {
                writer.unsynced = true;
                writer.guard.settle(head_of(&self.feed)).map(drop)
            }
            (_, begun, _) => begun,
        };
        if let Some(writer) = &mut self.writer {
            writer.behind = noted.is_err();
        }
        let failure = match (committed, noted) {
            (Ok(()), Ok(())) => return Ok(()),
            (Err(error), _) => super::failures::storage_failure(&self.identity, &error),
            (Ok(()), Err(error)) => Failure::new(Code::Io, cannot_note(&error)),
        };
        self.storage_failed(failure.message.clone());
        Err(failure)
    }

    /// Makes durable what the record says.
    pub(super) async fn sync_record(&mut self) -> Result<(), Failure> {
        let Some(writer) = self.writer.as_mut().filter(|writer| writer.unsynced) else { return Ok(()) };
        let sync = writer.guard.sync();
        let synced = blocking::unblock(move || sync.sync()).await;
        writer.unsynced = synced.is_err();
        synced.map_err(|error| Failure::new(Code::Io, cannot_note(&error)))
    }
}

async fn note(writer: &mut Writer, head: WrittenHead) -> std::io::Result<()> {
    let sync = writer.guard.settle(head)?;
    blocking::unblock(move || sync.sync()).await
}

fn cannot_note(error: &std::io::Error) -> String {
    format!("the record of what is written here cannot be kept: {error}")
}

fn head_of(feed: &Feed<Backend>) -> WrittenHead {
    match feed.length() {
        0 => WrittenHead::EMPTY,
        length => WrittenHead { length, tree_hash: feed.roots().tree_hash(Flavour::Dat) },
    }
}

async fn hash_at(feed: &mut Feed<Backend>, length: u64) -> Option<quorate_types::Hash> {
    if length == 0 || length > feed.length() {
        return None;
    }
    let roots = feed.roots_at(length).await.ok().flatten()?;
    Some(roots.tree_hash(Flavour::Dat))
}
