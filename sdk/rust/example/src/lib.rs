//! Players take turns. The params name them, in order: `{"players": [key, key, ...]}`. One who says `{"pass": true}`
//! gives the turn on; anything else is a move, whatever it says.

#![no_std]

use quorate_rule::{Answer, Call, Code, Json, Key, Reject, Text, Verdict, ensure, reject, rule, state};

/// The author is no player.
const NO_PLAYER: Code = Code::new(2);
/// It is somebody else's turn.
const NOT_YOUR_TURN: Code = Code::new(3);
/// The last move was a pass, too.
const PASSED_ALREADY: Code = Code::new(4);
/// The question is none that the rule answers.
const QUESTION: Code = Code::new(5);

/// Players that the params may name.
const MOST_PLAYERS: usize = 16;

rule! { check: check, init: init, query: query, needs: [state] }

fn check(call: &Call) -> Verdict {
    let players = Players::read(call.params())?;
    let turn = state::number("turn");
    let Some(place) = players.place(call.author()) else {
        reject!(NO_PLAYER, Text::new().short(call.author()).words(" is no player"));
    };
    let next = players.at(turn);
    ensure!(players.at(place) == next, NOT_YOUR_TURN, Text::of("it is the turn of ").short(next));
    let passes = is_pass(call.payload());
    ensure!(!passes || !state::has("passed"), PASSED_ALREADY, "one pass after another would never end");
    if passes {
        state::set("passed", b"");
    } else {
        state::del("passed");
    }
    state::set_number("turn", turn + 1);
    Ok(())
}

/// The params must be well-formed. Whose turn it is stays when they change.
fn init(call: &Call) -> Verdict {
    Players::read(call.params())?;
    Ok(())
}

/// `"turn"`: whose turn it is.
fn query(call: &Call) -> Answer {
    ensure!(call.payload() == b"\"turn\"", QUESTION, "expected \"turn\"");
    let players = Players::read(call.params())?;
    Ok(Text::of("\"").key(players.at(state::number("turn"))).words("\""))
}

struct Players {
    keys: [Key; MOST_PLAYERS],
    count: usize,
}

impl Players {
    fn read(params: &[u8]) -> Result<Self, Reject> {
        let mut players = Self { keys: [Key::ZERO; MOST_PLAYERS], count: 0 };
        let mut json = Json::new(params);
        json.object()?;
        while let Some(name) = json.member()? {
            if name != "players" {
                return Err(json.unknown(name));
            }
            json.list()?;
            while json.item()? {
                let key = json.key()?;
                if players.count == MOST_PLAYERS || players.place(key).is_some() {
                    return Err(json.refuse("expected at most 16 players, each once"));
                }
                players.keys[players.count] = key;
                players.count += 1;
            }
        }
        json.end()?;
        if players.count < 2 { Err(json.refuse("expected two players or more")) } else { Ok(players) }
    }

    fn place(&self, key: Key) -> Option<u64> {
        self.keys[..self.count].iter().position(|player| *player == key).map(|place| place as u64)
    }

    /// Who has turn number `turn`.
    fn at(&self, turn: u64) -> Key {
        self.keys[(turn % self.count as u64) as usize]
    }
}

/// Tells whether a payload is `{"pass": true}`. What is no JSON is a move like any other.
fn is_pass(payload: &[u8]) -> bool {
    let mut json = Json::new(payload);
    let mut read = || {
        json.object()?;
        let passes = json.member()? == Some("pass") && json.boolean()?;
        json.member()?;
        json.end()?;
        Ok::<_, Reject>(passes)
    };
    read().unwrap_or(false)
}

#[cfg(test)]
mod tests;
