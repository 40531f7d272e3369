//! `quorate demo chat`: members talk, and the admin says who is one.

use std::time::Instant;

use serde_json::{Value, json};

use super::child::Stage;
use super::room::{Room, conclude};
use super::{directory, wrong};
use crate::context::Context;
use crate::stop::Outcome;
use crate::text;

/// Who takes part; the first one is the admin.
const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];

/// What happens.
enum Step {
    /// Somebody says something, and it is appended.
    Says(&'static str, &'static str),
    /// Somebody says something, and it is refused for this reason.
    Refused(&'static str, &'static str, &'static str),
    /// The admin makes somebody a member.
    Admits(&'static str),
    /// The admin takes that away.
    Removes(&'static str),
}

const STEPS: [Step; 12] = [
    Step::Admits("bob"),
    Step::Says("alice", "Welcome. Tea at four?"),
    Step::Says("bob", "At four. Shall I bring Carol?"),
    Step::Refused("carol", "I am here already!", "is not a member"),
    Step::Says("alice", "Please do, I let her in."),
    Step::Admits("carol"),
    Step::Says("carol", "Thank you. BUY MY TEA"),
    Step::Says("bob", "Not again."),
    Step::Says("carol", "BUY MY TEA"),
    Step::Removes("carol"),
    Step::Refused("carol", "BUY MY TEA", "is not a member"),
    Step::Says("alice", "Tea for two, then."),
];

/// `quorate demo chat`.
pub(super) fn chat(context: &mut Context) -> Outcome {
    let started = Instant::now();
    let directory = directory()?;
    let stage = Stage::open(directory.path(), context)?;
    let mut keys = Vec::new();
    let output = &mut context.output;
    let mut room = Room::open(stage, output, "chat", "access-control", &PEOPLE, |made| {
        keys = made.to_vec();
        json!({ "admins": [made.first()] })
    })?;
    let key =
        |who: &str| PEOPLE.iter().position(|one| *one == who).and_then(|place| keys.get(place)).cloned();
    room.say("alice is the admin: who is no member does not speak")?;
    let mut said: Vec<(Option<String>, Value)> = Vec::new();
    for step in &STEPS {
        let (who, action, words) = match step {
            Step::Says(who, text) => (*who, json!({ "say": text }), (*text).to_owned()),
            Step::Admits(whom) => (
                "alice",
                json!({ "access": { "add": key(whom), "role": "member" } }),
                format!("makes {whom} a member"),
            ),
            Step::Removes(whom) => {
                ("alice", json!({ "access": { "remove": key(whom) } }), format!("removes {whom}"))
            }
            Step::Refused(who, text, why) => {
                let reason = room.refused(who, &json!({ "say": text }))?;
                if !reason.contains(why) {
                    return Err(wrong(format!("expected that {who} {why}, found {reason}")));
                }
                continue;
            }
        };
        let height = room.act(who, &action)?;
        room.say(&format!("{who:<7} {words:<32} appended at {height}"))?;
        said.push((key(who), action));
    }
    // Whoever was sent away reads on: the room hides nothing.
    for who in PEOPLE {
        let read: Vec<(Option<String>, Value)> = room
            .read_all(who, said.len())?
            .into_iter()
            .map(|(author, action)| (Some(author), action))
            .collect();
        if read != said {
            return Err(wrong(format!("expected all that was said at {who}, found {} of it", read.len())));
        }
    }
    room.say(&format!(
        "all     quorate cat chat: the same {} at everybody",
        text::count(said.len() as u64, "action")
    ))?;
    let report = room.end()?;
    let next = ["key new alice", "new talk --rule builtin:access-control --params '{\"admins\":[\"KEY\"]}'"];
    conclude(context, report, started, ("only members spoke", "action"), &next)
}
