//! Statements by which a server judges row images by a condition: a session table with the columns that the condition
//! names, defined as they are in the rows, is filled, asked and emptied again.
//!
//! Nothing of the binlog's rows but these columns goes there; the table is seen by the session alone, is not logged, and
//! takes no GTID.

use std::collections::HashMap;

use crate::{
    binlog::BinlogError,
    model::{
        filter::{FilterColumn, RowFilter},
        row::Row,
        table::{Family, TableColumn},
        table_map::{BINARY_COLLATION, Column, ColumnKind},
        value::Value,
    },
};

use super::{ident, literal, set::LENIENT_HINT};

/// Character columns longer than this are made as TEXT or BLOB: of each, a table can have as many as there are. A
/// condition can't tell the difference.
const VARCHAR_MAX_BYTES: u16 = 4096;

/// A server's collations by number.
pub type Collations = HashMap<u16, Collation>;

/// A collation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collation {
    /// `utf8mb4_0900_ai_ci`.
    pub name: String,
    /// Its character set.
    pub charset: String,
    /// Bytes of its longest character.
    pub max_bytes: u16,
}

/// A column as a server has it now, which may be later than the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnNow {
    /// Its name.
    pub name: String,
    /// The whole type, as in [`TableColumn::column_type`].
    pub column_type: String,
    /// Character set and collation, of ENUM and SET too.
    pub collation: Option<(String, String)>,
}

/// A column of the rows as it is needed for a condition that calls it `name`. `now` tells what the binlog does not:
/// members of an ENUM or SET, ZEROFILL, digits of a FLOAT.
///
/// # Errors
/// What is not known of it.
pub fn column(
    name: &str,
    place: usize,
    column: &Column,
    now: Option<&ColumnNow>,
    collations: &Collations,
) -> Result<FilterColumn, &'static str> {
    let (column_type, family) = column_type(column, now, collations)?;
    let charset = match (&family, column.kind) {
        (Family::Text { charset, collation }, _) => Some((charset.as_str(), collation.as_str())),
        (_, ColumnKind::Enum { .. } | ColumnKind::Set { .. }) => match (column.collation, now) {
            (Some(number), _) => {
                let collation = collations.get(&number).ok_or(NO_COLLATION)?;
                Some((collation.charset.as_str(), collation.name.as_str()))
            }
            (
                None,
                Some(ColumnNow {
                    collation: Some((charset, collation)),
                    ..
                }),
            ) => Some((charset.as_str(), collation.as_str())),
            (None, _) => return Err(NO_COLLATION),
        },
        _ => None,
    };
    let charset = charset.map_or_else(String::new, |(charset, collation)| {
        format!(" CHARACTER SET {charset} COLLATE {collation}")
    });
    Ok(FilterColumn {
        place,
        definition: format!("{column_type}{charset} NULL"),
        column: TableColumn {
            name: name.to_owned(),
            family,
            column_type,
            nullable: true,
            generated: false,
            on_update: false,
            auto_increment: false,
            default: None,
        },
    })
}

const NO_COLLATION: &str = "the binlog does not say which collation it has";

fn column_type(
    column: &Column,
    now: Option<&ColumnNow>,
    collations: &Collations,
) -> Result<(String, Family), &'static str> {
    use ColumnKind as K;
    let now = now.map(|now| now.column_type.as_str());
    let sign = if column.unsigned { " unsigned" } else { "" };
    // The type as it is now, if that is the same one with more said of it.
    let number = |plain: &str| {
        let same = |now: &&str| {
            let base = now.split(['(', ' ']).next();
            base == Some(plain) && now.contains("unsigned") == column.unsigned
        };
        now.filter(same).map_or_else(|| format!("{plain}{sign}"), str::to_owned)
    };
    let fraction = |plain: &str, fsp: u8| format!("{plain}({fsp})");
    let textual = |bytes: String, text: String| match column.collation {
        Some(BINARY_COLLATION) => Ok((bytes, Family::Blob)),
        Some(number) => {
            let collation = collations.get(&number).ok_or(NO_COLLATION)?;
            let family = Family::Text {
                charset: collation.charset.clone(),
                collation: collation.name.clone(),
            };
            Ok((text, family))
        }
        None => Err(NO_COLLATION),
    };
    let characters = |max_bytes: u16| {
        let collation = column.collation.and_then(|number| collations.get(&number));
        max_bytes / collation.map_or(1, |collation| collation.max_bytes.max(1))
    };
    Ok(match column.kind {
        K::Tiny => (number("tinyint"), Family::Integer),
        K::Short => (number("smallint"), Family::Integer),
        K::Int24 => (number("mediumint"), Family::Integer),
        K::Long => (number("int"), Family::Integer),
        K::LongLong => (number("bigint"), Family::Integer),
        K::Float => (number("float"), Family::Float),
        K::Double => (number("double"), Family::Float),
        K::Decimal { precision, scale } => {
            let plain = format!("decimal({precision},{scale})");
            let same = |now: &&str| now.starts_with(&plain) && now.contains("unsigned") == column.unsigned;
            let column_type = now.filter(same).map_or_else(|| format!("{plain}{sign}"), str::to_owned);
            (column_type, Family::Decimal)
        }
        K::Bit { bits } => (format!("bit({bits})"), Family::Number),
        K::Year => ("year".to_owned(), Family::Number),
        K::Date => ("date".to_owned(), Family::Date),
        K::Time { fsp } => (fraction("time", fsp), Family::Time { fsp }),
        K::DateTime { fsp } => (fraction("datetime", fsp), Family::DateTime { fsp }),
        K::Timestamp { fsp } => (fraction("timestamp", fsp), Family::Timestamp { fsp }),
        K::Char { max_bytes } if column.collation == Some(BINARY_COLLATION) => (
            format!("binary({max_bytes})"),
            Family::Binary {
                length: usize::from(max_bytes),
            },
        ),
        K::Char { max_bytes } => textual(String::new(), format!("char({})", characters(max_bytes)))?,
        K::VarChar { max_bytes } if max_bytes > VARCHAR_MAX_BYTES => {
            textual("mediumblob".to_owned(), "mediumtext".to_owned())?
        }
        K::VarChar { max_bytes } => textual(
            format!("varbinary({max_bytes})"),
            format!("varchar({})", characters(max_bytes)),
        )?,
        K::Blob { length_bytes } => {
            let size = match length_bytes {
                1 => "tiny",
                2 => "",
                3 => "medium",
                _ => "long",
            };
            textual(format!("{size}blob"), format!("{size}text"))?
        }
        K::Enum { .. } => (members("enum", column, now)?, Family::Number),
        K::Set { .. } => (members("set", column, now)?, Family::Number),
        K::Json { .. } => ("json".to_owned(), Family::Json),
        K::Geometry { .. } => ("geometry".to_owned(), Family::Geometry),
        K::Vector { .. } => ("vector(16383)".to_owned(), Family::Vector),
    })
}

/// `enum(…)`. Members of the binlog stand in their own character set, so they are written as bytes.
fn members(plain: &str, column: &Column, now: Option<&str>) -> Result<String, &'static str> {
    let Some(members) = &column.members else {
        return now
            .filter(|now| now.split('(').next() == Some(plain))
            .map(str::to_owned)
            .ok_or("the binlog does not say which members it has");
    };
    let members = members.iter().map(|member| match member.is_empty() {
        true => "''".to_owned(),
        false => format!("0x{}", hex::encode(member)),
    });
    Ok(format!("{plain}({})", members.collect::<Vec<_>>().join(",")))
}

/// The statement that makes the table `name`.
pub fn create(name: &str, filter: &RowFilter) -> String {
    let columns = filter.columns.iter().map(|column| {
        let definition = &column.definition;
        format!(", {} {definition}", ident::quoted(&column.column.name))
    });
    format!(
        "CREATE TEMPORARY TABLE {name} ({} INT UNSIGNED NOT NULL PRIMARY KEY{}) ENGINE=InnoDB",
        number_column(filter),
        columns.collect::<String>()
    )
}

/// The column that numbers the rows, under a name that the condition does not have.
fn number_column(filter: &RowFilter) -> String {
    let mut name = "#".to_owned();
    while filter.columns.iter().any(|column| column.column.name == name) {
        name.push('#');
    }
    ident::quoted(&name)
}

/// The values of a row that a condition looks at: rows with the same text have the same verdict.
///
/// # Errors
/// If the image is malformed or incomplete.
pub fn values(filter: &RowFilter, row: &Row) -> Result<Vec<u8>, BinlogError> {
    let mut decoded = Vec::new();
    row.decode(&mut decoded)?;
    let mut out = Vec::new();
    for column in &filter.columns {
        let Some(value) = decoded.get(column.place).copied().flatten() else {
            return Err(BinlogError::incomplete_image(&filter.table));
        };
        out.push(b',');
        // An ENUM's error value is one only if the statement is not strict.
        if column.column.column_type.starts_with("enum") && value == Value::Enum(0) {
            out.extend_from_slice(ERROR_VALUE);
            continue;
        }
        literal::push(&mut out, &value, &column.column)
            .map_err(|error| BinlogError::value(&filter.table, &column.column.name, error))?;
    }
    Ok(out)
}

const ERROR_VALUE: &[u8] = b"0/*error value*/";

/// The statements, in one packet, that put rows with these [`values`] into the table, ask which of them fulfil the
/// condition (by their numbers, from 0), and empty it again. The second one has rows.
pub fn question(name: &str, filter: &RowFilter, rows: &[&[u8]]) -> Vec<u8> {
    let number = number_column(filter);
    let lenient = rows
        .iter()
        .any(|row| row.windows(ERROR_VALUE.len()).any(|part| part == ERROR_VALUE));
    let mut out = format!("INSERT{} INTO {name} VALUES ", if lenient { LENIENT_HINT } else { "" }).into_bytes();
    for (place, row) in rows.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        out.extend_from_slice(format!("({place}").as_bytes());
        out.extend_from_slice(row);
        out.push(b')');
    }
    // A condition may end with a comment that the end of the line ends.
    out.extend_from_slice(
        format!(
            ";SELECT {number} FROM {name} WHERE (\n{}\n);DELETE FROM {name}",
            filter.condition
        )
        .as_bytes(),
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        kind: ColumnKind,
        collation: Option<u16>,
        members: Option<&[&str]>,
        now: Option<&str>,
        expected: Result<&str, &str>,
    ) {
        let collations = [
            (8, "latin1_swedish_ci", "latin1", 1),
            (255, "utf8mb4_0900_ai_ci", "utf8mb4", 4),
        ];
        let collations = collations.map(|(number, name, charset, max_bytes)| {
            let collation = Collation {
                name: name.into(),
                charset: charset.into(),
                max_bytes,
            };
            (number, collation)
        });
        let unsigned = now.is_some_and(|now| now.contains("unsigned"));
        let described = Column {
            kind,
            nullable: true,
            unsigned,
            collation,
            name: None,
            members: members.map(|members| members.iter().map(|member| member.as_bytes().to_vec()).collect()),
        };
        let now = now.map(|column_type| ColumnNow {
            name: "c".into(),
            column_type: column_type.into(),
            collation: None,
        });
        let found = column("c", 0, &described, now.as_ref(), &collations.into());
        let found = found
            .as_ref()
            .map(|column| column.definition.as_str())
            .map_err(|error| *error);
        match (found, expected) {
            (Err(found), Err(expected)) => assert!(found.contains(expected), "{kind:?}: {found}"),
            (found, expected) => assert_eq!(found, expected, "{kind:?}"),
        }
    }

    #[test]
    fn a_column_is_defined_as_in_the_rows() {
        use ColumnKind as K;
        const UTF8: &str = "CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci NULL";
        check(K::Long, None, None, None, Ok("int NULL"));
        check(
            K::Long,
            None,
            None,
            Some("int(5) unsigned zerofill"),
            Ok("int(5) unsigned zerofill NULL"),
        );
        check(K::Long, None, None, Some("bigint unsigned"), Ok("int unsigned NULL"));
        check(K::Float, None, None, Some("float(7,2)"), Ok("float(7,2) NULL"));
        check(
            K::Decimal {
                precision: 10,
                scale: 2,
            },
            None,
            None,
            Some("decimal(12,2)"),
            Ok("decimal(10,2) NULL"),
        );
        check(K::Timestamp { fsp: 3 }, None, None, None, Ok("timestamp(3) NULL"));
        check(
            K::VarChar { max_bytes: 80 },
            Some(255),
            None,
            None,
            Ok(&format!("varchar(20) {UTF8}")),
        );
        check(
            K::Char { max_bytes: 8 },
            Some(8),
            None,
            None,
            Ok("char(8) CHARACTER SET latin1 COLLATE latin1_swedish_ci NULL"),
        );
        check(
            K::Char { max_bytes: 8 },
            Some(BINARY_COLLATION),
            None,
            None,
            Ok("binary(8) NULL"),
        );
        check(
            K::VarChar { max_bytes: 8000 },
            Some(255),
            None,
            None,
            Ok(&format!("mediumtext {UTF8}")),
        );
        check(
            K::Blob { length_bytes: 2 },
            Some(BINARY_COLLATION),
            None,
            None,
            Ok("blob NULL"),
        );
        check(
            K::Blob { length_bytes: 4 },
            Some(255),
            None,
            None,
            Ok(&format!("longtext {UTF8}")),
        );
        check(
            K::Enum { bytes: 1 },
            Some(255),
            Some(&["a", ""]),
            None,
            Ok(&format!("enum(0x61,'') {UTF8}")),
        );
        check(
            K::Enum { bytes: 1 },
            Some(255),
            None,
            Some("enum('x')"),
            Ok(&format!("enum('x') {UTF8}")),
        );
        check(K::Set { bytes: 1 }, Some(255), None, Some("enum('x')"), Err("members"));
        check(K::Enum { bytes: 1 }, None, Some(&["a"]), None, Err("collation"));
        check(K::VarChar { max_bytes: 80 }, None, None, None, Err("collation"));
        check(K::VarChar { max_bytes: 80 }, Some(999), None, None, Err("collation"));
    }

    #[test]
    fn a_question_numbers_its_rows_and_empties_the_table_again() {
        let column = |name: &str| TableColumn {
            name: name.into(),
            family: Family::Integer,
            column_type: "int".into(),
            nullable: true,
            generated: false,
            on_update: false,
            auto_increment: false,
            default: None,
        };
        let filter = RowFilter {
            table: crate::model::name::TableName::new("d", "t"),
            condition: "`#` > 1 -- x".into(),
            columns: vec![FilterColumn {
                place: 0,
                column: column("#"),
                definition: "int NULL".into(),
            }],
            way: crate::model::filter::FilterWay::Along,
        };
        assert_eq!(
            create("x.y", &filter),
            "CREATE TEMPORARY TABLE x.y (`##` INT UNSIGNED NOT NULL PRIMARY KEY, `#` int NULL) ENGINE=InnoDB"
        );
        let text = question("x.y", &filter, &[b",1", b",NULL"]);
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "INSERT INTO x.y VALUES (0,1),(1,NULL);SELECT `##` FROM x.y WHERE (\n`#` > 1 -- x\n);DELETE FROM x.y"
        );
    }
}
