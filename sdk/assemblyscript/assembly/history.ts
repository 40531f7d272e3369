import { Bytes, Bytes32, Key } from "./bytes";
import { SLACK } from "./entry";
import { get_block } from "./imports";

/** Bytes that `block` tries with first. */
const FIRST_TRY: i32 = 4096;

/** An earlier block of the stream, or null from the entry's own index on. Needs the export `requires_history`. */
export function block(index: u64): Bytes | null {
  let at = __alloc(<usize>FIRST_TRY + SLACK);
  const size = get_block(index, at, FIRST_TRY);
  if (size < 0) return null;
  if (size > FIRST_TRY) {
    at = __alloc(<usize>size + SLACK);
    get_block(index, at, size);
  }
  return new Bytes(at, size);
}

/** An action that was accepted earlier. */
@final
export class Action {
  /** Who signed it. */
  author: Key = Bytes32.at(0);
  /** How many entries the author had before it. */
  sequence: u64 = 0;
  /** What the author said. */
  payload: Bytes = new Bytes(0, 0);
}

/** The action in an earlier block; null where there is another entry, or none before this one. Needs `requires_history`. */
export function action(index: u64): Action | null {
  const bytes = block(index);
  if (!bytes) return null;
  const entry = new Fields(bytes);
  if (!entry.next() || entry.number != 1) return null;
  const fields = new Fields(entry.bytes);
  const action = new Action();
  while (fields.next()) {
    if (fields.number == 1 && fields.bytes.size == 32) action.author = Bytes32.at(fields.bytes.at);
    else if (fields.number == 2) action.sequence = fields.value;
    else if (fields.number == 6) action.payload = fields.bytes;
  }
  return changetype<usize>(action.author) ? action : null;
}

// The fields of a protobuf message (proto/stream.proto). The room lets in canonical blocks only.
@final
class Fields {
  number: u64 = 0;
  value: u64 = 0;
  bytes: Bytes = new Bytes(0, 0);
  private at: usize;
  private end: usize;

  constructor(message: Bytes) {
    this.at = message.at;
    this.end = message.at + message.size;
  }

  next(): bool {
    if (this.at >= this.end) return false;
    const tag = this.varint();
    this.number = tag >> 3;
    this.value = this.varint();
    if ((tag & 7) == 0) return true;
    if ((tag & 7) != 2 || this.value > <u64>(this.end - this.at)) return false;
    this.bytes = new Bytes(this.at, <i32>this.value);
    this.at += <usize>this.value;
    return true;
  }

  private varint(): u64 {
    let value: u64 = 0;
    for (let shift: u64 = 0; shift < 64 && this.at < this.end; shift += 7) {
      const byte = load<u8>(this.at++);
      value |= <u64>(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    return value;
  }
}
