// The vectors of a rule.json: actions and the results they must have, from an empty state. `quorate rule test` runs the same.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { bytesOf } from "./abi.mjs";
import { Rule, key } from "./host.mjs";

/** A value in which each string `key:NAME` has become the key of that name. */
export function withKeys(value) {
  if (typeof value === "string" && value.startsWith("key:")) return key(value.slice("key:".length));
  if (Array.isArray(value)) return value.map(withKeys);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, withKeys(member)]));
}

/** The bytes of a vector: `payload` is written as JSON, `text` stands as it is, `hex` is decoded. */
export function payloadOf({ payload, text, hex }) {
  if (hex !== undefined) return Uint8Array.from(Buffer.from(hex, "hex"));
  return bytesOf(text ?? JSON.stringify(withKeys(payload)));
}

/** Runs the vectors of a rule.json, in order, and throws at the first with another result. */
export async function runVectors(file, module) {
  const { params, vectors } = JSON.parse(await readFile(file, "utf8"));
  const room = (await Rule.load(module)).room(params === undefined ? undefined : withKeys(params));
  vectors.forEach((vector, i) => {
    const author = vector.author ?? "0".repeat(64);
    const { code, reason } = room.act(author, payloadOf(vector));
    assert.equal(code, vector.code, `vector ${i} (${JSON.stringify(vector)}): ${reason}`);
  });
}
