//! What the server that receives a view, routine, trigger or event lets its account do, and what is made of the statement
//! there.

use mysql_async::{Conn, prelude::Queryable};

use crate::{
    ddl::{self, Kind, Object, Reception, Role, StatementContext},
    failure::Failure,
    model::{
        grants::Grants,
        name::TableName,
        stored::{APPLYING_VARIABLE, Account},
    },
    plan::{assemble::Statement, objects::Objects},
    schema,
    sql::literal,
};

use super::{charset, link::Link, statements::Rewritten};

/// A receiving server and the account there.
#[derive(Debug, Clone)]
pub struct Receiver {
    version: u32,
    account: Account,
    grants: Grants,
}

/// A statement as it is run there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The statement.
    pub text: String,
    /// What is to be told about it.
    pub note: Option<String>,
}

/// The privileges of the account that is connected, those of its active roles among them.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn grants(conn: &mut Conn) -> Result<Grants, Failure> {
    let failed = |error: mysql_async::Error| Failure::mysql("reading the account's privileges", &error);
    let roles: Option<String> = conn.query_first("SELECT CURRENT_ROLE()").await.map_err(failed)?;
    let query = match roles.as_deref() {
        None | Some("NONE" | "") => "SHOW GRANTS".to_owned(),
        Some(roles) => format!("SHOW GRANTS FOR CURRENT_USER() USING {roles}"),
    };
    let rows: Vec<String> = conn.query(query).await.map_err(failed)?;
    Ok(Grants::parse(rows.iter().map(String::as_str)))
}

impl Receiver {
    /// Asks the server.
    ///
    /// # Errors
    /// [`Failure`] if the server refuses.
    pub async fn read(conn: &mut Conn) -> Result<Self, Failure> {
        let account: Option<String> = conn
            .query_first("SELECT CURRENT_USER()")
            .await
            .map_err(|error| Failure::mysql("reading the account's name", &error))?;
        Ok(Self {
            version: schema::version_number(&conn.server_version()),
            account: Account::parse(&account.unwrap_or_default()),
            grants: grants(conn).await?,
        })
    }

    /// The statement as it is run there. `invoker` is who ran it at the source: ALTER EVENT without a DEFINER makes the
    /// event his.
    ///
    /// # Errors
    /// [`Failure`] if the server refuses.
    pub async fn receive(
        &self,
        conn: &mut Conn,
        statement: &ddl::Statement,
        invoker: Option<&Account>,
    ) -> Result<Received, Failure> {
        let named = match statement.definer() {
            Some(definer) => definer.account.as_ref().or(invoker),
            None if statement.kind == Kind::Event(Object::Alter) => invoker,
            None => None,
        };
        let kept = match named {
            Some(account) => self.may_define_as(conn, account).await?,
            None => true,
        };
        let definer = if kept { named } else { Some(&self.account) };
        let text = statement.received(&Reception {
            definer,
            server_version: self.version,
        });
        let note = named.filter(|_| !kept).map(|account| {
            let what = statement.targets().next().map(|target| target.name.to_string());
            format!(
                "{} belongs to {} at the destination, and not to {account} as at the source, because the account that \
                 applies may not make it so (docs/privileges.md)",
                what.unwrap_or_default(),
                self.account
            )
        });
        Ok(Received { text, note })
    }

    /// Whether the server lets the account make objects that belong to `account`. What can't be found out counts as no.
    async fn may_define_as(&self, conn: &mut Conn, account: &Account) -> Result<bool, Failure> {
        if *account == self.account {
            return Ok(true);
        }
        let has = |privilege| self.grants.has(privilege);
        // SET_USER_ID was split into SET_ANY_DEFINER and ALLOW_NONEXISTENT_DEFINER in 8.2.
        let all = has("SUPER") || has("SET_USER_ID");
        if !all && !has("SET_ANY_DEFINER") {
            return Ok(false);
        }
        let (user, host) = (literal::string(&account.user), literal::string(&account.host));
        let query = format!(
            "SELECT EXISTS (SELECT 1 FROM mysql.user WHERE User = {user} AND Host = {host}), \
             EXISTS (SELECT 1 FROM mysql.global_grants WHERE USER = {user} AND HOST = {host} AND PRIV = 'SYSTEM_USER')"
        );
        let found: Result<Option<(bool, bool)>, _> = conn.query_first(query).await;
        let (exists, is_system) = match found {
            Ok(found) => found.unwrap_or((false, true)),
            // The account may not read them.
            Err(mysql_async::Error::Server(error)) if matches!(error.code, 1044 | 1142) => (false, true),
            Err(error) => return Err(Failure::mysql("looking for the account of a DEFINER", &error)),
        };
        Ok((exists || all || has("ALLOW_NONEXISTENT_DEFINER")) && (!is_system || has("SYSTEM_USER")))
    }

    /// Makes of a statement of the binlog what is run here.
    ///
    /// # Errors
    /// [`Failure`] if the server refuses.
    pub async fn adapt(
        &self,
        conn: &mut Conn,
        link: &Link,
        statement: &Statement,
        rewritten: &mut Rewritten,
        version: u32,
    ) -> Result<Adapted, Failure> {
        let mut adapted = Adapted::default();
        let context = StatementContext {
            default_database: rewritten.default_database.as_deref(),
            sql_mode: statement.status.sql_mode.unwrap_or(0),
            server_version: version,
        };
        let Ok(mut parsed) = ddl::classify(&rewritten.text, &context) else {
            // It was classified as it came, and has only got other names since.
            return Ok(adapted);
        };
        if parsed.kind == Kind::Trigger(Object::Drop) {
            for trigger in &rewritten.stored {
                if is_foreign_trigger(conn, &link.objects, &trigger.name).await? {
                    adapted.ignored =
                        Some("at the destination it is a trigger of a table that is not among the objects");
                }
            }
            // It may be one that was never carried, because its table is not.
            parsed = parsed.if_exists();
        }
        let invoker = statement
            .status
            .invoker
            .clone()
            .map(|(user, host)| Account { user, host });
        let received = self.receive(conn, &parsed, invoker.as_ref()).await?;
        rewritten.text = received.text;
        adapted.notes.extend(received.note);
        match parsed.kind {
            Kind::Trigger(Object::Create) if link.two_way => {
                let context = StatementContext {
                    default_database: (!statement.database.is_empty()).then_some(statement.database.as_str()),
                    ..context
                };
                let own = ddl::classify(&statement.text, &context).ok();
                let name = own.as_ref().and_then(|own| own.targets().next()).map(|target| &target.name);
                let guarding = guarding_statements(&statement.text, &context);
                if let (Some(name), Some(guarding)) = (name, guarding) {
                    adapted.notes.push(unguarded(name, link.source.name.as_str(), &guarding));
                }
            }
            Kind::Event(Object::Create | Object::Alter) => adapted.told = Some(parsed.names.first().map_or_else(
                String::new,
                |name| format!("event {} does not run at the destination: it is made there DISABLE ON REPLICA, and what it does \
                 at the source arrives as changes", name.name),
            )),
            _ => {}
        }
        if let Some(collation) = statement.status.charset_client
            && let Some(charset) = charset::of_collation(conn, collation).await?
        {
            let encoded = charset::encode(conn, &rewritten.text, &charset).await?;
            adapted.encoded = encoded.map(|bytes| (collation, bytes));
        }
        Ok(adapted)
    }
}

/// What [`Receiver::adapt`] found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Adapted {
    /// Why it is not run.
    pub ignored: Option<&'static str>,
    /// What is to be warned of.
    pub notes: Vec<String>,
    /// What is to be told.
    pub told: Option<String>,
    /// As [`crate::apply::ddl::Job::encoded`].
    pub encoded: Option<(u16, Vec<u8>)>,
}

/// Whether a trigger of the destination is one of a table that is no concern of this task.
async fn is_foreign_trigger(conn: &mut Conn, objects: &Objects, trigger: &TableName) -> Result<bool, Failure> {
    let table: Option<String> = conn
        .query_first(format!(
            "SELECT EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = {} AND TRIGGER_NAME = {}",
            literal::string(&trigger.database),
            literal::string(&trigger.table)
        ))
        .await
        .map_err(|error| Failure::mysql(format_args!("looking for the table of trigger {trigger}"), &error))?;
    Ok(table.is_some_and(|table| objects.origin(&TableName::new(&trigger.database, table)).is_none()))
}

/// The statements that put a guard into a trigger, for the server on which `create` makes it; `None` if it has one, or is
/// none.
pub fn guarding_statements(create: &str, context: &StatementContext<'_>) -> Option<String> {
    let own = |_: Role, name: &TableName| Some(name.clone());
    let qualified = ddl::classify(create, context).ok()?.rewrite(&own).ok()?;
    let statement = ddl::classify(&qualified, context).ok()?;
    let trigger = statement.targets().next()?.name.clone();
    let guarded = statement.lacks_guard().then(|| {
        statement.received(&Reception {
            definer: None,
            server_version: context.server_version,
        })
    })?;
    Some(format!(
        "DELIMITER //\nDROP TRIGGER {} //\n{guarded} //\nDELIMITER ;",
        crate::sql::ident::quoted_table(&trigger)
    ))
}

/// What is told about a trigger without a guard, where Causeway writes to its table.
pub fn unguarded(trigger: &TableName, server: &str, guarding: &str) -> String {
    format!(
        "trigger {trigger} on server {server} has no guard: it fires for the changes that Causeway applies there, which have \
         had the effect of triggers at the side they come from; what it does then is done twice, conflicts, or stays there \
         alone. It leaves \
         them alone if it does its work only where {APPLYING_VARIABLE} is NULL. These statements make it so, under the \
         sql_mode it was made in: {guarding}"
    )
}
