import { Bytes, Key, json } from "quorate-rule/assembly";

/** Actions that the params may allow: their indexes are kept, 8 bytes each. */
const MOST_ACTIONS: u64 = 256;

/** Keys that the params may exempt. */
const MOST_EXEMPT: i32 = 64;

/** `{"actions": n, "blocks": w, "exempt": [key, ...]}`; exempt is empty when absent. */
export class Params {
  /** How many actions of one author fit into a window. */
  actions: u64 = 0;
  /** How many blocks a window has. */
  blocks: u64 = 0;
  /** Whether the key that was asked for is exempt. */
  exempt: bool = false;
}

/** Reads the params, looking for `author`; what is wrong with them stays with `json`. */
export function readParams(bytes: Bytes, author: Key): Params {
  const params = new Params();
  json.open(bytes);
  json.object();
  while (json.next()) {
    if (json.is("actions")) params.actions = json.integer();
    else if (json.is("blocks")) params.blocks = json.integer();
    else if (json.is("exempt")) params.exempt = lists(author);
    else json.unknown();
  }
  if (params.actions == 0 || params.actions > MOST_ACTIONS) json.refuse("expected from 1 to 256 actions");
  if (params.blocks == 0) json.refuse("expected 1 block or more");
  return params;
}

function lists(author: Key): bool {
  let found = false;
  let count = 0;
  json.list();
  while (json.item()) {
    if (json.key().equals(author)) found = true;
    if (++count > MOST_EXEMPT) json.refuse("more than 64 exempt keys");
  }
  return found;
}
