//! Row filters: what becomes of a change whose row moves into or out of its table's filter. Pure.
//!
//! The condition itself is evaluated by the server that the rows come from ([`crate::sql::judge`]), so that it means
//! exactly what it means there.

use crate::{
    ddl::Condition,
    model::{change::Images, filter::FilterWay},
};

/// Reads the condition of a filter.
///
/// # Errors
/// Why a row alone does not decide it: a clause that goes on from "the condition …".
pub fn parse(text: &str) -> Result<Condition, String> {
    Condition::parse(text)
}

/// The change as it goes on; `None`: it does not. `before` and `after` say whether the image that stood before and the one
/// that stands after the change fulfil the condition; they are of no matter where there is no such image.
///
/// Along the filter the destination has just the rows that fulfil it. On the way back the destination is the server whose
/// rows the filter chooses from: it keeps a row that the other side has moved out of the filter, as it is now.
pub fn turn(images: Images, before: bool, after: bool, way: FilterWay) -> Option<Images> {
    match (images, before, after) {
        (Images::Insert(row), _, true) => Some(Images::Insert(row)),
        (Images::Delete(row), true, _) => Some(Images::Delete(row)),
        (Images::Insert(_), _, false) | (Images::Delete(_), false, _) => None,
        (Images::Update(old, new) | Images::Enter(old, new), false, true) => Some(Images::Enter(old, new)),
        (Images::Update(old, new), true, true) => Some(Images::Update(old, new)),
        (Images::Update(old, _), true, false) if way == FilterWay::Along => Some(Images::Delete(old)),
        (Images::Update(old, new), true, false) => Some(Images::Update(old, new)),
        (Images::Enter(old, new), true, _) => Some(Images::Enter(old, new)),
        (Images::Update(..) | Images::Enter(..), false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::model::{name::TableName, row::Row, table_map::TableMap};

    fn row() -> Row {
        Row {
            table: Arc::new(TableMap {
                table_id: 1,
                name: TableName::new("d", "t"),
                columns: vec![],
                primary_key: None,
            }),
            present: Bytes::new(),
            image: Bytes::new(),
        }
    }

    fn check(images: Images, before: bool, after: bool, expected: [&str; 2]) {
        let found = [FilterWay::Along, FilterWay::Back].map(|way| match turn(images.clone(), before, after, way) {
            None => "",
            Some(Images::Insert(_)) => "insert",
            Some(Images::Update(..)) => "update",
            Some(Images::Delete(_)) => "delete",
            Some(Images::Enter(..)) => "enter",
        });
        assert_eq!(found, expected, "{images:?} {before} {after}");
    }

    #[test]
    fn a_change_is_what_it_is_to_the_rows_that_fulfil_the_condition() {
        for other in [true, false] {
            check(Images::Insert(row()), other, true, ["insert"; 2]);
            check(Images::Insert(row()), other, false, [""; 2]);
            check(Images::Delete(row()), true, other, ["delete"; 2]);
            check(Images::Delete(row()), false, other, [""; 2]);
        }
        let update = || Images::Update(row(), row());
        check(update(), true, true, ["update"; 2]);
        check(update(), false, true, ["enter"; 2]);
        check(update(), true, false, ["delete", "update"]);
        check(update(), false, false, [""; 2]);
    }
}
