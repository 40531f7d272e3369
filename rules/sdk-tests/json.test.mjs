// The JSON reader, against JSON.parse and against a second strict reader.

import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { compile } from "quorate-rule/build";
import { Rule, key } from "quorate-rule/testing";
import { chance } from "../chance.mjs";
import { strict } from "./strict.mjs";

const probe = new Rule(await compile(join(dirname(fileURLToPath(import.meta.url)), "probe")));

const tried = (part, payload) => probe.room(part).check("alice", payload);

/** Asserts that the reader takes a text, or refuses it as malformed with a reason. */
function taken(part, text, expected) {
  const { accepted, code, reason } = tried(part, text);
  assert.equal(accepted, expected, `${part} ${JSON.stringify(String(text)).slice(0, 200)}: ${reason}`);
  if (!expected) {
    assert.equal(code, 1);
    assert.match(reason, /^malformed JSON at byte \d+: /);
  }
}

test("integers", () => {
  for (const good of ["0", "7", "42", "9007199254740991", " 12 ", "\t\n\r5"]) {
    assert.deepEqual(tried("integer", good).logs, [good.trim()]);
    taken("integer", good, true);
  }
  const bad = [
    "", "-1", "-0", "00", "01", "1.0", "1e3", "1E3", "+1", "9007199254740992", "18446744073709551617", "1x", "1 1", "0x1", '"1"',
    "99999999999999999999999999", "1,", "null", "1\u00a0", "1\0",
  ];
  for (const text of bad) taken("integer", text, false);
});

test("true, false and null", () => {
  assert.deepEqual(tried("boolean", "true").logs, ["yes"]);
  assert.deepEqual(tried("boolean", " false").logs, ["no"]);
  for (const text of ["tru", "True", "truex", "fals", "xalse", "1", "", "falsefalse"]) taken("boolean", text, false);
  assert.deepEqual(tried("null", "null").logs, ["yes"]);
  assert.deepEqual(tried("null", "nul").logs, ["no"]);
  taken("null", "nul", false);
});

test("keys are 64 lower-case hexadecimal digits", () => {
  const hex = "0123456789abcdef".repeat(4);
  assert.deepEqual(tried("key", `"${hex}"`).logs, [hex]);
  taken("key", `"${hex}"`, true);
  taken("key", `"${hex}0"`, false);
  taken("key", `"${hex.slice(1)}"`, false);
  taken("key", hex, false);
  taken("key", `"${hex}`, false);
  taken("key", "", false);
  for (let byte = 0; byte < 256; byte++) {
    for (const place of [0, 5, 31, 63]) {
      const digits = Buffer.from(hex);
      digits[place] = byte;
      const good = /^[0-9a-f]$/.test(String.fromCharCode(byte));
      taken("key", Buffer.concat([Buffer.from('"'), digits, Buffer.from('"')]), good);
    }
  }
});

test("strings: every byte, at every place of a word", () => {
  for (let byte = 0; byte < 256; byte++) {
    for (let place = 0; place < 18; place++) {
      const text = Buffer.from(`"${"x".repeat(20)}"`);
      text[1 + place] = byte;
      const plain = byte >= 0x20 && byte < 0x80 && byte !== 0x22 && byte !== 0x5c;
      taken("skip", text, plain);
      taken("ascii", text, plain);
      taken("text", text, plain);
    }
  }
});

test("strings: every length, and none that does not end", () => {
  for (let size = 0; size < 70; size++) {
    const text = `"${"x".repeat(size)}"`;
    assert.deepEqual(tried("text", text).logs, ["x".repeat(size)]);
    taken("skip", text, true);
    taken("skip", text.slice(0, -1), false);
    taken("ascii", text.slice(0, -1), false);
    taken("skip", `${text}"`, false);
  }
});

test("strings: escapes", () => {
  const good = ['\\"', "\\\\", "\\/", "\\b\\f\\n\\r\\t", "\\u0041", "\\u00e9", "\\uD83D\\uDE00", "\\u0000", "x\\u20ACy"];
  for (const text of good) {
    assert.deepEqual(tried("text", `"${text}"`).logs, [JSON.parse(`"${text}"`)], text);
    taken("skip", `"${text}"`, true);
  }
  const bad = ["\\x", "\\", "\\u12", "\\u12g4", "\\uD83D", "\\uD83Dx", "\\uD83D\\n", "\\uD83D\\u0041", "\\uDE00", "\\a", "\\u 041", "\\uD83D\\uD83D"];
  for (const text of bad) {
    taken("skip", `"${text}"`, false);
    taken("text", `"${text}"`, false);
  }
});

test("strings: UTF-8 is checked, character by character", () => {
  for (const text of ["é", "ß€😀", "\u{7f}\u{80}\u{7ff}\u{800}\u{d7ff}\u{e000}\u{ffff}\u{10000}\u{10ffff}", "日本語".repeat(9)]) {
    assert.deepEqual(tried("text", JSON.stringify(text)).logs, [text]);
    taken("skip", JSON.stringify(text), true);
  }
  // Both decoders must agree on every start of a character.
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const dice = chance(7);
  for (let i = 0; i < 20_000; i++) {
    const bytes = Array.from({ length: 1 + dice.below(4) }, () => 0x7e + dice.below(0x82));
    let valid = true;
    try {
      decoder.decode(Uint8Array.from(bytes));
    } catch {
      valid = false;
    }
    taken("skip", Buffer.from([0x22, ...bytes, 0x22]), valid);
  }
});

test("objects: a member twice, at any depth, and names with escapes", () => {
  taken("skip", '{"a":1,"b":{"a":1},"c":[{"a":1},{"a":2}]}', true);
  taken("skip", '{"a":1,"a":1}', false);
  taken("skip", '[{"x":{"a":1,"b":2,"a":3}}]', false);
  taken("skip", '{"member name 1":1,"member name 2":2}', true);
  taken("skip", '{"member name 1":1,"member name 1":2}', false);
  taken("skip", '{"":1}', true);
  taken("skip", '{"":1,"":2}', false);
  taken("skip", '{"\\u0061":1}', false);
  taken("skip", '{"é":1,"e":2}', true);
  taken("skip", '{"é":1,"é":2}', false);
});

test("objects: limits", () => {
  const object = (members) => `{${Array.from({ length: members }, (_, i) => `"m${i}":${i}`).join(",")}}`;
  taken("skip", object(128), true);
  taken("skip", object(129), false);
  taken("skip", `${"[".repeat(32)}${"]".repeat(32)}`, true);
  taken("skip", `${"[".repeat(33)}${"]".repeat(33)}`, false);
  const nested = (inside) => `${object(100).slice(0, -1)},"in":${inside}}`;
  taken("skip", nested(nested("1")), true);
  taken("skip", nested(nested(nested("1"))), false);
  taken("skip", `[${[object(128), object(128), object(128)].join(",")}]`, true);
});

test("structure", () => {
  const good = ["{}", "[]", " [ ] ", ' { "a" : [ 1 , 2 ] , "b" : { } } ', "[[],[[]]]", "[1]", '"x"', "1.5e-3", "-0.0", "0", "[0.1,1E+2]"];
  for (const text of good) taken("skip", text, true);
  const bad = [
    "", " ", "{", "}", "[", "]", "[}", "{]", "[1,]", "[,1]", "[1 2]", '{"a"}', '{"a":}', '{"a":1,}', "{,}", '{a:1}', "{'a':1}", '{"a":1 "b":2}',
    "[] []", "{}x", "1.", ".5", "-", "--1", "1e", "1e+", "1.e3", "01.5", "+1", "NaN", "Infinity", "[nul]", "\ufeff{}", "/**/{}", '{"a":1}\0', "[1]]", "{}}",
    '{1:2}', "[undefined]", "\u00a0{}", "\v1",
  ];
  for (const text of bad) taken("skip", text, false);
});

test("a rule that reads member by member", () => {
  taken("schema", '{"a":1,"b":2}', true);
  taken("schema", '{"b":2}', true);
  taken("schema", "{}", true);
  assert.equal(tried("schema", '{"a":1,"c":2}').reason, "malformed JSON at byte 8: unknown member c");
  assert.equal(tried("schema", '{"a":101}').reason, "malformed JSON at byte 9: too much");
  assert.equal(tried("schema", '{"a":2,"b":4}').reason, "forty-two");
  taken("schema", '{"a":"1"}', false);
  taken("schema", '{"a":2,"b":4', false);
  taken("schema", "[]", false);
});

test("carelessness of an author is no hole", () => {
  taken("unread", '{"a":1}', false);
  taken("unread", "{}", false);
  taken("twice", "{}", false);
  taken("list-as-object", '["a":1}', false);
  taken("object-as-list", '{1,2]', false);
  assert.deepEqual(tried("careless", "{}").code, 9);
});

test("kinds", () => {
  const kinds = { "": 10, "]": 10, "{}": 11, " [1]": 12, '"x"': 13, "-1": 14, 0: 14, true: 15, false: 15, null: 16 };
  for (const [text, code] of Object.entries(kinds)) assert.equal(tried("kind", text).code, code, text);
});

test("what may be an object for some reader", () => {
  for (const text of ["{", " {}", "\n\t\r {", "\ufeff{}", "\ufeffx", "\v{"]) assert.ok(tried("maybe", text).accepted, text);
  for (const text of ["", " ", "[{}]", '"{"', "x{", "\u00ff{"]) assert.equal(tried("maybe", text).code, 2, text);
});

test("any document is copied as JSON.parse sees it", () => {
  const dice = chance(1);
  for (let i = 0; i < 3000; i++) {
    const value = document(dice, 4);
    const { accepted, logs, reason } = tried("copy", spaced(dice, JSON.stringify(value)));
    assert.ok(accepted, `${JSON.stringify(value)}: ${reason}`);
    assert.deepEqual(JSON.parse(logs[0]), value);
  }
});

test("whatever is broken, the reader and the second reader agree", () => {
  const dice = chance(2);
  let good = 0;
  for (let i = 0; i < 20_000; i++) {
    const text = Buffer.from(JSON.stringify(document(dice, 3)));
    for (let breaks = dice.below(3); breaks > 0; breaks--) text[dice.below(text.length)] = dice.byte();
    const expected = strict(text);
    if (expected) {
      good++;
      JSON.parse(text.toString());
    }
    taken("skip", text, expected);
  }
  assert.ok(good > 2000 && good < 18_000, `${good} of 20000 were well-formed`);
});

// A random value without escapes in its strings.
function document(dice, depth) {
  switch (dice.below(depth > 0 ? 8 : 5)) {
    case 0:
      return null;
    case 1:
      return dice.below(2) === 0;
    case 2:
      return dice.below(2 ** 30) * dice.below(2 ** 20);
    case 3:
      return key(`k${dice.below(3)}`);
    case 4:
      return "Grüße € 😀 plain text that is longer than a word".slice(dice.below(12), 12 + dice.below(40)).replace(/[\ud800-\udfff]/g, "");
    case 5:
      return Array.from({ length: dice.below(5) }, () => document(dice, depth - 1));
    default:
      return Object.fromEntries(Array.from({ length: dice.below(5) }, (_, i) => [`m${"é".repeat(dice.below(3))}${i}`, document(dice, depth - 1)]));
  }
}

// The same with white space between the tokens.
function spaced(dice, text) {
  return text.replace(/("[^"]*")|([[\]{}:,])/g, (token, word) => (word ? word : `${" \n".slice(0, dice.below(3))}${token}${"\t\r".slice(0, dice.below(3))}`));
}
