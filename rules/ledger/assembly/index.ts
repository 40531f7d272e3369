// A token ledger: the issuer mints, everybody transfers what they have, and the supply is the sum of the balances.

import {
  Call, Change, Text, accept, answer, json, malformed, reject, rejectWith, state,
} from "quorate-rule/assembly";
import { balanceOf, nonceOf, setBalance, supply } from "./accounts";
import { FUNDS, NONCE, NOT_ISSUER, NOT_OURS, QUESTION, SELF, SUPPLY, ZERO } from "./codes";
import { Operation, Verb, readOperation } from "./operation";
import { readParams } from "./params";

export { requires_state, rule_abi_v1, rule_alloc } from "quorate-rule/assembly";

/** The params must be well-formed. Balances stay when they change. */
export function rule_init(at: usize, size: usize): i32 {
  readParams(Call.at(at).params);
  return accept();
}

export function rule_check(at: usize, size: usize): i32 {
  const call = Call.at(at);
  const operation = readOperation(call.payload);
  if (json.failed()) return malformed();
  if (operation.verb == Verb.NONE) return other(call);
  if (operation.amount == 0) return reject(ZERO, "the amount is zero");
  if (operation.hasNonce) {
    const refusal = useNonce(call, operation);
    if (refusal) return refusal;
  }
  return operation.verb == Verb.MINT ? mint(call, operation) : transfer(call, operation);
}

/** Only the issuer may change or remove the ledger. */
export function rule_change(at: usize, size: usize): i32 {
  const call = Call.at(at);
  if (!Change.of(call).aboutThisRule) return accept();
  if (!readParams(call.params).issuer.equals(call.author)) return reject(NOT_ISSUER, "only the issuer may change the ledger");
  return accept();
}

/** `{"balance": key}` and `{"supply": true}`. */
export function rule_query(at: usize, size: usize): i32 {
  json.open(Call.at(at).payload);
  json.object();
  if (json.next()) {
    if (json.is("balance")) {
      const balance = state.getNumber(balanceOf(json.key()));
      if (!json.next()) return answer(Text.of('{"balance":').number(balance).add("}"));
    } else if (json.is("supply") && json.boolean()) {
      if (!json.next()) return answer(Text.of('{"supply":').number(state.getNumber(supply())).add("}"));
    }
  }
  return reject(QUESTION, 'expected {"balance": key} or {"supply": true}');
}

function other(call: Call): i32 {
  const params = readParams(call.params);
  return params.others ? accept() : reject(NOT_OURS, "expected a mint or a transfer");
}

// 0, or the refusal.
function useNonce(call: Call, operation: Operation): i32 {
  const slot = nonceOf(call.author);
  // One is kept more than the nonce, so that nonce 0 can be used, and only once.
  const least = state.getNumber(slot);
  if (operation.nonce < least) {
    return rejectWith(NONCE, Text.of("nonce ").number(operation.nonce).add(" was passed, expected ").number(least).add(" or more"));
  }
  state.setNumber(slot, operation.nonce + 1);
  return 0;
}

function mint(call: Call, operation: Operation): i32 {
  if (!readParams(call.params).issuer.equals(call.author)) {
    return rejectWith(NOT_ISSUER, new Text().short(call.author).add(" is not the issuer"));
  }
  const before = state.getNumber(supply());
  if (operation.amount > json.MAX_INTEGER - before) {
    const reason = Text.of("the supply is ").number(before).add(" and cannot be more than ").number(json.MAX_INTEGER);
    return rejectWith(SUPPLY, reason);
  }
  state.setNumber(supply(), before + operation.amount);
  const account = balanceOf(operation.to);
  state.setNumber(account, state.getNumber(account) + operation.amount);
  return accept();
}

function transfer(call: Call, operation: Operation): i32 {
  if (operation.to.equals(call.author)) return reject(SELF, "sender and receiver are the same");
  const from = balanceOf(call.author);
  const has = state.getNumber(from);
  if (has < operation.amount) {
    const reason = new Text().short(call.author).add(" has ").number(has).add(", needs ").number(operation.amount);
    return rejectWith(FUNDS, reason);
  }
  setBalance(from, has - operation.amount);
  const to = balanceOf(operation.to);
  state.setNumber(to, state.getNumber(to) + operation.amount);
  return accept();
}
