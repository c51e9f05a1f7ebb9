//! Statements on views, routines, triggers and events: their own names, and what their bodies might mention.

use super::body::{self, Body};
use super::classify::{Found, ends};
use super::cursor::{Cursor, Shape};
use super::receive::Definer;
use super::statement::{Kind, Object, Role, RoutineKind};
use crate::model::stored::Account;

/// Which object the words after CREATE, ALTER or DROP name.
#[derive(Clone, Copy)]
enum Which {
    View,
    Routine(RoutineKind),
    Trigger,
    Event,
}

/// After CREATE.
pub(super) fn create(cursor: &mut Cursor<'_>) -> Shape<Found> {
    cursor.accept_all(&["OR", "REPLACE"]);
    let which = head(cursor)?;
    cursor.accept_all(&["IF", "NOT", "EXISTS"]);
    match which {
        Which::View => view(cursor, Object::Create),
        Which::Routine(kind) if is_loadable(cursor) => {
            cursor.skip_rest();
            match kind {
                RoutineKind::Function => Ok(Kind::ServerAdministration.into()),
                _ => Err("RETURNS was not expected".to_owned()),
            }
        }
        Which::Routine(kind) => {
            let own = cursor.object(Role::Routine)?;
            if kind != RoutineKind::Library && !cursor.is_symbol(b'(') {
                return Err(format!("parameters were expected{}", cursor.whereabouts()));
            }
            let body = body::read(cursor, Some(&own.database), false);
            Ok(with_body(Kind::Routine(Object::Create, kind), Some(body)))
        }
        Which::Trigger => {
            let own = cursor.object(Role::Trigger)?;
            if !cursor.accept_any(&["BEFORE", "AFTER"]) || !cursor.accept_any(&["INSERT", "UPDATE", "DELETE"]) {
                return Err("a trigger has no time or no event".to_owned());
            }
            cursor.expect("ON")?;
            // A table without a database stands in the trigger's.
            cursor.object_in(Role::TriggerTable, Some(&own.database))?;
            for word in ["FOR", "EACH", "ROW"] {
                cursor.expect(word)?;
            }
            if cursor.accept_any(&["FOLLOWS", "PRECEDES"]) {
                cursor.identifier()?;
            }
            let body = body::read(cursor, Some(&own.database), false);
            Ok(with_body(Kind::Trigger(Object::Create), Some(body)))
        }
        Which::Event => {
            let own = cursor.object(Role::Event)?;
            if !cursor.is_word("ON") {
                return Err(format!("ON SCHEDULE was expected{}", cursor.whereabouts()));
            }
            let body = event_clauses(cursor, &own.database)?;
            match body {
                Some(_) => Ok(with_body(Kind::Event(Object::Create), body)),
                None => Err("an event has no DO".to_owned()),
            }
        }
    }
}

/// After ALTER.
pub(super) fn alter(cursor: &mut Cursor<'_>) -> Shape<Found> {
    match head(cursor)? {
        Which::View => view(cursor, Object::Alter),
        Which::Routine(kind) => {
            cursor.object(Role::Routine)?;
            if cursor.is_symbol(b'(') {
                return Err("parameters were not expected".to_owned());
            }
            // COMMENT, SQL SECURITY, …: no names.
            cursor.skip_rest();
            Ok(Kind::Routine(Object::Alter, kind).into())
        }
        Which::Trigger => Err("there is no ALTER TRIGGER".to_owned()),
        Which::Event => alter_event(cursor),
    }
}

/// After DROP.
pub(super) fn drop_stored(cursor: &mut Cursor<'_>) -> Shape<Found> {
    let which = head(cursor)?;
    cursor.accept_all(&["IF", "EXISTS"]);
    let kind = match which {
        Which::View => {
            cursor.object_list(Role::View)?;
            cursor.accept_any(&["RESTRICT", "CASCADE"]);
            Kind::View(Object::Drop)
        }
        Which::Routine(kind) => {
            if cursor.default_database().is_none() && kind == RoutineKind::Function && !cursor.is_symbol_at(1, b'.') {
                // Without a database it can only be a loadable function.
                cursor.identifier()?;
                Kind::ServerAdministration
            } else {
                cursor.object(Role::Routine)?;
                Kind::Routine(Object::Drop, kind)
            }
        }
        Which::Trigger => {
            cursor.object(Role::Trigger)?;
            Kind::Trigger(Object::Drop)
        }
        Which::Event => {
            cursor.object(Role::Event)?;
            Kind::Event(Object::Drop)
        }
    };
    ends(cursor, kind)
}

/// What stands between the verb and the name: algorithm, definer and the like, and the kind of object.
fn head(cursor: &mut Cursor<'_>) -> Shape<Which> {
    loop {
        if cursor.accept("ALGORITHM") {
            cursor.expect_symbol(b'=')?;
            cursor.identifier()?;
        } else if cursor.accept("DEFINER") {
            cursor.expect_symbol(b'=')?;
            definer(cursor)?;
        } else if cursor.accept_all(&["SQL", "SECURITY"]) {
            cursor.identifier()?;
        } else if cursor.accept_any(&["AGGREGATE", "JSON", "RELATIONAL", "DUALITY"]) {
            // Decorations of functions and of JSON duality views (since 9.4).
        } else if cursor.accept("VIEW") {
            return Ok(Which::View);
        } else if cursor.accept("PROCEDURE") {
            return Ok(Which::Routine(RoutineKind::Procedure));
        } else if cursor.accept("FUNCTION") {
            return Ok(Which::Routine(RoutineKind::Function));
        } else if cursor.accept("LIBRARY") {
            return Ok(Which::Routine(RoutineKind::Library));
        } else if cursor.accept("TRIGGER") {
            return Ok(Which::Trigger);
        } else if cursor.accept("EVENT") {
            return Ok(Which::Event);
        } else {
            return Err(format!("a kind of object was expected{}", cursor.whereabouts()));
        }
    }
}

/// `CURRENT_USER`, `CURRENT_USER()`, `name` or `name@host`, each part quoted or not.
fn definer(cursor: &mut Cursor<'_>) -> Shape<()> {
    let start = cursor.position();
    let account = if cursor.accept("CURRENT_USER") {
        if cursor.accept_symbol(b'(') {
            cursor.expect_symbol(b')')?;
        }
        None
    } else {
        let user = account_part(cursor)?;
        let host = match cursor.is_at().then(|| cursor.take()).flatten() {
            None => "%".to_owned(),
            Some((_, "@")) => account_part(cursor)?,
            Some((_, host)) => host.trim_start_matches('@').to_owned(),
        };
        Some(Account { user, host })
    };
    cursor.stored.definer = Some(Definer {
        span: start..cursor.end_of_last(),
        account,
    });
    Ok(())
}

fn account_part(cursor: &mut Cursor<'_>) -> Shape<String> {
    if cursor.is_text() || cursor.is_identifier() {
        let quoted = cursor.is_text() || !cursor.is_bare();
        let text = cursor.take().map_or("", |(_, text)| text);
        return Ok(if quoted {
            super::lexer::unquote(text).into_owned()
        } else {
            text.to_owned()
        });
    }
    Err(format!("an account was expected{}", cursor.whereabouts()))
}

/// `CREATE FUNCTION name RETURNS type SONAME 'library'`: code of the server, in no database.
fn is_loadable(cursor: &Cursor<'_>) -> bool {
    cursor.is_word_at(1, "RETURNS")
}

fn view(cursor: &mut Cursor<'_>, object: Object) -> Shape<Found> {
    cursor.object(Role::View)?;
    if !cursor.is_symbol(b'(') && !cursor.is_word("AS") {
        return Err(format!("AS was expected{}", cursor.whereabouts()));
    }
    let body = body::read(cursor, cursor.default_database(), true);
    Ok(with_body(Kind::View(object), Some(body)))
}

fn alter_event(cursor: &mut Cursor<'_>) -> Shape<Found> {
    let own = cursor.object(Role::Event)?;
    let body = event_clauses(cursor, &own.database)?;
    Ok(with_body(Kind::Event(Object::Alter), body))
}

/// Schedule, new name, state and comment of an event, and its body if it has one. Where its state stands is noted, or
/// could stand: before COMMENT and DO.
fn event_clauses(cursor: &mut Cursor<'_>, home: &str) -> Shape<Option<Body>> {
    let mut depth = 0_usize;
    let mut body = None;
    let mut state = None;
    let mut place = None;
    while !cursor.is_end() && body.is_none() {
        let at = cursor.end_of_last();
        let start = cursor.position();
        if cursor.accept_symbol(b'(') {
            depth += 1;
        } else if cursor.accept_symbol(b')') {
            depth = depth.saturating_sub(1);
        } else if depth > 0 || cursor.is_symbol_at(1, b'.') {
            cursor.skip();
        } else if cursor.accept("RENAME") {
            cursor.expect("TO")?;
            cursor.object(Role::EventRenameTarget)?;
        } else if cursor.accept("ENABLE") {
            state = Some(start..cursor.end_of_last());
        } else if cursor.accept("DISABLE") {
            if cursor.accept("ON") && !cursor.accept_any(&["REPLICA", "SLAVE"]) {
                return Err(format!("REPLICA was expected{}", cursor.whereabouts()));
            }
            state = Some(start..cursor.end_of_last());
        } else if cursor.accept("COMMENT") {
            place.get_or_insert(at);
        } else if cursor.accept("DO") {
            place.get_or_insert(at);
            body = Some(body::read(cursor, Some(home), false));
        } else {
            cursor.skip();
        }
    }
    let place = place.unwrap_or_else(|| cursor.end_of_last());
    cursor.stored.event_state = Some(state.unwrap_or(place..place));
    Ok(body)
}

fn with_body(kind: Kind, body: Option<Body>) -> Found {
    Found { body, ..kind.into() }
}
