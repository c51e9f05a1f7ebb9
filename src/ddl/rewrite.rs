//! The same statement under other names, or for fewer objects.

use super::statement::{Body, Kind, NameSpan, Role, Statement};
use crate::model::name::TableName;

/// Why a statement can't be written under other names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RewriteError {
    /// A name in it is not among those that are synchronized.
    #[error(
        "the statement names {name} ({role:?}), which is not among the objects of this task; add it to the task's \
         objects, or run the statement at the destination by hand"
    )]
    Unmapped {
        /// The name that has no counterpart.
        name: TableName,
        /// What it stands for.
        role: Role,
    },
    /// A name inside its query or program would change.
    #[error(
        "the statement holds a query or a program that may speak of {name}, which has another name at the destination; \
         run it there by hand, with the destination's names"
    )]
    Body {
        /// The name that would change.
        name: TableName,
    },
    /// CREATE TABLE … SELECT as a statement.
    #[error(
        "CREATE TABLE … SELECT was logged as a statement, so it may make other rows at the destination; set \
         binlog_format=ROW at the source"
    )]
    CreateSelect,
    /// Not a statement on the objects of a task.
    #[error("a statement of this kind ({kind:?}) concerns no objects of a task and is not carried")]
    NotCarried {
        /// Its kind.
        kind: Kind,
    },
}

impl Statement {
    /// The statement with every name replaced by what `map` says, always in backticks and with its database, so that it
    /// means the same under any default database (but see [`Body::needs_default_database`]). Everything else stays byte for byte,
    /// save for the START TRANSACTION clause of CREATE TABLE.
    ///
    /// `map` gets what the name stands for; it must answer for every role but [`Role::BodyMention`] (and
    /// [`Role::Database`] for the home of a body), where `None` means "no concern of this task". For
    /// [`Role::Database`] only the database of its answer counts.
    ///
    /// # Errors
    /// [`RewriteError`] if a name has no counterpart, or the statement can't be carried under any name.
    pub fn rewrite(&self, map: &dyn Fn(Role, &TableName) -> Option<TableName>) -> Result<String, RewriteError> {
        match self.kind {
            Kind::CreateTable { select: true, .. } => return Err(RewriteError::CreateSelect),
            Kind::Account(_) | Kind::ServerAdministration | Kind::Dml(_) => {
                return Err(RewriteError::NotCarried {
                    kind: self.kind.clone(),
                });
            }
            _ => {}
        }
        if let Some(body) = &self.body {
            body.check(map)?;
        }
        let mut text = String::with_capacity(self.text.len() + 16 * self.names.len());
        let mut done = 0;
        for NameSpan { span, role, name } in &self.names {
            let mapped = map(*role, name).ok_or_else(|| RewriteError::Unmapped {
                name: name.clone(),
                role: *role,
            })?;
            text.push_str(self.text.get(done..span.start).unwrap_or(""));
            done = span.end;
            if span.is_empty() {
                text.push(' ');
            }
            push_quoted(&mut text, &mapped.database);
            if *role != Role::Database {
                text.push('.');
                push_quoted(&mut text, &mapped.table);
            }
        }
        match &self.cut {
            Some(cut) => {
                text.push_str(self.text.get(done..cut.start).unwrap_or("").trim_end());
                text.push_str(self.text.get(cut.end..).unwrap_or(""));
            }
            None => text.push_str(self.text.get(done..).unwrap_or("")),
        }
        Ok(text)
    }

    /// The same statement for only those objects of its list for which `keep` holds; `None` if there is none. A pair of
    /// RENAME TABLE stays if `keep` holds for either name: a table that leaves or enters the selection must be noticed
    /// by whoever rewrites it.
    pub fn limit_to(&self, keep: &dyn Fn(&TableName) -> bool) -> Option<Statement> {
        if self.items.is_empty() {
            return self.targets().any(|target| keep(&target.name)).then(|| self.clone());
        }
        let first = self.items.first()?.start;
        let last = self.items.last()?.end;
        let mut limited = Statement {
            text: self.text.get(..first)?.to_owned(),
            names: Vec::new(),
            items: Vec::new(),
            ..self.clone()
        };
        for item in &self.items {
            let names = || {
                let within = |name: &&NameSpan| item.start <= name.span.start && name.span.end <= item.end;
                self.names.iter().filter(within)
            };
            if !names().any(|name| keep(&name.name)) {
                continue;
            }
            if !limited.items.is_empty() {
                limited.text.push_str(", ");
            }
            let start = limited.text.len();
            limited.text.push_str(self.text.get(item.clone())?);
            limited.items.push(start..limited.text.len());
            limited.names.extend(names().map(|name| NameSpan {
                span: name.span.start - item.start + start..name.span.end - item.start + start,
                ..name.clone()
            }));
        }
        if limited.items.is_empty() {
            return None;
        }
        limited.text.push_str(self.text.get(last..)?);
        Some(limited)
    }
}

impl Body {
    /// Whether all that the body may mention is found under the same words at the destination: unqualified ones in the
    /// counterpart of its home, qualified ones where they are.
    fn check(&self, map: &dyn Fn(Role, &TableName) -> Option<TableName>) -> Result<(), RewriteError> {
        let refuse = |name: &TableName| RewriteError::Body { name: name.clone() };
        for name in &self.qualified {
            if map(Role::BodyMention, name).is_some_and(|mapped| mapped != *name) {
                return Err(refuse(name));
            }
        }
        let Some(home) = &self.home else {
            return Ok(());
        };
        let mapped_home = map(Role::Database, &TableName::new(home, "")).map_or(home.clone(), |mapped| mapped.database);
        for word in &self.words {
            let name = TableName::new(home, word);
            if let Some(mapped) = map(Role::BodyMention, &name)
                && (mapped.database != mapped_home || mapped.table != *word)
            {
                return Err(refuse(&name));
            }
        }
        Ok(())
    }
}

fn push_quoted(text: &mut String, name: &str) {
    text.push('`');
    text.push_str(&name.replace('`', "``"));
    text.push('`');
}
