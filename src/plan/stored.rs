//! Which views, routines, triggers and events travel: those of databases that are selected as a whole.

use crate::model::{
    name::TableName,
    stored::{StoredKind, StoredName},
};

use super::objects::Objects;

/// The name of a stored object at the destination; `None` if it is not carried. A view's name is a table's: `NOT` rules
/// apply to it. A trigger's table has to be asked for besides.
pub fn map(objects: &Objects, stored: &StoredName) -> Option<TableName> {
    let database = objects.map_database(&stored.name.database)?;
    match stored.kind {
        StoredKind::View => objects.map(&stored.name),
        _ => Some(TableName::new(database, &stored.name.table)),
    }
}
