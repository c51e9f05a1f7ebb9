//! Every rule over facts that are as they should be, but for one thing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    facts::{Contents, Facts, ForeignKeySeen, SameName, Scope, Selected, Server, TableSeen, Way},
    privileges::{Need, On, Purpose},
    *,
};
use crate::{
    model::{
        grants::Grants,
        name::TableName,
        server::{Address, SslMode},
        stored::Account,
        table::{Family, Table, TableColumn},
        task::{ConflictPolicy, Direction, ExistingTables, ObjectCase, ObjectRule, Selection, TaskOptions},
    },
    plan::{compare::Difference, objects::Objects, online::Online},
};

const UUIDS: [&str; 2] = [
    "00000000-0000-0000-0000-000000000001",
    "00000000-0000-0000-0000-000000000002",
];

fn server(name: &str, number: usize) -> Server {
    let variables = [
        ("auto_increment_increment", "2".to_owned()),
        ("auto_increment_offset", (number + 1).to_string()),
        ("binlog_expire_logs_auto_purge", "ON".to_owned()),
        ("binlog_expire_logs_seconds", "2592000".to_owned()),
        ("binlog_format", "ROW".to_owned()),
        ("binlog_row_image", "FULL".to_owned()),
        ("binlog_row_metadata", "FULL".to_owned()),
        ("binlog_row_value_options", String::new()),
        ("character_set_server", "utf8mb4".to_owned()),
        ("collation_server", "utf8mb4_0900_ai_ci".to_owned()),
        ("gtid_mode", "ON".to_owned()),
        ("gtid_purged", String::new()),
        ("innodb_data_file_path", "ibdata1:12M:autoextend".to_owned()),
        ("innodb_file_per_table", "ON".to_owned()),
        ("log_bin", "ON".to_owned()),
        ("log_bin_trust_function_creators", "ON".to_owned()),
        ("log_replica_updates", "ON".to_owned()),
        ("max_allowed_packet", "67108864".to_owned()),
        ("max_connections", "151".to_owned()),
        ("port", (3306 + number).to_string()),
        ("server_id", (number + 1).to_string()),
        ("sql_mode", "STRICT_TRANS_TABLES,NO_ZERO_DATE".to_owned()),
        ("time_zone", "SYSTEM".to_owned()),
        ("system_time_zone", "UTC".to_owned()),
    ];
    let facts = Facts {
        server_uuid: UUIDS[number].to_owned(),
        version: "8.4.3".to_owned(),
        number: (8, 4, 3),
        variables: variables
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        account: Account {
            user: "sync".to_owned(),
            host: "10.%".to_owned(),
        },
        grants: Grants::default(),
        encryption: "TLSv1.3".to_owned(),
        binlog_filters: Some((String::new(), String::new())),
        may_replicate: true,
        is_replica: Some(false),
        clock_ms: (5, 1),
        connections: 3,
        prepared: Some(Vec::new()),
        ..Facts::default()
    };
    Server {
        name: name.to_owned(),
        address: Address::Tcp {
            host: "db.example".to_owned(),
            port: 3306,
        },
        ssl_mode: SslMode::Preferred,
        facts: Ok(facts),
    }
}

fn table(name: &str) -> TableName {
    TableName::new("shop", name)
}

fn seen() -> TableSeen {
    TableSeen {
        engine: "InnoDB".to_owned(),
        transactional: true,
        bytes: 5 << 20,
        primary_key: true,
        auto_increment: true,
        collations: BTreeSet::from(["latin1_bin".to_owned()]),
    }
}

fn contents() -> Contents {
    Contents {
        databases: ["mysql", "shop"].map(str::to_owned).into(),
        tables: BTreeMap::from([(table("t"), seen())]),
        collations: BTreeSet::from(["latin1_bin".to_owned()]),
        ..Contents::default()
    }
}

fn of_database(name: &str) -> ObjectRule {
    ObjectRule::Include(Selection {
        database: name.to_owned(),
        ..Selection::default()
    })
}

fn objects(rules: &[ObjectRule]) -> Objects {
    Objects::new(Direction::Forward, rules, None).with_online(Online::new(&TaskOptions::default()))
}

/// A two-way task that nothing keeps from starting.
fn good() -> Way {
    let scope = Scope {
        objects: objects(&[of_database("shop")]),
        both_ways: true,
        applied: None,
        source: contents(),
        destination: Contents {
            tables: BTreeMap::new(),
            ..contents()
        },
        tables: vec![Selected {
            from: table("t"),
            to: table("t"),
            copied: true,
        }],
        definitions: HashMap::new(),
        same_names: Vec::new(),
        stored_in_the_way: Ok(Vec::new()),
        wrong_filters: Vec::new(),
        unguarded_triggers: Vec::new(),
        missing: Vec::new(),
    };
    Way {
        task: "orders".to_owned(),
        direction: Direction::Forward,
        two_way: true,
        options: TaskOptions::default(),
        other_options: TaskOptions::default(),
        source: server("hq", 0),
        destination: server("branch", 1),
        scope: Ok(scope),
    }
}

fn facts(server: &mut Server) -> &mut Facts {
    server.facts.as_mut().unwrap()
}

fn scope(way: &mut Way) -> &mut Scope {
    way.scope.as_mut().unwrap()
}

fn set_source(name: &'static str, value: &'static str) -> impl Fn(&mut Way) {
    move |way| {
        facts(&mut way.source)
            .variables
            .insert(name.to_owned(), value.to_owned());
    }
}

fn set_destination(name: &'static str, value: &'static str) -> impl Fn(&mut Way) {
    move |way| {
        facts(&mut way.destination)
            .variables
            .insert(name.to_owned(), value.to_owned());
    }
}

/// One item, with one thing changed: what it comes to, and a part of what is found and of the remedy.
fn check(name: &str, change: impl Fn(&mut Way), result: Verdict, found: &str, remedy: &str) {
    let mut way = good();
    change(&mut way);
    let judged = item(name).unwrap_or_else(|| panic!("no item {name}")).judge(&way);
    let judged = judged.unwrap_or_else(|| panic!("{name} says nothing"));
    assert_eq!(judged.result, result, "{name}: {judged:?}");
    assert!(
        judged.found.contains(found) && judged.remedy.contains(remedy),
        "{name}: {found} {remedy}: {judged:?}"
    );
    assert_eq!(
        judged.remedy.is_empty(),
        matches!(result, Verdict::Pass | Verdict::Skip) && remedy.is_empty()
    );
}

#[test]
fn what_is_as_it_should_be_passes() {
    let rows = judge(&good(), Depth::Whole);
    assert!(rows.len() > 40, "{}", rows.len());
    for row in rows {
        assert_eq!((row.result, row.remedy.as_str()), (Verdict::Pass, ""), "{row:?}");
    }
}

#[test]
fn servers_out_of_reach_fail_and_what_they_were_to_say_is_not_taken_for_a_pass() {
    let mut way = good();
    way.destination.facts = Err("connecting to server branch: refused".to_owned());
    for row in judge(&way, Depth::Whole) {
        let expected = match item(row.item).unwrap().rule {
            Rule::Source(_) => Verdict::Pass,
            Rule::Any(_) if row.item == "connection to the destination" => Verdict::Fail,
            Rule::Any(_) => Verdict::Pass,
            _ => Verdict::Skip,
        };
        assert_eq!(row.result, expected, "{row:?}");
        assert!(row.result != Verdict::Skip || !row.found.is_empty());
    }
    way = good();
    way.scope = Err("listing tables: 1142".to_owned());
    for row in judge(&way, Depth::Whole) {
        let expected = match item(row.item).unwrap().rule {
            Rule::Scope(_) => Verdict::Skip,
            Rule::Found(_) => Verdict::Fail,
            _ => Verdict::Pass,
        };
        assert_eq!(row.result, expected, "{row:?}");
    }
    assert!(judge(&way, Depth::Servers).len() > 20);
}

#[test]
fn servers_are_judged_by_their_settings() {
    use Verdict::{Fail, Pass, Skip, Warn};
    let tls = |mode, local: bool| {
        move |way: &mut Way| {
            way.source.ssl_mode = mode;
            facts(&mut way.source).encryption.clear();
            if local {
                way.source.address = Address::default();
            }
        }
    };
    check(
        "encryption",
        tls(SslMode::Preferred, false),
        Warn,
        "not encrypted",
        "ALTER SERVER hq",
    );
    check("encryption", tls(SslMode::Preferred, true), Pass, "none", "");
    check("encryption", tls(SslMode::Disabled, false), Pass, "none", "");
    check(
        "encryption",
        tls(SslMode::Required, false),
        Fail,
        "SSL_MODE is REQUIRED",
        "TLS",
    );
    check(
        "version",
        |way| facts(&mut way.source).number = (8, 0, 18),
        Fail,
        "server hq",
        "8.0.19",
    );
    check(
        "version",
        |way| facts(&mut way.source).version = "10.11.6-MariaDB".to_owned(),
        Fail,
        "MariaDB",
        "8.0.19",
    );
    check(
        "version",
        |way| facts(&mut way.source).number = (9, 7, 0),
        Warn,
        "older series",
        "upgrade",
    );
    check(
        "version",
        |way| facts(&mut way.destination).number = (9, 7, 0),
        Pass,
        "",
        "",
    );
    let twin = |way: &mut Way| facts(&mut way.destination).server_uuid = UUIDS[0].to_owned();
    check("server_uuid", twin, Fail, "copy of the other", "auto.cnf");
    check(
        "server_uuid",
        |way| way.destination = way.source.clone(),
        Pass,
        "one server, twice",
        "",
    );
    check(
        "server_id",
        set_destination("server_id", "1"),
        Warn,
        "both have",
        "branch */ SET PERSIST server_id = 2",
    );
    check(
        "server_id",
        set_source("server_id", "0"),
        Fail,
        "is 0",
        "/* at hq */ SET PERSIST server_id = 3",
    );
    let lower = |way: &mut Way| facts(&mut way.destination).lower_case_table_names = 1;
    check(
        "lower_case_table_names",
        lower,
        Warn,
        "lower case",
        "object_case = 'lower'",
    );
    let upper = |way: &mut Way| {
        lower(way);
        way.options.object_case = ObjectCase::Upper;
    };
    check(
        "lower_case_table_names",
        upper,
        Fail,
        "can't be had",
        "ALTER SYNC TASK `orders`",
    );
    check(
        "sql_mode",
        set_destination("sql_mode", "ANSI_QUOTES"),
        Warn,
        "ANSI_QUOTES",
        "/* at branch */ SET PERSIST sql_mode = 'STRICT_TRANS_TABLES,NO_ZERO_DATE'",
    );
    check(
        "sql_mode",
        set_destination("sql_mode", "NO_ZERO_DATE,STRICT_TRANS_TABLES"),
        Pass,
        "",
        "",
    );
    check(
        "time_zone",
        set_destination("time_zone", "+02:00"),
        Warn,
        "+02:00",
        "SET PERSIST time_zone",
    );
    check("time_zone", set_destination("time_zone", "UTC"), Pass, "UTC", "");
    check(
        "character_set_server",
        set_destination("collation_server", "latin1_bin"),
        Warn,
        "latin1_bin",
        "SET PERSIST character_set_server = 'utf8mb4'; SET PERSIST collation_server = 'utf8mb4_0900_ai_ci'",
    );
    check(
        "max_allowed_packet",
        set_destination("max_allowed_packet", "1024"),
        Warn,
        "less",
        "= 67108864",
    );
    check(
        "max_connections at the source",
        set_source("max_connections", "10"),
        Warn,
        "opens up to 12",
        "= 35",
    );
    check(
        "max_connections at the destination",
        set_destination("max_connections", "10"),
        Warn,
        "branch",
        "= 31",
    );
    check(
        "read-only destination",
        set_destination("read_only", "ON"),
        Fail,
        "'sync'@'10.%'",
        "read_only = OFF",
    );
    check(
        "read-only destination",
        set_destination("super_read_only", "ON"),
        Fail,
        "super_read_only",
        "/* at branch */",
    );
    let admin = |way: &mut Way| {
        set_destination("read_only", "ON")(way);
        facts(&mut way.destination).grants = Grants::parse(["GRANT CONNECTION_ADMIN ON *.* TO `sync`@`10.%`"]);
    };
    check("read-only destination", admin, Pass, "", "");
    let one_way = |way: &mut Way| {
        way.two_way = false;
        set_source("read_only", "ON")(way);
    };
    check("heartbeat", one_way, Warn, "hq", "heartbeat = OFF");
    let clock = |way: &mut Way| facts(&mut way.source).clock_ms = (-90_000, 10);
    check("clock difference", clock, Warn, "90.005 s apart", "NTP");
    let small = |way: &mut Way| {
        set_destination("innodb_file_per_table", "OFF")(way);
        set_destination("innodb_data_file_path", "ibdata1:2M")(way);
    };
    check(
        "free space",
        small,
        Fail,
        "5 MiB are to be copied",
        "innodb_file_per_table = ON",
    );
    check(
        "prepared xa transactions",
        |way| facts(&mut way.source).prepared = None,
        Skip,
        "does not show",
        "XA_RECOVER_ADMIN",
    );
}

#[test]
fn binlogs_are_judged_by_what_they_hold() {
    use Verdict::{Fail, Pass, Warn};
    check(
        "log_bin",
        set_source("log_bin", "OFF"),
        Fail,
        "log_bin is OFF",
        "--log-bin",
    );
    check(
        "binlog_format",
        set_source("binlog_format", "MIXED"),
        Fail,
        "hq: binlog_format is MIXED",
        "= 'ROW'",
    );
    check(
        "binlog_row_image",
        set_source("binlog_row_image", "MINIMAL"),
        Fail,
        "MINIMAL",
        "/* at hq */ SET PERSIST",
    );
    check(
        "binlog_row_value_options",
        set_source("binlog_row_value_options", "PARTIAL_JSON"),
        Fail,
        "PARTIAL",
        "= ''",
    );
    check(
        "binlog_row_metadata",
        set_source("binlog_row_metadata", "MINIMAL"),
        Warn,
        "MINIMAL",
        "= 'FULL'",
    );
    check(
        "gtid_mode",
        set_source("gtid_mode", "OFF_PERMISSIVE"),
        Fail,
        "OFF_PERMISSIVE",
        "SET PERSIST enforce_gtid_consistency = ON; SET PERSIST gtid_mode = ON_PERMISSIVE; SET PERSIST gtid_mode = ON",
    );
    check(
        "gtid_mode",
        set_source("gtid_mode", "OFF"),
        Fail,
        "gtid_mode is OFF",
        "OFF_PERMISSIVE",
    );
    check(
        "log_replica_updates",
        set_source("log_replica_updates", "OFF"),
        Warn,
        "as soon as",
        "--log-replica-updates",
    );
    let replica = |way: &mut Way| {
        set_source("log_replica_updates", "OFF")(way);
        facts(&mut way.source).is_replica = Some(true);
    };
    check(
        "log_replica_updates",
        replica,
        Fail,
        "is a replica itself",
        "--log-replica-updates",
    );
    let filters = |only: &'static str, not: &'static str| {
        move |way: &mut Way| facts(&mut way.source).binlog_filters = Some((only.to_owned(), not.to_owned()))
    };
    check(
        "binlog filters",
        filters("shop", ""),
        Fail,
        "binlog_do_db: shop",
        "binlog_do_db=causeway",
    );
    check(
        "binlog filters",
        filters("", "causeway,x"),
        Fail,
        "kept out",
        "binlog_ignore_db=causeway",
    );
    check("binlog filters", filters("shop,causeway", ""), Pass, "", "");
    check(
        "binlog filters",
        |way| facts(&mut way.source).binlog_filters = None,
        Fail,
        "'sync'",
        "GRANT REPLICATION CLIENT",
    );
    check(
        "selected databases in the binlog",
        filters("causeway", ""),
        Fail,
        "keeps shop out",
        "binlog_do_db",
    );
    check(
        "selected databases in the binlog",
        filters("causeway,shop", ""),
        Pass,
        "",
        "",
    );
    let kept = |seconds: &'static str, full: bool| {
        move |way: &mut Way| {
            set_source("binlog_expire_logs_seconds", seconds)(way);
            way.options.full_sync = full;
        }
    };
    check(
        "binlog retention",
        kept("86400", true),
        Warn,
        "24 hours",
        "binlog_expire_logs_seconds = 604800",
    );
    check("binlog retention", kept("86400", false), Pass, "24 hours", "");
    check("binlog retention", kept("3600", false), Warn, "1 hours", "= 86400");
    check("binlog retention", kept("0", true), Pass, "not removed", "");
    let purged = |way: &mut Way| {
        facts(&mut way.source)
            .variables
            .insert("gtid_purged".to_owned(), format!("{}:1-9", UUIDS[0]));
    };
    check("start position", purged, Pass, "present position", "");
    let applied = |last: u64| {
        move |way: &mut Way| {
            purged(way);
            scope(way).applied = Some(format!("{}:1-{last}", UUIDS[0]).parse().unwrap());
        }
    };
    check("start position", applied(9), Pass, "", "");
    check(
        "start position",
        applied(7),
        Fail,
        &format!("{}:8-9", UUIDS[0]),
        "create it anew",
    );
    let prepared = |way: &mut Way| facts(&mut way.source).prepared = Some(vec!["X'61',X'',1".to_owned()]);
    check(
        "prepared xa transactions",
        prepared,
        Fail,
        "1 prepared",
        "XA ROLLBACK X'61',X'',1",
    );
}

#[test]
fn what_is_selected_is_judged_as_it_is_there() {
    use Verdict::{Fail, Pass, Warn};
    let selects = |rules: &'static [&'static str]| {
        move |way: &mut Way| {
            let rules: Vec<ObjectRule> = rules.iter().map(|name| of_database(name)).collect();
            scope(way).objects = objects(&rules);
        }
    };
    check(
        "selected objects",
        selects(&["shop", "nodb"]),
        Warn,
        "nothing that fits nodb.*",
        "OBJECTS",
    );
    check("selected objects", selects(&["nodb"]), Warn, "nodb.*", "OBJECTS");
    let without_ddl = |way: &mut Way| {
        selects(&["nodb"])(way);
        way.options.exclude_ddl = true;
    };
    check("selected objects", without_ddl, Fail, "nodb.*", "OBJECTS");
    let keyless = |way: &mut Way| {
        let scope = scope(way);
        scope.source.tables.get_mut(&table("t")).unwrap().primary_key = false;
        scope.definitions.insert(table("t"), definition());
    };
    check(
        "keys that tell rows apart",
        keyless,
        Fail,
        "shop.t has neither",
        "/* at hq */ ALTER TABLE `shop`.`t` ADD",
    );
    let begun = |way: &mut Way| {
        keyless(way);
        scope(way).applied = Some(Default::default());
    };
    check("keys that tell rows apart", begun, Warn, "shop.t", "ALTER TABLE");
    let no_schema = |databases: &'static [&'static str]| {
        move |way: &mut Way| {
            way.options.schema_sync = false;
            scope(way).destination.databases = databases.iter().map(|name| (*name).to_owned()).collect();
        }
    };
    let there = "databases and tables at the destination";
    check(
        there,
        no_schema(&[]),
        Fail,
        "no database shop",
        "/* at branch */ CREATE DATABASE `shop`",
    );
    check(there, no_schema(&["shop"]), Fail, "no table shop.t", "schema_sync = ON");
    let filtered = |way: &mut Way| {
        let ObjectRule::Include(mut selection) = of_database("shop") else {
            unreachable!()
        };
        selection.filter = Some("x = 1".to_owned());
        scope(way).objects = objects(&[ObjectRule::Include(selection)]);
        scope(way).wrong_filters = vec!["no column x".to_owned()];
    };
    check("row filters", filtered, Fail, "no column x", "condition");
    let key = |parent: &'static str, acts: bool| {
        move |way: &mut Way| {
            scope(way).source.foreign_keys.push(ForeignKeySeen {
                child: table("t"),
                name: "k".to_owned(),
                parent: TableName::new(parent, "p"),
                acts,
            });
        }
    };
    check(
        "foreign-key parents",
        key("other", false),
        Warn,
        "other.p (of shop.t)",
        "ADD OBJECTS (`other`.`p`)",
    );
    check("foreign-key parents", key("shop", true), Pass, "", "");
    check(
        "cascades",
        key("other", true),
        Fail,
        "CASCADE or SET NULL to other.p",
        "ON DELETE RESTRICT",
    );
    check("cascades", key("other", false), Pass, "", "");
    let logged = |way: &mut Way| {
        key("other", true)(way);
        set_source("innodb_native_foreign_keys", "OFF")(way);
    };
    check("cascades", logged, Pass, "logs", "");
    let engine = |here: bool, there: bool| {
        move |way: &mut Way| {
            let other = || TableSeen {
                engine: "MyISAM".to_owned(),
                transactional: false,
                ..seen()
            };
            let scope = scope(way);
            if here {
                scope.source.tables.insert(table("t"), other());
            }
            if there || !here {
                let seen = if there { other() } else { seen() };
                scope.destination.tables.insert(table("t"), seen);
            }
        }
    };
    let engines = "engines without transactions";
    check(
        engines,
        engine(true, false),
        Fail,
        "same engine",
        "/* at hq */ ALTER TABLE `shop`.`t` ENGINE = InnoDB",
    );
    check(
        engines,
        engine(false, true),
        Fail,
        "shop.t (MyISAM)",
        "/* at branch */ ALTER TABLE",
    );
    let read = |way: &mut Way| {
        engine(true, false)(way);
        scope(way).destination.tables.insert(table("t"), seen());
    };
    check(engines, read, Warn, "rolled back", "/* at hq */");
    let collation = |way: &mut Way| scope(way).destination.collations.clear();
    check(
        "character sets and collations",
        collation,
        Fail,
        "latin1_bin of shop.t",
        "CONVERT TO",
    );
    let trigger = |way: &mut Way| {
        scope(way)
            .unguarded_triggers
            .push((table("g"), "DELIMITER //".to_owned()))
    };
    check("triggers at the receiving side", trigger, Warn, "shop.g", "\nDELIMITER");
    let event = |two_way: bool, at_source: bool| {
        move |way: &mut Way| {
            way.two_way = two_way;
            scope(way).source.events.insert(table("e"), at_source);
            scope(way).destination.events.insert(table("e"), true);
        }
    };
    let events = "events at the receiving side";
    check(
        events,
        event(true, true),
        Warn,
        "shop.e",
        "ALTER EVENT `shop`.`e` DISABLE ON REPLICA",
    );
    check(events, event(true, false), Pass, "", "");
    check(events, event(false, false), Warn, "shop.e", "/* at branch */");
    let trust = |way: &mut Way| {
        set_destination("log_bin_trust_function_creators", "OFF")(way);
        scope(way).source.programs.insert("shop".to_owned());
    };
    check(
        "log_bin_trust_function_creators",
        trust,
        Fail,
        "in shop",
        "/* at branch */ SET PERSIST",
    );
    let shadow = |way: &mut Way| {
        scope(way).source.tables.insert(table("_t_gho"), seen());
    };
    check("online schema change", shadow, Warn, "shop._t_gho", "DROP TABLE");
    let others = |way: &mut Way| {
        scope(way).source.tables.insert(table("_u_gho"), seen());
    };
    check("online schema change", others, Pass, "", "");
    check(
        "auto_increment",
        set_source("auto_increment_offset", "2"),
        Warn,
        "shop.t",
        "auto_increment_offset = 1",
    );
    let policies = |way: &mut Way| {
        way.options.conflict_policy = ConflictPolicy::Overwrite;
        way.other_options.conflict_policy = ConflictPolicy::Overwrite;
    };
    check(
        "conflict policy",
        policies,
        Warn,
        "change places",
        "REVERSE SET (conflict_policy = 'ignore')",
    );
    let missing = |way: &mut Way| {
        for privilege in ["INSERT", "UPDATE"] {
            scope(way).missing.push(Need {
                purpose: Purpose::Apply,
                at_source: false,
                on: On::Database("my_shop".to_owned()),
                privilege,
                fails: true,
            });
        }
    };
    check(
        "privileges to apply",
        missing,
        Fail,
        "account 'sync'@'10.%' at server branch lacks INSERT, UPDATE on my_shop.*",
        "/* at branch */ GRANT INSERT, UPDATE ON `my\\_shop`.* TO 'sync'@'10.%'",
    );
}

/// A table whose rows can't be told apart.
fn definition() -> Table {
    Table {
        name: table("t"),
        columns: vec![TableColumn {
            name: "v".into(),
            family: Family::Integer,
            column_type: "int".into(),
            nullable: true,
            generated: false,
            on_update: false,
            default: None,
            auto_increment: false,
        }],
        unique_keys: vec![],
        foreign_keys: vec![],
        references: vec![],
    }
}

#[test]
fn what_is_there_under_the_same_name_is_in_the_way_or_has_to_fit() {
    use Verdict::{Fail, Pass, Warn};
    let same = |existing: ExistingTables, breaking: bool, generated: bool| {
        move |way: &mut Way| {
            way.options.existing_tables = existing;
            scope(way).same_names = vec![SameName {
                from: table("t"),
                to: table("t"),
                differences: Some(vec![Difference {
                    breaking,
                    text: "column c differs".to_owned(),
                    generated,
                }]),
            }];
        }
    };
    let (error, proceed) = (ExistingTables::Error, ExistingTables::Proceed);
    let at_destination = "tables at the destination";
    check(
        at_destination,
        same(error, false, false),
        Fail,
        "column c differs",
        "existing_tables = 'proceed'",
    );
    check(at_destination, same(proceed, true, false), Pass, "1 are there", "");
    check(
        "table definitions",
        same(proceed, true, false),
        Fail,
        "can't take the rows",
        "ALTER TABLE",
    );
    check(
        "table definitions",
        same(proceed, false, false),
        Warn,
        "goes on with it",
        "ALTER TABLE",
    );
    check("table definitions", same(proceed, true, true), Pass, "", "");
    check(
        "generated columns",
        same(proceed, true, true),
        Fail,
        "column c",
        "ALTER TABLE",
    );
    check(
        "generated columns",
        same(proceed, false, true),
        Warn,
        "column c",
        "ALTER TABLE",
    );
    let stored = |way: &mut Way| scope(way).stored_in_the_way = Ok(vec!["view shop.v".to_owned()]);
    check(
        "views and programs at the destination",
        stored,
        Fail,
        "there is view shop.v already",
        "proceed",
    );
    let two = |way: &mut Way| {
        scope(way).tables.push(Selected {
            from: table("T"),
            to: table("t"),
            copied: true,
        });
    };
    check(
        "one name for two tables",
        two,
        Fail,
        "shop.t and shop.T would all become shop.t",
        "OBJECTS",
    );
}

#[test]
fn names_of_items_are_short_phrases_and_stand_once() {
    let names: Vec<&str> = items().map(|item| item.name).collect();
    for name in &names {
        assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{name}");
        assert!(name.len() <= 42 && *name == name.to_lowercase(), "{name}");
    }
    assert_eq!(item(" Log_Bin ").map(|item| item.name), Some("log_bin"));
    assert!(item("no such thing").is_none());
}

#[test]
fn the_page_of_the_items_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/precheck.md");
    let page = page::page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    assert!(
        std::fs::read_to_string(path).unwrap_or_default() == page,
        "docs/precheck.md is not what src/precheck says: UPDATE_DOCS=1 cargo test --lib precheck writes it anew"
    );
}
