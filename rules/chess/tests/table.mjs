// A board with two players and a stranger, for tests: the built rule in a room in miniature.

import assert from "node:assert/strict";
import { Rule, key } from "quorate-rule/testing";

export const rule = await Rule.load(new URL("../../built/chess.wasm", import.meta.url));

export const WHITE = key("white");
export const BLACK = key("black");

/** Reject codes, as in the README. */
export const CODE = {
  malformed: 1, stranger: 2, turn: 3, over: 4, notation: 5, noPiece: 6, opponentsPiece: 7, illegal: 8, check: 9,
  promotion: 10, noOffer: 11, offerStands: 12, noChat: 13, length: 14, question: 15, goesOn: 16, keys: 20, start: 21, state: 22,
};

export const params = (more = {}) => ({ white: WHITE, black: BLACK, ...more });

export class Table {
  /** A game from a position, or from the initial one. */
  constructor(fen, more = {}) {
    this.room = rule.room(params(fen ? { fen, ...more } : more));
  }

  /** What the player says, which is accepted. */
  white(payload) {
    accepted(this.room.act(WHITE, payload), payload);
  }

  black(payload) {
    accepted(this.room.act(BLACK, payload), payload);
  }

  /** Moves of whoever's turn it is, separated by blanks; each is accepted. */
  moves(text) {
    for (const move of text.split(" ")) accepted(this.room.act(this.turn(), { move }), move);
    return this;
  }

  /** That a payload is refused with a code and a reason, which may be a pattern, and that nothing changes. */
  refuses(author, payload, code, reason) {
    const before = JSON.stringify([...this.room.state]);
    const verdict = this.room.act(author, payload);
    assert.equal(verdict.code, CODE[code], `${JSON.stringify(payload)}: ${verdict.code} ${verdict.reason}`);
    if (reason instanceof RegExp) assert.match(verdict.reason, reason);
    else assert.equal(verdict.reason, reason);
    assert.equal(JSON.stringify([...this.room.state]), before);
    return this;
  }

  /** That a move of whoever's turn it is gets refused. */
  refusesMove(move, code, reason) {
    return this.refuses(this.turn(), { move }, code, reason);
  }

  board() {
    const { answer, code, reason } = this.room.ask({ board: true });
    assert.equal(code, 0, reason);
    return answer;
  }

  turn() {
    return this.board().turn === "white" ? WHITE : BLACK;
  }

  legal() {
    return this.room.ask({ legal: true }).answer.legal.sort();
  }

  /** That the game has ended so, and that neither player can do anything more. */
  over(result, end) {
    const board = this.board();
    assert.deepEqual([board.result, board.end], [result, end]);
    assert.deepEqual(this.legal(), []);
    for (const player of [WHITE, BLACK]) {
      for (const payload of [{ move: "e2e4" }, { resign: true }, { draw: "offer" }, { draw: "accept" }]) {
        this.refuses(player, payload, "over", `the game is over: ${end}`);
      }
    }
  }

  /** That the game goes on. */
  goesOn() {
    const board = this.board();
    assert.deepEqual([board.result, board.end], ["*", null]);
    return this;
  }
}

function accepted(verdict, what) {
  assert.ok(verdict.accepted, `${JSON.stringify(what)} is refused (${verdict.code}): ${verdict.reason}`);
}
