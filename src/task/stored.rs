//! Schema sync of views, routines, triggers and events.
//!
//! They are made as early as the tables, before any row is copied: so they are what they were at the position from which
//! changes are followed, and later statements on them find what they expect. A trigger does not fire for what is copied
//! or applied, because it is made with a guard ([`crate::ddl::Statement::received`]), and an event is made so that it
//! does not run.

use std::collections::HashSet;

use mysql_async::{Conn, prelude::Queryable};

use crate::{
    ddl::{self, Role, SqlMode, StatementContext},
    failure::Failure,
    model::{
        name::TableName,
        status::Level,
        stored::{StoredKind, StoredName},
        task::{ExistingTables, TaskOptions},
    },
    plan::{self, objects::Objects},
    precheck::same_names,
    schema::{
        self, create,
        stored::{Definition, Listed},
    },
    sql::{
        ident,
        literal::{self, SESSION},
    },
};

use super::{
    charset,
    link::Link,
    receiver::{self, Receiver},
};

/// Whether a database at the source is meant.
type Databases<'a> = dyn Fn(&str) -> bool + Sync + 'a;

/// What of some of the source's databases is to be made at the destination, as it is now.
///
/// # Errors
/// [`Failure`] if the server refuses, or would not show the account all there is.
pub async fn definitions(
    source: &mut Conn,
    objects: &Objects,
    databases: &Databases<'_>,
) -> Result<Vec<Definition>, Failure> {
    let mut selected = selected(source, objects).await?;
    selected.retain(|listed| databases(&listed.name.name.database));
    schema::stored::read(source, &selected).await
}

/// What is selected of what is at the source.
async fn selected(source: &mut Conn, objects: &Objects) -> Result<Vec<Listed>, Failure> {
    let databases = whole_databases(source, objects).await?;
    if databases.is_empty() {
        return Ok(Vec::new());
    }
    all_is_shown(source, &databases).await?;
    let mut listed = schema::stored::list(source).await?;
    listed.retain(|listed| {
        plan::stored::map(objects, &listed.name).is_some()
            && listed.table.as_ref().is_none_or(|table| objects.map(table).is_some())
    });
    Ok(listed)
}

/// The databases at the source that are selected as a whole.
pub async fn whole_databases(source: &mut Conn, objects: &Objects) -> Result<Vec<String>, Failure> {
    let mut databases: Vec<String> = source
        .query("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA ORDER BY SCHEMA_NAME")
        .await
        .map_err(|error| Failure::mysql("listing databases", &error))?;
    databases.retain(|database| objects.map_database(database).is_some());
    Ok(databases)
}

/// A server lists only what an account may see: what it may not is missing without a word.
async fn all_is_shown(source: &mut Conn, databases: &[String]) -> Result<(), Failure> {
    let grants = receiver::grants(source).await?;
    let missing = |database: &String| {
        let in_database = ["SHOW VIEW", "TRIGGER", "EVENT"].map(|privilege| {
            let has = grants.has_in(privilege, database);
            (!has).then(|| format!("{privilege} on {database}"))
        });
        in_database.into_iter().flatten().next()
    };
    let routines = (!grants.has("SHOW_ROUTINE") && !grants.has("SELECT")).then(|| "SHOW_ROUTINE on *.*".to_owned());
    match databases.iter().find_map(missing).or(routines) {
        None => Ok(()),
        Some(privilege) => Err(Failure::data(format!(
            "the account at the source needs {privilege}: without it the server does not show it all views, routines, \
             triggers and events of the databases that are selected as a whole. Grant the account what \
             docs/privileges.md lists, or select tables alone (OBJECTS (db.%))"
        ))),
    }
}

/// Why stored objects that exist at the destination are in the way of those of some of the source's databases, if they are.
///
/// # Errors
/// [`Failure`] if a server refuses.
pub async fn existing(
    source: &mut Conn,
    destination: &mut Conn,
    objects: &Objects,
    options: &TaskOptions,
    databases: &Databases<'_>,
) -> Result<Option<String>, Failure> {
    let names = in_the_way(source, destination, objects, options, databases).await?;
    Ok((!names.is_empty()).then(|| same_names::stored_in_the_way(&names)))
}

/// Stored objects that exist at the destination and may not, of those of some of the source's databases.
///
/// # Errors
/// [`Failure`] if a server refuses.
pub async fn in_the_way(
    source: &mut Conn,
    destination: &mut Conn,
    objects: &Objects,
    options: &TaskOptions,
    databases: &Databases<'_>,
) -> Result<Vec<String>, Failure> {
    if options.existing_tables == ExistingTables::Proceed || !options.schema_sync {
        return Ok(Vec::new());
    }
    let there = names(destination).await?;
    let wanted = selected(source, objects).await?;
    Ok(wanted
        .iter()
        .filter(|listed| databases(&listed.name.name.database))
        .filter_map(|listed| at_destination(objects, &listed.name))
        .filter(|name| there.contains(name))
        .map(|name| name.to_string())
        .collect())
}

async fn names(conn: &mut Conn) -> Result<HashSet<StoredName>, Failure> {
    let listed = schema::stored::list(conn).await?;
    Ok(listed.into_iter().map(|listed| listed.name).collect())
}

fn at_destination(objects: &Objects, name: &StoredName) -> Option<StoredName> {
    let mapped = plan::stored::map(objects, name)?;
    Some(StoredName {
        kind: name.kind,
        name: mapped,
    })
}

/// Makes the databases that are selected as a whole, and what of `definitions` is not there. What an attempt before this one has made (`resumed`) is made anew, as it may have been altered at
/// the source since; what was there before all of them stays.
///
/// # Errors
/// [`Failure`] if a server refuses, or a definition can't be carried.
pub async fn make(
    link: &Link,
    source: &mut Conn,
    destination: &mut Conn,
    definitions: &[Definition],
    resumed: bool,
) -> Result<(), Failure> {
    // Also where nothing is in them yet.
    for from in whole_databases(source, &link.objects).await? {
        if let Some(to) = link.objects.map_database(&from) {
            create::database(source, destination, &from, &to).await?;
        }
    }
    if definitions.is_empty() {
        return Ok(());
    }
    let mut maker = Maker {
        link,
        version: schema::version_number(&source.server_version()),
        receiver: Receiver::read(destination).await?,
        there: names(destination).await?,
        replaces: resumed && link.options.existing_tables == ExistingTables::Error,
        notes: Vec::new(),
    };
    let mut waiting: Vec<&Definition> = definitions.iter().collect();
    loop {
        let mut later = Vec::new();
        let mut reason = None;
        let count = waiting.len();
        for definition in waiting {
            match maker.make(destination, definition).await? {
                Made::Done => {}
                // A view of a view that is still to be made; nothing else comes before its turn.
                Made::NotYet(why) => {
                    later.push(definition);
                    reason.get_or_insert(why);
                }
            }
        }
        match reason {
            Some(why) if later.len() == count => return Err(why),
            Some(_) => waiting = later,
            None => break,
        }
    }
    for note in maker.notes {
        link.tell(Level::Warning, note).await;
    }
    Ok(())
}

enum Made {
    Done,
    /// It speaks of something that is not there.
    NotYet(Failure),
}

struct Maker<'a> {
    link: &'a Link,
    /// The source's version.
    version: u32,
    receiver: Receiver,
    /// What is at the destination.
    there: HashSet<StoredName>,
    /// What is there was made by an attempt before this one.
    replaces: bool,
    notes: Vec<String>,
}

impl Maker<'_> {
    async fn make(&mut self, destination: &mut Conn, definition: &Definition) -> Result<Made, Failure> {
        let objects = &self.link.objects;
        let Some(name) = at_destination(objects, &definition.name) else {
            return Ok(Made::Done);
        };
        let statement = self.statement(definition)?;
        if objects.online().fills_a_shadow(&statement) {
            // It belongs to an online schema change that is at work; what it writes arrives as rows.
            return Ok(Made::Done);
        }
        let received = self.receiver.receive(destination, &statement, None).await?;
        if self.there.contains(&name) {
            if !self.replaces {
                self.compare(destination, definition, &name, &received.text).await?;
                return Ok(Made::Done);
            }
            let drop = format!("DROP {} {}", name.kind.keyword(), ident::quoted_table(&name.name));
            destination
                .query_drop(drop)
                .await
                .map_err(|error| Failure::mysql(format_args!("making {name} anew at the destination"), &error))?;
            self.there.remove(&name);
        }
        let made = run(destination, definition, &received.text).await?;
        match made {
            Ok(()) => {
                self.notes.extend(received.note);
                self.there.insert(name);
                Ok(Made::Done)
            }
            Err(error) => {
                let missing =
                    matches!(&error, mysql_async::Error::Server(error) if matches!(error.code, 1049 | 1146 | 1356));
                let failure = Failure::mysql(format_args!("making {name} at the destination"), &error);
                if missing && name.kind == StoredKind::View {
                    return Ok(Made::NotYet(Failure::data(format!(
                        "{failure}. Add what it speaks of to the task's objects, or leave the view out (OBJECTS (…, NOT {}))",
                        definition.name.name
                    ))));
                }
                Err(failure)
            }
        }
    }

    /// Under the destination's names.
    fn statement(&self, definition: &Definition) -> Result<ddl::Statement, Failure> {
        let objects = &self.link.objects;
        let context = StatementContext {
            default_database: Some(&definition.name.name.database),
            sql_mode: mode_bits(definition.sql_mode.as_deref().unwrap_or_default()),
            server_version: self.version,
        };
        let not_made =
            |why: String| Failure::data(format!("{} can't be made at the destination: {why}", definition.name));
        let map = |role: Role, name: &TableName| match role {
            Role::View | Role::Routine | Role::Trigger | Role::Event => {
                let (kind, name) = (definition.name.kind, name.clone());
                plan::stored::map(objects, &StoredName { kind, name })
            }
            Role::Database => {
                let database = objects.map_database(&name.database)?;
                Some(TableName::new(database, ""))
            }
            _ => objects.map(name),
        };
        let mapping = ddl::Mapping {
            names: &map,
            columns: &|name| {
                objects
                    .select(name)
                    .map(|selected| selected.columns)
                    .unwrap_or_default()
            },
            has_key: &|_, _| true,
        };
        let statement = ddl::classify(&definition.create, &context).map_err(|error| not_made(error.to_string()))?;
        let rewritten = statement.rewrite_for(&mapping);
        let text = rewritten
            .map_err(|error| not_made(error.to_string()))?
            .unwrap_or_default();
        ddl::classify(&text, &context).map_err(|error| not_made(error.to_string()))
    }

    /// Says so if what is there is not what would be made.
    async fn compare(
        &mut self,
        destination: &mut Conn,
        definition: &Definition,
        name: &StoredName,
        wanted: &str,
    ) -> Result<(), Failure> {
        let Some(there) = schema::stored::read_one(destination, name, None).await? else {
            return Ok(());
        };
        let context = StatementContext {
            default_database: Some(&name.name.database),
            sql_mode: mode_bits(there.sql_mode.as_deref().unwrap_or_default()),
            server_version: schema::version_number(&destination.server_version()),
        };
        let own = |_: Role, name: &TableName| Some(name.clone());
        let found = ddl::classify(&there.create, &context)
            .ok()
            .and_then(|statement| statement.rewrite(&own).ok());
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        if found.is_none_or(|found| words(&found) != words(wanted)) || there.sql_mode != definition.sql_mode {
            self.notes.push(format!(
                "{name} is at the destination with another definition than at the source; it stays as it is \
                 (existing_tables = 'proceed')"
            ));
        }
        Ok(())
    }
}

/// Runs it in a session like the one it was made in. What the server answers is told apart from what can't be tried.
async fn run(
    destination: &mut Conn,
    definition: &Definition,
    text: &str,
) -> Result<Result<(), mysql_async::Error>, Failure> {
    let failed = |error: mysql_async::Error| Failure::mysql(format_args!("making {}", definition.name), &error);
    let mut settings = Vec::new();
    let mut bytes = text.as_bytes().to_vec();
    if let Some(charset) = &definition.charset_client
        && let Some(encoded) = charset::encode(destination, text, charset).await?
    {
        settings.push(format!("character_set_client = {charset}"));
        bytes = encoded;
    }
    if let Some(collation) = &definition.collation_connection {
        settings.push(format!("collation_connection = {collation}"));
    }
    if let Some(mode) = &definition.sql_mode {
        settings.push(format!("sql_mode = {}", literal::string(mode)));
    }
    if let Some(zone) = &definition.time_zone {
        settings.push(format!("time_zone = {}", literal::string(zone)));
    }
    if !settings.is_empty() {
        destination
            .query_drop(format!("SET {}", settings.join(", ")))
            .await
            .map_err(failed)?;
    }
    let made = destination.query_drop(bytes).await;
    destination.query_drop(format!("SET {SESSION}")).await.map_err(failed)?;
    Ok(made)
}

/// The modes that change how a text is read.
fn mode_bits(sql_mode: &str) -> u64 {
    sql_mode
        .split(',')
        .map(|mode| match mode {
            "ANSI_QUOTES" => SqlMode::ANSI_QUOTES,
            "NO_BACKSLASH_ESCAPES" => SqlMode::NO_BACKSLASH_ESCAPES,
            _ => 0,
        })
        .fold(0, |bits, bit| bits | bit)
}

/// Says which triggers of the receiving side fire for what is applied, once per start.
///
/// # Errors
/// [`Failure`] if a server is out of reach.
pub async fn tell_unguarded(link: &Link) -> Result<(), Failure> {
    let mut conn = crate::connect::open(&link.destination).await?;
    for (trigger, guarding) in unguarded_triggers(&mut conn, &link.objects).await? {
        let message = receiver::unguarded(&trigger, link.destination.name.as_str(), &guarding);
        link.tell(Level::Warning, message).await;
    }
    conn.disconnect()
        .await
        .map_err(|error| Failure::mysql("closing a connection", &error))
}

/// Triggers of the receiving side that fire for what is applied, with the statements that put a guard into them.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn unguarded_triggers(
    destination: &mut Conn,
    objects: &Objects,
) -> Result<Vec<(TableName, String)>, Failure> {
    let version = schema::version_number(&destination.server_version());
    let mut listed = schema::stored::list(destination).await?;
    listed.retain(|listed| {
        listed
            .table
            .as_ref()
            .is_some_and(|table| objects.origin(table).is_some())
    });
    let mut unguarded = Vec::new();
    for definition in schema::stored::read(destination, &listed).await? {
        let context = StatementContext {
            default_database: Some(&definition.name.name.database),
            sql_mode: mode_bits(definition.sql_mode.as_deref().unwrap_or_default()),
            server_version: version,
        };
        let parsed = ddl::classify(&definition.create, &context);
        if parsed.is_ok_and(|trigger| objects.online().fills_a_shadow(&trigger)) {
            continue;
        }
        if let Some(guarding) = receiver::guarding_statements(&definition.create, &context) {
            unguarded.push((definition.name.name, guarding));
        }
    }
    Ok(unguarded)
}
