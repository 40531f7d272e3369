// A room in miniature for the tests of a rule: it runs the rule as a room would, in a fresh instance for each call, and
// keeps the state in memory. It counts no gas: `quorate rule test` does.
//
//     const rule = await Rule.load("build/my-rule.wasm");
//     const room = rule.room({ admins: [key("alice")] });
//     room.act("alice", { say: "hello" });      // { accepted: true, code: 0, reason: "" , ... }

import { readFile } from "node:fs/promises";
import { CODE, IMPORTS, KEPT, KIND, LIMIT, MARKER, OPERATION, REQUIRED, bytesOf, encodeCall, encodeChange } from "./abi.mjs";
import { blake2b, blake2bHex } from "./blake2b.mjs";
import { run } from "./instance.mjs";

export { CODE, KIND, LIMIT, OPERATION } from "./abi.mjs";
export { blake2b, blake2bHex } from "./blake2b.mjs";

const ZEROS = new Uint8Array(32);

/** The key of somebody in a test, as 64 hexadecimal digits: of a name, always the same. A key stays itself. */
export function key(who) {
  return /^[0-9a-f]{64}$/.test(who) ? who : blake2bHex(new TextEncoder().encode(`test key ${who}`));
}

const keyBytes = (who) => (who instanceof Uint8Array ? who : Buffer.from(key(who), "hex"));

/** A module that has the shape of a rule. */
export class Rule {
  /** Reads a module. Throws where the gate would refuse its imports or exports. */
  static async load(path) {
    return new Rule(await readFile(path));
  }

  constructor(bytes) {
    this.bytes = bytes;
    this.module = new WebAssembly.Module(bytes);
    const exports = WebAssembly.Module.exports(this.module).map(({ name }) => name);
    this.exports = new Set(exports);
    for (const name of REQUIRED) {
      if (!this.exports.has(name)) throw new Error(`the module does not export ${name}`);
    }
    for (const { module, name, kind } of WebAssembly.Module.imports(this.module)) {
      if (kind !== "function" || !IMPORTS[module]?.has(name)) {
        throw new Error(`the module imports ${module}.${name}, which a room does not offer`);
      }
      const marker = MARKER[name];
      if (marker && !this.exports.has(marker)) throw new Error(`a rule that uses ${name} must export ${marker}`);
    }
  }

  /** The hash that names the module, as hexadecimal digits. */
  get hash() {
    return blake2bHex(this.bytes);
  }

  /** A room with this rule. Throws when the rule refuses the params. */
  room(params) {
    const room = new Room(this);
    const verdict = room.install(params);
    if (!verdict.accepted) throw new Error(`rule_init refuses (${verdict.code}): ${verdict.reason}`);
    return room;
  }
}

/** A room with one rule, its state, and the index that the next block gets. */
export class Room {
  constructor(rule) {
    this.rule = rule;
    this.params = new Uint8Array(0);
    this.index = 1;
    this.state = new Map();
    /** Blocks that `get_block` gives, by index: a test puts them here. */
    this.blocks = [];
  }

  /** Runs `rule_init`: fresh, or with the state kept, as new params and a new module do. */
  install(params, { keepState = false } = {}) {
    const bytes = bytesOf(params);
    const state = keepState ? this.state : new Map();
    const verdict = this.#run("rule_init", {
      kind: KIND.init, flags: keepState ? KEPT : 0, previous: ZEROS, author: ZEROS, payload: ZEROS.subarray(0, 0),
      params: bytes, state,
    });
    if (verdict.accepted) {
      this.params = bytes;
      this.state = state;
      this.#commit(verdict);
    }
    return verdict;
  }

  /** Submits an action; the state and the index move on only when it is accepted. Objects are written as JSON. */
  act(author, payload) {
    const verdict = this.check(author, payload);
    if (verdict.accepted) {
      this.#commit(verdict);
      this.index++;
    }
    return verdict;
  }

  /** What `act` would say. */
  check(author, payload) {
    return this.#run("rule_check", { kind: KIND.action, author: keyBytes(author), payload: bytesOf(payload) });
  }

  /** The rule's opinion on a change of rules: `{ operation: OPERATION.params, aboutThisRule: true, params: {} }`. */
  change(author, { operation, aboutThisRule, activation = this.index + 100, rule = ZEROS, module = ZEROS, name = "", params }) {
    const payload = encodeChange({
      operation, aboutThisRule, activation, rule, module, name: bytesOf(name), params: bytesOf(params),
    });
    return this.#run("rule_change", { kind: KIND.change, author: keyBytes(author), payload, readOnly: true });
  }

  /** Asks a question: `answer` is what the rule answers, parsed where it is JSON. */
  ask(question) {
    const verdict = this.#run("rule_query", {
      kind: KIND.query, author: ZEROS, payload: bytesOf(question), readOnly: true,
    });
    return { ...verdict, answer: verdict.accepted ? parsed(verdict.logs.at(-1) ?? "") : undefined };
  }

  /** Lets blocks of others pass, which the rule does not see. */
  pass(blocks) {
    this.index += blocks;
  }

  #run(entry, { kind, flags, previous, author, params = this.params, payload, readOnly = false, state = this.state }) {
    if (!this.rule.exports.has(entry)) return { accepted: true, code: 0, reason: "", logs: [], writes: new Map(), reads: 0 };
    const input = encodeCall({
      kind, flags, index: this.index, previous: previous ?? blake2b(bytesOf(`history ${this.index}`)), author, params, payload,
    });
    const outcome = run(this.rule.module, {
      entry, input, state, blocks: kind === KIND.init ? undefined : this.blocks, index: this.index, readOnly,
    });
    if (outcome.code === 0 && overQuota(state, outcome.writes)) {
      Object.assign(outcome, { code: CODE.quota, reason: "the state is full" });
    }
    const accepted = outcome.code === 0;
    const { code, logs, reads } = outcome;
    return { accepted, code, reason: accepted ? "" : outcome.reason, logs, reads, writes: accepted ? outcome.writes : new Map() };
  }

  #commit({ writes }) {
    for (const [name, value] of writes) {
      if (value === undefined) this.state.delete(name);
      else this.state.set(name, value);
    }
  }
}

function overQuota(state, writes) {
  if (state.size + writes.size < 1000) return false;
  const after = new Map(state);
  for (const [name, value] of writes) {
    if (value === undefined) after.delete(name);
    else after.set(name, value);
  }
  let bytes = 0;
  for (const [name, value] of after) bytes += name.length + value.length;
  return after.size > LIMIT.stateKeys || bytes > LIMIT.stateBytes;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
