//! XA transactions between their `XA PREPARE` and what becomes of them.
//!
//! The binlog has the rows of an XA transaction at its `XA PREPARE`; they take effect at `XA COMMIT`, which has a GTID
//! of its own and comes any time later, perhaps after a restart, or never. Until then the rows are kept here, and the
//! GTID of the `XA PREPARE` counts as not applied: a link that starts over is sent it again.

use std::collections::HashMap;

use crate::{
    binlog::event::XaPrepare,
    ddl::Xid,
    model::{change::Change, gtid::Gtid},
};

/// A prepared transaction.
#[derive(Debug)]
pub(super) struct Held {
    /// The GTID of its `XA PREPARE`.
    pub(super) gtid: Gtid,
    /// Its changes that go to the destination.
    pub(super) changes: Vec<Change>,
    /// Bytes of row images.
    pub(super) bytes: usize,
}

/// All prepared transactions of a source.
#[derive(Debug, Default)]
pub(super) struct Prepared(HashMap<Xid, Held>);

impl Prepared {
    pub(super) fn hold(&mut self, event: &XaPrepare, held: Held) {
        let xid = Xid {
            gtrid: event.gtrid.to_vec(),
            bqual: event.bqual.to_vec(),
            format_id: u64::from(event.format_id),
        };
        self.0.insert(xid, held);
    }

    /// The transaction that is now decided on.
    pub(super) fn take(&mut self, xid: &Xid) -> Option<Held> {
        self.0.remove(xid)
    }

    /// Bytes of row images that are kept.
    pub(super) fn bytes(&self) -> usize {
        self.0.values().map(|held| held.bytes).sum()
    }
}
