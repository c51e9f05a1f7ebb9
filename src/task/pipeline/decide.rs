//! Statements that can't be carried: they wait for the operator's word, and are dealt with as it says.

use std::sync::Arc;

use crate::{
    apply::{ddl, session::Session},
    failure::{Failure, Kind},
    model::{gtid::Gtid, history::Details, name::TableName, status::Level, task::Decision},
    plan::assemble::Statement,
};

use super::{Scheduler, in_store};
use crate::task::statements;

impl Scheduler {
    /// What the operator has decided on a statement.
    pub(super) async fn decision(&self, gtid: &Gtid) -> Result<Option<Decision>, Failure> {
        let (store, task) = (self.link.store.clone(), self.link.task.clone());
        let (direction, gtid) = (self.link.key.direction, gtid.to_string());
        in_store(move || store.decision(&task, direction, &gtid)).await
    }

    /// Does with a statement what the operator has decided.
    pub(super) async fn decided(
        &mut self,
        session: &mut Session,
        statement: &Statement,
        decision: Decision,
    ) -> Result<Option<(u64, Vec<TableName>)>, Failure> {
        let gtid = &statement.header.gtid;
        let voids = match decision {
            // What comes behind it under the same GTID is still to be dealt with; the decision is on all its statements.
            Decision::Skip if statement.within => {
                ddl::withdraw(session.conn(), &self.link.key, gtid).await?;
                self.skipped(statement).await?;
                return Ok(None);
            }
            Decision::Skip => {
                // The checkpoint is past it before the decision is forgotten: it would be asked for again.
                let details = Details::default();
                let applied = ddl::skip(session, &self.job(statement, 0, "", &details)).await?;
                self.persisted.send_replace(Arc::new(applied));
                self.skipped(statement).await?;
                None
            }
            Decision::Apply(text) => {
                // What was intended before is another statement.
                ddl::withdraw(session.conn(), &self.link.key, gtid).await?;
                match statements::as_written(&text, self.version) {
                    Some(rewritten) => self.run_statements(session, statement, vec![rewritten], true).await?,
                    None => {
                        self.change_rows(session, statement, &text).await?;
                        None
                    }
                }
            }
        };
        let (store, task, direction) = (self.link.store.clone(), self.link.task.clone(), self.link.key.direction);
        in_store(move || store.decided(&task, direction)).await?;
        Ok(voids)
    }

    /// Says that a statement was passed by.
    async fn skipped(&self, statement: &Statement) -> Result<(), Failure> {
        self.log(self.record(statement, "ignored", None)).await?;
        let gtid = &statement.header.gtid;
        let message = format!("the statement {gtid} was passed by, as the operator decided");
        self.link.tell(Level::Warning, message).await;
        Ok(())
    }

    /// Runs a statement that changes rows in the place of another one.
    pub(super) async fn change_rows(
        &mut self,
        session: &mut Session,
        statement: &Statement,
        text: &str,
    ) -> Result<(), Failure> {
        let details = Details::default();
        let job = self.job(statement, 0, text, &details);
        match ddl::change_rows(session, &job, &statement.header.path).await {
            Ok(applied) => {
                // Passed here even inside of a transaction: done twice would be worse than anything.
                let number = self.watermark.begin_transaction(&statement.header);
                self.watermark.finish(number);
                (self.unwritten.any, self.unwritten.changes) = (true, true);
                self.persisted.send_replace(Arc::new(applied));
                self.log(self.record(statement, "applied", Some(text))).await
            }
            Err(failure) => {
                if failure.kind == Kind::Data {
                    self.log(self.record(statement, "failed", Some(text))).await?;
                    self.leave_undecided(&statement.header.gtid).await?;
                }
                Err(failure)
            }
        }
    }

    /// A statement can't be carried: it waits for what the operator decides. The checkpoint comes to be right before it: of
    /// decisions on earlier statements there is no trace any more.
    pub(super) async fn undecided(&self, session: &mut Session, gtid: &Gtid, reason: &str) -> Failure {
        let written = ddl::checkpoint(session, &self.link.key, self.epoch, self.watermark.done()).await;
        match written.and(self.leave_undecided(gtid).await) {
            Ok(()) => Failure::undecided(format!(
                "{reason}. Decide on it: RESUME SYNC TASK {0} SKIP passes it by, RESUME SYNC TASK {0} APPLY '…' runs another \
                 statement at the destination in its place, and RESUME alone tries it again",
                self.link.task
            )),
            Err(failure) => failure,
        }
    }

    pub(super) async fn leave_undecided(&self, gtid: &Gtid) -> Result<(), Failure> {
        let (store, task) = (self.link.store.clone(), self.link.task.clone());
        let (direction, gtid) = (self.link.key.direction, gtid.to_string());
        in_store(move || store.leave_undecided(&task, direction, &gtid)).await
    }
}
