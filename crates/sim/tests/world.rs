//! The engine in the seeded world: chance, twins, attackers, planted bugs. `cargo xtask sim` runs many more seeds.

use std::time::Duration;

use quorate_sim::world::attacks::ATTACKS;
use quorate_sim::world::plan::{Cast, Extras, Outcome, outcome, random, run_twice, settle};
use quorate_sim::world::{Rng, Total, Violation, twins};

fn assert_holds(name: &str, outcome: &Outcome) {
    assert!(outcome.violations.is_empty(), "{name}: {:#?}", outcome.violations);
}

#[test]
fn chance_breaks_nothing() {
    let mut total = Total::default();
    for seed in 1..=40 {
        let outcome = run_twice(seed, |seed| random(seed, Extras::default()));
        assert_holds(&format!("seed {seed}"), &outcome);
        total.add(&outcome.coverage);
    }
    println!("{total}");
    let in_epochs = |least: usize| total.finality.range(least..).map(|(_, runs)| runs).sum::<u64>();
    assert_eq!(in_epochs(1), total.runs, "every run ends with a Final: {total}");
    assert!(in_epochs(2) * 4 > total.runs && in_epochs(3) > 0, "{total}");
    assert!(total.with_handover_with_qc > 0 && total.with_handover_without_qc > 0, "{total}");
    assert!(total.sums.crashes > 0 && total.sums.lost_writes > 0 && total.sums.torn_writes > 0, "{total}");
    assert!(total.sums.traffic.dropped > 0 && total.sums.traffic.reordered > 0, "{total}");
    assert!(!total.with_evidence.is_empty(), "{total}");
}

#[test]
fn attackers_gain_nothing() {
    for attack in ATTACKS {
        let outcome = run_twice(1, |seed| attack.run(seed));
        assert_holds(attack.name, &outcome);
        assert!(outcome.coverage.commits > 0, "{}", attack.name);
    }
}

#[test]
fn twins_of_four_and_of_seven() {
    let four = twins::four(0, 2).step_by(11).chain(twins::four(1, 2).step_by(13));
    let seven = twins::seven([0, 1], 2).step_by(401);
    let mut total = Total::default();
    for case in four.chain(seven) {
        let outcome = run_twice(0, |_| twins::run(&case));
        assert_holds(&format!("{case:?}"), &outcome);
        total.add(&outcome.coverage);
    }
    println!("{total}");
    assert!(total.with_evidence.len() > 1 && total.with_handover_with_qc > 0, "{total}");
}

/// Evidence spreads after a partition, in every case.
#[test]
fn evidence_of_twins_reaches_everyone() {
    let rounds = vec![vec![1, 1, 0, 1, 0], vec![1, 0, 1, 0, 0]];
    let case = twins::Case { validators: 4, twins: vec![1], rounds };
    assert_holds(&format!("{case:?}"), &twins::run(&case));
}

/// Disks that stop syncing for long make no run of nothing else.
#[test]
fn stuck_disks_are_no_end() {
    assert_holds("seed 7142", &random(7142, Extras::default()));
}

/// A validator has sealed with a QC that nobody has any more.
#[test]
fn a_lost_qc_is_no_end() {
    assert_holds("seed 52688", &random(52688, Extras::default()));
}

/// Validators come and go.
#[test]
fn chance_with_changes_breaks_nothing() {
    // 126 leaves a host whose change of validators has a QC; 32 hands over in two ways that disagree about the host;
    // 13824 enters an epoch with two sets of validators, neither of which has a quorum there; in 529 a quorum votes in
    // another start of the epoch than a node has taken; in 1333 a validator to be holds a branch that is not certified.
    for seed in (1..=12).chain([32, 102, 126, 145, 159, 529, 1333, 13824]) {
        let extras = Extras { changes: true, ..Extras::default() };
        assert_holds(&format!("seed {seed}"), &random(seed, extras));
    }
}

/// More validators than may be are faulty: agreement breaks, and the culprits are named.
#[test]
fn broken_agreement_has_names() {
    let is_broken = |violation: &Violation| matches!(violation, Violation::Disagreement { .. });
    // The second copies are 4 and 5. The second round makes histories of different lengths.
    let first = vec![0, 0, 0, 1, 1, 1];
    let mut broken = 0;
    for bits in (0..32_u32).step_by(5) {
        let second = (0..6).map(|node| bits >> node & 1).collect();
        let case = twins::Case { validators: 4, twins: vec![0, 1], rounds: vec![first.clone(), second] };
        let outcome = twins::run(&case);
        broken += u32::from(outcome.violations.iter().any(is_broken));
        let is_expected = |violation: &Violation| {
            is_broken(violation)
                || matches!(violation, Violation::Alarmed { alarm, .. } if alarm.starts_with("Disagreement"))
        };
        let others: Vec<_> = outcome.violations.iter().filter(|violation| !is_expected(violation)).collect();
        assert!(others.is_empty(), "{case:?}: {others:#?}");
    }
    assert_eq!(broken, 7);
}

/// With an honest host: Final in two round trips, two syncs, and the time for which an acknowledgement waits.
#[test]
fn an_action_is_final_in_two_round_trips() {
    let cast = Cast::honest(4);
    let mut world = cast.world(Rng::new(1));
    for node in 0..world.nodes.len() {
        world.start(node);
    }
    world.run_for(Duration::from_secs(1));
    for _ in 0..5 {
        let begin = world.now();
        let action = world.act(0);
        assert!(world.run_until(Duration::from_secs(2), |world| world.nodes[0].done.contains(&action)));
        // The host's own timer for appending is not the protocol's: up to 20 ms.
        let (round_trip, sync, ack, pace) = (10_000, 4_000, 2_000, 20_000);
        let limit = 2 * round_trip + 2 * sync + ack + pace;
        let took = world.now() - begin;
        println!("final after {took} us");
        assert!(took <= limit, "{took} us, limit {limit} us");
        world.run_for(Duration::from_millis(700));
    }
    settle(&mut world, true);
    assert_holds("calm", &outcome(world));
}

/// The host is silent: f+1 hosts that do nothing are left within their patience.
#[test]
fn a_stalled_host_is_left() {
    let mut cast = Cast::honest(7);
    cast.patience = Duration::from_secs(1);
    cast.faulty = vec![0, 1];
    let mut world = cast.world(Rng::new(2));
    for node in 2..world.nodes.len() {
        world.start(node);
    }
    let begin = world.now();
    let action = world.act(3);
    // Patience doubles: 1 s, 2 s; the third host is honest.
    assert!(world.run_until(Duration::from_secs(5), |world| world.is_done(action)), "{:?}", world.coverage);
    println!("final after {} us", world.now() - begin);
    settle(&mut world, true);
    assert_holds("stalled", &outcome(world));
}

#[cfg(feature = "planted-bugs")]
mod planted {
    use super::*;
    use quorate_sim::world::Planted;

    /// Finds a seed that shows the bug in what an application would see, beyond what it shows first.
    fn is_caught(planted: Planted, seeds: std::ops::RangeInclusive<u64>, shows: fn(&Violation) -> bool) {
        for seed in seeds {
            let outcome = random(seed, Extras { planted: Some(planted), ..Extras::default() });
            if let Some(violation) = outcome.violations.iter().find(|violation| shows(violation)) {
                println!("{planted:?}: seed {seed}: {violation:?}");
                return;
            }
        }
        panic!("{planted:?} was not caught");
    }

    #[test]
    fn one_phase_is_caught() {
        is_caught(Planted::OnePhase, 1..=400, |violation| {
            matches!(violation, Violation::Disagreement { .. })
        });
    }

    /// Chance finds it seldom: it takes five validators, and twins among them on both sides.
    #[test]
    fn a_majority_is_caught() {
        let rounds = vec![vec![0, 0, 0, 1, 1, 1]];
        let case = twins::Case { validators: 5, twins: vec![0], rounds };
        assert_holds("without the bug", &twins::run(&case));
        let outcome = twins::run_with(&case, Some(Planted::Majority));
        let shows = |violation: &Violation| matches!(violation, Violation::Disagreement { .. });
        assert!(outcome.violations.iter().any(shows), "{:#?}", outcome.violations);
    }

    #[test]
    fn a_vote_that_is_sent_first_is_caught() {
        let shows: fn(&Violation) -> bool =
            |violation| matches!(violation, Violation::SentBeforeDurable { .. });
        is_caught(Planted::VoteBeforeDurable, 1..=5, shows);
        is_caught(Planted::VoteBeforeDurable, 1..=2000, |violation| {
            matches!(violation, Violation::Contradiction { .. } | Violation::Framed { .. })
        });
    }
}
