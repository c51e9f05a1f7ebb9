//! How a statement finds its rows in the table: by the row key, and only where the before image holds.

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
    bound::{bound_columns, is_retyped, push_list, push_literal},
    ident, literal,
    ranges::{self, Range},
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

/// What a row was, and what it becomes: nothing, if it goes.
pub(super) type Images<'a> = (&'a [Value<'a>], &'a [Value<'a>]);

/// What finds a statement's rows in the table.
enum By {
    /// A list of them, which drives the join by the row key's index: left to itself the optimizer may scan a table whose
    /// statistics say that it is empty, and lock all of it.
    List,
    /// The ranges that their row keys make up; the list is looked up for each. The server changes a row as it comes to it, and
    /// keeps no list of those it is to change.
    Ranges(Vec<Range>),
    /// The row key. There is but one, which needs no list: for the server that is half the work.
    Key,
}

/// How the rows of one statement are found, and how their before images are compared.
pub(super) struct Guards<'a> {
    target: &'a Target,
    rows: Vec<Images<'a>>,
    by: By,
    /// What the destination's table is called in the statement.
    pub(super) name: String,
    /// What the `VALUES` list is called.
    list: &'static str,
    /// Per place in `target.columns`: compared by digest.
    digests: Vec<bool>,
    /// Per place in `target.columns`: compared as text, under the collation for which only the same bytes are equal. The
    /// server then need not make a copy of each value.
    texts: Vec<bool>,
    /// The places whose before image the list has.
    listed: Vec<usize>,
    /// Those of them that have to be what the before image says. (Integers of the row key have found the row, and exactly.)
    guarded: Vec<usize>,
}

impl<'a> Guards<'a> {
    /// By all that the before images say.
    pub(super) fn full(target: &'a Target, rows: Vec<Images<'a>>) -> Self {
        let mut digests = vec![false; target.columns.len()];
        // A list of NULLs alone has no character set.
        let mut texts = vec![false; target.columns.len()];
        for (before, _) in &rows {
            for (value, (digest, text)) in before.iter().zip(digests.iter_mut().zip(&mut texts)) {
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
        // The key finds the row, so it is never a digest. Nor is it compared as text: the server may put the value that a
        // single row's key equals in place of the column, and under a collation that pads, that is not the column's.
        for &place in &target.key {
            for flags in [&mut digests, &mut texts] {
                flags.get_mut(place).into_iter().for_each(|flag| *flag = false);
            }
        }
        let in_key = |place: usize| target.key.contains(&place);
        let mut listed = Vec::new();
        let mut guarded = Vec::new();
        for (place, column) in bound_columns(target).enumerate() {
            // A generated column follows from the others, but the key has to be there to find the row. A value that is
            // converted may not come out as ALTER TABLE has converted the row's.
            if in_key(place) || !(column.generated || is_retyped(target, column)) {
                listed.push(place);
                if !(in_key(place) && column.family == Family::Integer) {
                    guarded.push(place);
                }
            }
        }
        Self {
            digests,
            texts,
            listed,
            guarded,
            ..Self::key_only(target, rows)
        }
    }

    /// By the row key alone.
    pub(super) fn key_only(target: &'a Target, rows: Vec<Images<'a>>) -> Self {
        let by = match rows.len() {
            1 => By::Key,
            _ => match ranges::of_keys(target, rows.iter().map(|(before, _)| *before)) {
                ranges if ranges.is_empty() => By::List,
                ranges => By::Ranges(ranges),
            },
        };
        Self {
            target,
            rows,
            by,
            name: ident::quoted_table(&target.table.name),
            list: list_name(target),
            digests: vec![false; target.columns.len()],
            texts: vec![false; target.columns.len()],
            listed: target.key.clone(),
            guarded: vec![],
        }
    }

    fn column(&self, place: usize) -> Option<&'a TableColumn> {
        let binding = self.target.columns.get(place)?;
        self.target.table.columns.get(binding.destination)
    }

    fn by_digest(&self, place: usize) -> bool {
        self.digests.get(place).copied().unwrap_or(false)
    }

    fn as_text(&self, place: usize) -> bool {
        !self.by_digest(place) && self.texts.get(place).copied().unwrap_or(false)
    }

    /// The row that needs no list.
    fn only(&self) -> Option<&Images<'a>> {
        self.rows.first().filter(|_| matches!(self.by, By::Key))
    }

    /// Appends the table, joined with the list if there is one: `(VALUES …) AS v(…) STRAIGHT_JOIN t ON key`. For the places in
    /// `changed` the list says what they become.
    pub(super) fn push_tables(&self, out: &mut Vec<u8>, changed: &[usize]) -> Result<(), BinlogError> {
        match self.by {
            By::Key => {
                self.push_table(out);
                return Ok(());
            }
            By::List => {
                self.push_list(out, changed)?;
                out.extend_from_slice(b" STRAIGHT_JOIN ");
                self.push_table(out);
            }
            By::Ranges(_) => {
                self.push_table(out);
                out.extend_from_slice(b" STRAIGHT_JOIN ");
                self.push_list(out, changed)?;
            }
        }
        out.extend_from_slice(b" ON ");
        self.push_keys(out)
    }

    fn push_table(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.name.as_bytes());
        if let Some(key) = self.target.table.row_key() {
            out.extend_from_slice(b" FORCE INDEX (");
            ident::push(out, &key.name);
            out.push(b')');
        }
    }

    fn push_list(&self, out: &mut Vec<u8>, changed: &[usize]) -> Result<(), BinlogError> {
        out.extend_from_slice(b"(VALUES ");
        for (number, (before, after)) in self.rows.iter().enumerate() {
            out.extend_from_slice(if number == 0 { b"ROW(" } else { b",ROW(" });
            for (number, &place) in self.listed.iter().enumerate() {
                if number > 0 {
                    out.push(b',');
                }
                self.push_before(out, before, place)?;
            }
            for &place in changed {
                out.push(b',');
                self.push_after(out, after, place)?;
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

    fn push_before(&self, out: &mut Vec<u8>, before: &[Value<'_>], place: usize) -> Result<(), BinlogError> {
        match (before.get(place), self.column(place)) {
            (Some(Value::Bytes(bytes)), Some(_)) if self.as_text(place) => literal::push_utf8(out, bytes),
            (Some(value), Some(column)) => {
                push_before_value(out, self.target, value, column, self.by_digest(place))?;
            }
            _ => {}
        }
        Ok(())
    }

    fn push_after(&self, out: &mut Vec<u8>, after: &[Value<'_>], place: usize) -> Result<(), BinlogError> {
        match (after.get(place), self.column(place)) {
            (Some(value), Some(column)) => push_literal(out, self.target, value, column),
            _ => Ok(()),
        }
    }

    /// What the column was: the list's, or the only row's.
    fn push_old(&self, out: &mut Vec<u8>, place: usize) -> Result<(), BinlogError> {
        match self.only() {
            Some((before, _)) => self.push_before(out, before, place),
            None => {
                out.extend_from_slice(format!("{}.o{place}", self.list).as_bytes());
                Ok(())
            }
        }
    }

    /// Appends what the column becomes.
    pub(super) fn push_new(&self, out: &mut Vec<u8>, place: usize) -> Result<(), BinlogError> {
        if let Some((_, after)) = self.only() {
            return self.push_after(out, after, place);
        }
        // Numbers above and below 2^63 make a DECIMAL of the list's column, and stored into a SET or BIT as such the highest
        // bit is lost.
        let is_number = |column: &TableColumn| column.family == Family::Number && !is_retyped(self.target, column);
        let new = match self.column(place).is_some_and(is_number) {
            true => format!("CAST({}.n{place} AS UNSIGNED)", self.list),
            false => format!("{}.n{place}", self.list),
        };
        out.extend_from_slice(new.as_bytes());
        Ok(())
    }

    fn push_keys(&self, out: &mut Vec<u8>) -> Result<(), BinlogError> {
        for (number, &place) in self.target.key.iter().enumerate() {
            let Some(column) = self.column(place) else { continue };
            if number > 0 {
                out.extend_from_slice(b" AND ");
            }
            self.push_column(out, place);
            out.push(b'=');
            let mut old = Vec::new();
            self.push_old(&mut old, place)?;
            push_key_side(out, column, |out| out.extend_from_slice(&old));
        }
        Ok(())
    }

    /// Appends what holds of the rows that are meant: where they are in the table, and that nothing differs from the before
    /// image.
    pub(super) fn push_condition(&self, out: &mut Vec<u8>) -> Result<(), BinlogError> {
        match &self.by {
            By::List => out.extend_from_slice(b"TRUE"),
            By::Ranges(ranges) => self.push_ranges(out, ranges),
            By::Key => self.push_keys(out)?,
        }
        for &place in &self.guarded {
            let Some(column) = self.column(place) else { continue };
            out.extend_from_slice(b" AND ");
            if self.as_text(place) {
                self.push_column(out, place);
                out.extend_from_slice(b"<=>");
                self.push_old(out, place)?;
                out.extend_from_slice(b" COLLATE utf8mb4_0900_bin");
            } else {
                push_table_side(out, &self.name, column, self.by_digest(place));
                out.extend_from_slice(b"<=>");
                self.push_old(out, place)?;
            }
        }
        Ok(())
    }

    /// The ranges of a key of one column.
    fn push_ranges(&self, out: &mut Vec<u8>, ranges: &[Range]) {
        let Some(&key) = self.target.key.first() else { return };
        for (number, (first, last)) in ranges.iter().enumerate() {
            out.extend_from_slice(if number == 0 { b"(" } else { b" OR " });
            self.push_column(out, key);
            out.extend_from_slice(format!(" BETWEEN {first} AND {last}").as_bytes());
        }
        out.push(b')');
    }

    /// Appends the table's column.
    pub(super) fn push_column(&self, out: &mut Vec<u8>, place: usize) {
        if let Some(column) = self.column(place) {
            out.extend_from_slice(self.name.as_bytes());
            out.push(b'.');
            ident::push(out, &column.name);
        }
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
