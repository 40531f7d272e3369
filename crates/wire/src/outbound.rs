//! Bytes that wait to be written: frames are appended in clear text and encrypted in place.

use bytes::{BufMut, Bytes, BytesMut};

use crate::cipher::Cipher;
use crate::varint;

/// Clear text that is encrypted while it is still in the processor's cache, bytes.
const SEAL_BYTES: usize = 32 * 1024;

/// Largest buffer that is asked for ahead of what is appended, bytes.
const MAX_AHEAD_BYTES: usize = 256 * 1024;

/// Writing direction of a connection.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    buf: BytesMut,
    /// Bytes at the front that go out as they are.
    sealed: usize,
    /// Size of the last batch, which the next one is likely to have.
    last_batch: usize,
    cipher: Option<Cipher>,
}

impl Outbound {
    /// Encrypts everything that is appended from here on.
    pub(crate) fn start(&mut self, cipher: Cipher) {
        self.sealed = self.buf.len();
        self.cipher = Some(cipher);
    }

    /// Appends `length | message` as it is; for the handshake.
    pub(crate) fn push_prefixed(&mut self, message: &[u8]) {
        varint::write(&mut self.buf, message.len() as u64);
        self.buf.put_slice(message);
    }

    /// Appends a ping, unless other bytes wait already, which say the same.
    pub(crate) fn push_ping(&mut self) {
        if self.buf.is_empty() {
            self.buf.put_u8(0);
        }
    }

    /// Appends a frame whose body has `body_len` bytes and is written by `body`.
    pub(crate) fn push_frame(&mut self, header: u64, body_len: usize, body: impl FnOnce(&mut BytesMut)) {
        let len = frame_len(header, body_len);
        let needed = varint::MAX_LEN.saturating_add(len);
        if self.buf.capacity() - self.buf.len() < needed {
            let ahead = self.last_batch.min(MAX_AHEAD_BYTES).saturating_sub(self.buf.len());
            self.buf.reserve(needed.max(ahead));
        }
        varint::write(&mut self.buf, len as u64);
        varint::write(&mut self.buf, header);
        body(&mut self.buf);
        if self.buf.len() - self.sealed >= SEAL_BYTES {
            self.seal();
        }
    }

    /// Appends bytes that are no frame, as a hostile peer would.
    #[cfg(test)]
    pub(crate) fn push_raw(&mut self, bytes: &[u8]) {
        self.buf.put_slice(bytes);
    }

    /// Returns how many bytes wait.
    pub(crate) fn len(&self) -> usize {
        self.buf.len()
    }

    /// Takes all bytes that wait, encrypted.
    pub(crate) fn take(&mut self) -> Option<Bytes> {
        if self.buf.is_empty() {
            return None;
        }
        self.seal();
        self.sealed = 0;
        self.last_batch = self.buf.len();
        Some(self.buf.split().freeze())
    }

    fn seal(&mut self) {
        if let (Some(cipher), Some(clear)) = (&mut self.cipher, self.buf.get_mut(self.sealed..)) {
            cipher.apply(clear);
        }
        self.sealed = self.buf.len();
    }
}

/// Length of a frame without its own length.
pub(crate) fn frame_len(header: u64, body_len: usize) -> usize {
    varint::len(header).saturating_add(body_len)
}
