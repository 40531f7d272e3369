// The state: `r` + key has a role (one byte, absent is none), `a` the number of admins.

import { Bytes, Key, Slot, slot, state } from "quorate-rule/assembly";

/** No role. */
export const NOBODY: u8 = 0;
/** May act. */
export const MEMBER: u8 = 1;
/** May act, change roles and change the room's rules. */
export const ADMIN: u8 = 2;

/** The role of a key. */
export function roleOf(key: Key): u8 {
  const role = state.get(where(key));
  return role ? role[0] : NOBODY;
}

/** Gives a key another role than it has, and keeps count of the admins. */
export function setRole(key: Key, before: u8, after: u8): void {
  if (after == NOBODY) {
    state.del(where(key));
  } else {
    const role = Bytes.make(1);
    store<u8>(role.at, after);
    state.set(where(key), role);
  }
  if (before == ADMIN) state.setNumber(slot("a"), admins() - 1);
  if (after == ADMIN) state.setNumber(slot("a"), admins() + 1);
}

/** How many admins there are. */
export function admins(): u64 {
  return state.getNumber(slot("a"));
}

/** The role in a word. */
export function nameOf(role: u8): string {
  return role == ADMIN ? "an admin" : role == MEMBER ? "a member" : "not a member";
}

function where(key: Key): Slot {
  return slot("r").key(key);
}
