//! Pages of docs/ that are made from the program's own definitions. `UPDATE_DOCS=1` writes them anew.

use std::fmt::Write as _;
use std::{env, fs, path::Path};

use causeway::admin::grammar::options::OPTIONS;
use causeway::store::{QueryKind, Store, columns::PUBLIC};

/// The page must be this text.
fn current(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, text).unwrap();
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "docs/{name} is out of date: run this test with UPDATE_DOCS=1"
    );
}

#[test]
fn the_page_of_options_is_current() {
    let mut page = String::from(
        "# Options of a task

`CREATE SYNC TASK … WITH (option = value, …)`, later `ALTER SYNC TASK … SET (option = value, …)`. An option that may differ in the reverse
direction is given to it with `REVERSE WITH (…)` and `REVERSE SET (…)`; what is not said there is as in the forward direction.
`SHOW CREATE SYNC TASK` shows all of them.

| option | values, the default first | own value in reverse | |
|---|---|---|---|
",
    );
    for option in &OPTIONS {
        let own = if option.per_direction { "yes" } else { "" };
        writeln!(
            page,
            "| `{}` | {} | {own} | {} |",
            option.name, option.values, option.doc
        )
        .unwrap();
    }
    current("options.md", &page);
}

#[test]
fn the_page_of_the_sync_schema_is_current() {
    let folder = env::temp_dir().join(format!("causeway-documents-{}", uuid::Uuid::new_v4()));
    let store = Store::open(&folder).unwrap();
    let mut page = String::from(
        "# The `sync` schema

What there is to know about servers and tasks, as tables: read-only, with the whole SELECT language (`WHERE`, `JOIN`, `GROUP BY`,
window functions, `->>` for JSON). Times are UTC, `YYYY-MM-DD HH:MM:SS.mmm`. It takes the role reader.
",
    );
    for table in PUBLIC {
        let columns = store.public_columns(table.name).unwrap().unwrap();
        write!(
            page,
            "\n## sync.{}\n\nOne row per {}.\n\n| column | type | |\n|---|---|---|\n",
            table.name, table.one_row_per
        )
        .unwrap();
        for (name, sentence) in table.columns {
            let column = columns.iter().find(|column| column.name == *name).unwrap();
            let kind = match column.kind {
                QueryKind::Text => "text",
                QueryKind::Integer => "number",
                QueryKind::Double => "fraction",
            };
            let key = if column.in_key { ", key" } else { "" };
            writeln!(page, "| `{name}` | {kind}{key} | {sentence} |").unwrap();
        }
    }
    drop(store);
    fs::remove_dir_all(folder).unwrap();
    current("sync-schema.md", &page);
}
