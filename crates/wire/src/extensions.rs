//! Extension messages: named in lists, numbered on the wire.
//!
//! Each side sends the sorted list of the names it knows and then uses its own positions as
//! numbers. A number is matched by walking both lists as sorted ones (abstract-extension `match`,
//! sorted-indexof), so a list out of order loses names here exactly as it does in the reference.

use std::cmp::Ordering;

use quorate_types::limits::{MAX_EXTENSION_NAME_BYTES, MAX_EXTENSION_NAMES};

use crate::SessionError;

/// Names that this side knows, sorted.
#[derive(Debug, Clone, Default)]
pub(crate) struct LocalNames(Vec<String>);

/// Names that the other side knows, and which of ours each of them is.
#[derive(Debug, Clone)]
pub(crate) struct RemoteNames {
    names: Vec<String>,
    ours: Vec<Option<usize>>,
}

impl LocalNames {
    /// Sorts the names; an error when there are too many, one is too long, or one is there twice.
    pub(crate) fn new(mut names: Vec<String>) -> Result<Self, SessionError> {
        names.sort_by(|a, b| order(a, b));
        let fault = |found: String| Err(SessionError::ExtensionNames { found });
        if names.len() > MAX_EXTENSION_NAMES {
            return fault(format!("{} names", names.len()));
        }
        if let Some(name) = names.iter().find(|name| name.len() > MAX_EXTENSION_NAME_BYTES) {
            return fault(format!("a name of {} bytes", name.len()));
        }
        if let Some((name, _)) = names.iter().zip(names.iter().skip(1)).find(|(a, b)| a == b) {
            return fault(format!("`{name}` twice"));
        }
        Ok(Self(names))
    }

    /// Returns the names in the order of their numbers.
    pub(crate) fn names(&self) -> &[String] {
        &self.0
    }

    /// Returns the number of a name.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.0.iter().position(|known| known == name).map(|at| at as u64)
    }

    /// Matches the list of the other side.
    pub(crate) fn matched(&self, remote: Vec<String>) -> RemoteNames {
        let mut ours = vec![None; remote.len()];
        let mut local = self.0.iter().enumerate().peekable();
        for (name, slot) in remote.iter().zip(&mut ours) {
            while local.next_if(|(_, known)| order(known, name) == Ordering::Less).is_some() {}
            *slot = local.peek().filter(|(_, known)| *known == name).map(|(at, _)| *at);
        }
        RemoteNames { names: remote, ours }
    }
}

impl RemoteNames {
    /// Returns the names in the order of their numbers.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Tells whether the other side lists a name.
    pub(crate) fn lists(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    /// Returns the name of a number of the other side, when both sides know it.
    pub(crate) fn name<'a>(&self, number: u64, local: &'a LocalNames) -> Option<&'a str> {
        let ours = (*self.ours.get(usize::try_from(number).ok()?)?)?;
        local.0.get(ours).map(String::as_str)
    }
}

/// Orders names as JavaScript does, by UTF-16 units.
fn order(a: &str, b: &str) -> Ordering {
    a.encode_utf16().cmp(b.encode_utf16())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    /// The names that each number of the other side stands for.
    fn matched(local: &[&str], remote: &[&str]) -> Vec<Option<String>> {
        let local = LocalNames::new(names(local)).unwrap();
        let remote = local.matched(names(remote));
        (0..=remote.names().len() as u64).map(|id| remote.name(id, &local).map(str::to_owned)).collect()
    }

    #[test]
    fn numbers_are_those_of_the_sender() {
        let expected = vec![None, Some("b".to_owned()), Some("d".to_owned()), None];
        assert_eq!(matched(&["d", "b", "c"], &["a", "b", "d"]), expected);
        assert_eq!(matched(&[], &["a"]), vec![None, None]);
        assert_eq!(matched(&["a"], &[]), vec![None]);
    }

    #[test]
    fn a_list_out_of_order_loses_names_as_in_the_reference() {
        assert_eq!(matched(&["a", "b"], &["b", "a"]), vec![Some("b".to_owned()), None, None]);
        let twice = vec![Some("a".to_owned()), Some("a".to_owned()), None];
        assert_eq!(matched(&["a", "b"], &["a", "a"]), twice);
    }

    #[test]
    fn the_order_is_that_of_javascript() {
        // U+FF5E is one unit of 16 bits, U+1F600 is two that begin with D83D.
        let local = LocalNames::new(names(&["\u{ff5e}", "\u{1f600}", "z"])).unwrap();
        assert_eq!(local.names(), ["z", "\u{1f600}", "\u{ff5e}"]);
        assert_eq!(local.number("\u{ff5e}"), Some(2));
        assert_eq!(local.number("y"), None);
        let all = ["z", "\u{1f600}", "\u{ff5e}"];
        let known = all.map(|name| Some(name.to_owned()));
        assert_eq!(matched(&all, &all)[..3], known);
        assert_eq!(matched(&all[1..], &all[2..])[..1], known[2..]);
    }

    #[test]
    fn a_list_that_cannot_be_sent_is_refused() {
        for list in [vec!["x".to_owned(); 2], vec!["x".repeat(257)], (0..65).map(|n| n.to_string()).collect()]
        {
            assert!(matches!(LocalNames::new(list), Err(SessionError::ExtensionNames { .. })));
        }
    }
}
