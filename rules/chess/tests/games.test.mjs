// Whole games.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { Chess } from "chess.js";
import { Table } from "./table.mjs";

test("the scholar's mate", () => {
  const table = new Table().moves("e2e4 e7e5 d1h5 b8c6 f1c4 g8f6 h5f7");
  assert.equal(table.board().fen, "r1bqkb1r/pppp1Qpp/2n2n2/4p3/2B1P3/8/PPPP1PPP/RNB1K1NR b KQkq - 0 4");
  table.over("1-0", "white mated black");
});

test("Morphy at the opera", () => {
  const table = new Table().moves(
    "e2e4 e7e5 g1f3 d7d6 d2d4 c8g4 d4e5 g4f3 d1f3 d6e5 f1c4 g8f6 f3b3 d8e7 b1c3 c7c6 c1g5 b7b5 c3b5 c6b5 c4b5 b8d7 " +
      "e1c1 a8d8 d1d7 d8d7 h1d1 e7e6 b5d7 f6d7 b3b8 d7b8 d1d8",
  );
  assert.equal(table.board().fen, "1n1Rkb1r/p4ppp/4q3/4p1B1/4P3/8/PPP2PPP/2K5 b k - 1 17");
  table.over("1-0", "white mated black");
});

test("a long game with castling on both wings, a pawn taken in passing, and two promotions", async () => {
  const moves = (await readFile(new URL("long-game.txt", import.meta.url), "utf8")).trim().split(/\s+/);
  const other = new Chess();
  const flags = new Set();
  const table = new Table();
  for (const move of moves) {
    table.moves(move);
    for (const flag of other.move(move).flags) flags.add(flag);
    assert.equal(table.board().fen, other.fen());
  }
  // Castling on the king's and the queen's side, in passing, promotion, a step of two, a capture.
  for (const flag of "kqepbc") assert.ok(flags.has(flag), flag);
  assert.equal(moves.filter((move) => move.length === 5).length, 2);
  assert.deepEqual([table.board().fen, table.board().moves], ["6k1/6Q1/3P4/p3B3/P7/2P5/1K6/8 b - - 22 95", 189]);
  table.over("1-0", "white mated black");
});
