// The state: `b` + key has a balance (absent is 0), `n` + key the last nonce, `s` the supply. Each is a number.

import { Key, Slot, slot, state } from "quorate-rule/assembly";

/** Where the balance of a key is. */
export function balanceOf(key: Key): Slot {
  return slot("b").key(key);
}

/** Where the last nonce of a key is. */
export function nonceOf(key: Key): Slot {
  return slot("n").key(key);
}

/** Where the supply is. */
export function supply(): Slot {
  return slot("s");
}

/** Puts a balance; an account with nothing in it takes no room. */
export function setBalance(account: Slot, balance: u64): void {
  if (balance) state.setNumber(account, balance);
  else state.del(account);
}
