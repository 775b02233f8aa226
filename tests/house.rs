//! The house: which file of `src/` may use which.
//!
//! The crate is built in floors, and a file uses its own floor and those below. No files use each other in a
//! circle, some floors know nothing of some crates, and no file is long. A failure names the file, the line
//! and the line's code. Mend it there: move what is used further down, or hand it over as an argument. The
//! tables here change only when the plan of the house does.
//!
//! Every path in the tokens of a file counts, in macros, too, and is followed through re-exports to the file
//! that defines what it names. Comments, strings and `#[cfg(test)] mod tests { ... }` do not count.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::{fs, io, mem, slice};

/// The floors from the top: a name, and its folders and files in `src/`.
const FLOORS: [(&str, &[&str]); 12] = [
    ("main", &["main.rs", "lib.rs"]), // The way in and the list of modules: may name everything.
    ("cli", &["cli"]),                // The commands, and all that is printed.
    ("run", &["run"]),                // The folder of a run: checkpoints, metrics, resuming.
    ("picture", &["picture"]),        // Grids of images, and the plot of the loss.
    ("evaluate", &["evaluate"]),      // How well a model does.
    ("train", &["train"]),            // The steps of a training.
    ("model", &["model"]),            // The autoencoder, put together from layers.
    ("config", &["config"]),          // What a run can be told.
    ("data", &["data"]),              // Data sets: read, fetched or drawn.
    ("nn", &["nn"]),                  // Layers, losses and the optimiser, on tensors.
    ("kernels", &["kernels"]),        // The loops that compute, on slices.
    ("ground", GROUND),               // What any floor may need.
];

const GROUND: &[&str] = &[
    "error.rs",
    "files.rs",
    "checksum.rs",
    "protobuf.rs",
    "rng.rs",
    "parallel.rs",
    "patience.rs",
];

/// Floors, or files of the ground; what they must not name (paths, and macros with their `!`); and why.
const RULES: [(&[&str], &[&str], &str); 4] = [
    (
        &[
            "kernels",
            "parallel.rs",
            "rng.rs",
            "files.rs",
            "checksum.rs",
        ],
        &["candle_core", "candle_nn"],
        "works on slices: tensors begin in nn",
    ),
    (
        &["model", "train", "nn", "kernels"],
        &["crate::files", "std::fs"],
        "computes: files are for others to read and write",
    ),
    (
        BELOW_CLI,
        &["println!", "print!", "eprintln!", "eprint!"],
        "does not talk: only cli prints",
    ),
    (
        BELOW_CLI,
        &["std::io::stdout", "std::io::stderr"],
        "does not talk: only cli prints",
    ),
];

const BELOW_CLI: &[&str] = &[
    "run", "picture", "evaluate", "train", "model", "config", "data", "nn", "kernels", "ground",
];

/// How many lines a file has at most, without its tests.
const LINES: usize = 400;

/// The words that an item begins with. What is neither that nor a macro's call is a module or an import.
const ITEMS: [&str; 9] = [
    "fn", "struct", "enum", "union", "const", "static", "trait", "type", "impl",
];

/// The text of each file, by its path in the crate's folder, as `src/lib.rs`.
type Tree = BTreeMap<String, String>;

/// A tree, read. Modules are named from the root, as `crate::nn::layer`.
#[derive(Default)]
struct House {
    tree: Tree,
    /// The file of each module.
    modules: BTreeMap<String, String>,
    /// The items and macros that modules define.
    items: BTreeSet<String>,
    /// By module and name, `*` for globs: the paths that a module imports.
    imports: BTreeMap<(String, String), Vec<String>>,
    /// All paths as they are written: the file, the line, the module, the path.
    paths: Vec<(String, usize, String, String)>,
    /// The files with more in them than modules, imports and macros. The others are mere addresses.
    code: BTreeSet<String>,
    /// How many lines of a file are tests.
    tests: BTreeMap<String, usize>,
    /// The modules, macros and paths outside of the crate that a file names, each with the first line.
    names: BTreeMap<String, BTreeMap<String, usize>>,
    /// The files that a file uses, each with the first line.
    uses: BTreeMap<String, BTreeMap<String, usize>>,
}

impl House {
    fn of(tree: Tree) -> Self {
        let mut house = Self::default();
        for (file, text) in &tree {
            let tokens = text.parse::<TokenStream>().unwrap_or_else(|error| {
                panic!("{file}:{}: {error}", error.span().start().line);
            });
            let path = file.trim_start_matches("src/").trim_end_matches(".rs");
            let path = path.strip_suffix("/mod").unwrap_or(path);
            let module = match path {
                "lib" => "crate".to_string(),
                _ => format!("crate::{}", path.replace('/', "::")),
            };
            house.modules.insert(module.clone(), file.clone());
            house.read(file, &module, tokens, true);
        }
        // The paths of a file come in their order: the line that is kept is the first.
        for (file, line, module, path) in mem::take(&mut house.paths) {
            for name in house.names_of(&module, &path) {
                if let Some(to) = house.modules.get(&name).filter(|to| **to != file) {
                    let uses = house.uses.entry(file.clone()).or_default();
                    uses.entry(to.clone()).or_insert(line);
                }
                let names = house.names.entry(file.clone()).or_default();
                names.entry(name).or_insert(line);
            }
        }
        Self { tree, ..house }
    }

    /// Takes in tokens of a file: those of a module itself, or those inside of its items.
    fn read(&mut self, file: &str, module: &str, tokens: TokenStream, is_module: bool) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut rest = &tokens[..];
        while let Some(token) = rest.first() {
            let line = token.span().start().line;
            let name = word(rest, 0);
            let mut taken = 1;
            if let TokenTree::Group(group) = token {
                self.read(file, module, group.stream(), false);
            } else if let Some(len) = test_module(rest) {
                taken = len;
                let lines = rest[len - 1].span().end().line + 1 - line;
                *self.tests.entry(file.to_string()).or_default() += lines;
            } else if name == "pub" && group(rest, 1).is_some_and(is_place) {
                taken = 2;
            } else if name == "use" && !mark(rest, 1, '<') {
                let end = (0..rest.len()).find(|&at| mark(rest, at, ';'));
                taken = end.unwrap_or(rest.len());
                for (path, name, line) in leaves(&rest[1..taken], &[]) {
                    let path = self.note(file, line, module, &path);
                    let key = (module.to_string(), name);
                    self.imports.entry(key).or_default().push(path);
                }
            } else if name == "mod" && !word(rest, 1).is_empty() {
                taken = 2;
                if let Some(body) = group(rest, 2) {
                    taken = 3;
                    let inner = format!("{module}::{}", word(rest, 1));
                    self.read(file, &inner, body.stream(), is_module);
                }
            } else if name == "macro_rules" && mark(rest, 1, '!') {
                taken = 3;
                self.items.insert(format!("{module}::{}", word(rest, 2)));
            } else if is_module && ITEMS.contains(&name.as_str()) {
                self.code.insert(file.to_string());
                self.items.insert(format!("{module}::{}", word(rest, 1)));
            } else if !name.is_empty() {
                let mut path = vec![name];
                let colons = |at| mark(rest, at, ':') && mark(rest, at + 1, ':');
                while colons(taken) && !word(rest, taken + 2).is_empty() {
                    path.push(word(rest, taken + 2));
                    taken += 3;
                }
                if path.len() > 1 {
                    self.note(file, line, module, &path);
                }
                if let (true, Some(body)) = (mark(rest, taken, '!'), group(rest, taken + 1)) {
                    taken += 2;
                    let name = format!("{}!", path[path.len() - 1]);
                    self.note(file, line, module, &[name]);
                    if is_module {
                        self.code.insert(file.to_string());
                    }
                    // In the place of an item, a macro is likely to be given items.
                    self.read(file, module, body.stream(), is_module);
                }
            }
            rest = &rest[taken..];
        }
    }

    /// Keeps a path, with `self` and `super` replaced by what they stand for, and returns it.
    fn note(&mut self, file: &str, line: usize, module: &str, path: &[String]) -> String {
        let is_step = |word: &&String| ["self", "super"].contains(&word.as_str());
        let steps = path.iter().take_while(is_step).count();
        let ups = path[..steps].iter().filter(|step| *step == "super");
        let mut full: Vec<&str> = module.split("::").filter(|_| steps > 0).collect();
        full.truncate(full.len().saturating_sub(ups.count()));
        full.extend(path[steps..].iter().map(String::as_str));
        let full = full.join("::");
        let noted = (file.to_string(), line, module.to_string(), full.clone());
        self.paths.push(noted);
        full
    }

    /// The modules that a path uses, or what it names outside of the crate.
    fn names_of(&self, module: &str, path: &str) -> Vec<String> {
        let mut names = self.follow(module, path, &mut BTreeSet::new());
        if let (true, Some(end)) = (path.ends_with("::*"), names.last().cloned()) {
            // All that the module has names for may be what is wanted.
            let imports = self.imports.iter().filter(|(key, _)| key.0 == end);
            for path in imports.flat_map(|(_, paths)| paths) {
                names.extend(self.follow(&end, path, &mut BTreeSet::new()));
            }
        }
        names
    }

    /// Where a path ends, after the modules on its way that have to be there for it.
    fn follow(&self, module: &str, path: &str, seen: &mut BTreeSet<String>) -> Vec<String> {
        let path = path.strip_suffix("::*").unwrap_or(path);
        let mut path = self.resolve(module, path, seen);
        let mut names = Vec::new();
        while let Some(module) = self.module_of(&path).map(str::to_string) {
            let (name, left) = split(path[module.len()..].trim_start_matches("::"));
            match self.find(&module, name, seen) {
                Some(next) if next != format!("{module}::{name}") => {
                    path = format!("{next}{left}");
                    names.push(module);
                }
                _ => {
                    path = module;
                    break;
                }
            }
        }
        // A parent's name for what its child defines is only an address of the child.
        names.retain(|name| !path.starts_with(&format!("{name}::")));
        names.push(path);
        names
    }

    /// A path that is written in a module, from the root; as it is if it leaves the crate.
    fn resolve(&self, module: &str, path: &str, seen: &mut BTreeSet<String>) -> String {
        let (first, left) = split(path);
        match self.find(module, first, seen) {
            Some(found) => format!("{found}{left}"),
            _ => path.to_string(),
        }
    }

    /// What a name stands for in a module. One that was `seen` is not tried again, for imports may go in
    /// circles.
    fn find(&self, module: &str, name: &str, seen: &mut BTreeSet<String>) -> Option<String> {
        let here = format!("{module}::{name}");
        if name.is_empty() || !seen.insert(here.clone()) {
            return None;
        }
        if self.modules.contains_key(&here) || self.items.contains(&here) {
            return Some(here);
        }
        let imports = |name: &str| self.imports.get(&(module.to_string(), name.to_string()));
        if let Some(paths) = imports(name) {
            return Some(self.resolve(module, &paths[0], seen));
        }
        imports("*")?.iter().find_map(|path| {
            let glob = self.follow(module, path, seen).pop()?;
            self.find(&glob, name, seen)
        })
    }

    /// The longest beginning of a path that is a module.
    fn module_of<'a>(&self, mut path: &'a str) -> Option<&'a str> {
        while !self.modules.contains_key(path) {
            path = path.rsplit_once("::")?.0;
        }
        Some(path)
    }

    fn upward_uses(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (from, uses) in &self.uses {
            for (to, &line) in uses {
                if let (Some(lower), Some(upper)) = (floor(from), floor(to))
                    && upper < lower
                {
                    let place = self.place(from, line, "uses", to);
                    let (lower, upper) = (FLOORS[lower].0, FLOORS[upper].0);
                    found.push(format!("{place}\n    {lower} is below {upper}. {}", plan()));
                }
            }
        }
        found
    }

    fn on_no_floor(&self) -> Vec<String> {
        let files = self.tree.keys().filter(|file| floor(file).is_none());
        let entries: BTreeSet<&str> = files.map(|file| entry(file)).collect();
        let say = |entry| format!("src/{entry} is on no floor. {}", plan());
        entries.into_iter().map(say).collect()
    }

    /// A shortest circle, if there is one.
    fn circle(&self) -> Vec<String> {
        let files = self.code.iter();
        let circles = files.filter_map(|file| self.circle_through(file));
        let Some(mut circle) = circles.min_by_key(Vec::len) else {
            return Vec::new();
        };
        circle.push(circle[0]);
        let mut message = "These files use each other in a circle:".to_string();
        for step in circle.windows(2) {
            let line = self.uses[step[0]][step[1]];
            message += "\n    ";
            message += &self.place(step[0], line, "uses", step[1]);
        }
        vec![message]
    }

    fn circle_through<'a>(&'a self, start: &'a String) -> Option<Vec<&'a String>> {
        let mut seen = BTreeSet::new();
        let mut ways = VecDeque::from([vec![start]]);
        while let Some(way) = ways.pop_front() {
            let uses = self.uses.get(way[way.len() - 1]);
            for to in uses.into_iter().flat_map(BTreeMap::keys) {
                if to == start {
                    return Some(way);
                }
                if self.code.contains(to) && seen.insert(to) {
                    ways.push_back([&way[..], &[to]].concat());
                }
            }
        }
        None
    }

    fn forbidden_names(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (file, names) in &self.names {
            let (entry, floor) = (entry(file), floor(file).map_or("", |at| FLOORS[at].0));
            for (places, never, why) in RULES {
                if !places.contains(&entry) && !places.contains(&floor) {
                    continue;
                }
                for never in never {
                    let inside = format!("{never}::");
                    let is_it = |name: &str| name == *never || name.starts_with(&inside);
                    let lines = names.iter().filter(|(name, _)| is_it(name));
                    if let Some(&line) = lines.map(|(_, line)| line).min() {
                        let place = self.place(file, line, "names", never);
                        found.push(format!("{place}\n    {entry} {why}. {}", plan()));
                    }
                }
            }
        }
        found
    }

    fn long_files(&self) -> Vec<String> {
        let lines = |(file, text): (&String, &String)| {
            let lines = text.lines().count() - self.tests.get(file).unwrap_or(&0);
            let say =
                || format!("{file} has {lines} lines without its tests. {LINES} are the most.");
            (lines > LINES).then(say)
        };
        self.tree.iter().filter_map(lines).collect()
    }

    /// A line of a file, and what it does to what.
    fn place(&self, file: &str, line: usize, does: &str, what: &str) -> String {
        let code = self.tree[file].lines().nth(line - 1).unwrap_or_default();
        format!("{file}:{line} {does} {what}: `{}`", code.trim())
    }
}

/// The folder or file in `src/` that a file is in or is.
fn entry(file: &str) -> &str {
    let path = file.trim_start_matches("src/");
    path.split('/').next().unwrap_or(path)
}

/// The number of a file's floor, from the top.
fn floor(file: &str) -> Option<usize> {
    let entry = entry(file);
    let folder = entry.trim_end_matches(".rs");
    let is_on = |all: &&[&str]| all.contains(&entry) || all.contains(&folder);
    FLOORS.iter().position(|(_, entries)| is_on(entries))
}

fn plan() -> String {
    let floors = FLOORS.map(|(name, _)| name).join(", ");
    format!("The floors, each using only those below it: {floors}")
}

/// The first name of a path, and what follows with the colons before it.
fn split(path: &str) -> (&str, &str) {
    path.split_at(path.find("::").unwrap_or(path.len()))
}

/// The identifier at a place, or nothing.
fn word(tokens: &[TokenTree], at: usize) -> String {
    match tokens.get(at) {
        Some(TokenTree::Ident(ident)) => ident.to_string().replace("r#", ""),
        _ => String::new(),
    }
}

fn mark(tokens: &[TokenTree], at: usize, mark: char) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == mark)
}

fn group(tokens: &[TokenTree], at: usize) -> Option<&Group> {
    match tokens.get(at) {
        Some(TokenTree::Group(group)) => Some(group),
        _ => None,
    }
}

/// Whether this is the `(in crate::nn)` of a visibility.
fn is_place(group: &Group) -> bool {
    group.to_string().starts_with("(in ")
}

/// How many tokens `#[cfg(test)] mod tests { ... }` has, if that is what comes.
fn test_module(tokens: &[TokenTree]) -> Option<usize> {
    if !mark(tokens, 0, '#') || group(tokens, 1)?.to_string().replace(' ', "") != "[cfg(test)]" {
        return None;
    }
    let is_body = |group: &Group| group.delimiter() == Delimiter::Brace;
    let is_end = |&at: &usize| mark(tokens, at, ';') || group(tokens, at).is_some_and(is_body);
    let end = (2..tokens.len()).find(is_end)?;
    (group(tokens, end).is_some() && word(tokens, end - 2) == "mod").then_some(end + 1)
}

/// What a `use` imports: each path with the name it gets, `*` for all, and its line.
fn leaves(tokens: &[TokenTree], base: &[String]) -> Vec<(Vec<String>, String, usize)> {
    let mut found = Vec::new();
    for branch in tokens.split(|token| mark(slice::from_ref(token), 0, ',')) {
        let mut path = base.to_vec();
        let mut alias = None;
        for at in 0..branch.len() {
            match word(branch, at).as_str() {
                "as" => alias = Some(word(branch, at + 1)),
                "self" if !path.is_empty() => {}
                "" if mark(branch, at, '*') => path.push("*".to_string()),
                "" => {
                    let inner = group(branch, at).map(Group::stream).unwrap_or_default();
                    found.extend(leaves(&inner.into_iter().collect::<Vec<_>>(), &path));
                }
                _ if alias.is_some() => {}
                word => path.push(word.to_string()),
            }
        }
        if let (Some(name), Some(TokenTree::Ident(_) | TokenTree::Punct(_))) =
            (path.last().cloned(), branch.last())
        {
            let line = branch[branch.len() - 1].span().start().line;
            found.push((path, alias.unwrap_or(name), line));
        }
    }
    found
}

/// The house as it stands.
fn this_house() -> House {
    fn add(folder: &Path, name: &str, tree: &mut Tree) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = format!("{name}/{}", path.file_name().unwrap().display());
            if path.is_dir() {
                add(&path, &name, tree)?;
            } else if name.ends_with(".rs") {
                tree.insert(name, fs::read_to_string(&path)?);
            }
        }
        Ok(())
    }
    let mut tree = Tree::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let read = add(&root, "src", &mut tree);
    read.unwrap_or_else(|error| panic!("{}: {error}", root.display()));
    House::of(tree)
}

fn expect_none(findings: &[String]) {
    assert!(findings.is_empty(), "\n\n{}\n", findings.join("\n\n"));
}

#[test]
fn each_floor_uses_only_those_below_it() {
    expect_none(&this_house().upward_uses());
}

#[test]
fn each_file_is_on_a_floor() {
    expect_none(&this_house().on_no_floor());
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    expect_none(&this_house().circle());
}

#[test]
fn no_floor_names_what_it_must_not_know() {
    expect_none(&this_house().forbidden_names());
}

#[test]
fn no_file_is_long() {
    expect_none(&this_house().long_files());
}

#[test]
fn a_mod_rs_only_declares_and_re_exports() {
    let code = this_house().code;
    let found: Vec<_> = code
        .iter()
        .filter(|file| file.ends_with("/mod.rs"))
        .collect();
    assert!(found.is_empty(), "code in {found:?}");
}

#[test]
fn one_file_is_unsafe_and_the_compiler_refuses_it_elsewhere() {
    let tree = this_house().tree;
    let with = |text: &str| -> Vec<_> {
        let files = tree.iter().filter(|(_, content)| content.contains(text));
        files.map(|(file, _)| file.as_str()).collect()
    };
    assert_eq!(with("allow(unsafe_code"), ["src/kernels/matmul.rs"]);
    assert_eq!(with("#![deny(unsafe_code)]"), ["src/lib.rs"]);
    assert_eq!(with("#![forbid(unsafe_code)]"), ["src/main.rs"]);
}

/// A test that cannot do its work says so past the harness, which would swallow it.
#[test]
fn tests_are_skipped_in_one_way() {
    let word = ["SKIP", "PED"].concat();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let files = fs::read_dir(tests)
        .unwrap()
        .map(|file| file.unwrap().path());
    for file in files.filter(|file| file.extension().is_some_and(|end| end == "rs")) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains(&word), "{file:?} does not use common::skip");
    }
}

// The same on small trees that have something wrong.

const PLAN: &str = "The floors, each using only those below it: \
    main, cli, run, picture, evaluate, train, model, config, data, nn, kernels, ground";

/// A tree from one text, where a line like `// src/lib.rs` begins a file.
fn house(text: &str) -> House {
    let mut tree = Tree::new();
    for text in text.split("// src/").skip(1) {
        let (file, text) = text.split_once('\n').unwrap_or((text, ""));
        tree.insert(format!("src/{}", file.trim()), text.trim_end().to_string());
    }
    House::of(tree)
}

/// Expects these messages, one after the other, however they are indented. `PLAN` is the list of the floors.
fn expect(findings: &[String], messages: &str) {
    let lines = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| line.trim().to_string());
        lines.filter(|line| !line.is_empty()).collect()
    };
    let messages = messages.replace("PLAN", PLAN);
    assert_eq!(lines(&findings.join("\n")), lines(&messages));
}

/// Expects of a file in nn that it has upward uses in these lines, of these files of config.
fn expect_upward(text: &str, uses: &[(usize, &str)]) {
    let found = house(&format!(
        "// src/lib.rs
        mod config; mod nn; pub use config::Config;
        // src/config/mod.rs
        mod conv; pub use conv::*; pub struct Config;
        // src/config/conv.rs
        pub struct Conv;
        // src/nn/deep/layer.rs\n{text}"
    ));
    let message = |&(line, to): &(usize, &str)| {
        let code = text.lines().nth(line - 1).unwrap().trim();
        let place = format!("src/nn/deep/layer.rs:{line} uses src/config/{to}: `{code}`");
        format!("{place}\n    nn is below config. {PLAN}")
    };
    let messages: Vec<String> = uses.iter().map(message).collect();
    assert_eq!(found.upward_uses(), messages);
}

#[test]
fn an_upward_use_is_found() {
    expect_upward("use crate::config::Config;", &[(1, "mod.rs")]);
    let text = "use crate::{\n    config::{self},\n};\nfn f(_: config::Conv) {}";
    expect_upward(text, &[(4, "conv.rs"), (2, "mod.rs")]);
    let text = "use crate::config as told;\nfn f(_: told::Conv) {}";
    expect_upward(text, &[(2, "conv.rs"), (1, "mod.rs")]);
}

#[test]
fn an_upward_use_is_found_in_code_and_in_macros() {
    let text = "fn f() {\n    let _ = crate::config::Config;\n}";
    expect_upward(text, &[(2, "mod.rs")]);
    let text = "vectorized! {\n    fn f(_: crate::config::Config) {}\n}";
    expect_upward(text, &[(2, "mod.rs")]);
    let text = "macro_rules! m {\n    () => { $crate::config::Config };\n}";
    expect_upward(text, &[(2, "mod.rs")]);
}

#[test]
fn an_upward_use_is_found_by_way_of_super() {
    let text = "use super::super::super::config::Config;";
    expect_upward(text, &[(1, "mod.rs")]);
    let text = "mod avx {\n    use super::super::super::super::config::*;\n}";
    expect_upward(text, &[(2, "conv.rs"), (2, "mod.rs")]);
}

#[test]
fn an_upward_use_is_found_through_re_exports() {
    expect_upward("use crate::Config;", &[(1, "mod.rs")]);
    expect_upward("use crate::config::Conv;", &[(1, "conv.rs")]);
    let found = house(
        "// src/config.rs
        pub use crate::data::idx::Source;
        // src/data/idx.rs
        pub struct Source;
        // src/data/hub.rs
        use crate::config::Source;",
    );
    let message = "src/data/hub.rs:1 uses src/config.rs: `use crate::config::Source;`
        data is below config. PLAN";
    expect(&found.upward_uses(), message);
}

#[test]
fn a_circle_of_two_or_three_files_is_found() {
    let text = "// src/nn/mod.rs
        mod a; mod b; mod c; pub use {a::A, b::B};
        // src/nn/a.rs
        use super::b::B; pub struct A;
        // src/nn/b.rs
        pub struct B;
        fn f() { crate::nn::c::c() }
        // src/nn/c.rs
        use crate::nn::A; kernel!(c);";
    let message = "These files use each other in a circle:
        src/nn/a.rs:1 uses src/nn/b.rs: `use super::b::B; pub struct A;`
        src/nn/b.rs:2 uses src/nn/c.rs: `fn f() { crate::nn::c::c() }`
        src/nn/c.rs:1 uses src/nn/a.rs: `use crate::nn::A; kernel!(c);`";
    expect(&house(text).circle(), message);

    let message = "These files use each other in a circle:
        src/nn/b.rs:2 uses src/nn/c.rs: `fn f() { crate::nn::c::c() }`
        src/nn/c.rs:2 uses src/nn/b.rs: `use super::B;`";
    expect(&house(&format!("{text}\nuse super::B;")).circle(), message);
}

#[test]
fn a_circle_through_the_code_of_a_parent_is_found() {
    let found = house(
        "// src/nn/mod.rs
        mod a; use a::A;
        pub struct Thing(A);
        // src/nn/a.rs
        pub struct A;
        use super::Thing;",
    );
    let message = "These files use each other in a circle:
        src/nn/a.rs:2 uses src/nn/mod.rs: `use super::Thing;`
        src/nn/mod.rs:1 uses src/nn/a.rs: `mod a; use a::A;`";
    expect(&found.circle(), message);
}

#[test]
fn a_name_that_a_floor_must_not_know_is_found() {
    let found = house(
        "// src/cli.rs
        fn f() { println!(); }
        // src/error.rs
        impl From<candle_core::Error> for Error {}
        // src/files.rs
        pub fn write() { std::fs::write(); }
        // src/kernels/a.rs
        fn f() {}
        use candle_core::{Tensor, Var};
        // src/model/vae.rs
        use crate::{Error, files};
        // src/nn/a.rs
        use std::io;
        fn f() { m! { io::stdout() } }
        // src/parallel.rs
        use candle_nn::VarMap;
        // src/rng.rs
        fn f() { if true { std::println!(); } }
        // src/train/a.rs
        use std::{fs::File, io};",
    );
    let messages = "src/kernels/a.rs:2 names candle_core: `use candle_core::{Tensor, Var};`
        kernels works on slices: tensors begin in nn. PLAN
        src/model/vae.rs:1 names crate::files: `use crate::{Error, files};`
        model computes: files are for others to read and write. PLAN
        src/nn/a.rs:2 names std::io::stdout: `fn f() { m! { io::stdout() } }`
        nn does not talk: only cli prints. PLAN
        src/parallel.rs:1 names candle_nn: `use candle_nn::VarMap;`
        parallel.rs works on slices: tensors begin in nn. PLAN
        src/rng.rs:1 names println!: `fn f() { if true { std::println!(); } }`
        rng.rs does not talk: only cli prints. PLAN
        src/train/a.rs:1 names std::fs: `use std::{fs::File, io};`
        train computes: files are for others to read and write. PLAN";
    expect(&found.forbidden_names(), messages);
}

#[test]
fn a_long_file_is_found_and_its_tests_do_not_count() {
    let code = |lines| "fn f() {}\n".repeat(lines);
    let tests = "#[cfg(test)]\nmod tests {\n    fn f() {}\n}\n";
    let [most, more] = [code(400), code(401)];
    let text = format!("// src/nn/a.rs\n{most}{tests}// src/nn/b.rs\n{more}{tests}");
    let message = "src/nn/b.rs has 401 lines without its tests. 400 are the most.";
    expect(&house(&text).long_files(), message);
}

#[test]
fn a_folder_or_file_on_no_floor_is_found() {
    let text =
        "// src/lib.rs\n// src/plots/a.rs\n// src/plots/b.rs\n// src/rng.rs\n// src/rng/a.rs";
    let messages = "src/plots is on no floor. PLAN\nsrc/rng is on no floor. PLAN";
    expect(&house(text).on_no_floor(), messages);
    expect(
        &house("// src/plot.rs").on_no_floor(),
        "src/plot.rs is on no floor. PLAN",
    );
}

#[test]
fn a_clean_house_is_clean() {
    let clean = house(
        r#"// src/lib.rs
        mod cli; mod nn; mod error; pub use error::Error;
        // src/main.rs
        fn main() { vae::cli::main() }
        // src/error.rs
        pub struct Error;
        // src/cli/mod.rs
        use crate::nn;
        pub fn main() { println!("{}", nn::Grid) }
        // src/data/synthetic.rs
        mod glyphs; use glyphs::ZERO; pub fn f() { ZERO }
        // src/data/synthetic/glyphs.rs
        use crate::nn::Grid; pub const ZERO: Grid = Grid;
        // src/nn/mod.rs
        mod avx; mod grid; mod layer; mod macros;
        pub use {avx::*, grid::*, layer::Layer};
        pub(crate) use macros::vectorized;
        // src/nn/macros.rs
        macro_rules! vectorized { () => {} }
        pub(crate) use vectorized;
        // src/nn/avx.rs
        use std::fs_like; use super::vectorized; vectorized! { pub fn add() {} }
        // src/nn/grid.rs
        use crate::nn; pub struct Grid; fn f() { nn::avx::add() }
        // src/nn/layer.rs
        //! Not [`crate::cli`].
        use super::{Grid, add, vectorized};
        use gemm::gemm;
        pub(in crate::cli) struct Layer(pub(super) Grid);
        fn f() -> impl Sized + use<> {
            /* crate::cli::main() */
            let text = "crate::cli::main()";
            vectorized! { add(cli::main(), gemm::gemm(), text) }
            crate::Error
        }
        mod inner { use super::{Layer, super::Grid}; }
        #[cfg(test)]
        #[allow(unused)]
        mod tests { use crate::cli::*; fn f() { println!(); } }"#,
    );
    expect_none(&clean.upward_uses());
    expect_none(&clean.on_no_floor());
    expect_none(&clean.circle());
    expect_none(&clean.forbidden_names());
    expect_none(&clean.long_files());
    // And all of it was read.
    let uses = |file| clean.uses[file].keys().cloned().collect::<Vec<_>>();
    let below = ["error.rs", "nn/avx.rs", "nn/grid.rs", "nn/macros.rs"];
    assert_eq!(
        uses("src/nn/layer.rs"),
        below.map(|file| format!("src/{file}"))
    );
    assert_eq!(uses("src/data/synthetic/glyphs.rs"), ["src/nn/grid.rs"]);
}
