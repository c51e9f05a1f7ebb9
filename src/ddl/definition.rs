//! The parts of a table's definition, or the clauses of ALTER TABLE: where they stand, and which columns each names.
//!
//! Only needed where a task carries some columns of a table, or carries them under other names ([`super::columns`]).
//! A text that can't be read is an error then and only then.

use std::ops::Range;

use super::columns::PRIMARY_KEY;
use super::cursor::{Cursor, Shape};
use super::expression;
use super::lexer::Lexed;
use super::statement::Kind;
use crate::model::name::TableName;

/// A column named in a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mention {
    /// Where its name stands, without the table's before it.
    pub(super) span: Range<usize>,
    pub(super) column: String,
    /// The parent, for columns in REFERENCES; otherwise it is a column of the statement's own table.
    pub(super) parent: Option<TableName>,
}

impl Mention {
    pub(super) fn own((column, span): (String, Range<usize>)) -> Self {
        Self {
            span,
            column,
            parent: None,
        }
    }
}

/// What a part of a definition is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ElementKind {
    /// Defines or changes the column that is mentioned first.
    Column,
    /// DROP COLUMN.
    DropColumn,
    /// RENAME COLUMN, CHANGE: the old and the new name are mentioned first.
    RenameColumn,
    /// A key, as messages call it.
    Key { unique: bool, called: &'static str },
    /// FOREIGN KEY.
    ForeignKey,
    /// CHECK.
    Check,
    /// What is done to a key or constraint that is there.
    Existing(String),
    /// ORDER BY.
    Order,
    /// ADD (…).
    List(Vec<Element>),
    /// PARTITION BY.
    Partitioning,
    /// ALGORITHM, LOCK, VALIDATION: says how, not what.
    Manner,
    /// Names no columns.
    Other,
}

/// A part of a definition, or a clause of ALTER TABLE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) span: Range<usize>,
    pub(super) kind: ElementKind,
    pub(super) mentions: Vec<Mention>,
    /// `AFTER column`: from the blank before it, and the column.
    pub(super) after: Option<(Range<usize>, Mention)>,
}

/// What a statement says of its table's columns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Definition {
    /// Parts that are separated by commas.
    pub(super) elements: Vec<Element>,
    /// What follows them without a comma.
    pub(super) tail: Vec<Element>,
}

/// Reads the definition in a classified statement. Kinds without one have an empty one.
pub(super) fn read(lexed: &Lexed, kind: &Kind, own: Option<&TableName>) -> Shape<Definition> {
    let Some(own) = own else {
        return Ok(Definition::default());
    };
    let mut cursor = Cursor::new(lexed, None);
    let mut reader = Reader {
        cursor: &mut cursor,
        own,
        alter: *kind == Kind::AlterTable,
    };
    match kind {
        Kind::CreateTable {
            like: false,
            select: false,
            ..
        } => reader.create_table(),
        Kind::AlterTable => reader.alter_table(),
        Kind::CreateIndex => reader.create_index(),
        Kind::DropIndex => reader.drop_index(),
        _ => Ok(Definition::default()),
    }
}

const KEY_WORDS: [&str; 8] = [
    "CONSTRAINT",
    "PRIMARY",
    "UNIQUE",
    "FULLTEXT",
    "SPATIAL",
    "INDEX",
    "KEY",
    "FOREIGN",
];

struct Reader<'r, 'a> {
    cursor: &'r mut Cursor<'a>,
    own: &'r TableName,
    alter: bool,
}

impl Reader<'_, '_> {
    fn create_table(&mut self) -> Shape<Definition> {
        self.cursor.expect("CREATE")?;
        self.cursor.accept("TEMPORARY");
        self.cursor.expect("TABLE")?;
        self.cursor.accept_all(&["IF", "NOT", "EXISTS"]);
        self.cursor.qualified()?;
        self.cursor.expect_symbol(b'(')?;
        let elements = self.list()?;
        let mut tail = Vec::new();
        self.skip_to_boundary(false)?;
        if self.at_partitioning() {
            tail.push(self.partitioning()?);
        }
        Ok(Definition { elements, tail })
    }

    fn alter_table(&mut self) -> Shape<Definition> {
        self.cursor.expect("ALTER")?;
        self.cursor.accept("IGNORE");
        self.cursor.expect("TABLE")?;
        self.cursor.qualified()?;
        let mut definition = Definition::default();
        while !self.cursor.is_end() && !self.cursor.is_symbol(b';') {
            if self.at_partitioning() {
                definition.tail.push(self.partitioning()?);
                break;
            }
            if self.at_removal() {
                let start = self.cursor.position();
                self.cursor.skip_rest();
                definition
                    .tail
                    .push(self.element(start, ElementKind::Other, Vec::new()));
                break;
            }
            definition.elements.push(self.clause()?);
            if !self.cursor.accept_symbol(b',') && !self.at_boundary() {
                return Err(format!("a ',' was expected{}", self.cursor.whereabouts()));
            }
        }
        Ok(definition)
    }

    fn create_index(&mut self) -> Shape<Definition> {
        self.cursor.expect("CREATE")?;
        let start = self.cursor.position();
        let unique = self.cursor.accept("UNIQUE");
        self.cursor.accept_any(&["FULLTEXT", "SPATIAL"]);
        self.cursor.expect("INDEX")?;
        while !self.cursor.accept("ON") {
            self.cursor.take().ok_or("ON was expected")?;
        }
        self.cursor.qualified()?;
        self.cursor.expect_symbol(b'(')?;
        let mut mentions = Vec::new();
        self.key_parts(&mut mentions, None)?;
        Ok(self.single(start, key(unique), mentions))
    }

    fn drop_index(&mut self) -> Shape<Definition> {
        self.cursor.expect("DROP")?;
        let start = self.cursor.position();
        self.cursor.expect("INDEX")?;
        let (name, _) = self.cursor.identifier()?;
        Ok(self.single(start, ElementKind::Existing(name), Vec::new()))
    }

    fn single(&self, start: usize, kind: ElementKind, mentions: Vec<Mention>) -> Definition {
        Definition {
            elements: vec![self.element(start, kind, mentions)],
            tail: Vec::new(),
        }
    }

    fn element(&self, start: usize, kind: ElementKind, mentions: Vec<Mention>) -> Element {
        Element {
            span: start..self.cursor.end_of_last(),
            kind,
            mentions,
            after: None,
        }
    }

    /// Whether what is next ends an element: PARTITION is reserved, REMOVE PARTITIONING nothing else.
    fn at_boundary(&self) -> bool {
        self.cursor.is_end()
            || [b',', b';', b')'].iter().any(|symbol| self.cursor.is_symbol(*symbol))
            || self.at_partitioning()
            || self.at_removal()
    }

    fn at_partitioning(&self) -> bool {
        self.cursor.is_word("PARTITION") && self.cursor.is_word_at(1, "BY")
    }

    fn at_removal(&self) -> bool {
        self.cursor.is_word("REMOVE") && self.cursor.is_word_at(1, "PARTITIONING")
    }

    /// Skips to the end of the element; with `commas` false also over commas, as between a table's options.
    fn skip_to_boundary(&mut self, commas: bool) -> Shape<()> {
        while !self.at_boundary() || (!commas && self.cursor.is_symbol(b',')) {
            if self.cursor.accept_symbol(b'(') {
                self.skip_parenthesis()?;
            } else {
                self.cursor.skip();
            }
        }
        Ok(())
    }

    /// After `(`.
    fn skip_parenthesis(&mut self) -> Shape<()> {
        let mut depth = 1_usize;
        while depth > 0 {
            if self.cursor.is_symbol(b'(') {
                depth += 1;
            } else if self.cursor.is_symbol(b')') {
                depth -= 1;
            } else if self.cursor.is_end() {
                return Err("a '(' has no ')'".to_owned());
            }
            self.cursor.skip();
        }
        Ok(())
    }

    /// After `(`: elements up to and with the `)`.
    fn list(&mut self) -> Shape<Vec<Element>> {
        let mut elements = Vec::new();
        loop {
            elements.push(self.table_element()?);
            if self.cursor.accept_symbol(b')') {
                return Ok(elements);
            }
            self.cursor.expect_symbol(b',')?;
        }
    }

    /// A column, key or constraint. All words by which the latter begin are reserved.
    fn table_element(&mut self) -> Shape<Element> {
        let start = self.cursor.position();
        let mut mentions = Vec::new();
        if self.cursor.accept("CONSTRAINT") && !self.cursor.is_any(&["PRIMARY", "UNIQUE", "FOREIGN", "CHECK"]) {
            self.cursor.identifier()?;
        }
        let kind = if self.cursor.accept("CHECK") {
            self.cursor.expect_symbol(b'(')?;
            expression::columns(self.cursor, &mut mentions)?;
            ElementKind::Check
        } else if self.cursor.accept("FOREIGN") {
            self.cursor.expect("KEY")?;
            self.enter_key_parts()?;
            self.key_parts(&mut mentions, None)?;
            self.cursor.expect("REFERENCES")?;
            self.references(&mut mentions)?;
            ElementKind::ForeignKey
        } else if self.cursor.is_any(&KEY_WORDS) {
            let kind = if self.cursor.is_word("PRIMARY") {
                ElementKind::Key {
                    unique: true,
                    called: PRIMARY_KEY,
                }
            } else {
                key(self.cursor.is_word("UNIQUE"))
            };
            self.enter_key_parts()?;
            self.key_parts(&mut mentions, None)?;
            kind
        } else {
            mentions.push(Mention::own(self.cursor.identifier()?));
            return self.column(start, ElementKind::Column, mentions);
        };
        self.skip_to_boundary(true)?;
        Ok(self.element(start, kind, mentions))
    }

    /// To behind the `(` of a key's parts: over its kind, name and USING.
    fn enter_key_parts(&mut self) -> Shape<()> {
        while !self.cursor.accept_symbol(b'(') {
            if self.at_boundary() {
                return Err(format!("'(' was expected{}", self.cursor.whereabouts()));
            }
            self.cursor.skip();
        }
        Ok(())
    }

    /// After `(`: `column [(length)] [ASC | DESC], (expression) [ASC | DESC], … )`, which may be empty.
    fn key_parts(&mut self, mentions: &mut Vec<Mention>, parent: Option<&TableName>) -> Shape<()> {
        if self.cursor.accept_symbol(b')') {
            return Ok(());
        }
        loop {
            if self.cursor.accept_symbol(b'(') {
                expression::columns(self.cursor, mentions)?;
            } else {
                mentions.push(Mention {
                    parent: parent.cloned(),
                    ..Mention::own(self.cursor.identifier()?)
                });
                if self.cursor.accept_symbol(b'(') {
                    self.skip_parenthesis()?;
                }
            }
            self.cursor.accept_any(&["ASC", "DESC"]);
            if self.cursor.accept_symbol(b')') {
                return Ok(());
            }
            self.cursor.expect_symbol(b',')?;
        }
    }

    /// After REFERENCES. A parent without a database stands in the child's.
    fn references(&mut self, mentions: &mut Vec<Mention>) -> Shape<()> {
        let (database, table, _) = self.cursor.qualified()?;
        let database = database.unwrap_or_else(|| self.own.database.clone());
        let parent = TableName::new(database, table);
        if self.cursor.accept_symbol(b'(') {
            self.key_parts(mentions, Some(&parent))?;
        }
        Ok(())
    }

    /// After a column's name: its type, its attributes and, in ALTER TABLE, its place.
    fn column(&mut self, start: usize, kind: ElementKind, mut mentions: Vec<Mention>) -> Shape<Element> {
        let mut after = None;
        while !self.at_boundary() {
            if self.alter && self.cursor.accept("FIRST") {
                break;
            }
            let blank = self.cursor.end_of_last();
            if self.alter && self.cursor.accept("AFTER") {
                let column = Mention::own(self.cursor.identifier()?);
                after = Some((blank..column.span.end, column));
                break;
            }
            if self.cursor.accept("CONSTRAINT") {
                if !self.cursor.is_word("CHECK") {
                    self.cursor.identifier()?;
                }
            } else if self.cursor.accept("REFERENCES") {
                self.references(&mut mentions)?;
            } else if self.cursor.accept("COLLATE") {
                self.cursor.skip();
            } else if self.cursor.is_any(&["CHECK", "AS", "DEFAULT"]) && self.cursor.is_symbol_at(1, b'(') {
                self.cursor.skip();
                self.cursor.expect_symbol(b'(')?;
                expression::columns(self.cursor, &mut mentions)?;
            } else if self.cursor.accept_symbol(b'(') {
                self.skip_parenthesis()?;
            } else {
                self.cursor.skip();
            }
        }
        Ok(Element {
            after,
            ..self.element(start, kind, mentions)
        })
    }

    /// PARTITION BY to the statement's end: columns can only stand right after the method, as the values of partitions
    /// are constant.
    fn partitioning(&mut self) -> Shape<Element> {
        let start = self.cursor.position();
        let mut mentions = Vec::new();
        while !self.cursor.is_end() {
            if self.cursor.accept_all(&["PARTITION", "BY"]) || self.cursor.accept_all(&["SUBPARTITION", "BY"]) {
                self.cursor.accept("LINEAR");
                let names = self.cursor.accept("KEY")
                    || (self.cursor.accept_any(&["RANGE", "LIST"]) && self.cursor.accept("COLUMNS"));
                self.enter_key_parts()?;
                if names {
                    self.key_parts(&mut mentions, None)?;
                } else {
                    expression::columns(self.cursor, &mut mentions)?;
                }
            } else {
                self.cursor.skip();
            }
        }
        Ok(self.element(start, ElementKind::Partitioning, mentions))
    }

    /// A clause of ALTER TABLE.
    fn clause(&mut self) -> Shape<Element> {
        let start = self.cursor.position();
        if self.cursor.is_word_at(1, "PARTITION") && !self.cursor.is_word_at(2, "BY") {
            // An operation on partitions has commas of its own and nothing after it.
            self.cursor.skip_rest();
            return Ok(self.element(start, ElementKind::Other, Vec::new()));
        }
        if self.cursor.accept("ADD") {
            self.cursor.accept("COLUMN");
            if self.cursor.accept_symbol(b'(') {
                let inner = self.list()?;
                return Ok(self.element(start, ElementKind::List(inner), Vec::new()));
            }
            let element = self.table_element()?;
            return Ok(Element {
                span: start..element.span.end,
                ..element
            });
        }
        if self.cursor.accept("MODIFY") {
            self.cursor.accept("COLUMN");
            let column = Mention::own(self.cursor.identifier()?);
            return self.column(start, ElementKind::Column, vec![column]);
        }
        if self.cursor.accept("CHANGE") {
            self.cursor.accept("COLUMN");
            let old = Mention::own(self.cursor.identifier()?);
            let new = Mention::own(self.cursor.identifier()?);
            return self.column(start, ElementKind::RenameColumn, vec![old, new]);
        }
        let mut mentions = Vec::new();
        let kind = if self.cursor.accept_all(&["ORDER", "BY"]) {
            self.order(&mut mentions)?;
            ElementKind::Order
        } else if self.cursor.accept("DROP") {
            self.dropped(&mut mentions)?
        } else if self.cursor.accept_all(&["RENAME", "COLUMN"]) {
            mentions.push(Mention::own(self.cursor.identifier()?));
            self.cursor.expect("TO")?;
            mentions.push(Mention::own(self.cursor.identifier()?));
            ElementKind::RenameColumn
        } else if self.cursor.accept_all(&["RENAME", "INDEX"]) || self.cursor.accept_all(&["RENAME", "KEY"]) {
            ElementKind::Existing(self.cursor.identifier()?.0)
        } else if self.cursor.accept("ALTER") {
            if self.cursor.accept_any(&["INDEX", "CHECK", "CONSTRAINT"]) {
                ElementKind::Existing(self.cursor.identifier()?.0)
            } else {
                self.cursor.accept("COLUMN");
                mentions.push(Mention::own(self.cursor.identifier()?));
                if self.cursor.accept_all(&["SET", "DEFAULT"]) && self.cursor.accept_symbol(b'(') {
                    expression::columns(self.cursor, &mut mentions)?;
                }
                ElementKind::Column
            }
        } else if self.cursor.is_any(&["ALGORITHM", "LOCK"]) || self.cursor.is_word_at(1, "VALIDATION") {
            ElementKind::Manner
        } else {
            ElementKind::Other
        };
        self.skip_to_boundary(true)?;
        Ok(self.element(start, kind, mentions))
    }

    /// After DROP.
    fn dropped(&mut self, mentions: &mut Vec<Mention>) -> Shape<ElementKind> {
        if self.cursor.accept("PRIMARY") {
            return Ok(ElementKind::Other);
        }
        if self.cursor.accept_all(&["FOREIGN", "KEY"])
            || self.cursor.accept_any(&["INDEX", "KEY", "CHECK", "CONSTRAINT"])
        {
            return Ok(ElementKind::Existing(self.cursor.identifier()?.0));
        }
        self.cursor.accept("COLUMN");
        mentions.push(Mention::own(self.cursor.identifier()?));
        Ok(ElementKind::DropColumn)
    }

    /// After ORDER BY: all commas from here on are its own.
    fn order(&mut self, mentions: &mut Vec<Mention>) -> Shape<()> {
        loop {
            let column = match self.cursor.chain() {
                Some(chain) => {
                    for _ in 1..chain.len() * 2 {
                        self.cursor.skip();
                    }
                    chain.into_iter().next_back().ok_or("a column was expected")?
                }
                None => self.cursor.identifier()?,
            };
            mentions.push(Mention::own(column));
            self.cursor.accept_any(&["ASC", "DESC"]);
            if !self.cursor.accept_symbol(b',') {
                break;
            }
        }
        if self.at_boundary() {
            Ok(())
        } else {
            Err(format!("columns were expected{}", self.cursor.whereabouts()))
        }
    }
}

fn key(unique: bool) -> ElementKind {
    ElementKind::Key {
        unique,
        called: if unique { "a unique key" } else { "a key" },
    }
}
