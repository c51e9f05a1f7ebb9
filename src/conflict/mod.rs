//! Conflicts: what they are, and what a policy makes of them. Pure.

use crate::model::{change::ChangeKind, task::ConflictPolicy};

/// What does not fit between a change and the destination's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConflictKind {
    /// An insert whose row key, or one unique key, is taken.
    InsertExists,
    /// An update whose row is not there.
    UpdateMissing,
    /// An update whose row is not as its before image says.
    UpdateDiffers,
    /// An update whose new key values another row holds.
    UpdateExists,
    /// A delete whose row is not there.
    DeleteMissing,
    /// A delete whose row is not as its before image says.
    DeleteDiffers,
    /// Several rows hold the change's key values at once.
    MultipleUnique,
}

impl ConflictKind {
    /// The spelling in `sync.conflicts`.
    pub fn as_str(self) -> &'static str {
        match self {
            ConflictKind::InsertExists => "insert_exists",
            ConflictKind::UpdateMissing => "update_missing",
            ConflictKind::UpdateDiffers => "update_differs",
            ConflictKind::UpdateExists => "update_exists",
            ConflictKind::DeleteMissing => "delete_missing",
            ConflictKind::DeleteDiffers => "delete_differs",
            ConflictKind::MultipleUnique => "multiple_unique_conflicts",
        }
    }
}

/// What was found at the destination for one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// The row with the change's (old) row key.
    pub row: FoundRow,
    /// How many other rows hold the new row key or one of the new unique key values.
    pub others: usize,
}

/// The destination's row with the row key of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundRow {
    /// There is none.
    Missing,
    /// It is exactly as the before image says.
    AsBefore,
    /// It is exactly as the change wants it, and not as the before image says.
    AsAfter,
    /// It is there and is neither.
    Different,
}

/// What is in the way of a change; `None`: nothing is.
pub fn detect(change: ChangeKind, found: Found) -> Option<ConflictKind> {
    use ConflictKind as C;
    match (change, found.row, found.others) {
        // A row that comes into a filter may be there as it was before, outside of it.
        (ChangeKind::Insert, FoundRow::Missing | FoundRow::AsBefore, 0) => None,
        (ChangeKind::Insert, FoundRow::Missing, 1) => Some(C::InsertExists),
        (ChangeKind::Insert, _, 0) => Some(C::InsertExists),
        (ChangeKind::Insert, ..) => Some(C::MultipleUnique),
        (ChangeKind::Update, FoundRow::Missing, _) => Some(C::UpdateMissing),
        (ChangeKind::Update, FoundRow::AsBefore, 0) => None,
        (ChangeKind::Update, _, 0) => Some(C::UpdateDiffers),
        (ChangeKind::Update, _, 1) => Some(C::UpdateExists),
        (ChangeKind::Update, ..) => Some(C::MultipleUnique),
        (ChangeKind::Delete, FoundRow::Missing, _) => Some(C::DeleteMissing),
        (ChangeKind::Delete, FoundRow::AsBefore, _) => None,
        (ChangeKind::Delete, _, _) => Some(C::DeleteDiffers),
    }
}

/// What is done about a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// The task stops.
    Fail,
    /// The destination stays as it is.
    Skip,
    /// The row is written as the change wants it; other rows that hold its keys give way.
    Write,
    /// The row is removed.
    Remove,
    /// Nothing is left to do: both sides have made the same row.
    Same,
}

impl Resolution {
    /// The outcome in `sync.conflicts`.
    pub fn outcome(self, kind: ConflictKind) -> &'static str {
        match (self, kind) {
            (Resolution::Fail, _) => "failed",
            (Resolution::Skip, _) => "ignored",
            (Resolution::Write, ConflictKind::UpdateMissing) => "inserted",
            (Resolution::Write, _) => "overwritten",
            (Resolution::Remove, _) => "deleted",
            (Resolution::Same, _) => "same",
        }
    }
}

/// What `policy` makes of a conflict.
///
/// Under every policy an update whose row is missing becomes an insert, which may conflict itself; a delete whose row is
/// missing has nothing left to do; and neither has a change whose row is as it wants it, so that an operator mends a
/// conflict by making the rows agree.
pub fn resolve(policy: ConflictPolicy, kind: ConflictKind, found: Found) -> Resolution {
    match (kind, policy) {
        (ConflictKind::DeleteMissing, _) => Resolution::Skip,
        (ConflictKind::UpdateMissing, _) if found.others == 0 => Resolution::Write,
        _ if found.row == FoundRow::AsAfter && found.others == 0 => Resolution::Same,
        (_, ConflictPolicy::Fail) => Resolution::Fail,
        (_, ConflictPolicy::Ignore) => Resolution::Skip,
        (ConflictKind::DeleteDiffers, ConflictPolicy::Overwrite) => Resolution::Remove,
        (_, ConflictPolicy::Overwrite) => Resolution::Write,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: ChangeKind, row: FoundRow, others: usize, kind: Option<ConflictKind>, outcomes: [&str; 3]) {
        let found = Found { row, others };
        assert_eq!(detect(change, found), kind, "{change:?} {row:?} {others}");
        if let Some(kind) = kind {
            let policies = [ConflictPolicy::Fail, ConflictPolicy::Ignore, ConflictPolicy::Overwrite];
            assert_eq!(
                policies.map(|policy| resolve(policy, kind, found).outcome(kind)),
                outcomes,
                "{kind:?}"
            );
        }
    }

    #[test]
    fn each_conflict_has_its_kind_and_each_policy_its_outcome() {
        use ChangeKind::{Delete, Insert, Update};
        use ConflictKind as C;
        use FoundRow::{AsAfter, AsBefore, Different, Missing};
        let by_policy = ["failed", "ignored", "overwritten"];
        check(Insert, Missing, 0, None, [""; 3]);
        check(Insert, AsBefore, 0, None, [""; 3]);
        check(Insert, Different, 0, Some(C::InsertExists), by_policy);
        check(Insert, Missing, 1, Some(C::InsertExists), by_policy);
        check(Insert, Different, 1, Some(C::MultipleUnique), by_policy);
        check(Insert, AsAfter, 0, Some(C::InsertExists), ["same"; 3]);
        check(Insert, AsAfter, 1, Some(C::MultipleUnique), by_policy);
        check(Update, AsBefore, 0, None, [""; 3]);
        check(Update, Missing, 0, Some(C::UpdateMissing), ["inserted"; 3]);
        check(
            Update,
            Missing,
            1,
            Some(C::UpdateMissing),
            ["failed", "ignored", "inserted"],
        );
        check(Update, Different, 0, Some(C::UpdateDiffers), by_policy);
        check(Update, AsAfter, 0, Some(C::UpdateDiffers), ["same"; 3]);
        check(Update, AsBefore, 1, Some(C::UpdateExists), by_policy);
        check(Update, Different, 2, Some(C::MultipleUnique), by_policy);
        check(Delete, AsBefore, 0, None, [""; 3]);
        check(Delete, Missing, 0, Some(C::DeleteMissing), ["ignored"; 3]);
        check(
            Delete,
            Different,
            0,
            Some(C::DeleteDiffers),
            ["failed", "ignored", "deleted"],
        );
    }
}
