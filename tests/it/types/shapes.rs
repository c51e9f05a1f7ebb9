//! Tables of unusual shapes, and names that need care.

use crate::support::ask::{self, rows};

use super::World;

/// A table, what is in it at first, and what each side then does, step by step.
struct Shape {
    create: &'static [&'static str],
    hq: &'static [&'static str],
    branch: &'static [&'static str],
}

const SHAPES: &[Shape] = &[
    // Generated columns: in front, virtual and stored, in unique keys, of a JSON document, indexed.
    Shape {
        create: &[
            "CREATE TABLE d.generated (
                early INT AS (a + 1) VIRTUAL, id INT PRIMARY KEY, a INT, twice BIGINT AS (a * 2) VIRTUAL,
                name VARCHAR(20) AS (CONCAT('n', a)) STORED, doc JSON,
                tag VARCHAR(10) AS (doc->>'$.tag') VIRTUAL, b INT, UNIQUE (twice), UNIQUE (name, b), KEY (tag))",
            "INSERT INTO d.generated (id, a, doc, b) VALUES (1, 1, '{\"tag\": \"x\"}', 1), (2, 2, NULL, 1), (3, NULL, '{}', 3)",
        ],
        hq: &[
            "INSERT INTO d.generated (id, a, doc, b) VALUES (10, 10, '{\"tag\": \"y\"}', 1)",
            "UPDATE d.generated SET a = 20 WHERE id = 11",
            "DELETE FROM d.generated WHERE id = 3",
        ],
        branch: &[
            "INSERT INTO d.generated (id, a, doc, b) VALUES (11, 11, '{\"tag\": \"y\"}', 1)",
            "UPDATE d.generated SET doc = JSON_SET(doc, '$.tag', 'z'), b = 2 WHERE id = 10",
            "UPDATE d.generated SET b = 5 WHERE id = 1; DELETE FROM d.generated WHERE id = 2",
        ],
    },
    // The row key is generated, as in MySQL's own document collections.
    Shape {
        create: &[
            "CREATE TABLE d.collection (
                doc JSON, _id VARBINARY(32) AS (JSON_UNQUOTE(JSON_EXTRACT(doc, '$._id'))) STORED NOT NULL,
                _json_schema JSON AS ('{\"type\": \"object\"}') VIRTUAL, PRIMARY KEY (_id))",
            "INSERT INTO d.collection (doc) VALUES ('{\"_id\": \"a\", \"n\": 1}'), ('{\"_id\": \"b\", \"n\": 1}')",
        ],
        hq: &[
            "INSERT INTO d.collection (doc) VALUES ('{\"_id\": \"c\", \"n\": 1}')",
            "UPDATE d.collection SET doc = JSON_SET(doc, '$.n', 3.5) WHERE _id = 'd'",
            "DELETE FROM d.collection WHERE _id = 'a'",
        ],
        branch: &[
            "INSERT INTO d.collection (doc) VALUES ('{\"_id\": \"d\", \"n\": 1}')",
            "UPDATE d.collection SET doc = JSON_SET(doc, '$._id', 'cc') WHERE _id = 'c'",
            "DELETE FROM d.collection WHERE _id = 'd'",
        ],
    },
    Shape {
        create: &[
            "CREATE TABLE d.invisible (
                id INT PRIMARY KEY, hidden VARCHAR(10) INVISIBLE DEFAULT 'h', a INT, key_part INT INVISIBLE, UNIQUE (key_part))",
            "INSERT INTO d.invisible (id, hidden, a, key_part) VALUES (1, 'x', 1, 1), (2, NULL, 2, NULL)",
            "INSERT INTO d.invisible VALUES (3, 3)",
        ],
        hq: &["INSERT INTO d.invisible VALUES (10, 1)", "UPDATE d.invisible SET hidden = 'q' WHERE id = 11"],
        branch: &["INSERT INTO d.invisible VALUES (11, 1)", "UPDATE d.invisible SET a = 9 WHERE id IN (1, 10)"],
    },
    Shape {
        create: &[
            "CREATE TABLE d.counted (id INT UNSIGNED PRIMARY KEY AUTO_INCREMENT, a INT) AUTO_INCREMENT = 50",
            "INSERT INTO d.counted VALUES (0, 1), (7, 2), (4294967294, 3)",
        ],
        hq: &["UPDATE d.counted SET a = 2 WHERE id = 0", "INSERT INTO d.counted VALUES (8, 8)"],
        branch: &["UPDATE d.counted SET a = 3 WHERE id = 7", "DELETE FROM d.counted WHERE id = 0"],
    },
    Shape {
        create: &[
            "CREATE TABLE d.defaults (
                id INT PRIMARY KEY, u VARCHAR(36) DEFAULT (UUID()), j JSON DEFAULT (JSON_ARRAY(1)), r DOUBLE DEFAULT (RAND()),
                t TEXT DEFAULT ('text'), d DATE DEFAULT (CURRENT_DATE + INTERVAL 1 YEAR), b BLOB DEFAULT (x'00ff'),
                at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6))",
            "INSERT INTO d.defaults (id) VALUES (1), (2), (3)",
        ],
        hq: &["INSERT INTO d.defaults (id) VALUES (10)", "UPDATE d.defaults SET u = DEFAULT WHERE id = 1"],
        branch: &["INSERT INTO d.defaults (id) VALUES (11)", "UPDATE d.defaults SET r = DEFAULT WHERE id = 10"],
    },
    // What the source has stored counts, not when it is applied.
    Shape {
        create: &[
            "CREATE TABLE d.touched (
                id INT PRIMARY KEY, a INT, ts TIMESTAMP(6) NULL ON UPDATE CURRENT_TIMESTAMP(6),
                dt DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
                s TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP)",
            "INSERT INTO d.touched VALUES (1, 1, '2001-01-01', '2001-01-01', '2001-01-01'), (2, 2, NULL, NULL, '2001-01-01')",
        ],
        hq: &[
            "UPDATE d.touched SET a = 2, ts = ts, dt = dt, s = s WHERE id = 1",
            "UPDATE d.touched SET a = 5 WHERE id = 1",
            "UPDATE d.touched SET s = '2002-02-02' WHERE id = 2",
        ],
        branch: &[
            "INSERT INTO d.touched (id, a) VALUES (3, 3)",
            "UPDATE d.touched SET a = 6 WHERE id = 2",
            "UPDATE d.touched SET a = 7, ts = NULL WHERE id = 3",
        ],
    },
    // The server makes the key.
    Shape {
        create: &[
            "SET sql_generate_invisible_primary_key = ON",
            "CREATE TABLE d.keyless (a INT, b VARCHAR(10))",
            "SET sql_generate_invisible_primary_key = OFF",
            "INSERT INTO d.keyless VALUES (1, 'same'), (1, 'same'), (2, NULL)",
        ],
        hq: &["INSERT INTO d.keyless VALUES (1, 'same')", "UPDATE d.keyless SET b = 'x' WHERE a = 2", "DELETE FROM d.keyless LIMIT 1"],
        branch: &["UPDATE d.keyless SET a = 5 WHERE my_row_id = 1", "INSERT INTO d.keyless (my_row_id, a) VALUES (100, 1)"],
    },
    Shape {
        create: &[
            "CREATE TABLE d.indexes (
                id INT PRIMARY KEY, name VARCHAR(50), body TEXT, doc JSON, place POINT NOT NULL SRID 4326, n INT, m INT,
                UNIQUE lowered ((LOWER(name))), UNIQUE started (body(5)), UNIQUE falling (n DESC, m),
                KEY many ((CAST(doc->'$.a' AS UNSIGNED ARRAY))), FULLTEXT (name, body), SPATIAL KEY (place),
                KEY hidden (n) INVISIBLE, CONSTRAINT positive CHECK (n > 0), CONSTRAINT lax CHECK (m > 0) NOT ENFORCED)",
            "INSERT INTO d.indexes VALUES
                (1, 'One', 'first text', '{\"a\": [1, 2]}', ST_SRID(POINT(1, 1), 4326), 1, -1),
                (2, NULL, NULL, NULL, ST_SRID(POINT(2, 2), 4326), 2, NULL)",
        ],
        hq: &[
            "INSERT INTO d.indexes VALUES (10, 'Ten', 'tenth text', '{\"a\": [1]}', ST_SRID(POINT(1, 1), 4326), 10, 1)",
            "UPDATE d.indexes SET name = 'oNE' WHERE id = 1",
            "DELETE FROM d.indexes WHERE id = 1",
            "INSERT INTO d.indexes VALUES (12, 'ONE', 'first', NULL, ST_SRID(POINT(3, 3), 4326), 1, -1)",
        ],
        branch: &[
            "INSERT INTO d.indexes VALUES (11, 'Eleven', 'eleventh', '{}', ST_SRID(POINT(1, 1), 4326), 11, 1)",
            "UPDATE d.indexes SET body = 'other', n = 20, place = ST_SRID(POINT(5, 5), 4326) WHERE id = 10",
            "UPDATE d.indexes SET doc = '{\"a\": []}' WHERE id = 10",
        ],
    },
    // A unique key is the row key; it is not the first index.
    Shape {
        create: &[
            "CREATE TABLE d.unique_only (a INT NULL, b VARCHAR(20) NOT NULL, c INT NOT NULL, n INT, UNIQUE (a), UNIQUE (c, b))",
            "INSERT INTO d.unique_only VALUES (1, 'x', 1, 1), (NULL, 'y', 1, 1), (NULL, 'z', 1, 1)",
        ],
        hq: &["UPDATE d.unique_only SET n = 2", "UPDATE d.unique_only SET a = 4 WHERE b = 'z'"],
        branch: &["INSERT INTO d.unique_only VALUES (9, 'x', 9, 9)", "UPDATE d.unique_only SET b = 'X' WHERE c = 9"],
    },
    // Values of a unique key change places, and only case or trailing spaces change.
    Shape {
        create: &[
            "CREATE TABLE d.swapped (id INT PRIMARY KEY, u INT UNIQUE, name VARCHAR(20) UNIQUE)",
            "INSERT INTO d.swapped VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c')",
        ],
        hq: &[
            "BEGIN; UPDATE d.swapped SET u = -1 WHERE id = 1; UPDATE d.swapped SET u = 1 WHERE id = 2; \
             UPDATE d.swapped SET u = 2 WHERE id = 1; COMMIT",
            "BEGIN; DELETE FROM d.swapped WHERE id = 2; INSERT INTO d.swapped VALUES (9, 1, 'B'); COMMIT",
        ],
        branch: &[
            "UPDATE d.swapped SET name = 'C' WHERE id = 3",
            "BEGIN; UPDATE d.swapped SET id = 30 WHERE id = 3; INSERT INTO d.swapped VALUES (3, 33, 'cc'); COMMIT",
        ],
    },
    Shape {
        create: &[
            "CREATE TABLE d.parts (id INT, at DATE, a INT, PRIMARY KEY (id, at)) PARTITION BY RANGE (YEAR(at))
             (PARTITION p0 VALUES LESS THAN (2000), PARTITION p1 VALUES LESS THAN MAXVALUE)",
            "INSERT INTO d.parts VALUES (1, '1999-01-01', 1), (1, '2024-01-01', 1)",
        ],
        hq: &["UPDATE d.parts SET at = '2001-01-01' WHERE at < '2000-01-01'"],
        branch: &["UPDATE d.parts SET a = 7"],
    },
    // Foreign keys to itself and to another table; checks are the source's business.
    Shape {
        create: &[
            "CREATE TABLE d.tree (id INT PRIMARY KEY, parent INT, CONSTRAINT up FOREIGN KEY (parent) REFERENCES d.tree (id))",
            "CREATE TABLE d.leaves (id INT PRIMARY KEY, tree INT, FOREIGN KEY (tree) REFERENCES d.tree (id) ON DELETE CASCADE)",
            "INSERT INTO d.tree VALUES (1, NULL), (2, 1), (3, 2)",
            "INSERT INTO d.leaves VALUES (1, 3), (2, 3), (3, 2)",
        ],
        hq: &["DELETE FROM d.tree WHERE id = 3"],
        branch: &["INSERT INTO d.tree VALUES (4, 1); INSERT INTO d.leaves VALUES (4, 4)"],
    },
    // Names: quotes, spaces, other scripts, keywords; and those that statements use themselves.
    Shape {
        create: &[
            "CREATE TABLE d.`select` (`from` INT PRIMARY KEY, `where` INT, `key` INT, UNIQUE `index` (`key`))",
            "CREATE TABLE d.`it's \"odd\" ``name``` (`a b` INT PRIMARY KEY, `c``d` INT, `e'f` INT, `日本 😀é` INT)",
            "CREATE TABLE d.`表 😀é` (`\\` INT PRIMARY KEY, `%s{}` VARCHAR(10))",
            "CREATE TABLE d.`1a$` (`1` INT PRIMARY KEY, `2e3` INT, `-` INT)",
            "CREATE TABLE d.v (o0 INT PRIMARY KEY, n1 INT, v INT)",
            "CREATE TABLE d.t (t INT PRIMARY KEY, same INT, d INT)",
            "CREATE TABLE d.values_ (`row` INT PRIMARY KEY, `VALUES` INT)",
            "INSERT INTO d.`select` VALUES (1, 2, 3), (2, 3, 4)",
            "INSERT INTO d.`it's \"odd\" ``name``` VALUES (1, 1, 1, 1), (2, 2, 2, 2)",
            "INSERT INTO d.`表 😀é` VALUES (1, 'a'), (2, 'b')",
            "INSERT INTO d.`1a$` VALUES (1, 1, 1), (2, 2, 2)",
            "INSERT INTO d.v VALUES (1, 1, 1), (2, 2, 2); INSERT INTO d.t VALUES (1, 1, 1), (2, 2, 2)",
            "INSERT INTO d.values_ VALUES (1, 1), (2, 2)",
        ],
        hq: &[
            "UPDATE d.`select` SET `where` = 5 WHERE `from` = 1; UPDATE d.`it's \"odd\" ``name``` SET `日本 😀é` = 9; \
             UPDATE d.`表 😀é` SET `%s{}` = 'x' WHERE `\\` = 1; UPDATE d.`1a$` SET `-` = 3 WHERE `1` = 1; \
             UPDATE d.v SET v = 4 WHERE o0 = 1; UPDATE d.t SET d = 4 WHERE t = 1; UPDATE d.values_ SET `values` = 4",
            "INSERT INTO d.v VALUES (3, 3, 3); INSERT INTO d.t VALUES (3, 3, 3)",
        ],
        branch: &[
            "DELETE FROM d.`select` WHERE `from` = 2; DELETE FROM d.`表 😀é` WHERE `\\` = 2; \
             DELETE FROM d.`1a$` WHERE `1` = 2; DELETE FROM d.v WHERE o0 = 2; DELETE FROM d.t WHERE t = 2",
            "UPDATE d.`it's \"odd\" ``name``` SET `e'f` = 7, `c``d` = 8 WHERE `a b` = 2; DELETE FROM d.values_ WHERE `row` = 2",
        ],
    },
];

async fn every_shape_makes_the_round_trip(options: &[&str]) {
    let world = World::new(options, "").await;
    for shape in SHAPES {
        world.hq(shape.create).await;
    }
    world.hq(&wide_table()).await;
    world.start("d.*").await;
    let steps = SHAPES
        .iter()
        .map(|shape| shape.hq.len().max(shape.branch.len()))
        .max()
        .unwrap_or(0);
    for step in 0..steps {
        let at = |statements: fn(&Shape) -> &'static [&'static str]| -> Vec<&str> {
            SHAPES
                .iter()
                .filter_map(|shape| statements(shape).get(step).copied())
                .collect()
        };
        world.hq(&at(|shape| shape.hq)).await;
        world.agreed("d").await;
        world.branch(&at(|shape| shape.branch)).await;
        world.agreed("d").await;
    }
    world
        .hq(&[
            "UPDATE d.wide SET c0 = c0 + 1, c998 = 'changed' WHERE id = 1",
            "INSERT INTO d.wide (id) VALUES (2)",
        ])
        .await;
    world
        .branch(&["UPDATE d.wide SET c500 = 3, c501 = 'b' WHERE id = 7"])
        .await;
    world.agreed("d").await;
    world.branch(&["DELETE FROM d.wide WHERE id IN (1, 2)"]).await;
    world.agreed("d").await;
}

/// A table of 1,000 columns.
fn wide_table() -> [String; 2] {
    let column = |number: usize| match number % 2 {
        0 => format!("c{number} SMALLINT DEFAULT {number}"),
        _ => format!("c{number} VARCHAR(8) CHARACTER SET latin1 DEFAULT 'd{number}'"),
    };
    let columns: Vec<String> = (0..999).map(column).collect();
    [
        format!("CREATE TABLE d.wide (id INT PRIMARY KEY, {})", columns.join(", ")),
        "INSERT INTO d.wide (id) VALUES (1), (7)".to_owned(),
    ]
}

#[tokio::test]
async fn every_shape_of_table_makes_the_round_trip_with_full_metadata() {
    every_shape_makes_the_round_trip(&[]).await;
}

#[tokio::test]
async fn every_shape_of_table_makes_the_round_trip_with_minimal_metadata() {
    every_shape_makes_the_round_trip(&["--binlog-row-metadata=MINIMAL"]).await;
}

#[tokio::test]
async fn databases_and_tables_of_any_name_are_selected_and_renamed() {
    let world = World::new(&[], "").await;
    world
        .hq(&[
            "CREATE DATABASE `odd ``db`` 'x' 日本`",
            "CREATE TABLE `odd ``db`` 'x' 日本`.`order` (id INT PRIMARY KEY, a INT)",
            "INSERT INTO `odd ``db`` 'x' 日本`.`order` VALUES (1, 1)",
            "CREATE TABLE d.`group` (id INT PRIMARY KEY)",
            "INSERT INTO d.`group` VALUES (1)",
        ])
        .await;
    world.start("`odd ``db`` 'x' 日本`.*, d.`group`").await;
    world.agreed("odd `db` 'x' 日本").await;
    world
        .hq(&[
            "UPDATE `odd ``db`` 'x' 日本`.`order` SET a = 2",
            "INSERT INTO d.`group` VALUES (2)",
        ])
        .await;
    world
        .branch(&["INSERT INTO `odd ``db`` 'x' 日本`.`order` VALUES (2, 2)"])
        .await;
    world.agreed("odd `db` 'x' 日本").await;
    world.agreed("d").await;
    assert_eq!(rows(&world.pair.branch, "SELECT * FROM d.`group`").await.len(), 2);
}

/// A server takes statements of 64 MB unless it is told otherwise, and so does the destination here.
#[tokio::test]
async fn values_of_16_megabytes_make_the_round_trip() {
    let world = World::new(&["--max-allowed-packet=64M"], "").await;
    let bytes: String = (0..=255u8).map(|byte| format!("{byte:02x}")).collect();
    let blob = format!("REPEAT(x'{bytes}', 65536)");
    world
        .hq(&[
            "CREATE TABLE d.large (id INT PRIMARY KEY, b LONGBLOB, t LONGTEXT, n INT)".to_owned(),
            format!("INSERT INTO d.large VALUES (1, {blob}, NULL, 1), (2, NULL, REPEAT('ä😀''\\n', 2097152), 1)"),
            "CREATE TABLE d.documents (id INT PRIMARY KEY, j JSON, n INT)".to_owned(),
            "INSERT INTO d.documents VALUES (1, JSON_ARRAY(REPEAT('x', 16777216)), 1)".to_owned(),
        ])
        .await;
    world.start("d.*").await;
    world
        .hq(&[format!("INSERT INTO d.large VALUES (3, {blob}, NULL, 1)")])
        .await;
    world
        .branch(&["UPDATE d.large SET n = 2", "UPDATE d.documents SET n = 2"])
        .await;
    world.agreed("d").await;
    world.branch(&["UPDATE d.large SET b = REVERSE(b) WHERE id = 3"]).await;
    world
        .hq(&["UPDATE d.large SET t = REPEAT('z', 16777216) WHERE id = 2"])
        .await;
    world
        .hq(&["UPDATE d.documents SET j = JSON_ARRAY(JSON_OBJECT('a', REPEAT('y', 16777216)), 1.5)"])
        .await;
    world.agreed("d").await;
    world.hq(&["DELETE FROM d.large", "DELETE FROM d.documents"]).await;
    world.agreed("d").await;
    assert_eq!(ask::cell(&world.pair.branch, "SELECT COUNT(*) FROM d.large").await, "0");
}
