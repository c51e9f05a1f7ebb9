//! The same statement under other names, or for fewer objects.

use std::ops::Range;

use super::columns::{self, Edit};
use super::statement::{Kind, NameSpan, Role, Statement};
use crate::model::{columns::ColumnMap, name::TableName};

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
        "the statement holds a query or a program that may speak of {name}, which has another name at the destination, or \
         is not among the objects of this task in a database that has another name there; write {name} with its \
         database, or run the statement at the destination by hand, with the destination's names"
    )]
    Body {
        /// The name that would change.
        name: TableName,
    },
    /// Its query or program may speak of columns that have other names at the destination, or are not there.
    #[error(
        "the statement holds a query or a program that may speak of {table}, of which the task carries only some columns, or \
         carries them under other names; run it at the destination by hand, with what there is"
    )]
    BodyColumns {
        /// The table with a list of columns.
        table: TableName,
    },
    /// It can't be told what a name inside its query or program means.
    #[error(
        "the statement holds a query or a program in which {name} may be a table or a column of another table, and it \
         makes a difference at the destination, where the table has another name; give the table an alias in the query, or \
         run the statement at the destination by hand, with the destination's names"
    )]
    Ambiguous {
        /// As a table.
        name: TableName,
    },
    /// A text that may be run as a statement names a database that has another name at the destination.
    #[error(
        "the statement holds a program that runs texts as statements (PREPARE) or is JavaScript, and a text in it has the \
         word {name}, a database that has another name at the destination; name tables without their database, or run \
         the statement at the destination by hand, with the destination's names"
    )]
    BodyText {
        /// The word.
        name: String,
    },
    /// CREATE TABLE … SELECT as a statement.
    #[error(
        "CREATE TABLE … SELECT was logged as a statement, so it may make other rows at the destination; set \
         binlog_format=ROW at the source"
    )]
    CreateSelect,
    /// A part of a definition needs a column that is not carried.
    #[error(
        "{what} needs column {column} of {table}, which is not among the columns that this task carries; add it to the \
         table's columns in OBJECTS, or run the statement at the destination by hand, in the form it shall have there"
    )]
    LeftOutColumn {
        /// The part.
        what: String,
        /// The table.
        table: TableName,
        /// The column.
        column: String,
    },
    /// A column that the task names can't go or change its name: the task would name what is no longer there.
    #[error(
        "it {does} column {column} of {table}, which the task's OBJECTS name; REMOVE the table from the task's objects, drop it \
         at the destination, ADD it again with the columns there are (ALTER SYNC TASK), and RESUME the task: it is copied anew"
    )]
    ListedColumn {
        /// Drops or renames.
        does: &'static str,
        /// The table.
        table: TableName,
        /// The column.
        column: String,
    },
    /// Which columns it names could not be told.
    #[error(
        "the task carries only some columns of {table}, or carries them under other names, and which columns the \
         statement names can't be told ({reason}); write it in a simpler form, or run it at the destination by hand"
    )]
    Columns {
        /// The table.
        table: TableName,
        /// What was not understood.
        reason: String,
    },
    /// CREATE TABLE … LIKE where a table has a list of columns.
    #[error(
        "CREATE TABLE … LIKE can't be carried for {table}, of which the task carries only some columns, or carries them \
         under other names; write the columns out in CREATE TABLE"
    )]
    Like {
        /// The table with a list of columns.
        table: TableName,
    },
    /// Not a statement on the objects of a task.
    #[error("a statement of this kind ({kind:?}) concerns no objects of a task and is not carried")]
    NotCarried {
        /// Its kind.
        kind: Kind,
    },
}

/// What a statement's names are at the destination.
#[derive(Clone, Copy)]
pub struct Mapping<'a> {
    /// Gets what a name stands for; it must answer for every role but [`Role::BodyMention`] (and [`Role::Database`] for the
    /// home of a body), where `None` means "no concern of this task". For [`Role::Database`] only the database of its
    /// answer counts.
    pub names: &'a dyn Fn(Role, &TableName) -> Option<TableName>,
    /// The columns of a table of the source that are carried.
    pub columns: &'a dyn Fn(&TableName) -> ColumnMap,
    /// Whether the counterpart of a table of the source has a key or constraint of this name. Only asked for tables of
    /// which [`Mapping::columns`] lists columns: keys over others are not made there, so they can't be dropped.
    pub has_key: &'a dyn Fn(&TableName, &str) -> bool,
}

impl std::fmt::Debug for Mapping<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mapping").finish_non_exhaustive()
    }
}

impl Statement {
    /// The statement with every name replaced by what `names` says ([`Mapping::names`]), for tables that are carried with all
    /// their columns.
    ///
    /// # Errors
    /// [`RewriteError`] if a name has no counterpart, or the statement can't be carried under any name.
    pub fn rewrite(&self, names: &dyn Fn(Role, &TableName) -> Option<TableName>) -> Result<String, RewriteError> {
        let mapping = Mapping {
            names,
            columns: &|_| ColumnMap::All,
            has_key: &|_, _| true,
        };
        Ok(self.rewrite_for(&mapping)?.unwrap_or_default())
    }

    /// The statement with every name of a table replaced by its counterpart, always in backticks and with its database, so
    /// that it means the same under any default database (but see [`Body::needs_default_database`]), with columns under
    /// their names at the destination and without those that are not carried. Everything else stays byte for byte, save for
    /// the START TRANSACTION clause of CREATE TABLE. `None` if nothing is left to be run.
    ///
    /// # Errors
    /// [`RewriteError`] if a name has no counterpart, or the statement can't be carried in any form.
    pub fn rewrite_for(&self, mapping: &Mapping<'_>) -> Result<Option<String>, RewriteError> {
        match self.kind {
            Kind::CreateTable { select: true, .. } => return Err(RewriteError::CreateSelect),
            Kind::Account(_) | Kind::ServerAdministration | Kind::Dml(_) => {
                return Err(RewriteError::NotCarried {
                    kind: self.kind.clone(),
                });
            }
            _ => {}
        }
        let Some(mut edits) = self.column_edits(mapping)? else {
            return Ok(None);
        };
        let removed: Vec<Range<usize>> = edits
            .iter()
            .filter(|(_, with)| with.is_empty())
            .map(|(span, _)| span.clone())
            .collect();
        if let Some(body) = &self.body {
            edits.extend(body.edits(mapping)?);
        }
        for NameSpan { span, role, name } in &self.names {
            if removed
                .iter()
                .any(|gone| gone.start <= span.start && span.end <= gone.end)
            {
                continue;
            }
            let mapped = (mapping.names)(*role, name).ok_or_else(|| RewriteError::Unmapped {
                name: name.clone(),
                role: *role,
            })?;
            let mut with = quoted(&mapped.database);
            if span.is_empty() {
                with.insert(0, ' ');
            }
            if *role != Role::Database {
                with.push('.');
                with.push_str(&quoted(&mapped.table));
            }
            edits.push((span.clone(), with));
        }
        if let Some(cut) = &self.cut {
            let start = self.text.get(..cut.start).unwrap_or("").trim_end().len();
            edits.push((start..cut.end, String::new()));
        }
        Ok(Some(edited(&self.text, edits)))
    }

    /// What changes where columns stand; `None` if nothing would be left of the statement.
    fn column_edits(&self, mapping: &Mapping<'_>) -> Result<Option<Vec<Edit>>, RewriteError> {
        let limited = |name: &&NameSpan| (mapping.columns)(&name.name).is_listed();
        let concerned = |role: Role| self.names.iter().filter(move |name| name.role == role).find(limited);
        if let Kind::CreateTable { like: true, .. } = self.kind
            && let Some(name) = concerned(Role::Table).or_else(|| concerned(Role::LikeSource))
        {
            return Err(RewriteError::Like {
                table: name.name.clone(),
            });
        }
        let Some(table) = concerned(Role::Table).or_else(|| concerned(Role::ForeignKeyParent)) else {
            return Ok(Some(Vec::new()));
        };
        let definition = self.definition.as_ref().map_err(|reason| RewriteError::Columns {
            table: table.name.clone(),
            reason: reason.clone(),
        })?;
        match self.names.iter().find(|name| name.role == Role::Table) {
            Some(own) => match columns::edits(definition, &own.name, mapping)? {
                None if matches!(self.kind, Kind::CreateTable { .. }) => Err(RewriteError::Columns {
                    table: own.name.clone(),
                    reason: "it has none of the columns that the task carries".to_owned(),
                }),
                edits => Ok(edits),
            },
            None => Ok(Some(Vec::new())),
        }
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

/// A name in backticks.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// The text with these spans of it, which do not overlap, replaced.
pub(super) fn edited(text: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(span, _)| span.start);
    let mut out = String::with_capacity(text.len() + 16 * edits.len());
    let mut done = 0;
    for (span, with) in edits {
        out.push_str(text.get(done..span.start).unwrap_or(""));
        out.push_str(&with);
        done = span.end;
    }
    out.push_str(text.get(done..).unwrap_or(""));
    out
}
