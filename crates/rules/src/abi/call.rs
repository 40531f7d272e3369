//! A call, and the input that the rule gets.

use quorate_types::{Hash, PublicKey};

use super::ABI_VERSION;

/// Length of an input without parameters and payload, in bytes.
pub const HEADER_BYTES: usize = 84;

/// What is asked of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallKind {
    /// Whether an action may stand (`rule_check`).
    Check = 1,
    /// What the rule thinks of a change of rules (`rule_change`).
    Change = 2,
    /// To begin with its parameters (`rule_init`).
    Init = 3,
    /// A question of an interface, outside consensus (`rule_query`).
    Query = 4,
}

impl CallKind {
    /// All of them, by number.
    pub const ALL: [Self; 4] = [Self::Check, Self::Change, Self::Init, Self::Query];

    /// Returns the name of the export that is called.
    pub const fn export(self) -> &'static str {
        match self {
            Self::Check => "rule_check",
            Self::Change => "rule_change",
            Self::Init => "rule_init",
            Self::Query => "rule_query",
        }
    }

    /// Returns whether the rule may write its state.
    pub const fn may_write(self) -> bool {
        matches!(self, Self::Check | Self::Init)
    }

    /// Returns whether the rule may read earlier blocks. An init may not: it runs once when the change is judged and
    /// once at its activation, and other blocks stand before it then.
    pub const fn may_read_blocks(self) -> bool {
        !matches!(self, Self::Init)
    }
}

/// One call of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call<'a> {
    /// What is asked.
    pub kind: CallKind,
    /// Bit 0, of an init only: the rule's state was kept.
    pub flags: u8,
    /// Position of the entry; blocks before it can be read.
    pub index: u64,
    /// Tree hash of the feed before the entry; zeros for an init.
    pub previous: Hash,
    /// Who acts; zeros for an init.
    pub author: PublicKey,
    /// Parameters of the rule.
    pub params: &'a [u8],
    /// What is judged.
    pub payload: &'a [u8],
    /// Gas that the call may use, [`GAS_LIMIT_CHECK`](crate::limits::GAS_LIMIT_CHECK) where a verdict counts.
    pub gas: u64,
}

impl Call<'_> {
    /// Returns the length of the input, in bytes.
    pub const fn input_len(&self) -> usize {
        HEADER_BYTES.saturating_add(self.params.len()).saturating_add(self.payload.len())
    }

    /// Writes the input at the start of `out`, which has room for [`input_len`](Self::input_len) bytes.
    pub(super) fn write_input(&self, out: &mut [u8]) {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
        let parts: [&[u8]; 10] = [
            &ABI_VERSION.to_le_bytes(),
            &[self.kind as u8],
            &[self.flags],
            &self.index.to_le_bytes(),
            self.previous.as_bytes(),
            self.author.as_bytes(),
            &length(self.params),
            &length(self.payload),
            self.params,
            self.payload,
        ];
        let mut rest = out;
        for part in parts {
            let Some((place, after)) = rest.split_at_mut_checked(part.len()) else { return };
            place.copy_from_slice(part);
            rest = after;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_input_has_the_layout_of_the_abi() {
        let call = Call {
            kind: CallKind::Init,
            flags: 1,
            index: 0x0102_0304_0506_0708,
            previous: Hash::new([0xaa; 32]),
            author: PublicKey::new([0xbb; 32]),
            params: b"par",
            payload: b"load",
            gas: 0,
        };
        let mut input = vec![0; call.input_len()];
        call.write_input(&mut input);
        let mut expected = vec![1, 0, 3, 1, 8, 7, 6, 5, 4, 3, 2, 1];
        expected.extend([0xaa; 32]);
        expected.extend([0xbb; 32]);
        expected.extend(b"\x03\0\0\0\x04\0\0\0parload");
        assert_eq!(input, expected);
        assert_eq!(HEADER_BYTES + 7, input.len());
    }
}
