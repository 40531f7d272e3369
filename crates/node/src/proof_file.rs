//! Proofs that are checked offline: a block, the nodes up to the roots, the other roots, a signature.

use bytes::Bytes;
use data_encoding::BASE64;
use quorate_feed::Flavour;
use quorate_feed::proof::verify_standalone;
use quorate_feed::sign::Verifier;
use quorate_proto::dat::Data;
use quorate_types::limits::{MAX_HELD_BLOCK_BYTES, MAX_PROOF_NODES};
use quorate_types::{Hash, Node, PublicKey};

use crate::model::{ProofFile, ProofNode};
use crate::{Code, Failure};

/// What a proof file has been found to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedProofFile {
    /// Key of the feed.
    pub key: PublicKey,
    /// Position of the block.
    pub index: u64,
    /// Length of the feed that was signed, blocks.
    pub length: u64,
    /// Tree hash that was signed.
    pub tree_hash: Hash,
    /// The block.
    pub block: Bytes,
}

/// Writes a proof that stands alone.
pub(crate) fn write(key: &PublicKey, data: &Data) -> Result<ProofFile, Failure> {
    let verified = check(key, data)?;
    let (Some(block), Some(signature)) = (&data.value, data.signature) else {
        return Err(Failure::new(
            Code::Internal,
            "expected a proof with its block and signature, found one without",
        ));
    };
    Ok(ProofFile {
        schema: ProofFile::SCHEMA.into(),
        key: *key,
        index: data.index,
        length: verified.length,
        block: BASE64.encode(block),
        nodes: data
            .nodes
            .iter()
            .map(|node| ProofNode { index: node.index.get(), hash: node.hash, size: node.size })
            .collect(),
        signature,
    })
}

/// Checks a proof by its own bytes alone.
///
/// # Errors
///
/// [`Code::BadProof`] with what does not hold.
pub fn verify(file: &ProofFile) -> Result<VerifiedProofFile, Failure> {
    if file.schema != ProofFile::SCHEMA {
        return Err(bad(format!("expected schema {}, found {:?}", ProofFile::SCHEMA, file.schema)));
    }
    if file.nodes.len() > MAX_PROOF_NODES || file.block.len() > MAX_HELD_BLOCK_BYTES / 3 * 4 + 4 {
        return Err(bad("expected a proof of usual size, found a larger one".into()));
    }
    let block = BASE64
        .decode(file.block.as_bytes())
        .map_err(|error| bad(format!("expected the block in base64, found another character: {error}")))?;
    let data = Data {
        index: file.index,
        value: Some(block.into()),
        nodes: file
            .nodes
            .iter()
            .map(|node| Node { index: node.index.into(), hash: node.hash, size: node.size })
            .collect(),
        signature: Some(file.signature),
    };
    let verified = check(&file.key, &data)?;
    if verified.length != file.length {
        return Err(bad(format!(
            "expected a signature at length {}, found one at {}",
            file.length, verified.length
        )));
    }
    Ok(verified)
}

fn check(key: &PublicKey, data: &Data) -> Result<VerifiedProofFile, Failure> {
    let verifier = Verifier::new(*key).map_err(|error| bad(error.to_string()))?;
    let proof = verify_standalone(Flavour::Dat, &verifier, data).map_err(|error| bad(error.to_string()))?;
    let roots = &proof.signed().roots;
    Ok(VerifiedProofFile {
        key: *key,
        index: data.index,
        length: roots.length(),
        tree_hash: roots.tree_hash(Flavour::Dat),
        block: data.value.clone().unwrap_or_default(),
    })
}

fn bad(message: String) -> Failure {
    Failure::new(Code::BadProof, format!("the proof does not hold: {message}"))
        .next("ask the sender for the proof again: quorate proof STREAM N -o FILE")
}
