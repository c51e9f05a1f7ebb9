//! Changes whose before images may not hold: one by one, in their order, by the task's policy.
//!
//! Each change looks at the destination's rows with a lock, so that what it decides on still stands when it acts. Every
//! conflict is taken down before the transaction that settles it commits: after a crash in between it is met again and
//! taken down under the same identity.

use mysql_async::prelude::Queryable;
use tokio::sync::{mpsc, oneshot};

use crate::{
    binlog::BinlogError,
    conflict::{ConflictKind, Found, FoundRow, Resolution, detect, resolve},
    failure::Failure,
    model::{
        change::{Change, Target},
        gtid::Gtid,
        row::Row,
        status::ConflictRecord,
        task::ConflictPolicy,
    },
    schedule::cascade,
    sql::{set, single},
};

use super::{
    checkpoint::LinkKey,
    session::{Session, is_duplicate, is_lock_failure, is_unknown_savepoint},
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
    /// Applies changes of a table. Returns the number of conflicts.
    ///
    /// # Errors
    /// [`Stop`]; the transaction must be rolled back then.
    pub async fn apply(mut self, changes: &[(&Gtid, &Change)]) -> Result<u64, Stop> {
        let mut conflicts = 0;
        for (gtid, change) in changes {
            conflicts += u64::from(self.apply_change(change, gtid).await?);
        }
        Ok(conflicts)
    }

    /// Applies changes of a table where the destination may be ahead of or behind them: the last word on each row
    /// counts, whatever is there. Columns that the changes say nothing of keep what they hold.
    ///
    /// # Errors
    /// See [`Path::apply`].
    pub async fn write_over(mut self, changes: &[(&Gtid, &Change)]) -> Result<(), Stop> {
        for (_, change) in changes {
            if let Some(before) = change.before()
                && cascade::acts(change).map_err(|error| malformed(change, &error))?
            {
                // Rows that refer to it may have been copied before the change, and it after: they follow only from there.
                self.write_row_over(change, before).await?;
            }
            match (change.before(), change.after()) {
                (_, Some(after)) => self.write_row_over(change, after).await?,
                (Some(before), None) => {
                    let statement = single::delete_by_key(&change.target, before);
                    self.act(change, statement, Seen::Perhaps).await?;
                }
                (None, None) => {}
            }
        }
        Ok(())
    }

    /// Makes the row of `change` be `image`, whatever is there.
    async fn write_row_over(&mut self, change: &Change, image: &Row) -> Result<(), Stop> {
        // The row may have its new key already.
        let mut found = None;
        for own in [change.before(), change.after()].into_iter().flatten() {
            if found.is_none() && self.row(change, own).await?.is_some() {
                found = Some(own);
            }
        }
        let own = found.unwrap_or(image);
        match self.overwrite(change, image, own, found.is_some()).await? {
            Written::Yes => Ok(()),
            Written::Duplicate => self.make_way(change, own, image).await,
        }
    }

    async fn apply_change(&mut self, change: &Change, gtid: &Gtid) -> Result<bool, Stop> {
        let mut finding = self.find(change).await?;
        let mut kind = detect(change.kind(), finding.found);
        let row = finding.found.row;
        // Without a policy's say: a change that fits, and an update whose row is missing, which becomes an insert.
        let mut written = finding.found.others == 0 && matches!(kind, None | Some(ConflictKind::UpdateMissing));
        if written && let Written::Duplicate = self.write_as_it_is(change, row).await? {
            // A unique key over an expression, a prefix or a generated column: which row holds it can't be asked for.
            written = false;
            finding.found.others = 1;
            kind = detect(change.kind(), finding.found);
        }
        let Some(kind) = kind else { return Ok(false) };
        let resolution = resolve(self.policy, kind, finding.found);
        self.record(change, gtid, kind, resolution, &finding).await?;
        match resolution {
            Resolution::Fail => {
                return Err(Stop::Failure(Failure::data(format!(
                    "conflict {} in {} at {gtid}: the row at the destination is not as the change expects; \
                     SELECT * FROM sync.conflicts shows both. Make the row there what the change was made on \
                     (before_image) or what it leaves (incoming_row), under SET sql_log_bin = 0, so that the mending \
                     itself does not travel, then RESUME the task. If both sides have changed the row, let one side \
                     win: ALTER SYNC TASK … SET (conflict_policy = 'overwrite') REVERSE SET (conflict_policy = \
                     'ignore') keeps the source's rows, the opposite the destination's; then RESUME, and set 'fail' \
                     again",
                    kind.as_str(),
                    change.target.table.name,
                ))));
            }
            Resolution::Skip | Resolution::Same => {}
            Resolution::Remove => {
                if let Some(before) = change.before() {
                    let statement = single::delete_by_key(&change.target, before);
                    self.act(change, statement, Seen::Locked).await?;
                }
            }
            Resolution::Write if written => {}
            Resolution::Write => self.settle(change, row != FoundRow::Missing).await?,
        }
        Ok(true)
    }

    /// Looks at the destination's rows that a change meets, and locks them.
    async fn find(&mut self, change: &Change) -> Result<Finding, Stop> {
        let target = &change.target;
        let Some(mut own) = change.before().or(change.after()) else {
            return Ok(Finding {
                found: Found {
                    row: FoundRow::Missing,
                    others: 0,
                },
                row: None,
                others: vec![],
            });
        };
        let mut row = self.row(change, own).await?;
        // The row may have its new key already, and be as the change wants it.
        let mut moved = false;
        if row.is_none()
            && let (Some(_), Some(after)) = (change.before(), change.after())
            && let Some(found @ (_, true, _)) = self.row(change, after).await?
        {
            (own, row, moved) = (after, Some(found), true);
        }
        let mut others = Vec::new();
        if let Some(after) = change.after() {
            // The row key too: an update may change it. Its old and new value may be equal to the server, 'a' and 'A'
            // for instance: then the row it finds is the change's own, and none of the others.
            for key in &target.table.unique_keys {
                let query = single::find_by_unique_key(target, key, after, own);
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
        if moved && !others.is_empty() {
            others.extend(row.take().map(|(_, _, row)| row));
        }
        let found = match &row {
            None => FoundRow::Missing,
            Some((true, ..)) => FoundRow::AsBefore,
            Some((_, true, _)) => FoundRow::AsAfter,
            Some(_) => FoundRow::Different,
        };
        let found = Found {
            row: found,
            others: others.len(),
        };
        Ok(Finding {
            found,
            row: row.map(|(_, _, row)| row),
            others,
        })
    }

    /// The row with the key of `own`: whether it is as before the change, whether it is as after it, and its JSON.
    async fn row(&mut self, change: &Change, own: &Row) -> Result<Option<(bool, bool, String)>, Stop> {
        let query = single::find_by_key(&change.target, own, change.before(), change.after());
        let query = query.map_err(|error| malformed(change, &error))?;
        self.session
            .conn()
            .query_first(query)
            .await
            .map_err(|error| server(change, &error))
    }

    /// Does what the change says; an update of a row that is not there inserts it.
    async fn write_as_it_is(&mut self, change: &Change, row: FoundRow) -> Result<Written, Stop> {
        let target = &change.target;
        match (change.before(), change.after()) {
            (Some(before), Some(after)) if row != FoundRow::Missing => {
                let statement = single::update_by_key(target, before, after);
                self.act(change, statement, Seen::Locked).await
            }
            (Some(before), None) => {
                let statement = single::delete_by_key(target, before);
                self.act(change, statement, Seen::Locked).await
            }
            (_, Some(after)) => {
                let statement = one(set::insert, target, after);
                self.statement(change, statement, Seen::Perhaps).await
            }
            (None, None) => Ok(Written::Yes),
        }
    }

    /// Writes the row whatever is in its way.
    async fn settle(&mut self, change: &Change, row_is_there: bool) -> Result<(), Stop> {
        let Some(after) = change.after() else { return Ok(()) };
        let own = change.before().unwrap_or(after);
        match self.overwrite(change, after, own, row_is_there).await? {
            Written::Yes => Ok(()),
            Written::Duplicate if row_is_there && change.target.leaves_out() => {
                Err(Stop::Failure(Failure::data(format!(
                    "a row of {} can't be written: another one holds its value in a unique key over an expression, a \
                     prefix or a column that is not carried, so it can't be told which. Make the rows agree, then \
                     RESUME the task",
                    change.target.table.name
                ))))
            }
            Written::Duplicate => self.make_way(change, own, after).await,
        }
    }

    /// What the change says, at the row with the key of `own`, once rows that hold its unique values are gone.
    async fn overwrite(
        &mut self,
        change: &Change,
        after: &Row,
        own: &Row,
        row_is_there: bool,
    ) -> Result<Written, Stop> {
        let target = &change.target;
        for key in &target.table.unique_keys {
            let statement = single::delete_by_unique_key(target, key, after, own);
            if let Some(statement) = statement.map_err(|error| malformed(change, &error))? {
                self.statement(change, Ok(statement), Seen::Perhaps).await?;
            }
        }
        if !row_is_there {
            let statement = one(set::insert, target, after);
            return self.statement(change, statement, Seen::Perhaps).await;
        }
        let statement = single::update_by_key(target, own, after);
        // A row that is brought back to what it was takes none with it.
        if change.before().is_some_and(|before| std::ptr::eq(before, after)) {
            return self.statement(change, statement, Seen::Locked).await;
        }
        self.act(change, statement, Seen::Locked).await
    }

    /// For a key that can't be asked for, see above: REPLACE makes way whatever holds it.
    async fn make_way(&mut self, change: &Change, own: &Row, after: &Row) -> Result<(), Stop> {
        let target = &change.target;
        self.statement(change, single::delete_by_key(target, own), Seen::Perhaps)
            .await?;
        let statement = one(set::replace, target, after);
        self.statement(change, statement, Seen::Perhaps).await.map(drop)
    }

    /// Runs the statement that does what the change did at the source: where foreign keys acted there, they act here.
    async fn act(
        &mut self,
        change: &Change,
        statement: Result<Vec<u8>, BinlogError>,
        seen: Seen,
    ) -> Result<Written, Stop> {
        if !cascade::acts(change).map_err(|error| malformed(change, &error))? {
            return self.statement(change, statement, seen).await;
        }
        let mut statements = b"SAVEPOINT act;SET foreign_key_checks = 1;".to_vec();
        statements.append(&mut statement.map_err(|error| malformed(change, &error))?);
        // A transaction that was rolled back without a word has no savepoint any more, and that is an error.
        statements.extend_from_slice(b";RELEASE SAVEPOINT act;SET foreign_key_checks = 0");
        let outcome = self.session.run_all(&statements).await;
        let Some(error) = outcome.error else {
            return seen.written(change, outcome.rows.get(2).copied().unwrap_or(0));
        };
        let reset = self.session.run("SET foreign_key_checks = 0").await;
        reset.map_err(|error| server(change, &error))?;
        if is_duplicate(&error) {
            return Ok(Written::Duplicate);
        }
        // The statement is through, and its savepoint is not there any more.
        if outcome.rows.len() == 3 && is_unknown_savepoint(&error) {
            return Err(rolled_back(change));
        }
        Err(server(change, &error))
    }

    async fn statement(
        &mut self,
        change: &Change,
        statement: Result<Vec<u8>, BinlogError>,
        seen: Seen,
    ) -> Result<Written, Stop> {
        let statement = statement.map_err(|error| malformed(change, &error))?;
        match self.session.run(statement).await {
            Ok(rows) => seen.written(change, rows),
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

/// What is known of the row that a statement is to change.
#[derive(Clone, Copy)]
enum Seen {
    /// It has been read and is locked.
    Locked,
    /// It need not be there.
    Perhaps,
}

impl Seen {
    fn written(self, change: &Change, rows: u64) -> Result<Written, Stop> {
        match self {
            Self::Locked if rows == 0 => Err(rolled_back(change)),
            Self::Locked | Self::Perhaps => Ok(Written::Yes),
        }
    }
}

/// A server that carries out foreign keys by itself (MySQL 9.6 and later, with `innodb_native_foreign_keys=OFF`) answers OK,
/// with 0 rows or with 1, to a statement that became the victim of a deadlock while it wrote children, and has rolled back
/// the whole transaction (seen with 9.7.4, on one server without any replication). What comes behind would commit by
/// itself, without what came before it, and without the checkpoint.
fn rolled_back(change: &Change) -> Stop {
    Stop::Lock(Failure::environment(format!(
        "writing to {} at the destination: the server has found no row where it had locked one, and may have rolled the \
         transaction back (a deadlock)",
        change.target.table.name
    )))
}

/// A statement that is made for many rows, for one.
fn one(
    set: impl FnOnce(&mut Vec<u8>, &Target, &[&Row]) -> Result<set::Expected, BinlogError>,
    target: &Target,
    row: &Row,
) -> Result<Vec<u8>, BinlogError> {
    let mut out = Vec::new();
    set(&mut out, target, &[row]).map(|_| out)
}

fn malformed(change: &Change, error: &BinlogError) -> Stop {
    Stop::Failure(Failure::data(format!(
        "a row image of {} can't be read: {error}",
        change.target.source
    )))
}

fn server(change: &Change, error: &mysql_async::Error) -> Stop {
    let failure = Failure::writing(&change.target.table.name, error);
    if is_lock_failure(error) {
        Stop::Lock(failure)
    } else {
        Stop::Failure(failure)
    }
}
