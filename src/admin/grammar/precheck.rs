//! PRECHECK SYNC TASK, and ALTER SYNC TASK … ACKNOWLEDGE.

use super::{Statement, cursor::Cursor};
use crate::{admin::reply::SqlError, model::name::TaskName};

/// Behind `PRECHECK SYNC TASK`.
pub(super) fn precheck(cursor: &mut Cursor<'_>) -> Result<Statement, SqlError> {
    let name = cursor.typed_name("a task name")?;
    cursor.end()?;
    Ok(Statement::Precheck(name))
}

/// Behind `ALTER SYNC TASK … ACKNOWLEDGE`.
pub(super) fn acknowledge(cursor: &mut Cursor<'_>, name: TaskName) -> Result<Statement, SqlError> {
    let item = cursor.string("the name of a precheck item in quotes")?;
    cursor.end()?;
    Ok(Statement::Acknowledge { name, item })
}
