// Random games against another implementation: the same legal moves, the same position and the same end at each half move.
//
// CHESS_SEED sets the first seed, CHESS_GAMES how many games there are.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Chess } from "chess.js";
import { chance } from "../../chance.mjs";
import { Table } from "./table.mjs";

const FIRST_SEED = Number(process.env.CHESS_SEED ?? 1);
const GAMES = Number(process.env.CHESS_GAMES ?? 40);

// The initial position often; others that lead soon to castling, promotion, taking in passing and each end.
const STARTS = [
  undefined,
  "r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1",
  "8/2p5/3p4/KP5r/1R3p1k/8/4P1P1/8 w - - 0 1",
  undefined,
  "r3k2r/Pppp1ppp/1b3nbN/nP6/BBP1P3/q4N2/Pp1P2PP/R2Q1RK1 w kq - 0 1",
  "4k3/8/8/8/8/8/8/R3K2R w KQ - 0 1",
  "4k3/pppppppp/8/8/8/8/PPPPPPPP/4K3 w - - 0 1",
  "4k3/8/2b5/8/8/5N2/8/4K3 b - - 30 60",
  "8/8/3k4/8/8/3KQ3/8/8 w - - 0 1",
  "r3k2r/8/8/8/8/8/8/R3K2R b KQkq - 60 50",
  "8/8/8/8/8/1k6/p7/K7 b - - 0 60",
];

const ENDS = {
  "white mated black": (end) => end.mate && end.turn === "b",
  "black mated white": (end) => end.mate && end.turn === "w",
  "a draw by stalemate": (end) => end.stalemate,
  "a draw, too little material to mate": (end) => end.material,
  "a draw, fifty moves without a capture or a pawn's move": (end) => end.fifty,
  "a draw, the same position for the third time": (end) => end.third,
};

const seen = new Set();

for (let seed = FIRST_SEED; seed < FIRST_SEED + GAMES; seed++) {
  test(`game with seed ${seed}`, (t) => {
    const start = STARTS[seed % STARTS.length];
    const { plies, end } = play(seed, start);
    seen.add(end);
    t.diagnostic(`seed ${seed}: ${plies} half moves, ${end}`);
  });
}

// Other games than the usual ones need not show every end.
if (FIRST_SEED === 1 && GAMES >= 40) {
  test("the games end in every way that a position can bring about", () => {
    assert.deepEqual([...seen].sort(), Object.keys(ENDS).sort());
  });
}

function play(seed, fen) {
  const dice = chance(seed);
  const table = new Table(fen);
  const other = new Chess(fen);
  const times = new Map();
  for (let plies = 0; ; plies++) {
    const board = table.board();
    assert.equal(board.fen, other.fen(), `seed ${seed}, half move ${plies}`);
    assert.equal(board.check, other.inCheck());
    // The first four fields are what makes a position: chess.js writes the passed square only where it can be taken on.
    const position = board.fen.split(" ").slice(0, 4).join(" ");
    times.set(position, (times.get(position) ?? 0) + 1);
    const end = endOf(other, times.get(position));
    if (board.end !== null) {
      assert.ok(ENDS[board.end](end), `seed ${seed}, half move ${plies}: ${board.end} in ${board.fen}`);
      assert.deepEqual(table.legal(), []);
      return { plies, end: board.end };
    }
    assert.ok(!Object.values(end).includes(true), `seed ${seed}, half move ${plies}: no end in ${board.fen}`);

    const moves = other.moves({ verbose: true });
    const legal = moves.map(({ lan }) => lan).sort();
    assert.deepEqual(table.legal(), legal, `seed ${seed}, half move ${plies}: ${board.fen}`);
    tryIllegal(table, legal, dice, `seed ${seed}, half move ${plies}: ${board.fen}`);
    const move = choose(moves, seed, dice);
    table.moves(move.lan);
    other.move(move);
  }
}

function endOf(other, times) {
  return {
    mate: other.isCheckmate(),
    stalemate: other.isStalemate(),
    material: other.isInsufficientMaterial(),
    fifty: other.isDrawByFiftyMoves(),
    third: times >= 3,
    turn: other.turn(),
  };
}

// Castling, taking in passing, promotion and mate more often than chance would have them. Every third game takes what it
// can, every third takes as little as it can.
function choose(moves, seed, dice) {
  const mate = moves.find(({ san }) => san.endsWith("#"));
  if (mate && dice.below(2) === 0) return mate;
  const rare = moves.filter(({ flags }) => /[keqp]/.test(flags));
  if (rare.length > 0 && dice.below(3) === 0) return dice.pick(rare);
  const liked = moves.filter(({ captured, piece }) => (seed % 3 === 0 ? captured : seed % 3 === 1 ? !captured && piece !== "p" : true));
  return dice.pick(liked.length > 0 && dice.below(4) > 0 ? liked : moves);
}

function tryIllegal(table, legal, dice, where) {
  const square = () => dice.pick([..."abcdefgh"]) + dice.pick([..."12345678"]);
  const move = square() + square() + (dice.below(8) === 0 ? dice.pick([..."qrbn"]) : "");
  const verdict = table.room.check(table.turn(), { move });
  assert.equal(verdict.accepted, legal.includes(move), `${where}: ${move}, ${verdict.reason}`);
  assert.ok(verdict.code <= 10, `${where}: ${move}: ${verdict.code}`);
}
