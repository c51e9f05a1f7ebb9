//! The query or program inside a statement: which words in it are names, and the same words at the destination.
//!
//! It is not parsed. Every chain of names (`a`, `a.b`, `a.b.c`) is taken down, and only what can't mean anything else is
//! replaced:
//!
//! - `a.b.c` and `a.b.*` begin with a database. `a.b` does, unless `a` also stands where a table, a view or an alias
//!   could be named (alone, or behind a dot), since it may then be a column of that.
//! - A name alone is looked up in the object's own database (for a view: the default one), whose counterpart takes its
//!   place. So it need not change, unless a table of that name has another name or database at the destination.
//!
//! What would change and is not certain is refused. So is the name of a table, where only a table can stand, that is
//! looked up in a database with another name at the destination and is not carried there.

use std::collections::BTreeSet;
use std::ops::Range;

use super::cursor::Cursor;
use super::rewrite::{Mapping, RewriteError};
use super::statement::Role;
use crate::model::name::TableName;

/// A query or a program inside a statement (of a view, routine, trigger or event).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The database in which the server looks up the body's unqualified names.
    pub home: Option<String>,
    /// Whether that is the default database while the statement runs (views), and not the object's own. The
    /// destination must then run the statement with the counterpart of `home` as its default database.
    pub needs_default_database: bool,
    /// Where it stands.
    pub(super) span: Range<usize>,
    chains: Vec<Chain>,
    /// Words in texts, if texts may be run as statements or are programs of another language.
    hidden: BTreeSet<String>,
}

/// `a`, `a.b` or `a.b.c`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Chain {
    parts: Vec<(String, Range<usize>)>,
    /// `.*` follows.
    star: bool,
    /// `(` follows, and INTO does not precede: may be a function or procedure.
    call: bool,
    /// It stands where a table or a view is named.
    table: bool,
}

/// Follows the words of a query to where tables are named: behind FROM, JOIN, UPDATE, INSERT and REPLACE, and behind the
/// commas of such a list.
#[derive(Debug, Default)]
struct TablePlaces {
    /// The next name is a table's.
    next: bool,
    /// A comma leads to another table; and that of the parentheses around.
    in_list: bool,
    around: Vec<bool>,
}

impl TablePlaces {
    /// Looks at what comes next and is no name. `last`: the word before it.
    fn pass(&mut self, cursor: &Cursor<'_>, last: Option<&str>) {
        // INSERT … ON DUPLICATE KEY UPDATE, SELECT … FOR UPDATE
        let is_clause =
            last.is_some_and(|last| ["KEY", "FOR", "ON"].iter().any(|word| word.eq_ignore_ascii_case(last)));
        if cursor.is_any(&["FROM", "JOIN", "STRAIGHT_JOIN"]) || cursor.is_word("UPDATE") && !is_clause {
            (self.next, self.in_list) = (true, true);
        } else if cursor.is_any(&["INSERT", "REPLACE"]) {
            self.next = true;
        } else if cursor.is_symbol(b',') {
            self.next = self.in_list;
        } else if cursor.is_symbol(b'(') {
            self.around.push(self.in_list);
            // FROM (t, u), REPLACE(text, …)
            self.next &= self.in_list;
            self.in_list = self.next;
        } else if cursor.is_symbol(b')') {
            self.next = false;
            self.in_list = self.around.pop().unwrap_or_default();
        } else if !cursor.is_word("INTO") {
            self.next = false;
            self.in_list &= cursor.is_any(&["AS", "ON", "AND", "OR", "NOT", "INNER", "CROSS", "LEFT", "RIGHT"]);
        }
    }

    /// Whether the word that comes next only says how tables are written to or read.
    fn is_modifier(&self, cursor: &Cursor<'_>) -> bool {
        self.next && cursor.is_any(&["LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "IGNORE", "LATERAL"])
    }
}

/// Words that stand in most queries and programs and have been reserved in every version: bare, they name nothing.
const RESERVED: [&str; 46] = [
    "AND",
    "AS",
    "ASC",
    "BEFORE",
    "BETWEEN",
    "BY",
    "CALL",
    "CASE",
    "CROSS",
    "DECLARE",
    "DELETE",
    "DESC",
    "DISTINCT",
    "EACH",
    "ELSE",
    "EXISTS",
    "FOR",
    "FROM",
    "GROUP",
    "HAVING",
    "IF",
    "IN",
    "INNER",
    "INSERT",
    "INTO",
    "IS",
    "JOIN",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NOT",
    "NULL",
    "ON",
    "OR",
    "ORDER",
    "REPLACE",
    "RIGHT",
    "SELECT",
    "SET",
    "STRAIGHT_JOIN",
    "THEN",
    "UNION",
    "UPDATE",
    "VALUES",
    "WHEN",
    "WHERE",
];

/// Consumes the rest of the statement, which is the body.
pub(super) fn read(cursor: &mut Cursor<'_>, home: Option<&str>, needs_default_database: bool) -> Body {
    let start = cursor.position();
    let mut body = Body {
        home: home.map(str::to_owned),
        needs_default_database,
        span: start..start,
        chains: Vec::new(),
        hidden: BTreeSet::new(),
    };
    let (mut texts, mut runs_texts, mut into) = (BTreeSet::new(), false, false);
    let (mut places, mut last) = (TablePlaces::default(), None);
    while !cursor.is_end() {
        runs_texts |= cursor.is_any(&["PREPARE", "JAVASCRIPT"]);
        let word = cursor.word();
        if cursor.is_text() {
            let text = cursor.take().map_or("", |(_, text)| text);
            let words = text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '$');
            texts.extend(words.filter(|word| !word.is_empty()).map(str::to_owned));
            body.span.end = cursor.end_of_last();
            continue;
        }
        if !cursor.is_identifier() || RESERVED.iter().any(|word| cursor.is_word(word)) {
            into = cursor.is_word("INTO");
            places.pass(cursor, last);
            last = word;
            if !cursor.accept_symbol(b';') {
                cursor.skip();
                // A final `;` is no part of it.
                body.span.end = cursor.end_of_last();
            }
            continue;
        }
        last = word;
        if places.is_modifier(cursor) {
            cursor.skip();
            continue;
        }
        let mut chain = Chain {
            parts: Vec::new(),
            star: false,
            call: false,
            table: std::mem::take(&mut places.next),
        };
        while let Ok(part) = cursor.identifier() {
            chain.parts.push(part);
            if !cursor.accept_symbol(b'.') {
                break;
            }
            chain.star = cursor.is_symbol(b'*');
        }
        chain.call = cursor.is_symbol(b'(') && !into;
        into = false;
        body.chains.push(chain);
        body.span.end = cursor.end_of_last();
    }
    if runs_texts {
        body.hidden = texts;
    }
    body
}

impl Body {
    /// Every table or view that it may speak of.
    pub fn mentions(&self) -> impl Iterator<Item = TableName> {
        let home = self.home.as_deref();
        self.chains.iter().flat_map(move |chain| {
            let names: Vec<&str> = chain.parts.iter().map(|(name, _)| name.as_str()).collect();
            let alone = home.zip(names.first().copied());
            let qualified = names.first().copied().zip(names.get(1).copied());
            [alone, qualified]
                .into_iter()
                .flatten()
                .map(|(database, table)| TableName::new(database, table))
                .collect::<Vec<_>>()
        })
    }

    /// What has to be replaced so that every name in it means the counterpart of what it means here.
    pub(super) fn edits(&self, mapping: &Mapping<'_>) -> Result<Vec<(Range<usize>, String)>, RewriteError> {
        let map = mapping.names;
        if let Some(table) = self.mentions().find(|name| (mapping.columns)(name).is_listed()) {
            return Err(RewriteError::BodyColumns { table });
        }
        let database_of = |name: &str| map(Role::Database, &TableName::new(name, "")).map(|mapped| mapped.database);
        if let Some(name) = self
            .hidden
            .iter()
            .find(|word| database_of(word).is_some_and(|to| to != **word))
        {
            return Err(RewriteError::BodyText { name: name.clone() });
        }
        let mapped_home = self
            .home
            .as_ref()
            .map(|home| database_of(home).unwrap_or_else(|| home.clone()));
        let mut edits = Vec::new();
        for chain in &self.chains {
            match chain.parts.as_slice() {
                [(word, _)] => {
                    let (Some(home), Some(mapped_home)) = (&self.home, &mapped_home) else {
                        continue;
                    };
                    let name = TableName::new(home, word);
                    let means_another = match map(Role::BodyMention, &name) {
                        // Most words are no tables, so one whose case would change is left as it is.
                        Some(mapped) => mapped.database != *mapped_home || !mapped.table.eq_ignore_ascii_case(word),
                        None => chain.table && mapped_home != home,
                    };
                    if means_another {
                        return Err(RewriteError::Body { name });
                    }
                }
                [(database, first), (table, second), ..] => {
                    let name = TableName::new(database, table);
                    let mapped = map(Role::BodyMention, &name);
                    let to_database = database_of(database);
                    let renamed = to_database.as_ref().is_some_and(|to| to != database);
                    if mapped.as_ref().is_none_or(|mapped| *mapped == name) && !renamed {
                        continue;
                    }
                    if chain.parts.len() == 2 && !chain.star && self.may_be_a_table(database) {
                        return Err(RewriteError::Ambiguous { name });
                    }
                    // Left out of a database that has another name: what has its name there is something else.
                    let to = match (mapped, to_database) {
                        (Some(to), Some(database)) if chain.call && (to.database != database || to.table != *table) => {
                            return Err(RewriteError::Ambiguous { name });
                        }
                        (Some(to), None) if chain.call && to != name => return Err(RewriteError::Ambiguous { name }),
                        (None, Some(database)) if chain.call => TableName::new(database, table),
                        (Some(to), _) => to,
                        (None, _) => return Err(RewriteError::Body { name }),
                    };
                    if to.table != *table && self.qualifies_a_column(table) {
                        return Err(RewriteError::Ambiguous { name });
                    }
                    edits.push((first.clone(), super::rewrite::quoted(&to.database)));
                    if to.table != *table {
                        edits.push((second.clone(), super::rewrite::quoted(&to.table)));
                    }
                }
                [] => {}
            }
        }
        Ok(edits)
    }

    /// Whether a table or alias may have this name: it stands alone somewhere, or behind a dot, or is the row of a
    /// trigger. Aliases may differ in case.
    fn may_be_a_table(&self, word: &str) -> bool {
        ["NEW", "OLD"].iter().any(|row| row.eq_ignore_ascii_case(word))
            || self.chains.iter().any(|chain| {
                let place = usize::from(chain.parts.len() > 1);
                chain
                    .parts
                    .get(place)
                    .is_some_and(|(name, _)| name.to_lowercase() == word.to_lowercase())
            })
    }

    /// Whether it stands before a column's name or alone.
    fn qualifies_a_column(&self, table: &str) -> bool {
        self.chains.iter().any(|chain| {
            chain.parts.len() < 3
                && !(chain.parts.len() == 2 && chain.star)
                && chain
                    .parts
                    .first()
                    .is_some_and(|(name, _)| name.to_lowercase() == table.to_lowercase())
        })
    }
}
