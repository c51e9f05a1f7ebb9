//! What lets the two sides of a two-way task part.

use crate::{
    model::{
        name::TableName,
        task::{ConflictPolicy, Direction},
    },
    sql::ident::quoted,
};

use super::{
    Item, Judged, Known, Rule, Severity, at,
    facts::{Facts, Way},
    here,
    objects::seen,
    some_of, warn,
};

pub(super) const ITEMS: &[Item] = &[
    Item {
        name: "auto_increment",
        looks_at: "`auto_increment_increment` and `auto_increment_offset` of both servers of a two-way task",
        why: "Where both make the same numbers, two clients insert different rows under one key, which is a conflict.",
        severity: Severity::Warns,
        rule: Rule::Scope(|way, known| way.two_way.then(|| auto_increment(way, known))),
    },
    Item {
        name: "conflict policy",
        looks_at: "`overwrite` in both directions",
        why: "When both sides change a row at once, each takes the other's value: the two exchange them instead of agreeing.",
        severity: Severity::Warns,
        rule: Rule::Any(|way| (way.two_way && way.direction == Direction::Forward).then(|| policy(way))),
    },
];

/// The numbers that a server makes: step and first.
fn numbers(facts: &Facts) -> (u64, u64) {
    let step = facts.number_of("auto_increment_increment").unwrap_or(1).max(1);
    let first = facts.number_of("auto_increment_offset").unwrap_or(1);
    // An offset above the increment is ignored (manual, "auto_increment_offset").
    (step, if first > step { 1 } else { first })
}

fn overlap(one: (u64, u64), other: (u64, u64)) -> bool {
    let (mut a, mut b) = (one.0, other.0);
    while b > 0 {
        (a, b) = (b, a % b);
    }
    one.1.abs_diff(other.1).is_multiple_of(a.max(1))
}

fn auto_increment(way: &Way, known: &Known<'_>) -> Judged {
    let scope = known.scope;
    let tables: Vec<&TableName> = scope
        .tables
        .iter()
        .filter(|table| {
            // At the side that has it: before the start that is the task's source alone.
            let there = scope.destination.tables.get(&table.to);
            seen(known, table).or(there).is_some_and(|seen| seen.auto_increment)
        })
        .map(|table| &table.from)
        .collect();
    let (here, there) = (numbers(known.source), numbers(known.destination));
    let found = format!(
        "server {} makes numbers from {} by {}, server {} from {} by {}",
        way.source.name, here.1, here.0, way.destination.name, there.1, there.0
    );
    let one_server = known.source.server_uuid == known.destination.server_uuid;
    let findings = (!tables.is_empty() && overlap(here, there) && !one_server).then(|| {
        let first = if way.direction == Direction::Forward { 1 } else { 2 };
        warn(
            format!("both servers make the same numbers for {} ({found})", some_of(&tables)),
            at(
                &way.source.name,
                &format!("SET PERSIST auto_increment_increment = 2; SET PERSIST auto_increment_offset = {first}"),
            ),
        )
    });
    Judged::of(findings.into_iter().collect(), found)
}

fn policy(way: &Way) -> Judged {
    let [forward, reverse] = [&way.options, &way.other_options].map(|options| options.conflict_policy);
    let findings = (forward == ConflictPolicy::Overwrite && reverse == ConflictPolicy::Overwrite).then(|| {
        warn(
            "conflict_policy is overwrite in both directions: when both sides change a row at once, the two values change places",
            here(&format!("ALTER SYNC TASK {} REVERSE SET (conflict_policy = 'ignore')", quoted(&way.task))),
        )
    });
    let found = format!("{} forward, {} in reverse", forward.as_str(), reverse.as_str());
    Judged::of(findings.into_iter().collect(), found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_overlap_unless_steps_keep_them_apart() {
        for (one, other, expected) in [
            ((1, 1), (1, 1), true),
            ((2, 1), (2, 2), false),
            ((2, 1), (1, 1), true),
            ((2, 1), (4, 2), false),
            ((2, 1), (4, 3), true),
            ((2, 1), (3, 2), true),
        ] {
            assert_eq!(overlap(one, other), expected, "{one:?} {other:?}");
            assert_eq!(overlap(other, one), expected);
        }
    }
}
