// Judges a move that somebody wrote: the legal move it names, or why it names none.

import { inCheck } from "./attacks";
import {
  BISHOP, EMPTY, KING, KNIGHT, NO_SQUARE, Piece, Position, QUEEN, ROOK, Square, homeRank, kindOf, pieceName,
  sideName, sideOf, squareAt, squareName, squareNamed,
} from "./board";
import { CHECK, ILLEGAL, NOTATION, NO_PIECE, OPPONENTS_PIECE, PROMOTION, Refusal } from "./codes";
import { isLegal } from "./legality";
import {
  Move, MoveList, NO_MOVE, isFree, listMovesFrom, longRight, promotionOf, shortRight, toOf,
} from "./moves";

/** A legal move, or the refusal. */
export class Judgement {
  constructor(public move: Move, public refusal: Refusal | null) {}
}

function refused(code: i32, reason: string): Judgement {
  return new Judgement(NO_MOVE, new Refusal(code, reason));
}

/** Judges a move in UCI notation: `e2e4`, `e7e8q`, castling as the king's move `e1g1`. */
export function judge(position: Position, text: string): Judgement {
  const from = squareNamed(text, 0);
  const to = squareNamed(text, 2);
  const promotion = text.length == 5 ? promotionNamed(text.charCodeAt(4)) : EMPTY;
  const wellFormed = from != NO_SQUARE && to != NO_SQUARE && (text.length == 4 || promotion != EMPTY);
  if (!wellFormed) return refused(NOTATION, "a move such as e2e4 or e7e8q is expected");

  const piece = position.at(from);
  if (piece == EMPTY) return refused(NO_PIECE, "no piece on " + squareName(from));
  const kind = kindOf(piece);
  const described = pieceName(kind) + " on " + squareName(from);
  if (sideOf(piece) != position.side) {
    return refused(OPPONENTS_PIECE, "the " + described + " is " + sideName(sideOf(piece)) + "'s");
  }

  const list = new MoveList();
  listMovesFrom(position, from, list);
  let reaches = false;
  for (let i = 0; i < list.length; i++) {
    const move = list.at(i);
    if (toOf(move) != to) continue;
    reaches = true;
    if (promotionOf(move) != promotion) continue;
    return isLegal(position, move) ? new Judgement(move, null) : refused(CHECK, "the king would be in check");
  }

  const plain = text.substring(0, 4);
  if (reaches && promotion == EMPTY) {
    return refused(PROMOTION, "a promotion names its piece: " + plain + "q, " + plain + "r, " + plain + "b or " + plain + "n");
  }
  if (reaches) return refused(PROMOTION, plain + " is not a promotion");
  if (kind == KING && isCastlingTry(position, from, to)) return refused(ILLEGAL, whyNotCastle(position, from, to));
  return refused(ILLEGAL, text + " is not a legal move of the " + described);
}

function promotionNamed(char: i32): Piece {
  switch (char) {
    case 0x71: return QUEEN;
    case 0x72: return ROOK;
    case 0x62: return BISHOP;
    case 0x6e: return KNIGHT;
    default: return EMPTY;
  }
}

function isCastlingTry(position: Position, from: Square, to: Square): bool {
  return from == squareAt(4, homeRank(position.side)) && (to == from + 2 || to == from - 2);
}

// Castling was not among the moves of the king: one of its conditions does not hold.
function whyNotCastle(position: Position, from: Square, to: Square): string {
  const short = to > from;
  const right = short ? shortRight(position.side) : longRight(position.side);
  const wing = short ? "kingside" : "queenside";
  if ((position.rights & right) == 0) return sideName(position.side) + " may no longer castle " + wing;
  const free = short ? isFree(position, from + 1, from + 2) : isFree(position, from - 3, from - 1);
  if (!free) return "a piece stands between king and rook";
  if (inCheck(position, position.side)) return "the king may not castle out of check";
  return "the king may not castle across " + squareName((from + to) / 2) + ", which is attacked";
}
