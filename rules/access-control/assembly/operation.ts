import { Bytes, Key, json } from "quorate-rule/assembly";
import { ADMIN, MEMBER, NOBODY } from "./roles";

/** A payload that was read: it gives `key` a role, or is no operation when `key` is null. */
export class Operation {
  /** Whose role it is. */
  key: Key | null = null;
  /** The role afterwards: `NOBODY` for a removal. */
  role: u8 = NOBODY;
}

/** Reads a payload; what is wrong with it stays with `json`. */
export function readOperation(payload: Bytes): Operation {
  const operation = new Operation();
  if (!json.maybeObject(payload)) return operation;
  let members = 0;
  json.open(payload);
  json.object();
  while (json.next()) {
    members++;
    if (json.is("access")) readAccess(operation);
    else json.skip();
  }
  if (operation.key && members > 1) json.refuse("access stands alone in its object");
  return operation;
}

function readAccess(operation: Operation): void {
  let adds = false;
  let removes = false;
  json.object();
  while (json.next()) {
    if (json.is("add")) {
      operation.key = json.key();
      adds = true;
    } else if (json.is("remove")) {
      operation.key = json.key();
      removes = true;
    } else if (json.is("role")) {
      operation.role = readRole();
    } else {
      json.unknown();
    }
  }
  const named = operation.role != NOBODY;
  if (adds == removes || adds != named) json.refuse("expected add and role, or remove");
}

function readRole(): u8 {
  const word = json.ascii();
  if (word.is("admin")) return ADMIN;
  if (!word.is("member")) json.refuse('expected "member" or "admin"');
  return MEMBER;
}
