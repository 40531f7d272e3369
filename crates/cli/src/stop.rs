//! Why a command ends, the exit code of it, and how it is told.

use std::io::Write;

use quorate_node::{Code, Failure, FailureKind};
use serde::Serialize;

use crate::output::Output;
use crate::text::{self, Paint};

/// Exit code of an interrupted command.
pub(crate) const INTERRUPTED: u8 = 130;

/// Why a command ends before its work is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Something went wrong.
    Failed(Failure),
    /// The rules of a room, or what rooms take, refuse what was to be appended.
    Refused {
        /// Who refuses it and why.
        failure: Failure,
        /// Rule and height: `rule 3f9a1c07, height 3`.
        place: String,
        /// Actions of the same command that were appended before it.
        before: u64,
    },
    /// Ctrl-C, or a request to terminate.
    Interrupted,
    /// Evidence holds: what was asked for was found and told, and has an exit code of its own.
    Holds,
    /// Nobody reads standard output any more: a quiet end, and no failure.
    Pipe,
}

/// What a command returns.
pub(crate) type Outcome<T = ()> = Result<T, Stop>;

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Stop {
    /// Makes the end of a failure of the operating system.
    pub(crate) fn io(doing: impl std::fmt::Display, error: &std::io::Error) -> Self {
        Self::Failed(Failure::new(Code::Io, format!("{doing}: {error}")))
    }

    /// Makes the end of a wrong request.
    pub(crate) fn usage(message: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Failed(Failure::new(Code::BadRequest, message).next(next))
    }

    /// Names the home in the commands to type next.
    pub(crate) fn on_home(self, output: &Output) -> Self {
        let named = |failure: Failure| {
            let next = failure.next.map(|next| output.on_home(&next));
            Failure { next, ..failure }
        };
        match self {
            Self::Failed(failure) => Self::Failed(named(failure)),
            Self::Refused { failure, place, before } => {
                Self::Refused { failure: named(failure), place, before }
            }
            other => other,
        }
    }

    /// Says that so many more actions were appended before what is refused.
    pub(crate) fn after(self, more: u64) -> Self {
        match self {
            Self::Refused { failure, place, before } => {
                Self::Refused { failure, place, before: before.saturating_add(more) }
            }
            other => other,
        }
    }

    /// Returns the exit code.
    pub(crate) fn exit(&self) -> u8 {
        match self {
            Self::Failed(failure) | Self::Refused { failure, .. } => exit_of(failure.kind()),
            Self::Interrupted => INTERRUPTED,
            Self::Holds => exit_of(FailureKind::Fork),
            Self::Pipe => 0,
        }
    }

    /// Tells the failure on standard error.
    pub(crate) fn report(&self, json: bool, paint: Paint) {
        let text = match self {
            Self::Failed(failure) | Self::Refused { failure, .. } if json => as_json(failure),
            Self::Failed(failure) => as_text(failure, paint),
            Self::Refused { failure, place, before } => refused_text(failure, place, *before, paint),
            Self::Interrupted | Self::Holds | Self::Pipe => return,
        };
        // Where standard error is closed there is nobody left to tell.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
}

/// Returns the exit code of a class of failures.
pub(crate) const fn exit_of(kind: FailureKind) -> u8 {
    match kind {
        FailureKind::Other => 1,
        FailureKind::Usage => 2,
        FailureKind::NotFound => 3,
        FailureKind::NoPeers => 4,
        FailureKind::RefusedByRule => 5,
        FailureKind::NotCommitted => 6,
        FailureKind::Fork => 7,
        FailureKind::NotWritable => 8,
        FailureKind::Storage => 9,
        FailureKind::OtherWire => 10,
    }
}

fn as_text(failure: &Failure, paint: Paint) -> String {
    let mut out = format!(
        "{} {}  {}\n",
        paint.red("error:"),
        text::clean(&failure.message),
        paint.dim(&format!("({})", failure.code))
    );
    let next = match &failure.next {
        Some(next) => text::clean_lines(next),
        None => format!("quorate explain {}", failure.code),
    };
    for (position, line) in next.lines().enumerate() {
        let head = if position == 0 { "next:" } else { "     " };
        out.push_str(&format!("{} {line}\n", paint.dim(head)));
    }
    out
}

fn refused_text(failure: &Failure, place: &str, before: u64, paint: Paint) -> String {
    let mark = paint.dim(&format!("({}, {})", failure.code, text::clean(place)));
    let appended = match before {
        0 => "nothing was appended".to_owned(),
        1 => "1 action before it was appended, and nothing after it".to_owned(),
        many => format!("{many} actions before it were appended, and nothing after it"),
    };
    format!("{}  {mark}\n{appended}\n", paint.red(&text::clean(&failure.message)))
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    schema: &'static str,
    code: &'static str,
    kind: FailureKind,
    message: &'a str,
    next: Option<&'a str>,
    exit: u8,
}

fn as_json(failure: &Failure) -> String {
    let object = ErrorObject {
        schema: "quorate.error/1",
        code: failure.code.as_str(),
        kind: failure.kind(),
        message: &failure.message,
        next: failure.next.as_deref(),
        exit: exit_of(failure.kind()),
    };
    let mut text = serde_json::to_string(&object).expect("an object of strings is JSON");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_of_the_contract_has_its_kind() {
        let exits: Vec<u8> = [
            FailureKind::Other,
            FailureKind::Usage,
            FailureKind::NotFound,
            FailureKind::NoPeers,
            FailureKind::RefusedByRule,
            FailureKind::NotCommitted,
            FailureKind::Fork,
            FailureKind::NotWritable,
            FailureKind::Storage,
            FailureKind::OtherWire,
        ]
        .map(exit_of)
        .to_vec();
        assert_eq!(exits, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(Stop::Pipe.exit(), 0);
        assert_eq!(Stop::Interrupted.exit(), 130);
    }

    #[test]
    fn a_refusal_names_rule_and_height_and_says_that_nothing_was_appended() {
        let failure = Failure::new(Code::RuleRejects, "refused by rule chess: it is black's turn");
        assert_eq!(
            refused_text(&failure, "rule 3f9a1c07, height 3", 0, Paint::plain()),
            "refused by rule chess: it is black's turn  (E3101, rule 3f9a1c07, height 3)\nnothing was appended\n"
        );
        for (before, words) in [(1, "1 action before it was"), (12, "12 actions before it were")] {
            let text = refused_text(&failure, "height 3", before, Paint::plain());
            assert!(text.ends_with(&format!("\n{words} appended, and nothing after it\n")), "{text}");
        }
        let refused = Stop::Refused { failure, place: String::new(), before: 0 };
        assert_eq!(refused.exit(), 5);
        assert!(matches!(refused.after(2), Stop::Refused { before: 2, .. }));
    }

    #[test]
    fn a_failure_names_its_code_and_the_next_step() {
        let failure = Failure::new(Code::StreamNotFound, "expected a stream, found \"x\x1b[2J\"");
        assert_eq!(
            as_text(&failure, Paint::plain()),
            "error: expected a stream, found \"x\\u{1b}[2J\"  (E1001)\nnext: quorate explain E1001\n"
        );
        let failure = Failure::new(Code::Locked, "held").next("stop it\nor wait");
        assert_eq!(as_text(&failure, Paint::plain()), "error: held  (E2001)\nnext: stop it\n      or wait\n");
        assert_eq!(
            as_json(&failure),
            "{\"schema\":\"quorate.error/1\",\"code\":\"E2001\",\"kind\":\"storage\",\"message\":\"held\",\
             \"next\":\"stop it\\nor wait\",\"exit\":9}\n"
        );
    }
}
