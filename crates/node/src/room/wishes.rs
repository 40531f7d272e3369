//! What is asked for in JSON, made into what is signed.

use bytes::Bytes;
use data_encoding::BASE64;
use quorate_stream::identity::{RuleName, RuleNameError};
use quorate_stream::rule_change::TestVector;

use crate::model::{ChangeRules, RuleOperation, RuleVector};
use crate::stream::{ChangeWish, Wish};
use crate::{Code, Failure};

/// Reads bytes that are given in base64.
pub(crate) fn base64(what: &str, text: &str) -> Result<Bytes, Failure> {
    let bytes = BASE64
        .decode(text.as_bytes())
        .map_err(|error| Failure::new(Code::BadRequest, format!("{what}: expected base64: {error}")))?;
    Ok(bytes.into())
}

/// Reads a change of rules.
pub(crate) fn change(change: &ChangeRules) -> Result<Wish, Failure> {
    let vectors = change.vectors.iter().map(vector).collect::<Result<_, _>>()?;
    let wish = match &change.operation {
        RuleOperation::Install { name, module, params } => ChangeWish::Install {
            name: rule_name(name)?,
            module: base64("module", module)?,
            params: base64("params", params)?,
        },
        RuleOperation::Remove { rule } => ChangeWish::Remove { rule: rule.clone() },
        RuleOperation::Replace { rule, module, params } => ChangeWish::Replace {
            rule: rule.clone(),
            module: base64("module", module)?,
            params: params.as_deref().map(|params| base64("params", params)).transpose()?,
        },
        RuleOperation::Params { rule, params } => {
            ChangeWish::Params { rule: rule.clone(), params: base64("params", params)? }
        }
    };
    Ok(Wish::Change { change: wish, activation: change.activation, vectors })
}

fn rule_name(name: &str) -> Result<RuleName, Failure> {
    name.parse().map_err(|error: RuleNameError| {
        Failure::new(Code::BadRuleName, format!("{error}; nothing was appended"))
    })
}

fn vector(vector: &RuleVector) -> Result<TestVector, Failure> {
    Ok(TestVector {
        author: vector.author,
        payload: base64("payload of a test vector", &vector.payload)?,
        code: vector.code,
    })
}
