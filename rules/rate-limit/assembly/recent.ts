// The state: `t` + key has the indexes of the author's accepted actions, 8 little-endian bytes each, oldest first, those
// only that a window can still hold. There are never more than the params allow.

import { Bytes, Key, Slot, slot, state } from "quorate-rule/assembly";

/** The actions of one author in the window that ends with the next block. */
export class Recent {
  constructor(
    private where: Slot,
    private indexes: Bytes,
  ) {}

  /** How many. */
  get count(): u64 {
    return this.indexes.size >> 3;
  }

  /** Index of the one that has `after` newer ones. */
  index(after: u64): u64 {
    return load<u64>(this.indexes.at + this.indexes.size - 8 - (<usize>after << 3));
  }

  /** Adds an action, and forgets those before the window. */
  add(index: u64): void {
    const all = Bytes.make(this.indexes.size + 8);
    memory.copy(all.at, this.indexes.at, this.indexes.size);
    store<u64>(all.at + this.indexes.size, index);
    state.set(this.where, all);
  }
}

/** The actions of `author` in the `blocks` blocks up to `index`, which is the last. */
export function recentOf(author: Key, index: u64, blocks: u64): Recent {
  const where = slot("t").key(author);
  const kept = state.get(where);
  if (!kept) return new Recent(where, Bytes.make(0));
  let first = 0;
  while (first < kept.size && index - load<u64>(kept.at + first) >= blocks) first += 8;
  return new Recent(where, kept.part(first));
}
