//! The content of an archive out of the folder that `dat` shares: its blocks are the folder's files.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use quorate_feed::{Flavour, hash};
use quorate_store::FeedFiles;
use quorate_types::BlockRange;

use super::{Archive, ArchiveFile};
use crate::stream::Stream;
use crate::{Client, Code, Failure, MAX_BLOCKS_DESCRIBED, Node};

/// What came out of a folder.
#[derive(Debug)]
pub struct FolderContent {
    /// The content feed.
    pub stream: Stream,
    /// Blocks whose bytes are in no file of the folder any more: of files that were changed or deleted since.
    pub missing: u64,
}

impl Node {
    /// Copies the content feed of a folder that `dat` shares. `metadata` is the archive's other feed, which is here
    /// already; every block is compared with the signed tree, and one that no file holds any more is left out.
    ///
    /// # Errors
    ///
    /// Those of [`import`](Self::import); [`Code::Io`] when a file cannot be read.
    pub async fn import_folder_content(
        &self,
        content: &FeedFiles,
        folder: &Path,
        metadata: &Stream,
        name: &str,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<FolderContent, Failure> {
        let archive = Archive::read(&Client::Local(self.clone()), metadata.name(), None).await?;
        let gathered = self.home().join(format!(".content-{}", archive.content));
        let made = gather(&archive, folder, &gathered);
        let imported = match made {
            Ok(()) => self.import(&content.clone().with_data(&gathered), name, true, progress).await,
            Err(failure) => Err(failure),
        };
        let _ = fs::remove_file(&gathered);
        let stream = imported?;
        let missing = clear_what_is_not_there(&stream).await?;
        Ok(FolderContent { stream, missing })
    }
}

/// Puts the files where their bytes are in the content feed; what no file has is a hole.
fn gather(archive: &Archive, folder: &Path, to: &Path) -> Result<(), Failure> {
    let failed = |what: &Path, error: &io::Error| {
        Failure::new(Code::Io, format!("cannot gather the content from {}: {error}", what.display()))
    };
    let mut output = File::create(to).map_err(|error| failed(to, &error))?;
    output.set_len(archive.content_bytes).map_err(|error| failed(to, &error))?;
    for file in &archive.files {
        copy(file, &folder.join(&file.path), &mut output)
            .map_err(|error| failed(&folder.join(&file.path), &error))?;
    }
    Ok(())
}

/// Copies one file; one that is gone, or of another size, is left out.
fn copy(file: &ArchiveFile, from: &Path, output: &mut File) -> io::Result<()> {
    let is_it = fs::symlink_metadata(from).is_ok_and(|found| found.is_file() && found.len() == file.size);
    if !is_it {
        return Ok(());
    }
    output.seek(SeekFrom::Start(file.offset))?;
    io::copy(&mut File::open(from)?.take(file.size), output)?;
    output.flush()
}

/// Lets go of the blocks whose bytes are not what was signed; returns how many.
async fn clear_what_is_not_there(stream: &Stream) -> Result<u64, Failure> {
    let length = stream.info().await?.length;
    let (mut missing, mut start) = (0, 0);
    while start < length {
        let end = length.min(start + MAX_BLOCKS_DESCRIBED);
        for block in stream.blocks(BlockRange::new(start, end)).await? {
            if !block.here {
                missing += 1;
                continue;
            }
            let bytes = stream.get(block.index).await;
            let holds = bytes
                .is_ok_and(|bytes| block.hash.is_some_and(|hash| hash == hash::leaf(Flavour::Dat, &bytes)));
            if !holds {
                missing += stream.clear(BlockRange::new(block.index, block.index + 1)).await?;
            }
        }
        start = end;
    }
    Ok(missing)
}
