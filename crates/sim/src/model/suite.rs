//! The searches that are run.

use super::settings::{Bug, Change, Settings};

/// The protocol, in spaces that a debug build searches in seconds: it must hold in each.
pub fn normal() -> Vec<Settings> {
    vec![
        Settings::new(4, 3, 2),
        Settings { seal_last: true, crashes: 2, ..Settings::new(4, 3, 1) },
        Settings::new(5, 3, 1),
        Settings { change: Change::Add, ..Settings::new(4, 3, 1) },
        Settings { change: Change::Remove, ..Settings::new(5, 3, 1) },
    ]
}

/// The protocol in larger spaces, for an optimized build and some minutes.
pub fn large() -> Vec<Settings> {
    vec![
        Settings { seal_last: true, ..Settings::new(4, 3, 2) },
        Settings { crashes: 1, forks: 1, ..Settings::new(4, 3, 2) },
        Settings { forks: 1, ..Settings::new(4, 4, 2) },
        Settings { forks: 1, ..Settings::new(4, 3, 3) },
        Settings { forks: 1, ..Settings::new(5, 3, 2) },
        Settings { forks: 0, change: Change::Add, ..Settings::new(4, 3, 2) },
    ]
}

/// The planted bugs, each where a space without it holds: agreement must break in each.
pub fn planted() -> Vec<(Bug, Settings)> {
    vec![
        (Bug::OnePhase, Settings::new(4, 3, 2)),
        (Bug::Majority, Settings::new(5, 3, 1)),
        (Bug::SendFirst, Settings { seal_last: true, crashes: 2, ..Settings::new(4, 3, 1) }),
        (Bug::SealBeside, Settings { change: Change::Add, ..Settings::new(4, 3, 1) }),
        (Bug::Swap, Settings { change: Change::Add, ..Settings::new(4, 3, 1) }),
    ]
}
