//! Links with a name where others have a key.

use std::time::Duration;

use quorate_node::{AskNames, Code, DatName, Failure, NameSource};
use quorate_types::{Link, LinkError};

use crate::args::ResolveArgs;
use crate::backend::look_up;
use crate::context::Context;
use crate::stop::Outcome;

/// How long one way to a key may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Schemes behind which a name may stand.
const SCHEMES: [&str; 3] = ["dat://", "hyper://", "pear://"];

/// Turns `dat://NAME` into the link with its key; everything else stays as it is.
pub(crate) async fn with_key(link: &str, resolve: &ResolveArgs, context: &Context) -> Outcome<String> {
    let Some((name, version)) = named(link) else { return Ok(link.to_owned()) };
    let ask = resolve.ask();
    if ask == AskNames::default() {
        return Err(Failure::new(
            Code::NameUnknown,
            format!("expected a link with a key, found the name {name}, and names are not looked up: --resolve none"),
        )
        .into());
    }
    let found = look_up(&name, ask, PATIENCE.min(context.timeout)).await?;
    let key = Link { key: found.key, version };
    context.output.note(&match found.by {
        NameSource::WellKnown => format!("{name} is {key}, says its web server"),
        NameSource::Txt => format!("{name} is {key}, says a TXT record, which nothing authenticates"),
    });
    Ok(key.to_string())
}

/// Finds the name in a link that has one and no key.
fn named(link: &str) -> Option<(DatName, Option<u64>)> {
    let has_scheme = SCHEMES.iter().any(|scheme| link.starts_with(scheme));
    match link.parse::<Link>() {
        Err(LinkError::NoKey { .. }) if has_scheme => DatName::from_link(link).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_link_without_a_key_has_a_name() {
        let name = |link: &str| named(link).map(|(name, version)| (name.to_string(), version));
        assert_eq!(name("dat://example.org/x"), Some(("example.org".into(), None)));
        assert_eq!(name("hyper://example.org+3"), Some(("example.org".into(), Some(3))));
        let key = "ab".repeat(32);
        for other in
            ["example.org", "feed", "dat://feed", &format!("dat://{key}"), &format!("dat://x.y/{key}")]
        {
            assert_eq!(name(other), None, "{other}");
        }
    }
}
