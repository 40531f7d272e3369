'use strict'

// Blocks made from a seed, the same bytes as `generated_block` in ../../src/blocks.rs.

exports.block = function block (seed, index, size) {
  const bytes = Buffer.alloc((size + 3) & ~3)
  let x = (seed ^ Math.imul(index + 1, 0x9e3779b9)) >>> 0 || 1
  for (let at = 0; at < bytes.length; at += 4) {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    bytes.writeUInt32LE(x >>> 0, at)
  }
  return bytes.subarray(0, size)
}

exports.blocks = function blocks (seed, start, count, size) {
  const all = new Array(count)
  for (let i = 0; i < count; i++) all[i] = exports.block(seed, start + i, size)
  return all
}
