//! Creating and opening feeds.

use random_access_storage::RandomAccess;

use quorate_types::limits::MAX_FEED_LENGTH;

use super::recover::Recovery;
use super::{Feed, FeedConfig, Keys, OpenError};
use crate::nodes::Nodes;
use crate::sign::{Form, Signer, Verifier};
use crate::signatures::Signatures;
use crate::sleep::{HEADER_BYTES, Header, Kind, PAGE_BLOCKS};
use crate::storage::{Part, Storage, StorageError, at, read_up_to};
use crate::{Bitfield, Roots};

/// Pages of the bitfield that are read at once.
const READ_PAGES: u64 = 64;

impl<S: RandomAccess + Send> Feed<S> {
    /// Creates an empty feed; its headers are durable afterwards.
    ///
    /// # Errors
    ///
    /// [`OpenError::Exists`] when a file is not empty, and what the keys or the storage say.
    pub async fn create(keys: Keys, storage: Storage<S>, config: FeedConfig) -> Result<Self, OpenError> {
        let mut feed = Self::assemble(&keys, storage, config, Bitfield::new())?;
        for (part, file) in [
            (Part::Tree, &mut feed.nodes.file),
            (Part::Data, &mut feed.data),
            (Part::Signatures, &mut feed.signatures.file),
            (Part::Bitfield, &mut feed.bitfield_file),
        ] {
            let bytes = file.len().await.map_err(at(part, "measure", 0))?;
            if bytes != 0 {
                return Err(OpenError::Exists { part, bytes });
            }
        }
        feed.write_header(Kind::Tree).await?;
        feed.write_header(Kind::Signatures).await?;
        feed.write_header(Kind::Bitfield).await?;
        feed.bitfield_file.sync_all().await.map_err(at(Part::Bitfield, "sync", 0))?;
        feed.flush().await?;
        Ok(feed)
    }

    /// Opens a feed, and recovers the longest history that verifies after a crash: also what the bitfield
    /// does not claim yet. What does not verify is dropped, and [`Recovery`] says so.
    ///
    /// The whole bitfield is read; of the rest only the end is looked at.
    ///
    /// # Errors
    ///
    /// [`OpenError::NothingVerifies`] when blocks are claimed and none is signed by this key: then nothing
    /// is changed. Otherwise what the keys, the headers or the storage say.
    pub async fn open(
        keys: Keys,
        storage: Storage<S>,
        config: FeedConfig,
    ) -> Result<(Self, Recovery), OpenError> {
        let mut feed = Self::assemble(&keys, storage, config, Bitfield::new())?;
        feed.read_header(Kind::Tree).await?;
        feed.read_header(Kind::Signatures).await?;
        let page_bytes = feed.read_header(Kind::Bitfield).await?;
        feed.read_bitfield(page_bytes).await?;
        let recovery = feed.recover().await?;
        Ok((feed, recovery))
    }

    fn assemble(
        keys: &Keys,
        storage: Storage<S>,
        config: FeedConfig,
        bitfield: Bitfield,
    ) -> Result<Self, OpenError> {
        let signer = match &keys.secret {
            Some(secret) => Some(Signer::new(&keys.public, secret)?),
            None => None,
        };
        Ok(Self {
            verifier: Verifier::new(keys.public)?,
            signer,
            suspended: false,
            discovery_key: keys.public.discovery_key(),
            config,
            nodes: Nodes::new(storage.tree, config.cached_nodes),
            signatures: Signatures::new(storage.signatures),
            data: storage.data,
            bitfield_file: storage.bitfield,
            bitfield,
            roots: Roots::default(),
            head: None,
            form: Form::TreeLength,
            durable_length: 0,
            claimed: 0,
            unclaimed: None,
            branch: None,
            cursor: (0, 0),
            unsynced: false,
            poisoned: false,
            generation: 0,
            hook: None,
        })
    }

    fn file(&mut self, kind: Kind) -> (Part, &mut S) {
        match kind {
            Kind::Tree => (Part::Tree, &mut self.nodes.file),
            Kind::Signatures => (Part::Signatures, &mut self.signatures.file),
            Kind::Bitfield => (Part::Bitfield, &mut self.bitfield_file),
        }
    }

    async fn write_header(&mut self, kind: Kind) -> Result<(), StorageError> {
        self.unsynced = true;
        let (part, file) = self.file(kind);
        file.write(0, &Header::new(kind).encode()).await.map_err(at(part, "write", 0))
    }

    /// Checks a header and returns the size of an entry. A file without a whole header was never written
    /// to behind it: it gets one, as from a stock peer.
    async fn read_header(&mut self, kind: Kind) -> Result<usize, OpenError> {
        let (part, file) = self.file(kind);
        let bytes = read_up_to(file, part, 0, HEADER_BYTES as u64).await?;
        if bytes.len() < HEADER_BYTES {
            self.write_header(kind).await?;
            return Ok(usize::from(kind.entry_bytes()));
        }
        let header = Header::parse(kind, &bytes).map_err(|source| OpenError::Header { part, source })?;
        Ok(usize::from(header.entry_bytes))
    }

    async fn read_bitfield(&mut self, page_bytes: usize) -> Result<(), OpenError> {
        self.bitfield = Bitfield::with_page_bytes(page_bytes)?;
        let len = self.bitfield_file.len().await.map_err(at(Part::Bitfield, "measure", 0))?;
        let pages = len.saturating_sub(HEADER_BYTES as u64).div_ceil(page_bytes as u64);
        let blocks = pages.saturating_mul(PAGE_BLOCKS);
        if blocks > MAX_FEED_LENGTH {
            return Err(OpenError::TooLong { found: blocks });
        }
        let mut number = 0;
        while number < pages {
            let offset = (HEADER_BYTES as u64).saturating_add(number.saturating_mul(page_bytes as u64));
            let bytes = READ_PAGES.saturating_mul(page_bytes as u64);
            let bytes = read_up_to(&mut self.bitfield_file, Part::Bitfield, offset, bytes).await?;
            if bytes.is_empty() {
                break;
            }
            for page in bytes.chunks(page_bytes) {
                self.bitfield.load_page(number, page);
                number = number.saturating_add(1);
            }
        }
        Ok(())
    }
}
