//! The binlog of a server whose changes are followed.

use crate::model::name::OWN_DATABASE;

use super::{
    Finding, Item, Judged, Known, Rule, Severity, at,
    facts::{Facts, Way},
    fail, server, set, set_text, warn,
};

/// Whether a source without GTIDs is followed by file and offset. Then `gtid_mode = OFF` is a warning.
const FILE_AND_OFFSET: bool = false;
/// How long binlogs have to stay, in seconds: a day for changes alone …
const RETENTION: u64 = 24 * 3600;
/// … and a week where rows are copied first.
const RETENTION_FULL: u64 = 7 * 24 * 3600;

pub(super) const ITEMS: &[Item] = &[
    Item {
        name: "log_bin",
        looks_at: "`log_bin` of the source",
        why: "Changes are read from the binlog.",
        severity: Severity::Fails,
        rule: Rule::Source(|way, facts| Some(log_bin(&way.source.name, facts))),
    },
    Item {
        name: "binlog_format",
        looks_at: "`binlog_format` of the source",
        why: "Statements instead of rows do not say what they have changed.",
        severity: Severity::Fails,
        rule: Rule::Source(|way, facts| followed(way).then(|| format(&way.source.name, facts))),
    },
    Item {
        name: "binlog_row_image",
        looks_at: "`binlog_row_image` of the source",
        why: "Every update and delete is compared with the row that it was made from, so the binlog has to have all of it.",
        severity: Severity::Fails,
        rule: Rule::Source(|way, facts| followed(way).then(|| row_image(&way.source.name, facts))),
    },
    Item {
        name: "binlog_row_value_options",
        looks_at: "`binlog_row_value_options` of the source",
        why: "With PARTIAL_JSON the binlog has only what has changed of a JSON document. Causeway does not carry that yet.",
        severity: Severity::Fails,
        rule: Rule::Source(|way, facts| followed(way).then(|| value_options(&way.source.name, facts))),
    },
    Item {
        name: "binlog_row_metadata",
        looks_at: "`binlog_row_metadata` of the source",
        why: "With FULL the binlog says which columns it speaks of. Without it their names are taken from the definitions, and \
              some things can't be had: lists of columns, row filters over some types, DDL that reorders columns.",
        severity: Severity::Warns,
        rule: Rule::Source(|way, facts| followed(way).then(|| metadata(&way.source.name, facts))),
    },
    Item {
        name: "gtid_mode",
        looks_at: "`gtid_mode` of the source",
        why: "GTIDs say exactly what has been applied, also when a server is replaced by its replica. Where transactions may \
              or may not have one (the PERMISSIVE modes), nothing does.",
        severity: Severity::Fails,
        rule: Rule::Source(|way, facts| Some(gtid_mode(&way.source.name, facts))),
    },
    Item {
        name: "log_replica_updates",
        looks_at: "`log_replica_updates` of the source",
        why: "What a server receives as a replica is not in its binlog without it, so it would be missing at the destination.",
        severity: Severity::Both,
        rule: Rule::Source(|way, facts| followed(way).then(|| replica_updates(way, facts))),
    },
    Item {
        name: "binlog filters",
        looks_at: "`binlog_do_db` and `binlog_ignore_db` of the source, as `SHOW BINARY LOG STATUS` tells them",
        why: "Causeway knows its own changes by the rows of the causeway database. Where these are kept out of the binlog, \
              changes would travel in a circle; where selected databases are, they would not travel at all.",
        severity: Severity::Fails,
        rule: Rule::Source(|way, facts| followed(way).then(|| filters(&way.source.name, facts))),
    },
    Item {
        name: "binlog retention",
        looks_at: "`binlog_expire_logs_seconds` of the source: at least 24 hours, 7 days where rows are copied first",
        why: "What has been removed before it was read is lost to the task. A long copy, or a weekend without the destination, \
              has to fit into this time.",
        severity: Severity::Warns,
        rule: Rule::Source(|way, facts| followed(way).then(|| retention(way, facts))),
    },
    Item {
        name: "start position",
        looks_at: "`gtid_purged` of the source against what the task has applied",
        why: "A task goes on where it was. If the source has removed binlogs that it has not read, changes are lost to it.",
        severity: Severity::Fails,
        rule: Rule::Scope(|way, known| followed(way).then(|| start_position(way, known))),
    },
    Item {
        name: "prepared xa transactions",
        looks_at: "`XA RECOVER` at the source, before the first start (needs XA_RECOVER_ADMIN)",
        why: "The rows of a transaction that is prepared when the task begins are neither in the copy nor behind its position; \
              when it commits, they are missing.",
        severity: Severity::Fails,
        rule: Rule::Scope(|way, known| followed(way).then(|| prepared(way, known))),
    },
];

fn followed(way: &Way) -> bool {
    way.options.incremental_sync
}

/// The rules that `CHECK SERVER` asks of any server, with the names of their steps.
pub(super) const STEPS: &[(&str, fn(&str, &Facts) -> Judged)] = &[
    ("version", |name, facts| {
        Judged::of(server::supported(name, facts).into_iter().collect(), &facts.version)
    }),
    ("log_bin", log_bin),
    ("binlog_format", format),
    ("binlog_row_image", row_image),
    ("binlog_row_value_options", value_options),
    ("gtid_mode", gtid_mode),
    ("binlog_row_metadata", metadata),
    ("binlog filters", filters),
];

/// A setting that has to have a value, unless the server has no such setting.
fn wanted(name: &str, facts: &Facts, variable: &str, value: &str) -> Vec<Finding> {
    let found = facts.variable(variable);
    let good = found == value || !facts.variables.contains_key(variable);
    let finding = (!good).then(|| {
        let shown = if found.is_empty() { "empty" } else { found };
        fail(
            format!("server {name}: {variable} is {shown}"),
            set_text(name, variable, value),
        )
    });
    finding.into_iter().collect()
}

fn log_bin(name: &str, facts: &Facts) -> Judged {
    let findings = (!facts.is_on("log_bin")).then(|| {
        fail(
            format!("server {name}: log_bin is OFF"),
            "start the server with --log-bin, and without --skip-log-bin",
        )
    });
    Judged::of(findings.into_iter().collect(), "ON")
}

fn format(name: &str, facts: &Facts) -> Judged {
    Judged::of(wanted(name, facts, "binlog_format", "ROW"), "ROW")
}

fn row_image(name: &str, facts: &Facts) -> Judged {
    Judged::of(wanted(name, facts, "binlog_row_image", "FULL"), "FULL")
}

fn value_options(name: &str, facts: &Facts) -> Judged {
    Judged::of(wanted(name, facts, "binlog_row_value_options", ""), "")
}

fn metadata(name: &str, facts: &Facts) -> Judged {
    let findings = wanted(name, facts, "binlog_row_metadata", "FULL");
    let warnings = findings.into_iter().map(|finding| Finding {
        fails: false,
        ..finding
    });
    Judged::of(warnings.collect(), "FULL")
}

fn gtid_mode(name: &str, facts: &Facts) -> Judged {
    let mode = facts.variable("gtid_mode");
    // It goes up in steps.
    let steps = ["OFF", "OFF_PERMISSIVE", "ON_PERMISSIVE", "ON"];
    let from = steps.iter().position(|step| *step == mode).unwrap_or(0);
    let mut statements = vec!["SET PERSIST enforce_gtid_consistency = ON".to_owned()];
    statements.extend(
        steps
            .iter()
            .skip(from + 1)
            .map(|step| format!("SET PERSIST gtid_mode = {step}")),
    );
    let remedy = at(name, &statements.join("; "));
    let findings = match mode {
        "ON" => Vec::new(),
        "OFF" if FILE_AND_OFFSET => vec![warn(
            format!(
                "server {name}: gtid_mode is OFF, so it is followed by file and offset; a replica that takes its place can't \
                 be followed from there"
            ),
            remedy,
        )],
        _ => vec![fail(format!("server {name}: gtid_mode is {mode}"), remedy)],
    };
    Judged::of(findings, "ON")
}

fn replica_updates(way: &Way, facts: &Facts) -> Judged {
    let name = &way.source.name;
    // Called log_slave_updates before 8.0.26.
    let on = facts.is_on("log_replica_updates") || facts.is_on("log_slave_updates");
    let remedy = "start the server with --log-replica-updates=ON";
    let findings = match (on, facts.is_replica) {
        (true, _) => Vec::new(),
        (false, Some(true)) => vec![fail(
            format!("server {name} is a replica itself, and log_replica_updates is OFF"),
            remedy,
        )],
        (false, _) => vec![warn(
            format!(
                "server {name}: log_replica_updates is OFF; as soon as it is made a replica, what it receives is not carried"
            ),
            remedy,
        )],
    };
    Judged::of(findings, "ON")
}

fn filters(name: &str, facts: &Facts) -> Judged {
    let Some((only, not)) = &facts.binlog_filters else {
        return Judged::of(
            vec![fail(
                format!(
                    "server {name} does not show the binlog's filters to account {}",
                    server::shown(&facts.account)
                ),
                at(
                    name,
                    &format!("GRANT REPLICATION CLIENT ON *.* TO {}", server::shown(&facts.account)),
                ),
            )],
            "",
        );
    };
    let lists = |list: &str| list.split(',').any(|database| database.trim() == OWN_DATABASE);
    let good = (only.is_empty() || lists(only)) && !lists(not);
    let found = match only.is_empty() && not.is_empty() {
        true => "none".to_owned(),
        false => format!("binlog_do_db: {only}; binlog_ignore_db: {not}"),
    };
    let findings = (!good).then(|| {
        fail(
            format!("server {name}: the causeway database is kept out of the binlog ({found})"),
            "start the server with the causeway database in its binlog: add binlog_do_db=causeway, or take \
             binlog_ignore_db=causeway out",
        )
    });
    Judged::of(findings.into_iter().collect(), found)
}

/// Why the changes of a database are not in the binlog, if they are not.
pub(super) fn filtered_out(facts: &Facts, database: &str) -> bool {
    let Some((only, not)) = &facts.binlog_filters else {
        return false;
    };
    let lists = |list: &str| list.split(',').any(|listed| listed.trim() == database);
    (!only.is_empty() && !lists(only)) || lists(not)
}

fn retention(way: &Way, facts: &Facts) -> Judged {
    let name = &way.source.name;
    let kept = facts.number_of("binlog_expire_logs_seconds").unwrap_or(0);
    let purges =
        !facts.variables.contains_key("binlog_expire_logs_auto_purge") || facts.is_on("binlog_expire_logs_auto_purge");
    let least = if way.options.full_sync {
        RETENTION_FULL
    } else {
        RETENTION
    };
    let hours = |seconds: u64| seconds / 3600;
    let found = match kept == 0 || !purges {
        true => "binlogs are not removed by themselves".to_owned(),
        false => format!("{} hours", hours(kept)),
    };
    let short = purges && kept != 0 && kept < least;
    let findings = short.then(|| {
        warn(
            format!(
                "server {name} keeps its binlogs for {found}; {} hours are advisable",
                hours(least)
            ),
            set(name, "binlog_expire_logs_seconds", &least.to_string()),
        )
    });
    Judged::of(findings.into_iter().collect(), found)
}

fn start_position(way: &Way, known: &Known<'_>) -> Judged {
    let Some(applied) = &known.scope.applied else {
        return Judged::pass("the task begins at the present position");
    };
    // The server breaks long sets into lines.
    let purged = known
        .source
        .variable("gtid_purged")
        .replace('\n', "")
        .parse::<crate::model::gtid::GtidSet>();
    let Ok(mut lost) = purged else {
        return Judged::skip("gtid_purged can't be read");
    };
    lost.subtract(applied);
    let findings = (!lost.is_empty()).then(|| {
        fail(
            format!("server {} has removed binlogs with transactions that the task has not read: {lost}", way.source.name),
            format!(
                "the task can't go on: drop it and create it anew, with existing_tables = 'proceed' and conflict_policy = \
                 'overwrite' or with the tables at server {} dropped",
                way.destination.name
            ),
        )
    });
    Judged::of(
        findings.into_iter().collect(),
        "everything the task has not read is there",
    )
}

fn prepared(way: &Way, known: &Known<'_>) -> Judged {
    if known.scope.applied.is_some() {
        return Judged::pass("the task has begun; what is prepared since is carried when it commits");
    }
    let name = &way.source.name;
    match &known.source.prepared {
        None => Judged {
            remedy: at(
                name,
                &format!(
                    "GRANT XA_RECOVER_ADMIN ON *.* TO {}",
                    server::shown(&known.source.account)
                ),
            ),
            ..Judged::skip(format!("server {name} does not show them to this account"))
        },
        Some(all) if all.is_empty() => Judged::pass("none"),
        Some(all) => {
            let count = all.len();
            let first = all.first().map(String::as_str).unwrap_or_default();
            Judged::of(
                vec![fail(
                    format!("server {name} has {count} prepared"),
                    format!("end each of them (XA RECOVER lists them): XA COMMIT {first} or XA ROLLBACK {first}"),
                )],
                "",
            )
        }
    }
}
