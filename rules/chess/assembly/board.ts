// The board: squares, pieces, and a position with what belongs to it.
//
// A square is rank * 16 + file, so that a step off the board sets a bit of 0x88.

export type Square = i32;
export type Piece = u8;
export type Side = u8;

export const WHITE: Side = 0;
export const BLACK: Side = 8;

export const EMPTY: Piece = 0;
export const PAWN: Piece = 1;
export const KNIGHT: Piece = 2;
export const BISHOP: Piece = 3;
export const ROOK: Piece = 4;
export const QUEEN: Piece = 5;
export const KING: Piece = 6;

/** Castling rights, one bit each. */
export const WHITE_SHORT: u8 = 1;
export const WHITE_LONG: u8 = 2;
export const BLACK_SHORT: u8 = 4;
export const BLACK_LONG: u8 = 8;

export const NO_SQUARE: Square = 0x88;
export const SQUARES: i32 = 128;

/** Whether a square lies on the board. */
// @ts-ignore: decorator
@inline export function onBoard(square: Square): bool {
  return (square & 0x88) == 0;
}

// @ts-ignore: decorator
@inline export function squareAt(file: i32, rank: i32): Square {
  return (rank << 4) | file;
}

// @ts-ignore: decorator
@inline export function fileOf(square: Square): i32 {
  return square & 7;
}

// @ts-ignore: decorator
@inline export function rankOf(square: Square): i32 {
  return square >> 4;
}

// @ts-ignore: decorator
@inline export function kindOf(piece: Piece): Piece {
  return piece & 7;
}

/** The side of a piece; of an empty square it says nothing. */
// @ts-ignore: decorator
@inline export function sideOf(piece: Piece): Side {
  return piece & BLACK;
}

// @ts-ignore: decorator
@inline export function opponentOf(side: Side): Side {
  return side ^ BLACK;
}

/** The step of a side's pawns. */
// @ts-ignore: decorator
@inline export function forward(side: Side): i32 {
  return side == WHITE ? 16 : -16;
}

/** The rank a side's pieces begin on. */
// @ts-ignore: decorator
@inline export function homeRank(side: Side): i32 {
  return side == WHITE ? 0 : 7;
}

/** The rank a side's pawns begin on. */
// @ts-ignore: decorator
@inline export function pawnRank(side: Side): i32 {
  return side == WHITE ? 1 : 6;
}

/** `e4` for the square on file e and rank 4. */
export function squareName(square: Square): string {
  return String.fromCharCode(0x61 + fileOf(square)) + String.fromCharCode(0x31 + rankOf(square));
}

/** The square that two characters of a text name, or NO_SQUARE. */
export function squareNamed(text: string, at: i32): Square {
  if (text.length < at + 2) return NO_SQUARE;
  const file = text.charCodeAt(at) - 0x61;
  const rank = text.charCodeAt(at + 1) - 0x31;
  if (file < 0 || file > 7 || rank < 0 || rank > 7) return NO_SQUARE;
  return squareAt(file, rank);
}

export function sideName(side: Side): string {
  return side == WHITE ? "white" : "black";
}

export function pieceName(kind: Piece): string {
  switch (kind) {
    case PAWN: return "pawn";
    case KNIGHT: return "knight";
    case BISHOP: return "bishop";
    case ROOK: return "rook";
    case QUEEN: return "queen";
    default: return "king";
  }
}

/** Placement, side to move, castling rights and the square a pawn can be taken on in passing. */
export class Position {
  squares: StaticArray<u8> = new StaticArray<u8>(SQUARES);
  side: Side = WHITE;
  rights: u8 = 0;
  /** The square a pawn has just passed over, or NO_SQUARE. */
  passed: Square = NO_SQUARE;
  whiteKing: Square = NO_SQUARE;
  blackKing: Square = NO_SQUARE;

  // @ts-ignore: decorator
  @inline at(square: Square): Piece {
    return this.squares[square];
  }

  // @ts-ignore: decorator
  @inline king(side: Side): Square {
    return side == WHITE ? this.whiteKing : this.blackKing;
  }

  /** Puts a piece, or EMPTY, on a square; a king is remembered. */
  put(square: Square, piece: Piece): void {
    this.squares[square] = piece;
    if (kindOf(piece) == KING) {
      if (sideOf(piece) == WHITE) this.whiteKing = square;
      else this.blackKing = square;
    }
  }
}
