//! What a room offers, imported.

#![allow(unsafe_code)]

mod raw {
    #[link(wasm_import_module = "rule_v1")]
    unsafe extern "C" {
        pub(super) fn get_block(index: u64, out: *mut u8, cap: usize) -> i32;
        pub(super) fn state_get(key: *const u8, key_size: usize, out: *mut u8, cap: usize) -> i32;
        pub(super) fn state_set(key: *const u8, key_size: usize, at: *const u8, size: usize);
        pub(super) fn state_del(key: *const u8, key_size: usize);
        pub(super) fn fail(at: *const u8, size: usize);
        pub(super) fn log(at: *const u8, size: usize);
        pub(super) fn blake2b_256(at: *const u8, size: usize, out: *mut u8);
        pub(super) fn sha256(at: *const u8, size: usize, out: *mut u8);
        pub(super) fn ed25519_verify(key: *const u8, at: *const u8, size: usize, signature: *const u8)
        -> i32;
    }
}

// SAFETY of all: the room reads and writes inside of the slices that are passed, and nowhere else.

/// Writes as much of a block as there is room for; its size, or a negative number.
pub(crate) fn get_block(index: u64, out: &mut [u8]) -> i32 {
    unsafe { raw::get_block(index, out.as_mut_ptr(), out.len()) }
}

/// Writes as much of a value as there is room for; its size, or a negative number.
pub(crate) fn state_get(key: &[u8], out: &mut [u8]) -> i32 {
    unsafe { raw::state_get(key.as_ptr(), key.len(), out.as_mut_ptr(), out.len()) }
}

/// Puts a value.
pub(crate) fn state_set(key: &[u8], value: &[u8]) {
    unsafe { raw::state_set(key.as_ptr(), key.len(), value.as_ptr(), value.len()) }
}

/// Takes a value away.
pub(crate) fn state_del(key: &[u8]) {
    unsafe { raw::state_del(key.as_ptr(), key.len()) }
}

/// Hands over the reason of a reject.
pub(crate) fn fail(reason: &[u8]) {
    unsafe { raw::fail(reason.as_ptr(), reason.len()) }
}

/// Hands over a line of the log, or an answer.
pub(crate) fn log(line: &[u8]) {
    unsafe { raw::log(line.as_ptr(), line.len()) }
}

/// Hashes.
pub(crate) fn blake2b_256(bytes: &[u8], out: &mut [u8; 32]) {
    unsafe { raw::blake2b_256(bytes.as_ptr(), bytes.len(), out.as_mut_ptr()) }
}

/// Hashes.
pub(crate) fn sha256(bytes: &[u8], out: &mut [u8; 32]) {
    unsafe { raw::sha256(bytes.as_ptr(), bytes.len(), out.as_mut_ptr()) }
}

/// Checks a signature; 1 when it is valid.
pub(crate) fn ed25519_verify(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> i32 {
    unsafe { raw::ed25519_verify(key.as_ptr(), message.as_ptr(), message.len(), signature.as_ptr()) }
}

/// Ends the call as a trap: a panic in a rule is a reject.
#[cfg(feature = "panic-handler")]
#[panic_handler]
fn panicked(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
