// A module that the gate refuses: it reads the state and does not say so.

import { slot, state } from "quorate-rule/assembly";
export { rule_abi_v1, rule_alloc } from "quorate-rule/assembly";

export function rule_check(at: usize, size: usize): i32 {
  return state.has(slot("x")) ? 2 : 0;
}
