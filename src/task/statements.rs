//! What becomes of a statement in the binlog, in each direction. Pure but for the store's log.

use std::collections::HashSet;

use crate::{
    ddl::{self, Kind, Mapping, Object, RewriteError, Role, Statement, StatementContext, Unclassified},
    model::{
        history::Details,
        name::{OWN_DATABASE, TableName},
        stored::{StoredKind, StoredName},
        task::Direction,
    },
    plan::{self, assemble, moves::Moves, objects::Objects, online::CutOver, operations},
    schema::create::MARK,
    sql::ident,
};

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It does not concern this link.
    Nothing,
    /// Causeway has dropped these tables there, as their copy began anew.
    OwnDrop(Vec<TableName>),
    /// Causeway ran it there itself.
    Echo,
    /// Run it at the destination.
    Apply(Box<Rewritten>),
    /// It changes the shadow of a table, which is hidden: keep this text (with the source's names) for the cut-over.
    Hide(String, TableName),
    /// The shadow, hidden so far, takes the table's place: what was kept for it is run on the table.
    CutOver(CutOver),
    /// It takes tables into the selection, or out of it.
    Move(Moves),
    /// The shadow is gone.
    Unhide(Vec<TableName>),
    /// DDL goes forward only: it stays where it was made, and is listed.
    Refused,
    /// `exclude_ddl` leaves it out.
    Excluded,
    /// DROP DATABASE: what of it is dropped depends on what is at the destination, see [`super::databases`].
    DropDatabase {
        /// The database at the source.
        database: String,
        /// The statement under the destination's names, if the database is selected as a whole.
        whole: Option<Box<Rewritten>>,
    },
    /// Not among what is carried; listed.
    Ignored(&'static str),
    /// The link must stop: the sentence says why.
    Stop(String),
}

/// A statement under the destination's names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rewritten {
    /// Its text.
    pub text: String,
    /// The destination's tables it makes, changes or drops.
    pub tables: Vec<TableName>,
    /// The destination's databases it makes, changes or drops.
    pub databases: Vec<String>,
    /// What it means for rows that are older, but for the definitions before it.
    pub details: Details,
    /// The destination's views, routines, triggers and events it makes, changes or drops.
    pub stored: Vec<StoredName>,
    /// The destination's database in which it looks up names without one.
    pub default_database: Option<String>,
    /// CREATE TABLE … SELECT: rows follow in the same transaction of the source.
    pub has_rows: bool,
}

/// What is known of both servers that a verdict depends on.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// See [`Keys`].
    pub keys: Keys,
    /// Tables of the source that were copied after the statement had been run there: for them it is in the copy.
    pub covered: HashSet<TableName>,
    /// Tables whose copy has not come to its end, as the source has them no more.
    pub half_copied: HashSet<TableName>,
    /// In the reverse direction: tables that Causeway itself has dropped there, see [`super::link::Shared::dropped`].
    pub dropped: HashSet<TableName>,
}

/// Keys and constraints, in lower case, of the destination's counterparts of tables of which columns are listed.
pub type Keys = HashSet<(TableName, String)>;

/// Decides. `echo` is the statement that Causeway last said it would run on this server, see
/// [`crate::apply::ddl`].
pub fn judge(
    statement: &assemble::Statement,
    direction: Direction,
    objects: &Objects,
    exclude_ddl: bool,
    version: u32,
    echo: Option<&str>,
    known: &Known,
) -> Verdict {
    let keys = &known.keys;
    let context = StatementContext {
        default_database: (!statement.database.is_empty()).then_some(statement.database.as_str()),
        sql_mode: statement.status.sql_mode.unwrap_or(0),
        server_version: version,
    };
    let parsed = match ddl::classify(&statement.text, &context) {
        Ok(parsed) => parsed.with_names(&|name| objects.as_kept(name)),
        Err(error) => return unclassified(statement, direction, &error),
    };
    if parsed
        .targets()
        .any(|target| target.name.database.eq_ignore_ascii_case(OWN_DATABASE))
    {
        return Verdict::Nothing;
    }
    let of_covered_database = |name: &TableName| known.covered.contains(&TableName::new(&name.database, ""));
    let on_a_database = matches!(
        parsed.kind,
        Kind::CreateDatabase | Kind::AlterDatabase | Kind::DropDatabase
    );
    if (on_a_database || parsed.stored_kind().is_some())
        && parsed.targets().next().is_some()
        && parsed.targets().all(|target| of_covered_database(&target.name))
    {
        // The database came in as it was later on.
        return Verdict::Nothing;
    }
    let selected =
        |name: &TableName| !known.covered.contains(name) && mapped(objects, parsed.stored_kind(), name).is_some();
    if direction == Direction::Forward
        && objects.online().is_hidden()
        && let Some(verdict) = on_a_shadow(&parsed, objects, exclude_ddl)
    {
        return verdict;
    }
    if direction == Direction::Forward
        && !exclude_ddl
        && let Some(moves) = Moves::of(&parsed, objects, &known.covered, &known.half_copied)
    {
        return Verdict::Move(moves);
    }
    let concerns = parsed.targets().any(|target| selected(&target.name)) || concerns_in_part(&parsed, objects);
    match &parsed.kind {
        kind if parsed.is_transaction_control() => {
            debug_assert!(!matches!(kind, Kind::Dml(_)));
            return Verdict::Nothing;
        }
        Kind::TableMaintenance | Kind::Account(_) | Kind::ServerAdministration => return Verdict::Nothing,
        Kind::CreateTable { temporary: true, .. } | Kind::DropTable { temporary: true, .. } => return Verdict::Nothing,
        Kind::Dml(verb) if concerns || parsed.targets().next().is_none() => {
            let tables: Vec<String> = parsed.targets().map(|target| target.name.to_string()).collect();
            return Verdict::Stop(format!(
                "a change ({} {}) at {} was logged as a statement, not as rows; set binlog_format=ROW at the source (also \
                 for the sessions that write), and start the task again with full sync",
                format!("{verb:?}").to_uppercase(),
                tables.join(", "),
                statement.header.position
            ));
        }
        Kind::Dml(_) => return Verdict::Nothing,
        _ if !concerns => return Verdict::Nothing,
        _ => {}
    }
    if direction == Direction::Reverse {
        if matches!(parsed.kind, Kind::CreateTable { .. } | Kind::AlterTable) && statement.text.ends_with(MARK) {
            return Verdict::Nothing;
        }
        // The server words a DROP TABLE anew, so it can't be marked.
        let is_dropped = |name: &TableName| known.dropped.contains(name);
        if matches!(parsed.kind, Kind::DropTable { .. }) && parsed.targets().all(|target| is_dropped(&target.name)) {
            return Verdict::OwnDrop(parsed.targets().map(|target| target.name.clone()).collect());
        }
        return if echo.is_some_and(|echo| same_statement(&parsed, echo, &context)) {
            Verdict::Echo
        } else {
            Verdict::Refused
        };
    }
    if exclude_ddl {
        return Verdict::Excluded;
    }
    if matches!(parsed.kind, Kind::Trigger(Object::Create)) && objects.online().fills_a_shadow(&parsed) {
        return Verdict::Ignored("it fills the shadow of a table for an online schema change; its rows are carried");
    }
    let whole = parsed.targets().any(|target| selected(&target.name));
    match parsed.kind {
        _ if parsed.stored_kind().is_some() && !whole => {
            return Verdict::Ignored(
                "only tables of its database are among the objects of this task; views, routines, triggers and events are \
                 carried with a whole database (db.*)",
            );
        }
        Kind::Trigger(Object::Create) if !trigger_tables(&parsed).any(|table| objects.map(table).is_some()) => {
            return Verdict::Ignored("its table is not among the objects of this task");
        }
        Kind::AlterDatabase if !whole => {
            return Verdict::Ignored("only tables of the database are among the objects of this task");
        }
        Kind::CreateDatabase if !whole => return create_in_part(statement, &parsed, objects),
        _ => {}
    }
    // Of a list of tables those go on for which `ONLY` has this kind of statement.
    let operation = operations::of_ddl(&parsed.kind);
    let carried = |name: &TableName| {
        // What it says of a database it says of its routines, triggers and events.
        let asked = match parsed.stored_kind() {
            None | Some(StoredKind::View) => name.clone(),
            Some(_) => TableName::new(&name.database, ""),
        };
        selected(name) && operation.is_none_or(|operation| objects.carries(&asked, operation))
    };
    if whole && !parsed.targets().any(|target| carried(&target.name)) {
        return Verdict::Excluded;
    }
    if parsed.kind == Kind::DropDatabase {
        let whole = match rewrite(statement, &parsed, objects, keys, &carried) {
            Verdict::Apply(rewritten) => Some(rewritten),
            _ => None,
        };
        let database = parsed.targets().next().map(|target| target.name.database.clone());
        return Verdict::DropDatabase {
            database: database.unwrap_or_default(),
            whole,
        };
    }
    rewrite(statement, &parsed, objects, keys, &carried)
}

/// Whether a statement names any of `tables`, or a database of theirs; one that can't be read may.
pub fn speaks_of(
    statement: &assemble::Statement,
    objects: &Objects,
    version: u32,
    tables: &HashSet<TableName>,
) -> bool {
    let context = StatementContext {
        default_database: (!statement.database.is_empty()).then_some(statement.database.as_str()),
        sql_mode: statement.status.sql_mode.unwrap_or(0),
        server_version: version,
    };
    let Ok(parsed) = ddl::classify(&statement.text, &context) else {
        return true;
    };
    let parsed = parsed.with_names(&|name| objects.as_kept(name));
    parsed.names.iter().any(|name| match name.role {
        Role::Database => tables.iter().any(|table| table.database == name.name.database),
        _ => tables.contains(&name.name),
    })
}

/// The name at the destination of what a statement makes, changes or drops.
fn mapped(objects: &Objects, kind: Option<StoredKind>, name: &TableName) -> Option<TableName> {
    match kind {
        Some(kind) => {
            let name = name.clone();
            plan::stored::map(objects, &StoredName { kind, name })
        }
        None if name.table.is_empty() => {
            let database = objects.map_database(&name.database)?;
            Some(TableName::new(database, ""))
        }
        None => objects.map(name),
    }
}

fn trigger_tables(parsed: &Statement) -> impl Iterator<Item = &TableName> {
    let names = parsed.names.iter();
    names
        .filter(|name| name.role == Role::TriggerTable)
        .map(|name| &name.name)
}

/// Whether a statement that makes, changes or drops nothing that is selected concerns the task nevertheless: a view in the
/// place of a table, a trigger of a table, or a database of which tables are selected.
fn concerns_in_part(parsed: &Statement, objects: &Objects) -> bool {
    parsed.names.iter().any(|name| match name.role {
        Role::View | Role::TriggerTable => objects.map(&name.name).is_some(),
        Role::Database => !objects.databases_of_tables(&name.name.database).is_empty(),
        _ => false,
    })
}

/// CREATE DATABASE where only tables of it are selected: they need one to be in.
fn create_in_part(statement: &assemble::Statement, parsed: &Statement, objects: &Objects) -> Verdict {
    let target = parsed.targets().next().map(|target| target.name.database.as_str());
    let mut databases = objects.databases_of_tables(target.unwrap_or_default()).into_iter();
    let (Some(database), None) = (databases.next(), databases.next()) else {
        return Verdict::Ignored(
            "its tables go to several databases; make those at the destination that are not there",
        );
    };
    let map = |_: Role, _: &TableName| Some(TableName::new(&database, ""));
    match parsed.if_not_exists().rewrite(&map) {
        Ok(text) => Verdict::Apply(Box::new(Rewritten {
            text,
            databases: vec![database.clone()],
            details: details(parsed, objects),
            ..Rewritten::default()
        })),
        Err(error) => stop(statement, &error),
    }
}

fn stop(statement: &assemble::Statement, error: &RewriteError) -> Verdict {
    Verdict::Stop(format!(
        "the statement at {} can't be carried: {error}. It reads: {}",
        statement.header.position,
        statement.text.chars().take(200).collect::<String>()
    ))
}

fn unclassified(statement: &assemble::Statement, direction: Direction, error: &Unclassified) -> Verdict {
    // In the reverse direction no statement travels, whatever it is; a statement-based change would be classified.
    if direction == Direction::Reverse {
        return Verdict::Refused;
    }
    Verdict::Stop(format!(
        "a statement at {} can't be understood, so it is not known whether it concerns this task: {error}",
        statement.header.position
    ))
}

fn rewrite(
    statement: &assemble::Statement,
    parsed: &Statement,
    objects: &Objects,
    keys: &Keys,
    selected: &dyn Fn(&TableName) -> bool,
) -> Verdict {
    let Some(limited) = parsed.limit_to(selected) else {
        return Verdict::Nothing;
    };
    let map = |role: Role, name: &TableName| {
        let kind = match role {
            Role::View | Role::Routine | Role::Trigger | Role::Event | Role::EventRenameTarget => parsed.stored_kind(),
            _ => None,
        };
        mapped(objects, kind, name).or_else(|| match role {
            // A parent or pattern outside of the task: it is looked up under its own name.
            Role::ForeignKeyParent | Role::LikeSource => Some(name.clone()),
            _ => None,
        })
    };
    let mapping = Mapping {
        names: &map,
        columns: &|name| objects.columns(name),
        has_key: &|name, key| keys.contains(&(name.clone(), key.to_lowercase())),
    };
    let text = match limited.rewrite_for(&mapping) {
        Ok(Some(text)) => text,
        Ok(None) => return Verdict::Ignored("it changes nothing but columns that are not carried"),
        Err(error) => return stop(statement, &error),
    };
    let mut rewritten = Rewritten {
        text,
        details: details(&limited, objects),
        has_rows: matches!(
            parsed.kind,
            Kind::CreateTable {
                start_transaction: true,
                ..
            }
        ),
        ..Rewritten::default()
    };
    let targets = limited.targets();
    rewritten.touch(
        parsed.stored_kind(),
        targets.filter_map(|target| map(target.role, &target.name)),
    );
    if let Some(body) = limited.body.as_ref().filter(|body| body.needs_default_database) {
        let mapped = |home: &String| objects.map_database(home).unwrap_or_else(|| home.clone());
        rewritten.default_database = body.home.as_ref().map(mapped);
    }
    if parsed.kind == Kind::AlterTable && converts_to_default(&statement.text) && !statement.database.is_empty() {
        let home = &statement.database;
        rewritten.default_database = Some(objects.map_database(home).unwrap_or_else(|| home.clone()));
    }
    Verdict::Apply(Box::new(rewritten))
}

/// Whether it may be `CONVERT TO CHARACTER SET DEFAULT`, which means that of the default database and not of the table's.
fn converts_to_default(text: &str) -> bool {
    let text = text.to_ascii_uppercase();
    text.contains("CONVERT") && text.contains("DEFAULT")
}

/// A statement that the operator has written for the destination, with the destination's names; `None` if it changes rows
/// and no definitions.
pub fn as_written(text: &str, version: u32) -> Option<Rewritten> {
    let context = StatementContext {
        default_database: None,
        sql_mode: 0,
        server_version: version,
    };
    // What can't be told apart is run all the same; then no digest tells after a crash whether it took effect.
    let parsed = ddl::classify(text, &context).ok();
    if parsed
        .as_ref()
        .is_some_and(|parsed| matches!(parsed.kind, Kind::Dml(_)))
    {
        return None;
    }
    let mut rewritten = Rewritten {
        text: text.to_owned(),
        ..Rewritten::default()
    };
    if let Some(parsed) = parsed {
        let targets = parsed.targets().map(|target| target.name.clone());
        rewritten.touch(parsed.stored_kind(), targets);
    }
    Some(rewritten)
}

impl Rewritten {
    /// Takes down what it makes, changes or drops.
    fn touch(&mut self, kind: Option<StoredKind>, names: impl Iterator<Item = TableName>) {
        for name in names {
            match kind {
                Some(kind) => self.stored.push(StoredName { kind, name }),
                None if name.table.is_empty() => self.databases.push(name.database),
                None => self.tables.push(name),
            }
        }
    }
}

/// The statement that renames the destination's tables as [`Moves::renames`] says; `voids` are the tables of the source that
/// others are put into the place of.
pub fn renaming(renames: &[(TableName, TableName)], voids: Vec<TableName>) -> Rewritten {
    let pair =
        |(old, new): &(TableName, TableName)| format!("{} TO {}", ident::quoted_table(old), ident::quoted_table(new));
    let pairs: Vec<String> = renames.iter().map(pair).collect();
    let mut tables: Vec<TableName> = renames
        .iter()
        .flat_map(|(old, new)| [old.clone(), new.clone()])
        .collect();
    tables.sort();
    tables.dedup();
    Rewritten {
        text: format!("RENAME TABLE {}", pairs.join(", ")),
        tables,
        details: Details {
            voids,
            ..Details::default()
        },
        ..Rewritten::default()
    }
}

/// The statement that drops a table of the destination that another one has taken the place of.
pub fn dropping(table: &TableName) -> Rewritten {
    Rewritten {
        text: format!("DROP TABLE IF EXISTS {}", ident::quoted_table(table)),
        tables: vec![table.clone()],
        ..Rewritten::default()
    }
}

/// What a statement means for rows that are older.
fn details(parsed: &Statement, objects: &Objects) -> Details {
    let removed = || parsed.targets().map(|target| target.name.clone()).collect();
    let (mut voids, mut replaced) = (Vec::new(), Vec::new());
    match parsed.kind {
        Kind::TruncateTable | Kind::DropTable { .. } | Kind::DropDatabase => voids = removed(),
        Kind::RenameTable => {
            if let Some(cut_over) = objects.online().cut_over(parsed)
                && let Some(table) = objects.map(&cut_over.table)
            {
                let trash = objects.map(&cut_over.trash).unwrap_or(cut_over.trash);
                replaced.push((table, trash));
                voids.push(cut_over.table);
            }
        }
        _ => {}
    }
    Details {
        before: Vec::new(),
        voids,
        replaced,
        shadow: None,
    }
}

/// What becomes of a statement on the tables that an online schema change tool makes, where these are hidden. `None`: it
/// is on none of them.
fn on_a_shadow(parsed: &Statement, objects: &Objects, exclude_ddl: bool) -> Option<Verdict> {
    let online = objects.online();
    if let Some(cut_over) = online.cut_over(parsed) {
        objects.map(&cut_over.table)?;
        return Some(if exclude_ddl {
            Verdict::Excluded
        } else {
            Verdict::CutOver(cut_over)
        });
    }
    let all_hidden = parsed.targets().all(|target| online.hides(&target.name));
    if !all_hidden || parsed.targets().next().is_none() {
        return None;
    }
    let shadows = || {
        parsed
            .targets()
            .map(|target| &target.name)
            .filter(|name| online.is_shadow(name))
    };
    let of_a_table = |shadow: &TableName| {
        online
            .tables_of(shadow)
            .iter()
            .any(|table| objects.map(table).is_some())
    };
    Some(match &parsed.kind {
        Kind::AlterTable | Kind::CreateIndex | Kind::DropIndex => match shadows().find(|shadow| of_a_table(shadow)) {
            Some(shadow) => match parsed.rewrite(&|_, name| Some(name.clone())) {
                Ok(text) => Verdict::Hide(text, shadow.clone()),
                Err(error) => Verdict::Stop(format!(
                    "a statement on {shadow}, the shadow of a table under an online schema change, can't be kept for \
                     the time when it takes the table's place: {error}"
                )),
            },
            None => Verdict::Nothing,
        },
        // What was kept for an earlier shadow of this name is over.
        Kind::CreateTable { .. } | Kind::DropTable { .. } => Verdict::Unhide(shadows().cloned().collect()),
        _ => Verdict::Nothing,
    })
}

/// The statements on a table that stand for those on its shadow (with the source's names, as [`Verdict::Hide`] has them),
/// ready for the destination.
///
/// # Errors
/// Why one of them can't be carried.
pub fn unhidden(
    statement: &assemble::Statement,
    kept: &[String],
    cut_over: &CutOver,
    objects: &Objects,
    version: u32,
    keys: &Keys,
) -> Result<Vec<Rewritten>, String> {
    let context = StatementContext {
        default_database: None,
        sql_mode: statement.status.sql_mode.unwrap_or(0),
        server_version: version,
    };
    let own = |_: Role, name: &TableName| {
        Some(if *name == cut_over.shadow {
            cut_over.table.clone()
        } else {
            name.clone()
        })
    };
    let mut steps = Vec::new();
    for text in kept {
        let on_table = ddl::classify(text, &context)
            .map_err(|error| error.to_string())
            .map(|parsed| parsed.with_names(&|name| objects.as_kept(name)))
            .and_then(|parsed| parsed.rewrite(&own).map_err(|error| error.to_string()))
            .and_then(|text| ddl::classify(&text, &context).map_err(|error| error.to_string()))?;
        match rewrite(statement, &on_table, objects, keys, &|name| objects.map(name).is_some()) {
            Verdict::Apply(rewritten) => steps.push(*rewritten),
            Verdict::Stop(reason) => return Err(reason),
            _ => {}
        }
    }
    Ok(steps)
}

/// Whether a statement in the log is the one that was to be run: of the same kind, on the same objects. Texts are no
/// help: the server writes DROP TABLE anew.
fn same_statement(found: &Statement, intended: &str, context: &StatementContext<'_>) -> bool {
    let context = StatementContext {
        default_database: None,
        ..*context
    };
    let Ok(intended) = ddl::classify(intended, &context) else {
        return false;
    };
    let names = |statement: &Statement| -> std::collections::BTreeSet<TableName> {
        statement.targets().map(|target| target.name.clone()).collect()
    };
    // The server may write one DROP TABLE of several tables as several.
    std::mem::discriminant(&found.kind) == std::mem::discriminant(&intended.kind)
        && names(found).is_subset(&names(&intended))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        change::TransactionHeader,
        task::{ObjectRule, Operation, SelectedColumn, Selection},
    };

    fn statement(database: &str, text: &str) -> assemble::Statement {
        assemble::Statement {
            header: TransactionHeader {
                gtid: "00000000-0000-0000-0000-000000000001:1".parse().unwrap(),
                prepared: None,
                commit_us: 0,
                position: "binlog.000001:4".into(),
                path: vec![],
                ddl: 0,
                returning: false,
            },
            database: database.into(),
            text: text.into(),
            raw: None,
            within: false,
            status: Default::default(),
        }
    }

    fn check(text: &str, direction: Direction, echo: Option<&str>, expected: &str) {
        let include = |database: &str, table: Option<&str>, to_database: &str, to_table: Option<&str>| {
            ObjectRule::Include(Selection {
                database: database.into(),
                table: table.map(Into::into),
                to_database: Some(to_database.into()),
                to_table: to_table.map(Into::into),
                ..Selection::default()
            })
        };
        let rules = [
            include("shop", None, "copy", None),
            include("crm", Some("clients"), "crm2", Some("customers")),
            ObjectRule::Exclude {
                database: "shop".into(),
                table: Some("left_out".into()),
            },
        ];
        check_with(&rules, text, direction, echo, expected);
    }

    fn check_with(rules: &[ObjectRule], text: &str, direction: Direction, echo: Option<&str>, expected: &str) {
        let objects = Objects::new(direction, rules, None);
        let keys = Keys::from([(TableName::new("shop", "t"), "by_a".to_owned())]);
        let database = if direction == Direction::Forward {
            "shop"
        } else {
            "copy"
        };
        let found = match judge(
            &statement(database, text),
            direction,
            &objects,
            false,
            90_704,
            echo,
            &Known {
                keys,
                ..Known::default()
            },
        ) {
            Verdict::Nothing => "nothing".to_owned(),
            Verdict::OwnDrop(_) => "own drop".to_owned(),
            Verdict::Echo => "echo".to_owned(),
            Verdict::Hide(..) | Verdict::CutOver(_) | Verdict::Unhide(_) => "hidden".to_owned(),
            Verdict::Move(_) => "moves".to_owned(),
            Verdict::Apply(rewritten) => rewritten.text,
            Verdict::Refused => "refused".to_owned(),
            Verdict::Excluded => "excluded".to_owned(),
            Verdict::Ignored(_) => "ignored".to_owned(),
            Verdict::DropDatabase { whole, .. } => whole.map_or("drop in part".to_owned(), |whole| whole.text),
            Verdict::Stop(_) => "stop".to_owned(),
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn ddl_goes_forward_under_the_destinations_names_and_never_back() {
        use Direction::{Forward, Reverse};
        check(
            "ALTER TABLE t ADD c INT",
            Forward,
            None,
            "ALTER TABLE `copy`.`t` ADD c INT",
        );
        check("DROP TABLE t, other.x", Forward, None, "DROP TABLE `copy`.`t`");
        check("ALTER TABLE other.t ADD c INT", Forward, None, "nothing");
        check("CREATE USER u", Forward, None, "nothing");
        check("INSERT INTO t VALUES (1)", Forward, None, "stop");
        check("INSERT INTO other.t VALUES (1)", Forward, None, "nothing");
        check("GIBBERISH t", Forward, None, "stop");
        check("ALTER TABLE t ADD c INT", Reverse, None, "refused");
        check(
            "ALTER TABLE t ADD c INT",
            Reverse,
            Some("ALTER TABLE `copy`.`t` ADD c INT"),
            "echo",
        );
        check(
            "DROP TABLE `t` /* generated by server */",
            Reverse,
            Some("DROP TABLE `copy`.`t`"),
            "echo",
        );
        check(
            "ALTER TABLE t ADD c INT",
            Reverse,
            Some("ALTER TABLE `copy`.`u` ADD c INT"),
            "refused",
        );
        let made_by_schema_sync = format!("CREATE TABLE `copy`.`t` (id INT PRIMARY KEY){MARK}");
        check(&made_by_schema_sync, Reverse, None, "nothing");
        let late_key = format!("ALTER TABLE `copy`.`t` ADD KEY `k` (`id`){MARK}");
        check(&late_key, Reverse, None, "nothing");
        check("INSERT INTO t VALUES (1)", Reverse, None, "stop");
        check("CREATE TABLE causeway.x (a INT)", Reverse, None, "nothing");
    }
    #[test]
    fn views_and_programs_go_with_a_whole_database_only() {
        use Direction::{Forward, Reverse};
        for (text, expected) in [
            (
                "CREATE VIEW v AS SELECT a FROM t, crm.clients",
                "CREATE VIEW `copy`.`v` AS SELECT a FROM t, `crm2`.`customers`",
            ),
            ("CREATE VIEW left_out AS SELECT 1", "nothing"),
            ("CREATE VIEW v AS SELECT a FROM shop.left_out", "stop"),
            ("CREATE VIEW v AS SELECT a FROM left_out", "stop"),
            ("CREATE VIEW v AS SELECT 1 FROM (SELECT 1) x JOIN `left_out`", "stop"),
            ("CREATE VIEW v AS SELECT 1 FROM (t AS x, u, left_out)", "stop"),
            (
                "CREATE VIEW v AS SELECT left_out FROM t WHERE left_out > 1 GROUP BY a, left_out",
                "CREATE VIEW `copy`.`v` AS SELECT left_out FROM t WHERE left_out > 1 GROUP BY a, left_out",
            ),
            (
                "CREATE VIEW v AS SELECT REPLACE(left_out, 'a', 'b'), EXTRACT(DAY FROM a), left_out FROM t",
                "CREATE VIEW `copy`.`v` AS SELECT REPLACE(left_out, 'a', 'b'), EXTRACT(DAY FROM a), left_out FROM t",
            ),
            ("CREATE PROCEDURE p() INSERT IGNORE INTO left_out VALUES (1)", "stop"),
            ("CREATE PROCEDURE p() REPLACE left_out VALUES (1)", "stop"),
            ("CREATE PROCEDURE p() UPDATE t, left_out SET a = 1", "stop"),
            (
                "CREATE PROCEDURE p() INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE left_out = 2, left_out = 3",
                "CREATE PROCEDURE `copy`.`p`() INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE left_out = 2, left_out = 3",
            ),
            (
                "CREATE PROCEDURE p(left_out INT) BEGIN SELECT a INTO left_out FROM t; SET left_out = 1; END",
                "CREATE PROCEDURE `copy`.`p`(left_out INT) BEGIN SELECT a INTO left_out FROM t; SET left_out = 1; END",
            ),
            ("DROP VIEW other.x, v", "DROP VIEW `copy`.`v`"),
            ("CREATE VIEW crm.clients AS SELECT 1", "ignored"),
            ("CREATE VIEW crm.v AS SELECT 1", "nothing"),
            (
                "CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET @a = 1",
                "CREATE TRIGGER `copy`.`r` BEFORE INSERT ON `copy`.`t` FOR EACH ROW SET @a = 1",
            ),
            (
                "CREATE TRIGGER r BEFORE INSERT ON left_out FOR EACH ROW SET @a = 1",
                "ignored",
            ),
            (
                "CREATE TRIGGER crm.r BEFORE INSERT ON crm.clients FOR EACH ROW SET @a = 1",
                "ignored",
            ),
            (
                "CREATE TRIGGER crm.r BEFORE INSERT ON crm.x FOR EACH ROW SET @a = 1",
                "nothing",
            ),
            ("DROP PROCEDURE left_out", "DROP PROCEDURE `copy`.`left_out`"),
            ("DROP PROCEDURE crm.p", "nothing"),
            (
                "ALTER EVENT e RENAME TO f",
                "ALTER EVENT `copy`.`e` RENAME TO `copy`.`f`",
            ),
            ("ALTER EVENT e RENAME TO crm.f", "stop"),
        ] {
            check(text, Forward, None, expected);
        }
        check("CREATE VIEW v AS SELECT 1", Reverse, None, "refused");
        let intended = "CREATE VIEW `copy`.`v` AS SELECT 1";
        check("CREATE VIEW v AS SELECT 1", Reverse, Some(intended), "echo");
        check(
            "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1",
            Reverse,
            Some(intended),
            "refused",
        );
    }

    #[test]
    fn a_view_of_a_table_with_a_list_of_columns_is_refused() {
        let whole = || Selection {
            database: "shop".into(),
            ..Selection::default()
        };
        let listed = Selection {
            table: Some("t".into()),
            columns: Some(vec![SelectedColumn {
                name: "id".into(),
                to: None,
            }]),
            ..whole()
        };
        let rules = [ObjectRule::Include(listed), ObjectRule::Include(whole())];
        let check = |text: &str, expected: &str| check_with(&rules, text, Direction::Forward, None, expected);
        check("CREATE VIEW v AS SELECT id FROM t", "stop");
        check(
            "CREATE VIEW v AS SELECT id FROM u",
            "CREATE VIEW `shop`.`v` AS SELECT id FROM u",
        );
    }

    #[test]
    fn databases_are_made_and_dropped_as_far_as_they_are_selected() {
        let forward = |text, expected| check(text, Direction::Forward, None, expected);
        forward("CREATE DATABASE shop", "CREATE DATABASE `copy`");
        forward(
            "CREATE DATABASE crm CHARACTER SET latin1",
            "CREATE DATABASE IF NOT EXISTS `crm2` CHARACTER SET latin1",
        );
        forward("CREATE SCHEMA IF NOT EXISTS crm", "CREATE SCHEMA IF NOT EXISTS `crm2`");
        forward("ALTER DATABASE crm CHARACTER SET latin1", "ignored");
        forward("DROP DATABASE shop", "DROP DATABASE `copy`");
        forward("DROP DATABASE crm", "drop in part");
        forward("DROP DATABASE other", "nothing");
        forward("CREATE DATABASE other", "nothing");
    }

    #[test]
    fn only_what_is_listed_of_columns_and_operations_goes_on() {
        let column = |name: &str, to: Option<&str>| SelectedColumn {
            name: name.into(),
            to: to.map(Into::into),
        };
        let rules = [
            ObjectRule::Include(Selection {
                database: "shop".into(),
                table: Some("t".into()),
                columns: Some(vec![column("id", None), column("a", Some("b"))]),
                operations: Some([Operation::Insert, Operation::Ddl].into()),
                ..Selection::default()
            }),
            ObjectRule::Include(Selection {
                database: "shop".into(),
                operations: Some([Operation::AlterTable, Operation::Database].into()),
                ..Selection::default()
            }),
        ];
        let check = |text: &str, expected: &str| check_with(&rules, text, Direction::Forward, None, expected);
        check(
            "ALTER TABLE t MODIFY a BIGINT",
            "ALTER TABLE `shop`.`t` MODIFY `b` BIGINT",
        );
        check("ALTER TABLE t MODIFY c BIGINT", "ignored");
        check("ALTER TABLE t DROP COLUMN a", "stop");
        check("DROP INDEX by_a ON t", "DROP INDEX by_a ON `shop`.`t`");
        check("DROP INDEX by_c ON t", "ignored");
        check("ALTER TABLE u ADD c INT", "ALTER TABLE `shop`.`u` ADD c INT");
        check("TRUNCATE TABLE t", "TRUNCATE TABLE `shop`.`t`");
        check("TRUNCATE TABLE u", "excluded");
        check("CREATE VIEW v AS SELECT id FROM u", "excluded");
        check("DROP TABLE u, t, x", "DROP TABLE `shop`.`t`");
        check("CREATE TABLE w (id INT)", "excluded");
        check("CREATE INDEX i ON u (id)", "excluded");
        check(
            "ALTER DATABASE shop CHARACTER SET latin1",
            "ALTER DATABASE `shop` CHARACTER SET latin1",
        );
    }
}
