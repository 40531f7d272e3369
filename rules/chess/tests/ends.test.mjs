// How games end, and that nothing follows.

import assert from "node:assert/strict";
import { test } from "node:test";
import { BLACK, Table, WHITE } from "./table.mjs";

const REPETITION = "a draw, the same position for the third time";
const FIFTY = "a draw, fifty moves without a capture or a pawn's move";
const MATERIAL = "a draw, too little material to mate";

test("mate", () => {
  new Table().moves("f2f3 e7e5 g2g4 d8h4").over("0-1", "black mated white");
  new Table("6k1/5ppp/8/8/8/8/8/K2R4 w - - 0 1").moves("d1d8").over("1-0", "white mated black");
  // Smothered, by a piece that nothing can take or block.
  new Table("6rk/6pp/8/6N1/8/8/8/K7 w - - 0 1").moves("g5f7").over("1-0", "white mated black");
  // Not mate where a pawn takes in passing.
  new Table("8/8/8/1k6/3p4/8/2P5/4K3 w - - 0 1").moves("c2c4").goesOn();
});

test("stalemate", () => {
  const table = new Table("7k/8/8/6Q1/8/8/8/K7 w - - 0 1").moves("g5g6");
  table.over("1/2-1/2", "a draw by stalemate");
  // With pieces left that are blocked or pinned.
  new Table("k7/p7/P7/8/8/8/8/1R5K w - - 0 1").moves("h1g1").over("1/2-1/2", "a draw by stalemate");
});

test("resignation, in and out of turn", () => {
  const white = new Table();
  white.white({ resign: true });
  white.over("0-1", "white resigned");
  const black = new Table().moves("e2e4 e7e5");
  black.black({ resign: true });
  black.over("1-0", "black resigned");
  new Table().refuses(WHITE, { resign: false }, "malformed", /expected true/);
});

test("a draw by agreement", () => {
  const table = new Table().moves("e2e4");
  table.refuses(BLACK, { draw: "accept" }, "noOffer", "white has not offered a draw");
  table.white({ draw: "offer" });
  assert.equal(table.board().offer, "white");
  table.refuses(WHITE, { draw: "accept" }, "noOffer", "black has not offered a draw");
  table.refuses(WHITE, { draw: "offer" }, "offerStands", "the offer of a draw stands already");
  table.refuses(BLACK, { draw: "offer" }, "offerStands", "white has offered a draw: accept it");
  table.refuses(BLACK, { draw: "maybe" }, "malformed", /expected "offer" or "accept"/);
  table.black({ draw: "accept" });
  table.over("1/2-1/2", "a draw by agreement");
});

test("an offer stands until the opponent moves", () => {
  const table = new Table();
  table.white({ draw: "offer" });
  table.moves("e2e4");
  assert.equal(table.board().offer, "white");
  table.moves("e7e5");
  assert.equal(table.board().offer, null);
  table.refuses(BLACK, { draw: "accept" }, "noOffer", "white has not offered a draw");
  table.black({ draw: "offer" });
  table.refusesMove("e1e3", "illegal", /king on e1/);
  assert.equal(table.board().offer, "black");
  table.white({ draw: "accept" });
  table.over("1/2-1/2", "a draw by agreement");
});

test("the third time of the same position", () => {
  const table = new Table().moves("g1f3 g8f6 f3g1 f6g8 g1f3 g8f6 f3g1").goesOn();
  table.moves("f6g8").over("1/2-1/2", REPETITION);
});

test("the position comes again by other ways", () => {
  new Table().moves("b1c3 g8f6 c3b1 f6g8 b1c3 b8c6 c3b1").goesOn().moves("c6b8").over("1/2-1/2", REPETITION);
  new Table().moves("g1f3 g8f6 f3g5 f6g4 g5f3 g4f6 f3d4 f6d5 d4f3").goesOn().moves("d5f6").over("1/2-1/2", REPETITION);
});

test("the same pieces are not the same position with the other side to move", () => {
  // White loses a move by a triangle: the placement returns, the turn does not.
  const table = new Table("4k3/8/8/8/8/8/4P3/4K3 w - - 0 1");
  table.moves("e1d2 e8d8 d2d1 d8e8 d1e1 e8d8 e1d2 d8e8 d2d1").goesOn();
});

test("the same pieces are not the same position after castling rights were lost", () => {
  const fen = "r3k3/8/8/8/8/8/8/4K2R w Kq - 0 1";
  const table = new Table(fen).moves("h1g1 a8b8 g1h1 b8a8 h1g1 a8b8 g1h1 b8a8").goesOn();
  // The first position had rights, those after each return had none; what lay between had none either.
  table.moves("h1g1").goesOn().moves("a8b8").over("1/2-1/2", REPETITION);
});

test("the same pieces are not the same position where a pawn could be taken in passing", () => {
  const back = "g8f6 g1f3 f6g8 f3g1";
  // Black can take on e3 at first: the second return is the second time without that.
  new Table("rnbqkbnr/ppp1pppp/8/8/3p4/8/PPPPPPPP/RNBQKBNR w - - 0 1").moves(`e2e4 ${back} ${back}`).goesOn()
    .moves("g8f6").over("1/2-1/2", REPETITION);
  // Nobody can take on e3: the position after the step of two counts.
  new Table().moves(`e2e4 ${back} ${back}`).over("1/2-1/2", REPETITION);
  // A pawn stands beside, but pinned: it cannot take, so the position counts.
  const pinned = "8/8/8/8/k2p3Q/8/4P3/4K3 w - - 0 1";
  const turn = "a4a5 h4g4 a5a4 g4h4";
  new Table(pinned).moves(`e2e4 ${turn} ${turn}`).over("1/2-1/2", REPETITION);
});

test("captures and pawns' moves begin the count anew", () => {
  const back = "g1f3 g8f6 f3g1 f6g8";
  const table = new Table().moves(`${back} e2e3`).goesOn().moves(`e7e6 ${back}`).goesOn();
  table.moves(back).over("1/2-1/2", REPETITION);
});

test("fifty moves", () => {
  const table = new Table("4k3/8/8/8/8/8/R7/3K4 w - - 98 80");
  table.moves("a2a3").goesOn().moves("e8e7").over("1/2-1/2", FIFTY);
  // A capture or a pawn's move at the last moment.
  new Table("4k3/8/8/8/8/8/R6p/3K4 w - - 98 80").moves("a2a3 h2h1q").goesOn();
  // Mate at the last moment is mate.
  new Table("6k1/5ppp/8/8/8/8/8/K2R4 w - - 99 90").moves("d1d8").over("1-0", "white mated black");
});

test("fifty whole moves, no position twice", () => {
  // The rook goes along six ranks, back and forth, then the king takes fifteen steps; black waits in the corner.
  const rook = [];
  for (let rank = 1; rank <= 6; rank++) {
    const files = [..."abcdef"];
    for (const file of rank % 2 === 1 ? files : files.reverse()) rook.push(`${file}${rank}`);
  }
  const king = "h1 h2 h3 h4 g4 f4 e4 d4 c4 b4 b3 c3 d3 e3 f3 g3".split(" ");
  const path = (squares) => squares.slice(1).map((to, i) => squares[i] + to);
  const moves = [...path(rook), ...path(king)].flatMap((move, i) => [move, i % 2 === 0 ? "h8g8" : "g8h8"]);
  assert.equal(moves.length, 100);
  const table = new Table("7k/8/8/8/8/8/8/R6K w - - 0 1").moves(moves.slice(0, 99).join(" ")).goesOn();
  table.moves(moves[99]).over("1/2-1/2", FIFTY);
});

test("too little material", () => {
  const endsWith = (fen, move) => new Table(fen).moves(move).over("1/2-1/2", MATERIAL);
  endsWith("4k3/8/8/8/8/8/4p3/4K3 w - - 0 1", "e1e2");
  endsWith("4k3/8/8/8/8/8/4p3/4KB2 w - - 0 1", "e1e2");
  endsWith("4k3/8/8/8/8/8/4p3/4K1N1 w - - 0 1", "e1e2");
  endsWith("4kb2/8/8/8/8/4B3/4p3/4K3 w - - 0 1", "e1e2");
  // Bishops on both colours, two knights, a knight against a bishop, one pawn: a mate can be built.
  for (const fen of [
    "4k1b1/8/8/8/8/4B3/4p3/4K3 w - - 0 1", "4k3/8/8/8/8/8/4p3/1N2K1N1 w - - 0 1", "4k1b1/8/8/8/8/8/4p3/4K1N1 w - - 0 1",
    "4k3/7p/8/8/8/8/4p3/4K3 w - - 0 1", "4k3/8/8/8/8/8/4p3/4KR2 w - - 0 1", "4k1n1/8/8/8/8/8/4p3/4K1N1 w - - 0 1",
  ]) {
    new Table(fen).moves("e1e2").goesOn();
  }
});
