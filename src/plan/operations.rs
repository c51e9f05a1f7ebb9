//! Which operation of an `ONLY` list a statement is.

use crate::{ddl::Kind, model::task::Operation};

/// The operation that a statement is; `None` for one that is not carried in any case.
pub fn of_ddl(kind: &Kind) -> Option<Operation> {
    Some(match kind {
        Kind::CreateTable { .. } => Operation::CreateTable,
        Kind::AlterTable => Operation::AlterTable,
        Kind::DropTable { .. } => Operation::DropTable,
        Kind::RenameTable => Operation::RenameTable,
        Kind::TruncateTable => Operation::TruncateTable,
        Kind::CreateIndex => Operation::CreateIndex,
        Kind::DropIndex => Operation::DropIndex,
        Kind::CreateDatabase | Kind::AlterDatabase | Kind::DropDatabase => Operation::Database,
        Kind::View(..) => Operation::View,
        Kind::Routine(..) => Operation::Routine,
        Kind::Trigger(..) => Operation::Trigger,
        Kind::Event(..) => Operation::Event,
        _ => return None,
    })
}
