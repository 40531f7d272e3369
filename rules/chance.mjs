/** Numbers that look random and are the same in each run (xorshift32). */
export function chance(seed) {
  let state = (seed + 1) * 0x9e3779b1;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  return {
    /** An integer from 0 up to `limit`, without it. */
    below: (limit) => next() % limit,
    /** A byte, one that means something to JSON more often than not. */
    byte: () => {
      const telling = '{}[]":,\\ 0123456789.eE-+truefalsn\u00e9\n';
      const bytes = Buffer.from(telling);
      return next() % 4 === 0 ? next() & 255 : bytes[next() % bytes.length];
    },
    /** One of the items. */
    pick: (items) => items[next() % items.length],
  };
}
