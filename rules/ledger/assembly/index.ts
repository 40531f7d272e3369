import { Call, Key, Text, accept, json, reject, rejectWith, slot, state } from "quorate-rule/assembly";
export { rule_abi_v1, rule_alloc, requires_state } from "quorate-rule/assembly";
export function rule_check(at: usize, size: usize): i32 {
  const call = Call.at(at);
  json.open(call.payload);
  json.object();
  let amount: u64 = 0;
  let to: Key = call.author;
  let t = "";
  while (json.next()) {
    if (json.is("to")) to = json.key();
    else if (json.is("amount")) amount = json.integer();
    else if (json.is("text")) t = json.text();
    else json.skip();
  }
  const from = slot("b/").key(call.author);
  const have = state.getNumber(from);
  if (amount > have) return rejectWith(3, new Text().short(to).add(" has ").number(have).add(t));
  state.setNumber(from, have - amount);
  if (amount==7) return reject(4, "seven");
  return accept();
}
