// Access control: members act, admins say who is a member and which rules the room has.

import { Call, Key, Text, accept, answer, json, malformed, reject, rejectWith } from "quorate-rule/assembly";
import { LAST_ADMIN, NOT_ADMIN, NOT_MEMBER, NO_CHANGE, QUESTION } from "./codes";
import { readOperation } from "./operation";
import { readParams } from "./params";
import { ADMIN, MEMBER, NOBODY, admins, nameOf, roleOf, setRole } from "./roles";

export { requires_state, rule_abi_v1, rule_alloc } from "quorate-rule/assembly";

/** The admins of the params become admins. Where the state was kept, everybody else keeps the role they have. */
export function rule_init(at: usize, size: usize): i32 {
  const params = readParams(Call.at(at).params);
  if (json.failed()) return malformed();
  for (let i = 0; i < params.count; i++) {
    const key = params.admin(i);
    const role = roleOf(key);
    if (role != ADMIN) setRole(key, role, ADMIN);
  }
  return accept();
}

export function rule_check(at: usize, size: usize): i32 {
  const call = Call.at(at);
  const operation = readOperation(call.payload);
  if (json.failed()) return malformed();
  const author = roleOf(call.author);
  const key = operation.key;
  if (key) return author == ADMIN ? change(key, operation.role) : notAdmin(call.author);
  if (author != NOBODY || readParams(call.params).open) return accept();
  return rejectWith(NOT_MEMBER, new Text().short(call.author).add(" is not a member"));
}

/** Only admins change the room's rules, these and all others. */
export function rule_change(at: usize, size: usize): i32 {
  const author = Call.at(at).author;
  return roleOf(author) == ADMIN ? accept() : notAdmin(author);
}

/** `{"role": key}` and `{"admins": true}`. */
export function rule_query(at: usize, size: usize): i32 {
  json.open(Call.at(at).payload);
  json.object();
  if (json.next()) {
    if (json.is("role")) {
      const role = roleOf(json.key());
      const word = role == ADMIN ? '"admin"' : role == MEMBER ? '"member"' : "null";
      if (!json.next()) return answer(Text.of('{"role":').add(word).add("}"));
    } else if (json.is("admins") && json.boolean()) {
      if (!json.next()) return answer(Text.of('{"admins":').number(admins()).add("}"));
    }
  }
  return reject(QUESTION, 'expected {"role": key} or {"admins": true}');
}

function change(key: Key, role: u8): i32 {
  const before = roleOf(key);
  if (before == role) {
    const reason = new Text().short(key).add(" is ").add(nameOf(before));
    return rejectWith(NO_CHANGE, before == NOBODY ? reason : reason.add(" already"));
  }
  if (before == ADMIN && admins() == 1) {
    return rejectWith(LAST_ADMIN, new Text().short(key).add(" is the last admin"));
  }
  setRole(key, before, role);
  return accept();
}

function notAdmin(author: Key): i32 {
  return rejectWith(NOT_ADMIN, new Text().short(author).add(" is not an admin"));
}
