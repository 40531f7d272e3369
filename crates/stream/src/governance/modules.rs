//! Modules that come in chunk by chunk, each in a block of its own.

use bytes::Bytes;
use quorate_rules::state::{StateError, StateStore, WriteSet};
use quorate_types::ModuleHash;
use quorate_types::limits::{MAX_CHUNK_BYTES, MAX_MODULE_BYTES};

use super::{MAX_OPEN_MODULES, MIN_CHUNK_BYTES, STALLED_MODULE_BLOCKS};
use crate::chunk::{Assembler, ChunkError, ModuleChunk};
use crate::entry::Entry;
use crate::refusal::{Refusal, RoomCode};
use crate::room::keys::{self, Reader};
use crate::room::{Lacking, Prefix, Stop};

/// Module of which some chunks have come.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OpenModule {
    module: ModuleHash,
    size: u32,
    /// Bytes that have come.
    received: u32,
    /// Blocks of the chunks.
    chunks: Vec<u64>,
}

impl OpenModule {
    fn last(&self) -> u64 {
        self.chunks.last().copied().unwrap_or(0)
    }
}

/// How a chunk at offset 0 of a module that is coming in already is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// The module begins again: what came before may be wrong.
    Allowed,
    /// It is refused.
    Refused,
}

/// Checks a chunk that would stand at an index; returns the module when it is the last one.
pub(crate) fn check_chunk(
    state: &dyn StateStore,
    prefix: &dyn Prefix,
    index: u64,
    chunk: &ModuleChunk,
    writes: &mut WriteSet,
) -> Result<Option<Bytes>, Stop> {
    take_chunk(state, prefix, index, chunk, Again::Allowed, writes)
}

pub(super) fn take_chunk(
    state: &dyn StateStore,
    prefix: &dyn Prefix,
    index: u64,
    chunk: &ModuleChunk,
    again: Again,
    writes: &mut WriteSet,
) -> Result<Option<Bytes>, Stop> {
    let short = chunk.module.short();
    if is_complete(state, &chunk.module)? {
        return Err(not_allowed(format!("module {short} stands in the blocks before already")).into());
    }
    let mut open = read_open(&keys::get(state, keys::MODULES)?.unwrap_or_default())?;
    let place = open.iter().position(|other| other.module == chunk.module);
    let known = place.map(|place| open.remove(place));
    let mut module = match known {
        Some(module) if chunk.offset != 0 || again == Again::Refused => module,
        None if chunk.offset != 0 => {
            let error = ChunkError::Offset { expected: 0, found: chunk.offset };
            return Err(not_allowed(format!("module {short}: {error}")).into());
        }
        _ => OpenModule { module: chunk.module, size: chunk.size, received: 0, chunks: Vec::new() },
    };
    if place.is_none() && open.len() >= MAX_OPEN_MODULES {
        // Somebody may have given up half-way, which must not keep others out for ever.
        let quiet = open.first().map_or(0, OpenModule::last);
        if index.saturating_sub(quiet) <= STALLED_MODULE_BLOCKS {
            let reason =
                format!("expected at most {MAX_OPEN_MODULES} modules to come in at once, found another");
            return Err(not_allowed(reason).into());
        }
        open.remove(0);
    }
    let is_last = module.fit(chunk)?;
    module.chunks.push(index);
    if !is_last {
        open.push(module);
        keys::put(writes, keys::MODULES.to_vec(), write_open(&open));
        return Ok(None);
    }
    let bytes =
        gather(&module, prefix, Some((index, chunk)))?.map_err(|error| not_allowed(error.to_string()))?;
    keys::put(writes, keys::MODULES.to_vec(), write_open(&open));
    keys::put(writes, keys::module(&module.module), write_complete(&module));
    Ok(Some(bytes))
}

impl OpenModule {
    /// Checks that a chunk is the next one, and counts it; tells whether it is the last one.
    fn fit(&mut self, chunk: &ModuleChunk) -> Result<bool, Refusal> {
        let refused = |error: ChunkError| not_allowed(format!("module {}: {error}", self.module.short()));
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        if size == 0 || size > MAX_MODULE_BYTES {
            let error = ChunkError::Size { limit: MAX_MODULE_BYTES, found: size };
            return Err(Refusal::new(RoomCode::TooLarge, error.to_string()));
        }
        if chunk.size != self.size {
            return Err(refused(ChunkError::OtherSize { expected: self.size, found: chunk.size }));
        }
        if chunk.offset != self.received {
            return Err(refused(ChunkError::Offset { expected: self.received, found: chunk.offset }));
        }
        let missing = usize::try_from(self.size.saturating_sub(self.received)).unwrap_or(usize::MAX);
        let (limit, found) = (missing.min(MAX_CHUNK_BYTES), chunk.data.len());
        if found == 0 || found > limit {
            return Err(refused(ChunkError::Length { limit, found }));
        }
        if found < missing && found < MIN_CHUNK_BYTES {
            let short = self.module.short();
            let reason = format!(
                "module {short}: expected a chunk of at least {MIN_CHUNK_BYTES} bytes, found {found}"
            );
            return Err(not_allowed(reason));
        }
        self.received = self.received.saturating_add(u32::try_from(found).unwrap_or(u32::MAX));
        Ok(found == missing)
    }
}

/// Tells whether all of a module stands in the blocks before.
pub(crate) fn is_complete(state: &dyn StateStore, module: &ModuleHash) -> Result<bool, StateError> {
    Ok(keys::get(state, &keys::module(module))?.is_some())
}

/// Puts a module together from the blocks before; `None` when it is not complete there.
pub(crate) fn assemble(
    state: &dyn StateStore,
    prefix: &dyn Prefix,
    module: &ModuleHash,
) -> Result<Option<Bytes>, Lacking> {
    let key = keys::module(module);
    let Some(value) = keys::get(state, &key)? else { return Ok(None) };
    let complete = read_complete(*module, &value).ok_or_else(|| keys::damaged(&key))?;
    let bytes = gather(&complete, prefix, None)?;
    bytes.map(Some).map_err(|error| Lacking::Other(error.to_string()))
}

/// Puts the chunks of a module together, of which the last may not be a block yet.
fn gather(
    module: &OpenModule,
    prefix: &dyn Prefix,
    last: Option<(u64, &ModuleChunk)>,
) -> Result<Result<Bytes, ChunkError>, Lacking> {
    let mut assembler = match Assembler::new(module.module, module.size) {
        Ok(assembler) => assembler,
        Err(error) => return Ok(Err(error)),
    };
    let mut whole = None;
    for index in &module.chunks {
        let pushed = match last {
            Some((at, chunk)) if at == *index => assembler.push(chunk),
            _ => {
                let block = prefix.block(*index).ok_or(Lacking::Block(*index))?;
                match Entry::decode(block) {
                    Ok(Entry::Chunk(chunk)) => assembler.push(&chunk),
                    _ => return Err(Lacking::Other(format!("block {index} is no module chunk"))),
                }
            }
        };
        match pushed {
            Ok(bytes) => whole = bytes,
            Err(error) => return Ok(Err(error)),
        }
    }
    let found = usize::try_from(assembler.offset()).unwrap_or(usize::MAX);
    let size = usize::try_from(module.size).unwrap_or(usize::MAX);
    Ok(whole.ok_or(ChunkError::Length { limit: size.saturating_sub(found), found: 0 }))
}

fn not_allowed(reason: String) -> Refusal {
    Refusal::new(RoomCode::NotAllowed, reason)
}

fn write_open(open: &[OpenModule]) -> Vec<u8> {
    let mut value = Vec::new();
    for module in open {
        value.extend_from_slice(module.module.as_bytes());
        value.extend_from_slice(&module.size.to_le_bytes());
        value.extend_from_slice(&module.received.to_le_bytes());
        // At most 512 chunks of 1024 bytes and more.
        value.extend_from_slice(&u16::try_from(module.chunks.len()).unwrap_or(u16::MAX).to_le_bytes());
        value.extend(module.chunks.iter().flat_map(|index| index.to_le_bytes()));
    }
    value
}

fn read_open(value: &[u8]) -> Result<Vec<OpenModule>, StateError> {
    let mut reader = Reader(value);
    let mut open = Vec::new();
    while !reader.is_empty() {
        open.push(read_one(&mut reader).ok_or_else(|| keys::damaged(keys::MODULES))?);
    }
    Ok(open)
}

fn read_one(reader: &mut Reader<'_>) -> Option<OpenModule> {
    let module = ModuleHash::new(reader.array()?);
    let (size, received) = (reader.u32()?, reader.u32()?);
    let chunks = (0..reader.u16()?).map(|_| reader.u64()).collect::<Option<_>>()?;
    Some(OpenModule { module, size, received, chunks })
}

fn write_complete(module: &OpenModule) -> Vec<u8> {
    let mut value = module.size.to_le_bytes().to_vec();
    value.extend(module.chunks.iter().flat_map(|index| index.to_le_bytes()));
    value
}

fn read_complete(module: ModuleHash, value: &[u8]) -> Option<OpenModule> {
    let mut reader = Reader(value);
    let size = reader.u32()?;
    let mut chunks = Vec::new();
    while !reader.is_empty() {
        chunks.push(reader.u64()?);
    }
    Some(OpenModule { module, size, received: size, chunks })
}
