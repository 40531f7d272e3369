// BLAKE2b with an output of 32 bytes and no key (RFC 7693), which node's own crypto does not offer.

const IV = new Uint32Array([
  0xf3bcc908, 0x6a09e667, 0x84caa73b, 0xbb67ae85, 0xfe94f82b, 0x3c6ef372, 0x5f1d36f1, 0xa54ff53a,
  0xade682d1, 0x510e527f, 0x2b3e6c1f, 0x9b05688c, 0xfb41bd6b, 0x1f83d9ab, 0x137e2179, 0x5be0cd19,
]);

const SIGMA = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
  [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
  [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
  [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
  [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
  [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
  [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
  [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
  [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];

const LANES = [
  [0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15],
  [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14],
];

const BLOCK = 128;

/** The hash of a Uint8Array, `size` bytes of it (32 unless told). */
export function blake2b(bytes, size = 32) {
  const state = IV.slice();
  state[0] ^= 0x01010000 ^ size;
  const block = new Uint8Array(BLOCK);
  let done = 0;
  do {
    const part = bytes.subarray(done, done + BLOCK);
    block.fill(0);
    block.set(part);
    done += part.length;
    compress(state, block, done, done === bytes.length);
  } while (done < bytes.length);
  return new Uint8Array(state.buffer, 0, size).slice();
}

/** The hash as hexadecimal digits. */
export function blake2bHex(bytes, size = 32) {
  return Buffer.from(blake2b(bytes, size)).toString("hex");
}

// A 64-bit word is two of 32, the low one first; `counter` stays below 2^53.
function compress(state, block, counter, last) {
  const message = new Uint32Array(block.buffer.slice(0));
  const v = new Uint32Array(32);
  v.set(state);
  v.set(IV, 16);
  v[24] ^= counter >>> 0;
  v[25] ^= Math.floor(counter / 2 ** 32);
  if (last) {
    v[28] = ~v[28];
    v[29] = ~v[29];
  }
  for (let round = 0; round < 12; round++) {
    const sigma = SIGMA[round % 10];
    LANES.forEach(([a, b, c, d], lane) => {
      add(v, a, b);
      addWord(v, a, message, sigma[2 * lane]);
      rotate(v, d, a, 32);
      add(v, c, d);
      rotate(v, b, c, 24);
      add(v, a, b);
      addWord(v, a, message, sigma[2 * lane + 1]);
      rotate(v, d, a, 16);
      add(v, c, d);
      rotate(v, b, c, 63);
    });
  }
  for (let i = 0; i < 16; i++) state[i] ^= v[i] ^ v[i + 16];
}

function add(v, a, b) {
  addWord(v, a, v, b);
}

function addWord(v, a, from, b) {
  const low = v[2 * a] + from[2 * b];
  v[2 * a + 1] = v[2 * a + 1] + from[2 * b + 1] + (low > 0xffffffff ? 1 : 0);
  v[2 * a] = low;
}

// v[a] = (v[a] ^ v[b]) rotated right by `bits`.
function rotate(v, a, b, bits) {
  const low = v[2 * a] ^ v[2 * b];
  const high = v[2 * a + 1] ^ v[2 * b + 1];
  if (bits === 32) {
    v[2 * a] = high;
    v[2 * a + 1] = low;
  } else if (bits < 32) {
    v[2 * a] = (low >>> bits) | (high << (32 - bits));
    v[2 * a + 1] = (high >>> bits) | (low << (32 - bits));
  } else {
    v[2 * a] = (high >>> (bits - 32)) | (low << (64 - bits));
    v[2 * a + 1] = (low >>> (bits - 32)) | (high << (64 - bits));
  }
}
