//! Settings of the servers, apart from their binlogs.

use std::collections::BTreeSet;

use crate::model::{
    stored::Account,
    task::{ConflictPolicy, ObjectCase},
};

use super::{
    Finding, Item, Judged, Known, Rule, Severity, at,
    facts::{Facts, Way},
    fail, here, set, set_text, warn,
};

/// The oldest version: `VALUES ROW(…)` came with 8.0.19.
const MIN_VERSION: (u16, u16, u16) = (8, 0, 19);
/// Connections that a link has besides those of its appliers: reading, judging, bookkeeping.
const LINK_CONNECTIONS: u64 = 4;
/// Clocks that differ by more make times that are shown wrong, in milliseconds.
const CLOCK_SHOWN_MS: u64 = 60_000;
/// Clocks that differ by more make a policy unfair that goes by time, in milliseconds.
const CLOCK_POLICY_MS: u64 = 1_000;

pub(super) const ITEMS: &[Item] = &[
    Item {
        name: "version",
        looks_at: "`version` of both servers",
        why: "Causeway needs what MySQL has since 8.0.19. A destination of an older series than the source may lack what the \
              source's tables, statements and collations use.",
        severity: Severity::Both,
        rule: Rule::Servers(version),
    },
    Item {
        name: "server_uuid",
        looks_at: "`server_uuid` of both servers",
        why: "It tells whose changes are whose. One server twice is fine; a copy of a data directory that goes by the uuid of \
              its original is not.",
        severity: Severity::Fails,
        rule: Rule::Servers(server_uuid),
    },
    Item {
        name: "server_id",
        looks_at: "`server_id` of both servers",
        why: "With 0 a server gives its binlog to nobody. Causeway does not go by it otherwise, but MySQL's own replicas take \
              changes with their own number for theirs, and drop them.",
        severity: Severity::Both,
        rule: Rule::Servers(server_id),
    },
    Item {
        name: "lower_case_table_names",
        looks_at: "`lower_case_table_names` of both servers, and the option `object_case`",
        why: "A server that has 1 there keeps all names in lower case, so names do not come out as they stand at the source.",
        severity: Severity::Both,
        rule: Rule::Servers(lower_case_table_names),
    },
    Item {
        name: "sql_mode",
        looks_at: "`sql_mode` of both servers",
        why: "Causeway's own sessions set theirs. But clients that write to both sides get different rows or errors for the \
              same statement, and programs may run in another mode.",
        severity: Severity::Warns,
        rule: Rule::Servers(|way, from, to| {
            let modes = |facts: &Facts| -> BTreeSet<String> {
                facts.variable("sql_mode").split(',').map(str::to_owned).collect()
            };
            Some(alike(way, "sql_mode", from, to, modes(from) == modes(to)))
        }),
    },
    Item {
        name: "time_zone",
        looks_at: "`time_zone` of both servers, and `system_time_zone` where that is SYSTEM",
        why: "TIMESTAMP values travel exactly. But NOW(), events and DATETIME values that clients make differ.",
        severity: Severity::Warns,
        rule: Rule::Servers(time_zone),
    },
    Item {
        name: "character_set_server",
        looks_at: "`character_set_server` and `collation_server` of both servers",
        why: "Databases that are made later get them as their default, where the statement does not say another.",
        severity: Severity::Warns,
        rule: Rule::Servers(|way, from, to| {
            let same = from.variable("collation_server") == to.variable("collation_server");
            let charset = from.variable("character_set_server");
            let mut judged = alike(way, "collation_server", from, to, same);
            if !same {
                // Setting the character set sets its default collation.
                let first = set_text(&way.destination.name, "character_set_server", charset);
                judged.remedy = format!(
                    "{first}; SET PERSIST collation_server = '{}'",
                    from.variable("collation_server")
                );
            }
            Some(judged)
        }),
    },
    Item {
        name: "max_allowed_packet",
        looks_at: "`max_allowed_packet` of both servers",
        why: "A row or a statement that the source took may be more than the destination takes; then the task stops.",
        severity: Severity::Warns,
        rule: Rule::Servers(|way, from, to| {
            let (here, there) = (
                from.number_of("max_allowed_packet")?,
                to.number_of("max_allowed_packet")?,
            );
            let (source, destination) = (&way.source.name, &way.destination.name);
            let found = format!("{here} bytes at {source}, {there} at {destination}");
            let smaller = (there < here).then(|| {
                let value = here.to_string();
                warn(
                    format!("server {destination} takes less than server {source}: {found}"),
                    set(destination, "max_allowed_packet", &value),
                )
            });
            Some(Judged::of(smaller.into_iter().collect(), found))
        }),
    },
    Item {
        name: "max_connections at the source",
        looks_at: "`max_connections` and the connections there are, against the task's `workers`",
        why: "A task that does not get its connections retries until the window ends.",
        severity: Severity::Warns,
        rule: Rule::Source(|way, facts| {
            let copying = if way.options.full_sync {
                u64::from(way.options.workers)
            } else {
                0
            };
            let other = if way.two_way {
                u64::from(way.other_options.workers)
            } else {
                0
            };
            connections(&way.source.name, facts, copying + other)
        }),
    },
    Item {
        name: "max_connections at the destination",
        looks_at: "`max_connections` and the connections there are, against the task's `workers`",
        why: "A task that does not get its connections retries until the window ends.",
        severity: Severity::Warns,
        rule: Rule::Destination(|way, facts| connections(&way.destination.name, facts, u64::from(way.options.workers))),
    },
    Item {
        name: "read-only destination",
        looks_at: "`read_only` and `super_read_only` of the server that is written to",
        why: "Nothing can be applied there. `read_only` alone lets accounts with CONNECTION_ADMIN or SUPER write.",
        severity: Severity::Fails,
        rule: Rule::Destination(|way, facts| Some(read_only(way, facts))),
    },
    Item {
        name: "heartbeat",
        looks_at: "whether the source of a task with `heartbeat = ON` can be written to",
        why: "One row a second there tells how far behind the task is when nothing else changes. Without it lag is not known \
              then; the task works all the same.",
        severity: Severity::Warns,
        rule: Rule::Source(|way, facts| {
            (way.options.heartbeat && way.options.incremental_sync && !way.two_way).then(|| heartbeat(way, facts))
        }),
    },
    Item {
        name: "clock difference",
        looks_at: "the clocks of both servers, measured against ours",
        why: "Lag is told by the clocks. A conflict policy that goes by time would favour the side whose clock is ahead.",
        severity: Severity::Warns,
        rule: Rule::Servers(clock),
    },
    Item {
        name: "free space",
        looks_at: "the size of what is to be copied, and the limit of the destination's system tablespace where tables are in it",
        why: "MySQL does not say how much room its disks have. It says how far a tablespace may grow that was given a limit.",
        severity: Severity::Both,
        rule: Rule::Scope(|way, known| Some(free_space(way, known))),
    },
];

fn version(way: &Way, from: &Facts, to: &Facts) -> Option<Judged> {
    let mut findings = Vec::new();
    for (server, facts) in [(&way.source, from), (&way.destination, to)] {
        findings.extend(supported(&server.name, facts));
    }
    let series = |facts: &Facts| (facts.number.0, facts.number.1);
    let found = format!(
        "server {}: {}; server {}: {}",
        way.source.name, from.version, way.destination.name, to.version
    );
    if series(to) < series(from) {
        findings.push(warn(
            format!("the destination is of an older series than the source ({found})"),
            "upgrade the server, or make sure that nothing newer is used",
        ));
    }
    Some(Judged::of(findings, found))
}

/// Whether a server can be synchronized at all.
pub(super) fn supported(name: &str, facts: &Facts) -> Option<Finding> {
    let good = facts.number >= MIN_VERSION && !facts.version.to_ascii_lowercase().contains("mariadb");
    (!good).then(|| {
        fail(
            format!("server {name}: version is {}", facts.version),
            "Causeway synchronizes MySQL servers from version 8.0.19 on",
        )
    })
}

fn server_uuid(way: &Way, from: &Facts, to: &Facts) -> Option<Judged> {
    let copy = from.server_uuid == to.server_uuid && from.instance() != to.instance();
    let findings = copy.then(|| {
        fail(
            format!(
                "both servers have the server_uuid {}, but they are not one server: one is a copy of the other",
                from.server_uuid
            ),
            "stop one of them, remove auto.cnf from its data directory, and start it again",
        )
    });
    let found = match from.server_uuid == to.server_uuid {
        true => format!("one server, twice: {}", from.server_uuid),
        false => format!(
            "server {}: {}; server {}: {}",
            way.source.name, from.server_uuid, way.destination.name, to.server_uuid
        ),
    };
    Some(Judged::of(findings.into_iter().collect(), found))
}

fn server_id(way: &Way, from: &Facts, to: &Facts) -> Option<Judged> {
    let (here, there) = (from.number_of("server_id")?, to.number_of("server_id")?);
    let mut findings = Vec::new();
    // Another number than both have.
    let free = here
        .max(there)
        .wrapping_add(1)
        .clamp(1, u64::from(u32::MAX))
        .to_string();
    if here == 0 {
        findings.push(fail(
            format!("server {}: server_id is 0", way.source.name),
            set(&way.source.name, "server_id", &free),
        ));
    } else if here == there && from.server_uuid != to.server_uuid {
        findings.push(warn(
            format!(
                "servers {} and {} both have the server_id {here}",
                way.source.name, way.destination.name
            ),
            set(&way.destination.name, "server_id", &free),
        ));
    }
    let found = format!(
        "server {}: {here}; server {}: {there}",
        way.source.name, way.destination.name
    );
    Some(Judged::of(findings, found))
}

fn lower_case_table_names(way: &Way, from: &Facts, to: &Facts) -> Option<Judged> {
    let (here, there) = (from.lower_case_table_names, to.lower_case_table_names);
    let found = format!("{here} at {}, {there} at {}", way.source.name, way.destination.name);
    let mut findings = Vec::new();
    let wanted = way.options.object_case;
    if way.direction == crate::model::task::Direction::Forward {
        if let Err(reason) = crate::plan::name_case::NameCase::at(wanted, there) {
            findings.push(fail(reason, here_set(way, "object_case = 'lower'")));
        } else if there == 1 && here != 1 && wanted == ObjectCase::Source {
            findings.push(warn(
                format!(
                    "server {} keeps all names in lower case ({found})",
                    way.destination.name
                ),
                here_set(way, "object_case = 'lower'"),
            ));
        }
    }
    Some(Judged::of(findings, found))
}

fn here_set(way: &Way, option: &str) -> String {
    here(&format!(
        "ALTER SYNC TASK {} SET ({option})",
        crate::sql::ident::quoted(&way.task)
    ))
}

fn alike(way: &Way, name: &str, from: &Facts, to: &Facts, same: bool) -> Judged {
    let (here, there) = (from.variable(name), to.variable(name));
    let findings = (!same).then(|| {
        warn(
            format!(
                "{name} is '{here}' on server {}, and '{there}' on server {}",
                way.source.name, way.destination.name
            ),
            set_text(&way.destination.name, name, here),
        )
    });
    Judged::of(findings.into_iter().collect(), format!("'{here}' on both"))
}

fn time_zone(way: &Way, from: &Facts, to: &Facts) -> Option<Judged> {
    let zone = |facts: &Facts| match facts.variable("time_zone") {
        "SYSTEM" => facts.variable("system_time_zone").to_owned(),
        zone => zone.to_owned(),
    };
    let (here, there) = (zone(from), zone(to));
    let findings = (here != there).then(|| {
        let remedy = match from.variable("time_zone") {
            "SYSTEM" => "set time_zone alike on both, for instance SET PERSIST time_zone = '+00:00'".to_owned(),
            zone => set_text(&way.destination.name, "time_zone", zone),
        };
        warn(
            format!(
                "time_zone is {here} on server {}, and {there} on server {}",
                way.source.name, way.destination.name
            ),
            remedy,
        )
    });
    Some(Judged::of(findings.into_iter().collect(), format!("{here} on both")))
}

/// `workers`: connections that grow with the task's option.
fn connections(server: &str, facts: &Facts, workers: u64) -> Option<Judged> {
    let most = facts.number_of("max_connections")?;
    let wanted = workers + LINK_CONNECTIONS;
    let found = format!(
        "server {server}: max_connections is {most}, {} are in use, and the task opens up to {wanted}",
        facts.connections
    );
    let findings = (facts.connections + wanted > most).then(|| {
        let enough = (facts.connections + wanted).max(most) + 20;
        warn(found.clone(), set(server, "max_connections", &enough.to_string()))
    });
    Some(Judged::of(findings.into_iter().collect(), found))
}

/// `read_only` does not hold for these.
fn may_write_to_read_only(facts: &Facts) -> bool {
    facts.grants.has("CONNECTION_ADMIN") || facts.grants.has("SUPER")
}

fn locked(facts: &Facts) -> Option<&'static str> {
    match (facts.is_on("super_read_only"), facts.is_on("read_only")) {
        (true, _) => Some("super_read_only"),
        (false, true) if !may_write_to_read_only(facts) => Some("read_only"),
        _ => None,
    }
}

const WRITABLE: &str = "SET PERSIST super_read_only = OFF; SET PERSIST read_only = OFF";

fn read_only(way: &Way, facts: &Facts) -> Judged {
    let name = &way.destination.name;
    let findings = locked(facts).map(|variable| {
        let account = shown(&facts.account);
        fail(
            format!("server {name}: {variable} is ON, so account {account} can't write there"),
            at(name, WRITABLE),
        )
    });
    Judged::of(
        findings.into_iter().collect(),
        format!("server {name} can be written to"),
    )
}

fn heartbeat(way: &Way, facts: &Facts) -> Judged {
    let name = &way.source.name;
    let findings = locked(facts).map(|variable| {
        warn(
            format!("server {name}: {variable} is ON, so no heartbeat can be written there"),
            here_set(way, "heartbeat = OFF"),
        )
    });
    Judged::of(
        findings.into_iter().collect(),
        format!("server {name} can be written to"),
    )
}

/// `'user'@'host'`, as in GRANT.
pub(super) fn shown(account: &Account) -> String {
    use crate::sql::literal::string;
    format!("{}@{}", string(&account.user), string(&account.host))
}

/// Whether a policy decides by clocks.
fn goes_by_time(policy: ConflictPolicy) -> bool {
    match policy {
        ConflictPolicy::Fail | ConflictPolicy::Ignore | ConflictPolicy::Overwrite => false,
    }
}

fn clock(way: &Way, from: &Facts, to: &Facts) -> Option<Judged> {
    let apart = from.clock_ms.0.abs_diff(to.clock_ms.0);
    let by_time = [&way.options, &way.other_options]
        .into_iter()
        .any(|options| goes_by_time(options.conflict_policy));
    let limit = if by_time { CLOCK_POLICY_MS } else { CLOCK_SHOWN_MS };
    Some(clocks(way, apart, from.clock_ms.1 + to.clock_ms.1, limit))
}

fn clocks(way: &Way, apart_ms: u64, unsure_ms: u64, limit_ms: u64) -> Judged {
    let found = format!(
        "the clocks of servers {} and {} are {}.{:03} s apart (measured to {}.{:03} s)",
        way.source.name,
        way.destination.name,
        apart_ms / 1000,
        apart_ms % 1000,
        unsure_ms / 1000,
        unsure_ms % 1000
    );
    let findings = (apart_ms > limit_ms + unsure_ms).then(|| {
        warn(
            found.clone(),
            "set the clocks of both machines right, and let NTP keep them so",
        )
    });
    Judged::of(findings.into_iter().collect(), found)
}

fn free_space(way: &Way, known: &Known<'_>) -> Judged {
    let scope = known.scope;
    let copies = scope
        .tables
        .iter()
        .filter(|table| table.copied && scope.applied.is_none() && way.options.full_sync);
    let bytes: u64 = copies
        .filter_map(|table| scope.source.tables.get(&table.from))
        .map(|table| table.bytes)
        .sum();
    let name = &way.destination.name;
    let in_system = !known.destination.is_on("innodb_file_per_table");
    let limit = limit_bytes(known.destination.variable("innodb_data_file_path")).filter(|_| in_system);
    let size = mib(bytes);
    let findings = match limit {
        Some(limit) if bytes > limit => vec![fail(
            format!(
                "{size} are to be copied, and the system tablespace of server {name}, which takes them, ends at {}",
                mib(limit)
            ),
            set(name, "innodb_file_per_table", "ON"),
        )],
        _ => Vec::new(),
    };
    Judged::of(
        findings,
        match limit {
            Some(limit) => format!(
                "{size} are to be copied; the system tablespace of server {name} ends at {}",
                mib(limit)
            ),
            None => format!("{size} are to be copied; MySQL does not say how much room server {name} has"),
        },
    )
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

/// How far the files of `innodb_data_file_path` may grow; `None`: without end. `ibdata1:12M:autoextend:max:500M`.
fn limit_bytes(path: &str) -> Option<u64> {
    let size = |text: &str| {
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit = match text.get(digits.len()..).unwrap_or_default() {
            "K" | "k" => 1 << 10,
            "M" | "m" => 1 << 20,
            "G" | "g" => 1 << 30,
            _ => 1,
        };
        digits.parse::<u64>().ok().map(|number| number.saturating_mul(unit))
    };
    let mut all: u64 = 0;
    for file in path.split(';').filter(|file| !file.is_empty()) {
        let parts: Vec<&str> = file.split(':').collect();
        let last = match parts.iter().position(|part| *part == "max") {
            Some(place) => parts.get(place + 1),
            None if parts.contains(&"autoextend") => return None,
            None => parts.get(1),
        };
        all = all.saturating_add(last.and_then(|text| size(text))?);
    }
    (all > 0).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tablespaces_end_where_they_were_given_a_limit() {
        for (path, expected) in [
            ("ibdata1:12M:autoextend", None),
            ("ibdata1:12M:autoextend:max:500M", Some(500 << 20)),
            ("a:1G;b:12M:autoextend:max:1G", Some(2 << 30)),
            ("a:10M", Some(10 << 20)),
            ("", None),
        ] {
            assert_eq!(limit_bytes(path), expected, "{path}");
        }
    }
}
