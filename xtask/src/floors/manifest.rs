//! What a crate's Cargo.toml says about its dependencies.

use anyhow::{Context, Result};

/// Dependencies of a crate, by package name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    /// Dependencies of the crate itself, and of its build script.
    pub(super) dependencies: Vec<String>,
    /// Dependencies of its tests.
    pub(super) dev_dependencies: Vec<String>,
    /// Whether the lints of the workspace apply.
    pub(super) workspace_lints: bool,
}

impl Manifest {
    /// Reads a Cargo.toml, the sections for single targets (`[target.'cfg(unix)'...]`) included.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let table: toml::Table = text.parse().context("expected TOML")?;
        let mut manifest = Self {
            dependencies: Vec::new(),
            dev_dependencies: Vec::new(),
            workspace_lints: table
                .get("lints")
                .and_then(|lints| lints.get("workspace"))
                .and_then(toml::Value::as_bool)
                .unwrap_or(false),
        };
        manifest.add(&table);
        if let Some(targets) = table.get("target").and_then(toml::Value::as_table) {
            targets.values().filter_map(toml::Value::as_table).for_each(|target| manifest.add(target));
        }
        Ok(manifest)
    }

    fn add(&mut self, table: &toml::Table) {
        self.dependencies.extend(packages(table, "dependencies"));
        self.dependencies.extend(packages(table, "build-dependencies"));
        self.dev_dependencies.extend(packages(table, "dev-dependencies"));
    }
}

fn packages(table: &toml::Table, section: &str) -> Vec<String> {
    let Some(section) = table.get(section).and_then(toml::Value::as_table) else {
        return Vec::new();
    };
    section
        .iter()
        .map(|(name, value)| value.get("package").and_then(toml::Value::as_str).unwrap_or(name).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_and_renames_are_read() {
        let manifest = Manifest::parse(
            "[dependencies]\na = \"1\"\nb = { package = \"c\", version = \"1\" }\n\
             [build-dependencies]\nd.workspace = true\n[dev-dependencies]\ne = \"1\"\n\
             [target.'cfg(unix)'.dependencies]\nf = \"1\"\n[lints]\nworkspace = true\n",
        )
        .unwrap();
        assert_eq!(manifest.dependencies, ["a", "c", "d", "f"]);
        assert_eq!(manifest.dev_dependencies, ["e"]);
        assert!(manifest.workspace_lints);
    }
}
