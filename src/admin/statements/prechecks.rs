//! PRECHECK SYNC TASK, and ALTER SYNC TASK … ACKNOWLEDGE.

use super::{Cell, Column, ColumnKind, Reply, Result, Statements, done};
use crate::model::name::TaskName;

/// The columns of a precheck.
const COLUMNS: [(&str, ColumnKind); 6] = [
    ("item", ColumnKind::Text),
    ("direction", ColumnKind::Text),
    ("result", ColumnKind::Text),
    ("found", ColumnKind::Text),
    ("remedy", ColumnKind::Text),
    ("acknowledged", ColumnKind::Integer),
];

impl Statements {
    pub(super) async fn precheck(&self, name: TaskName) -> Result<Reply> {
        let rows = self.control.precheck(&name).await?;
        let columns = COLUMNS.map(|(name, kind)| Column {
            name: name.to_owned(),
            kind,
        });
        let cells = rows.into_iter().map(|row| {
            vec![
                Cell::Text(row.item.to_owned()),
                Cell::Text(row.direction.to_string()),
                Cell::Text(row.result.as_str().to_owned()),
                Cell::Text(row.found),
                Cell::Text(row.remedy),
                Cell::Int(i64::from(row.acknowledged)),
            ]
        });
        Ok(Reply::Rows {
            columns: columns.into(),
            rows: cells.collect(),
        })
    }

    pub(super) async fn acknowledge(&self, name: TaskName, item: &str) -> Result<Reply> {
        self.control.acknowledge(&name, item).await?;
        Ok(done())
    }
}
