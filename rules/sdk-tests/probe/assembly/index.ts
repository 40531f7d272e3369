// A rule for the tests of the SDK: its params name the part that is tried on the payload.

import {
  Bytes, Call, Change, Slot, Text, accept, action, answer, blake2b, block, json, log, logWith, reject, rejectWith, sha256, slot, state, verify,
} from "quorate-rule/assembly";

export { requires_history, requires_state, rule_abi_v1, rule_alloc } from "quorate-rule/assembly";

export function rule_init(at: usize, size: usize): i32 {
  if (Call.at(at).params.is("block in init")) block(0);
  return accept();
}

export function rule_check(at: usize, size: usize): i32 {
  const call = Call.at(at);
  const part = call.params;
  if (part.is("call")) return describe(call);
  if (part.is("state")) return useState(call);
  if (part.is("hashes")) return hashes(call);
  if (part.is("block")) return showBlock(call);
  if (part.is("action")) return showAction(call);
  if (part.is("reason")) return rejectWith(7, new Text().utf8(call.payload));
  if (part.is("maybe")) return json.maybeObject(call.payload) ? 0 : reject(2, "no object");
  if (part.is("trap")) unreachable();
  if (part.is("assert")) assert(false, "as it should");
  if (part.is("managed")) return managed(call);

  json.open(call.payload);
  if (part.is("skip")) json.skip();
  else if (part.is("copy")) return copy();
  else if (part.is("integer")) log(json.integer().toString());
  else if (part.is("boolean")) log(json.boolean() ? "yes" : "no");
  else if (part.is("null")) log(json.isNull() ? "yes" : "no");
  else if (part.is("key")) logWith(new Text().key(json.key()));
  else if (part.is("ascii")) logWith(new Text().utf8(json.ascii()));
  else if (part.is("text")) log(json.text());
  else if (part.is("kind")) return json.kind() + 10;
  else if (part.is("schema")) return schema();
  else if (part.is("unread")) json.object();
  else if (part.is("twice")) json.open(call.params);
  else if (part.is("list-as-object")) return misuse(true);
  else if (part.is("object-as-list")) return misuse(false);
  else if (part.is("careless")) return reject(9, "not what is wrong");
  return accept();
}

export function rule_change(at: usize, size: usize): i32 {
  const call = Call.at(at);
  const change = Change.of(call);
  const text = new Text().number(change.operation).add(change.aboutThisRule ? " this " : " other ").number(change.activation);
  text.add(" ").short(change.rule).add(" ").short(change.module).add(" ").utf8(change.name).add(" ").utf8(change.params);
  logWith(text);
  return accept();
}

export function rule_query(at: usize, size: usize): i32 {
  json.open(Call.at(at).payload);
  const number = json.integer();
  if (number == 12345) state.setNumber(slot("asked"), number);
  return answer(new Text().number(number + 1));
}

function describe(call: Call): i32 {
  const text = new Text().number(call.kind).add(call.keepsState ? " kept " : " fresh ").number(call.index).add(" ");
  text.key(call.previous).add(" ").key(call.author).add(" ").utf8(call.params).add(" ").utf8(call.payload);
  logWith(text);
  return accept();
}

// Writes the document again, value by value.
function copy(): i32 {
  const text = new Text();
  copyValue(text);
  if (json.done()) logWith(text);
  return accept();
}

function copyValue(text: Text): void {
  let first = true;
  switch (json.kind()) {
    case json.Is.OBJECT:
      json.object();
      while (json.next()) {
        text.add(first ? "{" : ",").add('"').utf8(json.name()).add('":');
        first = false;
        copyValue(text);
      }
      text.add(first ? "{}" : "}");
      break;
    case json.Is.LIST:
      json.list();
      while (json.item()) {
        text.add(first ? "[" : ",");
        first = false;
        copyValue(text);
      }
      text.add(first ? "[]" : "]");
      break;
    case json.Is.STRING:
      text.add('"').add(json.text()).add('"');
      break;
    case json.Is.NUMBER:
      text.number(json.integer());
      break;
    case json.Is.BOOL:
      text.add(json.boolean() ? "true" : "false");
      break;
    default:
      if (json.isNull()) text.add("null");
      else json.skip();
  }
}

function schema(): i32 {
  let sum: u64 = 0;
  json.object();
  while (json.next()) {
    if (json.is("a")) sum += json.integer();
    else if (json.is("b")) sum += 10 * json.integer();
    else json.unknown();
  }
  if (sum > 100) json.refuse("too much");
  return sum == 42 ? reject(3, "forty-two") : accept();
}

function misuse(object: bool): i32 {
  if (object) {
    json.list();
    while (json.next()) json.skip();
  } else {
    json.object();
    while (json.item()) json.skip();
  }
  return accept();
}

function useState(call: Call): i32 {
  json.open(call.payload);
  json.object();
  while (json.next()) {
    const where = slot("x/").bytes(json.name());
    if (json.kind() == json.Is.NULL) {
      json.isNull();
      state.del(where);
    } else if (json.kind() == json.Is.NUMBER) {
      const value = json.integer();
      state.setNumber(where, value);
      if (state.getNumber(where) != value || !state.has(where)) return reject(2, "the state forgets");
    } else {
      state.set(where, Text.of(json.text()).bytes);
      const value = state.get(where);
      if (value) logWith(new Text().utf8(value));
    }
  }
  if (state.has(slot("nowhere")) || state.get(slot("nowhere")) || state.getNumber(slot("nowhere"))) return reject(2, "the state invents");
  return accept();
}

function hashes(call: Call): i32 {
  const payload = call.payload;
  logWith(new Text().key(blake2b(payload)).add(" ").key(sha256(payload)));
  if (payload.size < 96) return accept();
  const signed = verify(payload.first32(), payload.part(96), payload.part(32, 96));
  return signed ? accept() : reject(2, "not signed");
}

function showBlock(call: Call): i32 {
  json.open(call.payload);
  const bytes = block(json.integer());
  if (!bytes) return reject(2, "not before this entry");
  logWith(new Text().number(bytes.size).add(" ").hex(bytes.part(0, 4)));
  return accept();
}

function showAction(call: Call): i32 {
  json.open(call.payload);
  const past = action(json.integer());
  if (!past) return reject(2, "no action");
  logWith(new Text().key(past.author).add(" ").number(past.sequence).add(" ").utf8(past.payload));
  return accept();
}

// What the standard library allocates must work as well.
function managed(call: Call): i32 {
  const words = new Map<string, i32>();
  const list = new Array<i32>();
  for (let i = 0; i < 1000; i++) {
    words.set("word " + i.toString(), i);
    list.push(i);
  }
  let sum = 0;
  for (let i = 0; i < list.length; i++) sum += list[i] + words.get("word " + i.toString());
  const slots = new Slot().word("many").number(7).key(call.author);
  const raw = Bytes.make(3);
  store<u8>(raw.at, 7);
  log(sum.toString() + " " + slots.size.toString() + " " + raw[0].toString() + raw[3].toString());
  return accept();
}
