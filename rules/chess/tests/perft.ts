// Counts the leaves of the tree of legal moves; built for the tests alone.

import { readFen } from "../assembly/fen";
import { inCheck } from "../assembly/attacks";
import { Position, opponentOf } from "../assembly/board";
import { MoveList, listMoves, make, unmake } from "../assembly/moves";

/** Room for a text of that many bytes. */
export function room(length: i32): usize {
  return heap.alloc(length);
}

/** The number of leaves at a depth of 1 or more, or -1 when the position is refused. */
export function perft(text: usize, length: i32, depth: i32): i32 {
  const fen = readFen(String.UTF8.decodeUnsafe(text, length));
  if (fen.problem.length > 0) return -1;
  const lists = new StaticArray<MoveList>(depth);
  for (let i = 0; i < depth; i++) lists[i] = new MoveList();
  return count(fen.position, lists, depth);
}

function count(position: Position, lists: StaticArray<MoveList>, depth: i32): i32 {
  const list = lists[depth - 1];
  listMoves(position, list);
  let leaves = 0;
  for (let i = 0; i < list.length; i++) {
    const move = list.at(i);
    const undo = make(position, move);
    if (!inCheck(position, opponentOf(position.side))) leaves += depth == 1 ? 1 : count(position, lists, depth - 1);
    unmake(position, move, undo);
  }
  return leaves;
}
