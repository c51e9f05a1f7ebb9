//! A row image: the bytes of the binlog event it came in, and the plan to read them.

use std::sync::Arc;

use bytes::Bytes;

use super::table_map::TableMap;

/// One row image, before or after. Cheap to clone; decoded when it is looked at
/// ([`crate::binlog::rows`]).
#[derive(Debug, Clone)]
pub struct Row {
    /// The table map that was current when the event was written.
    pub table: Arc<TableMap>,
    /// One bit per column, least significant first: whether the image has this column.
    pub present: Bytes,
    /// The image itself: null bits, then values. Validated when it was split off the event.
    pub image: Bytes,
}
