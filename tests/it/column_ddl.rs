//! Statements rewritten for some columns of a table, held against the server: the original runs in one database, what
//! it becomes in another, and both definitions must agree but for the columns.

use causeway::{
    ddl::{Mapping, Role, StatementContext, classify},
    demo::mysqld::{LocalServer, ServerOptions},
    model::{columns::ColumnMap, name::TableName},
};

use crate::support::{
    ask::{rows, sql},
    cluster,
};

/// Name at the source, name at the destination. All names in the statements below differ from each other, so that a
/// definition as the server prints it can be mapped by plain replacing.
const CARRIED: &[(&str, &str)] = &[
    ("id", "id"),
    ("name", "full_name"),
    ("price", "the cost"),
    ("amount", "amount"),
    ("born", "birth`day"),
    ("doc", "document"),
    ("total", "sum total"),
    ("place", "spot"),
    ("up", "above"),
    ("date", "day"),
];
const PARENT: &[(&str, &str)] = &[("pid", "parent_id"), ("code", "kode")];
/// Columns left out, and keys and checks over them.
const GONE: &[&str] = &["x", "y", "z", "kx", "kxy", "ux", "cx", "fx"];

const STATEMENTS: &[&str] = &[
    "CREATE TABLE p (pid INT PRIMARY KEY, code CHAR(4) NOT NULL, x INT, UNIQUE KEY pu (pid, code))",
    "CREATE TABLE t (id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40) CHARACTER SET latin1 NOT NULL DEFAULT 'name',
        x TEXT, y INT DEFAULT 7 CHECK (y > 0), price DECIMAL(10,2) COMMENT 'price, x and `name`', KEY kn (name(10) DESC, price),
        KEY kxy (x(3), y), KEY kx (y), UNIQUE ux (y), CONSTRAINT ck CHECK (price > 0 OR name <> 'price'), CONSTRAINT cx CHECK (y < 100))
        ENGINE=InnoDB COMMENT='x'",
    "ALTER TABLE t ADD COLUMN z INT FIRST, ADD amount BIGINT AFTER z, ADD born DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)
        ON UPDATE CURRENT_TIMESTAMP(3) AFTER name",
    "ALTER TABLE t ADD COLUMN doc JSON AFTER x, ADD KEY kj ((CAST(doc->>'$.name' AS CHAR(20)) COLLATE utf8mb4_bin)), ADD INDEX kf ((price * 2), id)",
    "ALTER TABLE t ADD total DECIMAL(20,2) GENERATED ALWAYS AS (price * amount) STORED, ADD KEY kt (total)",
    "CREATE INDEX ki USING BTREE ON t (born, price) COMMENT 'born'",
    "CREATE FULLTEXT INDEX kfull ON t (name) WITH PARSER ngram",
    "CREATE INDEX kx2 ON t (z)",
    "ALTER TABLE t DROP INDEX kx2, ALTER INDEX kn INVISIBLE, RENAME KEY kt TO ktotal",
    "ALTER TABLE t MODIFY name VARCHAR(60) CHARACTER SET utf8mb4 NOT NULL AFTER price, MODIFY z BIGINT, ALTER price SET DEFAULT 5",
    "ALTER TABLE t CHANGE price `price` DECIMAL(12,3) NOT NULL DEFAULT (1 + 1) FIRST, CHANGE COLUMN z z INT",
    "ALTER TABLE t ADD (place POINT NOT NULL SRID 4326, SPATIAL INDEX ks (place)), ALGORITHM=COPY",
    "ALTER TABLE t ADD CONSTRAINT c2 CHECK (born > DATE '1970-01-01' AND year(born) < 2100), ADD CONSTRAINT c3 CHECK (total between 1 and amount)",
    "ALTER TABLE t ADD COLUMN date DATE, ADD CONSTRAINT c4 CHECK (date > DATE '2000-01-01' AND date + INTERVAL 1 DAY < date('2999-01-01') AND extract(YEAR FROM date) > 5)",
    "ALTER TABLE t ALTER CHECK c2 NOT ENFORCED, DROP CHECK c3, DROP CONSTRAINT ck",
    "ALTER TABLE t ADD up INT, ADD CONSTRAINT f1 FOREIGN KEY kup (up) REFERENCES p (pid) ON DELETE SET NULL ON UPDATE CASCADE,
        ADD CONSTRAINT fx FOREIGN KEY (y) REFERENCES p (pid)",
    "ALTER TABLE t DROP FOREIGN KEY fx, DROP COLUMN x, DROP KEY kxy",
    "ALTER TABLE t DROP CHECK cx, DROP COLUMN y, DROP COLUMN z, COMMENT='x and y', ROW_FORMAT=DYNAMIC",
    "ALTER TABLE t ADD y INT, LOCK=SHARED, ALGORITHM=COPY",
    "ALTER TABLE t DROP FOREIGN KEY f1, DROP INDEX kfull, DROP INDEX ks",
    "ALTER TABLE t MODIFY place VARBINARY(90), CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (id, amount) PARTITION BY RANGE (amount) SUBPARTITION BY HASH (id + amount)
        SUBPARTITIONS 2 (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE)",
    "ALTER TABLE t REORGANIZE PARTITION p1 INTO (PARTITION p1 VALUES LESS THAN (20), PARTITION p2 VALUES LESS THAN MAXVALUE)",
    "ALTER TABLE t DROP PARTITION p2, p1",
    "ALTER TABLE t DROP y REMOVE PARTITIONING",
    "CREATE TABLE q (a INT PRIMARY KEY, up INT, CONSTRAINT fq FOREIGN KEY (up) REFERENCES p (pid), KEY (up))",
    "TRUNCATE TABLE t",
];

fn columns_of(table: &TableName) -> ColumnMap {
    let listed = |columns: &[(&str, &str)]| {
        let pair = |(from, to): &(&str, &str)| ((*from).to_owned(), (*to).to_owned());
        ColumnMap::Listed(columns.iter().map(pair).collect())
    };
    match table.table.as_str() {
        "t" => listed(CARRIED),
        "p" => listed(PARENT),
        _ => ColumnMap::All,
    }
}

/// Each line of a definition under the names of the destination, without what is left out.
fn expected(create: &str, table: &str) -> String {
    let names = match table {
        "t" => CARRIED,
        "p" => PARENT,
        _ => &[],
    };
    let mut lines = Vec::new();
    for line in create.lines() {
        if table != "q"
            && GONE
                .iter()
                .any(|gone| line.contains(&format!("`{gone}`")) && !line.contains("COMMENT 'price"))
        {
            continue;
        }
        let mut line = line.trim_end_matches(',').to_owned();
        // The parent's columns stand behind REFERENCES and nowhere else.
        for (from, to) in PARENT {
            line = line.replace(&format!("`{from}`"), &format!("`{to}`"));
        }
        // What stands in a comment keeps its backticks.
        let (code, comment) = line.split_once(" COMMENT 'price").unwrap_or((&line, ""));
        let mut mapped = code.to_owned();
        for (from, to) in names {
            mapped = mapped.replace(&format!("`{from}`"), &format!("`\u{1}{}`", to.replace('`', "``")));
        }
        let comment = if comment.is_empty() {
            String::new()
        } else {
            format!(" COMMENT 'price{comment}")
        };
        lines.push(mapped.replace('\u{1}', "") + &comment);
    }
    lines.join("\n")
}

async fn show(server: &LocalServer, table: &str) -> Option<String> {
    let (database, name) = table.split_once('.').unwrap();
    let there = rows(
        server,
        &format!("SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{database}' AND TABLE_NAME = '{name}'"),
    )
    .await;
    if there.is_empty() {
        return None;
    }
    Some(rows(server, &format!("SHOW CREATE TABLE {table}")).await[0][1].clone())
}

/// What a statement of `part` becomes in `to`, given the keys that are there.
fn rewritten(statement: &str, to: &str, keys: &[String]) -> Option<String> {
    let context = StatementContext {
        default_database: Some("whole"),
        sql_mode: 0,
        server_version: 90_704,
    };
    let mapping = Mapping {
        names: &|_: Role, name: &TableName| Some(TableName::new(to, &name.table)),
        columns: &columns_of,
        has_key: &|_, key| keys.iter().any(|known| known == key),
    };
    classify(statement, &context)
        .unwrap_or_else(|error| panic!("{error}"))
        .rewrite_for(&mapping)
        .unwrap_or_else(|error| panic!("{statement}: {error}"))
}

#[tokio::test]
async fn a_rewritten_definition_is_the_original_but_for_its_columns() {
    let server = cluster::server(ServerOptions::default()).await;
    sql(
        &server,
        "CREATE DATABASE whole; CREATE DATABASE part; CREATE DATABASE anew",
    )
    .await;
    for statement in STATEMENTS {
        sql(&server, &format!("USE whole; {statement}")).await;
        let keys: Vec<String> = rows(
            &server,
            "SELECT INDEX_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = 'part' UNION SELECT CONSTRAINT_NAME
             FROM information_schema.TABLE_CONSTRAINTS WHERE TABLE_SCHEMA = 'part'",
        )
        .await
        .into_iter()
        .map(|row| row[0].clone())
        .collect();
        if let Some(text) = rewritten(statement, "part", &keys) {
            sql(&server, &text).await;
        }
        // As the binlog carries it, and as schema sync does.
        sql(
            &server,
            "SET foreign_key_checks = 0; DROP TABLE IF EXISTS anew.q, anew.t, anew.p",
        )
        .await;
        for table in ["p", "t", "q"] {
            let Some(whole) = show(&server, &format!("whole.{table}")).await else {
                continue;
            };
            let expected = expected(&whole, table);
            let found = show(&server, &format!("part.{table}")).await.unwrap();
            assert_eq!(comparable(&found), comparable(&expected), "{table} after {statement}");
            sql(&server, &rewritten(&whole, "anew", &[]).unwrap()).await;
            let found = show(&server, &format!("anew.{table}")).await.unwrap();
            assert_eq!(
                comparable(&found),
                comparable(&expected),
                "{table} made anew after {statement}"
            );
        }
    }
}

/// A definition line by line, its columns sorted: one that is added after a column left out comes last.
fn comparable(create: &str) -> Vec<String> {
    let mut lines: Vec<String> = create
        .lines()
        .map(|line| line.trim_end_matches(',').to_owned())
        .collect();
    let is_column = |line: &String| line.starts_with("  `");
    lines.sort_by_key(|line| if is_column(line) { line.clone() } else { String::new() });
    lines
}
