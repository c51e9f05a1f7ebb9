//! SHOW DATABASES, SHOW TABLES, DESCRIBE, and lists that are empty.

use super::{Reply, Result, SYNC, Session, Statements, text_rows};
use crate::admin::grammar::EmptyList;
use crate::admin::reply::{Cell, SqlError};
use crate::model::pattern;
use crate::store::{PUBLIC_TABLES, QueryKind};

pub(super) fn known_database(database: &str) -> Result<()> {
    if database.eq_ignore_ascii_case(SYNC) {
        return Ok(());
    }
    let message = format!("Unknown database '{database}'; there is one, sync");
    Err(SqlError::new(1049, "42000", message))
}

/// The database that is meant: the named one, the session's, or the only one there is.
fn database(session: &Session, named: Option<String>) -> Result<()> {
    known_database(named.as_deref().or(session.database.as_deref()).unwrap_or(SYNC))
}

/// LIKE as SHOW has it: names of the lists here are compared without case.
pub(super) fn fits(like: Option<&str>, name: &str) -> bool {
    like.is_none_or(|like| pattern::matches(&like.to_lowercase(), &name.to_lowercase()))
}

pub(super) fn databases(like: Option<&str>) -> Reply {
    let rows = fits(like, SYNC).then(|| vec![SYNC.to_owned()]);
    text_rows(&["Database"], rows.into_iter().collect())
}

pub(super) fn tables(session: &Session, named: Option<String>, full: bool, like: Option<&str>) -> Result<Reply> {
    database(session, named)?;
    let tables = PUBLIC_TABLES.iter().filter(|table| fits(like, table));
    Ok(if full {
        let rows = tables.map(|table| vec![(*table).to_owned(), "BASE TABLE".to_owned()]);
        text_rows(&["Tables_in_sync", "Table_type"], rows.collect())
    } else {
        text_rows(
            &["Tables_in_sync"],
            tables.map(|table| vec![(*table).to_owned()]).collect(),
        )
    })
}

impl Statements {
    pub(super) async fn describe(
        &self,
        session: &Session,
        named: Option<String>,
        table: String,
        like: Option<String>,
    ) -> Result<Reply> {
        database(session, named)?;
        let asked = table.to_lowercase();
        let columns = self.stored(move |store| store.public_columns(&asked)).await?;
        let Some(columns) = columns else {
            let message = format!("Table 'sync.{table}' doesn't exist; SHOW TABLES FROM sync lists those there are");
            return Err(SqlError::new(1146, "42S02", message));
        };
        let text = |text: &str| Cell::Text(text.to_owned());
        let rows = columns
            .iter()
            .filter(|column| fits(like.as_deref(), &column.name))
            .map(|column| {
                vec![
                    text(&column.name),
                    text(if column.kind == QueryKind::Integer {
                        "bigint"
                    } else {
                        "text"
                    }),
                    text(if column.nullable { "YES" } else { "NO" }),
                    text(if column.in_key { "PRI" } else { "" }),
                    Cell::Null,
                    text(""),
                ]
            });
        let rows = rows.collect();
        let Reply::Rows { columns, .. } = text_rows(&["Field", "Type", "Null", "Key", "Default", "Extra"], Vec::new())
        else {
            return Ok(super::done());
        };
        Ok(Reply::Rows { columns, rows })
    }
}

pub(super) fn empty(list: EmptyList) -> Reply {
    let columns: &[&str] = match list {
        EmptyList::Warnings => &["Level", "Code", "Message"],
        EmptyList::Engines => &["Engine", "Support", "Comment", "Transactions", "XA", "Savepoints"],
        EmptyList::Plugins => &["Name", "Status", "Type", "Library", "License"],
        EmptyList::Collations => &[
            "Collation",
            "Charset",
            "Id",
            "Default",
            "Compiled",
            "Sortlen",
            "Pad_attribute",
        ],
        EmptyList::CharacterSets => &["Charset", "Description", "Default collation", "Maxlen"],
    };
    text_rows(columns, Vec::new())
}
