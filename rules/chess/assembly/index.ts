// Chess: two players, each move checked in full, and nothing after the end.

import { Call, Change, accept, answer, json, malformed, reject, slot, state } from "quorate-rule/assembly";
import { board, legal } from "./answer";
import { GOES_ON, KEYS, LENGTH, NO_CHAT, QUESTION, START, STATE, STRANGER } from "./codes";
import { Ending, describe } from "./ending";
import { readFen } from "./fen";
import { Game } from "./game";
import { Params, readParams } from "./params";
import { Verb, readPayload } from "./payload";
import { pack, unpack } from "./state";
import { act } from "./table";

export { requires_state, rule_abi_v1, rule_alloc } from "quorate-rule/assembly";

/** Longest message, in bytes of UTF-8. */
const MAX_CHAT: i32 = 2000;
/** Longest payload, in bytes: room for such a message with each byte escaped. What is longer is not worth its gas. */
const MAX_PAYLOAD: i32 = 6 * MAX_CHAT + 288;

/** The params must name two players and a position to begin with. A game that was kept goes on. */
export function rule_init(at: usize, size: usize): i32 {
  const call = Call.at(at);
  const params = readParams(call.params);
  if (json.failed()) return malformed();
  if (params.white.equals(params.black)) return reject(KEYS, "white and black have the same key");
  const fen = readFen(params.fen);
  if (fen.problem.length > 0) return reject(START, "the start position: " + fen.problem);
  const ending = Game.from(fen).ending;
  if (ending != Ending.None) return reject(START, "the start position is an end: " + describe(ending));
  const kept = call.keepsState ? state.get(slot("game")) : null;
  if (kept != null && unpack(kept) == null) return reject(STATE, "the state that was kept is not a game of this rule");
  return accept();
}

export function rule_check(at: usize, size: usize): i32 {
  const call = Call.at(at);
  if (call.payload.size > MAX_PAYLOAD) return reject(LENGTH, "a payload has at most " + MAX_PAYLOAD.toString() + " bytes");
  const payload = readPayload(call.payload);
  const params = readParams(call.params);
  if (json.failed()) return malformed();

  if (payload.verb == Verb.Chat && params.spectators) return chat(payload.text);
  if (!params.isPlayer(call.author)) return reject(STRANGER, "only the players may write here");
  if (payload.verb == Verb.Chat) return reject(NO_CHAT, "this room has no chat");

  const game = load(params);
  const refusal = act(game, params.sideOf(call.author), payload);
  if (refusal != null) return reject(refusal.code, refusal.reason);
  save(game);
  return accept();
}

/** Nobody changes a game that goes on: new params could make a player of anybody. Afterwards the players may. */
export function rule_change(at: usize, size: usize): i32 {
  const call = Call.at(at);
  if (!Change.of(call).aboutThisRule) return accept();
  const params = readParams(call.params);
  if (!params.isPlayer(call.author)) return reject(STRANGER, "only the players may change the game");
  if (load(params).ending == Ending.None) return reject(GOES_ON, "the game goes on: its players and its module stay");
  return accept();
}

/** `{"board": true}` and `{"legal": true}`. */
export function rule_query(at: usize, size: usize): i32 {
  const call = Call.at(at);
  const params = readParams(call.params);
  json.open(call.payload);
  json.object();
  if (json.next()) {
    if (json.is("board") && json.boolean()) {
      if (!json.next()) return answer(board(load(params), params));
    } else if (json.is("legal") && json.boolean()) {
      if (!json.next()) return answer(legal(load(params)));
    }
  }
  return reject(QUESTION, 'expected {"board": true} or {"legal": true}');
}

function chat(text: string): i32 {
  const size = String.UTF8.byteLength(text);
  if (size == 0 || size > MAX_CHAT) return reject(LENGTH, "a message has 1 to 2000 bytes, this one " + size.toString());
  return accept();
}

// The game as it stands: before the first action it is the start position.
function load(params: Params): Game {
  const bytes = state.get(slot("game"));
  const game = bytes == null ? Game.from(readFen(params.fen)) : unpack(bytes);
  return game!;
}

function save(game: Game): void {
  state.set(slot("game"), pack(game));
}
