//! Dat archives: the metadata feed has the names of the files and names the content feed, which has their bytes.
//!
//! A node that carries the one carries the other: both travel on one connection, as hyperdrive 9 has it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use quorate_types::{DiscoveryKey, PublicKey};

use crate::content::content_of;
use crate::model::{CloneStream, Content};
use crate::stream::Stream;
use crate::{Code, Failure, Node};

mod checkout;
mod folder;
mod listing;
mod reader;

pub use checkout::{Checkout, CheckoutReport};
pub use folder::FolderContent;
pub use listing::{Archive, ArchiveFile};
pub use reader::{BlockReader, ReadBlock};

/// Which content feed belongs to which metadata feed.
#[derive(Debug, Default)]
pub(crate) struct Archives {
    /// Content feeds are carried.
    carried: AtomicBool,
    contents: Mutex<BTreeMap<DiscoveryKey, PublicKey>>,
}

impl Archives {
    /// Finds the content feed that goes with a metadata feed.
    pub(crate) fn content_of(&self, metadata: &DiscoveryKey) -> Option<PublicKey> {
        self.lock().get(metadata).copied()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<DiscoveryKey, PublicKey>> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Node {
    /// Carries the content feed of every archive whose metadata is carried, from now on.
    pub fn carry_archives(&self) {
        self.inner.archives.carried.store(true, Ordering::Relaxed);
        let open: Vec<Stream> = self.inner.streams().values().cloned().collect();
        for stream in &open {
            self.examine(stream);
        }
    }

    /// Finds out in the background whether a stream is the metadata of an archive; of a clone, as soon as its first
    /// block comes.
    pub(crate) fn examine(&self, stream: &Stream) {
        if !self.inner.archives.carried.load(Ordering::Relaxed) {
            return;
        }
        let (node, stream) = (self.clone(), stream.clone());
        self.runtime().spawn(Box::pin(async move {
            // Of a sparse stream nothing is fetched unless somebody asks for it.
            let waits = !stream.is_sparse() && !stream.is_writable();
            let first = if waits { stream.fetch(0).await } else { stream.get(0).await };
            let Ok(first) = first else { return };
            if let Content::Hyperdrive { content } = content_of(&first)
                && let Err(failure) = node.carry_content(&stream, content).await
            {
                tracing::warn!(stream = stream.name(), "the content feed is not carried: {failure}");
            }
        }));
    }

    /// Carries the content feed of an archive, beside its metadata.
    ///
    /// # Errors
    ///
    /// Those of [`clone_stream`](Self::clone_stream).
    pub async fn carry_content(&self, metadata: &Stream, content: PublicKey) -> Result<Stream, Failure> {
        let wanted = |name: String| CloneStream {
            link: content.to_string(),
            name: Some(name),
            peers: Vec::new(),
            sparse: metadata.is_sparse(),
            no_check: false,
        };
        let name = content_name(metadata.name());
        let stream = match self.clone_stream(wanted(name.clone()), true).await {
            // Somebody has called another stream so.
            Err(failure) if matches!(failure.code, Code::NameTaken | Code::BadName) => {
                self.clone_stream(wanted(content.short()), true).await?
            }
            result => result?,
        };
        self.inner.archives.lock().insert(*metadata.discovery_key(), content);
        self.inner.peers.offer_beside(metadata.discovery_key(), &content);
        Ok(stream)
    }
}

/// Name of the stream with the content of an archive.
fn content_name(metadata: &str) -> String {
    format!("{metadata}-content")
}
