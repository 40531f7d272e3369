//! `quorate demo ledger`: somebody pays somebody, and nobody spends what they do not have.

use std::collections::BTreeMap;
use std::time::Instant;

use quorate_node::{Code, Failure};
use serde_json::{Value, json};

use super::child::Stage;
use super::directory;
use super::room::{Room, conclude};
use crate::context::Context;
use crate::stop::Outcome;

/// `quorate demo ledger`.
pub(super) fn ledger(context: &mut Context) -> Outcome {
    let started = Instant::now();
    let directory = directory()?;
    let stage = Stage::open(directory.path(), context)?;
    let people = ["bank", "buyer", "seller"];
    let mut keys = Vec::new();
    let output = &mut context.output;
    let mut room = Room::open(stage, output, "ledger", "ledger", &people, |made| {
        keys = made.to_vec();
        json!({ "issuer": made.first() })
    })?;
    let key =
        |who: &str| people.iter().position(|one| *one == who).and_then(|place| keys.get(place)).cloned();
    let mint = |to: &str, amount: u64| json!({ "mint": { "to": key(to), "amount": amount } });
    let pay = |to: &str, amount: u64| json!({ "transfer": { "to": key(to), "amount": amount } });
    let steps: [(&str, &str, Value); 3] = [
        ("bank", "mints 100 for the buyer", mint("buyer", 100)),
        ("buyer", "pays the seller 60", pay("seller", 60)),
        ("seller", "pays 15 back", pay("buyer", 15)),
    ];
    for (who, what, action) in &steps {
        let height = room.act(who, action)?;
        room.say(&format!("{who:<7} {what:<24} appended at {height}"))?;
    }
    room.refused("buyer", &pay("seller", 56))?;
    room.refused("seller", &mint("seller", 1_000_000))?;
    let balances = balances(&room.read("seller")?)?;
    let expected = [("buyer", 55), ("seller", 45)];
    for (who, amount) in expected {
        let found = key(who).and_then(|key| balances.get(&key).copied()).unwrap_or(0);
        if found != amount {
            let message = format!("expected {who} to have {amount}, found {found}");
            return Err(Failure::new(Code::Internal, message).into());
        }
        room.say(&format!("        {who:<7} has {amount}"))?;
    }
    let report = room.end()?;
    let next = ["new money --rule builtin:ledger --params '{\"issuer\":\"KEY\"}'"];
    conclude(context, report, started, ("everybody agrees who has what", "action"), &next)
}

/// Adds up the actions of a ledger, by key.
fn balances(actions: &[(String, Value)]) -> Outcome<BTreeMap<String, u64>> {
    let mut balances = BTreeMap::new();
    for (author, action) in actions {
        let (paid, from) = match (&action["mint"], &action["transfer"]) {
            (Value::Null, transfer) => (transfer, Some(author)),
            (mint, _) => (mint, None),
        };
        let (Some(to), Some(amount)) = (paid["to"].as_str(), paid["amount"].as_u64()) else {
            return Err(Failure::new(Code::Internal, format!("expected a payment, found {action}")).into());
        };
        if let Some(from) = from {
            let left = balances.get(from).copied().unwrap_or(0_u64).checked_sub(amount);
            let left =
                left.ok_or_else(|| Failure::new(Code::Internal, format!("{from} overdrew: {action}")))?;
            balances.insert(from.clone(), left);
        }
        *balances.entry(to.to_string()).or_insert(0) += amount;
    }
    Ok(balances)
}
