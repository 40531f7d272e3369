// Version 1 of the interface between a room and a rule: layouts, limits and codes.

export const KIND = { action: 1, change: 2, init: 3, query: 4 };
export const OPERATION = { install: 1, remove: 2, replace: 3, params: 4, validators: 5 };

/** Flag of `rule_init`: the rule's state was kept. */
export const KEPT = 1;

/** Codes of what a rule did not decide itself. */
export const CODE = {
  trap: 65536,
  stackDepth: 65538,
  malformedResult: 65539,
  outOfBounds: 65540,
  limit: 65541,
  quota: 65542,
  notAllowed: 65543,
  abort: 65544,
  badAlloc: 65545,
};

export const LIMIT = {
  keyBytes: 256,
  valueBytes: 64 * 1024,
  readBytes: 256 * 1024,
  writes: 1024,
  reasonBytes: 256,
  stateBytes: 64 * 1024 * 1024,
  stateKeys: 1_000_000,
  paramsBytes: 16 * 1024,
  payloadBytes: 64512,
};

/** What a rule may import. */
export const IMPORTS = {
  rule_v1: new Set([
    "get_block", "state_get", "state_set", "state_del", "fail", "log", "blake2b_256", "sha256", "ed25519_verify",
  ]),
  env: new Set(["abort"]),
};

/** The export that goes with an import. */
export const MARKER = {
  get_block: "requires_history",
  state_get: "requires_state",
  state_set: "requires_state",
  state_del: "requires_state",
};

/** Exports that a rule must have. */
export const REQUIRED = ["memory", "rule_abi_v1", "rule_alloc", "rule_check"];

const HEADER = 84;

/** The input of a call. */
export function encodeCall({ kind, flags = 0, index, previous, author, params, payload }) {
  const bytes = new Uint8Array(HEADER + params.length + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 1, true);
  view.setUint8(2, kind);
  view.setUint8(3, flags);
  view.setBigUint64(4, BigInt(index), true);
  bytes.set(previous, 12);
  bytes.set(author, 44);
  view.setUint32(76, params.length, true);
  view.setUint32(80, payload.length, true);
  bytes.set(params, HEADER);
  bytes.set(payload, HEADER + params.length);
  return bytes;
}

/** What `rule_change` gets as its payload. */
export function encodeChange({ operation, aboutThisRule = false, activation, rule, module, name, params }) {
  const bytes = new Uint8Array(82 + name.length + params.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, operation);
  view.setUint8(1, aboutThisRule ? 1 : 0);
  view.setBigUint64(2, BigInt(activation), true);
  bytes.set(rule, 10);
  bytes.set(module, 42);
  view.setUint32(74, name.length, true);
  view.setUint32(78, params.length, true);
  bytes.set(name, 82);
  bytes.set(params, 82 + name.length);
  return bytes;
}

/** Bytes of what a test writes: bytes as they are, a string as UTF-8, anything else as JSON; nothing for undefined. */
export function bytesOf(value) {
  if (value === undefined) return new Uint8Array(0);
  if (value instanceof Uint8Array) return value;
  return new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
}
