// A game: the position, how it came about as far as that matters, what was offered, and how it ended.

import { inCheck } from "./attacks";
import {
  BISHOP, BLACK, EMPTY, KING, KNIGHT, NO_SQUARE, PAWN, Position, SQUARES, Side, Square, WHITE, kindOf, opponentOf, squareAt,
} from "./board";
import { Ending } from "./ending";
import { CLOCK_END, Fen } from "./fen";
import { canTakePassed, hasLegalMove } from "./legality";
import { Move, capturedOf, fromOf, make, toOf } from "./moves";

/** An offer of a draw: nobody's, white's or black's. */
export const NO_OFFER_MADE: u8 = 0;

// @ts-ignore: decorator
@inline export function offerOf(side: Side): u8 {
  return side == WHITE ? 1 : 2;
}

export class Game {
  position: Position = new Position();
  /** Half moves since the last capture or pawn's move, at most CLOCK_END. */
  clock: i32 = 0;
  /** The number of the move to be made. */
  number: i32 = 1;
  /** Half moves made in this game. */
  plies: u32 = 0;
  ending: Ending = Ending.None;
  offer: u8 = NO_OFFER_MADE;
  /** The last move's squares, or NO_SQUARE before the first. */
  lastFrom: Square = NO_SQUARE;
  lastTo: Square = NO_SQUARE;

  /**
   * From and to of each move since the last one that cannot be undone by moving back: a capture, a pawn's move, one that
   * ended a castling right. Earlier positions can never come again, and these are reached by walking backwards.
   */
  trail: StaticArray<u8> = new StaticArray<u8>(2 * CLOCK_END);
  trailLength: i32 = 0;
  /** Whether a pawn could be taken in passing where the trail begins: that position never comes again either. */
  trailBeganPassed: bool = false;

  /** A game that begins with the position of a FEN. */
  static from(fen: Fen): Game {
    const game = new Game();
    game.position = fen.position;
    game.clock = fen.clock;
    game.number = fen.number;
    game.trailBeganPassed = canTakePassed(fen.position);
    game.ending = game.endingByPosition();
    return game;
  }

  /** Makes a legal move. It declines the opponent's offer, and may end the game. */
  play(move: Move): void {
    const position = this.position;
    const side = position.side;
    const rights = position.rights;
    const kind = kindOf(position.at(fromOf(move)));

    const undo = make(position, move);
    this.clock = kind == PAWN || capturedOf(undo) != EMPTY ? 0 : this.clock + 1;
    this.plies += 1;
    if (side == BLACK) this.number += 1;
    this.lastFrom = fromOf(move);
    this.lastTo = toOf(move);
    if (this.offer == offerOf(opponentOf(side))) this.offer = NO_OFFER_MADE;

    if (this.clock == 0 || position.rights != rights) {
      this.trailLength = 0;
      this.trailBeganPassed = canTakePassed(position);
    } else {
      this.trail[2 * this.trailLength] = <u8>this.lastFrom;
      this.trail[2 * this.trailLength + 1] = <u8>this.lastTo;
      this.trailLength += 1;
    }
    this.ending = this.endingByPosition();
  }

  /** How the game ends with this position, if it does. Mate comes before every draw. */
  private endingByPosition(): Ending {
    const side = this.position.side;
    if (!hasLegalMove(this.position)) {
      if (!inCheck(this.position, side)) return Ending.Stalemate;
      return side == BLACK ? Ending.WhiteMated : Ending.BlackMated;
    }
    if (!canMate(this.position)) return Ending.Material;
    if (this.clock >= CLOCK_END) return Ending.FiftyMoves;
    return this.timesSeen() >= 3 ? Ending.Repetition : Ending.None;
  }

  /** How often the position has been on the board, with the same side to move and the same possibilities. */
  timesSeen(): i32 {
    const now = this.position.squares;
    const then = new StaticArray<u8>(SQUARES);
    memory.copy(changetype<usize>(then), changetype<usize>(now), SQUARES);
    let times = 1;
    for (let back = this.trailLength - 1; back >= 0; back--) {
      const from = this.trail[2 * back];
      const to = this.trail[2 * back + 1];
      then[from] = then[to];
      then[to] = EMPTY;
      const sameSide = ((this.trailLength - back) & 1) == 0;
      if (!sameSide || (back == 0 && this.trailBeganPassed)) continue;
      if (sameSquares(now, then)) times += 1;
    }
    return times;
  }
}

function sameSquares(a: StaticArray<u8>, b: StaticArray<u8>): bool {
  for (let rank = 0; rank < SQUARES; rank += 16) {
    if (load<u64>(changetype<usize>(a) + rank) != load<u64>(changetype<usize>(b) + rank)) return false;
  }
  return true;
}

// Not with the kings alone, with one knight, or with bishops that all stand on one colour.
function canMate(position: Position): bool {
  let knights = 0;
  let lightBishops = 0;
  let darkBishops = 0;
  for (let rank = 0; rank < 8; rank++) {
    for (let file = 0; file < 8; file++) {
      const kind = kindOf(position.at(squareAt(file, rank)));
      if (kind == EMPTY || kind == KING) continue;
      if (kind == KNIGHT) knights += 1;
      else if (kind != BISHOP) return true;
      else if (((file + rank) & 1) == 0) darkBishops += 1;
      else lightBishops += 1;
    }
  }
  if (knights == 0) return lightBishops > 0 && darkBishops > 0;
  return knights + lightBishops + darkBishops > 1;
}
