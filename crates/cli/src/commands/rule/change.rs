//! `quorate rule add`, `remove`, `replace` and `params`: other rules for a room.

use std::path::Path;

use data_encoding::BASE64;
use quorate_node::model::{ChangeRules, RuleOperation, RuleVector};
use quorate_types::limits::MAX_TEST_VECTORS;

use super::ls::room_of;
use super::module::{Module, Named};
use super::params_of;
use super::project::Project;
use crate::args::{RuleAddArgs, RuleChangeArgs, RuleParamsArgs, RuleRemoveArgs, RuleReplaceArgs, Wait};
use crate::commands::submitted;
use crate::context::Context;
use crate::output::Output;
use crate::stop::Outcome;
use crate::text;

/// What is not done when a module is refused.
const NOTHING: &str = "nothing was appended";

/// `quorate rule add STREAM FILE[:NAME]`.
pub(super) async fn add(args: RuleAddArgs, context: &mut Context) -> Outcome {
    let Named { name, module } = Named::read(&args.module, NOTHING)?;
    module.inspect_for_room(NOTHING)?;
    let params = args.params.as_deref().map(params_of).transpose()?.unwrap_or_default();
    let vectors = vectors_for(&module, &params, &context.output)?;
    let operation = RuleOperation::Install {
        name,
        module: BASE64.encode(module.bytes()),
        params: BASE64.encode(&params),
    };
    change(&args.stream.stream, operation, vectors, args.change, context).await
}

/// `quorate rule remove STREAM RULE`.
pub(super) async fn remove(args: RuleRemoveArgs, context: &mut Context) -> Outcome {
    change(&args.stream.stream, RuleOperation::Remove { rule: args.rule }, vec![], args.change, context).await
}

/// `quorate rule replace STREAM RULE FILE`.
pub(super) async fn replace(args: RuleReplaceArgs, context: &mut Context) -> Outcome {
    let module = Module::read(&args.module)?;
    module.inspect_for_room(NOTHING)?;
    let params = args.params.as_deref().map(params_of).transpose()?;
    let vectors = match &params {
        Some(params) => vectors_for(&module, params, &context.output)?,
        None => vec![],
    };
    let params = params.map(|params| BASE64.encode(&params));
    let operation = RuleOperation::Replace { rule: args.rule, module: BASE64.encode(module.bytes()), params };
    change(&args.stream.stream, operation, vectors, args.change, context).await
}

/// `quorate rule params STREAM RULE JSON`.
pub(super) async fn params(args: RuleParamsArgs, context: &mut Context) -> Outcome {
    let params = BASE64.encode(&params_of(&args.params)?);
    let operation = RuleOperation::Params { rule: args.rule, params };
    change(&args.stream.stream, operation, vec![], args.change, context).await
}

async fn change(
    stream: &str,
    operation: RuleOperation,
    vectors: Vec<RuleVector>,
    args: RuleChangeArgs,
    context: &mut Context,
) -> Outcome {
    let backend = context.backend().await?;
    let info = backend.info(stream).await?;
    room_of(&info)?;
    let wait = args.wait.unwrap_or(Wait::Appended);
    let patience_ms = submitted::patience(&backend, &info, wait, context.timeout).await?;
    let call = submitted::call();
    let change =
        ChangeRules { identity: args.identity, operation, activation: args.at, vectors, patience_ms, call };
    let interrupt = context.interrupt.clone();
    let work = backend.change_rules(&info.name, change);
    let said = submitted::until_interrupted(&backend, &info.name, call, &interrupt, work).await;
    let told = async {
        let said = said?;
        submitted::tell(&said, wait, &interrupt, &mut context.output)?;
        if wait == Wait::Committed {
            submitted::commit(&backend, &info.name, said, (&interrupt, &mut context.output)).await?;
        }
        Ok(())
    };
    let told: Outcome = told.await;
    backend.close().await?;
    told?;
    let ls = context.command(&format!("rule ls {}", text::shell(&info.name)));
    context.output.next(&[ls]);
    Ok(())
}

/// Finds the vectors of a module's project, where it has one that is tried with these params.
fn vectors_for(module: &Module, params: &[u8], output: &Output) -> Outcome<Vec<RuleVector>> {
    let above = Path::new(&module.shown).parent().unwrap_or(Path::new("")).to_path_buf();
    let found =
        [above.clone(), above.join("..")].into_iter().find(|directory| directory.join("rule.json").is_file());
    let Some(directory) = found else { return Ok(vec![]) };
    let project = Project::open(directory, "test")?;
    if project.manifest.vectors.is_empty() {
        return Ok(vec![]);
    }
    if project.params() != params {
        output.note("the vectors of rule.json stay here: they are for other params");
        return Ok(vec![]);
    }
    if project.manifest.vectors.len() > MAX_TEST_VECTORS {
        output.note(&format!("of the vectors of rule.json the first {MAX_TEST_VECTORS} go with the change"));
    }
    let vectors = project.manifest.vectors.iter().take(MAX_TEST_VECTORS).map(|vector| RuleVector {
        author: vector.key,
        payload: BASE64.encode(&vector.payload),
        code: vector.code,
    });
    Ok(vectors.collect())
}
