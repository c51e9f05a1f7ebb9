//! Which definitions of tables changes are bound to. Two of one table can't be folded together.

use std::{collections::HashSet, sync::Arc};

use crate::model::{change::Target, name::TableName};

/// Definitions, at most one of each of the destination's tables.
#[derive(Debug, Default)]
pub struct Definitions {
    targets: HashSet<*const Target>,
    names: HashSet<TableName>,
}

impl Definitions {
    /// Adds one that lives as long as this. False if there is another of the same table.
    pub fn add(&mut self, target: &Arc<Target>) -> bool {
        !self.targets.insert(Arc::as_ptr(target)) || self.names.insert(target.table.name.clone())
    }
}
