//! What flows through a link: transactions of row changes, bound to the tables they go to.

use std::{collections::HashMap, sync::Arc};

use super::{
    dependency::DependencyKey,
    filter::RowFilter,
    gtid::Gtid,
    name::TableName,
    row::Row,
    table::{Table, TableColumn},
    table_map::TableMap,
};

/// A site a change has been at: `server_uuid`, or `server_uuid/task/a|b` where both ends of a task are on one server.
pub type Site = String;

/// What is known of a source transaction before its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionHeader {
    /// Its GTID at the source.
    pub gtid: Gtid,
    /// The GTID of its `XA PREPARE`, if it is an XA transaction: done together with [`TransactionHeader::gtid`].
    pub prepared: Option<Gtid>,
    /// When it was committed where it was first made: microseconds since the Unix epoch, by that server's clock.
    pub commit_us: u64,
    /// `binlog.000007:1234`, where its first event ends, for messages.
    pub position: String,
    /// The sites it has been at, the source included.
    pub path: Vec<Site>,
    /// Number of the last statement of this task that its site had run when it was made, see
    /// [`HistoryEntry::number`](super::history::HistoryEntry::number).
    pub ddl: u64,
    /// It has been at the destination, and comes back for tables whose rows were replaced there before it had been seen.
    pub returning: bool,
}

impl TransactionHeader {
    /// All GTIDs that are done with this transaction.
    pub fn gtids(&self) -> impl Iterator<Item = &Gtid> {
        self.prepared.iter().chain([&self.gtid])
    }
}

/// A whole source transaction with the changes that go to the destination.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// What it is.
    pub header: TransactionHeader,
    /// Its changes in order.
    pub changes: Vec<Change>,
    /// What its changes take in memory, see [`Change::bytes`].
    pub bytes: usize,
}

/// What a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// A row comes: `after` only.
    Insert,
    /// A row changes: `before` and `after`.
    Update,
    /// A row goes: `before` only.
    Delete,
}

/// One row change on its way to the destination.
#[derive(Debug, Clone)]
pub struct Change {
    /// The table it goes to.
    pub target: Arc<Target>,
    /// The images; which ones there are says what the change does.
    pub images: Images,
    /// Its place in its transaction, from 0.
    pub ordinal: u32,
    /// Foreign keys may have acted on it (ON DELETE CASCADE and the like), and what they did is not in the log.
    pub cascades: bool,
}

/// The row images of a change.
#[derive(Debug, Clone)]
pub enum Images {
    /// The row that came.
    Insert(Row),
    /// The row before and after.
    Update(Row, Row),
    /// The row that went.
    Delete(Row),
    /// The row that came into the table's filter, and what it was before, outside of it: an insert, unless it is at the
    /// destination just as it was before.
    Enter(Row, Row),
}

/// What a change takes in memory besides its images, on its way to the destination: itself, its keys, its place in a
/// batch. A row of a few bytes takes little more than this.
const CHANGE_BYTES: usize = 512;

impl Change {
    /// About how many bytes of memory it takes until it is applied.
    pub fn bytes(&self) -> usize {
        let images = [self.before(), self.after()];
        CHANGE_BYTES + images.iter().flatten().map(|row| row.image.len()).sum::<usize>()
    }

    /// What the change does.
    pub fn kind(&self) -> ChangeKind {
        match self.images {
            Images::Insert(_) | Images::Enter(..) => ChangeKind::Insert,
            Images::Update(..) => ChangeKind::Update,
            Images::Delete(_) => ChangeKind::Delete,
        }
    }

    /// The row before the change.
    pub fn before(&self) -> Option<&Row> {
        match &self.images {
            Images::Insert(_) => None,
            Images::Update(before, _) | Images::Delete(before) | Images::Enter(before, _) => Some(before),
        }
    }

    /// The row after the change.
    pub fn after(&self) -> Option<&Row> {
        match &self.images {
            Images::Delete(_) => None,
            Images::Update(_, after) | Images::Insert(after) | Images::Enter(_, after) => Some(after),
        }
    }
}

/// How changes meet the destination's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Every before image holds.
    #[default]
    Strict,
    /// Between the start of a copy and its end the destination may be ahead of or behind the change: the last word on
    /// each row is what counts, whatever was there.
    Tolerant,
}

/// A source table bound to the destination table its rows go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The table at the source.
    pub source: TableName,
    /// The plan its row images are read with.
    pub map: Arc<TableMap>,
    /// The table at the destination.
    pub table: Arc<Table>,
    /// Columns that are written, and generated ones that are part of a unique key, in the order of the source's row.
    pub columns: Vec<Binding>,
    /// The key that identifies rows: places in `columns`.
    pub key: Vec<usize>,
    /// By what its changes depend on others.
    pub dependencies: Vec<DependencyKey>,
    /// How its changes meet the destination's rows.
    pub mode: Mode,
    /// Which of its rows are synchronized; `None`: all.
    pub filter: Option<Arc<RowFilter>>,
    /// Columns of the destination, by name, whose values in the rows are of another type, with what they were when the
    /// rows were made: the server converts them as ALTER TABLE has converted those that it met.
    pub retyped: HashMap<String, TableColumn>,
}

impl Target {
    /// Whether the destination has columns that its rows here say nothing of: what those hold must outlive a change.
    pub fn leaves_out(&self) -> bool {
        let written = |binding: &&Binding| {
            let column = self.table.columns.get(binding.destination);
            column.is_some_and(|column| !column.generated)
        };
        let there = self.table.columns.iter().filter(|column| !column.generated);
        there.count() > self.columns.iter().filter(written).count()
    }
}

/// A column of the source bound to one of the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// Position in the source's row image.
    pub source: usize,
    /// Position in the destination's table.
    pub destination: usize,
}
