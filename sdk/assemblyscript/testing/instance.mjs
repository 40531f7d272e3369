// One call of a rule in a fresh instance, with the imports that a room offers.

import { createHash } from "node:crypto";
import { CODE, LIMIT } from "./abi.mjs";
import { blake2b } from "./blake2b.mjs";
import { verifyStrict } from "./ed25519.mjs";

/** Ends a call with a code that the rule did not choose. */
class Trap extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

const keyOf = (bytes) => Buffer.from(bytes).toString("latin1");

/**
 * Runs `entry` of `module` on `input`. `state` is a Map from keys (latin1 strings) to Buffers, and is only read; `blocks`
 * are the blocks before the entry, absent where they may not be read. Returns what came out: result or trap code, reason, logs, writes.
 */
export function run(module, { entry, input, state, blocks, index, readOnly }) {
  const call = { reason: "", logs: [], writes: new Map(), reads: 0 };
  let memory;

  const bytes = (at, size) => {
    const [from, length] = [at >>> 0, size >>> 0];
    if (from + length > memory.buffer.byteLength) throw new Trap(CODE.outOfBounds, "an address outside of the memory");
    return new Uint8Array(memory.buffer, from, length);
  };
  const key = (at, size) => {
    if (size >>> 0 > LIMIT.keyBytes) throw new Trap(CODE.limit, `a key of ${size >>> 0} bytes`);
    return keyOf(bytes(at, size));
  };
  const give = (value, out, cap) => {
    const given = Math.min(value.length, cap >>> 0);
    call.reads += given;
    if (call.reads > LIMIT.readBytes) throw new Trap(CODE.limit, "too many bytes read");
    bytes(out, given).set(value.subarray(0, given));
    return value.length;
  };
  const write = (name, value) => {
    if (readOnly) throw new Trap(CODE.notAllowed, "the state is read-only here");
    call.writes.set(name, value);
    call.writeCount = (call.writeCount ?? 0) + 1;
    if (call.writeCount > LIMIT.writes) throw new Trap(CODE.limit, "too many writes");
  };

  const imports = {
    rule_v1: {
      get_block(at, out, cap) {
        if (!blocks) throw new Trap(CODE.notAllowed, "there are no blocks in rule_init");
        const wanted = BigInt.asUintN(64, at);
        if (wanted >= BigInt(index)) return -1;
        const block = blocks[Number(wanted)];
        if (!block) throw new Error(`the rule asks for block ${wanted}, which the test has not given`);
        return give(block, out, cap);
      },
      state_get(at, size, out, cap) {
        const name = key(at, size);
        const value = call.writes.has(name) ? call.writes.get(name) : state.get(name);
        return value ? give(value, out, cap) : -1;
      },
      state_set(at, size, valueAt, valueSize) {
        const name = key(at, size);
        if (valueSize >>> 0 > LIMIT.valueBytes) throw new Trap(CODE.limit, `a value of ${valueSize >>> 0} bytes`);
        write(name, Buffer.from(bytes(valueAt, valueSize)));
      },
      state_del(at, size) {
        write(key(at, size), undefined);
      },
      fail(at, size) {
        call.reason = cut(bytes(at, size));
      },
      log(at, size) {
        call.logs.push(Buffer.from(bytes(at, size)).toString());
      },
      blake2b_256(at, size, out) {
        bytes(out, 32).set(blake2b(bytes(at, size)));
      },
      sha256(at, size, out) {
        bytes(out, 32).set(createHash("sha256").update(bytes(at, size)).digest());
      },
      ed25519_verify(keyAt, at, size, signature) {
        return verifyStrict(bytes(keyAt, 32), bytes(at, size), bytes(signature, 64)) ? 1 : 0;
      },
    },
    env: {
      abort(message, file, line, column) {
        throw new Trap(CODE.abort, `${string(memory, message)} (${string(memory, file)}:${line}:${column})`);
      },
    },
  };

  try {
    const { exports } = new WebAssembly.Instance(module, imports);
    memory = exports.memory;
    const at = exports.rule_alloc(input.length);
    if ((at >>> 0) + input.length > memory.buffer.byteLength) throw new Trap(CODE.badAlloc, "rule_alloc: a bad address");
    bytes(at, input.length).set(input);
    const result = exports[entry](at, input.length);
    if (result < 0 || result > 65534) throw new Trap(CODE.malformedResult, `a result of ${result}`);
    return { ...call, code: result };
  } catch (error) {
    if (error instanceof Trap) return { ...call, code: error.code, reason: error.message };
    if (error instanceof WebAssembly.RuntimeError) return { ...call, code: CODE.trap, reason: error.message };
    if (error instanceof RangeError) return { ...call, code: CODE.stackDepth, reason: error.message };
    throw error;
  }
}

// The first bytes of a reason, without half a character at the end.
function cut(bytes) {
  let size = Math.min(bytes.length, LIMIT.reasonBytes);
  if (size < bytes.length) while (size > 0 && (bytes[size] & 0xc0) === 0x80) size--;
  return Buffer.from(bytes.subarray(0, size)).toString();
}

// A string of AssemblyScript: UTF-16 with its bytes counted before it.
function string(memory, at) {
  if (at === 0) return "";
  const size = new DataView(memory.buffer).getUint32(at - 4, true);
  return Buffer.from(memory.buffer.slice(at, at + size)).toString("utf16le");
}
