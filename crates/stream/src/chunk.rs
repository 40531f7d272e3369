//! Modules of rules, cut into blocks and put together again.

use bytes::{Bytes, BytesMut};
use quorate_types::ModuleHash;
use quorate_types::limits::{MAX_CHUNK_BYTES, MAX_MODULE_BYTES};

pub use quorate_proto::stream::ModuleChunk;

/// Why bytes are no module, or no part of the one that is being put together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// A module has at least one byte and not too many.
    #[error("module: expected 1 to {limit} bytes, found {found}")]
    Size {
        /// Largest module, bytes.
        limit: usize,
        /// Bytes that there are.
        found: usize,
    },
    /// The part is of another module.
    #[error("module chunk: expected one of module {expected}, found one of {found}")]
    Module {
        /// Module that is being put together.
        expected: ModuleHash,
        /// Module of the part.
        found: ModuleHash,
    },
    /// The part says that the module has another size than the parts before said.
    #[error("module chunk: expected one of a module of {expected} bytes, found {found}")]
    OtherSize {
        /// Size that the first part gave, bytes.
        expected: u32,
        /// Size that this part gives, bytes.
        found: u32,
    },
    /// The part does not begin where the one before ended.
    #[error("module chunk: expected offset {expected}, found {found}")]
    Offset {
        /// Where the next part begins.
        expected: u32,
        /// Where this part begins.
        found: u32,
    },
    /// The part ends behind the end of the module, or is empty.
    #[error("module chunk: expected 1 to {limit} bytes, found {found}")]
    Length {
        /// Bytes that the module still lacks, or that a part may have.
        limit: usize,
        /// Bytes of the part.
        found: usize,
    },
    /// The parts make another module.
    #[error("module: expected hash {expected}, found {found}")]
    Hash {
        /// Hash that the parts named.
        expected: ModuleHash,
        /// Hash of all parts together.
        found: ModuleHash,
    },
}

/// Cuts a module into the entries that carry it, in their order; they share its memory.
///
/// # Errors
///
/// [`ChunkError::Size`].
pub fn split(module: &Bytes) -> Result<Vec<ModuleChunk>, ChunkError> {
    let size = size_of(module.len())?;
    let hash = ModuleHash::of(module);
    let mut chunks = Vec::new();
    let mut rest = module.clone();
    while !rest.is_empty() {
        let data = rest.split_to(rest.len().min(MAX_CHUNK_BYTES));
        // What is behind this part and the part itself are still to be counted.
        let behind = u32::try_from(rest.len().saturating_add(data.len())).unwrap_or(size);
        chunks.push(ModuleChunk { module: hash, size, offset: size.saturating_sub(behind), data });
    }
    Ok(chunks)
}

fn size_of(found: usize) -> Result<u32, ChunkError> {
    let wrong = ChunkError::Size { limit: MAX_MODULE_BYTES, found };
    if found == 0 || found > MAX_MODULE_BYTES {
        return Err(wrong);
    }
    u32::try_from(found).map_err(|_| wrong)
}

/// Puts a module together from parts that come in order.
///
/// Holds no more than what came, and never more than [`MAX_MODULE_BYTES`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembler {
    module: ModuleHash,
    size: u32,
    bytes: BytesMut,
}

impl Assembler {
    /// Begins a module of a size, bytes.
    ///
    /// # Errors
    ///
    /// [`ChunkError::Size`].
    pub fn new(module: ModuleHash, size: u32) -> Result<Self, ChunkError> {
        let size = size_of(usize::try_from(size).unwrap_or(usize::MAX))?;
        Ok(Self { module, size, bytes: BytesMut::new() })
    }

    /// Returns the hash of the module.
    pub const fn module(&self) -> &ModuleHash {
        &self.module
    }

    /// Returns the size of the whole module, bytes.
    pub const fn size(&self) -> u32 {
        self.size
    }

    /// Returns where the next part begins.
    pub fn offset(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }

    /// Takes the next part as it stands in a block; returns the module when it was the last one.
    ///
    /// # Errors
    ///
    /// [`ChunkError`]; except for [`ChunkError::Hash`], after which there is nothing to go on with, what came before
    /// stays as it was.
    pub fn push(&mut self, chunk: &ModuleChunk) -> Result<Option<Bytes>, ChunkError> {
        if chunk.module != self.module {
            return Err(ChunkError::Module { expected: self.module, found: chunk.module });
        }
        self.push_part(chunk.size, chunk.offset, &chunk.data)
    }

    /// Takes the next part; returns the module when it was the last one.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn push_part(&mut self, size: u32, offset: u32, data: &[u8]) -> Result<Option<Bytes>, ChunkError> {
        if size != self.size {
            return Err(ChunkError::OtherSize { expected: self.size, found: size });
        }
        if offset != self.offset() {
            return Err(ChunkError::Offset { expected: self.offset(), found: offset });
        }
        let missing = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let limit = missing.min(MAX_CHUNK_BYTES);
        if data.is_empty() || data.len() > limit {
            return Err(ChunkError::Length { limit, found: data.len() });
        }
        self.bytes.extend_from_slice(data);
        if data.len() < missing {
            return Ok(None);
        }
        let bytes = std::mem::take(&mut self.bytes).freeze();
        let found = ModuleHash::of(&bytes);
        if found != self.module {
            return Err(ChunkError::Hash { expected: self.module, found });
        }
        Ok(Some(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Entry;

    fn module(size: usize) -> Bytes {
        (0..size).map(|at| (at / 7) as u8).collect::<Vec<_>>().into()
    }

    #[test]
    fn a_module_comes_together_again() {
        for size in [1, MAX_CHUNK_BYTES, MAX_CHUNK_BYTES + 1, MAX_MODULE_BYTES] {
            let module = module(size);
            let chunks = split(&module).unwrap();
            assert_eq!(chunks.len(), size.div_ceil(MAX_CHUNK_BYTES));
            let mut assembler = Assembler::new(ModuleHash::of(&module), size as u32).unwrap();
            let mut whole = None;
            for chunk in chunks {
                assert_eq!(whole, None);
                let block = Entry::Chunk(chunk.clone()).encode();
                assert_eq!(Entry::decode(block), Ok(Entry::Chunk(chunk.clone())));
                whole = assembler.push(&chunk).unwrap();
            }
            assert_eq!(whole, Some(module));
        }
    }

    #[test]
    fn what_is_no_module_is_not_begun() {
        let limit = MAX_MODULE_BYTES;
        assert_eq!(split(&Bytes::new()), Err(ChunkError::Size { limit, found: 0 }));
        let found = limit + 1;
        assert_eq!(split(&module(found)), Err(ChunkError::Size { limit, found }));
        let hash = ModuleHash::new([1; 32]);
        assert_eq!(Assembler::new(hash, 0), Err(ChunkError::Size { limit, found: 0 }));
        assert_eq!(Assembler::new(hash, found as u32), Err(ChunkError::Size { limit, found }));
    }

    #[test]
    fn parts_that_do_not_fit_change_nothing() {
        let whole = module(10);
        let hash = ModuleHash::of(&whole);
        let mut assembler = Assembler::new(hash, 10).unwrap();
        assert_eq!(assembler.push_part(10, 0, &whole[..4]), Ok(None));
        let before = assembler.clone();
        let other = ModuleHash::new([1; 32]);
        let chunk = ModuleChunk { module: other, size: 10, offset: 4, data: whole.slice(4..) };
        assert_eq!(assembler.push(&chunk), Err(ChunkError::Module { expected: hash, found: other }));
        let error = ChunkError::OtherSize { expected: 10, found: 11 };
        assert_eq!(assembler.push_part(11, 4, &whole[4..]), Err(error));
        let error = ChunkError::Offset { expected: 4, found: 0 };
        assert_eq!(assembler.push_part(10, 0, &whole[..4]), Err(error));
        let error = ChunkError::Length { limit: 6, found: 7 };
        assert_eq!(assembler.push_part(10, 4, &[0; 7]), Err(error));
        assert_eq!(assembler.push_part(10, 4, &[]), Err(ChunkError::Length { limit: 6, found: 0 }));
        assert_eq!(assembler, before);
        assert_eq!(assembler.push_part(10, 4, &whole[4..]), Ok(Some(whole)));
    }

    #[test]
    fn a_false_part_shows_at_the_end() {
        let hash = ModuleHash::of(b"right");
        let mut assembler = Assembler::new(hash, 5).unwrap();
        let error = ChunkError::Hash { expected: hash, found: ModuleHash::of(b"wrong") };
        assert_eq!(assembler.push_part(5, 0, b"wrong"), Err(error));
    }
}
