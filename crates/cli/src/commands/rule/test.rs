//! `quorate rule test`: the vectors of a project.

use std::path::PathBuf;

use quorate_node::{Code, Failure};
use quorate_types::limits::MAX_TEST_VECTORS;
use serde::Serialize;

use super::apart;
use super::bench::{Bench, NOBODY};
use super::module::Module;
use super::project::Project;
use super::verdict::Said;
use crate::output::Output;
use crate::stop::Outcome;
use crate::text;

#[derive(Serialize)]
struct Line {
    schema: &'static str,
    index: u64,
    /// As it was written.
    author: Option<String>,
    ok: bool,
    expected: u32,
    #[serde(flatten)]
    said: Said,
}

/// `quorate rule test [DIR]`.
pub(super) async fn test(directory: PathBuf, output: &mut Output) -> Outcome {
    let lines = apart::start(move |hand| {
        let project = Project::open(directory, "test")?;
        let rule = Module::read(&project.module())?.compile()?;
        let mut bench = Bench::begin(rule, project.params())?;
        for (index, vector) in (1..).zip(&project.manifest.vectors) {
            let said = Said::from(bench.judge(index, vector.key.unwrap_or(NOBODY), &vector.payload));
            let (expected, ok) = (vector.code, said.code == Some(vector.code));
            let author = vector.author.clone();
            hand.give(Line { schema: "quorate.vector/1", index, author, ok, expected, said })?;
        }
        Ok(())
    })?;
    let mut count = 0;
    let mut first = None;
    while let Some(line) = lines.next().await? {
        count += 1;
        if output.json {
            output.object(&line)?;
        } else {
            output.line(&line.words(output))?;
        }
        if !line.ok {
            first.get_or_insert(line);
        }
        if lines.is_behind() {
            output.flush()?;
        }
    }
    output.flush()?;
    if let Some(line) = first {
        let found = line.said.words(text::Paint::new(false));
        let message = format!("vector {}: expected {}, found {found}", line.index, expected(line.expected));
        return Err(Failure::new(Code::VectorsFail, message)
            .next(
                "correct the rule or the vector, then \
            quorate rule build",
            )
            .into());
    }
    if count > u64::try_from(MAX_TEST_VECTORS).unwrap_or(u64::MAX) {
        output.note(&format!("a change of rules takes at most {MAX_TEST_VECTORS} vectors, found {count}"));
    }
    output.note(&format!("{}, all as they should be", text::count(count, "vector")));
    Ok(())
}

impl Line {
    fn words(&self, output: &Output) -> String {
        let paint = output.paint;
        let mark = if self.ok { paint.green("ok    ") } else { paint.red("FAILED") };
        let who = text::clean(self.author.as_deref().unwrap_or("nobody"));
        let expected =
            if self.ok { String::new() } else { format!("expected {}, found ", expected(self.expected)) };
        let cost = paint.dim(&format!("({})", self.said.cost()));
        format!("{mark} {:>3}  {who}: {expected}{}  {cost}", self.index, self.said.words(paint))
    }
}

fn expected(code: u32) -> String {
    if code == 0 { "accept".into() } else { format!("reject {code}") }
}
