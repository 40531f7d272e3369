//! Voting and handover hold in every state of a bounded space; planted bugs do not.

use quorate_sim::model::{Settings, search, suite};

const THREADS: usize = 2;

#[test]
fn the_protocol_holds_in_the_whole_space() {
    for settings in suite::normal() {
        let found = search(settings, THREADS);
        println!("{found}");
        assert!(found.violations.is_empty(), "{found}");
        let coverage = &found.coverage;
        assert_eq!(coverage.finality.iter().sum::<u64>(), found.states as u64, "{found}");
        assert_eq!(coverage.finality.len(), 4, "{found}");
        assert!(coverage.finality.iter().all(|states| *states > 0), "{found}");
        assert!(
            coverage.handover_with_certificate > 0 && coverage.handover_without_certificate > 0,
            "{found}"
        );
        assert!(coverage.several_bases > 0 && coverage.split_votes > 0, "{found}");
    }
}

#[test]
fn each_planted_bug_breaks_agreement() {
    for (bug, settings) in suite::planted() {
        assert!(suite::normal().contains(&settings), "the space is known to hold without {bug:?}");
        let found = search(settings.with(bug), THREADS);
        println!("{bug:?}: {found}");
        assert!(found.breaks_agreement(), "{bug:?} was not caught: {found}");
    }
}

/// Feeds of no blocks: epochs can be sealed and handed over, and nothing is ever final.
#[test]
fn without_votes_there_is_no_finality() {
    let found = search(Settings { length: 0, ..Settings::new(4, 3, 1) }, THREADS);
    assert_eq!(found.coverage.finality, [found.states as u64, 0, 0, 0], "{found}");
    assert_eq!(found.coverage.handover_with_certificate, 0, "{found}");
}
