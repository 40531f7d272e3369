// A rule for a conversation: people take turns, and nobody talks too long.
//
//     params    {"longest": 280}
//     payload   {"say": "hello"}

import { Bytes, Call, Text, accept, answer, json, malformed, reject, rejectWith, slot, state } from "quorate-rule/assembly";

export { requires_state, rule_abi_v1, rule_alloc } from "quorate-rule/assembly";

// Reject codes, 2 to 65534; 1 is the SDK's, for a payload that is no JSON as the rule reads it.
const NOT_YOUR_TURN: i32 = 2;
const TOO_LONG: i32 = 3;

/** Begins: the params are read once, so that nobody can install the rule with others than it understands. */
export function rule_init(at: usize, size: usize): i32 {
  longest(Call.at(at).params);
  return accept();
}

/** Judges an action. What it writes into the state is kept when it accepts, and forgotten when it rejects. */
export function rule_check(at: usize, size: usize): i32 {
  const call = Call.at(at);
  const most = longest(call.params);
  const message = said(call.payload);
  if (json.failed()) return malformed();

  if (<u64>message.length > most) {
    return rejectWith(TOO_LONG, new Text().number(message.length).add(" characters, at most ").number(most).add(" are allowed"));
  }
  const last = state.get(slot("last"));
  if (last && last.first32().equals(call.author)) return reject(NOT_YOUR_TURN, "somebody else has to speak first");

  state.set(slot("last"), call.author.bytes);
  state.setNumber(slot("messages"), state.getNumber(slot("messages")) + 1);
  return accept();
}

/** Answers an interface; leave it out if there is nothing to ask. */
export function rule_query(at: usize, size: usize): i32 {
  return answer(Text.of('{"messages":').number(state.getNumber(slot("messages"))).add("}"));
}

function longest(params: Bytes): u64 {
  let most: u64 = 0;
  json.open(params);
  json.object();
  while (json.next()) {
    if (json.is("longest")) most = json.integer();
    else json.unknown();
  }
  if (most == 0) json.refuse("expected longest, 1 or more");
  return most;
}

function said(payload: Bytes): string {
  let message = "";
  json.open(payload);
  json.object();
  while (json.next()) {
    if (json.is("say")) message = json.text();
    else json.unknown();
  }
  if (message.length == 0) json.refuse("expected something to say");
  return message;
}
