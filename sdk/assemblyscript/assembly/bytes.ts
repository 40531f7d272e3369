import { SLACK } from "./entry";

/** Bytes in memory: where they begin and how many they are. They last as long as the call. */
@final
export class Bytes {
  constructor(
    /** Address of the first. */
    public at: usize,
    /** How many. */
    public size: i32,
  ) {}

  /** New bytes, all zero. */
  static make(size: i32): Bytes {
    const at = __alloc(<usize>size + SLACK);
    memory.fill(at, 0, size);
    return new Bytes(at, size);
  }

  /** The byte at `index`; 0 past the end. */
  @operator("[]")
  byte(index: i32): u8 {
    return <u32>index < <u32>this.size ? load<u8>(this.at + index) : 0;
  }

  /** Whether both hold the same. */
  equals(other: Bytes): bool {
    return this.size == other.size && same(this.at, other.at, this.size);
  }

  /** Whether these are the characters of `word`, which is ASCII. */
  is(word: string): bool {
    return spells(this.at, this.size, word);
  }

  /** The part from `from` up to `to`, cut to what is there. */
  part(from: i32, to: i32 = i32.MAX_VALUE): Bytes {
    const first = min(max(from, 0), this.size);
    return new Bytes(this.at + first, max(min(to, this.size) - first, 0));
  }

  /** As 32 bytes: the first 32, which must be there. */
  first32(): Bytes32 {
    if (this.size < 32) unreachable();
    return Bytes32.at(this.at);
  }
}

/** 32 bytes: the key of an author, a hash. Not a copy: it is where the bytes are. */
@unmanaged
@final
export class Bytes32 {
  /** The 32 bytes at an address. */
  @inline
  static at(address: usize): Bytes32 {
    return changetype<Bytes32>(address);
  }

  /** New ones, all zero. */
  static make(): Bytes32 {
    const at = __alloc(32);
    memory.fill(at, 0, 32);
    return Bytes32.at(at);
  }

  /** Address of the first. */
  @inline
  get at(): usize {
    return changetype<usize>(this);
  }

  /** As bytes. */
  get bytes(): Bytes {
    return new Bytes(this.at, 32);
  }

  /** Whether both hold the same. */
  equals(other: Bytes32): bool {
    return (
      ((load<u64>(this.at) ^ load<u64>(other.at)) |
        (load<u64>(this.at, 8) ^ load<u64>(other.at, 8)) |
        (load<u64>(this.at, 16) ^ load<u64>(other.at, 16)) |
        (load<u64>(this.at, 24) ^ load<u64>(other.at, 24))) == 0
    );
  }
}

/** The public key of an author. */
export type Key = Bytes32;

/** A hash. */
export type Hash = Bytes32;

/** Whether `size` bytes at two addresses are the same. Reads up to 7 bytes past the end of both. */
export function same(a: usize, b: usize, size: i32): bool {
  while (size >= 8) {
    if (load<u64>(a) != load<u64>(b)) return false;
    a += 8;
    b += 8;
    size -= 8;
  }
  return size <= 0 || (load<u64>(a) ^ load<u64>(b)) << (64 - (<u64>size << 3)) == 0;
}

/** Whether `size` bytes at an address are the characters of `word`, which is ASCII. */
export function spells(at: usize, size: i32, word: string): bool {
  if (size != word.length) return false;
  const from = changetype<usize>(word);
  for (let i: usize = 0; i < <usize>size; i++) {
    if (<u16>load<u8>(at + i) != load<u16>(from + (i << 1))) return false;
  }
  return true;
}
