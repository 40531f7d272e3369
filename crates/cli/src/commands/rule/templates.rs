//! What a new project is made of. All of it is in the program, so that it needs nothing else to be there.

use std::borrow::Cow;

use crate::args::Language;

/// What the templates call the rule.
const PLACEHOLDER: &str = "my-rule";

/// Where the manifest of the Rust SDK stops being that of a package and becomes that of a workspace.
const WORKSPACE_PART: &str = "\n[profile.release]";

/// A file of a project.
pub(super) struct Made {
    /// Where it goes, from the directory of the project.
    pub(super) path: String,
    /// What is in it.
    pub(super) text: Cow<'static, str>,
}

struct Template {
    path: &'static str,
    text: &'static str,
}

macro_rules! templates {
    ($directory:literal: $($path:literal)*) => {
        &[$(Template {
            path: $path,
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/", $directory, "/", $path)),
        }),*]
    };
}

const ASSEMBLYSCRIPT: &[Template] = templates!("assemblyscript/template":
    ".gitignore" ".npmrc" "README.md" "assembly/index.ts" "package-lock.json" "package.json" "rule.json"
    "tests/rule.test.mjs" "tsconfig.json"
);

const ASSEMBLYSCRIPT_SDK: &[Template] = templates!("assemblyscript":
    "README.md" "build.mjs" "package.json"
    "assembly/bytes.ts" "assembly/call.ts" "assembly/crypto.ts" "assembly/entry.ts" "assembly/history.ts"
    "assembly/imports.ts" "assembly/index.ts" "assembly/json/cursor.ts" "assembly/json/index.ts"
    "assembly/json/scan.ts" "assembly/state.ts" "assembly/text.ts" "assembly/verdict.ts"
    "runtime/rt/stub.ts"
    "testing/abi.mjs" "testing/blake2b.mjs" "testing/ed25519.mjs" "testing/host.mjs" "testing/instance.mjs"
    "testing/vectors.mjs"
);

const RUST: &[Template] = templates!("rust/template":
    ".cargo/config.toml" ".gitignore" "Cargo.toml" "README.md" "rule.json" "rustfmt.toml" "src/lib.rs"
);

const RUST_SDK: &[Template] = templates!("rust":
    "Cargo.toml" "README.md"
    "src/buffer.rs" "src/bytes.rs" "src/call.rs" "src/crypto.rs" "src/entry.rs" "src/history.rs"
    "src/host_native.rs" "src/host_wasm.rs" "src/json/mod.rs" "src/json/tests.rs" "src/json/text.rs" "src/lib.rs"
    "src/state.rs" "src/testing/blake2b.rs" "src/testing/host.rs" "src/testing/mod.rs" "src/testing/sha256.rs"
    "src/testing/tests.rs" "src/text.rs" "src/verdict.rs"
);

const WAT: &[Template] = templates!("wat/template": ".gitignore" "my-rule.wat" "rule.json");

/// Returns the files of a new project.
pub(super) fn project(language: Language, name: &str) -> Vec<Made> {
    let (template, sdk): (_, &[Template]) = match language {
        Language::AssemblyScript => (ASSEMBLYSCRIPT, ASSEMBLYSCRIPT_SDK),
        Language::Rust => (RUST, RUST_SDK),
        Language::Wat => (WAT, &[]),
    };
    let own = template.iter().map(|file| Made {
        path: file.path.replace(PLACEHOLDER, name),
        text: match file.path {
            "Cargo.toml" => file.text.replace(PLACEHOLDER, name).replace("\"..\"", "\"sdk\"").into(),
            "package.json" | "package-lock.json" | "rule.json" | "README.md" => {
                file.text.replace(PLACEHOLDER, name).into()
            }
            _ => file.text.into(),
        },
    });
    let sdk = sdk.iter().map(|file| Made {
        path: format!("sdk/{}", file.path),
        text: match file.path {
            "Cargo.toml" => file.text.split(WORKSPACE_PART).next().unwrap_or_default().into(),
            _ => file.text.into(),
        },
    });
    own.chain(sdk).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    fn sdk() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk")
    }

    /// Lists the files below a directory, but what is built and fetched there.
    fn files(directory: &Path, below: &str, found: &mut Vec<String>) {
        for entry in fs::read_dir(directory.join(below)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
            let left_out = ["node_modules", "target", "build", "Cargo.lock"];
            if left_out.contains(&name.as_str()) {
            } else if entry.path().is_dir() {
                files(directory, &path, found);
            } else {
                found.push(path);
            }
        }
    }

    fn assert_whole(templates: &[Template], directory: &str, parts: &[&str]) {
        let directory = sdk().join(directory);
        let mut found = Vec::new();
        for part in parts {
            if directory.join(part).is_dir() {
                files(&directory, part, &mut found);
            } else {
                found.push(part.to_string());
            }
        }
        let mut listed: Vec<String> = templates.iter().map(|file| file.path.to_string()).collect();
        found.sort();
        listed.sort();
        assert_eq!(listed, found, "{}", directory.display());
    }

    #[test]
    fn no_file_of_a_project_is_forgotten() {
        assert_whole(ASSEMBLYSCRIPT, "assemblyscript/template", &[""]);
        let package = fs::read_to_string(sdk().join("assemblyscript/package.json")).unwrap();
        let package: serde_json::Value = serde_json::from_str(&package).unwrap();
        let mut parts: Vec<&str> =
            package["files"].as_array().unwrap().iter().map(|file| file.as_str().unwrap()).collect();
        parts.push("package.json");
        assert_whole(ASSEMBLYSCRIPT_SDK, "assemblyscript", &parts);
        assert_whole(RUST, "rust/template", &[""]);
        assert_whole(RUST_SDK, "rust", &["Cargo.toml", "README.md", "src"]);
        assert_whole(WAT, "wat/template", &[""]);
    }

    #[test]
    fn a_project_has_the_name_of_its_rule() {
        for language in [Language::AssemblyScript, Language::Rust, Language::Wat] {
            for file in project(language, "chess-2") {
                let own = !file.path.starts_with("sdk/");
                assert!(!own || !file.text.contains(PLACEHOLDER), "{}", file.path);
                assert!(!file.path.contains(PLACEHOLDER), "{}", file.path);
            }
        }
    }
}
