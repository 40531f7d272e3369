// The runtime of a rule: memory is handed out and never taken back, because the instance is gone after one check.
// It stands in for the compiler's own `stub`, which sets itself up in a start section; the gate refuses those.

import { AL_MASK, OBJECT, OBJECT_MAXSIZE, OBJECT_OVERHEAD } from "./common";

// The first free byte; 0 before the first allocation.
let free: usize = 0;

// @ts-ignore: decorator
@unsafe @global
export function __alloc(size: usize): usize {
  const at = ((free ? free : __heap_base) + AL_MASK) & ~AL_MASK;
  const end = at + size;
  const have = <usize>memory.size() << 16;
  if (end < at) unreachable();
  if (end > have && memory.grow(<i32>((end - have + 0xffff) >> 16)) < 0) unreachable();
  free = end;
  return at;
}

// @ts-ignore: decorator
@unsafe @global
export function __realloc(from: usize, size: usize): usize {
  const at = __alloc(size);
  memory.copy(at, from, size);
  return at;
}

// @ts-ignore: decorator
@unsafe @global
export function __free(at: usize): void {}

// @ts-ignore: decorator
@unsafe @global
export function __new(size: usize, id: u32): usize {
  if (size > OBJECT_MAXSIZE) unreachable();
  const block = __alloc(OBJECT_OVERHEAD + size);
  const object = changetype<OBJECT>(block - sizeof<usize>());
  object.rtId = id;
  object.rtSize = <u32>size;
  return block + OBJECT_OVERHEAD;
}

// @ts-ignore: decorator
@unsafe @global
export function __renew(from: usize, size: usize): usize {
  const object = changetype<OBJECT>(from - OBJECT_OVERHEAD - sizeof<usize>());
  const at = __new(size, object.rtId);
  memory.copy(at, from, min<usize>(size, object.rtSize));
  return at;
}

// @ts-ignore: decorator
@global @unsafe
export function __link(parent: usize, child: usize, expectMultiple: bool): void {}

// @ts-ignore: decorator
@global @unsafe
export function __pin(at: usize): usize {
  return at;
}

// @ts-ignore: decorator
@global @unsafe
export function __unpin(at: usize): void {}

// @ts-ignore: decorator
@global @unsafe
function __visit(at: usize, cookie: u32): void {}

// @ts-ignore: decorator
@global @unsafe
export function __collect(): void {}
