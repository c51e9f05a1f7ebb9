//! Runs every statement of `fixtures/ddl/*.sql` (its README tells the format) and throws broken ones at the classifier.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::{Mapping, Role, SqlMode, Statement, StatementContext, classify};
use crate::model::{columns::ColumnMap, name::TableName};

struct Case {
    title: String,
    default_database: Option<String>,
    sql_mode: u64,
    server_version: u32,
    statement: String,
    expected: String,
}

impl Case {
    fn context(&self) -> StatementContext<'_> {
        StatementContext {
            default_database: self.default_database.as_deref(),
            sql_mode: self.sql_mode,
            server_version: self.server_version,
        }
    }
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/ddl");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    files
}

fn cases(file: &Path) -> Vec<Case> {
    let content = std::fs::read_to_string(file).unwrap();
    let (_, content) = content.split_once("=== ").unwrap();
    content.split("\n=== ").map(case).collect()
}

fn case(block: &str) -> Case {
    let (head, rest) = block.split_once('\n').unwrap();
    let (title, settings) = head.split_once(" | ").unwrap_or((head, ""));
    let (statement, expected) = rest.split_once("\n---").unwrap_or((rest.trim_end(), ""));
    let mut case = Case {
        title: title.to_owned(),
        default_database: Some("shop".to_owned()),
        sql_mode: 0,
        server_version: 90_704,
        statement: statement.to_owned(),
        expected: expected.trim().to_owned(),
    };
    for setting in settings.split_whitespace() {
        match setting.split_once('=').unwrap_or((setting, "")) {
            ("db", "none") => case.default_database = None,
            ("db", name) => case.default_database = Some(name.to_owned()),
            ("ansi_quotes", "") => case.sql_mode |= SqlMode::ANSI_QUOTES,
            ("no_backslash_escapes", "") => case.sql_mode |= SqlMode::NO_BACKSLASH_ESCAPES,
            ("version", version) => case.server_version = version.parse().unwrap(),
            _ => panic!("unknown setting {setting} in '{head}'"),
        }
    }
    case
}

/// `shop` is `shop2` at the destination, a table `t` is `t2`; `stranger` is not synchronized.
fn map(role: Role, name: &TableName) -> Option<TableName> {
    if name.database == "stranger" {
        return (role == Role::ForeignKeyParent).then(|| name.clone());
    }
    let database = if name.database == "shop" {
        "shop2"
    } else {
        &name.database
    };
    let table = if name.table == "t" { "t2" } else { &name.table };
    Some(TableName::new(database, table))
}

fn found(case: &Case) -> String {
    let statement = match classify(&case.statement, &case.context()) {
        Ok(statement) => statement,
        Err(error) => return format!("unclassified: {}\nshown: {}", error.reason, error.statement),
    };
    let mut found = format!("{:?}\n", statement.kind);
    for name in &statement.names {
        let written = &statement.text()[name.span.clone()];
        writeln!(found, "{:?} {:?} is {}", name.role, written, name.name).unwrap();
    }
    if let Some(xid) = statement.xid() {
        writeln!(found, "{xid:?}").unwrap();
    }
    if let Some(body) = &statement.body {
        let looked_up = if body.needs_default_database {
            "the default database"
        } else {
            "its own database"
        };
        writeln!(found, "body, its names are looked up in {looked_up}").unwrap();
    }
    match statement.rewrite(&map) {
        Ok(text) => write!(found, "=> {text}").unwrap(),
        Err(error) => write!(found, "refused: {error}").unwrap(),
    }
    found
}

/// With `CAUSEWAY_BLESS` set, what is found is written down as what is expected: read the difference before committing.
#[test]
fn every_fixture_is_classified_and_rewritten_as_written_down() {
    let bless = std::env::var_os("CAUSEWAY_BLESS").is_some();
    let mut wrong = String::new();
    let mut count = 0;
    for file in files() {
        let content = std::fs::read_to_string(&file).unwrap();
        let mut blessed = String::new();
        let blocks = content.split_once("=== ").unwrap().1;
        for (block, case) in blocks.split("\n=== ").zip(cases(&file)) {
            count += 1;
            let found = found(&case);
            if found.trim() != case.expected {
                write!(
                    wrong,
                    "\n{} ({})\nexpected:\n{}\nfound:\n{found}\n",
                    case.title,
                    file.display(),
                    case.expected
                )
                .unwrap();
            }
            let head = block.split_once('\n').unwrap().0;
            write!(blessed, "=== {head}\n{}\n---\n{}\n\n", case.statement, found.trim()).unwrap();
        }
        if bless {
            std::fs::write(&file, blessed.trim_end().to_owned() + "\n").unwrap();
        }
    }
    assert!(bless || wrong.is_empty(), "{wrong}");
    assert!(count >= 120, "only {count} fixtures were found");
}

fn all_cases() -> Vec<Case> {
    files().iter().flat_map(|file| cases(file)).collect()
}

/// A statement that was written under other names has these other names, and is otherwise the same statement.
#[test]
fn what_was_rewritten_reads_back_as_the_mapped_names() {
    for case in all_cases() {
        let Ok(statement) = classify(&case.statement, &case.context()) else {
            continue;
        };
        let Ok(text) = statement.rewrite(&map) else {
            continue;
        };
        let context = StatementContext {
            default_database: Some("elsewhere"),
            ..case.context()
        };
        let again = classify(&text, &context).unwrap();
        let expected: Vec<_> = statement
            .names
            .iter()
            .map(|n| (n.role, map(n.role, &n.name).unwrap()))
            .collect();
        let names: Vec<_> = again.names.iter().map(|n| (n.role, n.name.clone())).collect();
        assert_eq!(names, expected, "{}", case.title);
    }
}

fn check_spans(statement: &Statement) {
    for name in &statement.names {
        assert!(statement.text().get(name.span.clone()).is_some(), "{statement:?}");
    }
    let mut ends = 0;
    for name in &statement.names {
        assert!(name.span.start >= ends, "names overlap: {statement:?}");
        ends = name.span.end;
    }
}

fn try_all(text: &str, context: &StatementContext<'_>) {
    if let Ok(statement) = classify(text, context) {
        check_spans(&statement);
        let rewritten = statement.rewrite(&map);
        let some_columns = Mapping {
            names: &map,
            columns: &|_| {
                let pairs = [("a", "A b"), ("id", "id"), ("p", "q")];
                ColumnMap::Listed(pairs.map(|(from, to)| (from.into(), to.into())).to_vec())
            },
            has_key: &|_, key| key.len() % 2 == 0,
        };
        if let Ok(Some(text)) = statement.rewrite_for(&some_columns) {
            let context = StatementContext {
                default_database: Some("elsewhere"),
                ..*context
            };
            // What is left after a part has gone may be no statement (of a broken one), but it can be read.
            let kind = std::mem::discriminant(&statement.kind);
            if classify(&text, &context).is_ok_and(|again| std::mem::discriminant(&again.kind) != kind) {
                panic!("{} became {text}", statement.text());
            }
        }
        let limited = statement.limit_to(&|name| name.table.len() % 2 == 0);
        if let Some(limited) = limited {
            check_spans(&limited);
            let again = classify(limited.text(), context).unwrap();
            assert_eq!(again.names, limited.names, "{text}");
        }
        drop(rewritten);
    }
}

fn check_limit(text: &str, keep: &[&str], expected: Option<&str>) {
    let context = StatementContext {
        default_database: Some("shop"),
        sql_mode: 0,
        server_version: 90_704,
    };
    let statement = classify(text, &context).unwrap();
    let limited = statement.limit_to(&|name| keep.contains(&name.to_string().as_str()));
    assert_eq!(limited.as_ref().map(Statement::text), expected, "{text}");
    if let Some(limited) = limited {
        let again = classify(limited.text(), &context).unwrap();
        assert_eq!(again.names, limited.names, "{text}");
        assert_eq!(again.kind, limited.kind, "{text}");
    }
}

#[test]
fn a_list_is_limited_to_the_objects_that_are_kept() {
    let drop = "DROP TABLE IF EXISTS `a`,é.`b`, c /* generated by server */";
    check_limit(
        drop,
        &["shop.a"],
        Some("DROP TABLE IF EXISTS `a` /* generated by server */"),
    );
    check_limit(
        drop,
        &["é.b"],
        Some("DROP TABLE IF EXISTS é.`b` /* generated by server */"),
    );
    check_limit(
        drop,
        &["shop.a", "shop.c"],
        Some("DROP TABLE IF EXISTS `a`, c /* generated by server */"),
    );
    check_limit(drop, &[], None);
    let rename = "RENAME TABLE a TO b, x.c TO x.d, e TO f";
    check_limit(rename, &["shop.a", "shop.b"], Some("RENAME TABLE a TO b"));
    check_limit(rename, &["x.d"], Some("RENAME TABLE x.c TO x.d"));
    check_limit(rename, &["shop.f", "shop.a"], Some("RENAME TABLE a TO b, e TO f"));
    check_limit(rename, &["other.z"], None);
    check_limit("DROP VIEW v, w", &["shop.w"], Some("DROP VIEW w"));
    check_limit("TRUNCATE t", &["shop.t"], Some("TRUNCATE t"));
    check_limit("TRUNCATE t", &["shop.u"], None);
    check_limit("DROP DATABASE k", &["k."], Some("DROP DATABASE k"));
}

#[test]
fn a_statement_that_is_not_understood_is_shown_without_its_values() {
    let context = StatementContext {
        default_database: None,
        sql_mode: 0,
        server_version: 90_704,
    };
    for text in [
        "FROB 'secret', 12345 x",
        "CREATE USER u IDENTIFIED BY 'secret",
        "CREATE WOMBAT \"secret\" 12345",
    ] {
        let message = classify(text, &context).unwrap_err().to_string();
        assert!(!message.contains("secret") && !message.contains("12345"), "{message}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_classifier_panic(text in any::<String>(), sql_mode in any::<u64>(), db in any::<bool>()) {
        let context = StatementContext {
            default_database: db.then_some("shop"),
            sql_mode,
            server_version: 90_704,
        };
        try_all(&text, &context);
        for verb in ["CREATE TABLE ", "ALTER TABLE t ", "DROP TABLE ", "RENAME TABLE ", "CREATE VIEW v AS ", "XA START "] {
            try_all(&format!("{verb}{text}"), &context);
        }
    }

    #[test]
    fn no_mutilated_statement_makes_the_classifier_panic(
        pick in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), "[(){}`'\"./*!;, é@\\\\-]{0,3}"), 1..4),
        splice in any::<bool>(),
        sql_mode in any::<u64>(),
    ) {
        let cases = all_cases();
        let case = pick.get(&cases);
        let mut text = case.statement.clone();
        if splice {
            text.push_str(&other.get(&cases).statement);
        }
        for (start, length, insert) in cuts {
            let chars: Vec<char> = text.chars().collect();
            if chars.is_empty() {
                break;
            }
            let start = start.index(chars.len());
            let end = (start + length.index(8)).min(chars.len());
            text = chars[..start].iter().collect::<String>() + &insert + &chars[end..].iter().collect::<String>();
        }
        try_all(&text, &StatementContext { sql_mode, ..case.context() });
        try_all(&text, &case.context());
    }
}
