//! `object_case`: how names of databases and tables are written at the destination.

use crate::model::{name::TableName, task::ObjectCase};

/// What becomes of the case of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameCase {
    /// It is kept.
    #[default]
    Kept,
    /// Lower case.
    Lower,
    /// Upper case.
    Upper,
}

impl NameCase {
    /// The case at a destination with this `lower_case_table_names`. A server that has 1 there keeps all names in lower
    /// case; one that has 2 keeps them as they are given and compares them without regard to case.
    ///
    /// # Errors
    /// Why the destination can't keep names in that case.
    pub fn at(wanted: ObjectCase, lower_case_table_names: u8) -> Result<Self, String> {
        match (wanted, lower_case_table_names) {
            (ObjectCase::Upper, 1) => Err(
                "object_case = 'upper' can't be had: the destination has lower_case_table_names = 1, and keeps all names in \
                 lower case; choose 'lower' or 'destination' (ALTER SYNC TASK … SET (object_case = 'lower'))"
                    .to_owned(),
            ),
            (ObjectCase::Upper, _) => Ok(NameCase::Upper),
            (ObjectCase::Lower, _) | (_, 1) => Ok(NameCase::Lower),
            (ObjectCase::Source | ObjectCase::Destination, _) => Ok(NameCase::Kept),
        }
    }

    /// The case in which a server keeps what it is given in any.
    pub fn kept_by(lower_case_table_names: u8) -> Self {
        match lower_case_table_names {
            1 => NameCase::Lower,
            _ => NameCase::Kept,
        }
    }

    /// A name, or a pattern over names, in this case. Character by character, as the server does it: none becomes two.
    pub fn fold(self, name: &str) -> String {
        fn single(c: char, mut folded: impl Iterator<Item = char>) -> char {
            match (folded.next(), folded.next()) {
                (Some(one), None) => one,
                _ => c,
            }
        }
        match self {
            NameCase::Kept => name.to_owned(),
            NameCase::Lower => name.chars().map(|c| single(c, c.to_lowercase())).collect(),
            NameCase::Upper => name.chars().map(|c| single(c, c.to_uppercase())).collect(),
        }
    }

    /// A table's name in this case.
    pub fn fold_table(self, name: &TableName) -> TableName {
        TableName::new(self.fold(&name.database), self.fold(&name.table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_has_the_last_word() {
        let check = |wanted: &str, lower_case_table_names: u8, expected: Option<&str>| {
            let wanted = ObjectCase::ALL.into_iter().find(|(_, name)| *name == wanted).unwrap().0;
            let case = NameCase::at(wanted, lower_case_table_names);
            let found = case.as_ref().ok().map(|case| case.fold("My%Größe\\_İ"));
            assert_eq!(found.as_deref(), expected, "{wanted:?} {lower_case_table_names}");
        };
        for kept in [0, 2] {
            check("source", kept, Some("My%Größe\\_İ"));
            check("destination", kept, Some("My%Größe\\_İ"));
            check("lower", kept, Some("my%größe\\_İ"));
            check("upper", kept, Some("MY%GRÖßE\\_İ"));
        }
        check("source", 1, Some("my%größe\\_İ"));
        check("destination", 1, Some("my%größe\\_İ"));
        check("lower", 1, Some("my%größe\\_İ"));
        check("upper", 1, None);
    }
}
