//! SHOW of what every MySQL server can list: each is a SELECT over the `sync` schema, `information_schema` or
//! `performance_schema`, with LIKE or WHERE behind it. One definition per list.

use super::cursor::{Cursor, not_yet};
use super::lexer::Kind;
use super::select::{self, Select};
use super::{Statement, session};
use crate::admin::reply::SqlError;

type Result<T> = std::result::Result<T, SqlError>;

/// A statement that lists something.
#[derive(Debug, Clone)]
pub struct Show {
    /// What.
    pub list: &'static List,
    /// With FULL in front.
    pub full: bool,
    /// FROM: the database; otherwise the session's.
    pub database: Option<String>,
    /// FROM: the table.
    pub table: Option<String>,
    /// What of it.
    pub filter: Filter,
}

/// What of a list is shown.
#[derive(Debug, Clone)]
pub enum Filter {
    /// All.
    All,
    /// LIKE: rows whose first column, or [`List::like`], fits a pattern.
    Like(String),
    /// WHERE: an expression over the columns that are shown.
    Where(Select),
}

/// What a list is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The server.
    Server,
    /// A database: `{database}` stands in the SELECT for its name.
    Database,
    /// A table: `{table}` stands for its name, and `{database}`.
    Table,
}

/// Something that SHOW lists.
#[derive(Debug)]
pub struct List {
    /// The words behind SHOW, of every spelling.
    words: &'static [&'static [&'static str]],
    /// What it is of.
    pub scope: Scope,
    /// The SELECT.
    pub select: &'static str,
    /// The SELECT with FULL; empty if it is the same.
    pub full: &'static str,
    /// The column that LIKE looks at.
    pub like: &'static str,
}

const LISTS: &[List] = &[
    List {
        words: &[&["DATABASES"], &["SCHEMAS"]],
        scope: Scope::Server,
        select: "SELECT SCHEMA_NAME AS \"Database\" FROM information_schema.schemata",
        full: "",
        like: "Database",
    },
    List {
        words: &[&["TABLES"]],
        scope: Scope::Database,
        select: "SELECT TABLE_NAME AS \"Tables_in_{database}\" FROM information_schema.tables
                 WHERE TABLE_SCHEMA = '{database}'",
        full: "SELECT TABLE_NAME AS \"Tables_in_{database}\", TABLE_TYPE AS Table_type FROM information_schema.tables
               WHERE TABLE_SCHEMA = '{database}'",
        like: "Tables_in_{database}",
    },
    List {
        words: &[&["TABLE", "STATUS"]],
        scope: Scope::Database,
        select: "SELECT TABLE_NAME AS Name, ENGINE AS Engine, VERSION AS Version, ROW_FORMAT AS Row_format,
                    TABLE_ROWS AS \"Rows\", AVG_ROW_LENGTH AS Avg_row_length, DATA_LENGTH AS Data_length,
                    MAX_DATA_LENGTH AS Max_data_length, INDEX_LENGTH AS Index_length, DATA_FREE AS Data_free,
                    AUTO_INCREMENT AS Auto_increment, CREATE_TIME AS Create_time, UPDATE_TIME AS Update_time,
                    CHECK_TIME AS Check_time, TABLE_COLLATION AS Collation, CHECKSUM AS Checksum,
                    CREATE_OPTIONS AS Create_options, TABLE_COMMENT AS Comment
                 FROM information_schema.tables WHERE TABLE_SCHEMA = '{database}'",
        full: "",
        like: "Name",
    },
    List {
        words: &[&["COLUMNS"], &["FIELDS"]],
        scope: Scope::Table,
        select: "SELECT COLUMN_NAME AS Field, COLUMN_TYPE AS Type, IS_NULLABLE AS \"Null\", COLUMN_KEY AS \"Key\",
                    COLUMN_DEFAULT AS \"Default\", EXTRA AS Extra
                 FROM information_schema.columns WHERE TABLE_SCHEMA = '{database}' AND TABLE_NAME = '{table}'",
        full: "SELECT COLUMN_NAME AS Field, COLUMN_TYPE AS Type, COLLATION_NAME AS Collation, IS_NULLABLE AS \"Null\",
                  COLUMN_KEY AS \"Key\", COLUMN_DEFAULT AS \"Default\", EXTRA AS Extra, PRIVILEGES AS Privileges,
                  COLUMN_COMMENT AS Comment
               FROM information_schema.columns WHERE TABLE_SCHEMA = '{database}' AND TABLE_NAME = '{table}'",
        like: "Field",
    },
    List {
        words: &[&["INDEX"], &["INDEXES"], &["KEYS"]],
        scope: Scope::Table,
        select: "SELECT TABLE_NAME AS \"Table\", NON_UNIQUE AS Non_unique, INDEX_NAME AS Key_name,
                    SEQ_IN_INDEX AS Seq_in_index, COLUMN_NAME AS Column_name, COLLATION AS Collation,
                    CARDINALITY AS Cardinality, SUB_PART AS Sub_part, PACKED AS Packed, NULLABLE AS \"Null\",
                    INDEX_TYPE AS Index_type, COMMENT AS Comment, INDEX_COMMENT AS Index_comment,
                    IS_VISIBLE AS Visible, EXPRESSION AS Expression
                 FROM information_schema.statistics WHERE TABLE_SCHEMA = '{database}' AND TABLE_NAME = '{table}'",
        full: "",
        like: "Key_name",
    },
    List {
        words: &[&["VARIABLES"]],
        scope: Scope::Server,
        select: "SELECT VARIABLE_NAME AS Variable_name, VARIABLE_VALUE AS Value FROM performance_schema.session_variables",
        full: "",
        like: "Variable_name",
    },
    List {
        words: &[&["STATUS"]],
        scope: Scope::Server,
        select: "SELECT VARIABLE_NAME AS Variable_name, VARIABLE_VALUE AS Value FROM performance_schema.session_status",
        full: "",
        like: "Variable_name",
    },
    List {
        words: &[&["PROCESSLIST"]],
        scope: Scope::Server,
        select: "SELECT ID AS Id, USER AS User, HOST AS Host, DB AS db, COMMAND AS Command, TIME AS Time, STATE AS State,
                    substr(INFO, 1, 100) AS Info FROM performance_schema.processlist",
        full: "SELECT ID AS Id, USER AS User, HOST AS Host, DB AS db, COMMAND AS Command, TIME AS Time, STATE AS State,
                  INFO AS Info FROM performance_schema.processlist",
        like: "",
    },
    List {
        words: &[&["ENGINES"], &["STORAGE", "ENGINES"]],
        scope: Scope::Server,
        select: "SELECT ENGINE AS Engine, SUPPORT AS Support, COMMENT AS Comment, TRANSACTIONS AS Transactions, XA AS XA,
                    SAVEPOINTS AS Savepoints FROM information_schema.engines",
        full: "",
        like: "",
    },
    List {
        words: &[&["PLUGINS"]],
        scope: Scope::Server,
        select: "SELECT PLUGIN_NAME AS Name, PLUGIN_STATUS AS Status, PLUGIN_TYPE AS Type, PLUGIN_LIBRARY AS Library,
                    PLUGIN_LICENSE AS License FROM information_schema.plugins",
        full: "",
        like: "",
    },
    List {
        words: &[&["COLLATION"]],
        scope: Scope::Server,
        select: "SELECT COLLATION_NAME AS Collation, CHARACTER_SET_NAME AS Charset, ID AS Id, IS_DEFAULT AS \"Default\",
                    IS_COMPILED AS Compiled, SORTLEN AS Sortlen, PAD_ATTRIBUTE AS Pad_attribute
                 FROM information_schema.collations",
        full: "",
        like: "Collation",
    },
    List {
        words: &[&["CHARACTER", "SET"], &["CHARSET"]],
        scope: Scope::Server,
        select: "SELECT CHARACTER_SET_NAME AS Charset, DESCRIPTION AS Description,
                    DEFAULT_COLLATE_NAME AS \"Default collation\", MAXLEN AS Maxlen FROM information_schema.character_sets",
        full: "",
        like: "Charset",
    },
    List {
        words: &[&["WARNINGS"], &["ERRORS"]],
        scope: Scope::Server,
        select: "SELECT '' AS Level, 0 AS Code, '' AS Message WHERE 0",
        full: "",
        like: "",
    },
    List {
        words: &[&["OPEN", "TABLES"]],
        scope: Scope::Database,
        select: "SELECT '' AS \"Database\", '' AS \"Table\", 0 AS In_use, 0 AS Name_locked WHERE 0",
        full: "",
        like: "Table",
    },
    List {
        words: &[&["TRIGGERS"]],
        scope: Scope::Database,
        select: "SELECT TRIGGER_NAME AS \"Trigger\", EVENT_MANIPULATION AS Event, EVENT_OBJECT_TABLE AS \"Table\",
                    ACTION_STATEMENT AS Statement, ACTION_TIMING AS Timing, CREATED AS Created, SQL_MODE AS sql_mode,
                    DEFINER AS Definer, CHARACTER_SET_CLIENT AS character_set_client,
                    COLLATION_CONNECTION AS collation_connection, DATABASE_COLLATION AS \"Database Collation\"
                 FROM information_schema.triggers",
        full: "",
        like: "Table",
    },
    List {
        words: &[&["EVENTS"]],
        scope: Scope::Database,
        select: "SELECT EVENT_SCHEMA AS Db, EVENT_NAME AS Name, DEFINER AS Definer, TIME_ZONE AS \"Time zone\",
                    EVENT_TYPE AS Type, EXECUTE_AT AS \"Execute at\", INTERVAL_VALUE AS \"Interval value\",
                    INTERVAL_FIELD AS \"Interval field\", STARTS AS Starts, ENDS AS Ends, STATUS AS Status,
                    ORIGINATOR AS Originator, CHARACTER_SET_CLIENT AS character_set_client,
                    COLLATION_CONNECTION AS collation_connection, DATABASE_COLLATION AS \"Database Collation\"
                 FROM information_schema.events",
        full: "",
        like: "Name",
    },
    List {
        words: &[&["PROCEDURE", "STATUS"], &["FUNCTION", "STATUS"]],
        scope: Scope::Server,
        select: "SELECT ROUTINE_SCHEMA AS Db, ROUTINE_NAME AS Name, ROUTINE_TYPE AS Type, 'SQL' AS Language,
                    DEFINER AS Definer, LAST_ALTERED AS Modified, CREATED AS Created, SECURITY_TYPE AS Security_type,
                    ROUTINE_COMMENT AS Comment, CHARACTER_SET_CLIENT AS character_set_client,
                    COLLATION_CONNECTION AS collation_connection, DATABASE_COLLATION AS \"Database Collation\"
                 FROM information_schema.routines",
        full: "",
        like: "Name",
    },
    List {
        words: &[&["BINARY", "LOGS"], &["MASTER", "LOGS"]],
        scope: Scope::Server,
        select: "SELECT '' AS Log_name, 0 AS File_size, 'No' AS Encrypted WHERE 0",
        full: "",
        like: "",
    },
    List {
        words: &[&["BINARY", "LOG", "STATUS"], &["MASTER", "STATUS"]],
        scope: Scope::Server,
        select: "SELECT '' AS File, 0 AS Position, '' AS Binlog_Do_DB, '' AS Binlog_Ignore_DB, '' AS Executed_Gtid_Set
                 WHERE 0",
        full: "",
        like: "",
    },
    List {
        words: &[&["REPLICAS"], &["SLAVE", "HOSTS"]],
        scope: Scope::Server,
        select: "SELECT 0 AS Server_Id, '' AS Host, 0 AS Port, 0 AS Source_Id, '' AS Replica_UUID WHERE 0",
        full: "",
        like: "",
    },
    List {
        words: &[&["PRIVILEGES"]],
        scope: Scope::Server,
        select: "SELECT 'Select' AS Privilege, 'Tables' AS Context, 'To retrieve rows from table' AS Comment",
        full: "",
        like: "",
    },
];

impl Show {
    /// `DESCRIBE`.
    pub(super) fn columns(database: Option<String>, table: String, like: Option<String>) -> Show {
        #[expect(clippy::indexing_slicing, reason = "checked by the compiler")]
        const COLUMNS: &List = &LISTS[3];
        Show {
            list: COLUMNS,
            full: false,
            database,
            table: Some(table),
            filter: like.map_or(Filter::All, Filter::Like),
        }
    }
}

/// Behind `SHOW`, what is not of servers or tasks.
pub(super) fn show(cursor: &mut Cursor<'_>) -> Result<Statement> {
    for old_names in [false, true] {
        if cursor.words(&[if old_names { "SLAVE" } else { "REPLICA" }, "STATUS"]) {
            let channel = match cursor.words(&["FOR", "CHANNEL"]) {
                true => Some(cursor.string("the name of a channel in quotes: 'task:forward'")?),
                false => None,
            };
            cursor.end()?;
            return Ok(Statement::ShowReplicaStatus { old_names, channel });
        }
    }
    if cursor.words(&["CREATE", "TABLE"]) || cursor.words(&["CREATE", "VIEW"]) {
        let (database, table) = session::table(cursor)?;
        cursor.end()?;
        return Ok(Statement::ShowCreateTable { database, table });
    }
    if cursor.words(&["CREATE", "DATABASE"]) || cursor.words(&["CREATE", "SCHEMA"]) {
        cursor.words(&["IF", "NOT", "EXISTS"]);
        let database = cursor.name("a database name")?;
        cursor.end()?;
        return Ok(Statement::ShowCreateDatabase(database));
    }
    if cursor.words(&["ENGINE"]) {
        return Err(not_yet("SHOW ENGINE"));
    }
    let scoped = ["GLOBAL", "SESSION", "LOCAL"].iter().any(|scope| cursor.word(scope));
    cursor.word("EXTENDED");
    let full = cursor.word("FULL");
    let mut spellings = LISTS
        .iter()
        .flat_map(|list| list.words.iter().map(move |words| (list, *words)));
    let Some((list, words)) = spellings.find(|(_, words)| cursor.words(words)) else {
        return Err(cursor.syntax_error(
            "SERVERS, SYNC TASKS, SYNC TASK STATUS, CREATE SYNC TASK, REPLICA STATUS, DATABASES, TABLES, COLUMNS, VARIABLES, \
             STATUS or PROCESSLIST",
        ));
    };
    if scoped && !matches!(words, ["VARIABLES" | "STATUS"]) || full && list.full.is_empty() {
        return Err(
            cursor.syntax_error("VARIABLES or STATUS behind GLOBAL, TABLES, COLUMNS or PROCESSLIST behind FULL")
        );
    }
    let (mut database, mut table) = (None, None);
    match list.scope {
        Scope::Server => {}
        Scope::Database => database = from(cursor)?,
        Scope::Table => {
            if !cursor.word("FROM") {
                cursor.expect_word("IN")?;
            }
            let (its_database, its_table) = session::table(cursor)?;
            database = from(cursor)?.or(its_database);
            table = Some(its_table);
        }
    }
    let filter = if cursor.word("WHERE") {
        Filter::Where(select::select(cursor)?)
    } else if !list.like.is_empty() && cursor.word("LIKE") {
        Filter::Like(cursor.string("a pattern in quotes")?)
    } else {
        limit(cursor);
        Filter::All
    };
    cursor.end()?;
    Ok(Statement::Show(Box::new(Show {
        list,
        full,
        database,
        table,
        filter,
    })))
}

/// `SHOW WARNINGS LIMIT 1`: of what is empty.
fn limit(cursor: &mut Cursor<'_>) {
    if cursor.word("LIMIT") {
        while cursor.at_symbol(",") || cursor.peek().is_some_and(|token| matches!(token.kind, Kind::Number)) {
            cursor.next();
        }
    }
}

fn from(cursor: &mut Cursor<'_>) -> Result<Option<String>> {
    if cursor.word("FROM") || cursor.word("IN") {
        cursor.name("a database name").map(Some)
    } else {
        Ok(None)
    }
}

/// MySQL's error for a connection that there is not.
pub(super) fn unknown_thread(id: &str) -> SqlError {
    SqlError::new(
        1094,
        "HY000",
        format!("Unknown thread id: {id}; SHOW PROCESSLIST lists those there are"),
    )
}
