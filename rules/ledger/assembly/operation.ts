import { Bytes, Key, json } from "quorate-rule/assembly";

/** What a payload asks for. */
export namespace Verb {
  /** Nothing of the ledger. */
  export const NONE: i32 = 0;
  /** `{"mint": {...}}` */
  export const MINT: i32 = 1;
  /** `{"transfer": {...}}` */
  export const TRANSFER: i32 = 2;
}

/** A payload that was read. Without a problem in `json`, a mint or transfer has its `to` and `amount`. */
export class Operation {
  verb: i32 = Verb.NONE;
  /** Who gets it. */
  to: Key = changetype<Key>(0);
  amount: u64 = 0;
  nonce: u64 = 0;
  hasNonce: bool = false;
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
    if (json.is("transfer")) readBody(operation, Verb.TRANSFER);
    else if (json.is("mint")) readBody(operation, Verb.MINT);
    else json.skip();
  }
  if (operation.verb != Verb.NONE && members > 1) json.refuse("mint and transfer stand alone in their object");
  return operation;
}

function readBody(operation: Operation, verb: i32): void {
  operation.verb = verb;
  let hasAmount = false;
  json.object();
  while (json.next()) {
    if (json.is("to")) {
      operation.to = json.key();
    } else if (json.is("amount")) {
      operation.amount = json.integer();
      hasAmount = true;
    } else if (json.is("memo")) {
      if (json.kind() != json.Is.STRING) json.refuse("expected a memo that is a string");
      json.skip();
    } else if (json.is("nonce")) {
      operation.nonce = json.integer();
      operation.hasNonce = true;
    } else {
      json.unknown();
    }
  }
  if (!changetype<usize>(operation.to) || !hasAmount) json.refuse("expected to and amount");
}
