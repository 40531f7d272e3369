//! What a call needs from its host before it goes on.

use std::ops::Range;

use bytes::Bytes;

use super::host::{AtHand, Host, Usage};
use crate::verdict::Unable;

/// A question to the host.
#[derive(Debug)]
pub struct Question(pub(super) Ask);

/// What is asked, with what is needed to go on.
#[derive(Debug)]
pub(super) enum Ask {
    Block {
        index: u64,
        out: Range<usize>,
    },
    Value {
        key: Vec<u8>,
        out: Range<usize>,
    },
    /// `known` is the length of what the key holds, where that has been asked before.
    Replaced {
        key: Vec<u8>,
        value: Option<Vec<u8>>,
        known: Option<Option<usize>>,
        usage_too: bool,
    },
}

/// The host's answer.
#[derive(Debug)]
pub struct Answer(pub(super) Given);

/// What is answered, with what is needed to go on.
#[derive(Debug)]
pub(super) enum Given {
    Block { block: Bytes, out: Range<usize> },
    Value { key: Vec<u8>, value: Option<Vec<u8>>, out: Range<usize> },
    Replaced { key: Vec<u8>, value: Option<Vec<u8>>, old_len: Option<usize>, usage: Option<Usage> },
    Unable(Unable),
}

impl Question {
    /// Puts the question to the host.
    pub fn put_to(self, host: &mut dyn Host) -> Answer {
        Answer(self.0.put_to(host).unwrap_or_else(Given::Unable))
    }

    /// Answers the question as the host would; `None` when it is the host who must be asked.
    pub fn answer_at_hand(self, at_hand: &AtHand) -> Option<Answer> {
        let get = |key: &[u8]| at_hand.state.get(&at_hand.space, key);
        Some(Answer(match self.0 {
            Ask::Block { .. } => return None,
            Ask::Value { key, out } => {
                let value = get(&key)?;
                Given::Value { key, value, out }
            }
            Ask::Replaced { key, value, known, usage_too } => {
                let old_len = match known {
                    Some(known) => known,
                    None => get(&key)?.map(|old| old.len()),
                };
                Given::Replaced { key, value, old_len, usage: usage_too.then_some(at_hand.usage) }
            }
        }))
    }
}

impl Ask {
    fn put_to(self, host: &mut dyn Host) -> Result<Given, Unable> {
        let state = |error: crate::state::StateError| Unable::State(error.to_string());
        Ok(match self {
            Self::Block { index, out } => {
                let block = host.block(index).map_err(|missing| Unable::MissingBlock(missing.index))?;
                Given::Block { block, out }
            }
            Self::Value { key, out } => {
                let value = host.get(&key).map_err(state)?;
                Given::Value { key, value, out }
            }
            Self::Replaced { key, value, known, usage_too } => {
                let old_len = match known {
                    Some(known) => known,
                    None => host.get(&key).map_err(state)?.map(|old| old.len()),
                };
                let usage = usage_too.then(|| host.usage()).transpose().map_err(state)?;
                Given::Replaced { key, value, old_len, usage }
            }
        })
    }
}
