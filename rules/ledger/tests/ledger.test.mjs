import assert from "node:assert/strict";
import { test } from "node:test";
import { OPERATION, Rule, key } from "quorate-rule/testing";
import { chance } from "../../chance.mjs";

const MAX = Number.MAX_SAFE_INTEGER;
const rule = await Rule.load(new URL("../../built/ledger.wasm", import.meta.url));
const ledger = (params = {}) => rule.room({ issuer: key("bank"), ...params });
const mint = (to, amount, more) => ({ mint: { to: key(to), amount, ...more } });
const transfer = (to, amount, more) => ({ transfer: { to: key(to), amount, ...more } });
const balance = (room, who) => room.ask({ balance: key(who) }).answer.balance;
const supply = (room) => room.ask({ supply: true }).answer.supply;
const short = (who) => key(who).slice(0, 8);

/** Asserts that an action is refused so, and that nothing has changed. */
function refused(room, author, payload, code, reason) {
  const before = new Map(room.state);
  const verdict = room.act(author, payload);
  assert.equal(verdict.code, code, verdict.reason);
  if (typeof reason === "string") assert.equal(verdict.reason, reason);
  else assert.match(verdict.reason, reason);
  assert.deepEqual(room.state, before);
}

test("params", () => {
  ledger();
  ledger({ others: "accept" });
  ledger({ others: "reject" });
  const bad = ["", "{}", "[]", '"x"', { issuer: "x" }, { issuer: key("bank"), more: 1 }, { issuer: key("bank"), others: "maybe" }, { others: "accept" }];
  for (const params of bad) assert.throws(() => rule.room(params), /rule_init refuses \(1\)/, JSON.stringify(params));
  assert.throws(() => rule.room({ issuer: key("bank").toUpperCase() }), /lower-case/);
});

test("the issuer mints, to anybody, nobody else does", () => {
  const room = ledger();
  assert.ok(room.act("bank", mint("alice", 5)).accepted);
  assert.ok(room.act("bank", mint("bank", 6)).accepted);
  assert.deepEqual([balance(room, "alice"), balance(room, "bank"), supply(room)], [5, 6, 11]);
  refused(room, "alice", mint("alice", 5), 3, `${short("alice")} is not the issuer`);
});

test("what one has can be transferred, and no more", () => {
  const room = ledger();
  room.act("bank", mint("alice", 5));
  refused(room, "alice", transfer("bob", 7), 6, `${short("alice")} has 5, needs 7`);
  refused(room, "carol", transfer("bob", 1), 6, `${short("carol")} has 0, needs 1`);
  assert.ok(room.act("alice", transfer("bob", 5)).accepted);
  assert.deepEqual([balance(room, "alice"), balance(room, "bob"), supply(room)], [0, 5, 5]);
  refused(room, "alice", transfer("bob", 1), 6, /has 0/);
});

test("an empty account takes no room", () => {
  const room = ledger();
  room.act("bank", mint("alice", 5));
  const keys = room.state.size;
  room.act("alice", transfer("bob", 5));
  assert.equal(room.state.size, keys);
});

test("zero, and oneself", () => {
  const room = ledger();
  room.act("bank", mint("alice", 5));
  refused(room, "bank", mint("alice", 0), 4, "the amount is zero");
  refused(room, "alice", transfer("bob", 0), 4, "the amount is zero");
  refused(room, "alice", transfer("alice", 5), 5, "sender and receiver are the same");
});

test("the supply ends at 2^53-1", () => {
  const room = ledger();
  assert.ok(room.act("bank", mint("alice", MAX - 1)).accepted);
  refused(room, "bank", mint("bob", 2), 7, `the supply is ${MAX - 1} and cannot be more than ${MAX}`);
  assert.ok(room.act("bank", mint("bob", 1)).accepted);
  refused(room, "bank", mint("bob", 1), 7, /the supply is/);
  refused(room, "bank", mint("bob", MAX), 7, /the supply is/);
  assert.ok(room.act("alice", transfer("bob", MAX - 1)).accepted);
  assert.deepEqual([balance(room, "bob"), supply(room)], [MAX, MAX]);
});

test("a nonce is used once, and only upwards", () => {
  const room = ledger();
  room.act("bank", mint("alice", 9));
  assert.ok(room.act("alice", transfer("bob", 1, { nonce: 0 })).accepted);
  refused(room, "alice", transfer("bob", 1, { nonce: 0 }), 8, "nonce 0 was passed, expected 1 or more");
  assert.ok(room.act("alice", transfer("bob", 1, { nonce: 7 })).accepted);
  refused(room, "alice", transfer("bob", 1, { nonce: 7 }), 8, "nonce 7 was passed, expected 8 or more");
  assert.ok(room.act("bob", transfer("carol", 1, { nonce: 3 })).accepted, "everybody has their own");
  assert.ok(room.act("alice", transfer("bob", 1)).accepted, "one without does not care");
  refused(room, "alice", transfer("bob", 100, { nonce: 8 }), 6, /needs 100/);
  assert.ok(room.act("alice", transfer("bob", 1, { nonce: 8 })).accepted, "a refusal has not used it");
  assert.ok(room.act("alice", transfer("bob", 1, { nonce: MAX })).accepted);
  refused(room, "alice", transfer("bob", 1, { nonce: MAX }), 8, /was passed/);
  assert.ok(room.act("bank", mint("bob", 1, { nonce: 1 })).accepted);
  refused(room, "bank", mint("bob", 1, { nonce: 1 }), 8, /was passed/);
});

test("a memo is any string, and nothing else", () => {
  const room = ledger();
  room.act("bank", mint("alice", 50, { memo: "the beginning" }));
  for (const memo of ["", 'rent "May"\n', "日本語 €😀", "m".repeat(60_000)]) {
    assert.ok(room.act("alice", transfer("bob", 1, { memo })).accepted);
  }
  for (const memo of [1, null, true, {}, ["x"]]) refused(room, "alice", transfer("bob", 1, { memo }), 1, /expected a memo that is a string/);
});

test("malformed operations", () => {
  const room = ledger({ others: "accept" });
  room.act("bank", mint("alice", 50));
  const to = key("bob");
  const bad = [
    { transfer: {} }, { transfer: { to } }, { transfer: { amount: 1 } }, { mint: {} }, { transfer: 1 }, { mint: [] }, { transfer: null },
    { transfer: { to, amount: "1" } }, { transfer: { to, amount: -1 } }, { transfer: { to, amount: 1.5 } }, { transfer: { to, amount: 2 ** 53 } },
    { transfer: { to: "bob", amount: 1 } }, { transfer: { to, amount: 1, fee: 1 } }, { transfer: { to, amount: 1, nonce: "1" } },
    { transfer: { to, amount: 1 }, mint: { to, amount: 1 } }, { transfer: { to, amount: 1 }, note: "x" }, { note: "x", mint: { to, amount: 1 } },
    `{"transfer":{"to":"${to}","amount":1,"amount":1}}`, `{"transfer":{"to":"${to}","amount":1},"transfer":{"to":"${to}","amount":1}}`,
    `{"transfer":{"to":"${to}","amount":1}} x`, `{"transfer":{"to":"${to}","amount":1}`, `{"tr\\u0061nsfer":{"to":"${to}","amount":1}}`,
    `\ufeff{"transfer":{"to":"${to}","amount":1}}`, "{", '{"say":"hello"', '{"say":1,"say":2}',
  ];
  for (const payload of bad) refused(room, "alice", payload, 1, /^malformed JSON at byte \d+: /);
  refused(room, "alice", { transfer: { to, amount: 1 }, note: "x" }, 1, /mint and transfer stand alone in their object$/);
});

test("other payloads pass only where the params say so", () => {
  const payloads = [{ say: "hello" }, {}, "plain text", "", "[]", '[{"transfer":1}]', Uint8Array.of(0, 255, 123), { body: { transfer: 1 } }];
  for (const payload of payloads) {
    refused(ledger(), "alice", payload, 2, "expected a mint or a transfer");
    refused(ledger({ others: "reject" }), "alice", payload, 2, "expected a mint or a transfer");
    const room = ledger({ others: "accept" });
    const verdict = room.act("alice", payload);
    assert.ok(verdict.accepted, verdict.reason);
    assert.equal(verdict.writes.size, 0);
  }
});

test("white space and order of members do not matter", () => {
  const room = ledger();
  const payload = `\n{ "mint" :\t{ "memo":"x", "amount" : 5 , "nonce":1, "to":"${key("alice")}" } }\r\n `;
  assert.ok(room.act("bank", payload).accepted);
  assert.equal(balance(room, "alice"), 5);
});

test("questions", () => {
  const room = ledger();
  room.act("bank", mint("alice", 5));
  assert.deepEqual(room.ask({ balance: key("alice") }).answer, { balance: 5 });
  assert.deepEqual(room.ask({ balance: key("nobody") }).answer, { balance: 0 });
  assert.deepEqual(room.ask({ supply: true }).answer, { supply: 5 });
  for (const question of [{}, { supply: false }, { else: 1 }, { supply: true, balance: key("alice") }, { balance: key("alice"), more: 1 }]) {
    assert.equal(room.ask(question).code, 9, JSON.stringify(question));
  }
  for (const question of ["", "x", { balance: "alice" }, { supply: 1 }, '{"supply":true} x']) {
    assert.equal(room.ask(question).code, 1, JSON.stringify(question));
  }
});

test("only the issuer changes the ledger, anybody the other rules", () => {
  const room = ledger();
  for (const operation of [OPERATION.remove, OPERATION.replace, OPERATION.params]) {
    assert.ok(room.change("bank", { operation, aboutThisRule: true }).accepted);
    const { code, reason } = room.change("alice", { operation, aboutThisRule: true });
    assert.deepEqual([code, reason], [3, "only the issuer may change the ledger"]);
    assert.ok(room.change("alice", { operation }).accepted);
  }
  assert.ok(room.change("alice", { operation: OPERATION.install, name: "chess" }).accepted);
});

test("balances stay when the params change", () => {
  const room = ledger();
  room.act("bank", mint("alice", 5));
  assert.ok(room.install({ issuer: key("mint") }, { keepState: true }).accepted);
  assert.equal(balance(room, "alice"), 5);
  refused(room, "bank", mint("alice", 5), 3, /is not the issuer/);
  assert.ok(room.act("mint", mint("alice", 5)).accepted);
  assert.equal(room.install("{}", { keepState: true }).code, 1);
});

test("whatever is tried, the ledger does what a model does, and money comes only from the issuer", () => {
  const people = ["bank", "alice", "bob", "carol", "dave"];
  for (let seed = 0; seed < 20; seed++) {
    const dice = chance(seed);
    const room = ledger();
    const model = { balances: new Map(people.map((who) => [who, 0n])), nonces: new Map(), supply: 0n };
    for (let i = 0; i < 500; i++) {
      const author = dice.pick(people);
      const to = dice.pick(people);
      const verb = dice.below(4) === 0 ? "mint" : "transfer";
      const amount = dice.pick([0, 1, 2, dice.below(100), dice.below(100), Number(model.balances.get(author)), 2 ** 40 * dice.below(2 ** 13), MAX]);
      const body = { to: key(to), amount };
      if (dice.below(4) === 0) body.nonce = dice.below(20);
      const expected = play(model, { author, to, verb, amount: BigInt(amount), nonce: body.nonce });
      const { code, reason } = room.act(author, { [verb]: body });
      assert.equal(code, expected, `seed ${seed}, step ${i}: ${reason}`);
      let sum = 0n;
      for (const [who, has] of model.balances) {
        sum += has;
        if (i % 25 === 0) assert.equal(BigInt(balance(room, who)), has);
      }
      assert.equal(BigInt(supply(room)), sum);
    }
  }
});

// The ledger in a few lines: the code it must answer with, and what becomes of the model.
function play(model, { author, to, verb, amount, nonce }) {
  if (amount === 0n) return 4;
  if (nonce !== undefined && nonce < (model.nonces.get(author) ?? 0)) return 8;
  if (verb === "mint") {
    if (author !== "bank") return 3;
    if (model.supply + amount > BigInt(MAX)) return 7;
    model.supply += amount;
  } else {
    if (author === to) return 5;
    if (model.balances.get(author) < amount) return 6;
    model.balances.set(author, model.balances.get(author) - amount);
  }
  model.balances.set(to, model.balances.get(to) + amount);
  if (nonce !== undefined) model.nonces.set(author, nonce + 1);
  return 0;
}
