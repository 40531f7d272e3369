// Rate limit: at most so many actions of one author in any window of so many blocks.

import { Call, Text, accept, answer, json, malformed, reject, rejectWith } from "quorate-rule/assembly";
import { QUESTION, TOO_MANY } from "./codes";
import { readParams } from "./params";
import { recentOf } from "./recent";

export { requires_state, rule_abi_v1, rule_alloc } from "quorate-rule/assembly";

/** The params must be well-formed. What is known of the authors stays when they change. */
export function rule_init(at: usize, size: usize): i32 {
  const call = Call.at(at);
  readParams(call.params, call.author);
  return accept();
}

export function rule_check(at: usize, size: usize): i32 {
  const call = Call.at(at);
  const params = readParams(call.params, call.author);
  if (json.failed()) return malformed();
  if (params.exempt) return accept();
  const recent = recentOf(call.author, call.index, params.blocks);
  if (recent.count < params.actions) {
    recent.add(call.index);
    return accept();
  }
  const next = recent.index(params.actions - 1) + params.blocks;
  const reason = new Text().short(call.author).add(" has acted ").number(recent.count).add(" times in ").number(params.blocks);
  return rejectWith(TOO_MANY, reason.add(" blocks, and may again from height ").number(next));
}

/** `{"left": key}`: how many actions of a key the next block could be one of; null when the key is exempt. */
export function rule_query(at: usize, size: usize): i32 {
  const call = Call.at(at);
  json.open(call.payload);
  json.object();
  if (json.next() && json.is("left")) {
    const key = json.key();
    if (!json.next() && json.done()) {
      const params = readParams(call.params, key);
      if (params.exempt) return answer(Text.of('{"left":null}'));
      const count = recentOf(key, call.index, params.blocks).count;
      return answer(Text.of('{"left":').number(count < params.actions ? params.actions - count : 0).add("}"));
    }
  }
  return reject(QUESTION, 'expected {"left": key}');
}
