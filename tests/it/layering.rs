//! Who may use whom, and which modules may act: read from the sources.
//!
//! Pure modules decide and do no IO, no async, no clock, no randomness. Modules that act do not import each other; `task`
//! wires them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// What each module may use. Every module of the crate stands here.
const MAY_USE: &[(&str, &[&str])] = &[
    // Pure.
    ("model", &[]),
    ("binlog", &["model"]),
    ("ddl", &["model"]),
    ("sql", &["model", "binlog"]),
    ("plan", &["model", "binlog", "ddl"]),
    ("conflict", &["model"]),
    ("schedule", &["model", "binlog"]),
    ("precheck", &["model", "sql", "plan"]),
    // Below all that act.
    ("failure", &["model"]),
    ("connect", &["model", "sql", "failure"]),
    // They act.
    ("source", &["model", "binlog", "failure"]),
    ("schema", &["model", "sql", "ddl", "failure"]),
    ("copy", &["model", "binlog", "sql", "failure"]),
    (
        "apply",
        &["model", "binlog", "sql", "plan", "conflict", "schedule", "failure"],
    ),
    ("store", &["model"]),
    // What it shows is what the store holds; what it sets going it sets going through its trait `Control`.
    ("admin", &["model", "plan", "store"]),
    // They wire.
    (
        "task",
        &[
            "model", "binlog", "ddl", "sql", "plan", "conflict", "schedule", "precheck", "failure", "connect",
            "source", "schema", "copy", "apply", "store", "admin",
        ],
    ),
    ("serve", &["task", "store", "admin"]),
    ("demo", &[]),
];

const PURE: &[&str] = &[
    "model", "binlog", "ddl", "sql", "plan", "conflict", "schedule", "precheck",
];

/// What no pure module mentions.
const ACTS: &[&str] = &[
    "tokio",
    "futures_util",
    "mysql_async",
    "rusqlite",
    "tracing",
    "metrics",
    "rand",
    "async",
    "await",
    "SystemTime",
    "Instant",
];

/// Nor these parts of the standard library.
const ACTS_IN_STD: &[&str] = &["env", "fs", "net", "os", "process", "thread"];

/// A module's files without comments and tests.
fn modules() -> BTreeMap<String, Vec<(PathBuf, String)>> {
    let mut modules: BTreeMap<String, Vec<_>> = BTreeMap::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut tests = BTreeSet::new();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                // `#[cfg(test)] mod name;`: a file of tests.
                for (_, rest) in text
                    .match_indices("#[cfg(test)]\nmod ")
                    .map(|(at, found)| text.split_at(at + found.len()))
                {
                    let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
                    if rest[name.len()..].starts_with(';') {
                        tests.insert(folder.join(name).with_extension("rs"));
                    }
                }
                files.push((path, text));
            }
        }
    }
    for (path, text) in files.into_iter().filter(|(path, _)| !tests.contains(path)) {
        let inside = path.strip_prefix(&root).unwrap();
        let module = inside
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs")
            .to_owned();
        if !matches!(module.as_str(), "lib" | "main") {
            modules
                .entry(module)
                .or_default()
                .push((inside.to_owned(), code(&text)));
        }
    }
    modules
}

/// Without comments, and without the tests at the end.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    text.lines()
        .map(|line| line.split("//").next().unwrap())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The modules of this crate that a file names.
fn used(code: &str) -> BTreeSet<String> {
    let name = |text: &str| -> String {
        text.trim()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let mut used = BTreeSet::new();
    for (at, found) in code.match_indices("crate::") {
        let rest = &code[at + found.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            used.insert(name(rest));
            continue;
        };
        let (mut depth, mut item) = (1, String::new());
        for c in group.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 || (depth == 1 && c == ',') {
                used.insert(name(&item));
                item.clear();
            } else if depth == 1 {
                item.push(c);
            }
            if depth == 0 {
                break;
            }
        }
    }
    used.remove("");
    used
}

fn words(code: &str) -> BTreeSet<&str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').collect()
}

#[test]
fn every_module_uses_only_what_is_below_it() {
    let modules = modules();
    let known: BTreeSet<&str> = MAY_USE.iter().map(|(module, _)| *module).collect();
    assert_eq!(
        modules.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        known,
        "the modules there are"
    );
    for (module, allowed) in MAY_USE {
        for (path, code) in &modules[*module] {
            for other in used(code)
                .iter()
                .filter(|other| other != module && known.contains(other.as_str()))
            {
                assert!(
                    allowed.contains(&other.as_str()),
                    "{}: {module} may not use {other}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn pure_modules_do_no_io_and_know_no_clock_and_no_chance() {
    let modules = modules();
    for module in PURE {
        for (path, code) in &modules[*module] {
            let words = words(code);
            let mut found: Vec<String> = ACTS
                .iter()
                .filter(|word| words.contains(*word))
                .map(ToString::to_string)
                .collect();
            found.extend(
                ACTS_IN_STD
                    .iter()
                    .map(|part| format!("std::{part}"))
                    .filter(|part| code.contains(part)),
            );
            assert!(
                found.is_empty(),
                "{}: {module} is pure, but has {found:?}",
                path.display()
            );
        }
    }
}

#[test]
fn the_layering_tests_see_what_they_look_for() {
    let text = "use crate::{\n    apply::{worker, x::{y}},\n    model::name,\n};\nfn f() { crate::store::open() } // crate::copy\n\
                #[cfg(test)]\nmod tests {\n use crate::task; }";
    let code = code(text);
    assert_eq!(used(&code), ["apply", "model", "store"].map(str::to_owned).into());
    assert!(words("let now = std::time::Instant::now();").contains("Instant"));
    // The modules that act are seen to act.
    let all = modules();
    assert!(all["source"].iter().any(|(_, code)| words(code).contains("tokio")));
    assert!(used(&all["task"][0].1).len() > 1);
}
