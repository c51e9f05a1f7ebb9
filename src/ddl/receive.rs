//! What the receiving side makes of a statement on a view, routine, trigger or event, besides its names.
//!
//! - **Definer**: where the account that applies may not give the object to the one that has it at the source, it takes
//!   it itself.
//! - **Triggers** get a guard: what they do for a change has been done at the side where the change was made, and
//!   arrives as row changes of its own.
//! - **Events** are made as a replica makes them: they are there, and do not run.

use std::ops::Range;

use super::rewrite::edited;
use super::statement::{Kind, Object, RoutineKind, Statement};
use crate::model::stored::{APPLYING_VARIABLE, Account, StoredKind};

/// `DISABLE ON REPLICA` was `DISABLE ON SLAVE` before.
const REPLICA_SINCE: u32 = 80_200;

/// The DEFINER of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definer {
    /// Where the account stands.
    pub(super) span: Range<usize>,
    /// `None`: CURRENT_USER.
    pub account: Option<Account>,
}

/// Where a statement says what a receiving side decides by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct StoredParts {
    pub(super) definer: Option<Definer>,
    /// Of an event: where its state stands, or could.
    pub(super) event_state: Option<Range<usize>>,
}

/// How a statement is received.
#[derive(Debug, Clone, Copy)]
pub struct Reception<'a> {
    /// The account that gets the object; `None`: the one that the statement names.
    pub definer: Option<&'a Account>,
    /// The version of the server that runs it: 90704 is 9.7.4.
    pub server_version: u32,
}

impl Statement {
    /// The kind of the object that it makes, changes or drops, if that is neither a table nor a database.
    pub fn stored_kind(&self) -> Option<StoredKind> {
        match self.kind {
            Kind::View(_) => Some(StoredKind::View),
            Kind::Routine(_, RoutineKind::Procedure) => Some(StoredKind::Procedure),
            Kind::Routine(_, RoutineKind::Function) => Some(StoredKind::Function),
            Kind::Routine(_, RoutineKind::Library) => Some(StoredKind::Library),
            Kind::Trigger(_) => Some(StoredKind::Trigger),
            Kind::Event(_) => Some(StoredKind::Event),
            _ => None,
        }
    }

    /// The DEFINER it names.
    pub fn definer(&self) -> Option<&Definer> {
        self.stored.definer.as_ref()
    }

    /// Whether it makes a trigger without a guard.
    pub fn lacks_guard(&self) -> bool {
        self.guard().is_some()
    }

    /// CREATE that takes it as well if the object is there.
    #[must_use]
    pub fn if_not_exists(&self) -> Statement {
        self.on_condition("IF NOT EXISTS")
    }

    /// DROP that takes it as well if the object is not there.
    #[must_use]
    pub fn if_exists(&self) -> Statement {
        self.on_condition("IF EXISTS")
    }

    /// With a condition before its first name, unless there is one.
    fn on_condition(&self, condition: &str) -> Statement {
        let mut with = self.clone();
        let Some(at) = self.names.first().map(|name| name.span.start) else {
            return with;
        };
        let (head, tail) = self.text.split_at_checked(at).unwrap_or((&self.text, ""));
        let last = head.split_whitespace().next_back().unwrap_or("");
        if last.eq_ignore_ascii_case("EXISTS") {
            return with;
        }
        with.text = format!("{head}{condition} {tail}");
        let longer = condition.len() + 1;
        for name in &mut with.names {
            name.span = name.span.start + longer..name.span.end + longer;
        }
        with
    }

    /// The statement as a receiving side runs it.
    pub fn received(&self, how: &Reception<'_>) -> String {
        let mut edits = Vec::new();
        if let Some(account) = how.definer {
            match (&self.stored.definer, self.head()) {
                (Some(definer), _) => edits.push((definer.span.clone(), account.to_string())),
                (None, Some(after)) => edits.push((after..after, format!(" DEFINER={account}"))),
                (None, None) => {}
            }
        }
        if let Some(state) = &self.stored.event_state {
            let replica = if how.server_version >= REPLICA_SINCE {
                "REPLICA"
            } else {
                "SLAVE"
            };
            let blank = if state.is_empty() { " " } else { "" };
            edits.push((state.clone(), format!("{blank}DISABLE ON {replica}")));
        }
        if let Some((body, guarded)) = self.guard() {
            edits.push((body, guarded));
        }
        edited(&self.text, edits)
    }

    /// Behind the verb of a statement that may get a DEFINER.
    fn head(&self) -> Option<usize> {
        let verb = match self.kind {
            Kind::Routine(Object::Create, RoutineKind::Procedure | RoutineKind::Function)
            | Kind::Trigger(Object::Create)
            | Kind::Event(Object::Create) => "CREATE",
            // Without a DEFINER an event goes to whoever alters it.
            Kind::Event(Object::Alter) => "ALTER",
            _ => return None,
        };
        let start = self.text.len() - self.text.trim_start().len();
        let end = start + verb.len();
        self.text
            .get(start..end)
            .is_some_and(|word| word.eq_ignore_ascii_case(verb))
            .then_some(end)
    }

    /// The body of a trigger and the same with a guard around it; `None` if it has one. The line breaks end a comment
    /// that may be the last thing in the body.
    fn guard(&self) -> Option<(Range<usize>, String)> {
        if self.kind != Kind::Trigger(Object::Create) {
            return None;
        }
        let span = self.body.as_ref()?.span.clone();
        let body = self.text.get(span.clone())?;
        let words: Vec<&str> = body.split_whitespace().collect();
        let head = ["BEGIN", "IF", APPLYING_VARIABLE, "IS", "NULL", "THEN"];
        let tail = [";", "END", "IF;", "END"];
        if words.starts_with(&head) && words.ends_with(&tail) {
            return None;
        }
        let guarded = format!("BEGIN IF {APPLYING_VARIABLE} IS NULL THEN\n{body}\n; END IF; END");
        Some((span, guarded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ddl::{StatementContext, classify};

    fn classified(text: &str) -> Statement {
        let context = StatementContext {
            default_database: Some("d"),
            sql_mode: 0,
            server_version: 90_704,
        };
        classify(text, &context).unwrap()
    }

    fn check(text: &str, definer: Option<(&str, &str)>, version: u32, expected: &str) {
        let account = definer.map(|(user, host)| Account {
            user: user.into(),
            host: host.into(),
        });
        let how = Reception {
            definer: account.as_ref(),
            server_version: version,
        };
        let received = classified(text).received(&how);
        assert_eq!(received, expected, "{text}");
        // What was received is received as it is.
        assert_eq!(classified(&received).received(&how), expected, "{text}");
    }

    #[test]
    fn the_definer_is_replaced_or_put_in() {
        let me = Some(("a`b", "%"));
        check(
            "CREATE ALGORITHM=MERGE DEFINER=`root`@`localhost` SQL SECURITY DEFINER VIEW v AS SELECT 1",
            me,
            90_704,
            "CREATE ALGORITHM=MERGE DEFINER=`a``b`@`%` SQL SECURITY DEFINER VIEW v AS SELECT 1",
        );
        check(
            "CREATE DEFINER=root@localhost FUNCTION f() RETURNS INT RETURN 1",
            me,
            90_704,
            "CREATE DEFINER=`a``b`@`%` FUNCTION f() RETURNS INT RETURN 1",
        );
        check(
            "create procedure p() select 1",
            me,
            90_704,
            "create DEFINER=`a``b`@`%` procedure p() select 1",
        );
        check(
            "alter event e comment 'x'",
            me,
            90_704,
            "alter DEFINER=`a``b`@`%` event e DISABLE ON REPLICA comment 'x'",
        );
        check(
            "ALTER PROCEDURE p COMMENT 'x'",
            me,
            90_704,
            "ALTER PROCEDURE p COMMENT 'x'",
        );
        check("DROP VIEW v", me, 90_704, "DROP VIEW v");
    }

    #[test]
    fn accounts_are_read_as_the_server_does() {
        for (text, expected) in [
            ("`a b`@`10.0.0.%`", Some(("a b", "10.0.0.%"))),
            ("'it''s'@'h'", Some(("it's", "h"))),
            ("root@localhost", Some(("root", "localhost"))),
            ("root@10.1.2.3", Some(("root", "10.1.2.3"))),
            ("role", Some(("role", "%"))),
            ("CURRENT_USER()", None),
        ] {
            let statement = classified(&format!("CREATE DEFINER={text} VIEW v AS SELECT 1"));
            let found = statement.definer().unwrap().account.clone();
            let expected = expected.map(|(user, host)| Account {
                user: user.into(),
                host: host.into(),
            });
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn events_do_not_run_at_the_receiving_side() {
        for (text, expected) in [
            (
                "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM t",
                "CREATE EVENT e ON SCHEDULE EVERY 1 DAY # DO DELETE FROM t",
            ),
            (
                "CREATE EVENT e ON SCHEDULE AT NOW() + INTERVAL (SELECT 1) DAY ON COMPLETION PRESERVE ENABLE COMMENT 'DO' DO SELECT enable FROM t",
                "CREATE EVENT e ON SCHEDULE AT NOW() + INTERVAL (SELECT 1) DAY ON COMPLETION PRESERVE # COMMENT 'DO' DO SELECT enable FROM t",
            ),
            (
                "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE ON SLAVE DO SELECT 1",
                "CREATE EVENT e ON SCHEDULE EVERY 1 DAY # DO SELECT 1",
            ),
            ("ALTER EVENT e DISABLE", "ALTER EVENT e #"),
            ("ALTER EVENT e ENABLE DO SELECT 1", "ALTER EVENT e # DO SELECT 1"),
            ("ALTER EVENT e RENAME TO f", "ALTER EVENT e RENAME TO f #"),
        ] {
            check(text, None, 90_704, &expected.replace('#', "DISABLE ON REPLICA"));
            check(text, None, 80_100, &expected.replace('#', "DISABLE ON SLAVE"));
        }
        check("DROP EVENT e", None, 90_704, "DROP EVENT e");
    }

    #[test]
    fn a_trigger_is_guarded_once() {
        check(
            "CREATE DEFINER=a@b TRIGGER r BEFORE INSERT ON t FOR EACH ROW FOLLOWS q SET NEW.a = 1 -- one",
            None,
            90_704,
            "CREATE DEFINER=a@b TRIGGER r BEFORE INSERT ON t FOR EACH ROW FOLLOWS q BEGIN IF @causeway_applying IS NULL THEN\nSET \
             NEW.a = 1\n; END IF; END -- one",
        );
        check(
            "CREATE TRIGGER r AFTER DELETE ON t FOR EACH ROW l: BEGIN LEAVE l; END l",
            None,
            90_704,
            "CREATE TRIGGER r AFTER DELETE ON t FOR EACH ROW BEGIN IF @causeway_applying IS NULL THEN\nl: BEGIN LEAVE l; END l\n; \
             END IF; END",
        );
        check("DROP TRIGGER r", None, 90_704, "DROP TRIGGER r");
        let mine = "CREATE TRIGGER r AFTER DELETE ON t FOR EACH ROW BEGIN IF @causeway_applying IS NULL THEN DO 1; END IF; DO 2; END";
        assert!(classified(mine).lacks_guard());
    }
}
