//! Verdicts, for scripts and for people.

use data_encoding::HEXLOWER;
use quorate_rules::verdict::{Outcome as Judgement, Verdict};
use serde::Serialize;

use crate::text::{self, Paint};

/// What a rule said to an entry, for scripts.
#[derive(Debug, Serialize)]
pub(super) struct Said {
    /// `accept`, `reject` or `unable`.
    verdict: &'static str,
    /// 0 accepts; null where there is no verdict.
    pub(super) code: Option<u32>,
    /// Why not; null where it accepts.
    reason: Option<String>,
    gas: u64,
    /// Bytes of values and blocks that the rule has read.
    reads: u64,
    writes: Vec<Write>,
    logs: Vec<String>,
}

/// A value that was put, or taken away.
#[derive(Debug, Serialize)]
struct Write {
    key: String,
    value: Option<String>,
}

impl From<Judgement> for Said {
    fn from(judgement: Judgement) -> Self {
        let (verdict, code, reason) = match judgement.verdict {
            Verdict::Accept => ("accept", Some(0), None),
            Verdict::Reject { code, reason } => ("reject", Some(code), Some(reason)),
            Verdict::Unable(why) => ("unable", None, Some(why.to_string())),
        };
        let writes = judgement.writes.iter().map(|(key, value)| Write {
            key: HEXLOWER.encode(key),
            value: value.as_ref().map(|value| HEXLOWER.encode(value)),
        });
        Self {
            verdict,
            code,
            reason,
            gas: judgement.gas_used,
            reads: judgement.reads,
            writes: writes.collect(),
            logs: judgement.logs,
        }
    }
}

impl Said {
    /// Writes the verdict for people: `reject 3: it is black's turn`.
    pub(super) fn words(&self, paint: Paint) -> String {
        let reason = text::clean(self.reason.as_deref().unwrap_or_default());
        match self.code {
            Some(0) => paint.green("accept"),
            Some(code) => format!("{}: {reason}", paint.red(&format!("reject {code}"))),
            None => format!("{}: {reason}", paint.yellow("unable")),
        }
    }

    /// Writes what it took: `gas 1200, 40 B read, 1 write`.
    pub(super) fn cost(&self) -> String {
        let mut cost = format!("gas {}", self.gas);
        if self.reads > 0 {
            cost.push_str(&format!(", {} read", text::bytes(self.reads)));
        }
        if !self.writes.is_empty() {
            cost.push_str(&format!(", {}", text::count(self.writes.len() as u64, "write")));
        }
        cost
    }

    /// Lists what the rule has logged, for people.
    pub(super) fn logged(&self) -> impl Iterator<Item = String> {
        self.logs.iter().map(|line| text::clean(line))
    }
}
