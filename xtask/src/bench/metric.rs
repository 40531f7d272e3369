//! What is measured, and what is aimed at.

/// One thing that is measured; `interop-tests/js/lib/bench.js` knows the same names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Metric {
    /// Name on the command line, and in our own benchmark.
    pub(super) name: &'static str,
    /// Name in the stock peers' benchmark; `None` where they have nothing to compare with.
    pub(super) stock: Option<&'static str>,
    /// What one run does.
    pub(super) what: &'static str,
    /// Which member of the measurement is the figure, and its unit.
    pub(super) figure: &'static str,
    /// Unit of the figure.
    pub(super) unit: &'static str,
    /// Which figures are better.
    pub(super) better: Better,
    /// What is aimed at, as a multiple of what hypercore 9 reaches.
    pub(super) target: Option<f64>,
    /// What is aimed at, in the unit of the figure.
    pub(super) aim: Option<f64>,
    /// Another figure of the same run.
    pub(super) also: Option<&'static Metric>,
}

/// Which of two figures is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Better {
    /// The larger one: a rate.
    Higher,
    /// The smaller one: a time.
    Lower,
}

impl Metric {
    /// Tells whether a ratio to hypercore 9 reaches the target; `None` without a target.
    pub(super) fn reaches(&self, ratio: f64) -> Option<bool> {
        self.target.map(|target| self.better.reaches(ratio, target))
    }

    /// Tells whether a figure is what is aimed at; `None` without an aim.
    pub(super) fn is_as_aimed(&self, figure: f64) -> Option<bool> {
        self.aim.map(|aim| self.better.reaches(figure, aim))
    }
}

impl Better {
    fn reaches(self, found: f64, wanted: f64) -> bool {
        match self {
            Self::Higher => found >= wanted,
            Self::Lower => found <= wanted,
        }
    }
}

/// All metrics, in the order in which they run.
pub(super) const METRICS: [Metric; 23] = [
    Metric {
        name: "append",
        stock: Some("append"),
        what: "appends of 1 KiB, one after another",
        figure: "appends_per_s",
        unit: "appends/s",
        better: Better::Higher,
        target: None,
        aim: None,
        also: None,
    },
    Metric {
        name: "append-batch",
        stock: Some("append-batch"),
        what: "batches of 1 000 blocks of 1 KiB",
        figure: "blocks_per_s",
        unit: "blocks/s",
        better: Better::Higher,
        target: Some(3.0),
        aim: None,
        also: None,
    },
    Metric {
        name: "clone-10k-1k",
        stock: Some("clone-10k-1k"),
        what: "10 000 blocks of 1 KiB",
        figure: "blocks_per_s",
        unit: "blocks/s",
        better: Better::Higher,
        target: Some(15.0),
        aim: None,
        also: None,
    },
    Metric {
        name: "clone-100k-1k",
        stock: Some("clone-100k-1k"),
        what: "100 000 blocks of 1 KiB",
        figure: "blocks_per_s",
        unit: "blocks/s",
        better: Better::Higher,
        target: Some(15.0),
        aim: None,
        also: None,
    },
    Metric {
        name: "clone-2k-64k",
        stock: Some("clone-2k-64k"),
        what: "2 000 blocks of 64 KiB",
        figure: "mb_per_s",
        unit: "MB/s",
        better: Better::Higher,
        target: Some(4.0),
        aim: None,
        also: None,
    },
    Metric {
        name: "live-latency",
        stock: Some("live-latency"),
        what: "live append to get, median",
        figure: "p50_ms",
        unit: "ms",
        better: Better::Lower,
        target: Some(0.5),
        aim: None,
        also: None,
    },
    Metric {
        name: "serve-stock-9",
        stock: Some("clone-10k-1k"),
        what: "10 000 of 1 KiB, to hypercore 9",
        figure: "blocks_per_s",
        unit: "blocks/s",
        better: Better::Higher,
        target: Some(1.0),
        aim: None,
        also: None,
    },
    Metric {
        name: "large-feed",
        stock: None,
        what: "open 1 000 000 blocks",
        figure: "open_ms",
        unit: "ms",
        better: Better::Lower,
        target: None,
        aim: Some(100.0),
        also: None,
    },
    Metric {
        name: "rule-checks",
        stock: None,
        what: "ledger rule alone, 1 KiB, one core",
        figure: "checks_per_s",
        unit: "checks/s",
        better: Better::Higher,
        target: None,
        aim: None,
        also: None,
    },
    Metric {
        name: "room-checks",
        stock: None,
        what: "ledger rule and state on disk, one core",
        figure: "checks_per_s",
        unit: "checks/s",
        better: Better::Higher,
        target: None,
        aim: Some(150_000.0),
        also: None,
    },
    Metric {
        name: "room-signatures",
        stock: None,
        what: "signatures of 1 KiB entries, one core",
        figure: "signatures_per_s",
        unit: "entries/s",
        better: Better::Higher,
        target: None,
        aim: None,
        also: None,
    },
    Metric {
        name: "room-replay",
        stock: None,
        what: "100 000 entries of 1 KiB from the disk",
        figure: "s",
        unit: "s",
        better: Better::Lower,
        target: None,
        aim: Some(3.0),
        also: None,
    },
    Metric {
        name: "room-clone",
        stock: None,
        what: "100 000 entries cloned and checked",
        figure: "share",
        unit: "of plain",
        better: Better::Higher,
        target: None,
        aim: Some(0.5),
        also: None,
    },
    Metric {
        name: "meter-cost",
        stock: None,
        what: "meter, of a check by the ledger",
        figure: "percent",
        unit: "%",
        better: Better::Lower,
        target: None,
        aim: Some(5.0),
        also: None,
    },
    Metric {
        name: "meter-cost-chess",
        stock: None,
        what: "meter, of a move of chess",
        figure: "chess_percent",
        unit: "%",
        better: Better::Lower,
        target: None,
        aim: Some(5.0),
        also: None,
    },
    Metric {
        name: "admission",
        stock: None,
        what: "a module of 300 KiB let in",
        figure: "ms",
        unit: "ms",
        better: Better::Lower,
        target: None,
        aim: Some(1000.0),
        also: None,
    },
    Metric {
        name: "commit",
        stock: None,
        what: "an action, 4 validators: appended and committed",
        figure: "over_fsyncs_ms",
        unit: "ms beyond 4 fsyncs",
        better: Better::Lower,
        target: None,
        aim: Some(5.0),
        also: None,
    },
    Metric {
        name: "commit-batch",
        stock: None,
        what: "256-byte entries committed, 4 validators",
        figure: "entries_per_s",
        unit: "entries/s",
        better: Better::Higher,
        target: None,
        aim: Some(20_000.0),
        also: None,
    },
    Metric {
        name: "commit-flood",
        stock: None,
        what: "the same while a peer says 10 000 votes/s with bad signatures",
        figure: "median_ms",
        unit: "ms",
        better: Better::Lower,
        target: None,
        aim: None,
        also: None,
    },
    Metric {
        name: "evidence",
        stock: None,
        what: "a fork at 1 000 000 blocks is checked",
        figure: "check_ms",
        unit: "ms",
        better: Better::Lower,
        target: None,
        aim: Some(1.0),
        also: None,
    },
    Metric {
        name: "archive-5k-files",
        stock: None,
        what: "an archive of 5 000 files of 2 KiB, ours to ours",
        figure: "times",
        unit: "times as fast as dat 13",
        better: Better::Higher,
        target: None,
        aim: Some(5.0),
        also: Some(&SMALL_FILES_OF_DAT),
    },
    Metric {
        name: "archive-300-mb",
        stock: None,
        what: "an archive of one file of 300 MB, ours to ours",
        figure: "times",
        unit: "times as fast as dat 13",
        better: Better::Higher,
        target: None,
        aim: Some(5.0),
        also: Some(&LARGE_FILE_OF_DAT),
    },
    Metric {
        name: "archive-first-byte",
        stock: None,
        what: "from clone to the first byte, of dat 13",
        figure: "share",
        unit: "of what dat 13 takes",
        better: Better::Lower,
        target: None,
        aim: Some(1.0),
        also: None,
    },
];

/// What the clone of dat 13's own archive takes, in the run of `archive-5k-files`.
const SMALL_FILES_OF_DAT: Metric = of_dat("archive-5k-files, of dat 13", "the same archive, of dat 13 to us");

/// The same of `archive-300-mb`.
const LARGE_FILE_OF_DAT: Metric = of_dat("archive-300-mb, of dat 13", "the same file, of dat 13 to us");

const fn of_dat(name: &'static str, what: &'static str) -> Metric {
    Metric {
        name,
        stock: None,
        what,
        figure: "times_of_dat",
        unit: "times as fast as dat 13",
        better: Better::Higher,
        target: None,
        aim: Some(5.0),
        also: None,
    }
}

/// Names the metrics, for messages.
pub(super) fn names() -> String {
    METRICS.map(|metric| metric.name).join(", ")
}
