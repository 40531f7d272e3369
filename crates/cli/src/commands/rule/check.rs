//! `quorate rule check`: what the gate says to a module, and how big it is.

use std::path::PathBuf;

use quorate_rules::gate::{Inspected, RuleExports, Sizes};
use quorate_rules::limits as most;
use quorate_rules::meter;
use quorate_types::ModuleHash;
use serde::Serialize;

use super::apart;
use super::module::Module;
use crate::output::Output;
use crate::stop::Outcome;
use crate::text;

/// What there is to say about a module that rooms take.
#[derive(Serialize)]
pub(super) struct Report {
    schema: &'static str,
    module: String,
    pub(super) hash: String,
    pub(super) bytes: usize,
    meter: u32,
    metered_hash: String,
    pub(super) metered_bytes: usize,
    exports: Vec<&'static str>,
    imports: Vec<&'static str>,
    functions: u32,
    globals: u32,
    memory_pages: u64,
    table_elements: u64,
    data_bytes: u64,
    operators: u64,
    longest_body_bytes: usize,
    most_operators: u32,
    most_locals: u32,
}

/// `quorate rule check FILE`.
pub(super) async fn check(module: PathBuf, output: &mut Output) -> Outcome {
    let report = apart::once(move || {
        let module = Module::read(&module)?;
        Ok(Report::of(&module.shown, &module.inspect()?))
    })
    .await?;
    if output.json {
        return output.object(&report);
    }
    let well = output.paint.green("rooms take it");
    output.line(&format!("{}: {well}", text::clean(&report.module)))?;
    for line in text::table(&report.rows(), &[]) {
        output.line(&line)?;
    }
    Ok(())
}

impl Report {
    /// Reports on a module that has passed the gate.
    pub(super) fn of(shown: &str, module: &Inspected<'_>) -> Self {
        let metered = meter::meter(module);
        let Sizes {
            module_bytes,
            functions,
            imports: _,
            globals,
            memory_pages,
            table_elements,
            data_bytes,
            longest_body_bytes,
            most_operators,
            most_locals,
            operators,
            flow: _,
        } = module.sizes();
        Self {
            schema: "quorate.module/1",
            module: shown.to_string(),
            hash: module.hash().to_string(),
            bytes: module_bytes,
            meter: metered.version,
            metered_hash: ModuleHash::of(&metered.bytes).to_string(),
            metered_bytes: metered.bytes.len(),
            exports: exports(module.exports()),
            imports: module.imports().to_vec(),
            functions,
            globals,
            memory_pages,
            table_elements,
            data_bytes,
            operators,
            longest_body_bytes,
            most_operators,
            most_locals,
        }
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let size =
            |found: u64, most: u64| format!("{}, of at most {}", text::bytes(found), text::bytes(most));
        let number = |found: u64, most: u64| format!("{found}, of at most {most}");
        let row = |name: &str, value: String| vec![name.to_string(), value];
        vec![
            row("hash", self.hash.clone()),
            row("metered", format!("{} (meter {})", self.metered_hash, self.meter)),
            row("size", size(self.bytes as u64, most::MAX_MODULE_BYTES as u64)),
            row("size metered", text::bytes(self.metered_bytes as u64)),
            row("exports", self.exports.join(" ")),
            row("imports", if self.imports.is_empty() { "none".into() } else { self.imports.join(" ") }),
            row("functions", number(self.functions.into(), most::MAX_FUNCTIONS.into())),
            row("operators", self.operators.to_string()),
            row("longest body", size(self.longest_body_bytes as u64, most::MAX_BODY_BYTES as u64)),
            row("most operators", number(self.most_operators.into(), most::MAX_BODY_OPERATORS.into())),
            row("most locals", number(self.most_locals.into(), most::MAX_LOCALS.into())),
            row("globals", number(self.globals.into(), most::MAX_GLOBALS.into())),
            row("memory pages", number(self.memory_pages, most::MAX_MEMORY_PAGES)),
            row("table elements", number(self.table_elements, most::MAX_TABLE_ELEMENTS)),
            row("data", size(self.data_bytes, most::MAX_DATA_BYTES as u64)),
        ]
    }
}

/// Names what a module exports for a room.
fn exports(has: RuleExports) -> Vec<&'static str> {
    let optional = [
        (has.init, "rule_init"),
        (has.change, "rule_change"),
        (has.query, "rule_query"),
        (has.state, "requires_state"),
        (has.history, "requires_history"),
    ];
    let optional = optional.into_iter().filter(|(has, _)| *has).map(|(_, name)| name);
    ["rule_check"].into_iter().chain(optional).collect()
}
