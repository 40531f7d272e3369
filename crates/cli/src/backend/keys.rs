//! Keys of a home: they are files, and no running node is needed.

use std::path::Path;

use quorate_node::model::{IdentityInfo, StreamInfo, ValidatorOffer};
use quorate_node::{Failure, Identities, Node, NodeConfig};
use quorate_types::PublicKey;

/// Reads the key by which peers know the node of a home.
pub(crate) async fn noise_key(home: &Path) -> Result<String, Failure> {
    let node = Node::open(NodeConfig::new(home)).await?;
    let key = node.noise_key().to_string();
    node.shutdown().await?;
    Ok(key)
}

/// Makes a local identity.
pub(crate) fn create_identity(home: &Path, name: &str) -> Result<IdentityInfo, Failure> {
    Identities::open(home)?.create(name)
}

/// Writes the secret key of a stream, or of an identity, into a new file; returns the public one.
pub(crate) async fn export_key(
    home: &Path,
    name: &str,
    file: &Path,
    identity: bool,
) -> Result<PublicKey, Failure> {
    if identity {
        return Ok(Identities::open(home)?.export(name, file)?.key);
    }
    let node = Node::open(NodeConfig::new(home)).await?;
    let exported = node.export_key(name, file);
    node.shutdown().await?;
    exported
}

/// Takes the secret key of an identity from a file.
pub(crate) fn import_identity(home: &Path, file: &Path, name: &str) -> Result<IdentityInfo, Failure> {
    Identities::open(home)?.import(file, name)
}

/// Takes the secret key of a stream from a file.
pub(crate) async fn import_key(home: &Path, file: &Path, name: &str) -> Result<StreamInfo, Failure> {
    let node = Node::open(NodeConfig::new(home)).await?;
    let imported = match node.import_key(file, name).await {
        Ok(stream) => stream.info().await,
        Err(failure) => Err(failure),
    };
    node.shutdown().await?;
    imported
}

/// Returns the vote key of a home, made when there is none.
pub(crate) fn vote_key(home: &Path) -> Result<PublicKey, Failure> {
    Identities::open(home)?.vote_key()
}

/// Returns the vote key of a home, `None` when it was never asked for.
pub(crate) fn known_vote_key(home: &Path) -> Result<Option<PublicKey>, Failure> {
    Identities::open(home)?.known_vote_key()
}

/// Returns the vote key of a home, made when there is none, with its proof of possession.
pub(crate) fn vote_offer(home: &Path) -> Result<ValidatorOffer, Failure> {
    Identities::open(home)?.vote_offer()
}

/// Lists the local identities.
pub(crate) fn identities(home: &Path) -> Result<Vec<IdentityInfo>, Failure> {
    Identities::open(home)?.list()
}
