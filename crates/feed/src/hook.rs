//! The pre-accept hook: rules and checks that run before a block is written.

use bytes::Bytes;

/// Decides whether a block may be stored. It runs before anything of the block is written.
pub trait PreAccept: Send {
    /// Checks one block.
    ///
    /// The blocks of one batch are checked in their order; one refusal refuses the whole batch, and then
    /// no block of it is stored, those that were checked before included.
    ///
    /// # Errors
    ///
    /// [`Refusal`] says which rule the block breaks.
    fn check(&mut self, candidate: &Candidate<'_>) -> Result<(), Refusal>;
}

/// Block that is about to be stored. Its proof has been verified.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Position in the feed.
    pub index: u64,
    /// Bytes of the block; `None` when only its proof is about to be stored.
    pub value: Option<&'a Bytes>,
    /// Length of the feed once the block, and the batch it is part of, is stored.
    pub length_after: u64,
    /// The block is being written here, rather than received.
    pub writer: bool,
}

/// Why a block is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("refused by rule {code}: {reason}")]
pub struct Refusal {
    /// Number of the rule.
    pub code: u16,
    /// Words for people.
    pub reason: String,
}
