//! Views, routines, triggers and events as a server reports them.

use mysql_async::{Conn, Row, prelude::Queryable};

use crate::{
    failure::Failure,
    model::{
        name::TableName,
        stored::{StoredKind, StoredName},
    },
    sql::{NOT_SYSTEM, ident},
};

/// A view, routine, trigger or event that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What and which.
    pub name: StoredName,
    /// The table of a trigger.
    pub table: Option<TableName>,
}

/// What makes one, and the session it was made in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Its name.
    pub name: StoredName,
    /// The table of a trigger.
    pub table: Option<TableName>,
    /// The statement, in UTF-8.
    pub create: String,
    /// `sql_mode`; not kept for views.
    pub sql_mode: Option<String>,
    /// `time_zone`; of events.
    pub time_zone: Option<String>,
    /// `character_set_client`; not kept for libraries.
    pub charset_client: Option<String>,
    /// `collation_connection`; not kept for libraries.
    pub collation_connection: Option<String>,
}

/// JavaScript libraries came with 9.2.
const LIBRARIES_SINCE: (u16, u16, u16) = (9, 2, 0);

/// All that the account may see outside of the system databases: what others use comes before them, triggers of one table
/// come in the order in which they fire. Views are in no order.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn list(conn: &mut Conn) -> Result<Vec<Listed>, Failure> {
    let libraries = if conn.server_version() >= LIBRARIES_SINCE {
        format!(
            "SELECT LIBRARY_SCHEMA, LIBRARY_NAME, NULL FROM information_schema.LIBRARIES WHERE LIBRARY_SCHEMA {NOT_SYSTEM}"
        )
    } else {
        String::new()
    };
    let routines = |kind: &str| {
        format!(
            "SELECT ROUTINE_SCHEMA, ROUTINE_NAME, NULL FROM information_schema.ROUTINES \
             WHERE ROUTINE_TYPE = '{kind}' AND ROUTINE_SCHEMA {NOT_SYSTEM} ORDER BY 1, 2"
        )
    };
    let queries = [
        (StoredKind::Library, libraries),
        (StoredKind::Function, routines("FUNCTION")),
        (StoredKind::Procedure, routines("PROCEDURE")),
        (
            StoredKind::View,
            format!(
                "SELECT TABLE_SCHEMA, TABLE_NAME, NULL FROM information_schema.TABLES \
                 WHERE TABLE_TYPE = 'VIEW' AND TABLE_SCHEMA {NOT_SYSTEM} ORDER BY 1, 2"
            ),
        ),
        (
            StoredKind::Trigger,
            format!(
                "SELECT TRIGGER_SCHEMA, TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS \
                 WHERE TRIGGER_SCHEMA {NOT_SYSTEM} \
                 ORDER BY 1, EVENT_OBJECT_TABLE, EVENT_MANIPULATION, ACTION_TIMING, ACTION_ORDER"
            ),
        ),
        (
            StoredKind::Event,
            format!(
                "SELECT EVENT_SCHEMA, EVENT_NAME, NULL FROM information_schema.EVENTS \
                 WHERE EVENT_SCHEMA {NOT_SYSTEM} ORDER BY 1, 2"
            ),
        ),
    ];
    let mut all = Vec::new();
    for (kind, query) in queries.into_iter().filter(|(_, query)| !query.is_empty()) {
        let rows: Vec<(String, String, Option<String>)> = conn
            .query(query)
            .await
            .map_err(|error| Failure::mysql("listing views, routines, triggers and events", &error))?;
        all.extend(rows.into_iter().map(|(database, name, table)| Listed {
            table: table.map(|table| TableName::new(&database, table)),
            name: StoredName {
                kind,
                name: TableName::new(database, name),
            },
        }));
    }
    Ok(all)
}

/// Reads what makes each of them; one that was dropped meanwhile is simply not there.
///
/// # Errors
/// [`Failure`] if the server refuses, or does not show the account a body.
pub async fn read(conn: &mut Conn, listed: &[Listed]) -> Result<Vec<Definition>, Failure> {
    let mut definitions = Vec::with_capacity(listed.len());
    for Listed { name, table } in listed {
        definitions.extend(read_one(conn, name, table.as_ref()).await?);
    }
    Ok(definitions)
}

/// What makes it; `None` if it is not there.
///
/// # Errors
/// See [`read`].
pub async fn read_one(
    conn: &mut Conn,
    name: &StoredName,
    table: Option<&TableName>,
) -> Result<Option<Definition>, Failure> {
    let query = format!(
        "SHOW CREATE {} {}",
        name.kind.keyword(),
        ident::quoted_table(&name.name)
    );
    let row: Result<Option<Row>, _> = conn.query_first(query).await;
    let row = match row {
        Ok(Some(row)) => row,
        Ok(None) => return Ok(None),
        // No such table, routine, trigger, event, database; a table in the place of a view.
        Err(mysql_async::Error::Server(error)) if matches!(error.code, 1049 | 1146 | 1305 | 1347 | 1360 | 1539) => {
            return Ok(None);
        }
        Err(error) => return Err(Failure::mysql(format_args!("reading the definition of {name}"), &error)),
    };
    let text = |column: &str| row.get_opt::<Option<String>, _>(column).and_then(Result::ok).flatten();
    let create = match name.kind {
        StoredKind::View => text("Create View"),
        StoredKind::Procedure => text("Create Procedure"),
        StoredKind::Function => text("Create Function"),
        StoredKind::Library => text("Create Library"),
        StoredKind::Trigger => text("SQL Original Statement"),
        StoredKind::Event => text("Create Event"),
    };
    let Some(create) = create else {
        return Err(Failure::data(format!(
            "the server does not show the account the body of {name}: that needs SHOW_ROUTINE. Grant the account what \
             docs/privileges.md lists"
        )));
    };
    Ok(Some(Definition {
        name: name.clone(),
        table: table.cloned(),
        create,
        sql_mode: text("sql_mode"),
        time_zone: text("time_zone"),
        charset_client: text("character_set_client"),
        collation_connection: text("collation_connection"),
    }))
}
