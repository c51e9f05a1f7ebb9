//! What `ADD OBJECTS` and `REMOVE OBJECTS` make of a task's list of rules.
//!
//! The list stays one that `CREATE SYNC TASK` would take, and as short as it can be: what is added takes back the `NOT`
//! that left it out, what is removed takes its own rules along, and a `NOT` is written only where another rule would still
//! select it.

use super::cursor::wrong;
use super::mapping;
use super::objects::show;
use crate::admin::reply::SqlError;
use crate::model::pattern::{matches, may_overlap, only_name};
use crate::model::task::{ObjectRule, Selection};

type Result<T> = std::result::Result<T, SqlError>;

/// `rules` with `added`.
pub(super) fn add(rules: &[ObjectRule], added: &[ObjectRule]) -> Result<Vec<ObjectRule>> {
    let mut rules = rules.to_vec();
    let is_include = |rule: &&ObjectRule| matches!(rule, ObjectRule::Include(_));
    let (includes, excludes): (Vec<&ObjectRule>, Vec<&ObjectRule>) = added.iter().partition(is_include);
    if includes.is_empty() {
        return Err(wrong(
            "ADD OBJECTS only leaves objects out: name at least one that is added, or use REMOVE OBJECTS",
        ));
    }
    for rule in includes {
        let place = Place::of(rule);
        let before = rules.len();
        rules.retain(|other| !(is_exclude(other) && place.covers(&Place::of(other))));
        let lifted = rules.len() < before;
        let left_out = rules
            .iter()
            .find(|other| is_exclude(other) && Place::of(other).covers(&place));
        if let Some(other) = left_out {
            let not = show(other);
            return Err(wrong(format!(
                "{not} leaves {} out, and NOT always wins: ADD OBJECTS ({}) takes that back as a whole",
                show(rule),
                not.trim_start_matches("NOT ")
            )));
        }
        let selecting = rules
            .iter()
            .find(|other| !is_exclude(other) && Place::of(other).covers(&place));
        match selecting {
            // The rule that selected it before it was left out does so again.
            Some(_) if lifted && says_nothing_more(rule) => {}
            Some(other) if !lifted => {
                return Err(wrong(format!(
                    "{} is among the objects already, by {}: to synchronize it in another way, REMOVE it first",
                    show(rule),
                    show(other)
                )));
            }
            _ => rules = with(&rules, rule)?,
        }
    }
    for rule in excludes {
        let place = Place::of(rule);
        if !rules
            .iter()
            .any(|other| is_exclude(other) && Place::of(other).covers(&place))
        {
            rules.push(rule.clone());
        }
    }
    mapping::check(&rules)?;
    Ok(rules)
}

/// Behind the others, or before them where it would have no effect behind them.
fn with(rules: &[ObjectRule], rule: &ObjectRule) -> Result<Vec<ObjectRule>> {
    let mut behind = rules.to_vec();
    behind.push(rule.clone());
    let Err(error) = mapping::check(&behind) else {
        return Ok(behind);
    };
    let mut before = rules.to_vec();
    before.insert(0, rule.clone());
    match mapping::check(&before) {
        Ok(()) => Ok(before),
        Err(_) => Err(error),
    }
}

/// `rules` without what `removed` names.
pub(super) fn remove(rules: &[ObjectRule], removed: &[ObjectRule]) -> Result<Vec<ObjectRule>> {
    let mut rules = rules.to_vec();
    for item in removed {
        if is_exclude(item) {
            let not = show(item);
            return Err(wrong(format!(
                "REMOVE OBJECTS takes what is synchronized: to take {not} back, use ADD OBJECTS ({})",
                not.trim_start_matches("NOT ")
            )));
        }
        if !says_nothing_more(item) {
            return Err(wrong(format!(
                "REMOVE OBJECTS takes names at the source alone, as `db`.`table` or `db`.*, not {}",
                show(item)
            )));
        }
        let place = Place::of(item);
        let is_left_out = |other: &Place| {
            let excludes = |rule: &ObjectRule| {
                let excluded = Place::of(rule);
                is_exclude(rule) && (excluded.covers(&place) || excluded.covers(other))
            };
            rules.iter().any(excludes)
        };
        let selects = |rule: &ObjectRule| {
            let other = Place::of(rule);
            !is_exclude(rule) && place.meets(&other) && !is_left_out(&other)
        };
        if !rules.iter().any(selects) {
            return Err(wrong(format!("{} is not among the objects", show(item))));
        }
        rules.retain(|rule| !place.covers(&Place::of(rule)));
        let still_selected = rules
            .iter()
            .any(|rule| !is_exclude(rule) && Place::of(rule).meets(&place));
        if still_selected && let ObjectRule::Include(Selection { database, table, .. }) = item {
            rules.push(ObjectRule::Exclude {
                database: database.clone(),
                table: table.clone(),
            });
        }
    }
    // What nothing selects need not be left out.
    let includes: Vec<Place> = rules.iter().filter(|rule| !is_exclude(rule)).map(Place::of).collect();
    rules.retain(|rule| !is_exclude(rule) || includes.iter().any(|place| place.meets(&Place::of(rule))));
    if includes.is_empty() {
        return Err(wrong("No objects would be left: STOP and DROP the task instead"));
    }
    mapping::check(&rules)?;
    Ok(rules)
}

fn is_exclude(rule: &ObjectRule) -> bool {
    matches!(rule, ObjectRule::Exclude { .. })
}

/// Whether the rule is names alone.
fn says_nothing_more(rule: &ObjectRule) -> bool {
    match rule {
        ObjectRule::Exclude { .. } => true,
        ObjectRule::Include(selection) => {
            selection.to_database.is_none()
                && selection.columns.is_none()
                && selection.filter.is_none()
                && selection.operations.is_none()
        }
    }
}

/// What a rule is about at the source: patterns over databases and over tables.
struct Place {
    database: String,
    table: String,
}

impl Place {
    fn of(rule: &ObjectRule) -> Self {
        let exact = |name: &String, plain: bool| if plain { name.replace('_', "\\_") } else { name.clone() };
        let (database, table, plain) = match rule {
            ObjectRule::Exclude { database, table } => (database, table, (false, false)),
            ObjectRule::Include(selection) => (
                &selection.database,
                &selection.table,
                (selection.names_one_database(), selection.names_one_table()),
            ),
        };
        Self {
            database: exact(database, plain.0),
            table: table.as_ref().map_or("%".to_owned(), |table| exact(table, plain.1)),
        }
    }

    /// Whether it surely is about all that the other one is about.
    fn covers(&self, other: &Place) -> bool {
        covers(&self.database, &other.database) && covers(&self.table, &other.table)
    }

    /// Whether some table may be both.
    fn meets(&self, other: &Place) -> bool {
        may_overlap(&self.database, &other.database) && may_overlap(&self.table, &other.table)
    }
}

fn covers(pattern: &str, other: &str) -> bool {
    pattern == "%" || pattern == other || only_name(other).is_some_and(|name| matches(pattern, &name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::grammar::cursor::Cursor;
    use crate::admin::grammar::objects;

    fn rules(text: &str) -> Vec<ObjectRule> {
        objects::rules(&mut Cursor::new(&format!("({text})"))).unwrap()
    }

    fn check(before: &str, statement: &str, expected: std::result::Result<&str, &str>) {
        let (verb, listed) = statement.split_once(' ').unwrap();
        let (before, listed) = (rules(before), rules(listed));
        let after = match verb {
            "ADD" => add(&before, &listed),
            _ => remove(&before, &listed),
        };
        let shown = |rules: Vec<ObjectRule>| rules.iter().map(show).collect::<Vec<_>>().join(", ").replace('`', "");
        match (after.map(shown), expected) {
            (Ok(after), Ok(expected)) => assert_eq!(after, expected, "{statement}"),
            (Err(error), Err(part)) => assert!(error.message.contains(part), "{statement}: {error}"),
            (after, _) => panic!("{statement}: {after:?}"),
        }
    }

    #[test]
    fn what_is_added_comes_to_the_rules() {
        check("a.*", "ADD b.*", Ok("a.*, b.*"));
        check("a.*", "ADD b.t AS c.u, NOT b.x", Ok("a.*, b.t AS c.u, NOT b.x"));
        check("a.t", "ADD a.u", Ok("a.t, a.u"));
        check("a.*", "ADD a.t", Err("`a`.`t` is among the objects already, by `a`.*"));
        check("a.*", "ADD NOT a.t", Err("REMOVE OBJECTS"));
        check("a.t AS b.t", "ADD b.t", Err("two tables into one"));
        // What was left out comes back, by the rule that selected it, or by one of its own.
        check("a.*, NOT a.t", "ADD a.t", Ok("a.*"));
        check("a.*, NOT a.t, NOT a.u", "ADD a.*", Ok("a.*"));
        check("a.*, NOT a.t", "ADD a.t WHERE x > 1", Ok("a.t WHERE x > 1, a.*"));
        check(
            "a.*, NOT a.tmp%",
            "ADD a.tmp1",
            Err("NOT `a`.`tmp%` leaves `a`.`tmp1` out"),
        );
        check("a.*, NOT a.tmp%", "ADD a.tmp%", Ok("a.*"));
    }

    #[test]
    fn what_is_removed_goes_with_its_rules() {
        check("a.*, b.*", "REMOVE b.*", Ok("a.*"));
        check("a.*", "REMOVE a.t", Ok("a.*, NOT a.t"));
        check("a.t, a.u", "REMOVE a.t", Ok("a.u"));
        check("a.*, b.*, NOT b.x", "REMOVE b.*", Ok("a.*"));
        check("a.t AS c.t, a.*, b.*", "REMOVE a.*", Ok("b.*"));
        check("a.order_lines AS b.t, c.*", "REMOVE a.order_lines", Ok("c.*"));
        check("a%.*, b.*", "REMOVE a1.*", Ok("a%.*, b.*, NOT a1.*"));
        check("a.*, NOT a.t1", "REMOVE a.t%", Ok("a.*, NOT a.t%"));
        check("a.*", "REMOVE b.*", Err("`b`.* is not among the objects"));
        check("a.*, NOT a.t", "REMOVE a.t", Err("is not among the objects"));
        check("a.*", "REMOVE a.*", Err("No objects would be left"));
        check("a.*, NOT a.t", "REMOVE NOT a.t", Err("use ADD OBJECTS (`a`.`t`)"));
        check(
            "a.t AS b.t, c.*",
            "REMOVE a.t AS b.t",
            Err("takes names at the source alone"),
        );
    }
}
