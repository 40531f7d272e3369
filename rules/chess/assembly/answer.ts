// Answers for interfaces.

import { Text } from "quorate-rule/assembly";
import { inCheck } from "./attacks";
import { NO_SQUARE, WHITE, sideName, squareName } from "./board";
import { Ending, describe, score } from "./ending";
import { writeFen } from "./fen";
import { Game, NO_OFFER_MADE, offerOf } from "./game";
import { legalMoves } from "./legality";
import { moveName } from "./moves";
import { Params } from "./params";

/** The position, whose turn it is, how it stands. */
export function board(game: Game, params: Params): Text {
  const side = game.position.side;
  const text = Text.of('{"fen":').add(quoted(writeFen(game.position, game.clock, game.number)));
  text.add(',"moves":').number(game.plies);
  text.add(',"turn":').add(quoted(sideName(side)));
  text.add(',"check":').add(inCheck(game.position, side) ? "true" : "false");
  text.add(',"last":').add(game.lastFrom == NO_SQUARE ? "null" : quoted(squareName(game.lastFrom) + squareName(game.lastTo)));
  text.add(',"offer":').add(game.offer == NO_OFFER_MADE ? "null" : quoted(game.offer == offerOf(WHITE) ? "white" : "black"));
  text.add(',"result":').add(quoted(score(game.ending)));
  text.add(',"end":').add(game.ending == Ending.None ? "null" : quoted(describe(game.ending)));
  text.add(',"white":"').key(params.white);
  return text.add('","black":"').key(params.black).add('"}');
}

/** The moves that would be accepted; none after the end. */
export function legal(game: Game): Text {
  const text = Text.of('{"legal":[');
  if (game.ending == Ending.None) {
    const moves = legalMoves(game.position);
    for (let i = 0; i < moves.length; i++) text.add(i == 0 ? "" : ",").add(quoted(moveName(moves.at(i))));
  }
  return text.add("]}");
}

// None of the texts has a character that needs an escape.
function quoted(text: string): string {
  return '"' + text + '"';
}
