//! The names that a Rust file uses outside its tests.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// A path as it stands in the code, `use` groups spelled out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    /// Its segments, without generic arguments.
    pub(super) segments: Vec<String>,
    /// Line in the file, from 1.
    pub(super) line: usize,
}

impl Name {
    /// Tells whether these segments follow each other somewhere in the path.
    pub(super) fn contains(&self, segments: &[&str]) -> bool {
        self.segments.windows(segments.len()).any(|window| window == segments)
    }

    /// Tells whether the path starts with this segment.
    pub(super) fn starts_with(&self, segment: &str) -> bool {
        self.segments.first().is_some_and(|first| first == segment)
    }
}

/// Lists the Rust files below a directory that are not modules of tests.
pub(super) fn rust_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    collect_files(directory, &mut files)?;
    files.sort();
    let mut tests = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file)?;
        let within = module_directory(file);
        tests.extend(test_modules(&text)?.into_iter().map(|module| within.join(module)));
    }
    files.retain(|file| !tests.iter().any(|test| file.with_extension("").starts_with(test)));
    Ok(files)
}

fn collect_files(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect_files(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// Where the modules lie that a file declares.
fn module_directory(file: &Path) -> PathBuf {
    let is_root = ["lib", "main", "mod"].iter().any(|root| file.file_stem() == Some(root.as_ref()));
    match is_root {
        true => file.parent().unwrap_or(file).to_path_buf(),
        false => file.with_extension(""),
    }
}

/// Modules of tests that a file declares and another file holds.
fn test_modules(text: &str) -> Result<Vec<String>> {
    let items = syn::parse_file(text)?.items;
    Ok(items
        .iter()
        .filter_map(|item| match item {
            syn::Item::Mod(module) if module.content.is_none() && module.attrs.iter().any(is_test_only) => {
                Some(module.ident.to_string())
            }
            _ => None,
        })
        .collect())
}

/// Finds every path in a file, inside macros too, but not in items under `#[cfg(test)]`.
pub(super) fn names(text: &str) -> Result<Vec<Name>> {
    let file = syn::parse_file(text)?;
    let mut collector = Collector::default();
    collector.visit_file(&file);
    Ok(collector.names)
}

#[derive(Default)]
struct Collector {
    names: Vec<Name>,
}

impl Collector {
    fn use_tree(&mut self, tree: &syn::UseTree, before: &[String]) {
        let with = |ident: &syn::Ident| [before, &[ident.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.use_tree(&path.tree, &with(&path.ident)),
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.use_tree(item, before)),
            syn::UseTree::Name(name) => self.push(with(&name.ident), tree),
            syn::UseTree::Rename(rename) => self.push(with(&rename.ident), tree),
            syn::UseTree::Glob(_) => self.push(before.to_vec(), tree),
        }
    }

    fn push(&mut self, segments: Vec<String>, at: &impl Spanned) {
        self.names.push(Name { segments, line: at.span().start().line });
    }

    /// Paths in the arguments of a macro, which are tokens and no syntax tree.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut segments = Vec::new();
        let mut line = 0;
        let mut colons = 2;
        for token in tokens {
            match &token {
                TokenTree::Ident(ident) => {
                    if colons != 2 || segments.is_empty() {
                        self.flush(&mut segments, line);
                        line = ident.span().start().line;
                    }
                    segments.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.flush(&mut segments, line);
                    self.tokens(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => self.flush(&mut segments, line),
            }
        }
        self.flush(&mut segments, line);
    }

    fn flush(&mut self, segments: &mut Vec<String>, line: usize) {
        if !segments.is_empty() {
            self.names.push(Name { segments: std::mem::take(segments), line });
        }
    }
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !attributes(item).iter().any(is_test_only) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !function.attrs.iter().any(is_test_only) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.use_tree(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect(), path);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.tokens(call.tokens.clone());
    }
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// `#[cfg(test)]`, and `#[cfg(all(test, ...))]`.
fn is_test_only(attribute: &syn::Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else {
        return false;
    };
    if !list.path.is_ident("cfg") {
        return false;
    }
    let text: String = list.tokens.to_string().split_whitespace().collect();
    text == "test" || text.starts_with("all(test,")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(code: &str) -> Vec<String> {
        names(code).unwrap().into_iter().map(|name| name.segments.join("::")).collect()
    }

    #[test]
    fn groups_are_spelled_out() {
        assert_eq!(found("use a::{b, c::{self, d as e}, f::*};"), ["a::b", "a::c::self", "a::c::d", "a::f"]);
    }

    #[test]
    fn comments_and_texts_are_no_names() {
        let found_io = |code| found(code).iter().any(|name| name.contains("std"));
        assert!(!found_io("//! std::fs\n/// std::net\nconst A: u8 = 1; // std::thread"));
        assert!(!found_io("const A: &str = \"std::fs::read\";"));
    }

    #[test]
    fn tests_are_left_out() {
        let code = "#[cfg(test)] mod tests { use std::fs; }\n\
                    struct A; impl A { #[cfg(test)] fn f() { std::fs::read(\"\"); } }";
        assert!(!found(code).iter().any(|name| name.contains("fs")));
        assert!(found("#[cfg(unix)] mod a { use std::fs; }").contains(&"std::fs".to_owned()));
    }

    #[test]
    fn files_of_tests_are_left_out() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let file = root.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        write("lib.rs", "mod a; #[cfg(test)] mod vectors;");
        write("vectors.rs", "use std::fs;");
        write("a.rs", "#[cfg(test)] mod tests; mod b;");
        write("a/tests/one.rs", "use std::fs;");
        write("a/tests.rs", "mod one;");
        write("a/b.rs", "");
        let names = ["a.rs", "a/b.rs", "lib.rs"].map(|name| root.path().join(name));
        let mut found = rust_files(root.path()).unwrap();
        found.sort();
        let mut expected = names.to_vec();
        expected.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn macros_are_searched() {
        let names = names("fn f() {\n m!(a, {\n std::fs::read(x) }, b) }").unwrap();
        let read = names.iter().find(|name| name.contains(&["std", "fs"])).unwrap();
        assert_eq!((read.segments.join("::"), read.line), ("std::fs::read".to_owned(), 3));
    }
}
