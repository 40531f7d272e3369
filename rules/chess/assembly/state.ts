// The bytes a game is kept in.
//
//   0   version, 1                        42  offer: 0, 1 white's, 2 black's
//   1   board, 32 bytes: two squares each 43  ending
//   33  black to move (1), rights << 1    44  last move, from and to
//   34  passed square                     46  trail began with a passed square: 0, 1
//   35  clock                             47  trail: from and to of each move
//   36  number, u16
//   38  plies, u32
//
// The board runs from a1 along the ranks, the first of two squares in the low bits. Squares are rank * 16 + file, 0x88 for
// none. Integers are little-endian.

import { Bytes } from "quorate-rule/assembly";
import { BLACK, Square, WHITE, squareAt } from "./board";
import { Ending } from "./ending";
import { CLOCK_END } from "./fen";
import { Game } from "./game";

const VERSION: u8 = 1;
const HEAD: i32 = 47;

/** The game as bytes, at most 247. */
export function pack(game: Game): Bytes {
  const position = game.position;
  const trail = 2 * game.trailLength;
  const bytes = Bytes.make(HEAD + trail);
  const at = bytes.at;
  store<u8>(at, VERSION);
  for (let i = 0; i < 32; i++) {
    const square = firstOfPair(i);
    store<u8>(at + i, position.at(square) | (position.at(square + 1) << 4), 1);
  }
  store<u8>(at, (position.side == BLACK ? 1 : 0) | (position.rights << 1), 33);
  store<u8>(at, <u8>position.passed, 34);
  store<u8>(at, <u8>game.clock, 35);
  store<u16>(at, <u16>game.number, 36);
  store<u32>(at, game.plies, 38);
  store<u8>(at, game.offer, 42);
  store<u8>(at, <u8>game.ending, 43);
  store<u8>(at, <u8>game.lastFrom, 44);
  store<u8>(at, <u8>game.lastTo, 45);
  store<u8>(at, game.trailBeganPassed ? 1 : 0, 46);
  memory.copy(at + HEAD, changetype<usize>(game.trail), trail);
  return bytes;
}

/** The game that was packed, or null when the bytes are not of this version. */
export function unpack(bytes: Bytes): Game | null {
  const trail = bytes.size - HEAD;
  const at = bytes.at;
  if (trail < 0 || trail > 2 * CLOCK_END || trail % 2 != 0 || load<u8>(at) != VERSION) return null;
  const game = new Game();
  const position = game.position;
  for (let i = 0; i < 32; i++) {
    const square = firstOfPair(i);
    const pair = load<u8>(at + i, 1);
    position.put(square, pair & 15);
    position.put(square + 1, pair >> 4);
  }
  position.side = (load<u8>(at, 33) & 1) != 0 ? BLACK : WHITE;
  position.rights = load<u8>(at, 33) >> 1;
  position.passed = <Square>load<u8>(at, 34);
  game.clock = load<u8>(at, 35);
  game.number = load<u16>(at, 36);
  game.plies = load<u32>(at, 38);
  game.offer = load<u8>(at, 42);
  game.ending = <Ending>load<u8>(at, 43);
  game.lastFrom = <Square>load<u8>(at, 44);
  game.lastTo = <Square>load<u8>(at, 45);
  game.trailBeganPassed = load<u8>(at, 46) != 0;
  game.trailLength = trail / 2;
  memory.copy(changetype<usize>(game.trail), at + HEAD, trail);
  return game;
}

function firstOfPair(index: i32): Square {
  return squareAt((2 * index) & 7, index >> 2);
}
