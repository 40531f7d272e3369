// Moves: how pieces move when nobody looks at the king, and how a move changes a position.

import { DIAGONALS, KNIGHT_STEPS, STEPS, inCheck, isAttacked } from "./attacks";
import {
  BISHOP, BLACK_LONG, BLACK_SHORT, EMPTY, KNIGHT, NO_SQUARE, PAWN, Piece, Position, QUEEN, ROOK, Side, Square,
  WHITE, WHITE_LONG, WHITE_SHORT, fileOf, forward, homeRank, kindOf, onBoard, opponentOf, pawnRank, rankOf, sideOf,
  squareAt, squareName,
} from "./board";

/** From (8 bits), to (8 bits), promotion (8 bits), way (8 bits). */
export type Move = u32;

/** A move from a square to itself, which is none. */
export const NO_MOVE: Move = 0;

const ORDINARY: u32 = 0;
const DOUBLE_STEP: u32 = 1;
const IN_PASSING: u32 = 2;
const CASTLING: u32 = 3;

// @ts-ignore: decorator
@inline function moveOf(from: Square, to: Square, promotion: Piece, way: u32): Move {
  return <u32>from | (<u32>to << 8) | (<u32>promotion << 16) | (way << 24);
}

// @ts-ignore: decorator
@inline export function fromOf(move: Move): Square {
  return <Square>(move & 0x7f);
}

// @ts-ignore: decorator
@inline export function toOf(move: Move): Square {
  return <Square>((move >> 8) & 0x7f);
}

// @ts-ignore: decorator
@inline export function promotionOf(move: Move): Piece {
  return <Piece>((move >> 16) & 7);
}

// @ts-ignore: decorator
@inline function wayOf(move: Move): u32 {
  return move >> 24;
}

// @ts-ignore: decorator
@inline export function isInPassing(move: Move): bool {
  return wayOf(move) == IN_PASSING;
}

/** The move as UCI writes it: `e2e4`, `e7e8q`. */
export function moveName(move: Move): string {
  const name = squareName(fromOf(move)) + squareName(toOf(move));
  switch (promotionOf(move)) {
    case QUEEN: return name + "q";
    case ROOK: return name + "r";
    case BISHOP: return name + "b";
    case KNIGHT: return name + "n";
    default: return name;
  }
}

/** The moves of one side, in the order they were found. */
export class MoveList {
  /** Sixteen pieces have at most 27 moves each. */
  private moves: StaticArray<Move> = new StaticArray<Move>(16 * 27);
  length: i32 = 0;

  // @ts-ignore: decorator
  @inline at(index: i32): Move {
    return this.moves[index];
  }

  // @ts-ignore: decorator
  @inline push(move: Move): void {
    this.moves[this.length] = move;
    this.length += 1;
  }
}

/** Lists the moves of the side to move. Its own king may be attacked after some of them. */
export function listMoves(position: Position, list: MoveList): void {
  list.length = 0;
  const side = position.side;
  for (let square = 0; square < NO_SQUARE; square++) {
    if (!onBoard(square)) {
      square += 7;
      continue;
    }
    const piece = position.at(square);
    if (piece != EMPTY && sideOf(piece) == side) listMovesFrom(position, square, list);
  }
}

/** Adds the moves of the piece on a square, which belongs to the side to move. */
export function listMovesFrom(position: Position, from: Square, list: MoveList): void {
  switch (kindOf(position.at(from))) {
    case PAWN:
      listPawn(position, from, list);
      break;
    case KNIGHT:
      for (let i = 0; i < 8; i++) listStep(position, from, KNIGHT_STEPS[i], list);
      break;
    case BISHOP:
      listSlides(position, from, DIAGONALS, 8, list);
      break;
    case ROOK:
      listSlides(position, from, 0, DIAGONALS, list);
      break;
    case QUEEN:
      listSlides(position, from, 0, 8, list);
      break;
    default:
      for (let i = 0; i < 8; i++) listStep(position, from, STEPS[i], list);
      listCastling(position, from, list);
  }
}

function listStep(position: Position, from: Square, step: i32, list: MoveList): void {
  const to = from + step;
  if (!onBoard(to)) return;
  const there = position.at(to);
  if (there == EMPTY || sideOf(there) != position.side) list.push(moveOf(from, to, EMPTY, ORDINARY));
}

function listSlides(position: Position, from: Square, first: i32, end: i32, list: MoveList): void {
  for (let i = first; i < end; i++) {
    const step = STEPS[i];
    let to = from + step;
    while (onBoard(to)) {
      const there = position.at(to);
      if (there == EMPTY || sideOf(there) != position.side) list.push(moveOf(from, to, EMPTY, ORDINARY));
      if (there != EMPTY) break;
      to += step;
    }
  }
}

function listPawn(position: Position, from: Square, list: MoveList): void {
  const side = position.side;
  const step = forward(side);

  const ahead = from + step;
  if (onBoard(ahead) && position.at(ahead) == EMPTY) {
    pushPawn(from, ahead, side, list);
    const far = ahead + step;
    if (rankOf(from) == pawnRank(side) && position.at(far) == EMPTY) list.push(moveOf(from, far, EMPTY, DOUBLE_STEP));
  }

  for (let aside = -1; aside <= 1; aside += 2) {
    const to = ahead + aside;
    if (!onBoard(to)) continue;
    const there = position.at(to);
    if (there == EMPTY) {
      if (to == position.passed) list.push(moveOf(from, to, EMPTY, IN_PASSING));
    } else if (sideOf(there) != side) {
      pushPawn(from, to, side, list);
    }
  }
}

function pushPawn(from: Square, to: Square, side: Side, list: MoveList): void {
  if (rankOf(to) != homeRank(opponentOf(side))) {
    list.push(moveOf(from, to, EMPTY, ORDINARY));
    return;
  }
  list.push(moveOf(from, to, QUEEN, ORDINARY));
  list.push(moveOf(from, to, ROOK, ORDINARY));
  list.push(moveOf(from, to, BISHOP, ORDINARY));
  list.push(moveOf(from, to, KNIGHT, ORDINARY));
}

// The square the king arrives on is looked at with every other move: the king must not be in check there.
function listCastling(position: Position, from: Square, list: MoveList): void {
  const side = position.side;
  const short = (position.rights & shortRight(side)) != 0 && isFree(position, from + 1, from + 2);
  const long = (position.rights & longRight(side)) != 0 && isFree(position, from - 3, from - 1);
  if (!(short || long) || inCheck(position, side)) return;
  const opponent = opponentOf(side);
  if (short && !isAttacked(position, from + 1, opponent)) list.push(moveOf(from, from + 2, EMPTY, CASTLING));
  if (long && !isAttacked(position, from - 1, opponent)) list.push(moveOf(from, from - 2, EMPTY, CASTLING));
}

// @ts-ignore: decorator
@inline export function shortRight(side: Side): u8 {
  return side == WHITE ? WHITE_SHORT : BLACK_SHORT;
}

// @ts-ignore: decorator
@inline export function longRight(side: Side): u8 {
  return side == WHITE ? WHITE_LONG : BLACK_LONG;
}

/** Whether the squares from first to last, both included, are empty. */
export function isFree(position: Position, first: Square, last: Square): bool {
  for (let square = first; square <= last; square++) {
    if (position.at(square) != EMPTY) return false;
  }
  return true;
}

/** What a move takes away for ever: captured piece (8 bits), rights (8 bits), passed square (8 bits). */
export type Undo = u32;

// @ts-ignore: decorator
@inline export function capturedOf(undo: Undo): Piece {
  return <Piece>(undo & 0xff);
}

/** Makes a move that was listed for this position. */
export function make(position: Position, move: Move): Undo {
  const side = position.side;
  const from = fromOf(move);
  const to = toOf(move);
  const way = wayOf(move);
  const piece = position.at(from);
  let captured = position.at(to);
  const rights = position.rights;
  const passed = position.passed;

  position.put(from, EMPTY);
  position.put(to, promotionOf(move) == EMPTY ? piece : promotionOf(move) | side);
  position.passed = NO_SQUARE;
  if (way == DOUBLE_STEP) {
    position.passed = from + forward(side);
  } else if (way == IN_PASSING) {
    captured = PAWN | opponentOf(side);
    position.put(to - forward(side), EMPTY);
  } else if (way == CASTLING) {
    position.put(rookFrom(to), EMPTY);
    position.put(rookTo(to), ROOK | side);
  }
  if (rights != 0) position.rights = rights & ~(rightsOf(from) | rightsOf(to));
  position.side = opponentOf(side);
  return <u32>captured | (<u32>rights << 8) | (<u32>passed << 16);
}

/** Takes back the move that was made last. */
export function unmake(position: Position, move: Move, undo: Undo): void {
  const side = opponentOf(position.side);
  const from = fromOf(move);
  const to = toOf(move);
  const way = wayOf(move);

  position.put(from, promotionOf(move) == EMPTY ? position.at(to) : PAWN | side);
  if (way == IN_PASSING) {
    position.put(to, EMPTY);
    position.put(to - forward(side), capturedOf(undo));
  } else {
    position.put(to, capturedOf(undo));
  }
  if (way == CASTLING) {
    position.put(rookTo(to), EMPTY);
    position.put(rookFrom(to), ROOK | side);
  }
  position.side = side;
  position.rights = <u8>((undo >> 8) & 0xff);
  position.passed = <Square>(undo >> 16);
}

function rookFrom(kingTo: Square): Square {
  return squareAt(fileOf(kingTo) == 6 ? 7 : 0, rankOf(kingTo));
}

function rookTo(kingTo: Square): Square {
  return squareAt(fileOf(kingTo) == 6 ? 5 : 3, rankOf(kingTo));
}

// The castling rights that end when something leaves the square or arrives on it.
function rightsOf(square: Square): u8 {
  switch (square) {
    case 0x00: return WHITE_LONG;
    case 0x04: return WHITE_SHORT | WHITE_LONG;
    case 0x07: return WHITE_SHORT;
    case 0x70: return BLACK_LONG;
    case 0x74: return BLACK_SHORT | BLACK_LONG;
    case 0x77: return BLACK_SHORT;
    default: return 0;
  }
}
