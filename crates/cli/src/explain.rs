//! The pages behind the codes.

use quorate_node::{Code, Failure, FailureKind};
use serde::Serialize;

use crate::output::Output;
use crate::stop::{Outcome, exit_of};

macro_rules! pages {
    ($($code:literal)*) => {
        const PAGES: &[(&str, &str)] = &[
            $(($code, include_str!(concat!("../../../docs/explain/", $code, ".md"))),)*
        ];
    };
}

pages! {
    "E1001" "E1002" "E1003" "E1004" "E1005" "E1006" "E1007" "E1008" "E1009" "E1010" "E1011"
    "E1012" "E1013" "E1014" "E1020" "E1021" "E1022"
    "E2001" "E2002" "E2003" "E2004" "E2005" "E2006" "E2007"
    "E3001" "E3002" "E3003" "E3004" "E3005" "E3006" "E3007" "E3008" "E3009" "E3010"
    "E3101" "E3102"
    "E3201" "E3202" "E3203" "E3204" "E3205" "E3206" "E3207" "E3208" "E3209" "E3210"
    "E3301" "E3302"
    "E3401" "E3402" "E3403" "E3404" "E3405" "E3410" "E3411" "E3412"
    "E4001" "E4002" "E4003" "E4004" "E4005" "E4006" "E4007" "E4008" "E4009"
    "E5001" "E5002" "E5003" "E5004" "E5005"
    "E6001" "E6002"
    "E9001"
}

#[derive(Serialize)]
struct Explanation {
    schema: &'static str,
    code: &'static str,
    title: &'static str,
    kind: FailureKind,
    exit: u8,
    text: &'static str,
}

impl Explanation {
    fn new(code: Code) -> Self {
        Self {
            schema: "quorate.explanation/1",
            code: code.as_str(),
            title: code.title(),
            kind: code.kind(),
            exit: exit_of(code.kind()),
            text: page(code),
        }
    }
}

/// Returns the page of a code; empty where there is none, which a test rules out.
fn page(code: Code) -> &'static str {
    PAGES.iter().find(|(name, _)| *name == code.as_str()).map_or("", |(_, text)| text.trim_end())
}

/// `quorate explain [CODE]`.
pub(crate) fn explain(code: Option<&str>, output: &mut Output) -> Outcome {
    match code {
        None => list(output),
        Some(text) => {
            let code = Code::parse(text).ok_or_else(|| {
                Failure::new(Code::BadRequest, format!("expected a code such as E1001, found {text:?}"))
                    .next("quorate explain")
            })?;
            show(&Explanation::new(code), output)
        }
    }
}

fn list(output: &mut Output) -> Outcome {
    for code in Code::ALL {
        if output.json {
            output.object(&Explanation::new(*code))?;
        } else {
            output.line(&format!("{code}  exit {:>2}  {}", exit_of(code.kind()), code.title()))?;
        }
    }
    output.next(&["quorate explain CODE".to_string()]);
    Ok(())
}

fn show(page: &Explanation, output: &mut Output) -> Outcome {
    if output.json {
        return output.object(page);
    }
    let title = output.paint.bold(&format!("{}: {}", page.code, page.title));
    output.line(&format!("{title}\n\n{}\n\nExit code {}.", page.text, page.exit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page_and_every_page_a_code() {
        for code in Code::ALL {
            assert!(page(*code).len() > 100, "{code} has no page");
        }
        for (name, text) in PAGES {
            assert!(Code::parse(name).is_some(), "{name} is no code");
            for line in text.lines() {
                assert!(line.chars().count() <= 100, "{name}: a line is too long for a terminal: {line}");
            }
        }
        assert_eq!(PAGES.len(), Code::ALL.len());
    }
}
