import { Bytes, Bytes32 } from "./bytes";
import { SLACK } from "./entry";
import { state_del, state_get, state_set } from "./imports";

/** Longest key of the state, in bytes. */
const KEY_BYTES: i32 = 256;

/** Bytes that `state.get` tries with first. */
const FIRST_TRY: i32 = 512;

/** A key of the state, put together of parts: `slot("balance/").key(author)`. At most 256 bytes; more traps. */
@final
export class Slot {
  /** Address of the first byte. */
  at: usize = __alloc(KEY_BYTES + SLACK);
  /** Bytes so far. */
  size: i32 = 0;

  /** Appends a word, which is ASCII. */
  word(word: string): Slot {
    const length = word.length;
    const out = this.grow(length);
    const from = changetype<usize>(word);
    for (let i: usize = 0; i < <usize>length; i++) store<u8>(out + i, load<u8>(from + (i << 1)));
    return this;
  }

  /** Appends the 32 bytes of a key or hash. */
  key(key: Bytes32): Slot {
    const out = this.grow(32);
    store<u64>(out, load<u64>(key.at));
    store<u64>(out, load<u64>(key.at, 8), 8);
    store<u64>(out, load<u64>(key.at, 16), 16);
    store<u64>(out, load<u64>(key.at, 24), 24);
    return this;
  }

  /** Appends a number as 8 bytes. */
  number(value: u64): Slot {
    store<u64>(this.grow(8), bswap<u64>(value));
    return this;
  }

  /** Appends bytes. */
  bytes(bytes: Bytes): Slot {
    memory.copy(this.grow(bytes.size), bytes.at, bytes.size);
    return this;
  }

  // Returns where `size` more bytes go.
  private grow(size: i32): usize {
    const out = this.at + this.size;
    this.size += size;
    if (<u32>this.size > <u32>KEY_BYTES) unreachable();
    return out;
  }
}

/** A key of the state that begins with a word, which is ASCII. */
export function slot(word: string): Slot {
  return new Slot().word(word);
}

/** The rule's own state: it changes only when the entry is accepted. Needs the export `requires_state`. */
export namespace state {
  /** Whether there is a value. */
  export function has(slot: Slot): bool {
    return state_get(slot.at, slot.size, slot.at, 0) >= 0;
  }

  /** The value, or null. */
  export function get(slot: Slot): Bytes | null {
    let value = Bytes.make(FIRST_TRY);
    const size = state_get(slot.at, slot.size, value.at, value.size);
    if (size < 0) return null;
    if (size > value.size) {
      value = Bytes.make(size);
      state_get(slot.at, slot.size, value.at, value.size);
    }
    value.size = size;
    return value;
  }

  /** Puts a value, at most 64 KiB. */
  export function set(slot: Slot, value: Bytes): void {
    state_set(slot.at, slot.size, value.at, value.size);
  }

  /** Takes a value away, if there is one. */
  export function del(slot: Slot): void {
    state_del(slot.at, slot.size);
  }

  const number = memory.data(8, 8);

  /** The number that `setNumber` has put, or 0. */
  export function getNumber(slot: Slot): u64 {
    const size = state_get(slot.at, slot.size, number, 8);
    if (size < 0) return 0;
    if (size != 8) unreachable();
    return load<u64>(number);
  }

  /** Puts a number, as 8 little-endian bytes. */
  export function setNumber(slot: Slot, value: u64): void {
    store<u64>(number, value);
    state_set(slot.at, slot.size, number, 8);
  }
}
