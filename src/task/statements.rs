//! What becomes of a statement in the binlog, in each direction. Pure but for the store's log.

use std::collections::HashSet;

use crate::{
    ddl::{self, Kind, Mapping, Object, Role, Statement, StatementContext, Unclassified},
    model::{
        history::Details,
        name::{OWN_DATABASE, TableName},
        task::Direction,
    },
    plan::{assemble, objects::Objects, online::CutOver, operations},
};

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It does not concern this link.
    Nothing,
    /// Causeway ran it there itself.
    Echo,
    /// Run it at the destination.
    Apply(Box<Rewritten>),
    /// It changes the shadow of a table, which is hidden: keep this text (with the source's names) for the cut-over.
    Hide(String, TableName),
    /// The shadow, hidden so far, takes the table's place: what was kept for it is run on the table.
    CutOver(CutOver),
    /// The shadow is gone.
    Unhide(Vec<TableName>),
    /// DDL goes forward only: it stays where it was made, and is listed.
    Refused,
    /// `exclude_ddl` leaves it out.
    Excluded,
    /// A kind that is not carried; listed.
    Ignored(&'static str),
    /// The link must stop: the sentence says why.
    Stop(String),
}

/// A statement under the destination's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// Its text.
    pub text: String,
    /// The destination's tables it makes, changes or drops.
    pub tables: Vec<TableName>,
    /// The destination's databases it makes, changes or drops.
    pub databases: Vec<String>,
    /// What it means for rows that are older, but for the definitions before it.
    pub details: Details,
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
    keys: &Keys,
) -> Verdict {
    let context = StatementContext {
        default_database: (!statement.database.is_empty()).then_some(statement.database.as_str()),
        sql_mode: statement.status.sql_mode.unwrap_or(0),
        server_version: version,
    };
    let parsed = match ddl::classify(&statement.text, &context) {
        Ok(parsed) => parsed,
        Err(error) => return unclassified(statement, direction, &error),
    };
    if parsed
        .targets()
        .any(|target| target.name.database.eq_ignore_ascii_case(OWN_DATABASE))
    {
        return Verdict::Nothing;
    }
    let selected = |name: &TableName| {
        if name.table.is_empty() {
            objects.map_database(&name.database).is_some()
        } else {
            objects.map(name).is_some()
        }
    };
    if direction == Direction::Forward
        && objects.online().is_hidden()
        && let Some(verdict) = on_a_shadow(&parsed, objects, exclude_ddl)
    {
        return verdict;
    }
    let concerns = parsed.targets().any(|target| selected(&target.name));
    match &parsed.kind {
        kind if parsed.is_transaction_control() => {
            debug_assert!(!matches!(kind, Kind::Dml(_)));
            return Verdict::Nothing;
        }
        Kind::TableMaintenance | Kind::Account(_) | Kind::ServerAdministration => return Verdict::Nothing,
        Kind::CreateTable { temporary: true, .. } | Kind::DropTable { temporary: true, .. } => return Verdict::Nothing,
        Kind::Dml(_) if concerns || parsed.targets().next().is_none() => {
            return Verdict::Stop(format!(
                "a change at {} was logged as a statement, not as rows; set binlog_format=ROW at the source (also for \
                 the sessions that write), and start the task again with full sync",
                statement.header.position
            ));
        }
        Kind::Dml(_) => return Verdict::Nothing,
        _ if !concerns => return Verdict::Nothing,
        _ => {}
    }
    if direction == Direction::Reverse {
        return if echo.is_some_and(|echo| same_statement(&parsed, echo, version)) {
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
    // Of a list of tables those go on for which `ONLY` has this kind of statement.
    let operation = operations::of_ddl(&parsed.kind);
    let carried =
        |name: &TableName| selected(name) && operation.is_none_or(|operation| objects.carries(name, operation));
    if !parsed.targets().any(|target| carried(&target.name)) {
        return Verdict::Excluded;
    }
    match &parsed.kind {
        Kind::View(..) => return Verdict::Ignored("views are not carried yet"),
        Kind::Routine(..) => return Verdict::Ignored("procedures and functions are not carried yet"),
        Kind::Trigger(..) => return Verdict::Ignored("triggers are not carried yet"),
        Kind::Event(..) => return Verdict::Ignored("events are not carried yet"),
        Kind::CreateTable {
            start_transaction: true,
            ..
        } => {
            return Verdict::Stop(format!(
                "CREATE TABLE … SELECT at {} is not carried yet; make the table with CREATE TABLE and fill it with INSERT \
                 … SELECT, or take it out of the task",
                statement.header.position
            ));
        }
        _ => {}
    }
    rewrite(statement, &parsed, objects, keys, &carried)
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
        if name.table.is_empty() {
            return objects
                .map_database(&name.database)
                .map(|database| TableName::new(database, ""));
        }
        objects.map(name).or_else(|| match role {
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
        Err(error) => {
            return Verdict::Stop(format!(
                "the statement at {} can't be carried: {error}. It reads: {}",
                statement.header.position,
                statement.text.chars().take(200).collect::<String>()
            ));
        }
    };
    let (databases, tables): (Vec<TableName>, Vec<TableName>) = limited
        .targets()
        .filter_map(|target| map(target.role, &target.name))
        .partition(|name| name.table.is_empty());
    Verdict::Apply(Box::new(Rewritten {
        text,
        tables,
        databases: databases.into_iter().map(|name| name.database).collect(),
        details: details(&limited, objects),
    }))
}

/// A statement that the operator has written for the destination, with the destination's names.
pub fn as_written(text: &str, version: u32) -> Rewritten {
    let context = StatementContext {
        default_database: None,
        sql_mode: 0,
        server_version: version,
    };
    // What can't be told apart is run all the same; then no digest tells after a crash whether it took effect.
    let parsed = ddl::classify(text, &context).ok();
    let names = parsed
        .iter()
        .flat_map(|parsed| parsed.targets().map(|target| target.name.clone()));
    let (databases, tables): (Vec<TableName>, Vec<TableName>) = names.partition(|name| name.table.is_empty());
    Rewritten {
        text: text.to_owned(),
        tables,
        databases: databases.into_iter().map(|name| name.database).collect(),
        details: Details::default(),
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
fn same_statement(found: &Statement, intended: &str, version: u32) -> bool {
    let context = StatementContext {
        default_database: None,
        sql_mode: 0,
        server_version: version,
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
            status: Default::default(),
        }
    }

    fn check(text: &str, direction: Direction, echo: Option<&str>, expected: &str) {
        let rules = [ObjectRule::Include(Selection {
            database: "shop".into(),
            table: None,
            to_database: Some("copy".into()),
            to_table: None,
            ..Selection::default()
        })];
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
            &keys,
        ) {
            Verdict::Nothing => "nothing".to_owned(),
            Verdict::Echo => "echo".to_owned(),
            Verdict::Hide(..) | Verdict::CutOver(_) | Verdict::Unhide(_) => "hidden".to_owned(),
            Verdict::Apply(rewritten) => rewritten.text,
            Verdict::Refused => "refused".to_owned(),
            Verdict::Excluded => "excluded".to_owned(),
            Verdict::Ignored(_) => "ignored".to_owned(),
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
        check("CREATE VIEW v AS SELECT 1", Forward, None, "ignored");
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
        check("INSERT INTO t VALUES (1)", Reverse, None, "stop");
        check("CREATE TABLE causeway.x (a INT)", Reverse, None, "nothing");
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
        check("DROP TABLE u, t, x", "DROP TABLE `shop`.`t`");
        check("CREATE TABLE w (id INT)", "excluded");
        check("CREATE INDEX i ON u (id)", "excluded");
        check(
            "ALTER DATABASE shop CHARACTER SET latin1",
            "ALTER DATABASE `shop` CHARACTER SET latin1",
        );
    }
}
