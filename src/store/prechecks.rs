//! What the last precheck of each task said, and which of its warnings were acknowledged.

use rusqlite::params;

use super::{Result, Store, make_durable};
use crate::model::{
    name::TaskName,
    precheck::{PrecheckRow, Verdict},
};

impl Store {
    /// Keeps what a precheck has found in the place of the one before it, with the warnings that are acknowledged marked as
    /// such in `rows` as well.
    ///
    /// # Errors
    /// When the store fails.
    pub fn keep_precheck(&self, task: &TaskName, rows: &mut [PrecheckRow]) -> Result<()> {
        let mut writer = self.writer();
        let transaction = writer.transaction()?;
        let acknowledged = {
            let mut statement = transaction.prepare_cached("SELECT item FROM acknowledged WHERE task = ?1")?;
            let items = statement.query_map([task.as_str()], |row| row.get::<_, String>(0))?;
            items.collect::<rusqlite::Result<Vec<_>>>()?
        };
        transaction.execute("DELETE FROM prechecks WHERE task = ?1", [task.as_str()])?;
        for row in rows {
            row.acknowledged = row.result == Verdict::Warn && acknowledged.iter().any(|item| item == row.item);
            transaction.execute(
                "INSERT INTO prechecks (task, direction, item, result, found, remedy, acknowledged, checked_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, strftime('%Y-%m-%d %H:%M:%f', 'now'))",
                params![
                    task.as_str(),
                    row.direction.as_str(),
                    row.item,
                    row.result.as_str(),
                    row.found,
                    row.remedy,
                    row.acknowledged
                ],
            )?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Remembers that a warning is acknowledged; false if the last precheck found a fail there, and nothing is remembered.
    ///
    /// # Errors
    /// When the store fails, or there is no such task.
    pub fn acknowledge(&self, task: &TaskName, item: &str) -> Result<bool> {
        let mut writer = self.writer();
        let transaction = writer.transaction()?;
        let fails: bool = transaction.query_row(
            "SELECT EXISTS (SELECT 1 FROM prechecks WHERE task = ?1 AND item = ?2 AND result = 'fail')",
            params![task.as_str(), item],
            |row| row.get(0),
        )?;
        if fails {
            return Ok(false);
        }
        transaction.execute(
            "INSERT OR IGNORE INTO acknowledged (task, item) VALUES (?1, ?2)",
            params![task.as_str(), item],
        )?;
        transaction.execute(
            "UPDATE prechecks SET acknowledged = 1 WHERE task = ?1 AND item = ?2 AND result = 'warn'",
            params![task.as_str(), item],
        )?;
        transaction.commit()?;
        make_durable(&writer)?;
        Ok(true)
    }
}
