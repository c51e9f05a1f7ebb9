//! Statements on tables: where names stand in each.
//!
//! The definition of a table is walked token by token rather than parsed: among columns, keys, options and partitions
//! the name of another table can only follow REFERENCES, UNION, RENAME or EXCHANGE PARTITION … WITH TABLE, and the first
//! three are reserved words, so they can't be anything else.

use super::classify::{Found, ends};
use super::cursor::{Cursor, Shape};
use super::statement::{Kind, NameSpan, Role};
use crate::model::name::TableName;

/// After CREATE [TEMPORARY] TABLE.
pub(super) fn create(cursor: &mut Cursor<'_>, temporary: bool) -> Shape<Found> {
    cursor.accept_all(&["IF", "NOT", "EXISTS"]);
    let own = cursor.object(Role::Table)?;
    let kind = |like, select, start_transaction| Kind::CreateTable {
        temporary,
        like,
        select,
        start_transaction,
    };
    let parenthesis = cursor.is_symbol(b'(') && cursor.is_word_at(1, "LIKE") && cursor.accept_symbol(b'(');
    if cursor.accept("LIKE") {
        cursor.object(Role::LikeSource)?;
        if parenthesis {
            cursor.expect_symbol(b')')?;
        }
        return ends(cursor, kind(true, false, false));
    }
    if !cursor.is_symbol(b'(') && !cursor.is_identifier() {
        return Err(format!("columns, LIKE or AS were expected{}", cursor.whereabouts()));
    }
    let definition = walk(cursor, &own, Of::Create)?;
    Ok(Found {
        cut: definition.start_transaction.clone(),
        ..kind(false, definition.select, definition.start_transaction.is_some()).into()
    })
}

/// After ALTER TABLE.
pub(super) fn alter(cursor: &mut Cursor<'_>) -> Shape<Found> {
    let own = cursor.object(Role::Table)?;
    walk(cursor, &own, Of::Alter)?;
    Ok(Kind::AlterTable.into())
}

/// After DROP [TEMPORARY] TABLE.
pub(super) fn drop_tables(cursor: &mut Cursor<'_>, temporary: bool) -> Shape<Found> {
    cursor.accept_all(&["IF", "EXISTS"]);
    cursor.object_list(Role::Table)?;
    cursor.accept_any(&["RESTRICT", "CASCADE"]);
    ends(cursor, Kind::DropTable { temporary })
}

/// After RENAME.
pub(super) fn rename(cursor: &mut Cursor<'_>) -> Shape<Found> {
    if !cursor.accept_any(&["TABLE", "TABLES"]) {
        cursor.expect("TABLE")?;
    }
    loop {
        let start = cursor.position();
        cursor.object(Role::Table)?;
        cursor.expect("TO")?;
        cursor.object(Role::RenameTarget)?;
        cursor.items.push(start..cursor.end_of_last());
        if !cursor.accept_symbol(b',') {
            return ends(cursor, Kind::RenameTable);
        }
    }
}

/// After TRUNCATE.
pub(super) fn truncate(cursor: &mut Cursor<'_>) -> Shape<Found> {
    cursor.accept("TABLE");
    cursor.object(Role::Table)?;
    ends(cursor, Kind::TruncateTable)
}

/// After CREATE [UNIQUE | FULLTEXT | SPATIAL] INDEX.
pub(super) fn create_index(cursor: &mut Cursor<'_>) -> Shape<Found> {
    cursor.identifier()?;
    if cursor.accept("USING") {
        cursor.identifier()?;
    }
    cursor.expect("ON")?;
    let own = cursor.object(Role::Table)?;
    if cursor.is_symbol(b'(') {
        walk(cursor, &own, Of::Index)?;
        Ok(Kind::CreateIndex.into())
    } else {
        Err(format!("columns were expected{}", cursor.whereabouts()))
    }
}

/// After DROP INDEX.
pub(super) fn drop_index(cursor: &mut Cursor<'_>) -> Shape<Found> {
    cursor.identifier()?;
    cursor.expect("ON")?;
    let own = cursor.object(Role::Table)?;
    walk(cursor, &own, Of::Index)?;
    Ok(Kind::DropIndex.into())
}

/// After ANALYZE, OPTIMIZE, REPAIR or CHECK.
pub(super) fn maintenance(cursor: &mut Cursor<'_>) -> Shape<Found> {
    cursor.accept_any(&["NO_WRITE_TO_BINLOG", "LOCAL"]);
    if !cursor.accept_any(&["TABLE", "TABLES"]) {
        cursor.expect("TABLE")?;
    }
    cursor.object_list(Role::Table)?;
    // QUICK, EXTENDED, FOR UPGRADE, UPDATE HISTOGRAM ON columns …: no tables.
    cursor.skip_rest();
    Ok(Kind::TableMaintenance.into())
}

/// Whose definition is walked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Create,
    Alter,
    Index,
}

#[derive(Default)]
struct Definition {
    select: bool,
    start_transaction: Option<std::ops::Range<usize>>,
}

/// Walks to the statement's end and notes the names on the way.
fn walk(cursor: &mut Cursor<'_>, own: &TableName, of: Of) -> Shape<Definition> {
    let mut definition = Definition::default();
    let mut depth = 0_usize;
    while !cursor.is_end() {
        if cursor.accept_symbol(b'(') {
            depth += 1;
        } else if cursor.accept_symbol(b')') {
            depth = depth.checked_sub(1).ok_or("a ')' has no '('")?;
        } else if depth == 0 && cursor.is_symbol(b';') {
            cursor.expect_end()?;
        } else if of == Of::Create && is_query(cursor, depth) {
            definition.select = true;
            cursor.skip();
        } else if depth == 0 && of == Of::Create && cursor.is_word("START") && cursor.is_word_at(1, "TRANSACTION") {
            let start = cursor.position();
            cursor.accept_all(&["START", "TRANSACTION"]);
            // The table's options come behind it.
            definition.start_transaction = Some(start..cursor.end_of_last());
        } else if cursor.accept("REFERENCES") {
            // Not the default database: a parent without a database stands in the child's.
            cursor.object_in(Role::ForeignKeyParent, Some(&own.database))?;
        } else if depth == 0 && !definition.select && cursor.accept("UNION") {
            merge_members(cursor)?;
        } else if depth == 0 && of == Of::Alter && cursor.accept("RENAME") {
            renamed(cursor)?;
        } else if depth == 0 && of == Of::Alter && cursor.accept("CHANGE") {
            cursor.accept("COLUMN");
            let (old, _) = cursor.identifier()?;
            let (new, _) = cursor.identifier()?;
            if old != new {
                cursor.renamed_columns.push((old, new));
            }
        } else if depth == 0 && of == Of::Alter && cursor.accept_all(&["EXCHANGE", "PARTITION"]) {
            cursor.identifier()?;
            cursor.expect("WITH")?;
            cursor.expect("TABLE")?;
            cursor.object(Role::ExchangeTable)?;
        } else if let Some(chain) = cursor.chain() {
            column(cursor, own, &chain);
        } else {
            cursor.skip();
        }
    }
    if depth > 0 {
        return Err("a '(' has no ')'".to_owned());
    }
    Ok(definition)
}

/// SELECT, TABLE and VALUES can't stand in a definition except where a query begins, but for `VALUES LESS THAN` and
/// `VALUES IN` of partitions.
fn is_query(cursor: &Cursor<'_>, depth: usize) -> bool {
    cursor.is_word("SELECT")
        || cursor.is_word("TABLE")
        || (cursor.is_word("VALUES") && (depth == 0 || cursor.is_word_at(1, "ROW")))
}

/// After UNION: `[=] ( table, … )`, which may be empty.
fn merge_members(cursor: &mut Cursor<'_>) -> Shape<()> {
    cursor.accept_symbol(b'=');
    cursor.expect_symbol(b'(')?;
    if cursor.accept_symbol(b')') {
        return Ok(());
    }
    loop {
        cursor.object(Role::MergeMember)?;
        if !cursor.accept_symbol(b',') {
            return cursor.expect_symbol(b')');
        }
    }
}

/// After RENAME in ALTER TABLE. A new name without a database stands in the default database, even if the table does
/// not: then the table moves there.
fn renamed(cursor: &mut Cursor<'_>) -> Shape<()> {
    if cursor.accept("COLUMN") {
        let (old, _) = cursor.identifier()?;
        cursor.expect("TO")?;
        let (new, _) = cursor.identifier()?;
        cursor.renamed_columns.push((old, new));
        return Ok(());
    }
    if cursor.accept_any(&["INDEX", "KEY"]) {
        cursor.identifier()?;
        cursor.expect("TO")?;
        cursor.identifier()?;
        return Ok(());
    }
    if !cursor.accept_symbol(b'=') {
        cursor.accept_any(&["TO", "AS"]);
    }
    cursor.object(Role::RenameTarget)?;
    if cursor.is_end()
        || cursor.is_symbol(b',')
        || cursor.is_symbol(b';')
        || cursor.is_any(&["PARTITION", "REMOVE", "ORDER"])
    {
        Ok(())
    } else {
        Err(format!("RENAME has an unknown form{}", cursor.whereabouts()))
    }
}

/// A column with its table's name before it. The server takes any name there and forgets it; the own one is replaced so
/// that the text stays sensible.
fn column(cursor: &mut Cursor<'_>, own: &TableName, chain: &[(String, std::ops::Range<usize>)]) {
    let qualifier = match chain {
        [(table, span), _] if *table == own.table => Some(span.clone()),
        [(database, first), (table, last), _] if *table == own.table && *database == own.database => {
            Some(first.start..last.end)
        }
        _ => None,
    };
    if let Some(span) = qualifier {
        cursor.names.push(NameSpan {
            span,
            role: Role::ColumnQualifier,
            name: own.clone(),
        });
    }
    // The names and the dots between them.
    for _ in 1..chain.len() * 2 {
        cursor.skip();
    }
}
