//! A table whose before images did not hold: its changes one by one, in their order, by the task's policy.
//!
//! Each change looks at the destination's rows with a lock, so that what it decides on still stands when it acts. Every
//! conflict is taken down before the transaction that settles it commits: after a crash in between it is met again and
//! taken down under the same identity.

use std::sync::Arc;

use mysql_async::prelude::Queryable;
use tokio::sync::{mpsc, oneshot};

use crate::{
    binlog::BinlogError,
    conflict::{ConflictKind, Found, FoundRow, Resolution, detect, resolve},
    failure::Failure,
    model::{
        change::{Change, ChangeKind},
        gtid::Gtid,
        row::Row,
        status::ConflictRecord,
        task::ConflictPolicy,
    },
    schedule::{fold::TableBatch, keys::row_key},
    sql::{set, single},
};

use super::{
    checkpoint::LinkKey,
    session::Session,
    worker::{is_duplicate, is_lock_failure},
};

/// Takes conflicts down, and answers when they are safe.
pub type Recorder = mpsc::Sender<(ConflictRecord, oneshot::Sender<Result<(), Failure>>)>;

/// Why the path ends before its changes do.
#[derive(Debug)]
pub enum Stop {
    /// A deadlock or lock wait: try the transaction again.
    Lock(Failure),
    /// Anything else, a conflict under the policy `fail` included.
    Failure(Failure),
}

/// The row-by-row path of one transaction.
#[derive(Debug)]
pub struct Path<'a> {
    /// The connection, inside the transaction.
    pub session: &'a mut Session,
    /// The link.
    pub link: &'a LinkKey,
    /// What happens on a conflict.
    pub policy: ConflictPolicy,
    /// Takes conflicts down.
    pub recorder: &'a Recorder,
}

/// What was found for one change.
struct Finding {
    found: Found,
    /// The row with the change's key, as JSON.
    row: Option<String>,
    /// Rows that hold its other keys, as JSON.
    others: Vec<String>,
}

impl Path<'_> {
    /// Applies the changes of `table`; `gtids` are their transactions. Returns the number of conflicts.
    ///
    /// # Errors
    /// [`Stop`]; the transaction must be rolled back then.
    pub async fn apply(mut self, table: &TableBatch, gtids: &[Arc<Gtid>]) -> Result<u64, Stop> {
        let mut conflicts = 0;
        for (change, gtid) in table.changes.iter().zip(gtids) {
            conflicts += u64::from(self.apply_change(change, gtid).await?);
        }
        Ok(conflicts)
    }

    async fn apply_change(&mut self, change: &Change, gtid: &Gtid) -> Result<bool, Stop> {
        let finding = self.find(change).await?;
        let kind = match detect(change.kind(), finding.found) {
            None => match self.write_as_it_is(change).await? {
                Written::Yes => return Ok(false),
                // A unique key over an expression or a prefix: which row holds it can't be asked for.
                Written::Duplicate => match change.kind() {
                    ChangeKind::Insert => ConflictKind::InsertExists,
                    ChangeKind::Update | ChangeKind::Delete => ConflictKind::UpdateExists,
                },
            },
            Some(kind) => kind,
        };
        let resolution = resolve(self.policy, kind, finding.found.others);
        self.record(change, gtid, kind, resolution, &finding).await?;
        match resolution {
            Resolution::Fail => {
                return Err(Stop::Failure(Failure::data(format!(
                    "conflict {} in {} at {gtid}: the row at the destination is not as the change expects; \
                     SELECT * FROM sync.conflicts shows both. Make the rows agree, or choose another conflict_policy \
                     (ALTER SYNC TASK … SET (conflict_policy = 'overwrite')), then RESUME the task",
                    kind.as_str(),
                    change.target.table.name,
                ))));
            }
            Resolution::Skip => {}
            Resolution::Remove => {
                if let Some(before) = change.before() {
                    self.statement(change, single::delete_by_key(&change.target, before))
                        .await?;
                }
            }
            Resolution::Write => self.overwrite(change, finding.found.row != FoundRow::Missing).await?,
        }
        Ok(true)
    }

    /// Looks at the destination's rows that a change meets, and locks them.
    async fn find(&mut self, change: &Change) -> Result<Finding, Stop> {
        let target = &change.target;
        let (row, same) = match (change.before(), change.after()) {
            (Some(before), _) => {
                self.row(change, single::find_by_key(target, before, Some(before)))
                    .await?
            }
            (None, Some(after)) => self.row(change, single::find_by_key(target, after, None)).await?,
            (None, None) => (None, false),
        };
        let mut others = Vec::new();
        if let Some(after) = change.after() {
            if self.key_changes(change)? {
                others.extend(self.row(change, single::find_by_key(target, after, None)).await?.0);
            }
            let except: Vec<&Row> = change.before().into_iter().chain([after]).collect();
            for key in target.table.unique_keys.iter().skip(1) {
                let query = single::find_by_unique_key(target, key, after, &except);
                if let Some(query) = query.map_err(|error| malformed(change, &error))? {
                    let rows: Vec<String> = self
                        .session
                        .conn()
                        .query(query)
                        .await
                        .map_err(|error| server(change, &error))?;
                    others.extend(rows.into_iter().filter(|row| !others.contains(row)).collect::<Vec<_>>());
                }
            }
        }
        let found = Found {
            row: match (&row, same) {
                (None, _) => FoundRow::Missing,
                (Some(_), true) => FoundRow::AsBefore,
                (Some(_), false) => FoundRow::Different,
            },
            others: others.len(),
        };
        Ok(Finding { found, row, others })
    }

    async fn row(
        &mut self,
        change: &Change,
        query: Result<Vec<u8>, BinlogError>,
    ) -> Result<(Option<String>, bool), Stop> {
        let query = query.map_err(|error| malformed(change, &error))?;
        let row: Option<(bool, String)> = self
            .session
            .conn()
            .query_first(query)
            .await
            .map_err(|error| server(change, &error))?;
        Ok(row.map_or((None, false), |(same, row)| (Some(row), same)))
    }

    fn key_changes(&self, change: &Change) -> Result<bool, Stop> {
        let (Some(before), Some(after)) = (change.before(), change.after()) else {
            return Ok(false);
        };
        let key = |row| row_key(&change.target, row).map_err(|error| malformed(change, &error));
        Ok(key(before)? != key(after)?)
    }

    async fn write_as_it_is(&mut self, change: &Change) -> Result<Written, Stop> {
        let target = &change.target;
        let statement = match (change.before(), change.after()) {
            (Some(before), Some(after)) => single::update_by_key(target, before, after),
            (Some(before), None) => single::delete_by_key(target, before),
            (None, Some(after)) => set::insert(target, &[after]).map(|statement| statement.text),
            (None, None) => return Ok(Written::Yes),
        };
        self.statement(change, statement).await
    }

    /// Writes the row whatever is in its way.
    async fn overwrite(&mut self, change: &Change, row_is_there: bool) -> Result<(), Stop> {
        let target = &change.target;
        let Some(after) = change.after() else { return Ok(()) };
        let find = change.before().unwrap_or(after);
        let except: Vec<&Row> = vec![find, after];
        for key in target.table.unique_keys.iter().skip(1) {
            let statement = single::delete_by_unique_key(target, key, after, &except);
            if let Some(statement) = statement.map_err(|error| malformed(change, &error))? {
                self.statement(change, Ok(statement)).await?;
            }
        }
        if self.key_changes(change)? {
            self.statement(change, single::delete_by_key(target, after)).await?;
        }
        let statement = if row_is_there {
            single::update_by_key(target, find, after)
        } else {
            set::insert(target, &[after]).map(|statement| statement.text)
        };
        if let Written::Duplicate = self.statement(change, statement).await? {
            // A unique key over an expression or a prefix: REPLACE makes way whatever holds it.
            self.statement(change, single::delete_by_key(target, find)).await?;
            self.statement(change, set::replace(target, &[after]).map(|statement| statement.text))
                .await?;
        }
        Ok(())
    }

    async fn statement(&mut self, change: &Change, statement: Result<Vec<u8>, BinlogError>) -> Result<Written, Stop> {
        let statement = statement.map_err(|error| malformed(change, &error))?;
        match self.session.run(statement).await {
            Ok(_) => Ok(Written::Yes),
            Err(error) if is_duplicate(&error) => Ok(Written::Duplicate),
            Err(error) => Err(server(change, &error)),
        }
    }

    async fn record(
        &mut self,
        change: &Change,
        gtid: &Gtid,
        kind: ConflictKind,
        resolution: Resolution,
        finding: &Finding,
    ) -> Result<(), Stop> {
        let (mut key, mut before_image, mut incoming_row) = (String::new(), None, None);
        for (row, shown) in [
            (change.before(), &mut before_image),
            (change.after(), &mut incoming_row),
        ] {
            let Some(row) = row else { continue };
            let query = single::show_image(&change.target, row).map_err(|error| malformed(change, &error))?;
            let texts: Option<(String, String)> = self
                .session
                .conn()
                .query_first(query)
                .await
                .map_err(|error| server(change, &error))?;
            if let Some((row_key, row)) = texts {
                if key.is_empty() {
                    key = row_key;
                }
                *shown = Some(row);
            }
        }
        let mut rows: Vec<&String> = finding.row.iter().chain(&finding.others).collect();
        let destination_row = match rows.len() {
            0 => None,
            1 => rows.pop().cloned(),
            _ => Some(format!(
                "[{}]",
                rows.into_iter().cloned().collect::<Vec<_>>().join(", ")
            )),
        };
        let record = ConflictRecord {
            // The part before '#' is the name the operator gave; see `LinkKey::task`.
            task: self
                .link
                .task
                .rsplit_once('#')
                .map_or(self.link.task.as_str(), |(name, _)| name)
                .to_owned(),
            direction: self.link.direction,
            table: change.target.table.name.to_string(),
            kind: kind.as_str(),
            key,
            before_image,
            incoming_row,
            destination_row,
            policy: self.policy.as_str().to_owned(),
            outcome: resolution.outcome(kind),
            source_position: format!("{gtid}#{}", change.ordinal),
        };
        let (safe, answer) = oneshot::channel();
        let gone = || {
            Stop::Failure(Failure::environment(
                "conflicts can't be taken down: the task is ending",
            ))
        };
        self.recorder.send((record, safe)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?.map_err(Stop::Failure)
    }
}

enum Written {
    Yes,
    Duplicate,
}

fn malformed(change: &Change, error: &BinlogError) -> Stop {
    Stop::Failure(Failure::data(format!(
        "a row image of {} can't be read: {error}",
        change.target.source
    )))
}

fn server(change: &Change, error: &mysql_async::Error) -> Stop {
    let failure = Failure::mysql(
        format_args!("writing to {} at the destination", change.target.table.name),
        error,
    );
    if is_lock_failure(error) {
        Stop::Lock(failure)
    } else {
        Stop::Failure(failure)
    }
}
