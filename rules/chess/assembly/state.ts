// The bytes a game is kept in.
//
//   0   version, 1                           43  offer: 0, 1 white's, 2 black's
//   1   board, 32 bytes: two squares each    44  ending
//   33  black to move (1), rights << 1       45  last move, from and to
//   34  passed square                        47  trail began with a passed square: 0, 1
//   35  clock                                48  trail: from and to of each move
//   36  number, u16, then one byte 0
//   39  plies, u32
//
// The board runs from a1 along the ranks, the first of two squares in the low bits. Squares are rank * 16 + file, 0x88 for
// none. Integers are little-endian.

import { BLACK, SQUARES, Square, WHITE, squareAt } from "./board";
import { CLOCK_END } from "./fen";
import { Ending } from "./ending";
import { Game } from "./game";

const VERSION: u8 = 1;
const HEAD: i32 = 48;

/** The game as bytes, at most 248. */
export function pack(game: Game): StaticArray<u8> {
  const position = game.position;
  const bytes = new StaticArray<u8>(HEAD + 2 * game.trailLength);
  bytes[0] = VERSION;
  for (let i = 0; i < 32; i++) {
    const square = squareAt((2 * i) & 7, i >> 2);
    bytes[1 + i] = position.at(square) | (position.at(square + 1) << 4);
  }
  bytes[33] = (position.side == BLACK ? 1 : 0) | (position.rights << 1);
  bytes[34] = <u8>position.passed;
  bytes[35] = <u8>game.clock;
  store<u16>(changetype<usize>(bytes) + 36, <u16>game.number);
  store<u32>(changetype<usize>(bytes) + 39, game.plies);
  bytes[43] = game.offer;
  bytes[44] = <u8>game.ending;
  bytes[45] = <u8>game.lastFrom;
  bytes[46] = <u8>game.lastTo;
  bytes[47] = game.trailBeganPassed ? 1 : 0;
  for (let i = 0; i < 2 * game.trailLength; i++) bytes[HEAD + i] = game.trail[i];
  return bytes;
}

/** The game that was packed, or null when the bytes are not of this version. */
export function unpack(bytes: StaticArray<u8>): Game | null {
  const trail = bytes.length - HEAD;
  if (trail < 0 || trail > 2 * CLOCK_END || trail % 2 != 0 || bytes[0] != VERSION) return null;
  const game = new Game();
  const position = game.position;
  for (let i = 0; i < 32; i++) {
    const square = squareAt((2 * i) & 7, i >> 2);
    position.put(square, bytes[1 + i] & 15);
    position.put(square + 1, bytes[1 + i] >> 4);
  }
  position.side = (bytes[33] & 1) != 0 ? BLACK : WHITE;
  position.rights = (bytes[33] >> 1) & 15;
  position.passed = <Square>bytes[34];
  game.clock = bytes[35];
  game.number = load<u16>(changetype<usize>(bytes) + 36);
  game.plies = load<u32>(changetype<usize>(bytes) + 39);
  game.offer = bytes[43];
  game.ending = <Ending>bytes[44];
  game.lastFrom = <Square>bytes[45];
  game.lastTo = <Square>bytes[46];
  game.trailBeganPassed = bytes[47] != 0;
  game.trailLength = trail / 2;
  for (let i = 0; i < trail; i++) game.trail[i] = bytes[HEAD + i];
  return game;
}
