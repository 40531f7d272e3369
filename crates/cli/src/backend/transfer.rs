//! Streams that come from the directories of other programs, and go there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use quorate_node::model::StreamInfo;
use quorate_node::{Code, Failure, Node, NodeConfig};

use super::Backend;

/// What came of an import.
#[derive(Debug, Default)]
pub(crate) struct Imported {
    /// Streams that are here now.
    pub(crate) streams: Vec<StreamInfo>,
    /// The content feed of an archive that could not be taken, and why.
    pub(crate) left_out: Option<Failure>,
    /// Blocks of the content whose bytes are in no file of the folder any more.
    pub(crate) missing: u64,
}

/// Copies the feeds in a directory of another program into the home, with their secret keys.
pub(crate) async fn import(
    home: &Path,
    directory: &Path,
    name: &str,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Imported, Failure> {
    let mut feeds = Node::feeds_in(directory)?;
    // The metadata, which every archive has, before the content.
    feeds.sort_by_key(|feed| feed.role == Some("content"));
    let node = Node::open(NodeConfig::new(home)).await?;
    let mut imported = Imported::default();
    let mut streams = Vec::new();
    for feed in &feeds {
        let is_content = feed.role == Some("content");
        let name = if is_content { format!("{name}-content") } else { name.to_string() };
        let files = match secret_keys().filter(|_| feed.role.is_some()) {
            Some(secret_keys) => Node::with_dat_secret_key(&feed.files, &secret_keys),
            None => feed.files.clone(),
        };
        match node.import(&files, &name, true, progress).await {
            Ok(stream) => {
                imported.streams.push(stream.info().await?);
                streams.push(stream);
            }
            // A folder that dat shares has the blocks of its content as its files.
            Err(failure) if is_content && failure.code == Code::NotAFeed => {
                let folder = if directory.file_name().is_some_and(|name| name == ".dat") {
                    directory.parent()
                } else {
                    Some(directory)
                };
                let taken = match (streams.first(), folder) {
                    (Some(metadata), Some(folder)) => {
                        node.import_folder_content(&files, folder, metadata, &name, progress).await
                    }
                    _ => Err(failure),
                };
                match taken {
                    Ok(content) => {
                        imported.streams.push(content.stream.info().await?);
                        imported.missing = content.missing;
                    }
                    Err(failure) => imported.left_out = Some(failure),
                }
            }
            Err(failure) => return Err(failure),
        }
    }
    node.shutdown().await?;
    Ok(imported)
}

/// Where `dat` keeps its secret keys.
fn secret_keys() -> Option<PathBuf> {
    Some(PathBuf::from(std::env::var_os("HOME")?).join(".dat/secret_keys"))
}

/// Copies a stream into a directory that stock clients open.
pub(crate) async fn export(
    (home, timeout): (&Path, Duration),
    stream: &str,
    directory: &Path,
    with_secret_key: bool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<StreamInfo, Failure> {
    let backend = Backend::connect(home, timeout).await?;
    if backend.is_remote() {
        let info = backend.info(stream).await?;
        let to = std::path::absolute(directory)
            .map_err(|error| Failure::new(Code::BadRequest, format!("{}: {error}", directory.display())))?;
        // It takes as long as the stream is large.
        backend.client.export(stream, to, with_secret_key).await?;
        backend.close().await?;
        return Ok(info);
    }
    backend.close().await?;
    let node = Node::open(NodeConfig::new(home)).await?;
    let info = node.open_stream(stream).await?.info().await?;
    node.export(stream, directory, with_secret_key, progress).await?;
    node.shutdown().await?;
    Ok(info)
}
