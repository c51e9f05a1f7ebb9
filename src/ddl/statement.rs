//! A classified statement: its kind, and where names stand in it.

use std::ops::Range;

use super::body::Body;
use super::definition::Definition;
use super::receive::StoredParts;
use crate::model::name::TableName;

/// The `sql_mode` of a statement, in the bits of the QUERY event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SqlMode(pub u64);

impl SqlMode {
    /// Double quotes enclose names.
    pub const ANSI_QUOTES: u64 = 1 << 2;
    /// A backslash in a text is just a backslash.
    pub const NO_BACKSLASH_ESCAPES: u64 = 1 << 20;

    /// Whether double quotes enclose names.
    pub fn ansi_quotes(self) -> bool {
        self.0 & Self::ANSI_QUOTES != 0
    }

    /// Whether a backslash in a text is just a backslash.
    pub fn no_backslash_escapes(self) -> bool {
        self.0 & Self::NO_BACKSLASH_ESCAPES != 0
    }
}

/// What a statement does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// BEGIN, START TRANSACTION.
    Begin,
    /// COMMIT.
    Commit,
    /// ROLLBACK of the whole transaction.
    Rollback,
    /// SAVEPOINT.
    Savepoint,
    /// ROLLBACK TO a savepoint.
    RollbackTo,
    /// RELEASE SAVEPOINT.
    ReleaseSavepoint,
    /// XA START to XA ROLLBACK; [`Statement::xid`] has the transaction's name.
    Xa(XaVerb),
    /// CREATE TABLE.
    CreateTable {
        /// CREATE TEMPORARY TABLE.
        temporary: bool,
        /// CREATE TABLE … LIKE.
        like: bool,
        /// CREATE TABLE … SELECT: makes rows too. Only in statement-based binlogs; it can't be rewritten.
        select: bool,
        /// CREATE TABLE … START TRANSACTION: how MySQL 8.0.21 and later log CREATE TABLE … SELECT. The rows follow in
        /// the same transaction, as row events. [`Statement::rewrite`] leaves the clause out: a session that runs it
        /// may only go on with BINLOG statements (error 3977).
        start_transaction: bool,
    },
    /// ALTER TABLE.
    AlterTable,
    /// DROP TABLE.
    DropTable {
        /// DROP TEMPORARY TABLE.
        temporary: bool,
    },
    /// RENAME TABLE.
    RenameTable,
    /// TRUNCATE TABLE.
    TruncateTable,
    /// CREATE INDEX.
    CreateIndex,
    /// DROP INDEX.
    DropIndex,
    /// CREATE DATABASE.
    CreateDatabase,
    /// ALTER DATABASE.
    AlterDatabase,
    /// DROP DATABASE.
    DropDatabase,
    /// CREATE, ALTER, DROP VIEW.
    View(Object),
    /// CREATE, ALTER, DROP PROCEDURE, FUNCTION or LIBRARY.
    Routine(Object, RoutineKind),
    /// CREATE, DROP TRIGGER.
    Trigger(Object),
    /// CREATE, ALTER, DROP EVENT.
    Event(Object),
    /// ANALYZE, OPTIMIZE, REPAIR, CHECK TABLE: changes no content.
    TableMaintenance,
    /// Accounts, roles and what they may do.
    Account(AccountVerb),
    /// Concerns the server and not an object in a database: FLUSH, INSTALL PLUGIN, CREATE SERVER, SET, …
    ServerAdministration,
    /// A change of rows as a statement: the mark of a statement-based binlog.
    Dml(DmlVerb),
}

/// What is done to an object with a definition of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// CREATE.
    Create,
    /// ALTER.
    Alter,
    /// DROP.
    Drop,
}

/// Which stored routine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoutineKind {
    /// PROCEDURE.
    Procedure,
    /// FUNCTION.
    Function,
    /// LIBRARY, since 9.2.
    Library,
}

/// The verb of an XA statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XaVerb {
    /// XA START, XA BEGIN.
    Start,
    /// XA END.
    End,
    /// XA PREPARE.
    Prepare,
    /// XA COMMIT.
    Commit {
        /// The transaction was not prepared before.
        one_phase: bool,
    },
    /// XA ROLLBACK.
    Rollback,
}

/// The name of an XA transaction, as bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Xid {
    /// The global part, 0 to 64 bytes.
    pub gtrid: Vec<u8>,
    /// The branch, 0 to 64 bytes.
    pub bqual: Vec<u8>,
    /// The format number; 1 unless given.
    pub format_id: u64,
}

/// What is done to accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountVerb {
    /// CREATE USER, CREATE ROLE.
    Create,
    /// ALTER USER.
    Alter,
    /// DROP USER, DROP ROLE.
    Drop,
    /// RENAME USER.
    Rename,
    /// GRANT.
    Grant,
    /// REVOKE.
    Revoke,
    /// SET PASSWORD.
    SetPassword,
    /// SET DEFAULT ROLE.
    SetDefaultRole,
}

/// How a statement changes rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DmlVerb {
    /// INSERT.
    Insert,
    /// REPLACE.
    Replace,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// LOAD DATA, LOAD XML.
    Load,
    /// SELECT, DO, CALL, WITH: changes rows through functions or a common table expression.
    Other,
}

/// What a name in a statement stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// A table that the statement makes, changes or drops.
    Table,
    /// A database that the statement makes, changes or drops; [`TableName::table`] is empty.
    Database,
    /// The new name of a table.
    RenameTarget,
    /// The table on the other side of EXCHANGE PARTITION; it is changed as well.
    ExchangeTable,
    /// The parent in REFERENCES.
    ForeignKeyParent,
    /// The pattern of CREATE TABLE … LIKE.
    LikeSource,
    /// A table in the UNION option of a MERGE table.
    MergeMember,
    /// The statement's own table before a column's name, as in `CHECK (t.price > 0)`.
    ColumnQualifier,
    /// A view.
    View,
    /// A procedure, function or library.
    Routine,
    /// A trigger.
    Trigger,
    /// The table of a trigger.
    TriggerTable,
    /// An event.
    Event,
    /// The new name of an event.
    EventRenameTarget,
    /// Something in the body of a view, routine, trigger or event that *might* be a table: see [`Body`].
    BodyMention,
}

impl Role {
    /// Whether the statement defines, changes or drops what stands here.
    pub fn is_target(self) -> bool {
        match self {
            Role::Table
            | Role::Database
            | Role::RenameTarget
            | Role::ExchangeTable
            | Role::View
            | Role::Routine
            | Role::Trigger
            | Role::Event
            | Role::EventRenameTarget => true,
            Role::ForeignKeyParent
            | Role::LikeSource
            | Role::MergeMember
            | Role::ColumnQualifier
            | Role::TriggerTable
            | Role::BodyMention => false,
        }
    }
}

/// A name and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameSpan {
    /// Bytes in [`Statement::text`], from the database's name, if it is there, to the end of the object's. Empty where
    /// the name was left out (`ALTER DATABASE COLLATE …`).
    pub span: Range<usize>,
    /// What it stands for.
    pub role: Role,
    /// The name, with the database filled in as the server does.
    pub name: TableName,
}

/// A statement whose kind and names are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What it does.
    pub kind: Kind,
    /// The names in it, by position.
    pub names: Vec<NameSpan>,
    /// The query or program in it.
    pub body: Option<Body>,
    pub(super) text: String,
    /// The elements of the list of objects, for statements that take one.
    pub(super) items: Vec<Range<usize>>,
    pub(super) renamed_columns: Vec<(String, String)>,
    /// What [`Statement::rewrite`] leaves out.
    pub(super) cut: Option<Range<usize>>,
    pub(super) xid: Option<Xid>,
    /// Its columns; only asked where a task names a table's columns one by one.
    pub(super) definition: Result<Definition, String>,
    /// Where it says what a receiving side decides by itself.
    pub(super) stored: StoredParts,
}

impl Statement {
    /// The statement with version comments resolved, otherwise as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The objects that the statement defines, changes or drops: what decides whether it is selected. For `Dml` it may
    /// be empty: then the tables are not known.
    pub fn targets(&self) -> impl Iterator<Item = &NameSpan> {
        self.names.iter().filter(|name| name.role.is_target())
    }

    /// Tables that get another name: the old one and the new one.
    pub fn renamed_tables(&self) -> impl Iterator<Item = (&TableName, &TableName)> {
        let mut old = None;
        self.names.iter().filter_map(move |name| match name.role {
            Role::Table => {
                old = Some(&name.name);
                None
            }
            Role::RenameTarget => old.map(|old| (old, &name.name)),
            _ => None,
        })
    }

    /// Columns that ALTER TABLE gives another name (RENAME COLUMN, CHANGE): the old one and the new one.
    pub fn renamed_columns(&self) -> &[(String, String)] {
        &self.renamed_columns
    }

    /// The XA transaction's name, for [`Kind::Xa`].
    pub fn xid(&self) -> Option<&Xid> {
        self.xid.as_ref()
    }

    /// Whether it only opens, closes or marks a transaction.
    pub fn is_transaction_control(&self) -> bool {
        matches!(
            self.kind,
            Kind::Begin
                | Kind::Commit
                | Kind::Rollback
                | Kind::Savepoint
                | Kind::RollbackTo
                | Kind::ReleaseSavepoint
                | Kind::Xa(_)
        )
    }
}
