//! Foreign keys whose actions nobody would carry: the child is among the objects, its parent is not, and a server does not
//! write to its binlog what the action does to the child.

use mysql_async::{Conn, prelude::Queryable};

use crate::{
    connect,
    failure::Failure,
    model::{name::TableName, server::ServerDefinition},
    plan::objects::Objects,
};

/// Why a task can't follow what foreign keys do, if it can't. `servers` are those whose binlogs are followed, the task's
/// source first; a server's foreign keys are those of the source.
///
/// # Errors
/// [`Failure`] if a server is out of reach or refuses.
pub async fn refusal(servers: &[&ServerDefinition], objects: &Objects) -> Result<Option<String>, Failure> {
    let mut silent = Vec::new();
    let mut keys = Vec::new();
    for (place, server) in servers.iter().enumerate() {
        let mut conn = connect::open(server).await?;
        if place == 0 {
            keys = over_the_border(&mut conn, objects).await?;
        }
        if !keys.is_empty() && !logs_cascades(&mut conn).await? {
            silent.push(server.name.to_string());
        }
        conn.disconnect()
            .await
            .map_err(|error| Failure::mysql("closing a connection", &error))?;
    }
    let (Some((child, parent)), false) = (keys.first(), silent.is_empty()) else {
        return Ok(None);
    };
    Ok(Some(format!(
        "{child} has a foreign key with CASCADE or SET NULL to {parent}, which is not among the objects{}, and server {} does \
         not write to its binlog what such a key does; add the parent to OBJECTS, leave the child out, or take the action \
         off the key (ON DELETE RESTRICT ON UPDATE RESTRICT)",
        match keys.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more such keys)"),
        },
        silent.join(" and ")
    )))
}

/// MySQL does since 9.6, unless `innodb_native_foreign_keys` is ON.
async fn logs_cascades(conn: &mut Conn) -> Result<bool, Failure> {
    let found: Option<(String, String)> = conn
        .query_first("SHOW GLOBAL VARIABLES LIKE 'innodb_native_foreign_keys'")
        .await
        .map_err(|error| Failure::mysql("looking how foreign keys act", &error))?;
    Ok(found.is_some_and(|(_, value)| value == "OFF"))
}

/// Keys that act on a selected child of a parent that is not selected: child, parent.
async fn over_the_border(conn: &mut Conn, objects: &Objects) -> Result<Vec<(TableName, TableName)>, Failure> {
    let found: Vec<(String, String, String, String)> = conn
        .query(
            "SELECT CONSTRAINT_SCHEMA, TABLE_NAME, UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME \
             FROM information_schema.REFERENTIAL_CONSTRAINTS \
             WHERE DELETE_RULE IN ('CASCADE', 'SET NULL') OR UPDATE_RULE IN ('CASCADE', 'SET NULL')",
        )
        .await
        .map_err(|error| Failure::mysql("looking for foreign keys that act", &error))?;
    let keys = found
        .into_iter()
        .map(|(database, table, of, parent)| (TableName::new(database, table), TableName::new(of, parent)));
    Ok(keys
        .filter(|(child, parent)| objects.map(child).is_some() && objects.map(parent).is_none())
        .collect())
}
