import { Bytes, Key, json } from "quorate-rule/assembly";

/** Admins that the params may name. */
const MOST: i32 = 64;

/** `{"admins": [key, ...], "open": bool}`; open is false when absent. */
export class Params {
  /** The keys, one after the other. */
  admins: StaticArray<usize> = new StaticArray<usize>(MOST);
  /** How many. */
  count: i32 = 0;
  /** Whether people who are no members may act. */
  open: bool = false;

  /** The admin at `index`. */
  admin(index: i32): Key {
    return changetype<Key>(this.admins[index]);
  }
}

/** Reads the params; what is wrong with them stays with `json`. */
export function readParams(bytes: Bytes): Params {
  const params = new Params();
  json.open(bytes);
  json.object();
  while (json.next()) {
    if (json.is("admins")) readAdmins(params);
    else if (json.is("open")) params.open = json.boolean();
    else json.unknown();
  }
  if (params.count == 0) json.refuse("expected an admin");
  return params;
}

function readAdmins(params: Params): void {
  json.list();
  while (json.item()) {
    const key = json.key();
    for (let i = 0; i < params.count; i++) {
      if (params.admin(i).equals(key)) json.refuse("an admin twice");
    }
    if (params.count == MOST) json.refuse("more than 64 admins");
    if (json.failed()) return;
    params.admins[params.count++] = key.at;
  }
}
