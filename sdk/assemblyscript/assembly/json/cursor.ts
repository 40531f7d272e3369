// Where the reader is, and what it has found wrong. One document at a time; the first problem stays.

import { Bytes, same } from "../bytes";
import { Text } from "../text";

let start: usize = 0;
/** Address of the next byte. */
export let at: usize = 0;
/** Address after the last byte. */
export let end: usize = 0;
let failure: Text | null = null;

/** Containers that may be open at once. */
const DEPTH: i32 = 32;
/** Members of one object. */
const MEMBERS: i32 = 128;
/** Members of all open objects together. */
const NAMES: i32 = 256;

let depth: i32 = 0;
// One bit for each open container, the innermost lowest: whether it is an object.
let shapes: u64 = 0;
/** Whether the innermost container has been entered and nothing of it been read. */
export let fresh: bool = false;

// The names of the open objects: 8 bytes that differ for most names, address, size. Those of the innermost are from `first` on.
const ENTRY: usize = 16;
const names = memory.data(16 * NAMES, 8);
const firsts = memory.data(2 * DEPTH, 8);
let first: i32 = 0;
let count: i32 = 0;

/** Begins a document. One that was not read to its end is a problem. */
export function open(bytes: Bytes): void {
  if (!finish()) return;
  start = bytes.at;
  at = start;
  end = start + bytes.size;
}

/** Keeps the first problem: `what` was found at an address. Always false. */
export function stop(where: usize, what: string): bool {
  if (!failure) {
    failure = Text.of("malformed JSON at byte ").number(where - start).add(": ").add(what);
  }
  return false;
}

/** Keeps the first problem, which ends with bytes of the input. */
export function stopQuoting(where: usize, what: string, bytes: Bytes): void {
  stop(where, what);
  if (failure) (failure as Text).utf8(bytes);
}

/** The first problem. */
// @ts-ignore: decorator
@inline
export function problem(): Text | null {
  return failure;
}

/** Whether the document was read to its end without a problem; so is none at all. */
export function finish(): bool {
  if (failure) return false;
  const rest = blank(at);
  if (depth || rest != end) return stop(rest, "expected the end");
  return true;
}

/** Moves on. */
// @ts-ignore: decorator
@inline
export function move(to: usize): void {
  at = to;
}

/** The byte at an address, or 0 past the end: no JSON outside of strings has a 0. */
// @ts-ignore: decorator
@inline
export function byteAt(where: usize): u32 {
  return where < end ? <u32>load<u8>(where) : 0;
}

/** Address of the first byte from `where` on that is no white space. */
export function blank(where: usize): usize {
  let byte = byteAt(where);
  while (byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09) byte = byteAt(++where);
  return where;
}

/** Depth of the innermost open container. */
// @ts-ignore: decorator
@inline
export function level(): i32 {
  return depth;
}

/** Whether the innermost open container is an object. */
// @ts-ignore: decorator
@inline
export function inObject(): bool {
  return depth > 0 && (shapes & 1) != 0;
}

/** Whether the innermost open container is a list. */
// @ts-ignore: decorator
@inline
export function inList(): bool {
  return depth > 0 && (shapes & 1) == 0;
}

/** Steps into the container whose bracket is at `where`. */
export function enter(where: usize, object: bool): bool {
  if (depth == DEPTH) return stop(where, "too deep");
  store<u16>(firsts + (depth << 1), <u16>first);
  first = count;
  depth++;
  shapes = (shapes << 1) | <u64>object;
  fresh = true;
  at = where + 1;
  return true;
}

/** Steps out of the container whose bracket is at `where`. Always false: there is no other member or item. */
export function leave(where: usize): bool {
  depth--;
  count = first;
  first = load<u16>(firsts + (depth << 1));
  shapes >>= 1;
  fresh = false;
  at = where + 1;
  return false;
}

/** The innermost container has something in it now. */
// @ts-ignore: decorator
@inline
export function begin(): void {
  fresh = false;
}

/** Adds a name to those of the innermost object, unless it is there already. */
export function addName(name: usize, size: i32): bool {
  if (count - first >= MEMBERS || count == NAMES) return stop(name, "too many members");
  const mark = markOf(name, size);
  const last = entry(count++);
  store<u64>(last, mark);
  store<usize>(last, name, 8);
  store<i32>(last, size, 12);
  // The new name's own mark ends the search.
  let one = entry(first);
  while (true) {
    while (load<u64>(one) != mark) one += ENTRY;
    if (one == last) return true;
    if (load<i32>(one, 12) == size && same(load<usize>(one, 8), name, size)) return stop(name, "a member twice");
    one += ENTRY;
  }
}

// The first and the last eight bytes of a name, mixed.
// @ts-ignore: decorator
@inline
function markOf(name: usize, size: i32): u64 {
  if (size < 8) return size ? load<u64>(name) << (64 - (<u64>size << 3)) : 0;
  return load<u64>(name) ^ (load<u64>(name + size - 8) * 0x9e3779b97f4a7c15);
}

// @ts-ignore: decorator
@inline
function entry(index: i32): usize {
  return names + <usize>index * ENTRY;
}

/** Address of the innermost object's last name. */
// @ts-ignore: decorator
@inline
export function nameAt(): usize {
  return load<usize>(entry(count - 1), 8);
}

/** Bytes of the innermost object's last name. */
// @ts-ignore: decorator
@inline
export function nameSize(): i32 {
  return load<i32>(entry(count - 1), 12);
}
