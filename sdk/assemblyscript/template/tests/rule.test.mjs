import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { Rule, key } from "quorate-rule/testing";
import { runVectors } from "quorate-rule/testing/vectors";

const { module } = JSON.parse(await readFile("rule.json", "utf8"));
const rule = await Rule.load(module);

test("the vectors of rule.json", () => runVectors("rule.json", module));

test("params", () => {
  rule.room({ longest: 1 });
  for (const params of [undefined, {}, { longest: 0 }, { longest: "40" }, { longest: 40, more: 1 }]) {
    assert.throws(() => rule.room(params), /rule_init refuses \(1\)/);
  }
});

test("people take turns", () => {
  const room = rule.room({ longest: 40 });
  assert.ok(room.act("alice", { say: "hello" }).accepted);
  const { code, reason } = room.act("alice", { say: "hello?" });
  assert.deepEqual([code, reason], [2, "somebody else has to speak first"]);
  assert.ok(room.act("bob", { say: "hello" }).accepted);
  assert.ok(room.act("alice", { say: "ah" }).accepted);
  assert.deepEqual(room.state.get("last"), Buffer.from(key("alice"), "hex"));
});

test("nobody talks too long", () => {
  const room = rule.room({ longest: 5 });
  const { code, reason } = room.act("alice", { say: "123456" });
  assert.deepEqual([code, reason], [3, "6 characters, at most 5 are allowed"]);
  assert.ok(room.act("alice", { say: "12345" }).accepted);
});

test("how many messages there were", () => {
  const room = rule.room({ longest: 40 });
  assert.deepEqual(room.ask("").answer, { messages: 0 });
  room.act("alice", { say: "hello" });
  room.act("bob", { say: "hello" });
  assert.deepEqual(room.ask("").answer, { messages: 2 });
});
