//! `quorate demo chess`: a game between two players, ordered by a host, checked by everybody.

use std::time::Instant;

use quorate_node::{Code, Failure};
use serde_json::json;

use super::board::Board;
use super::child::Stage;
use super::directory;
use super::room::{Room, conclude, payload};
use crate::context::Context;
use crate::stop::Outcome;

/// Paul Morphy against the Duke of Brunswick and Count Isouard, Paris 1858.
const GAME: &str = "e2e4 e7e5 g1f3 d7d6 d2d4 c8g4 d4e5 g4f3 d1f3 d6e5 f1c4 g8f6 f3b3 d8e7 b1c3 c7c6 c1g5 b7b5 c3b5 c6b5 \
                    c4b5 b8d7 e1c1 a8d8 d1d7 d8d7 h1d1 e7e6 b5d7 f6d7 b3b8 d7b8 d1d8";

/// Moves that stand when somebody tries what the rules do not allow.
const TRIED_AFTER: usize = 4;

/// `quorate demo chess`.
pub(super) fn chess(context: &mut Context) -> Outcome {
    let started = Instant::now();
    let directory = directory()?;
    let stage = Stage::open(directory.path(), context)?;
    let output = &mut context.output;
    let mut room = Room::open(
        stage,
        output,
        "chess",
        "chess",
        &["white", "black"],
        |keys| json!({ "white": keys.first(), "black": keys.get(1) }),
    )?;
    let moves: Vec<&str> = GAME.split_whitespace().collect();
    room.say("white and black play; every move is signed, goes to the host, and is judged by the rule")?;
    for (number, uci) in moves.iter().enumerate() {
        if number == TRIED_AFTER {
            room.refused("black", &payload("move", "g4e2"))?;
            room.refused("white", &payload("move", "e4e6"))?;
        }
        let who = if number % 2 == 0 { "white" } else { "black" };
        room.act(who, &payload("move", *uci))?;
    }
    room.refused("black", &payload("move", "e8d8"))?;
    // The position is the one that black has read, not the one that was meant.
    let mut board = Board::new();
    let mut made = Vec::new();
    for (_, action) in room.read("black")? {
        let uci = action["move"].as_str().unwrap_or_default().to_string();
        if !board.make(&uci) {
            return Err(Failure::new(Code::Internal, format!("expected a move, found {action}")).into());
        }
        made.push(uci);
    }
    if made != moves {
        let message = format!("expected the game that was played at black, found {}", made.join(" "));
        return Err(Failure::new(Code::Internal, message).into());
    }
    for (number, pair) in made.chunks(2).enumerate().skip(made.len() / 2 - 1) {
        room.say(&format!("        {}. {}", number + 1, pair.join(" ")))?;
    }
    for line in board.draw() {
        room.say(&line)?;
    }
    room.say("        mate: white has won")?;
    let report = room.end()?;
    let next =
        ["key new white", "new game --rule builtin:chess --params '{\"white\":\"KEY\",\"black\":\"KEY\"}'"];
    conclude(context, report, started, ("a whole game, by the rules", "move"), &next)
}
