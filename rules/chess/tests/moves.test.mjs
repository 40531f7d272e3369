// What pieces may do, and what is said when they may not.

import assert from "node:assert/strict";
import { test } from "node:test";
import { BLACK, Table, WHITE } from "./table.mjs";

test("players move in turn", () => {
  const table = new Table();
  table.refuses(BLACK, { move: "e7e5" }, "turn", "it is white's turn");
  table.moves("e2e4");
  table.refuses(WHITE, { move: "d2d4" }, "turn", "it is black's turn");
  table.moves("e7e5 g1f3");
  assert.deepEqual(
    [table.board().fen, table.board().moves, table.board().last],
    ["rnbqkbnr/pppp1ppp/8/4p3/4P3/5N2/PPPP1PPP/RNBQKB1R b KQkq - 1 2", 3, "g1f3"],
  );
});

test("a move is written as UCI writes it", () => {
  const table = new Table();
  const expected = "a move such as e2e4 or e7e8q is expected";
  for (const move of ["", "e4", "e2-e4", "E2E4", "e2e9", "i2i4", "e2e4x", "e2e4qq", "e2e4 ", " e2e4", "0000", "O-O", "e7e8k", "e2é4"]) {
    table.refuses(WHITE, { move }, "notation", expected);
  }
});

test("a move starts from a piece of one's own", () => {
  const table = new Table();
  table.refusesMove("e3e4", "noPiece", "no piece on e3");
  table.refusesMove("e7e5", "opponentsPiece", "the pawn on e7 is black's");
  table.moves("e2e4");
  table.refusesMove("d1h5", "opponentsPiece", "the queen on d1 is white's");
});

test("each piece moves as it does", () => {
  const table = new Table("4k3/8/8/2p5/3N4/8/BR1Q4/4K3 w - - 0 1");
  for (const [move, described] of [
    ["d4d5", "knight on d4"], ["a2c3", "bishop on a2"], ["a2c2", "bishop on a2"], ["b2c3", "rook on b2"],
    ["d2e4", "queen on d2"], ["d2a2", "queen on d2"], ["d2d6", "queen on d2"], ["e1e3", "king on e1"], ["d4d4", "knight on d4"],
  ]) {
    table.refusesMove(move, "illegal", `${move} is not a legal move of the ${described}`);
  }
  for (const move of ["d4b5", "a2g8", "b2b8", "b2c2", "d2h6", "d2a5", "e1f2"]) {
    assert.ok(table.room.check(WHITE, { move }).accepted, move);
  }
});

test("pawns", () => {
  const table = new Table();
  table.refusesMove("e2e5", "illegal", "e2e5 is not a legal move of the pawn on e2");
  table.refusesMove("e2d3", "illegal", "e2d3 is not a legal move of the pawn on e2");
  table.moves("e2e4 d7d5 e4d5 d8d5 b1c3");
  table.refusesMove("e7e4", "illegal", "e7e4 is not a legal move of the pawn on e7");
  table.moves("d5e5");
  table.refusesMove("f2e3", "illegal", "f2e3 is not a legal move of the pawn on f2");
  const blocked = new Table("4k3/8/8/8/p7/N1n5/PPP5/4K3 w - - 0 1");
  blocked.refusesMove("a2a4", "illegal", /pawn on a2/).refusesMove("c2c3", "illegal", /pawn on c2/);
  blocked.refusesMove("c2c4", "illegal", /pawn on c2/).moves("b2c3");
  // A step of two, but not from the first rank of pawns.
  new Table().moves("e2e3 e7e6").refusesMove("e3e5", "illegal", /pawn on e3/);
  // Capturing does not go around the edge of the board.
  new Table("4k3/8/8/p7/7P/8/8/4K3 w - - 0 1").refusesMove("h4a5", "illegal", /pawn on h4/);
});

test("a pinned piece stays in the line", () => {
  const table = new Table("4r1k1/8/8/8/1b6/2N5/4R3/4K3 w - - 0 1");
  table.refusesMove("c3d5", "check", "the king would be in check");
  table.refusesMove("e2d2", "check", "the king would be in check");
  table.moves("e2e8");
  assert.equal(table.board().check, true);
});

test("a check is answered", () => {
  const table = new Table("4k3/8/8/8/4r3/8/3P4/R3K2N w - - 0 1");
  assert.equal(table.board().check, true);
  assert.deepEqual(table.legal(), ["e1d1", "e1f1", "e1f2"]);
  table.refusesMove("d2d4", "check", "the king would be in check");
  table.refusesMove("e1e2", "check", "the king would be in check");
  // Of two checks, neither capture nor block of one is an answer.
  const twice = new Table("4k3/8/8/8/4r3/5n2/8/3QK1R1 w - - 0 1");
  assert.deepEqual(twice.legal(), ["e1f1", "e1f2"]);
  twice.refusesMove("d1f3", "check", "the king would be in check");
});

test("kings stay apart", () => {
  new Table("8/8/8/3k4/8/3K4/8/7R w - - 0 1").refusesMove("d3d4", "check", "the king would be in check");
});

test("castling on both wings", () => {
  const fen = "r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1";
  assert.equal(new Table(fen).moves("e1g1").board().fen, "r3k2r/8/8/8/8/8/8/R4RK1 b kq - 1 1");
  assert.equal(new Table(fen).moves("e1c1").board().fen, "r3k2r/8/8/8/8/8/8/2KR3R b kq - 1 1");
  assert.equal(new Table(fen).moves("e1e2 e8g8").board().fen, "r4rk1/8/8/8/8/8/4K3/R6R w - - 2 2");
  assert.equal(new Table(fen).moves("e1e2 e8c8").board().fen, "2kr3r/8/8/8/8/8/4K3/R6R w - - 2 2");
});

test("castling is over once king or rook has moved, or the rook was taken", () => {
  const fen = "r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1";
  new Table(fen).moves("e1d1 a8b8 d1e1 b8a8")
    .refusesMove("e1g1", "illegal", "white may no longer castle kingside")
    .refusesMove("e1c1", "illegal", "white may no longer castle queenside")
    .moves("a1b1").refusesMove("e8c8", "illegal", "black may no longer castle queenside").moves("e8g8");
  new Table(fen).moves("h1g1 e8e7 g1h1 e7e8").refusesMove("e1g1", "illegal", /kingside/).moves("e1c1");
  // The rook that takes and the rook that is taken both lose the right; another rook does not bring it back.
  const taken = new Table("r3k2r/8/8/8/8/8/8/R3K2R b KQkq - 0 1").moves("h8h1");
  assert.equal(taken.board().fen.split(" ")[2], "Qq");
  const again = new Table("4k3/8/8/8/8/8/R5b1/4K2R b K - 0 1").moves("g2h1 a2h2 h1a8 h2h1 e8e7");
  again.refusesMove("e1g1", "illegal", "white may no longer castle kingside");
});

test("castling needs an empty way", () => {
  const table = new Table("rn2k1nr/8/8/8/8/8/8/RN2KB1R w KQkq - 0 1");
  table.refusesMove("e1g1", "illegal", "a piece stands between king and rook");
  // A knight beside the rook, on a square that the king does not cross.
  table.refusesMove("e1c1", "illegal", "a piece stands between king and rook");
  table.moves("a1a2").refusesMove("e8g8", "illegal", "a piece stands between king and rook");
});

test("castling not out of, across or into check", () => {
  new Table("4k3/8/8/8/4r3/8/8/R3K2R w KQ - 0 1").refusesMove("e1g1", "illegal", "the king may not castle out of check");
  const across = new Table("3rkr2/8/8/8/8/8/8/R3K2R w KQ - 0 1");
  across.refusesMove("e1g1", "illegal", "the king may not castle across f1, which is attacked");
  across.refusesMove("e1c1", "illegal", "the king may not castle across d1, which is attacked");
  const into = new Table("2r1k1r1/8/8/8/8/8/8/R3K2R w KQ - 0 1");
  into.refusesMove("e1g1", "check", "the king would be in check").refusesMove("e1c1", "check", "the king would be in check");
  // A rook may be attacked, and may pass an attacked square.
  new Table("1r2k2r/8/8/8/8/8/8/R3K2R w KQ - 0 1").moves("e1c1");
  // A pawn attacks the square that it does not stand on.
  new Table("4k3/8/8/8/8/8/6p1/R3K2R w KQ - 0 1").refusesMove("e1g1", "illegal", /across f1/).moves("e1c1");
});

test("taking in passing, at once or never", () => {
  const table = new Table().moves("e2e4 a7a6 e4e5 d7d5");
  assert.equal(table.board().fen, "rnbqkbnr/1pp1pppp/p7/3pP3/8/8/PPPP1PPP/RNBQKBNR w KQkq d6 0 3");
  const taken = new Table().moves("e2e4 a7a6 e4e5 d7d5 e5d6");
  assert.equal(taken.board().fen, "rnbqkbnr/1pp1pppp/p2P4/8/8/8/PPPP1PPP/RNBQKBNR b KQkq - 0 3");
  table.moves("h2h3 h7h6").refusesMove("e5d6", "illegal", "e5d6 is not a legal move of the pawn on e5");
  // Not after a single step, and not with a piece.
  new Table().moves("e2e4 d7d6 e4e5 a7a6 a2a3 d6d5").refusesMove("e5d6", "illegal", /pawn on e5/);
  const black = new Table().moves("a2a3 d7d5 a3a4 d5d4 e2e4 d4e3");
  assert.equal(black.board().fen, "rnbqkbnr/ppp1pppp/8/8/P7/4p3/1PPP1PPP/RNBQKBNR w KQkq - 0 4");
});

test("taking in passing opens two squares of a rank at once", () => {
  const table = new Table("8/8/8/8/k2Pp2Q/8/8/3K4 b - d3 0 1");
  assert.equal(table.board().fen, "8/8/8/8/k2Pp2Q/8/8/3K4 b - - 0 1");
  table.refusesMove("e4d3", "check", "the king would be in check").moves("e4e3");
  // It answers a check of the pawn that has just moved.
  const answer = new Table("8/8/8/1k6/3p4/8/2P5/4K3 w - - 0 1").moves("c2c4");
  assert.equal(answer.board().check, true);
  assert.ok(answer.legal().includes("d4c3"));
});

test("promotion to four pieces, by a step and by a capture", () => {
  const fen = "1n5k/P7/8/8/8/8/p7/1N5K w - - 0 1";
  for (const [letter, piece] of [["q", "Q"], ["r", "R"], ["b", "B"], ["n", "N"]]) {
    assert.equal(new Table(fen).moves(`a7a8${letter}`).board().fen, `${piece}n5k/8/8/8/8/8/p7/1N5K b - - 0 1`);
    assert.equal(new Table(fen).moves(`a7b8${letter}`).board().fen.split(" ")[0], `1${piece}5k/8/8/8/8/8/p7/1N5K`);
    const black = new Table(fen).moves(`a7a8n a2a1${letter}`).board().fen;
    assert.equal(black, `Nn5k/8/8/8/8/8/8/${piece.toLowerCase()}N5K w - - 0 2`);
  }
  const table = new Table(fen);
  table.refusesMove("a7a8", "promotion", "a promotion names its piece: a7a8q, a7a8r, a7a8b or a7a8n");
  table.refusesMove("b1c3q", "promotion", "b1c3 is not a promotion");
  table.refusesMove("a7c8q", "illegal", "a7c8q is not a legal move of the pawn on a7");
  table.refusesMove("a7a8k", "notation", "a move such as e2e4 or e7e8q is expected");
});

test("the position with the most moves", () => {
  assert.equal(new Table("R6R/3Q4/1Q4Q1/4Q3/2Q4Q/Q4Q2/pp1Q4/kBNN1KB1 w - - 0 1").legal().length, 218);
});
