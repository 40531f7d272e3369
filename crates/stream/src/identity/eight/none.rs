//! Processors that are no x86-64: none computes eight sums at once.

use curve25519_dalek::scalar::Scalar;

pub(crate) const LANES: usize = 8;

/// There is none.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Eight {}

#[derive(Debug)]
pub(crate) enum BaseAddends {}

#[derive(Debug)]
pub(crate) enum SecretAddends {}

#[derive(Debug)]
pub(crate) enum KeyAddends {}

#[derive(Clone, Copy)]
#[expect(dead_code, reason = "read where there are lanes")]
pub(crate) struct Terms<'a> {
    pub(crate) s: &'a Scalar,
    pub(crate) key: &'a KeyAddends,
    pub(crate) k: &'a Scalar,
}

impl Eight {
    pub(crate) const fn detect() -> Option<Self> {
        None
    }

    pub(crate) const fn base(self) -> Option<BaseAddends> {
        match self {}
    }

    pub(crate) const fn secret_base(self) -> Option<SecretAddends> {
        match self {}
    }

    pub(crate) fn secret_products(self, _: &SecretAddends, _: &[[&Scalar; LANES]]) -> Vec<[[u8; 32]; LANES]> {
        match self {}
    }

    pub(crate) const fn keys(self, _: &[[u8; 32]; LANES]) -> [Option<KeyAddends>; LANES] {
        match self {}
    }

    pub(crate) fn sums(self, _: &BaseAddends, _: &[[Terms<'_>; LANES]]) -> Vec<[[u8; 32]; LANES]> {
        match self {}
    }
}
