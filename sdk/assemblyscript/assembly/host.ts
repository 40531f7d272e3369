import { Bytes, Bytes32, Hash, Key } from "./bytes";
import { SLACK } from "./entry";
import { blake2b_256, ed25519_verify, get_block, sha256 as host_sha256 } from "./imports";

/** The BLAKE2b hash of 32 bytes. */
export function blake2b(bytes: Bytes): Hash {
  const out = Bytes32.make();
  blake2b_256(bytes.at, bytes.size, out.at);
  return out;
}

/** The SHA-256 hash. */
export function sha256(bytes: Bytes): Hash {
  const out = Bytes32.make();
  host_sha256(bytes.at, bytes.size, out.at);
  return out;
}

/** Whether an Ed25519 signature (64 bytes) over a message is valid, strictly: no small-order keys, no malleable form. */
export function verify(key: Key, message: Bytes, signature: Bytes): bool {
  return signature.size == 64 && ed25519_verify(key.at, message.at, message.size, signature.at) == 1;
}

/** Bytes that `block` tries with first. */
const FIRST_TRY: i32 = 4096;

/** An earlier block of the stream, or null from the entry's own index on. Needs the export `requires_history`. */
export function block(index: u64): Bytes | null {
  let at = __alloc(FIRST_TRY + SLACK);
  const size = get_block(index, at, FIRST_TRY);
  if (size < 0) return null;
  if (size > FIRST_TRY) {
    at = __alloc(<usize>size + SLACK);
    get_block(index, at, size);
  }
  return new Bytes(at, size);
}
