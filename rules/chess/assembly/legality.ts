// Legal moves: those after which the mover's own king is not attacked.

import { inCheck } from "./attacks";
import { EMPTY, NO_SQUARE, Position, onBoard, opponentOf, sideOf } from "./board";
import { Move, MoveList, isInPassing, listMoves, listMovesFrom, make, unmake } from "./moves";

/** Whether a listed move leaves the mover's king unattacked. */
export function isLegal(position: Position, move: Move): bool {
  const undo = make(position, move);
  const legal = !inCheck(position, opponentOf(position.side));
  unmake(position, move, undo);
  return legal;
}

/** The legal moves of the side to move. */
export function legalMoves(position: Position): MoveList {
  const listed = new MoveList();
  listMoves(position, listed);
  const legal = new MoveList();
  for (let i = 0; i < listed.length; i++) {
    const move = listed.at(i);
    if (isLegal(position, move)) legal.push(move);
  }
  return legal;
}

/** Whether the side to move has a legal move; stops at the first. */
export function hasLegalMove(position: Position): bool {
  const list = new MoveList();
  for (let square = 0; square < NO_SQUARE; square++) {
    if (!onBoard(square)) {
      square += 7;
      continue;
    }
    const piece = position.at(square);
    if (piece == EMPTY || sideOf(piece) != position.side) continue;
    list.length = 0;
    listMovesFrom(position, square, list);
    for (let i = 0; i < list.length; i++) {
      if (isLegal(position, list.at(i))) return true;
    }
  }
  return false;
}

/** Whether a pawn can legally take in passing. */
export function canTakePassed(position: Position): bool {
  if (position.passed == NO_SQUARE) return false;
  const list = new MoveList();
  listMoves(position, list);
  for (let i = 0; i < list.length; i++) {
    const move = list.at(i);
    if (isInPassing(move) && isLegal(position, move)) return true;
  }
  return false;
}
