//! Definitions of the destination's tables, read before they are needed.
//!
//! One is a handful of questions to the server, and so are hundreds that are asked for together. A link that begins, or
//! that has come past a statement, needs those of all tables that have changes; the more it asks for, the more it is
//! given at a time, so that neither a task of three tables nor one of thousands asks for much in vain.

use std::collections::{BTreeSet, HashMap};

use mysql_async::Conn;

use crate::{
    failure::Failure,
    model::{name::TableName, table::Table},
    plan::objects::Objects,
    schema,
};

/// As many definitions are read one by one first.
const SINGLE: usize = 4;
/// As many are read together at most.
const TOGETHER: usize = 500;

/// What has been read and not been asked for yet. It holds as long as no statement is run at the destination.
#[derive(Debug, Default)]
pub struct Definitions {
    ready: HashMap<TableName, Table>,
    /// Tables of the destination that belong to the task and have not been read; `None`: they have not been listed.
    unread: Option<BTreeSet<TableName>>,
    asked: usize,
}

impl Definitions {
    /// The definition of a table; `None` if it is not there.
    ///
    /// # Errors
    /// [`Failure`] if the server refuses.
    pub async fn take(
        &mut self,
        conn: &mut Conn,
        objects: &Objects,
        name: &TableName,
    ) -> Result<Option<Table>, Failure> {
        if let Some(table) = self.ready.remove(name) {
            return Ok(Some(table));
        }
        self.asked += 1;
        if self.asked > SINGLE {
            let names = self.next(conn, objects, name).await?;
            match schema::tables::read(conn, &names).await {
                Ok(tables) => self.ready.extend(tables),
                // It may be another table's fault; that one has its say when its turn comes.
                Err(failure) => tracing::debug!(%failure.message, "definitions are not read ahead"),
            }
            if let Some(table) = self.ready.remove(name) {
                return Ok(Some(table));
            }
        }
        schema::read_table(conn, name).await
    }

    /// The table, and those after it by name that have not been read.
    async fn next(&mut self, conn: &mut Conn, objects: &Objects, name: &TableName) -> Result<Vec<TableName>, Failure> {
        let unread = match &mut self.unread {
            Some(unread) => unread,
            slot => {
                let there = schema::table_names(conn).await?.into_iter();
                slot.insert(there.filter(|name| objects.origin(name).is_some()).collect())
            }
        };
        // Twice as many each time.
        let doublings = self.asked.saturating_sub(SINGLE).min(TOGETHER.ilog2() as usize + 1);
        let count = (1_usize << doublings).min(TOGETHER);
        let (before, behind) = (unread.range(..name), unread.range(name..));
        let mut names: Vec<TableName> = behind.chain(before).take(count).cloned().collect();
        for name in &names {
            unread.remove(name);
        }
        if !names.contains(name) {
            names.push(name.clone());
        }
        Ok(names)
    }
}
