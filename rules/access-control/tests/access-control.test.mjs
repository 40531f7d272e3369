import assert from "node:assert/strict";
import { test } from "node:test";
import { OPERATION, Rule, key } from "quorate-rule/testing";
import { chance } from "../../chance.mjs";

const rule = await Rule.load(new URL("../../built/access-control.wasm", import.meta.url));
const room = (admins = ["alice"], more = {}) => rule.room({ admins: admins.map(key), ...more });
const add = (who, role) => ({ access: { add: key(who), role } });
const remove = (who) => ({ access: { remove: key(who) } });
const short = (who) => key(who).slice(0, 8);
const role = (where, who) => where.ask({ role: key(who) }).answer.role;
const admins = (where) => where.ask({ admins: true }).answer.admins;

/** Asserts that an action is refused so, and that nothing has changed. */
function refused(where, author, payload, code, reason) {
  const before = new Map(where.state);
  const verdict = where.act(author, payload);
  assert.deepEqual([verdict.code, verdict.reason], [code, reason]);
  assert.deepEqual(where.state, before);
}

test("params", () => {
  room();
  room(["alice", "bob"], { open: true });
  room(Array.from({ length: 64 }, (_, i) => `admin ${i}`));
  const bad = [
    [undefined, /expected an object/], ["{}", /expected an admin$/], [{ admins: [] }, /expected an admin$/], [{ admins: key("alice") }, /expected a list/],
    [{ admins: ["alice"] }, /expected a key/], [{ admins: [key("alice"), key("bob"), key("alice")] }, /an admin twice/], [{ open: true }, /expected an admin$/],
    [{ admins: [key("alice")], open: "yes" }, /true or false/], [{ admins: [key("alice")], members: [] }, /unknown member members/],
    [{ admins: Array.from({ length: 65 }, (_, i) => key(`admin ${i}`)) }, /more than 64 admins/],
  ];
  for (const [params, reason] of bad) assert.throws(() => rule.room(params), reason);
});

test("a member acts, somebody else does not", () => {
  const where = room();
  for (const payload of [{ say: "hello" }, "text", "", Uint8Array.of(0, 1), [1], '[{"access":1}]']) {
    refused(where, "bob", payload, 2, `${short("bob")} is not a member`);
    assert.ok(where.act("alice", payload).accepted);
  }
  assert.ok(where.act("alice", add("bob", "member")).accepted);
  assert.ok(where.act("bob", { say: "hello" }).accepted);
  assert.ok(where.act("alice", remove("bob")).accepted);
  refused(where, "bob", { say: "hello" }, 2, `${short("bob")} is not a member`);
});

test("an open room lets everybody act, and only admins give roles", () => {
  const where = room(["alice"], { open: true });
  assert.ok(where.act("bob", { say: "hello" }).accepted);
  assert.ok(where.act("bob", "text").accepted);
  refused(where, "bob", add("bob", "admin"), 3, `${short("bob")} is not an admin`);
});

test("only admins give and take roles", () => {
  const where = room();
  where.act("alice", add("bob", "member"));
  for (const author of ["bob", "carol"]) {
    for (const payload of [add("carol", "member"), add("bob", "admin"), remove("alice"), remove("bob")]) {
      refused(where, author, payload, 3, `${short(author)} is not an admin`);
    }
  }
  assert.ok(where.act("alice", add("bob", "admin")).accepted);
  assert.ok(where.act("bob", add("carol", "member")).accepted);
  assert.deepEqual(["alice", "bob", "carol", "dave"].map((who) => role(where, who)), ["admin", "admin", "member", null]);
  assert.equal(admins(where), 2);
});

test("the last admin stays", () => {
  const where = room();
  refused(where, "alice", remove("alice"), 4, `${short("alice")} is the last admin`);
  refused(where, "alice", add("alice", "member"), 4, `${short("alice")} is the last admin`);
  where.act("alice", add("bob", "admin"));
  assert.ok(where.act("alice", remove("alice")).accepted);
  refused(where, "bob", remove("bob"), 4, `${short("bob")} is the last admin`);
  refused(where, "alice", { say: "hello" }, 2, `${short("alice")} is not a member`);
});

test("an admin may become a member again", () => {
  const where = room(["alice", "bob"]);
  assert.ok(where.act("alice", add("bob", "member")).accepted);
  assert.equal(admins(where), 1);
  refused(where, "bob", remove("alice"), 3, `${short("bob")} is not an admin`);
  assert.ok(where.act("bob", { say: "hello" }).accepted);
});

test("a change that changes nothing is refused", () => {
  const where = room();
  where.act("alice", add("bob", "member"));
  refused(where, "alice", add("bob", "member"), 5, `${short("bob")} is a member already`);
  refused(where, "alice", add("alice", "admin"), 5, `${short("alice")} is an admin already`);
  refused(where, "alice", remove("carol"), 5, `${short("carol")} is not a member`);
});

test("malformed operations", () => {
  const where = room(["alice"], { open: true });
  const bob = key("bob");
  const bad = [
    { access: {} }, { access: 1 }, { access: [] }, { access: { add: bob } }, { access: { role: "member" } }, { access: { add: "bob", role: "member" } },
    { access: { add: bob, role: "owner" } }, { access: { add: bob, role: 1 } }, { access: { add: bob, role: "member", remove: bob } },
    { access: { remove: bob, role: "member" } }, { access: { add: bob, remove: bob } }, { access: { remove: bob, why: "spam" } },
    { access: { remove: bob }, say: "x" }, { say: "x", access: { remove: bob } }, `{"access":{"remove":"${bob}"},"access":{"remove":"${bob}"}}`,
    `{"\\u0061ccess":{"remove":"${bob}"}}`, '{"say":1,"say":2}', "{", "{}}", `\ufeff{"access":{"remove":"${bob}"}}`,
  ];
  for (const author of ["alice", "carol"]) {
    for (const payload of bad) {
      const { code, reason } = where.act(author, payload);
      assert.equal(code, 1, JSON.stringify(payload));
      assert.match(reason, /^malformed JSON at byte \d+: /);
    }
  }
});

test("only admins change the rules, these and all others", () => {
  const where = room();
  where.act("alice", add("bob", "member"));
  for (const operation of Object.values(OPERATION)) {
    for (const aboutThisRule of [true, false]) {
      assert.ok(where.change("alice", { operation, aboutThisRule }).accepted);
      for (const who of ["bob", "carol"]) {
        const { code, reason } = where.change(who, { operation, aboutThisRule });
        assert.deepEqual([code, reason], [3, `${short(who)} is not an admin`]);
      }
    }
  }
});

test("new params add admins, open or close the room, and take no role away", () => {
  const where = room(["alice", "bob"]);
  where.act("alice", add("carol", "member"));
  where.act("alice", add("dave", "member"));
  const params = { admins: ["bob", "dave", "erin"].map(key), open: true };
  assert.ok(where.install(params, { keepState: true }).accepted);
  assert.deepEqual(["alice", "bob", "carol", "dave", "erin"].map((who) => role(where, who)), ["admin", "admin", "member", "admin", "admin"]);
  assert.equal(admins(where), 4);
  assert.ok(where.act("frank", { say: "hello" }).accepted);
  assert.equal(where.install({ admins: [] }, { keepState: true }).code, 1);
});

test("questions", () => {
  const where = room();
  for (const question of [{}, { admins: false }, { else: 1 }, { admins: true, role: key("alice") }, { role: key("alice"), more: 1 }]) {
    const { code, reason } = where.ask(question);
    assert.deepEqual([code, reason], [6, 'expected {"role": key} or {"admins": true}']);
  }
  for (const question of ["", { role: "alice" }, { admins: 1 }, '{"admins":true}x']) assert.equal(where.ask(question).code, 1);
});

test("whatever is tried, the roles are those of a model, and there is an admin", () => {
  const people = ["alice", "bob", "carol", "dave"];
  for (let seed = 0; seed < 20; seed++) {
    const dice = chance(seed);
    const open = dice.below(2) === 0;
    const where = room(["alice"], { open });
    const roles = new Map([["alice", "admin"]]);
    for (let i = 0; i < 300; i++) {
      const author = dice.pick(people);
      const who = dice.pick(people);
      const payload = dice.pick([add(who, "member"), add(who, "admin"), remove(who), { say: "hello" }]);
      const { code, reason } = where.act(author, payload);
      assert.equal(code, play(roles, open, author, who, payload), `seed ${seed}, step ${i}: ${reason}`);
      const count = [...roles.values()].filter((role) => role === "admin").length;
      assert.ok(count > 0);
      if (i % 20 === 0) {
        assert.equal(admins(where), count);
        for (const person of people) assert.equal(role(where, person), roles.get(person) ?? null);
      }
    }
    assert.equal(where.state.size, roles.size + 1);
  }
});

// The rule in a few lines: the code it must answer with, and what becomes of the roles.
function play(roles, open, author, who, payload) {
  if (!payload.access) return open || roles.has(author) ? 0 : 2;
  if (roles.get(author) !== "admin") return 3;
  const after = payload.access.role;
  if (roles.get(who) === after) return 5;
  const last = [...roles.values()].filter((role) => role === "admin").length === 1;
  if (roles.get(who) === "admin" && last) return 4;
  if (after) roles.set(who, after);
  else roles.delete(who);
  return 0;
}
