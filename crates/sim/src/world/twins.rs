//! Twins: hosts and validators that run twice with one key, under every partition of a bounded kind.

use std::time::Duration;

use super::plan::{Cast, Outcome, outcome, settle};
use super::planted::Planted;
use super::rng::Rng;

/// Time for which a partition lasts.
const ROUND: Duration = Duration::from_millis(1_500);

/// A run: who is there twice, and who can talk to whom, round by round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Validators.
    pub validators: usize,
    /// Those who run twice.
    pub twins: Vec<usize>,
    /// For each round the group of each node: validators, then second copies.
    pub rounds: Vec<Vec<u32>>,
}

/// Lists all runs of 4 validators with one of them twice, over so many rounds of two groups: each of the 16 ways to
/// part 5 nodes in each round.
pub fn four(twin: usize, rounds: usize) -> impl Iterator<Item = Case> {
    let ways: Vec<Vec<u32>> = (0..16_u32).map(|bits| (0..5).map(|node| bits >> node & 1).collect()).collect();
    let count = ways.len().pow(rounds as u32);
    (0..count).map(move |number| Case {
        validators: 4,
        twins: vec![twin],
        rounds: (0..rounds).map(|round| ways[number / 16_usize.pow(round as u32) % 16].clone()).collect(),
    })
}

/// Lists runs of 7 validators with two of them twice: where each copy is, and how many of the other five are with the
/// first one: 48 ways in each round. Which of the five is taken from one end in even rounds, from the other in odd ones.
pub fn seven(twins: [usize; 2], rounds: usize) -> impl Iterator<Item = Case> {
    let count = 48_usize.pow(rounds as u32);
    (0..count).map(move |number| {
        let round = |round: usize| {
            let way = number / 48_usize.pow(round as u32) % 48;
            let (bits, with_first) = (way % 8, way / 8);
            let others: Vec<usize> = (0..7).filter(|node| !twins.contains(node)).collect();
            let side = |copy: usize| (copy.checked_sub(1).map_or(0, |bit| bits >> bit & 1)) as u32;
            let mut groups: Vec<u32> = vec![0; 9];
            for (place, node) in [(0, twins[0]), (1, twins[1]), (2, 7), (3, 8)] {
                groups[node] = side(place);
            }
            for (place, node) in others.iter().enumerate() {
                let place = if round.is_multiple_of(2) { place } else { others.len() - 1 - place };
                groups[*node] = u32::from(place >= with_first);
            }
            groups
        };
        Case { validators: 7, twins: twins.to_vec(), rounds: (0..rounds).map(round).collect() }
    })
}

/// Carries out a run.
pub fn run(case: &Case) -> Outcome {
    run_with(case, None)
}

/// Carries out a run of engines with a bug.
pub fn run_with(case: &Case, planted: Option<Planted>) -> Outcome {
    let mut cast = Cast::honest(case.validators);
    cast.planted = planted;
    cast.observers = 0;
    cast.twins = case.twins.clone();
    cast.patience = Duration::from_millis(400);
    let mut world = cast.world(Rng::new(case.validators as u64));
    for node in 0..world.nodes.len() {
        world.start(node);
    }
    for groups in &case.rounds {
        world.coverage.partitions += 1;
        world.partition(groups.clone());
        // In each group somebody wants something.
        for group in 0..2 {
            if let Some(node) = groups.iter().position(|of| *of == group) {
                world.act(node);
            }
        }
        world.run_for(ROUND);
    }
    let is_within = case.twins.len() <= world.room.validators.f();
    settle(&mut world, is_within);
    outcome(world)
}
