import assert from "node:assert/strict";
import { test } from "node:test";
import { Rule, key } from "quorate-rule/testing";
import { chance } from "../../chance.mjs";

const MAX = Number.MAX_SAFE_INTEGER;
const rule = await Rule.load(new URL("../../built/rate-limit.wasm", import.meta.url));
const limit = (actions, blocks, more = {}) => rule.room({ actions, blocks, ...more });
const short = (who) => key(who).slice(0, 8);
const left = (room, who) => room.ask({ left: key(who) }).answer.left;

test("params", () => {
  limit(1, 1);
  limit(256, MAX, { exempt: [] });
  limit(1, 1, { exempt: Array.from({ length: 64 }, (_, i) => key(`exempt ${i}`)) });
  const bad = [
    [undefined, /expected an object/], [{}, /1 to 256 actions/], [{ actions: 1 }, /1 block or more/], [{ blocks: 1 }, /1 to 256 actions/],
    [{ actions: 0, blocks: 1 }, /1 to 256 actions/], [{ actions: 257, blocks: 1 }, /1 to 256 actions/], [{ actions: 1, blocks: 0 }, /1 block or more/],
    [{ actions: 1, blocks: 2 ** 53 }, /expected an integer/], [{ actions: 1, blocks: 1, more: 1 }, /unknown member more/],
    [{ actions: 1, blocks: 1, exempt: ["alice"] }, /expected a key/],
    [{ actions: 1, blocks: 1, exempt: Array.from({ length: 65 }, (_, i) => key(`exempt ${i}`)) }, /more than 64 exempt keys/],
  ];
  for (const [params, reason] of bad) assert.throws(() => rule.room(params), reason);
});

test("so many actions, then a wait until the oldest leaves the window", () => {
  const room = limit(2, 5);
  assert.ok(room.act("alice", "one").accepted); // at 1
  assert.ok(room.act("alice", "two").accepted); // at 2
  const refusal = room.act("alice", "three");
  assert.deepEqual([refusal.code, refusal.reason], [2, `${short("alice")} has acted 2 times in 5 blocks, and may again from height 6`]);
  room.pass(2); // 5 is next
  assert.equal(room.act("alice", "three").code, 2);
  room.pass(1); // 6 is next
  assert.ok(room.act("alice", "three").accepted);
  assert.ok(room.act("alice", "four").accepted); // at 7
  assert.match(room.act("alice", "five").reason, /from height 11$/);
});

test("everybody has their own window; what the payload says is no matter", () => {
  const room = limit(1, 100);
  for (const who of ["alice", "bob", "carol"]) assert.ok(room.act(who, Uint8Array.of(0, 123, 255)).accepted);
  for (const who of ["alice", "bob", "carol"]) assert.equal(room.act(who, { say: "x" }).code, 2);
});

test("exempt keys may act at any time, and nothing is kept of them", () => {
  const room = limit(1, 100, { exempt: [key("host"), key("bot")] });
  for (let i = 0; i < 10; i++) assert.ok(room.act(i % 2 ? "host" : "bot", "x").accepted);
  assert.equal(room.state.size, 0);
  assert.equal(left(room, "host"), null);
});

test("a refusal costs nothing", () => {
  const room = limit(1, 3);
  room.act("alice", "one");
  for (let i = 0; i < 5; i++) assert.equal(room.act("alice", "again").code, 2);
  room.pass(2);
  assert.ok(room.act("alice", "two").accepted);
});

test("one value for each author, of 8 bytes for each action that the window holds", () => {
  const room = limit(256, 1000);
  for (let i = 0; i < 3000; i++) room.act(`author ${i % 3}`, "x");
  assert.equal(room.state.size, 3);
  for (const value of room.state.values()) assert.ok(value.length <= 256 * 8, `${value.length}`);
  room.pass(5000);
  room.act("author 0", "x");
  assert.deepEqual([...room.state.values()].map((value) => value.length).sort((a, b) => a - b)[0], 8);
});

test("new params hold for what is known already", () => {
  const room = limit(4, 100);
  for (let i = 0; i < 4; i++) room.act("alice", "x"); // at 1 to 4
  assert.ok(room.install({ actions: 2, blocks: 10 }, { keepState: true }).accepted);
  assert.match(room.act("alice", "x").reason, /acted 4 times in 10 blocks, and may again from height 13$/);
  room.pass(7);
  assert.equal(room.act("alice", "x").code, 2); // at 12
  room.pass(1);
  assert.ok(room.act("alice", "x").accepted); // at 13
  assert.equal(room.install({ actions: 0, blocks: 10 }, { keepState: true }).code, 1);
});

test("a window longer than any stream", () => {
  const room = limit(1, MAX);
  room.pass(2 ** 52);
  assert.ok(room.act("alice", "x").accepted);
  assert.match(room.act("alice", "x").reason, new RegExp(`from height ${BigInt(2 ** 52) + 1n + BigInt(MAX)}$`));
});

test("questions", () => {
  const room = limit(3, 10);
  assert.equal(left(room, "alice"), 3);
  room.act("alice", "x");
  assert.equal(left(room, "alice"), 2);
  room.act("alice", "x");
  room.act("alice", "x");
  assert.equal(left(room, "alice"), 0);
  room.pass(7); // 11 is next
  assert.equal(left(room, "alice"), 1);
  for (const question of [{}, { else: 1 }, { left: key("alice"), more: 1 }]) assert.equal(room.ask(question).code, 3, JSON.stringify(question));
  for (const question of ["", { left: "alice" }, "{", `{"left":"${key("alice")}"}x`]) assert.equal(room.ask(question).code, 1);
});

test("no window ever holds more, and nothing else is refused", () => {
  const people = ["alice", "bob", "carol"];
  for (let seed = 0; seed < 30; seed++) {
    const dice = chance(seed);
    const [actions, blocks] = [1 + dice.below(5), 1 + dice.below(20)];
    const room = limit(actions, blocks);
    const history = new Map(people.map((who) => [who, []]));
    for (let i = 0; i < 300; i++) {
      if (dice.below(3) === 0) room.pass(dice.below(blocks + 2));
      const who = dice.pick(people);
      const recent = history.get(who).filter((index) => room.index - index < blocks);
      const at = room.index;
      const { accepted, reason } = room.act(who, "x");
      assert.equal(accepted, recent.length < actions, `seed ${seed}, step ${i}: ${reason}`);
      if (accepted) history.get(who).push(at);
    }
  }
});
