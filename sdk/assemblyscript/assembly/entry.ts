// What every rule exports beside its own functions:
//
//     export { rule_abi_v1, rule_alloc, requires_state } from "quorate-rule/assembly";

/** Bytes after each buffer that the SDK makes, so that eight bytes can be read at once up to its end. */
export const SLACK: usize = 16;

/** Says that the module speaks version 1 of the interface. */
export function rule_abi_v1(): void {}

/** Says that the rule keeps state; without it the `state` functions are not there. */
export function requires_state(): void {}

/** Says that the rule reads earlier blocks; without it `block` is not there. */
export function requires_history(): void {}

/** Gives the room the memory that it writes a call into. */
export function rule_alloc(size: i32): usize {
  return __alloc(<usize>size + SLACK);
}
