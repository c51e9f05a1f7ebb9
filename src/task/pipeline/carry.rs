//! What the scheduler does with a statement when nothing else is at work.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
};

use crate::{
    apply::{ddl, session::Session},
    failure::{Failure, Kind},
    model::{
        history::Details,
        name::TableName,
        status::{DdlRecord, Level},
        task::Direction,
    },
    plan::{
        assemble::{Intended, Statement},
        moves::Moves,
    },
    schema,
};

use super::{Filling, Scheduler, in_store};
use crate::task::{
    additions, databases, existing, join,
    reader::Dealt,
    receiver::Adapted,
    statements::{self, Known, Rewritten, Verdict},
};

impl Scheduler {
    /// Deals with a statement; nothing else is at work.
    pub(super) async fn statement(
        &mut self,
        session: &mut Session,
        statement: &Statement,
        intended: Option<&Intended>,
    ) -> Result<Dealt, Failure> {
        let link = self.link.clone();
        let known = Known {
            keys: existing::keys_of_listed(session.conn(), &link.objects).await?,
            covered: link.copied.borrow().covering(&statement.header.gtid),
            dropped: match link.key.direction {
                Direction::Forward => HashSet::new(),
                Direction::Reverse => link.shared.dropped(&statement.header.gtid),
            },
            half_copied: link.copied.borrow().gone.clone(),
        };
        let verdict = statements::judge(
            statement,
            link.key.direction,
            &link.objects,
            link.options.exclude_ddl,
            self.version,
            intended.map(|intended| intended.statement.as_str()),
            &known,
        );
        let gtid = &statement.header.gtid;
        let mut dealt = Dealt::default();
        if verdict != Verdict::Nothing {
            link.shared.definitions.fetch_add(1, Ordering::AcqRel);
        }
        if !matches!(verdict, Verdict::Nothing | Verdict::OwnDrop(_) | Verdict::Echo)
            && let Some(decision) = self.decision(gtid).await?
        {
            dealt.voids = self.decided(session, statement, decision).await?;
            return Ok(self.pass(statement, dealt));
        }
        match verdict {
            Verdict::Nothing => {}
            Verdict::OwnDrop(tables) => link.shared.met_drop(&tables, gtid),
            Verdict::Echo => {
                dealt.echo = intended.map(|intended| intended.number);
                self.ddl = self.ddl.max(dealt.echo.unwrap_or(0));
            }
            Verdict::Refused => {
                self.log(self.record(statement, "refused", None)).await?;
                link.tell(
                    Level::Warning,
                    format!(
                        "a DDL statement at the destination ({gtid}) stays there: DDL goes forward only; see sync.ddl"
                    ),
                )
                .await;
            }
            Verdict::Excluded => {
                ddl::withdraw(session.conn(), &link.key, gtid).await?;
                self.log(self.record(statement, "excluded", None)).await?;
            }
            Verdict::Ignored(why) => {
                ddl::withdraw(session.conn(), &link.key, gtid).await?;
                self.log(self.record(statement, "ignored", None)).await?;
                if self.told.insert(why) {
                    let message = format!(
                        "the DDL statement {gtid} is not run at the destination: {why}; it and others like it stand in \
                         sync.ddl"
                    );
                    link.tell(Level::Warning, message).await;
                }
            }
            Verdict::Stop(reason) => {
                self.log(self.record(statement, "failed", None)).await?;
                return Err(self.undecided(session, gtid, &reason).await);
            }
            Verdict::Apply(rewritten) if rewritten.has_rows => {
                let number = self.run_statement_with_rows(session, statement, *rewritten).await?;
                dealt.voids = Some((number, Vec::new()));
            }
            Verdict::Apply(rewritten) => {
                dealt.voids = self.run_statements(session, statement, vec![*rewritten], true).await?;
            }
            Verdict::DropDatabase { database, whole } => {
                let (rewritten, stays) =
                    databases::drop(session.conn(), &link.objects, &database, whole.as_deref()).await?;
                if stays {
                    let message = format!(
                        "database {database} was dropped at the source ({gtid}): at the destination only its tables that are \
                         among the task's objects are, and all else in the database stays"
                    );
                    link.tell(Level::Warning, message).await;
                }
                dealt.voids = self.run_statements(session, statement, vec![rewritten], true).await?;
            }
            Verdict::Move(moves) => dealt.voids = self.moved(session, statement, &moves).await?,
            Verdict::Hide(text, shadow) => {
                let details = Details {
                    shadow: Some(shadow),
                    ..Details::default()
                };
                let applied = ddl::hide(session, &self.job(statement, 0, &text, &details)).await?;
                self.log(self.record(statement, "ignored", None)).await?;
                self.persisted.send_replace(Arc::new(applied));
            }
            Verdict::Unhide(shadows) => {
                let kept = ddl::hidden(session.conn(), &link.key, &shadows).await?;
                ddl::forget_hidden(session.conn(), &link.key, &kept).await?;
            }
            Verdict::CutOver(cut_over) => {
                let shadow = std::slice::from_ref(&cut_over.shadow);
                let kept = ddl::hidden(session.conn(), &link.key, shadow).await?;
                let texts: Vec<String> = kept.iter().map(|entry| entry.statement.clone()).collect();
                let steps = match texts.is_empty() {
                    true => {
                        Err("the task has not seen what was done to the shadow, as it began before the task".to_owned())
                    }
                    false => {
                        statements::unhidden(statement, &texts, &cut_over, &link.objects, self.version, &known.keys)
                    }
                };
                match steps {
                    Ok(steps) => dealt.voids = self.run_statements(session, statement, steps, true).await?,
                    Err(reason) => {
                        self.log(self.record(statement, "failed", None)).await?;
                        let reason = format!(
                            "the online schema change of {} ends at {} and can't be carried: {reason}. It takes the table \
                             to another definition: an ALTER TABLE does that at the destination",
                            cut_over.table, statement.header.position
                        );
                        return Err(self.undecided(session, gtid, &reason).await);
                    }
                }
                ddl::forget_hidden(session.conn(), &link.key, &kept).await?;
            }
        }
        self.forget_gone(session).await?;
        Ok(self.pass(statement, dealt))
    }

    /// Tables that were to be copied, and that neither side has any more.
    async fn forget_gone(&self, session: &mut Session) -> Result<(), Failure> {
        let gone: Vec<TableName> = self.link.copied.borrow().gone.iter().cloned().collect();
        let mut forgotten = Vec::new();
        for table in gone {
            let there = match self.link.objects.map(&table) {
                Some(there) => schema::read_table(session.conn(), &there).await?,
                None => None,
            };
            if there.is_none() {
                forgotten.push(table);
            }
        }
        match forgotten.is_empty() {
            true => Ok(()),
            false => additions::forget(&self.link, session.conn(), &forgotten).await,
        }
    }

    /// Tables have come into the selection, or left it. Returns as [`Scheduler::run_statements`].
    pub(super) async fn moved(
        &mut self,
        session: &mut Session,
        statement: &Statement,
        moves: &Moves,
    ) -> Result<Option<(u64, Vec<TableName>)>, Failure> {
        let (link, gtid) = (self.link.clone(), &statement.header.gtid);
        let mark = gtid.to_string();
        let renames = moves.renames(&link.objects, mark.rsplit(':').next().unwrap_or_default());
        let mut voids = None;
        let superseded = moves.superseded.iter().filter_map(|old| link.objects.map(old));
        let mut steps: Vec<Rewritten> = superseded.map(|there| statements::dropping(&there)).collect();
        if !renames.is_empty() {
            steps.push(statements::renaming(&renames, moves.joins.clone()));
        }
        if steps.is_empty() {
            self.log(self.record(statement, "ignored", None)).await?;
        } else {
            // The checkpoint passes the statement when what comes in has been copied.
            voids = self.run_statements(session, statement, steps, false).await?;
        }
        for (old, new) in &moves.leaves {
            let Some(there) = link.objects.map(old) else { continue };
            let aside = renames.iter().find(|(from, _)| *from == there);
            let name = aside.map_or(&there, |(_, to)| to);
            let message = format!(
                "{old} was renamed to {new} ({gtid}), which is not among the objects of this task: it is followed no more, and \
                 stays at the destination as {name}"
            );
            link.tell(Level::Warning, message).await;
        }
        if let Err(reason) = join::run(&link, gtid, &moves.joins).await? {
            self.log(self.record(statement, "failed", None)).await?;
            return Err(self.undecided(session, gtid, &reason).await);
        }
        Ok(voids)
    }

    /// The statement has been dealt with. Rows that come behind it under the same GTID are still to be applied.
    pub(super) fn pass(&mut self, statement: &Statement, dealt: Dealt) -> Dealt {
        if !statement.within {
            let number = self.watermark.begin_transaction(&statement.header);
            self.watermark.finish(number);
            (self.unwritten.any, self.unwritten.changes) = (true, true);
        }
        dealt
    }

    /// CREATE TABLE … SELECT: makes the table. Its intent stays until the rows are in, which come next: should they not
    /// get in before a crash, it says that the table is there.
    pub(super) async fn run_statement_with_rows(
        &mut self,
        session: &mut Session,
        statement: &Statement,
        rewritten: Rewritten,
    ) -> Result<u64, Failure> {
        let number = self.run_step(session, statement, 0, &rewritten, None).await?;
        self.filling = Some(Filling {
            statement: statement.clone(),
            rewritten,
            number,
            has_come: false,
        });
        Ok(number)
    }

    /// The rows of CREATE TABLE … SELECT are in.
    pub(super) async fn filled(&mut self, session: &mut Session) -> Result<(), Failure> {
        let is_in =
            |filling: &Filling| filling.has_come && self.watermark.done().contains(&filling.statement.header.gtid);
        if !self.filling.as_ref().is_some_and(is_in) {
            return Ok(());
        }
        if let Some(filling) = self.filling.take() {
            let Filling {
                statement, rewritten, ..
            } = &filling;
            let job = self.job(statement, 0, &rewritten.text, &rewritten.details);
            let applied = ddl::finish(session, &job, filling.number, true).await?;
            self.persisted.send_replace(Arc::new(applied));
        }
        Ok(())
    }

    pub(super) fn job<'a>(
        &'a self,
        statement: &'a Statement,
        step: usize,
        text: &'a str,
        details: &'a Details,
    ) -> ddl::Job<'a> {
        ddl::Job {
            link: &self.link.key,
            epoch: self.epoch,
            gtid: &statement.header.gtid,
            step,
            statement: text,
            status: &statement.status,
            tables: &[],
            databases: &[],
            stored: &[],
            default_database: None,
            encoded: None,
            details,
            keep_from: self.link.shared.reverse_ddl.load(Ordering::Acquire),
            applied: self.watermark.done(),
        }
    }

    /// Runs what comes of a statement at the destination; the checkpoint `passes` it with the last. Returns the last number,
    /// and whose rows were replaced.
    pub(super) async fn run_statements(
        &mut self,
        session: &mut Session,
        statement: &Statement,
        steps: Vec<Rewritten>,
        passes: bool,
    ) -> Result<Option<(u64, Vec<TableName>)>, Failure> {
        let count = steps.len();
        let mut voids = None;
        for (step, mut rewritten) in steps.into_iter().enumerate() {
            let mut adapted = Adapted::default();
            if !rewritten.stored.is_empty() {
                adapted = self
                    .receiver
                    .adapt(session.conn(), &self.link, statement, &mut rewritten, self.version)
                    .await?;
            }
            if let Some(why) = adapted.ignored {
                ddl::withdraw(session.conn(), &self.link.key, &statement.header.gtid).await?;
                self.log(self.record(statement, "ignored", None)).await?;
                self.link
                    .tell(
                        Level::Warning,
                        format!(
                            "the DDL statement {} is not run at the destination: {why}",
                            statement.header.gtid
                        ),
                    )
                    .await;
                continue;
            }
            if self.link.two_way {
                for table in &rewritten.tables {
                    rewritten
                        .details
                        .before
                        .extend(schema::read_table(session.conn(), table).await?);
                }
            }
            let number = self
                .run_step(session, statement, step, &rewritten, adapted.encoded.as_ref())
                .await?;
            for note in adapted.notes {
                self.link.tell(Level::Warning, note).await;
            }
            if let Some(told) = adapted.told {
                self.link.tell(Level::Info, told).await;
            }
            let job = self.job(statement, step, &rewritten.text, &rewritten.details);
            // What stands inside of a transaction is passed with the transaction.
            let passes = passes && step + 1 == count && !statement.within;
            let applied = ddl::finish(session, &job, number, passes).await?;
            self.persisted.send_replace(Arc::new(applied));
            voids = Some((number, rewritten.details.voids));
        }
        Ok(voids)
    }

    /// Lets one statement take effect and lists it; [`ddl::finish`] is still to come.
    pub(super) async fn run_step(
        &mut self,
        session: &mut Session,
        statement: &Statement,
        step: usize,
        rewritten: &Rewritten,
        encoded: Option<&(u16, Vec<u8>)>,
    ) -> Result<u64, Failure> {
        let job = ddl::Job {
            tables: &rewritten.tables,
            databases: &rewritten.databases,
            stored: &rewritten.stored,
            default_database: rewritten.default_database.as_deref(),
            encoded: encoded.map(|(collation, bytes)| (*collation, bytes.as_slice())),
            ..self.job(statement, step, &rewritten.text, &rewritten.details)
        };
        let result = ddl::apply(session, &job).await;
        let outcome = match &result {
            Ok(_) => "applied",
            Err(failure) if failure.kind == Kind::Data => "failed",
            Err(_) => return result,
        };
        // Listed before the checkpoint passes it: what is done stands in the list, come what may.
        let record = DdlRecord {
            source_position: match step {
                0 => statement.header.gtid.to_string(),
                step => format!("{}#{step}", statement.header.gtid),
            },
            ..self.record(statement, outcome, Some(&rewritten.text))
        };
        self.log(record).await?;
        if result.is_err() {
            self.leave_undecided(&statement.header.gtid).await?;
        }
        result
    }

    pub(super) fn record(&self, statement: &Statement, outcome: &'static str, applied: Option<&str>) -> DdlRecord {
        DdlRecord {
            task: self.link.task.clone(),
            direction: self.link.key.direction,
            source_position: statement.header.gtid.to_string(),
            statement: statement.text.clone(),
            outcome,
            applied_statement: applied.map(str::to_owned),
        }
    }

    pub(super) async fn log(&self, record: DdlRecord) -> Result<(), Failure> {
        let store = self.link.store.clone();
        in_store(move || store.record_ddl(&record))
            .await
            .map_err(|failure| Failure::data(format!("a DDL statement can't be taken down: {failure}")))
    }
}
