//! The rules that come with the program, as they were built from `rules/`.
//!
//! A room names a rule by its module's hash, so these are ordinary rules: nothing depends on where the bytes come from.

use quorate_types::ModuleHash;

/// A rule that comes with the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Builtin {
    /// Its name, in the form that the name of a room's rule has.
    pub name: &'static str,
    /// What it is for, in a few words.
    pub title: &'static str,
    /// The module's bytes.
    pub module: &'static [u8],
}

/// All of them, by name.
pub const ALL: [Builtin; 4] = [
    Builtin {
        name: "access-control",
        title: "members act, admins say who is a member and which rules the room has",
        module: include_bytes!("../../../rules/built/access-control.wasm"),
    },
    Builtin {
        name: "chess",
        title: "a game of chess, by all its rules",
        module: include_bytes!("../../../rules/built/chess.wasm"),
    },
    Builtin {
        name: "ledger",
        title: "the issuer mints, everybody transfers what they have",
        module: include_bytes!("../../../rules/built/ledger.wasm"),
    },
    Builtin {
        name: "rate-limit",
        title: "at most so many actions of one author in so many blocks",
        module: include_bytes!("../../../rules/built/rate-limit.wasm"),
    },
];

impl Builtin {
    /// Computes the hash that names the module.
    pub fn hash(&self) -> ModuleHash {
        ModuleHash::of(self.module)
    }
}

/// Finds one by its name.
pub fn named(name: &str) -> Option<Builtin> {
    ALL.into_iter().find(|builtin| builtin.name == name)
}

/// Finds one by the hash of its module.
pub fn with_hash(hash: &ModuleHash) -> Option<Builtin> {
    ALL.into_iter().find(|builtin| builtin.hash() == *hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Engine, EngineConfig};
    use crate::gate;

    /// What `rules/build.mjs` has written: name, hash and length of each module.
    const SHA: &str = include_str!("../../../rules/built/SHA");

    #[test]
    fn the_list_is_that_of_the_build() {
        let lines =
            ALL.map(|builtin| format!("{} {} {}\n", builtin.name, builtin.hash(), builtin.module.len()));
        assert_eq!(lines.concat(), SHA);
    }

    #[test]
    fn each_is_found_by_name_and_by_hash() {
        for builtin in ALL {
            assert_eq!(named(builtin.name), Some(builtin));
            assert_eq!(with_hash(&builtin.hash()), Some(builtin));
        }
        assert_eq!(named("checkers"), None);
        assert_eq!(with_hash(&ModuleHash::of(b"checkers")), None);
    }

    #[test]
    fn each_passes_the_gate_and_compiles() {
        let engine = Engine::new(EngineConfig { instances: 1, ..EngineConfig::default() }).unwrap();
        for builtin in ALL {
            let inspected =
                gate::inspect(builtin.module).unwrap_or_else(|error| panic!("{}: {error}", builtin.name));
            assert!(inspected.exports().init && inspected.exports().state, "{}", builtin.name);
            // Far from every limit: there is room for the rules to grow.
            let sizes = inspected.sizes();
            assert!(sizes.module_bytes < 64 * 1024 && sizes.functions < 512, "{}: {sizes:?}", builtin.name);
            assert_eq!(engine.compile(builtin.module).unwrap().hash(), builtin.hash());
        }
    }
}
