//! DROP DATABASE at the destination: never more than is selected.

use mysql_async::Conn;

use crate::{
    failure::Failure,
    model::{history::Details, name::TableName},
    plan::objects::Objects,
    schema,
    sql::ident,
};

use super::statements::Rewritten;

/// What is run for DROP DATABASE of `database`: the statement as it is (`whole`, if the database is selected as a whole)
/// where the destination's database holds only what has come, or could have come, from it; otherwise its selected tables are
/// dropped. `true`: something stays.
///
/// # Errors
/// [`Failure`] if the destination refuses.
pub async fn drop(
    destination: &mut Conn,
    objects: &Objects,
    database: &str,
    whole: Option<&Rewritten>,
) -> Result<(Rewritten, bool), Failure> {
    let comes_from_it = |table: &TableName| {
        objects
            .origin(table)
            .is_some_and(|origin| origin.database.eq_ignore_ascii_case(database))
    };
    let tables = schema::list_tables(destination)
        .await?
        .into_iter()
        .map(|(name, _)| name);
    let (come, others): (Vec<TableName>, Vec<TableName>) = tables.partition(comes_from_it);
    if let Some(whole) = whole
        && !others.iter().any(|table| whole.databases.contains(&table.database))
    {
        return Ok((whole.clone(), false));
    }
    let list: Vec<String> = come.iter().map(ident::quoted_table).collect();
    let text = if list.is_empty() {
        // They may have been dropped by this very statement, before a crash: there is something to run in any case.
        "DO 0".to_owned()
    } else {
        format!("DROP TABLE IF EXISTS {}", list.join(", "))
    };
    let rewritten = Rewritten {
        text,
        tables: come,
        details: Details {
            voids: vec![TableName::new(database, "")],
            ..Details::default()
        },
        ..Rewritten::default()
    };
    Ok((rewritten, true))
}
