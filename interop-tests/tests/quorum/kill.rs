//! Validators and hosts that are killed (SIGKILL), at any moment and at their syncs, while a client goes on paying; its
//! own node among them.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use quorate_interop_tests::Chance;
use serde_json::json;

use crate::bank::{Bank, MEMBERS, Outcome};
use crate::history::History;
use crate::strace::{Boundary, is_installed, kill_traced};
use crate::with_seed;

/// Kills where nothing else is said.
const KILLS: u64 = 16;

/// The member that speaks, which hosts nothing.
const CLIENT: usize = 3;

/// Time that a payment waits for its commit, seconds.
const WAIT: u64 = 20;

/// Time that a member has to get to its boundary.
const AT_A_SYNC: Duration = Duration::from_secs(3);

/// Time in which everything comes to rest when nobody is killed any more: another host may have to follow.
const REST: Duration = Duration::from_secs(90);

/// What was told to a client.
struct Told {
    index: u64,
    payload: serde_json::Value,
}

#[test]
fn whoever_is_killed_signs_nothing_twice_and_forgets_nothing() -> Result<()> {
    with_seed(KILLS, |seed, kills| {
        if !is_installed() {
            println!("strace is not installed: nobody is killed at a sync, but at any other moment");
        }
        let mut chance = Chance::new(seed);
        let mut bank = Bank::open(None)?;
        let mut told: Vec<Told> = Vec::new();
        let mut open = Vec::new();
        let mut last = vec![History::default(); MEMBERS];
        let (mut committed, mut at_sync) = (0, 0);
        for kill in 0..kills {
            // The node through which the client speaks among them: what it does not know to be refused it says again.
            let victim = chance.within(0..MEMBERS as u64) as usize;
            let boundary = Boundary::choose(&mut chance).filter(|_| !chance.one_in(3));
            if let Some(boundary) = &boundary {
                trace(&mut bank, victim, boundary)?;
            }
            // The issuer says something, and somebody dies meanwhile.
            let payload = json!({ "mint": { "to": bank.members[1].key, "amount": kill + 1 } });
            let mut said = bank.say(CLIENT, &payload, WAIT)?;
            let process = bank.members[victim].process.as_mut().context("it runs")?;
            let died = boundary.is_some() && process.wait(AT_A_SYNC).is_ok();
            at_sync += u64::from(died);
            if !died {
                thread::sleep(chance.time(Duration::from_millis(700)));
                kill_traced(process.id());
                process.kill()?;
            }
            bank.until_gone(victim)?;
            // Whoever speaks without a node of its own is one, and has the home for itself.
            let early = if victim == CLIENT { Some(Bank::outcome(&mut said)?) } else { None };
            let stderr = bank.members[victim].process.as_ref().map(|process| process.stderr());
            ensure!(!stderr.unwrap_or_default().contains("panicked"), "kill {kill}: member {victim}");
            // As it lies there now, it is whole.
            look(&bank, victim, &mut last).with_context(|| format!("kill {kill} of member {victim}"))?;
            bank.start(victim, None)?;
            let outcome = early.map_or_else(|| Bank::outcome(&mut said), Ok);
            match outcome.with_context(|| format!("kill {kill} of member {victim}"))? {
                Outcome::Committed { index, .. } => {
                    committed += 1;
                    told.push(Told { index, payload });
                }
                Outcome::Open => open.push(payload),
                Outcome::Refused => bail!("kill {kill}: {payload} was refused"),
            }
        }
        // When all run again, the room goes on, and nobody has lost anything.
        let payload = json!({ "mint": { "to": bank.members[0].key, "amount": 1_000_000 } });
        let until = Instant::now() + REST;
        let length = loop {
            match Bank::outcome(&mut bank.say(CLIENT, &payload, WAIT)?)? {
                Outcome::Committed { index, length } => {
                    told.push(Told { index, payload });
                    break length;
                }
                outcome => ensure!(Instant::now() < until, "the room does not go on: {outcome:?}"),
            }
        };
        for at in 0..MEMBERS {
            bank.until_committed(at, length, REST)?;
            look(&bank, at, &mut last)?;
            for told in &told {
                let entry =
                    last[at].at(told.index).with_context(|| format!("{:?} at member {at}", told.payload))?;
                ensure!(entry.payload == told.payload, "expected {}, found {entry:?}", told.payload);
            }
            for payload in told.iter().map(|told| &told.payload).chain(&open) {
                let count = last[at].entries().iter().filter(|entry| entry.payload == *payload).count();
                ensure!(count <= 1, "{payload} stands there {count} times, as member {at} reads");
            }
        }
        for (at, history) in last.iter().enumerate() {
            history.agrees_with(&last[0]).with_context(|| format!("members 0 and {at}"))?;
        }
        let epoch = bank.quorum(3)?["epoch"].clone();
        println!(
            "{kills} kills, {at_sync} of them at a sync or a send; {committed} payments were committed meanwhile, none \
             is lost; of {} nobody could tell, none stands there twice; no evidence, epoch {epoch}",
            open.len()
        );
        Ok(())
    })
}

/// Runs a member that is going to die at its boundary, maybe before it listens.
fn trace(bank: &mut Bank, victim: usize, boundary: &Boundary) -> Result<()> {
    bank.members[victim].process.as_mut().context("it runs")?.kill()?;
    bank.until_gone(victim)?;
    bank.start(victim, Some(&|command| boundary.wrap(command)))?;
    let _ = bank.members[victim].process.as_mut().context("it runs")?.event("listening", AT_A_SYNC);
    Ok(())
}

/// Compares what a member holds with what it held before, and with what is known of votes.
fn look(bank: &Bank, at: usize, last: &mut [History]) -> Result<()> {
    bank.check_votes(at)?;
    let history = bank.read(at)?;
    let before = last[at].entries().len();
    ensure!(
        history.entries().len() >= before,
        "member {at} held {before} committed actions, and now {}",
        history.entries().len()
    );
    history.agrees_with(&last[at])?;
    last[at] = history;
    Ok(())
}
