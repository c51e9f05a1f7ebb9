//! Statements on views, routines, triggers and events: their own names, and what their bodies might mention.

use super::classify::{Found, ends};
use super::cursor::{Cursor, Shape};
use super::statement::{Body, Kind, Object, Role, RoutineKind};

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
            let body = cursor.body(Some(&own.database), false);
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
            cursor.expect("FOR")?;
            let body = cursor.body(Some(&own.database), false);
            Ok(with_body(Kind::Trigger(Object::Create), Some(body)))
        }
        Which::Event => {
            let own = cursor.object(Role::Event)?;
            cursor.expect("ON")?;
            let body = cursor.body(Some(&own.database), false);
            Ok(with_body(Kind::Event(Object::Create), Some(body)))
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
    if cursor.accept("CURRENT_USER") {
        if cursor.accept_symbol(b'(') {
            cursor.expect_symbol(b')')?;
        }
        return Ok(());
    }
    account_part(cursor)?;
    if cursor.is_at() && cursor.take().is_some_and(|(_, at)| at == "@") {
        account_part(cursor)?;
    }
    Ok(())
}

fn account_part(cursor: &mut Cursor<'_>) -> Shape<()> {
    if cursor.is_text() || cursor.is_identifier() {
        cursor.skip();
        return Ok(());
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
    let body = cursor.body(cursor.default_database(), true);
    Ok(with_body(Kind::View(object), Some(body)))
}

fn alter_event(cursor: &mut Cursor<'_>) -> Shape<Found> {
    let own = cursor.object(Role::Event)?;
    let mut body = None;
    while !cursor.is_end() && body.is_none() {
        if cursor.accept("RENAME") {
            cursor.expect("TO")?;
            cursor.object(Role::EventRenameTarget)?;
        } else if cursor.is_word("DO") {
            body = Some(cursor.body(Some(&own.database), false));
        } else {
            cursor.skip();
        }
    }
    Ok(with_body(Kind::Event(Object::Alter), body))
}

fn with_body(kind: Kind, body: Option<Body>) -> Found {
    Found { body, ..kind.into() }
}
