//! Everybody may act as often as the params say: `{"limit": n}`.

#![no_std]

use quorate_rule::{Call, Code, Json, Reject, Text, Verdict, ensure, rule, slot, state};

// What validators sign: a code keeps its meaning for ever. 1 is the SDK's MALFORMED.

/// The author has acted as often as the params allow.
const TOO_OFTEN: Code = Code::new(2);

rule! { check: check, init: init, needs: [state] }

/// Judges an action. What it puts into the state stays only when every rule of the room accepts.
fn check(call: &Call) -> Verdict {
    let limit = limit(call.params())?;
    let acted = slot("acted/").key(call.author());
    let times = state::number(&acted);
    ensure!(times < limit, TOO_OFTEN, Text::of("you have acted ").number(times).words(" times"));
    state::set_number(acted, times + 1);
    Ok(())
}

/// Looks at the params when the rule is installed, and when they change.
fn init(call: &Call) -> Verdict {
    limit(call.params()).map(drop)
}

fn limit(params: &[u8]) -> Result<u64, Reject> {
    let mut json = Json::new(params);
    let mut limit = None;
    json.object()?;
    while let Some(name) = json.member()? {
        match name {
            "limit" => limit = Some(json.integer()?),
            _ => return Err(json.unknown(name)),
        }
    }
    json.end()?;
    limit.ok_or_else(|| json.refuse("expected a limit"))
}

#[cfg(test)]
mod tests {
    use quorate_rule::testing::Room;

    use super::*;

    #[test]
    fn everybody_acts_as_often_as_the_limit_says() {
        let mut room = Room::new(RULE, r#"{"limit":2}"#);
        assert_eq!(room.act("alice", "one").code, 0);
        assert_eq!(room.act("alice", "two").code, 0);
        let outcome = room.act("alice", "three");
        assert_eq!(
            (outcome.code, outcome.reason.as_str()),
            (TOO_OFTEN.get().into(), "you have acted 2 times")
        );
        assert_eq!(room.act("bob", "one").code, 0);
    }

    #[test]
    fn params_without_a_limit_are_refused() {
        let mut room = Room::new(RULE, r#"{"limit":1}"#);
        for wrong in ["", "{}", r#"{"limit":-1}"#, r#"{"limit":1,"more":2}"#] {
            assert_eq!(room.install(wrong, true).code, 1, "{wrong}");
        }
    }
}
