//! Which files of `src` use which others, read from the code itself.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};

/// A module, as the names on the path to it from the root of the crate.
pub type Module = Vec<String>;

/// The paths into this crate that a file names, each from the root of the crate: `["format", "layout", "ObjectName"]`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Imports {
    /// What the file needs to run.
    pub code: BTreeSet<Vec<String>>,
    /// What its unit tests need in addition.
    pub tests: BTreeSet<Vec<String>>,
}

/// Returns the module that a file below `src` is: `store::prune` for `src/store/prune/mod.rs`.
pub fn module_of(file: &str) -> Option<Module> {
    let names = file.strip_prefix("src/")?.strip_suffix(".rs")?;
    let mut names: Module = names.split('/').map(str::to_owned).collect();
    if names.last().is_some_and(|name| name == "mod") || names == ["lib"] {
        names.pop();
    }
    (names != ["main"]).then_some(names)
}

/// Reads the imports of the file of `module`.
///
/// Paths count wherever they appear: in a `use`, in a type or an expression, in the arguments of a macro. A first name
/// that is `crate`, `self` or `super` leads into this crate, and so does one of `children`, the modules below this one.
pub fn read(module: &[String], children: &BTreeSet<String>, text: &str) -> Imports {
    let file = syn::parse_file(text).expect("the compiler accepts it");
    let mut reader = Reader { module: module.to_vec(), children, is_test: false, found: Imports::default() };
    if module.last().is_some_and(|name| name == "tests") {
        reader.is_test = true;
    }
    reader.visit_file(&file);
    reader.found
}

struct Reader<'a> {
    module: Module,
    children: &'a BTreeSet<String>,
    is_test: bool,
    found: Imports,
}

impl Reader<'_> {
    /// Notes a path that begins with `names`, if it leads into this crate.
    fn note(&mut self, names: &[String]) {
        let Some(first) = names.first() else { return };
        let mut path = match first.as_str() {
            "crate" => Vec::new(),
            "self" => self.module.clone(),
            "super" => self.module[..self.module.len().saturating_sub(1)].to_vec(),
            child if self.children.contains(child) => [self.module.clone(), vec![child.to_owned()]].concat(),
            _ => return,
        };
        for name in &names[1..] {
            match name.as_str() {
                "super" => drop(path.pop()),
                "self" => {}
                name => path.push(name.to_owned()),
            }
        }
        let found = if self.is_test { &mut self.found.tests } else { &mut self.found.code };
        found.insert(path);
    }

    fn note_tree(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.note_tree(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.note(&with(&name.ident)),
            syn::UseTree::Rename(rename) => self.note(&with(&rename.ident)),
            syn::UseTree::Glob(_) => self.note(before),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.note_tree(before, tree)),
        }
    }

    /// Notes the paths that begin with `crate` in the arguments of a macro, which only the macro can parse.
    fn note_tokens(&mut self, tokens: &str) {
        let tokens: Vec<&str> = tokens.split_whitespace().collect();
        for (at, _) in tokens.iter().enumerate().filter(|(_, token)| **token == "crate") {
            let mut names = vec!["crate".to_owned()];
            let mut rest = &tokens[at + 1..];
            while let ["::", name, after @ ..] = rest {
                names.push((*name).to_owned());
                rest = after;
            }
            self.note(&names);
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let Some((_, items)) = &item.content else { return };
        let was_test = self.is_test;
        self.is_test |= item.attrs.iter().any(is_cfg_test);
        self.module.push(item.ident.to_string());
        items.iter().for_each(|item| self.visit_item(item));
        self.module.pop();
        self.is_test = was_test;
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.note_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if names.len() > 1 {
            self.note(&names);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.note_tokens(&called.tokens.to_string());
        visit::visit_macro(self, called);
    }
}

fn is_cfg_test(attribute: &syn::Attribute) -> bool {
    attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
}

/// Returns the modules that are in a cycle with others, one list per cycle, each sorted.
///
/// `files` are modules with what their code imports. A module imports another one when a path leads to that module or
/// to an item in it.
pub fn circles(files: &BTreeMap<Module, BTreeSet<Vec<String>>>) -> Vec<Vec<Module>> {
    let target = |path: &Vec<String>| (0..=path.len()).rev().find_map(|length| files.get_key_value(&path[..length]));
    let edges: BTreeMap<&Module, BTreeSet<&Module>> = files
        .iter()
        .map(|(module, paths)| {
            let targets = paths.iter().filter_map(target).map(|(target, _)| target);
            (module, targets.filter(|target| *target != module && !target.is_empty()).collect())
        })
        .collect();
    let reaches = |from: &Module| {
        let mut seen: BTreeSet<&Module> = BTreeSet::new();
        let mut next: Vec<&Module> = edges[from].iter().copied().collect();
        while let Some(module) = next.pop() {
            if seen.insert(module) {
                next.extend(&edges[module]);
            }
        }
        seen
    };
    let reached: BTreeMap<&Module, BTreeSet<&Module>> = edges.keys().map(|module| (*module, reaches(module))).collect();
    let mut circles: Vec<Vec<Module>> = Vec::new();
    for (module, reached_from_it) in &reached {
        let in_circle = |other: &&&Module| reached[**other].contains(*module);
        let circle: Vec<Module> = reached_from_it.iter().filter(in_circle).map(|other| (*other).clone()).collect();
        if !circle.is_empty() && !circles.contains(&circle) {
            circles.push(circle);
        }
    }
    circles
}
