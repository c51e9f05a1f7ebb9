//! From a statement's first words to its kind.

use std::ops::Range;

use super::body::Body;
use super::cursor::{Cursor, Shape};
use super::lexer::{Lexed, TokenKind, lex};
use super::statement::{AccountVerb, DmlVerb, Kind, Role, SqlMode, Statement, XaVerb, Xid};
use super::{definition, stored, table};

/// What the server knew when it ran the statement: without it the same text can mean something else.
#[derive(Debug, Clone, Copy)]
pub struct StatementContext<'a> {
    /// The default database, from the QUERY event.
    pub default_database: Option<&'a str>,
    /// The bits of `sql_mode`, from the QUERY event.
    pub sql_mode: u64,
    /// The version of the server that wrote the binlog: 90704 is 9.7.4.
    pub server_version: u32,
}

/// A statement that could not be told. It must stop the link that met it: it may be a change of a selected table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "can't tell what a statement does, so it can't be carried on: {reason}; without its values it reads: {statement}"
)]
pub struct Unclassified {
    /// The statement, shortened, without texts and numbers.
    pub statement: String,
    /// What was not understood.
    pub reason: String,
}

/// What the walk over a statement found, besides names.
pub(super) struct Found {
    pub(super) kind: Kind,
    pub(super) body: Option<Body>,
    pub(super) cut: Option<Range<usize>>,
    pub(super) xid: Option<Xid>,
}

impl From<Kind> for Found {
    fn from(kind: Kind) -> Self {
        Self {
            kind,
            body: None,
            cut: None,
            xid: None,
        }
    }
}

/// Tells what a statement of the binlog does and where its names stand.
///
/// # Errors
/// [`Unclassified`] for anything that does not have the shape of a known statement from its first byte to its last.
pub fn classify(text: &str, context: &StatementContext<'_>) -> Result<Statement, Unclassified> {
    let lexed = lex(text, SqlMode(context.sql_mode), context.server_version).map_err(|reason| Unclassified {
        statement: up_to_first_value(text),
        reason: reason.to_owned(),
    })?;
    let mut cursor = Cursor::new(&lexed, context.default_database);
    match statement(&mut cursor) {
        Ok(found) => {
            let mut names = cursor.names;
            let (items, renamed_columns, stored) = (cursor.items, cursor.renamed_columns, cursor.stored);
            names.sort_by_key(|name| name.span.start);
            let own = names
                .iter()
                .find(|name| name.role == Role::Table)
                .map(|name| &name.name);
            Ok(Statement {
                definition: definition::read(&lexed, &found.kind, own),
                kind: found.kind,
                names,
                body: found.body,
                items,
                renamed_columns,
                stored,
                cut: found.cut,
                xid: found.xid,
                text: lexed.text,
            })
        }
        Err(reason) => Err(Unclassified {
            statement: without_values(&lexed),
            reason,
        }),
    }
}

/// Characters of a statement that a message shows.
const SHOWN_CHARS: usize = 160;

fn without_values(lexed: &Lexed) -> String {
    let mut shown = String::new();
    let mut end = 0;
    for token in &lexed.tokens {
        if shown.chars().count() > SHOWN_CHARS {
            shown.push('…');
            break;
        }
        if token.span.start > end && !shown.is_empty() {
            shown.push(' ');
        }
        end = token.span.end;
        match token.kind {
            TokenKind::Text | TokenKind::Number => shown.push('?'),
            _ => shown.extend(
                lexed
                    .text
                    .get(token.span.clone())
                    .unwrap_or("")
                    .chars()
                    .take(SHOWN_CHARS),
            ),
        }
    }
    shown
}

fn up_to_first_value(text: &str) -> String {
    let end = text.find(['\'', '"', '`', '/', '#', '$', '-']).unwrap_or(text.len());
    let mut shown: String = text.get(..end).unwrap_or("").trim().chars().take(SHOWN_CHARS).collect();
    shown.retain(|c| !c.is_ascii_digit());
    shown.push_str(" …");
    shown
}

fn statement(cursor: &mut Cursor<'_>) -> Shape<Found> {
    let verb = match cursor.take() {
        Some((TokenKind::Word, verb)) => verb.to_ascii_uppercase(),
        Some(_) => return Err("it does not begin with a word".to_owned()),
        None => return Err("there is nothing but white space and comments".to_owned()),
    };
    match verb.as_str() {
        "BEGIN" => {
            cursor.accept("WORK");
            ends(cursor, Kind::Begin)
        }
        "START" if cursor.accept("TRANSACTION") => {
            cursor.skip_rest();
            Ok(Kind::Begin.into())
        }
        "COMMIT" => {
            cursor.accept("WORK");
            ends(cursor, Kind::Commit)
        }
        "ROLLBACK" => rollback(cursor),
        "SAVEPOINT" => {
            cursor.identifier()?;
            ends(cursor, Kind::Savepoint)
        }
        "RELEASE" => {
            cursor.expect("SAVEPOINT")?;
            cursor.identifier()?;
            ends(cursor, Kind::ReleaseSavepoint)
        }
        "XA" => xa(cursor),
        "CREATE" => create(cursor),
        "ALTER" => alter(cursor),
        "DROP" => drop_object(cursor),
        "RENAME" if cursor.accept("USER") => rest(cursor, Kind::Account(AccountVerb::Rename)),
        "RENAME" => table::rename(cursor),
        "TRUNCATE" => table::truncate(cursor),
        "ANALYZE" | "OPTIMIZE" | "REPAIR" | "CHECK" => table::maintenance(cursor),
        "GRANT" => rest(cursor, Kind::Account(AccountVerb::Grant)),
        "REVOKE" => rest(cursor, Kind::Account(AccountVerb::Revoke)),
        "SET" if cursor.is_word("PASSWORD") => rest(cursor, Kind::Account(AccountVerb::SetPassword)),
        "SET" if cursor.accept_all(&["DEFAULT", "ROLE"]) => rest(cursor, Kind::Account(AccountVerb::SetDefaultRole)),
        "FLUSH" | "INSTALL" | "UNINSTALL" | "SET" | "RESET" | "CACHE" | "PURGE" | "CHANGE" | "CLONE" | "SHUTDOWN"
        | "RESTART" => rest(cursor, Kind::ServerAdministration),
        "INSERT" => dml(cursor, DmlVerb::Insert),
        "REPLACE" => dml(cursor, DmlVerb::Replace),
        "UPDATE" => dml(cursor, DmlVerb::Update),
        "DELETE" => dml(cursor, DmlVerb::Delete),
        "LOAD" if cursor.is_any(&["DATA", "XML"]) => dml(cursor, DmlVerb::Load),
        "SELECT" | "DO" | "CALL" | "WITH" => dml(cursor, DmlVerb::Other),
        _ => Err("its first word is none that belongs in a binlog".to_owned()),
    }
}

/// The statement must be over.
pub(super) fn ends(cursor: &mut Cursor<'_>, kind: impl Into<Found>) -> Shape<Found> {
    cursor.expect_end()?;
    Ok(kind.into())
}

/// The rest of the statement holds no names that matter, but there must be some.
fn rest(cursor: &mut Cursor<'_>, kind: Kind) -> Shape<Found> {
    if cursor.is_end() {
        return Err(format!("more was expected{}", cursor.whereabouts()));
    }
    cursor.skip_rest();
    Ok(kind.into())
}

fn rollback(cursor: &mut Cursor<'_>) -> Shape<Found> {
    cursor.accept("WORK");
    if !cursor.accept("TO") {
        return ends(cursor, Kind::Rollback);
    }
    cursor.accept("SAVEPOINT");
    cursor.identifier()?;
    ends(cursor, Kind::RollbackTo)
}

fn xa(cursor: &mut Cursor<'_>) -> Shape<Found> {
    let verb = match cursor.take().map(|(_, verb)| verb.to_ascii_uppercase()).as_deref() {
        Some("START" | "BEGIN") => XaVerb::Start,
        Some("END") => XaVerb::End,
        Some("PREPARE") => XaVerb::Prepare,
        Some("COMMIT") => XaVerb::Commit { one_phase: false },
        Some("ROLLBACK") => XaVerb::Rollback,
        _ => return Err("XA is followed by no verb of its own".to_owned()),
    };
    let gtrid = xid_part(cursor)?;
    let bqual = if cursor.accept_symbol(b',') {
        xid_part(cursor)?
    } else {
        Vec::new()
    };
    let format_id = if cursor.accept_symbol(b',') {
        let number = cursor.take().map_or("", |(_, number)| number);
        match number.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok(),
            None => number.parse().ok(),
        }
        .ok_or("the format number of an XA transaction is no number")?
    } else {
        1
    };
    let one_phase = matches!(verb, XaVerb::Commit { .. }) && cursor.accept_all(&["ONE", "PHASE"]);
    let verb = match verb {
        XaVerb::Commit { .. } => XaVerb::Commit { one_phase },
        other => other,
    };
    if !cursor.accept_any(&["JOIN", "RESUME"]) && cursor.accept("SUSPEND") {
        cursor.accept_all(&["FOR", "MIGRATE"]);
    }
    cursor.expect_end()?;
    Ok(Found {
        xid: Some(Xid {
            gtrid,
            bqual,
            format_id,
        }),
        ..Kind::Xa(verb).into()
    })
}

/// `X'6162'` as the server writes it, `0x6162` or `'ab'`.
fn xid_part(cursor: &mut Cursor<'_>) -> Shape<Vec<u8>> {
    const BAD: &str = "the name of an XA transaction can't be read";
    let decode = |digits: &str| hex::decode(digits).map_err(|_| BAD.to_owned());
    match cursor.take() {
        Some((TokenKind::Word, "X" | "x")) => match cursor.take() {
            Some((TokenKind::Text, text)) => decode(&super::lexer::unquote(text)),
            _ => Err(BAD.to_owned()),
        },
        Some((TokenKind::Number, number)) => decode(number.strip_prefix("0x").ok_or(BAD)?),
        // An escape would need the scanner's rules again; the server itself writes none.
        Some((TokenKind::Text, text)) if !text.contains('\\') => {
            Ok(super::lexer::unquote(text).into_owned().into_bytes())
        }
        _ => Err(BAD.to_owned()),
    }
}

fn create(cursor: &mut Cursor<'_>) -> Shape<Found> {
    if cursor.accept_all(&["TEMPORARY", "TABLE"]) {
        return table::create(cursor, true);
    }
    if cursor.accept("TABLE") {
        return table::create(cursor, false);
    }
    if cursor.accept_any(&["DATABASE", "SCHEMA"]) {
        cursor.accept_all(&["IF", "NOT", "EXISTS"]);
        cursor.database()?;
        return options(cursor, Kind::CreateDatabase);
    }
    if cursor.is_any(&["USER", "ROLE"]) {
        return rest(cursor, Kind::Account(AccountVerb::Create));
    }
    if is_index(cursor) {
        return table::create_index(cursor);
    }
    if is_server_object(cursor) || cursor.accept_all(&["OR", "REPLACE", "SPATIAL"]) {
        return rest(cursor, Kind::ServerAdministration);
    }
    stored::create(cursor)
}

fn alter(cursor: &mut Cursor<'_>) -> Shape<Found> {
    if cursor.accept("TABLE") || cursor.accept_all(&["IGNORE", "TABLE"]) {
        return table::alter(cursor);
    }
    if cursor.accept_any(&["DATABASE", "SCHEMA"]) {
        // All other options are words that can also be names, and the server then takes them for names.
        if cursor.is_any(&["DEFAULT", "CHARACTER", "COLLATE", "READ"]) {
            cursor.left_out_database()?;
        } else {
            cursor.database()?;
        }
        return options(cursor, Kind::AlterDatabase);
    }
    if cursor.is_word("USER") {
        return rest(cursor, Kind::Account(AccountVerb::Alter));
    }
    if is_server_object(cursor) {
        return rest(cursor, Kind::ServerAdministration);
    }
    stored::alter(cursor)
}

fn drop_object(cursor: &mut Cursor<'_>) -> Shape<Found> {
    let temporary = (cursor.is_word_at(1, "TABLE") || cursor.is_word_at(1, "TABLES")) && cursor.accept("TEMPORARY");
    if cursor.accept_any(&["TABLE", "TABLES"]) {
        return table::drop_tables(cursor, temporary);
    }
    if cursor.accept("INDEX") {
        return table::drop_index(cursor);
    }
    if cursor.accept_any(&["DATABASE", "SCHEMA"]) {
        cursor.accept_all(&["IF", "EXISTS"]);
        cursor.database()?;
        return ends(cursor, Kind::DropDatabase);
    }
    if cursor.is_any(&["USER", "ROLE"]) {
        return rest(cursor, Kind::Account(AccountVerb::Drop));
    }
    if is_server_object(cursor) {
        return rest(cursor, Kind::ServerAdministration);
    }
    stored::drop_stored(cursor)
}

/// Options of a database: words and values without names of objects.
fn options(cursor: &mut Cursor<'_>, kind: Kind) -> Shape<Found> {
    while !cursor.is_end() && !cursor.is_symbol(b';') {
        if cursor.is_symbol(b'.') || cursor.is_symbol(b'(') {
            return Err(format!("an option was expected{}", cursor.whereabouts()));
        }
        cursor.skip();
    }
    ends(cursor, kind)
}

fn is_index(cursor: &mut Cursor<'_>) -> bool {
    cursor.accept("INDEX")
        || ["UNIQUE", "FULLTEXT", "SPATIAL"]
            .iter()
            .any(|kind| cursor.accept_all(&[kind, "INDEX"]))
}

fn is_server_object(cursor: &Cursor<'_>) -> bool {
    cursor.is_any(&["SERVER", "TABLESPACE", "INSTANCE"])
        || [
            ["UNDO", "TABLESPACE"],
            ["LOGFILE", "GROUP"],
            ["SPATIAL", "REFERENCE"],
            ["RESOURCE", "GROUP"],
        ]
        .iter()
        .any(|[first, second]| cursor.is_word(first) && cursor.is_word_at(1, second))
}

/// Notes the table where the statement can only change one; otherwise no name at all.
fn dml(cursor: &mut Cursor<'_>, verb: DmlVerb) -> Shape<Found> {
    const MODIFIERS: [&str; 5] = ["LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "QUICK", "IGNORE"];
    while MODIFIERS.iter().any(|modifier| cursor.accept(modifier)) {}
    let simple = match verb {
        DmlVerb::Insert | DmlVerb::Replace => {
            cursor.accept("INTO");
            cursor.object(Role::Table).is_ok()
        }
        DmlVerb::Update => cursor.object(Role::Table).is_ok() && cursor.is_word("SET"),
        DmlVerb::Delete => {
            cursor.accept("FROM")
                && cursor.object(Role::Table).is_ok()
                && (cursor.is_end() || cursor.is_any(&["WHERE", "ORDER", "LIMIT", "PARTITION"]))
        }
        DmlVerb::Load | DmlVerb::Other => false,
    };
    if !simple {
        cursor.names.clear();
    }
    cursor.skip_rest();
    Ok(Kind::Dml(verb).into())
}
