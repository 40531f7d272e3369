// Ed25519 verification as strict as a room's: what OpenSSL accepts, without keys and nonces of small order and without
// coordinates that are not reduced.

import { createPublicKey, verify } from "node:crypto";

const P = 2n ** 255n - 19n;

// The y coordinates of the points of order 8; those of order 1, 2 and 4 are 1, -1 and 0.
const EIGHT = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd83d3d706a17c7n;
const SMALL = new Set([0n, 1n, P - 1n, EIGHT, P - EIGHT]);

function isSound(point) {
  const y = BigInt(`0x${Buffer.from(point).reverse().toString("hex")}`) & (2n ** 255n - 1n);
  return y < P && !SMALL.has(y);
}

/** Whether a 64-byte signature of a message is valid for a 32-byte key. */
export function verifyStrict(key, message, signature) {
  if (!isSound(key) || !isSound(signature.subarray(0, 32))) return false;
  try {
    const jwk = { kty: "OKP", crv: "Ed25519", x: Buffer.from(key).toString("base64url") };
    return verify(null, message, createPublicKey({ key: jwk, format: "jwk" }), signature);
  } catch {
    return false;
  }
}
