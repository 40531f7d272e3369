// Params, who may write, chat, questions, and payloads of no known form.

import assert from "node:assert/strict";
import { test } from "node:test";
import { OPERATION, Room, key } from "quorate-rule/testing";
import { BLACK, CODE, Table, WHITE, params, rule } from "./table.mjs";

const refused = (more, code, reason) => {
  const verdict = new Room(rule).install(more);
  assert.equal(verdict.code, CODE[code], `${verdict.code} ${verdict.reason}`);
  assert.match(verdict.reason, reason);
};

test("params name two different keys", () => {
  refused({}, "malformed", /expected white and black/);
  refused({ white: WHITE }, "malformed", /expected white and black/);
  refused(params({ white: "abc" }), "malformed", /64 lower-case hexadecimal digits/);
  refused(params({ black: WHITE }), "keys", /white and black have the same key/);
  refused(params({ clock: 300 }), "malformed", /unknown member clock/);
  refused(params({ spectators: "yes" }), "malformed", /expected true or false/);
  refused("", "malformed", /expected an object/);
  assert.ok(new Room(rule).install(params()).accepted);
});

test("a start position can stand on a board", () => {
  for (const [fen, reason] of [
    ["", /six fields expected, 1 found/],
    ["8/8/8/8/8/8/8/8 w - - 0 1", /one king of white expected, 0 found/],
    ["4k3/8/8/8/8/8/8/4K2K w - - 0 1", /one king of white expected, 2 found/],
    ["4k3/8/8/8/8/8/4K3 w - - 0 1", /eight ranks of eight squares/],
    ["4k3/8/8/8/8/8/8/8/4K3 w - - 0 1", /eight ranks of eight squares/],
    ["4k4/8/8/8/8/8/8/4K3 w - - 0 1", /eight ranks of eight squares/],
    ["4k2pp/8/8/8/8/8/8/4K3 w - - 0 1", /eight ranks of eight squares/],
    ["4k3/8/8/8/8/8/8/4K2 w - - 0 1", /eight ranks of eight squares/],
    ["4x3/8/8/8/8/8/8/4K3 w - - 0 1", /`x` is not a piece/],
    ["4k2P/8/8/8/8/8/8/4K3 w - - 0 1", /a pawn on h8/],
    ["4k3/8/8/8/8/8/8/p3K3 w - - 0 1", /a pawn on a1/],
    ["4k3/p7/pppppppp/8/8/8/8/4K3 w - - 0 1", /more than 8 pawns of black/],
    ["4k3/8/8/8/8/NNNNNNNN/NNNNNNNN/4K3 w - - 0 1", /more than 16 pieces of white/],
    ["4k3/8/8/8/8/8/8/4K3 x - - 0 1", /`w` or `b` to move expected, `x` found/],
    ["4k3/8/8/8/8/8/8/4R2K w - - 0 1", /black is in check and not to move/],
    ["4k3/8/8/8/8/8/8/R3K2R w QK - 0 1", /castling rights expected, `QK` found/],
    ["4k3/8/8/8/8/8/8/R3K2R w KK - 0 1", /castling rights expected, `KK` found/],
    ["4k3/8/8/8/8/8/8/R3K2R w KX - 0 1", /castling rights expected, `KX` found/],
    ["4k3/8/8/8/8/8/8/R3K2R w  - 0 1", /castling rights expected/],
    ["4k3/8/8/8/8/8/8/R3K2R w KQk - 0 1", /without king and rook in their places/],
    ["4k3/8/8/8/8/8/8/1R2K2R w KQ - 0 1", /without king and rook in their places/],
    ["4k3/8/8/8/8/8/8/R2K3R w Q - 0 1", /without king and rook in their places/],
    ["4k3/8/8/8/4P3/8/8/4K3 b - e4 0 1", /no pawn has passed over `e4`/],
    ["4k3/8/8/8/4P3/8/8/4K3 w - e3 0 1", /no pawn has passed over `e3`/],
    ["4k3/8/8/8/4P3/8/4B3/4K3 b - e3 0 1", /no pawn has passed over `e3`/],
    ["4k3/8/8/8/4P3/8/8/4K3 b - e33 0 1", /no pawn has passed over `e33`/],
    ["4k3/8/8/8/8/8/8/R3K3 w - - 100 80", /0 to 99 half moves expected, `100` found/],
    ["4k3/8/8/8/8/8/8/R3K3 w - - -1 80", /0 to 99 half moves expected, `-1` found/],
    ["4k3/8/8/8/8/8/8/R3K3 w - - 0 0", /a move number expected, `0` found/],
    ["4k3/8/8/8/8/8/8/R3K3 w - - 0 10000", /a move number expected, `10000` found/],
    ["4k3/8/8/8/8/8/8/R3K3 w - - 0 1 ", /six fields expected, 7 found/],
    ["4k3/8/8/8/8/8/8/4K3 w - - 0 1", /is an end: a draw, too little material to mate/],
    ["R5k1/5ppp/8/8/8/8/8/K7 b - - 0 1", /is an end: white mated black/],
    ["7k/8/6Q1/8/8/8/8/K7 b - - 0 1", /is an end: a draw by stalemate/],
  ]) {
    refused(params({ fen }), "start", reason);
  }
  refused(params({ fen: 5 }), "malformed", /expected a string/);
});

test("a start position is played from as it is", () => {
  for (const fen of [
    "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1", "r3k2r/8/8/8/8/8/8/R3K2R b Kq - 5 17",
    "rnbqkbnr/ppp1pppp/8/8/3pP3/8/PPPP1PPP/RNBQKBNR b KQkq e3 0 3", "8/P6k/8/8/8/8/8/K7 w - - 99 9999",
  ]) {
    assert.equal(new Table(fen).board().fen, fen);
  }
  // A passed square is told only when a pawn can take there.
  const told = new Table("rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b KQkq e3 0 1").board().fen;
  assert.equal(told, "rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b KQkq - 0 1");
});

test("a position after black's move counts the number up", () => {
  const table = new Table("4k3/8/8/8/8/8/P7/4K3 b - - 3 40").moves("e8e7");
  assert.equal(table.board().fen, "8/4k3/8/8/8/8/P7/4K3 w - - 4 41");
});

test("a game that was kept goes on with new params", () => {
  const table = new Table().moves("e2e4");
  const other = key("other");
  assert.ok(table.room.install(params({ black: other, spectators: true }), { keepState: true }).accepted);
  table.refuses(BLACK, { move: "e7e5" }, "stranger", "only the players may write here");
  assert.ok(table.room.act(other, { move: "e7e5" }).accepted);
  assert.equal(table.board().moves, 2);
  // The start position is read when a game begins, not later.
  const late = params({ fen: "4k3/8/8/8/8/8/P7/4K3 w - - 0 1" });
  assert.ok(table.room.install(late, { keepState: true }).accepted);
  assert.equal(table.board().moves, 2);
});

test("nobody changes a game that goes on, the players one that is over", () => {
  const table = new Table();
  const swap = { operation: OPERATION.params, aboutThisRule: true, params: { white: BLACK, black: WHITE } };
  const opinion = (author, change) => {
    const { code, reason } = table.room.change(author, change);
    return `${code} ${reason}`.trim();
  };
  assert.equal(opinion("stranger", swap), "2 only the players may change the game");
  assert.equal(opinion(WHITE, swap), "16 the game goes on: its players and its module stay");
  assert.equal(opinion(BLACK, { ...swap, operation: OPERATION.replace }), "16 the game goes on: its players and its module stay");
  assert.equal(opinion("stranger", { operation: OPERATION.install, name: "rate-limit" }), "0");
  table.white({ resign: true });
  assert.equal(opinion(WHITE, swap), "0");
  assert.equal(opinion("stranger", swap), "2 only the players may change the game");
});

test("a state of something else is not taken for a game", () => {
  for (const bytes of [[], [1], [2, ...new Array(46).fill(0)], [1, ...new Array(47).fill(0)], [1, ...new Array(248).fill(0)]]) {
    const room = new Room(rule);
    room.state.set("game", Buffer.from(bytes));
    const verdict = room.install(params(), { keepState: true });
    assert.deepEqual([verdict.code, verdict.reason], [CODE.state, "the state that was kept is not a game of this rule"]);
    assert.ok(room.install(params()).accepted);
  }
});

test("strangers watch", () => {
  const table = new Table();
  for (const payload of [{ move: "e2e4" }, { resign: true }, { draw: "offer" }, { draw: "accept" }, { chat: "hello" }]) {
    table.refuses("stranger", payload, "stranger", "only the players may write here");
  }
  table.refuses(WHITE, { chat: "hello" }, "noChat", "this room has no chat");
});

test("spectators chat where the params say so, also after the end", () => {
  const table = new Table(undefined, { spectators: true });
  const chat = (author) => assert.ok(table.room.act(author, { chat: "hello" }).accepted);
  chat("stranger");
  chat(WHITE);
  table.refuses("stranger", { move: "e2e4" }, "stranger", "only the players may write here");
  table.refuses("stranger", { resign: true }, "stranger", "only the players may write here");
  table.white({ resign: true });
  table.over("0-1", "white resigned");
  chat("stranger");
  chat(BLACK);
  table.refuses("stranger", { chat: "" }, "length", "a message has 1 to 2000 bytes, this one 0");
  table.refuses("stranger", { chat: "ü".repeat(1001) }, "length", "a message has 1 to 2000 bytes, this one 2002");
  assert.ok(table.room.act("stranger", { chat: "ü".repeat(1000) }).accepted);
  // Each byte of a message may be escaped.
  const escaped = `{"chat":"${"\\u0021".repeat(2000)}"}`;
  assert.ok(table.room.act("stranger", escaped).accepted);
  table.refuses("stranger", { chat: "x".repeat(2001) }, "length", "a message has 1 to 2000 bytes, this one 2001");
  table.refuses("stranger", { chat: "x".repeat(60_000) }, "length", "a payload has at most 12288 bytes");
});

test("payloads of no known form", () => {
  const table = new Table(undefined, { spectators: true });
  for (const [payload, reason] of [
    ["", /expected an object/], ["e2e4", /expected an object/], ["{", /expected the name of a member/],
    ["{}", /expected one member: move, resign, draw or chat/], ["[]", /expected an object/],
    ['{"move":"e2e4","move":"d2d4"}', /a member twice/], ['{"move":"e2e4"} ', null], ['{"move":"e2e4"}x', /expected the end/],
    [{ move: "e2e4", chat: "hello" }, /expected one member/], [{ move: 5 }, /expected a string/], [{ castle: "short" }, /unknown member castle/],
    [{ draw: true }, /expected a string/], [{ resign: "yes" }, /expected true or false/], [{ chat: null }, /expected a string/],
    [new Uint8Array([0xff, 0xfe]), /expected an object/],
  ]) {
    if (reason) table.refuses(WHITE, payload, "malformed", reason);
    else assert.ok(table.room.check(WHITE, payload).accepted);
  }
});

test("questions", () => {
  const table = new Table().moves("e2e4 e7e5");
  assert.deepEqual(table.board(), {
    fen: "rnbqkbnr/pppp1ppp/8/4p3/4P3/8/PPPP1PPP/RNBQKBNR w KQkq - 0 2",
    moves: 2, turn: "white", check: false, last: "e7e5", offer: null, result: "*", end: null, white: WHITE, black: BLACK,
  });
  assert.equal(new Table().board().last, null);
  assert.equal(new Table().legal().length, 20);
  for (const question of [{}, { board: false }, { score: true }, { board: true, legal: true }]) {
    const { code, reason } = table.room.ask(question);
    assert.deepEqual([code, reason], [CODE.question, 'expected {"board": true} or {"legal": true}']);
  }
  assert.equal(table.room.ask("board").code, CODE.malformed);
});

test("the state stays small", () => {
  const table = new Table().moves("e2e4 e7e5");
  const size = () => table.room.state.get("game").length;
  assert.equal(size(), 47);
  table.moves("g1f3 g8f6");
  assert.equal(size(), 51);
  table.moves("f3e5");
  assert.equal(size(), 47);
  assert.deepEqual([...table.room.state.keys()], ["game"]);
});
