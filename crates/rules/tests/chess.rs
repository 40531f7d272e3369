//! The shipped rule for chess in the engine: whole games, what is refused and why, and what it costs. A second engine finds
//! the same at every call.

#[path = "support/mod.rs"]
mod support;

use std::sync::LazyLock;

use quorate_rules::abi::{Call, CallKind};
use quorate_rules::builtin::{self, Builtin};
use quorate_rules::engine::{Engine, EngineConfig, Rule};
use quorate_rules::limits::GAS_LIMIT_CHECK;
use quorate_rules::verdict::{Outcome, Verdict};
use quorate_types::{Hash, PublicKey};

use support::{Surroundings, assert_same, assert_same_at_hand, second_opinion};

/// A game of the rule's own tests: castling on both wings, a pawn taken in passing, two promotions, mate.
const LONG_GAME: &str = include_str!("../../../rules/chess/tests/long-game.txt");

const WHITE: PublicKey = PublicKey::new([0x11; 32]);
const BLACK: PublicKey = PublicKey::new([0x22; 32]);
const STRANGER: PublicKey = PublicKey::new([0x33; 32]);
const NOBODY: PublicKey = PublicKey::new([0; 32]);

static CHESS: LazyLock<Builtin> = LazyLock::new(|| builtin::named("chess").unwrap());

static RULE: LazyLock<Rule> = LazyLock::new(|| {
    let engine = Engine::new(EngineConfig { instances: 16, ..EngineConfig::default() }).unwrap();
    engine.compile(CHESS.module).unwrap()
});

/// A room with chess as its only rule.
struct Table {
    params: String,
    room: Surroundings,
    index: u64,
    /// The most gas that an action has used.
    most_gas: u64,
}

impl Table {
    fn new(more: &str) -> Self {
        let params = format!(r#"{{"white":"{WHITE}","black":"{BLACK}"{more}}}"#);
        let mut table = Self { params, room: Surroundings::default(), index: 1, most_gas: 0 };
        let init = table.call(CallKind::Init, NOBODY, "");
        assert_eq!(init.verdict, Verdict::Accept);
        assert_eq!(init.writes, []);
        table
    }

    fn from(fen: &str) -> Self {
        Self::new(&format!(r#","fen":"{fen}""#))
    }

    fn call(&mut self, kind: CallKind, author: PublicKey, payload: &str) -> Outcome {
        let call = Call {
            kind,
            flags: 0,
            index: self.index,
            previous: Hash::new([0; 32]),
            author,
            params: self.params.as_bytes(),
            payload: payload.as_bytes(),
            gas: GAS_LIMIT_CHECK.unsigned_abs(),
        };
        let mut other_room = self.room.clone();
        let outcome = RULE.check(&call, &mut self.room);
        assert_same_at_hand(&RULE, &call, &other_room, &outcome);
        assert_same(&outcome, &second_opinion(CHESS.module, &call, &mut other_room), payload);
        outcome
    }

    /// Submits an action; what is accepted is written.
    fn act(&mut self, author: PublicKey, payload: &str) -> Verdict {
        let outcome = self.call(CallKind::Check, author, payload);
        self.most_gas = self.most_gas.max(outcome.gas_used);
        self.index += u64::from(outcome.verdict == Verdict::Accept);
        self.room.apply(&outcome);
        outcome.verdict
    }

    fn refuses(&mut self, author: PublicKey, payload: &str, code: u32, reason: &str) {
        let before = self.room.state.clone();
        assert_eq!(self.act(author, payload), Verdict::Reject { code, reason: reason.to_owned() });
        assert_eq!(self.room.state, before);
    }

    /// Plays moves, white's and black's in turn from the side that is to move.
    fn moves(&mut self, moves: &str) {
        for one in moves.split_whitespace() {
            let author =
                if self.answer(r#"{"board":true}"#).contains(r#""turn":"white""#) { WHITE } else { BLACK };
            assert_eq!(self.act(author, &format!(r#"{{"move":"{one}"}}"#)), Verdict::Accept, "{one}");
        }
    }

    fn answer(&mut self, question: &str) -> String {
        let outcome = self.call(CallKind::Query, NOBODY, question);
        assert_eq!(outcome.verdict, Verdict::Accept);
        outcome.logs.concat()
    }
}

#[test]
fn the_scholars_mate_and_nothing_after_it() {
    let mut table = Table::new("");
    table.refuses(BLACK, r#"{"move":"e7e5"}"#, 3, "it is white's turn");
    table.refuses(STRANGER, r#"{"move":"e2e4"}"#, 2, "only the players may write here");
    table.refuses(WHITE, r#"{"move":"e2e5"}"#, 8, "e2e5 is not a legal move of the pawn on e2");
    table.refuses(WHITE, r#"{"move":"e3e4"}"#, 6, "no piece on e3");
    table.moves("e2e4 e7e5 d1h5");
    table.refuses(BLACK, r#"{"move":"f7f6"}"#, 9, "the king would be in check");
    table.moves("b8c6 f1c4 g8f6 h5f7");
    for author in [WHITE, BLACK] {
        for payload in
            [r#"{"move":"e8f7"}"#, r#"{"resign":true}"#, r#"{"draw":"offer"}"#, r#"{"draw":"accept"}"#]
        {
            table.refuses(author, payload, 4, "the game is over: white mated black");
        }
    }
    let board = table.answer(r#"{"board":true}"#);
    let fen = "r1bqkb1r/pppp1Qpp/2n2n2/4p3/2B1P3/8/PPPP1PPP/RNB1K1NR b KQkq - 0 4";
    assert_eq!(
        board,
        format!(r#"{{"fen":"{fen}","moves":7,"turn":"black","check":true,"last":"h5f7","offer":null,"#)
            + &format!(r#""result":"1-0","end":"white mated black","white":"{WHITE}","black":"{BLACK}"}}"#)
    );
}

#[test]
fn a_long_game() {
    let mut table = Table::new("");
    table.moves(LONG_GAME);
    let board = table.answer(r#"{"board":true}"#);
    assert!(board.contains(r#""fen":"6k1/6Q1/3P4/p3B3/P7/2P5/1K6/8 b - - 22 95","moves":189,"#), "{board}");
    assert!(board.contains(r#""result":"1-0","end":"white mated black""#), "{board}");
    // One value, which begins anew where moves cannot be taken back.
    assert_eq!(table.room.state.len(), 1);
    assert!(table.room.state.values().all(|game| game.len() <= 247));
    assert!(table.most_gas < 200_000, "{} gas", table.most_gas);
}

#[test]
fn a_draw_by_agreement_and_by_repetition() {
    let mut table = Table::new(r#","spectators":true"#);
    table.moves("g1f3 g8f6");
    assert_eq!(table.act(WHITE, r#"{"draw":"offer"}"#), Verdict::Accept);
    assert_eq!(table.act(BLACK, r#"{"draw":"accept"}"#), Verdict::Accept);
    table.refuses(WHITE, r#"{"move":"f3g1"}"#, 4, "the game is over: a draw by agreement");
    assert_eq!(table.act(STRANGER, r#"{"chat":"well played"}"#), Verdict::Accept);

    let mut table = Table::new("");
    table.moves("g1f3 g8f6 f3g1 f6g8 g1f3 g8f6 f3g1 f6g8");
    let over = "the game is over: a draw, the same position for the third time";
    table.refuses(WHITE, r#"{"resign":true}"#, 4, over);
}

#[test]
fn params_that_are_no_game_are_refused() {
    let mut table = Table::new("");
    for (params, code, reason) in [
        (format!(r#"{{"white":"{WHITE}","black":"{WHITE}"}}"#), 20, "white and black have the same key"),
        (
            format!(r#"{{"white":"{WHITE}","black":"{BLACK}","fen":"8/8/8/8/8/8/8/8 w - - 0 1"}}"#),
            21,
            "the start position: one king of white expected, 0 found",
        ),
    ] {
        table.params = params;
        let verdict = table.call(CallKind::Init, NOBODY, "").verdict;
        assert_eq!(verdict, Verdict::Reject { code, reason: reason.to_owned() });
    }
}

/// The dearest action is a move after which nearly two hundred must be looked at, none of which is legal, or one that walks back
/// along a hundred others.
#[test]
fn gas_stays_far_below_the_limit() {
    // Nine queens, and a double check that nothing answers.
    let mut table = Table::from("kn5r/pp3Q2/2Q1Q3/5Q1n/2Q1Q3/3Q4/2Q1Q1B1/6RK b - - 0 1");
    table.moves("h5g3");
    let board = table.answer(r#"{"board":true}"#);
    assert!(board.contains(r#""end":"black mated white""#), "{board}");
    assert!(table.most_gas < 400_000, "mate: {} gas", table.most_gas);

    // The position with the most moves there are.
    let mut table = Table::from("R6R/3Q4/1Q4Q1/4Q3/2Q4Q/Q4Q2/pp1Q4/kBNN1KB1 w - - 0 1");
    let legal = table.call(CallKind::Query, NOBODY, r#"{"legal":true}"#);
    assert_eq!(legal.logs.concat().matches(',').count(), 217);
    assert!(legal.gas_used < 2_000_000, "list of moves: {} gas", legal.gas_used);
    table.moves("f1f2");
    assert!(table.most_gas < 200_000, "most moves: {} gas", table.most_gas);

    // A hundred moves without a capture: the whole way back is compared.
    let mut table = Table::from("7k/8/8/8/8/8/8/R6K w - - 0 1");
    table.moves(&fifty_moves());
    assert!(table.answer(r#"{"board":true}"#).contains("fifty moves"));
    assert!(table.most_gas < 200_000, "fifty moves: {} gas", table.most_gas);

    // Long strings where short ones belong.
    let mut table = Table::new(r#","spectators":true"#);
    for name in ["move", "chat"] {
        assert!(matches!(
            table.act(WHITE, &format!(r#"{{"{name}":"{}"}}"#, "x".repeat(12_000))),
            Verdict::Reject { .. }
        ));
    }
    assert!(table.most_gas < 1_000_000, "long strings: {} gas", table.most_gas);
}

/// The rook goes along six ranks, back and forth, then the king takes fifteen steps; black waits in the corner.
fn fifty_moves() -> String {
    let ranks = (1..=6).flat_map(|rank| {
        let files = if rank % 2 == 1 { "abcdef" } else { "fedcba" };
        files.chars().map(move |file| format!("{file}{rank}"))
    });
    let rook: Vec<String> = ranks.collect();
    let king: Vec<String> =
        "h1 h2 h3 h4 g4 f4 e4 d4 c4 b4 b3 c3 d3 e3 f3 g3".split(' ').map(str::to_owned).collect();
    let steps = |squares: &[String]| squares.windows(2).map(|pair| pair.concat()).collect::<Vec<_>>();
    let white = [steps(&rook), steps(&king)].concat();
    let both = white
        .iter()
        .enumerate()
        .map(|(i, one)| format!("{one} {}", if i % 2 == 0 { "h8g8" } else { "g8h8" }));
    both.collect::<Vec<_>>().join(" ")
}
