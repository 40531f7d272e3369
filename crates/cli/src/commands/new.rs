//! `quorate new`.

use data_encoding::BASE64;
use quorate_node::model::{Encoding, NewQuorum, NewRoom, NewRule, NewStream};
use serde_json::value::RawValue;

use super::rule::{Named, params_of};
use crate::args::{NamedValidator, NewArgs};
use crate::context::Context;
use crate::stop::{Outcome, Stop};
use crate::text;

/// `quorate new NAME [--encoding E] [--room] [--rule FILE[:NAME]]... [--validator KEY]...`.
pub(crate) async fn new(args: NewArgs, context: &mut Context) -> Outcome {
    let is_room =
        args.room || !args.rules.is_empty() || args.rule_delay.is_some() || !args.validators.is_empty();
    let default = if is_room { Encoding::Json } else { Encoding::Utf8 };
    let encoding = args.encoding.map_or(default, Encoding::from);
    let room = if is_room { Some(room_of(&args)?) } else { None };
    let backend = context.backend().await?;
    let running = backend.is_remote();
    let info = backend.create(NewStream { name: args.name, encoding, room }).await?;
    backend.close().await?;
    let name = text::shell(&info.name);
    if context.output.json {
        context.output.object(&info)?;
    } else {
        context.output.line(&info.link)?;
    }
    context.output.flush()?;
    let first = match encoding {
        _ if is_room && !args.rules.is_empty() => context.command(&first_words(&args.rules, &name)),
        Encoding::Json => context.command(&format!("append {name} '{{\"hello\":\"world\"}}'")),
        Encoding::Utf8 => context.command(&format!("append {name} 'hello world'")),
        Encoding::Binary => context.command(&format!("append {name} --files FILE")),
    };
    let mut next = vec![first];
    if !running {
        next.push(context.command(&format!("share {name}")));
    }
    next.push(format!("quorate clone {} --peer HOST:PORT    # elsewhere; share prints HOST:PORT", info.link));
    context.output.next(&next);
    Ok(())
}

/// Writes the command that appends something which the rules take, as far as that is known: of a rule that is somebody's
/// own only they know it.
fn first_words(rules: &[String], name: &str) -> String {
    let [rule] = rules else { return format!("append {name} MESSAGE") };
    let payload = match rule.strip_prefix("builtin:").and_then(|rule| rule.split(':').next()) {
        Some("rate-limit") => r#"'{"hello":"world"}'"#,
        // Who may say what in these is in their params.
        Some("chess") => r#"'{"move":"e2e4"}' --as WHITE"#,
        Some("ledger") => r#"'{"mint":{"to":"KEY","amount":10}}' --as ISSUER"#,
        _ => "MESSAGE",
    };
    format!("append {name} {payload}")
}

/// What is not done when a module is refused.
const NOTHING: &str = "nothing was made";

/// Puts together the rules of a new room.
fn room_of(args: &NewArgs) -> Outcome<NewRoom> {
    let mut rules = Vec::new();
    let mut modules = Vec::new();
    for rule in &args.rules {
        let Named { name, module } = Named::read(rule, NOTHING)?;
        if rules.iter().any(|other: &NewRule| other.name == name) {
            return Err(Stop::usage(
                format!("expected a name for each rule, found {name} twice"),
                format!("--rule {}:OTHER-NAME", Named::module_of(rule)),
            ));
        }
        let bytes = BASE64.encode(module.bytes());
        rules.push(NewRule { name, module: bytes, params: String::new(), locked: false });
        modules.push(module);
    }
    for module in &modules {
        module.inspect_for_room(NOTHING)?;
    }
    for params in &args.params {
        let (name, json) = which(params, &rules)?;
        let rule = named(&mut rules, &name)?;
        if !rule.params.is_empty() {
            return Err(Stop::usage(
                format!("expected params for {name} once, found them twice"),
                "leave one out",
            ));
        }
        rule.params = BASE64.encode(&params_of(json)?);
    }
    for name in &args.locked {
        named(&mut rules, name)?.locked = true;
    }
    let (mut validators, mut offers) = (Vec::new(), Vec::new());
    for named in &args.validators {
        match named {
            NamedValidator::Key(key) => validators.push(*key),
            NamedValidator::Offer(offer) => offers.push(*offer),
        }
    }
    let quorum = (!args.validators.is_empty()).then(|| NewQuorum {
        validators,
        offers,
        hosts: args.hosts.clone(),
        quorum: args.quorum.unwrap_or(0),
    });
    Ok(NewRoom { rules, rule_delay: args.rule_delay.unwrap_or(0), quorum })
}

/// Tells which rule params are for: that of a name before `=`, or the only one.
fn which<'a>(params: &'a str, rules: &[NewRule]) -> Outcome<(String, &'a str)> {
    if let Some((name, json)) = params.split_once('=')
        && rules.iter().any(|rule| rule.name == name)
    {
        return Ok((name.to_owned(), json));
    }
    match rules {
        [only] if serde_json::from_str::<&RawValue>(params).is_ok() || !params.contains('=') => {
            Ok((only.name.clone(), params))
        }
        _ => {
            let names: Vec<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
            let message = format!("expected NAME=JSON with one of {}, found {params:?}", names.join(", "));
            Err(Stop::usage(message, "--params 'ledger={\"issuer\": \"...\"}'"))
        }
    }
}

fn named<'a>(rules: &'a mut [NewRule], name: &str) -> Outcome<&'a mut NewRule> {
    let names: Vec<String> = rules.iter().map(|rule| rule.name.clone()).collect();
    rules.iter_mut().find(|rule| rule.name == name).ok_or_else(|| {
        let message = format!("expected one of the rules {}, found {name:?}", names.join(", "));
        Stop::usage(message, "--rule FILE:NAME gives a rule its name")
    })
}
