//! How a list of rows finds those of a table: by the row key, and only where the before image holds.

use sha2::{Digest, Sha256};

use crate::{
    binlog::BinlogError,
    model::{
        change::Target,
        table::{Family, TableColumn},
        value::Value,
    },
};

use super::{
    ident, literal,
    ranges::{self, Range},
    set::{bound_columns, is_retyped, push_list, push_literal},
};

/// Character values longer than this are compared by their SHA-256, so that a statement does not carry them twice.
const GUARD_BY_DIGEST_FROM_BYTES: usize = 512;

/// A name for the `VALUES` list: a column reference `v.o0` may not mean two tables, and the database in front of the
/// destination's name does not help.
pub(super) fn list_name(target: &Target) -> &'static str {
    if target.table.name.table.eq_ignore_ascii_case("v") {
        "w"
    } else {
        "v"
    }
}

/// How the before images of one statement are compared.
pub(super) struct Guards<'a> {
    target: &'a Target,
    /// What the destination's table is called in the statement.
    pub(super) name: String,
    /// What the `VALUES` list is called.
    pub(super) list: &'static str,
    /// The ranges that the row keys make up, if the table is gone through by them.
    ranges: Vec<Range>,
    /// Per place in `target.columns`: compared by digest.
    digests: Vec<bool>,
    /// Per place in `target.columns`: compared as text, under the collation for which only the same bytes are equal. The
    /// server then need not make a copy of each value.
    texts: Vec<bool>,
    /// The places whose before image the list has.
    listed: Vec<usize>,
    /// Those of them that have to be what the before image says. (The join compares integers of the row key, and exactly.)
    guarded: Vec<usize>,
}

impl<'a> Guards<'a> {
    /// By the values of the before images.
    pub(super) fn choose<'v>(target: &'a Target, befores: impl Iterator<Item = &'v [Value<'v>]> + Clone) -> Self {
        let ranges = ranges::of_keys(target, befores.clone());
        let mut digests = vec![false; target.columns.len()];
        // A list of NULLs alone has no character set.
        let mut texts = vec![false; target.columns.len()];
        for values in befores {
            for (value, (digest, text)) in values.iter().zip(digests.iter_mut().zip(&mut texts)) {
                if let Value::Bytes(bytes) | Value::Geometry(bytes) | Value::Vector(bytes) = value {
                    *digest |= bytes.len() > GUARD_BY_DIGEST_FROM_BYTES;
                    *text = true;
                }
            }
        }
        for (column, text) in bound_columns(target).zip(&mut texts) {
            let is_utf8 = matches!(&column.family, Family::Text { charset, .. } if charset == "utf8mb4");
            *text &= is_utf8 && !is_retyped(target, column);
        }
        // The key finds the row, so it is never a digest.
        for &place in &target.key {
            if let Some(digest) = digests.get_mut(place) {
                *digest = false;
            }
        }
        let columns = || bound_columns(target).enumerate();
        let in_key = |place: &usize| target.key.contains(place);
        // A generated column follows from the others, but the key has to be there for the join. A value that is converted
        // may not come out as ALTER TABLE has converted the row's.
        let listed = columns()
            .filter(|(place, column)| in_key(place) || !(column.generated || is_retyped(target, column)))
            .map(|(place, _)| place)
            .collect::<Vec<_>>();
        let joined = columns().filter(|(place, column)| in_key(place) && column.family == Family::Integer);
        let joined = joined.map(|(place, _)| place).collect::<Vec<_>>();
        let guarded = listed.iter().copied().filter(|place| !joined.contains(place));
        Self {
            guarded: guarded.collect(),
            listed,
            digests,
            texts,
            ..Self::by_key(target, ranges)
        }
    }

    /// By the row key alone.
    pub(super) fn key_only<'v>(target: &'a Target, rows: impl Iterator<Item = &'v [Value<'v>]>) -> Self {
        Self::by_key(target, ranges::of_keys(target, rows))
    }

    fn by_key(target: &'a Target, ranges: Vec<Range>) -> Self {
        Self {
            target,
            name: ident::quoted_table(&target.table.name),
            list: list_name(target),
            ranges,
            digests: vec![false; target.columns.len()],
            texts: vec![false; target.columns.len()],
            listed: target.key.clone(),
            guarded: vec![],
        }
    }

    pub(super) fn column(&self, place: usize) -> Option<&'a TableColumn> {
        self.target
            .columns
            .get(place)
            .and_then(|binding| self.target.table.columns.get(binding.destination))
    }

    fn by_digest(&self, place: usize) -> bool {
        self.digests.get(place).copied().unwrap_or(false)
    }

    fn push_before(&self, out: &mut Vec<u8>, values: &[Value<'_>]) -> Result<(), BinlogError> {
        for (number, &place) in self.listed.iter().enumerate() {
            if number > 0 {
                out.push(b',');
            }
            let (Some(value), Some(column)) = (values.get(place), self.column(place)) else {
                continue;
            };
            match value {
                Value::Bytes(bytes) if self.as_text(place) => literal::push_utf8(out, bytes),
                value => push_before_value(out, self.target, value, column, self.by_digest(place))?,
            }
        }
        Ok(())
    }

    fn as_text(&self, place: usize) -> bool {
        !self.by_digest(place) && self.texts.get(place).copied().unwrap_or(false)
    }

    /// Appends `(VALUES …) AS v(…) STRAIGHT_JOIN t ON key`, of rows with what they were and, for the places in `changed`, what
    /// they become.
    ///
    /// The list drives the join, by the row key's index: left to itself the optimizer may scan a table whose
    /// statistics say that it is empty, and lock all of it. Where the row keys make up ranges the table does, as it is gone
    /// through by them ([`Guards::push_condition`]): the server then changes each row as it comes to it, and keeps no list of
    /// those it is to change.
    pub(super) fn push_join<'v>(
        &self,
        out: &mut Vec<u8>,
        rows: impl Iterator<Item = (&'v [Value<'v>], &'v [Value<'v>])>,
        changed: &[usize],
    ) -> Result<(), BinlogError> {
        if self.ranges.is_empty() {
            self.push_rows(out, rows, changed)?;
            out.extend_from_slice(b" STRAIGHT_JOIN ");
            self.push_table(out);
        } else {
            self.push_table(out);
            out.extend_from_slice(b" STRAIGHT_JOIN ");
            self.push_rows(out, rows, changed)?;
        }
        out.extend_from_slice(b" ON ");
        for (number, &place) in self.target.key.iter().enumerate() {
            if number > 0 {
                out.extend_from_slice(b" AND ");
            }
            if let Some(column) = self.column(place) {
                out.extend_from_slice(self.name.as_bytes());
                out.push(b'.');
                ident::push(out, &column.name);
                out.push(b'=');
                push_key_side(out, column, |out| {
                    out.extend_from_slice(format!("{}.o{place}", self.list).as_bytes())
                });
            }
        }
        Ok(())
    }

    fn push_rows<'v>(
        &self,
        out: &mut Vec<u8>,
        rows: impl Iterator<Item = (&'v [Value<'v>], &'v [Value<'v>])>,
        changed: &[usize],
    ) -> Result<(), BinlogError> {
        out.extend_from_slice(b"(VALUES ");
        for (number, (before, after)) in rows.enumerate() {
            out.extend_from_slice(if number == 0 { b"ROW(" } else { b",ROW(" });
            self.push_before(out, before)?;
            for &place in changed {
                if let (Some(value), Some(column)) = (after.get(place), self.column(place)) {
                    out.push(b',');
                    push_literal(out, self.target, value, column)?;
                }
            }
            out.push(b')');
        }
        out.extend_from_slice(format!(") AS {}(", self.list).as_bytes());
        let old = self.listed.iter().map(|place| ('o', place));
        let new = changed.iter().map(|place| ('n', place));
        push_list(out, old.chain(new), |out, (kind, place)| {
            out.extend_from_slice(format!("{kind}{place}").as_bytes())
        });
        out.push(b')');
        Ok(())
    }

    fn push_table(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.name.as_bytes());
        if let Some(key) = self.target.table.row_key() {
            out.extend_from_slice(b" FORCE INDEX (");
            ident::push(out, &key.name);
            out.push(b')');
        }
    }

    /// Appends what holds of the rows that are meant: the ranges of their keys, and that nothing differs from the before image.
    pub(super) fn push_condition(&self, out: &mut Vec<u8>) {
        self.push_ranges(out);
        for &place in &self.guarded {
            let Some(column) = self.column(place) else { continue };
            out.extend_from_slice(b" AND ");
            if self.as_text(place) {
                out.extend_from_slice(format!("{}.", self.name).as_bytes());
                ident::push(out, &column.name);
                out.extend_from_slice(format!("<=>{}.o{place} COLLATE utf8mb4_0900_bin", self.list).as_bytes());
            } else {
                push_table_side(out, &self.name, column, self.by_digest(place));
                out.extend_from_slice(format!("<=>{}.o{place}", self.list).as_bytes());
            }
        }
    }

    fn push_ranges(&self, out: &mut Vec<u8>) {
        let key = self.target.key.first().and_then(|place| self.column(*place));
        let Some(key) = key.filter(|_| !self.ranges.is_empty()) else {
            out.extend_from_slice(b"TRUE");
            return;
        };
        for (number, (first, last)) in self.ranges.iter().enumerate() {
            out.extend_from_slice(if number == 0 { b"(" } else { b" OR " });
            out.extend_from_slice(self.name.as_bytes());
            out.push(b'.');
            ident::push(out, &key.name);
            out.extend_from_slice(format!(" BETWEEN {first} AND {last}").as_bytes());
        }
        out.push(b')');
    }
}

/// A before image's value as it is compared with [`push_table_side`].
pub(crate) fn push_before_value(
    out: &mut Vec<u8>,
    target: &Target,
    value: &Value<'_>,
    column: &TableColumn,
    digest: bool,
) -> Result<(), BinlogError> {
    match value {
        Value::Bytes(bytes) | Value::Geometry(bytes) | Value::Vector(bytes) if digest => {
            let mut hasher = Sha256::new();
            hasher.update(bytes);
            if let Family::Binary { length } = column.family {
                hasher.update(vec![0; length.saturating_sub(bytes.len())]);
            }
            out.push(b'\'');
            out.extend_from_slice(hex::encode(hasher.finalize()).as_bytes());
            out.push(b'\'');
            Ok(())
        }
        value => push_literal(out, target, value, column),
    }
}

/// A destination column in a guard, as an expression for which `<=>` is true exactly if nothing differs: MySQL's own
/// `=` takes collations, padding and string-to-date conversions into account.
pub(crate) fn push_table_side(out: &mut Vec<u8>, table: &str, column: &TableColumn, digest: bool) {
    let cast = match column.family {
        Family::Integer | Family::Decimal | Family::Float | Family::Json => None,
        Family::Binary { .. } | Family::Blob => None,
        Family::Number => Some("UNSIGNED"),
        Family::Text { .. }
        | Family::Geometry
        | Family::Vector
        | Family::Date
        | Family::Time { .. }
        | Family::DateTime { .. }
        | Family::Timestamp { .. } => Some("BINARY"),
    };
    if digest {
        out.extend_from_slice(b"SHA2(");
    }
    match cast {
        Some(to) => {
            out.extend_from_slice(format!("CAST({table}.").as_bytes());
            ident::push(out, &column.name);
            out.extend_from_slice(format!(" AS {to})").as_bytes());
        }
        None => {
            out.extend_from_slice(format!("{table}.").as_bytes());
            ident::push(out, &column.name);
        }
    }
    if digest {
        out.extend_from_slice(b",256)");
    }
}

/// The right side of `t.key = …`, typed like the column so that its index can be used.
pub(crate) fn push_key_side(out: &mut Vec<u8>, column: &TableColumn, value: impl FnOnce(&mut Vec<u8>)) {
    let (before, after) = match &column.family {
        Family::Text { charset, collation } => {
            ("CONVERT(".to_owned(), format!(" USING {charset}) COLLATE {collation}"))
        }
        Family::Date => ("CAST(".to_owned(), " AS DATE)".to_owned()),
        Family::Time { .. } => ("CAST(".to_owned(), " AS TIME(6))".to_owned()),
        Family::DateTime { .. } | Family::Timestamp { .. } => ("CAST(".to_owned(), " AS DATETIME(6))".to_owned()),
        Family::Integer
        | Family::Decimal
        | Family::Float
        | Family::Number
        | Family::Binary { .. }
        | Family::Blob
        | Family::Geometry
        | Family::Vector
        | Family::Json => (String::new(), String::new()),
    };
    out.extend_from_slice(before.as_bytes());
    value(out);
    out.extend_from_slice(after.as_bytes());
}
