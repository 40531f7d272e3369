import { Bytes, Bytes32, Hash, Key } from "./bytes";
import { blake2b_256, ed25519_verify, sha256 as host_sha256 } from "./imports";

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
