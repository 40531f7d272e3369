import { AL_MASK, OBJECT, OBJECT_OVERHEAD, OBJECT_MAXSIZE } from "./common";
import { E_ALLOCATION_TOO_LARGE } from "../util/error";

/** The first free byte, or 0 before the first allocation. */
let free: usize = 0;

// @ts-ignore: decorator
@unsafe @global
export function __alloc(size: usize): usize {
  const at = (free ? free : __heap_base) + AL_MASK & ~AL_MASK;
  const end = at + size;
  const have = <usize>memory.size() << 16;
  if (end < at) unreachable();
  if (end > have && memory.grow(<i32>((end - have + 0xffff) >> 16)) < 0) unreachable();
  free = end;
  return at;
}
// @ts-ignore: decorator
@unsafe @global
export function __realloc(ptr: usize, size: usize): usize {
  const at = __alloc(size);
  memory.copy(at, ptr, size);
  return at;
}
// @ts-ignore: decorator
@unsafe @global
export function __free(ptr: usize): void {}
// @ts-ignore: decorator
@unsafe @global
export function __new(size: usize, id: u32): usize {
  if (size > OBJECT_MAXSIZE) throw new Error(E_ALLOCATION_TOO_LARGE);
  const ptr = __alloc(OBJECT_OVERHEAD + size);
  const object = changetype<OBJECT>(ptr - sizeof<u32>());
  object.rtId = id;
  object.rtSize = <u32>size;
  return ptr + OBJECT_OVERHEAD;
}
