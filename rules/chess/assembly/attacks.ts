// Which squares a side attacks.

import {
  BISHOP, EMPTY, KING, KNIGHT, PAWN, Position, QUEEN, ROOK, Side, Square,
  forward, kindOf, onBoard, opponentOf, sideOf,
} from "./board";

export const KNIGHT_STEPS: StaticArray<i32> = [33, 31, 18, 14, -33, -31, -18, -14];

/** The four straight steps, then the four diagonal ones. */
export const STEPS: StaticArray<i32> = [16, 1, -16, -1, 17, 15, -17, -15];
export const DIAGONALS: i32 = 4;

/** Whether a piece of the side could take on the square. */
export function isAttacked(position: Position, square: Square, by: Side): bool {
  const squares = position.squares;

  const behind = square - forward(by);
  const pawn = PAWN | by;
  if (onBoard(behind - 1) && squares[behind - 1] == pawn) return true;
  if (onBoard(behind + 1) && squares[behind + 1] == pawn) return true;

  const knight = KNIGHT | by;
  for (let i = 0; i < 8; i++) {
    const from = square + KNIGHT_STEPS[i];
    if (onBoard(from) && squares[from] == knight) return true;
  }

  for (let i = 0; i < 8; i++) {
    const step = STEPS[i];
    let from = square + step;
    if (!onBoard(from)) continue;
    if (squares[from] == (KING | by)) return true;
    while (onBoard(from) && squares[from] == EMPTY) from += step;
    if (!onBoard(from) || sideOf(squares[from]) != by) continue;
    const kind = kindOf(squares[from]);
    if (kind == QUEEN || kind == (i < DIAGONALS ? ROOK : BISHOP)) return true;
  }
  return false;
}

/** Whether the king of the side is attacked. */
export function inCheck(position: Position, side: Side): bool {
  return isAttacked(position, position.king(side), opponentOf(side));
}
