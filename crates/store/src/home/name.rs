//! Names of streams: they are directory names, so the rules are strict.

use std::fmt;
use std::str::FromStr;

/// Longest name, bytes.
const MAX_NAME_BYTES: usize = 64;

/// Name of a stream in a [`Home`](super::Home): 1 to 64 ASCII letters, digits, `.`, `_` and `-`, not
/// beginning with `.` or `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StreamName(String);

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There are no characters, or too many.
    #[error("expected a name of 1 to {MAX_NAME_BYTES} characters, found {found}")]
    Length {
        /// Characters in the text.
        found: usize,
    },
    /// A character is not allowed.
    #[error("expected letters, digits, '.', '_' and '-' in a name, found {found:?} in {name:?}")]
    Character {
        /// The character.
        found: char,
        /// The text.
        name: String,
    },
    /// It begins like a hidden file or an option.
    #[error("expected a name that begins with a letter, a digit or '_', found {name:?}")]
    Start {
        /// The text.
        name: String,
    },
}

impl StreamName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StreamName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let length = text.chars().count();
        if length == 0 || length > MAX_NAME_BYTES {
            return Err(NameError::Length { found: length });
        }
        let name = text.to_owned();
        let is_allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if let Some(found) = text.chars().find(|c| !is_allowed(c)) {
            return Err(NameError::Character { found, name });
        }
        if text.starts_with(['.', '-']) {
            return Err(NameError::Start { name });
        }
        Ok(Self(name))
    }
}

impl TryFrom<String> for StreamName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<StreamName> for String {
    fn from(name: StreamName) -> Self {
        name.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_directory_names() {
        for name in ["a", "room", "Room-1_x.y", "_x", "9", &"a".repeat(64)] {
            assert_eq!(name.parse::<StreamName>().unwrap().as_str(), name);
        }
        assert_eq!("".parse::<StreamName>(), Err(NameError::Length { found: 0 }));
        assert_eq!("a".repeat(65).parse::<StreamName>(), Err(NameError::Length { found: 65 }));
        for (name, found) in [("a/b", '/'), ("a b", ' '), ("é", 'é'), ("a\n", '\n'), ("a\0", '\0')] {
            assert_eq!(
                name.parse::<StreamName>(),
                Err(NameError::Character { found, name: name.to_owned() })
            );
        }
        for name in [".", "..", ".hidden", "-x"] {
            assert_eq!(name.parse::<StreamName>(), Err(NameError::Start { name: name.to_owned() }));
        }
    }
}
