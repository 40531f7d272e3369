// The SDK, through a rule that shows what it sees.

import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { compile, unfit } from "quorate-rule/build";
import { CODE, OPERATION, Room, Rule, blake2bHex, key } from "quorate-rule/testing";

const here = dirname(fileURLToPath(import.meta.url));
const probe = new Rule(await compile(join(here, "probe")));

/** Runs one part of the probe on a payload. */
function tried(part, payload, author = "alice") {
  return probe.room(part).check(author, payload);
}

test("a call has all that the room hands over", () => {
  const room = probe.room("call");
  room.pass(41);
  const { accepted, logs } = room.check("alice", "a payload");
  assert.ok(accepted);
  const [kind, kept, index, previous, author, ...rest] = logs[0].split(" ");
  assert.deepEqual([kind, kept, index, author, rest.join(" ")], ["1", "fresh", "42", key("alice"), "call a payload"]);
  assert.equal(previous, blake2bHex(new TextEncoder().encode("history 42")));
});

test("a change has all that the room hands over", () => {
  const room = probe.room("call");
  const module = Buffer.from(key("module"), "hex");
  const rule = Buffer.from(key("rule"), "hex");
  const change = { operation: OPERATION.replace, aboutThisRule: true, activation: 2 ** 40, rule, module, name: "chess", params: "{}" };
  const short = (who) => key(who).slice(0, 8);
  assert.deepEqual(room.change("alice", change).logs, [`3 this ${2 ** 40} ${short("rule")} ${short("module")} chess {}`]);
  const install = { operation: OPERATION.install, activation: 7 };
  assert.deepEqual(room.change("alice", install).logs, ["1 other 7 00000000 00000000  "]);
});

test("a question is answered, and refused where it is malformed", () => {
  const room = probe.room("call");
  assert.equal(room.ask("41").answer, 42);
  assert.equal(room.ask("41 ").answer, 42);
  assert.equal(room.ask("x").code, 1);
});

test("reasons are cut to 256 bytes between characters", () => {
  assert.equal(tried("reason", "because").reason, "because");
  assert.equal(tried("reason", "x".repeat(300)).reason, "x".repeat(256));
  assert.equal(tried("reason", `${"x".repeat(255)}é`).reason, "x".repeat(255));
});

test("state: numbers, bytes, absence", () => {
  const room = probe.room("state");
  const long = "long ".repeat(400);
  const { logs } = room.act("alice", { n: 9007199254740991, t: "héllo €😀", long });
  assert.deepEqual(logs, ["héllo €😀", long]);
  assert.deepEqual([...room.state.keys()].sort(), ["x/long", "x/n", "x/t"]);
  assert.equal(room.state.get("x/n").readBigUInt64LE(), 9007199254740991n);
  assert.ok(room.act("alice", { t: null, long: null, n: 0 }).accepted);
  assert.deepEqual([...room.state], [["x/n", Buffer.alloc(8)]]);
});

test("state: what is refused leaves nothing behind, and the limits hold", () => {
  const room = probe.room("state");
  assert.equal(room.act("alice", '{"a":1,"a":2}').code, 1);
  assert.equal(room.state.size, 0);
  assert.equal(room.act("alice", { [`${"k".repeat(260)}`]: 1 }).code, CODE.trap);
  assert.equal(room.act("alice", { [`${"k".repeat(254)}`]: 1 }).code, 0);
});

test("hashes and signatures", () => {
  const payload = "some bytes";
  const sha = createHash("sha256").update(payload).digest("hex");
  assert.deepEqual(tried("hashes", payload).logs, [`${blake2bHex(Buffer.from(payload))} ${sha}`]);

  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = Buffer.from(publicKey.export({ format: "jwk" }).x, "base64url");
  const message = Buffer.from("a message");
  const signature = sign(null, message, privateKey);
  assert.equal(tried("hashes", Buffer.concat([raw, signature, message])).code, 0);
  assert.equal(tried("hashes", Buffer.concat([raw, signature, Buffer.from("another")])).code, 2);
  const identity = Buffer.alloc(32);
  identity[0] = 1;
  const forged = Buffer.concat([identity, identity, Buffer.alloc(32)]);
  assert.equal(tried("hashes", Buffer.concat([forged, message])).code, 2, "a key of small order signs everything");
});

test("blocks before the entry, and none after", () => {
  const room = probe.room("block");
  room.pass(9);
  room.blocks[3] = Buffer.alloc(10_000, 0xab);
  assert.deepEqual(room.check("alice", "3").logs, ["10000 abababab"]);
  assert.equal(room.check("alice", "10").code, 2);
});

test("actions before the entry", () => {
  const room = probe.room("action");
  room.pass(9);
  const field = (number, bytes) => Buffer.concat([Buffer.from([(number << 3) | 2, ...varint(bytes.length)]), bytes]);
  const varint = (value) => (value < 128 ? [value] : [(value & 127) | 128, ...varint(value >> 7)]);
  const author = Buffer.from(key("bob"), "hex");
  const payload = Buffer.from("p".repeat(300));
  const inner = Buffer.concat([field(1, author), Buffer.from([2 << 3, ...varint(70_000)]), field(4, author), field(6, payload), field(7, Buffer.alloc(64))]);
  room.blocks[3] = field(1, inner);
  room.blocks[4] = field(2, inner);
  room.blocks[5] = Buffer.alloc(0);
  room.blocks[6] = field(1, inner).subarray(0, 20);
  assert.deepEqual(room.check("alice", "3").logs, [`${key("bob")} 70000 ${payload}`]);
  for (const index of ["4", "5", "6", "10"]) assert.equal(room.check("alice", index).code, 2, index);
});

test("traps have codes of their own", () => {
  assert.equal(tried("trap", "").code, CODE.trap);
  const { code, reason } = tried("assert", "");
  assert.equal(code, CODE.abort);
  assert.match(reason, /^as it should \(assembly\/index\.ts:\d+:\d+\)$/);
});

test("the standard library can be used", () => {
  assert.deepEqual(tried("managed", "").logs, ["999000 44 70"]);
});

test("no blocks are read in rule_init, no state is written where it is read-only", () => {
  const { code, reason } = new Room(probe).install("block in init");
  assert.deepEqual([code, reason], [CODE.notAllowed, "there are no blocks in rule_init"]);
  assert.equal(probe.room("call").ask("12345").code, CODE.notAllowed);
});

test("a rule that forgets a marker is refused", async () => {
  const module = await compile(join(here, "no-marker"));
  assert.throws(() => new Rule(module), /a rule that uses state_get must export requires_state/);
});

test("a start section is refused with advice", async () => {
  await assert.rejects(compile(join(here, "needs-start")), /start section.*inside rule_check/);
  assert.equal(unfit(probe.bytes), undefined);
});
