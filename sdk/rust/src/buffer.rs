//! Memory that is handed out once and never taken back: a check lives in an instance of its own.

/// Returns `size` zero bytes that nobody else has.
///
/// Panics, and so traps, when the memory of the rule (16 MiB) is used up.
#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code)]
pub fn buffer(size: usize) -> &'static mut [u8] {
    use core::arch::wasm32::{memory_grow, memory_size, unreachable};
    use core::sync::atomic::{AtomicUsize, Ordering};

    unsafe extern "C" {
        /// Placed by the linker behind the stack and the data: what follows belongs to nobody.
        static __heap_base: u8;
    }
    const PAGE: usize = 64 * 1024;
    /// Address of the next free byte; 0 before the first.
    static NEXT: AtomicUsize = AtomicUsize::new(0);

    let at = match NEXT.load(Ordering::Relaxed) {
        0 => (&raw const __heap_base).addr().next_multiple_of(8),
        next => next,
    };
    let Some(end) = at.checked_add(size).and_then(|end| end.checked_next_multiple_of(8)) else {
        unreachable()
    };
    let missing = end.div_ceil(PAGE).saturating_sub(memory_size(0));
    if missing > 0 && memory_grow(0, missing) == usize::MAX {
        unreachable();
    }
    NEXT.store(end, Ordering::Relaxed);
    // SAFETY: the bytes lie inside of the memory, behind everything that the linker has placed; NEXT only grows, so
    // that they were never handed out, and a fresh memory is zero.
    unsafe { core::slice::from_raw_parts_mut(core::ptr::with_exposed_provenance_mut(at), size) }
}

/// Returns `size` zero bytes that nobody else has. Outside of WebAssembly they are leaked.
#[cfg(not(target_arch = "wasm32"))]
pub fn buffer(size: usize) -> &'static mut [u8] {
    std::vec![0; size].leak()
}

/// Returns `bytes` in memory that lasts as long as the call.
pub(crate) fn kept(bytes: &[u8]) -> &'static mut [u8] {
    let copy = buffer(bytes.len());
    copy.copy_from_slice(bytes);
    copy
}

/// Calls `read(out) -> size`, negative for nothing, with a first guess of the size, and again where that was too small.
pub(crate) fn filled(guess: usize, mut read: impl FnMut(&mut [u8]) -> i32) -> Option<&'static [u8]> {
    let out = buffer(guess);
    let size = usize::try_from(read(out)).ok()?;
    if size <= guess {
        return Some(&out[..size]);
    }
    let out = buffer(size);
    read(out);
    Some(out)
}
