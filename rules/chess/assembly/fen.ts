// Forsyth-Edwards notation, read strictly and written back.

import { inCheck } from "./attacks";
import {
  BISHOP, BLACK, BLACK_LONG, BLACK_SHORT, EMPTY, KING, KNIGHT, NO_SQUARE, PAWN, Piece, Position, QUEEN, ROOK, Side, Square,
  WHITE, WHITE_LONG, WHITE_SHORT, forward, homeRank, kindOf, opponentOf, pawnRank, rankOf, sideName, sideOf, squareAt,
  squareName, squareNamed,
} from "./board";
import { canTakePassed } from "./legality";
import { longRight, shortRight } from "./moves";

export const INITIAL: string = "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1";

/** The highest move number that is read. */
export const MAX_NUMBER: i32 = 9999;
/** A game has ended when this many half moves were made without a capture or a pawn's move. */
export const CLOCK_END: i32 = 100;

/** What was read, or why not: `problem` is empty when all is well. */
export class Fen {
  problem: string = "";
  position: Position = new Position();
  /** Half moves since the last capture or pawn's move, below 100. */
  clock: i32 = 0;
  /** The number of the move to be made, from 1. */
  number: i32 = 1;
}

/**
 * Reads the six fields of a position that can stand on a board: one king a side, at most 16 pieces and 8 pawns a side, no
 * pawn on an outer rank, rights only where king and rook stand, and the side that has just moved not in check.
 */
export function readFen(text: string): Fen {
  const fen = new Fen();
  const fields = text.split(" ");
  if (fields.length != 6) fen.problem = "six fields expected, " + fields.length.toString() + " found";
  if (fen.problem.length == 0) fen.problem = readPlacement(fen.position, fields[0]);
  if (fen.problem.length == 0) fen.problem = readSide(fen.position, fields[1]);
  if (fen.problem.length == 0) fen.problem = readRights(fen.position, fields[2]);
  if (fen.problem.length == 0) fen.problem = readPassed(fen.position, fields[3]);
  if (fen.problem.length == 0) {
    fen.clock = readNumber(fields[4]);
    if (fen.clock < 0 || fen.clock >= CLOCK_END) fen.problem = "0 to 99 half moves expected, `" + fields[4] + "` found";
  }
  if (fen.problem.length == 0) {
    fen.number = readNumber(fields[5]);
    if (fen.number < 1 || fen.number > MAX_NUMBER) fen.problem = "a move number expected, `" + fields[5] + "` found";
  }
  return fen;
}

/** Writes a position; the passed square is there only when a pawn can legally take on it. */
export function writeFen(position: Position, clock: i32, number: i32): string {
  let text = "";
  for (let rank = 7; rank >= 0; rank--) {
    let empty = 0;
    for (let file = 0; file < 8; file++) {
      const piece = position.at(squareAt(file, rank));
      if (piece == EMPTY) {
        empty += 1;
        continue;
      }
      if (empty > 0) text += empty.toString();
      empty = 0;
      text += String.fromCharCode(letterOf(piece));
    }
    if (empty > 0) text += empty.toString();
    if (rank > 0) text += "/";
  }

  text += position.side == WHITE ? " w " : " b ";
  if (position.rights == 0) text += "-";
  if (position.rights & WHITE_SHORT) text += "K";
  if (position.rights & WHITE_LONG) text += "Q";
  if (position.rights & BLACK_SHORT) text += "k";
  if (position.rights & BLACK_LONG) text += "q";
  text += " " + (canTakePassed(position) ? squareName(position.passed) : "-");
  return text + " " + clock.toString() + " " + number.toString();
}

function readPlacement(position: Position, text: string): string {
  let file = 0;
  let rank = 7;
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (char == 0x2f) {
      if (file != 8 || rank == 0) return "eight ranks of eight squares expected";
      file = 0;
      rank -= 1;
    } else if (char >= 0x31 && char <= 0x38) {
      file += char - 0x30;
      if (file > 8) return "eight ranks of eight squares expected";
    } else {
      const piece = pieceOf(char);
      if (piece == EMPTY) return "`" + text.charAt(i) + "` is not a piece";
      if (file > 7) return "eight ranks of eight squares expected";
      position.put(squareAt(file, rank), piece);
      file += 1;
    }
  }
  if (file != 8 || rank != 0) return "eight ranks of eight squares expected";
  const problem = readArmy(position, WHITE);
  return problem.length > 0 ? problem : readArmy(position, BLACK);
}

function readArmy(position: Position, side: Side): string {
  let pieces = 0;
  let pawns = 0;
  let kings = 0;
  for (let rank = 0; rank < 8; rank++) {
    for (let file = 0; file < 8; file++) {
      const piece = position.at(squareAt(file, rank));
      if (piece == EMPTY || sideOf(piece) != side) continue;
      pieces += 1;
      if (kindOf(piece) == KING) kings += 1;
      if (kindOf(piece) != PAWN) continue;
      pawns += 1;
      if (rank == 0 || rank == 7) return "a pawn on " + squareName(squareAt(file, rank));
    }
  }
  if (kings != 1) return "one king of " + sideName(side) + " expected, " + kings.toString() + " found";
  if (pawns > 8) return "more than 8 pawns of " + sideName(side);
  if (pieces > 16) return "more than 16 pieces of " + sideName(side);
  return "";
}

function readSide(position: Position, text: string): string {
  if (text != "w" && text != "b") return "`w` or `b` to move expected, `" + text + "` found";
  position.side = text == "w" ? WHITE : BLACK;
  if (inCheck(position, opponentOf(position.side))) return sideName(opponentOf(position.side)) + " is in check and not to move";
  return "";
}

function readRights(position: Position, text: string): string {
  if (text == "-") return "";
  let rights: u8 = 0;
  for (let i = 0; i < text.length; i++) {
    const right = rightOf(text.charCodeAt(i));
    // In the order KQkq, each once.
    if (right <= rights) return "castling rights expected, `" + text + "` found";
    rights |= right;
  }
  if (rights == 0) return "castling rights expected, none found";
  position.rights = rights;
  return rightsHold(position, WHITE) && rightsHold(position, BLACK) ? "" : "castling rights without king and rook in their places";
}

function rightOf(char: i32): u8 {
  switch (char) {
    case 0x4b: return WHITE_SHORT;
    case 0x51: return WHITE_LONG;
    case 0x6b: return BLACK_SHORT;
    case 0x71: return BLACK_LONG;
    default: return 0;
  }
}

function rightsHold(position: Position, side: Side): bool {
  const rank = homeRank(side);
  const king = position.at(squareAt(4, rank)) == (KING | side);
  const rook: Piece = ROOK | side;
  if (position.rights & shortRight(side) && !(king && position.at(squareAt(7, rank)) == rook)) return false;
  return !(position.rights & longRight(side)) || (king && position.at(squareAt(0, rank)) == rook);
}

function readPassed(position: Position, text: string): string {
  if (text == "-") return "";
  const square: Square = text.length == 2 ? squareNamed(text, 0) : NO_SQUARE;
  const mover = opponentOf(position.side);
  const step = forward(mover);
  const possible = square != NO_SQUARE
    && rankOf(square) == pawnRank(mover) + step / 16
    && position.at(square) == EMPTY
    && position.at(square - step) == EMPTY
    && position.at(square + step) == (PAWN | mover);
  if (!possible) return "no pawn has passed over `" + text + "`";
  position.passed = square;
  return "";
}

// Up to four digits without a leading zero, or -1.
function readNumber(text: string): i32 {
  if (text.length == 0 || text.length > 4 || (text.length > 1 && text.charCodeAt(0) == 0x30)) return -1;
  let number = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    number = number * 10 + digit;
  }
  return number;
}

function pieceOf(char: i32): Piece {
  const side = char >= 0x61 ? BLACK : WHITE;
  switch (char | 0x20) {
    case 0x70: return PAWN | side;
    case 0x6e: return KNIGHT | side;
    case 0x62: return BISHOP | side;
    case 0x72: return ROOK | side;
    case 0x71: return QUEEN | side;
    case 0x6b: return KING | side;
    default: return EMPTY;
  }
}

function letterOf(piece: Piece): i32 {
  const lower = sideOf(piece) == WHITE ? 0 : 0x20;
  switch (kindOf(piece)) {
    case PAWN: return 0x50 | lower;
    case KNIGHT: return 0x4e | lower;
    case BISHOP: return 0x42 | lower;
    case ROOK: return 0x52 | lower;
    case QUEEN: return 0x51 | lower;
    default: return 0x4b | lower;
  }
}
