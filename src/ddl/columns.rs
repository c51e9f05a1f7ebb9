//! What becomes of a definition's parts when a task carries some columns of a table, or carries them under other names.
//!
//! A part that is only about columns left out goes; a part that is only about columns that are carried stays, under their
//! names. Of those about both, a key that is not unique goes, since it changes no content; everything else is refused.

use std::ops::Range;

use super::definition::{Definition, Element, ElementKind, Mention};
use super::rewrite::{Mapping, RewriteError};
use crate::model::{columns::ColumnMap, name::TableName};

/// A span of a statement and what stands there instead.
pub(super) type Edit = (Range<usize>, String);

/// What becomes of a column.
enum Fate {
    /// It is carried under its own name.
    Kept,
    /// It is carried under this name.
    Renamed(String),
    /// It is not carried.
    LeftOut,
}

/// The edits that make `definition` (of the table `own`) what the destination's table has; `None` if nothing is left of it.
pub(super) fn edits(
    definition: &Definition,
    own: &TableName,
    mapping: &Mapping<'_>,
) -> Result<Option<Vec<Edit>>, RewriteError> {
    let rewriting = Rewriting {
        own,
        map: (mapping.columns)(own),
        mapping,
    };
    let mut edits = Vec::new();
    let mut effect = definition.elements.is_empty() && definition.tail.is_empty();
    effect |= rewriting.all_of(&definition.elements, &mut edits)?;
    for element in &definition.tail {
        effect |= rewriting.one(element, &mut edits)?;
    }
    Ok(effect.then_some(edits))
}

struct Rewriting<'a> {
    own: &'a TableName,
    /// The columns of `own`.
    map: ColumnMap,
    mapping: &'a Mapping<'a>,
}

impl Rewriting<'_> {
    /// Edits of a list. Returns whether anything with an effect is left of it.
    fn all_of(&self, elements: &[Element], edits: &mut Vec<Edit>) -> Result<bool, RewriteError> {
        let mut effect = false;
        let mut any_kept = false;
        let mut previous_end = None;
        for (place, element) in elements.iter().enumerate() {
            let mut own_edits = Vec::new();
            if self.one(element, &mut own_edits)? {
                effect |= element.kind != ElementKind::Manner;
                any_kept = true;
                edits.append(&mut own_edits);
            } else {
                // With the comma before it, or the one after it if none of those before it stays.
                let start = match previous_end {
                    Some(end) if any_kept => end,
                    _ => element.span.start,
                };
                let end = match elements.get(place + 1) {
                    Some(next) if !any_kept => next.span.start,
                    _ => element.span.end,
                };
                edits.push((start..end, String::new()));
            }
            previous_end = Some(element.span.end);
        }
        Ok(effect)
    }

    /// Edits of one element. Returns whether it stays.
    fn one(&self, element: &Element, edits: &mut Vec<Edit>) -> Result<bool, RewriteError> {
        if let ElementKind::List(inner) = &element.kind {
            return self.all_of(inner, edits);
        }
        if !self.stays(element)? {
            return Ok(false);
        }
        for mention in &element.mentions {
            if let Fate::Renamed(name) = self.fate(mention) {
                edits.push((mention.span.clone(), name));
            }
        }
        if let Some((span, column)) = &element.after {
            match self.fate(column) {
                Fate::Kept => {}
                Fate::Renamed(name) => edits.push((column.span.clone(), name)),
                Fate::LeftOut => edits.push((span.clone(), String::new())),
            }
        }
        Ok(true)
    }

    fn stays(&self, element: &Element) -> Result<bool, RewriteError> {
        let left_out: Vec<&Mention> = element
            .mentions
            .iter()
            .filter(|mention| self.is_left_out(mention))
            .collect();
        let all = left_out.len() == element.mentions.len();
        let first = element.mentions.first();
        let refuse = |what: String, mention: &Mention| Err(self.refusal(what, mention));
        match (&element.kind, left_out.first()) {
            (ElementKind::Existing(name), _) => Ok(!self.map.is_listed() || (self.mapping.has_key)(self.own, name)),
            (ElementKind::DropColumn, None) => self.names_listed("drops", first),
            (ElementKind::RenameColumn, _) => self.renamed(element),
            (_, None) => Ok(true),
            (ElementKind::Column, Some(mention)) => match first {
                Some(defined) if !self.is_left_out(defined) => {
                    refuse(format!("the definition of column {}", defined.column), mention)
                }
                _ => Ok(false),
            },
            (ElementKind::DropColumn | ElementKind::Order, Some(_)) => Ok(false),
            (ElementKind::Key { unique: true, called }, Some(mention)) if !all || *called == PRIMARY_KEY => {
                refuse((*called).to_owned(), mention)
            }
            (ElementKind::Key { .. }, Some(_)) => Ok(false),
            (ElementKind::ForeignKey, Some(mention)) => {
                if element
                    .mentions
                    .iter()
                    .filter(|m| m.parent.is_none())
                    .all(|m| self.is_left_out(m))
                {
                    Ok(false)
                } else {
                    refuse("a foreign key".to_owned(), mention)
                }
            }
            (ElementKind::Check, Some(_)) if all => Ok(false),
            (ElementKind::Check, Some(mention)) => refuse("a CHECK".to_owned(), mention),
            (ElementKind::Partitioning, Some(mention)) => refuse("the partitioning".to_owned(), mention),
            (ElementKind::List(_) | ElementKind::Manner | ElementKind::Other, Some(_)) => Ok(true),
        }
    }

    /// RENAME COLUMN and CHANGE, which may leave the name as it is.
    fn renamed(&self, element: &Element) -> Result<bool, RewriteError> {
        let [old, new, ..] = element.mentions.as_slice() else {
            return Ok(true);
        };
        if !self.map.is_listed() {
            return Ok(true);
        }
        if !same_column(&old.column, &new.column) {
            for mention in [old, new] {
                if !self.is_left_out(mention) {
                    return self.names_listed("renames", Some(mention));
                }
            }
            return Ok(false);
        }
        self.stays(&Element {
            kind: ElementKind::Column,
            ..element.clone()
        })
    }

    fn names_listed(&self, does: &'static str, column: Option<&Mention>) -> Result<bool, RewriteError> {
        match column {
            Some(mention) if self.map.is_listed() => Err(RewriteError::ListedColumn {
                does,
                table: self.own.clone(),
                column: mention.column.clone(),
            }),
            _ => Ok(true),
        }
    }

    fn refusal(&self, what: String, mention: &Mention) -> RewriteError {
        RewriteError::LeftOutColumn {
            what,
            table: mention.parent.as_ref().unwrap_or(self.own).clone(),
            column: mention.column.clone(),
        }
    }

    fn is_left_out(&self, mention: &Mention) -> bool {
        matches!(self.fate(mention), Fate::LeftOut)
    }

    fn fate(&self, mention: &Mention) -> Fate {
        match &mention.parent {
            None => fate(&self.map, &mention.column),
            Some(parent) if parent == self.own => fate(&self.map, &mention.column),
            Some(parent) => fate(&(self.mapping.columns)(parent), &mention.column),
        }
    }
}

pub(super) const PRIMARY_KEY: &str = "the primary key";

fn fate(map: &ColumnMap, column: &str) -> Fate {
    match map.to(column) {
        None => Fate::LeftOut,
        Some(to) if same_column(to, column) => Fate::Kept,
        Some(to) => Fate::Renamed(super::rewrite::quoted(to)),
    }
}

/// Column names are compared without regard to case, whatever the server's settings.
fn same_column(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::super::{Role, StatementContext, classify};
    use super::*;

    /// `shop` is `copy` at the destination. Of `t` come id, name as full_name, price as `the cost`, qty and up; of `p` only id as
    /// pid; of others everything. `t` has no key `gone` there.
    fn rewritten(statement: &str) -> String {
        let context = StatementContext {
            default_database: Some("shop"),
            sql_mode: 0,
            server_version: 90_704,
        };
        let listed = |columns: &[(&str, &str)]| {
            let pair = |(from, to): &(&str, &str)| ((*from).to_owned(), (*to).to_owned());
            ColumnMap::Listed(columns.iter().map(pair).collect())
        };
        let mapping = Mapping {
            names: &|_: Role, name: &TableName| Some(TableName::new("copy", &name.table)),
            columns: &|table: &TableName| match table.table.as_str() {
                "t" => listed(&[
                    ("id", "id"),
                    ("name", "full_name"),
                    ("price", "the cost"),
                    ("Qty", "Qty"),
                    ("up", "up"),
                ]),
                "p" => listed(&[("id", "pid")]),
                _ => ColumnMap::All,
            },
            has_key: &|_, key| key != "gone",
        };
        match classify(statement, &context).unwrap().rewrite_for(&mapping) {
            Ok(Some(text)) => text,
            Ok(None) => "nothing".to_owned(),
            Err(error) => format!("refused: {error}"),
        }
    }

    /// Both without the head that is the same in all of them.
    fn check_alter(clauses: &str, expected: &str) {
        let found = rewritten(&format!("ALTER TABLE t {clauses}"));
        let found = found.strip_prefix("ALTER TABLE `copy`.`t` ").unwrap_or(&found);
        assert_eq!(found, expected, "{clauses}");
    }

    fn check_create(parts: &str, expected: &str) {
        let found = rewritten(&format!("CREATE TABLE t ({parts}"));
        let found = found.strip_prefix("CREATE TABLE `copy`.`t` (").unwrap_or(&found);
        assert_eq!(found, expected, "{parts}");
    }

    fn check_refused(statement: &str, why: &str) {
        let found = rewritten(statement);
        assert!(
            found.starts_with("refused: ") && found.contains(why),
            "{statement}: {found}"
        );
    }

    #[test]
    fn a_new_table_gets_its_columns_under_their_names_and_no_others() {
        check_create(
            "\n  `id` int NOT NULL AUTO_INCREMENT,\n  `secret` text,\n  `name` varchar(20) COLLATE utf8mb4_bin DEFAULT 'name',\n  \
             `price` decimal(10,2) DEFAULT NULL,\n  PRIMARY KEY (`id`),\n  KEY `s` (`secret`(10)),\n  KEY `n` (`name`,`price`)\n) \
             ENGINE=InnoDB COMMENT='price'",
            "\n  `id` int NOT NULL AUTO_INCREMENT,\n  `full_name` varchar(20) COLLATE utf8mb4_bin DEFAULT 'name',\n  \
             `the cost` decimal(10,2) DEFAULT NULL,\n  PRIMARY KEY (`id`),\n  KEY `n` (`full_name`,`the cost`)\n) \
             ENGINE=InnoDB COMMENT='price'",
        );
        check_create("x INT, y INT, id INT PRIMARY KEY)", "id INT PRIMARY KEY)");
        check_create("x INT, id INT PRIMARY KEY, y INT, z INT)", "id INT PRIMARY KEY)");
        check_create("id INT, qty INT, QTY2 INT)", "id INT, qty INT)");
        check_create(
            "NAME CHAR(3) UNIQUE, c ENUM('a','b,c') REFERENCES u (id), id INT)",
            "`full_name` CHAR(3) UNIQUE, id INT)",
        );
        check_create(
            "id INT, UNIQUE KEY (name(5) DESC, id), UNIQUE (x), FULLTEXT f (name) WITH PARSER ngram, FULLTEXT g (name, x), \
             INDEX h USING HASH (price) COMMENT 'price', INDEX ((price * 2)), INDEX ((price * x)), KEY (id, x))",
            "id INT, UNIQUE KEY (`full_name`(5) DESC, id), FULLTEXT f (`full_name`) WITH PARSER ngram, \
             INDEX h USING HASH (`the cost`) COMMENT 'price', INDEX ((`the cost` * 2)))",
        );
        check_create(
            "id INT, price INT CHECK (price > 0), CONSTRAINT k CHECK (x > 0) NOT ENFORCED, CHECK (t.price < qty), CHECK (1 < 2), \
             x INT CHECK (x > price))",
            "id INT, `the cost` INT CHECK (`the cost` > 0), CHECK (`copy`.`t`.`the cost` < qty), CHECK (1 < 2))",
        );
        check_create(
            "id INT, up INT GENERATED ALWAYS AS (price + 1) STORED, qty INT DEFAULT (name + 1), price INT AS (`id` % 5) VIRTUAL)",
            "id INT, up INT GENERATED ALWAYS AS (`the cost` + 1) STORED, qty INT DEFAULT (`full_name` + 1), \
             `the cost` INT AS (`id` % 5) VIRTUAL)",
        );
        check_create(
            "id INT, price TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), x INT)",
            "id INT, `the cost` TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3))",
        );
        check_create(
            "id INT, x INT) ENGINE=InnoDB, COMMENT='x' /*!50100 PARTITION BY RANGE (id) SUBPARTITION BY HASH (price + qty) (PARTITION \
             p VALUES LESS THAN (7)) */",
            "id INT) ENGINE=InnoDB, COMMENT='x'   PARTITION BY RANGE (id) SUBPARTITION BY HASH (`the cost` + qty) (PARTITION \
             p VALUES LESS THAN (7))  ",
        );
        check_create(
            "id INT) PARTITION BY LINEAR KEY ALGORITHM=2 (name, id) PARTITIONS 4",
            "id INT) PARTITION BY LINEAR KEY ALGORITHM=2 (`full_name`, id) PARTITIONS 4",
        );
        check_create(
            "id INT) PARTITION BY LIST COLUMNS (price) (PARTITION price VALUES IN (1))",
            "id INT) PARTITION BY LIST COLUMNS (`the cost`) (PARTITION price VALUES IN (1))",
        );
        check_create("`id` int,`x` int) START TRANSACTION", "`id` int)");
        check_refused("CREATE TABLE t (x INT)", "none of the columns");
        check_refused(
            "CREATE TABLE t (id INT, x INT, PRIMARY KEY (id, x))",
            "the primary key needs column x",
        );
        check_refused(
            "CREATE TABLE t (id INT, x INT, PRIMARY KEY (x))",
            "the primary key needs column x",
        );
        check_refused(
            "CREATE TABLE t (id INT, x INT, UNIQUE (id, x))",
            "a unique key needs column x of shop.t",
        );
        check_refused(
            "CREATE TABLE t (id INT, UNIQUE ((id + x)))",
            "a unique key needs column x",
        );
        check_refused("CREATE TABLE t (id INT, CHECK (id > `x`))", "a CHECK needs column x");
        check_refused(
            "CREATE TABLE t (id INT AS (x + 1))",
            "the definition of column id needs column x",
        );
        check_refused(
            "CREATE TABLE t (id INT DEFAULT (x))",
            "the definition of column id needs column x",
        );
        check_refused(
            "CREATE TABLE t (id INT) PARTITION BY HASH (x)",
            "the partitioning needs column x",
        );
        check_refused("CREATE TABLE t LIKE u", "LIKE can't be carried for shop.t");
        check_refused("CREATE TABLE u LIKE t", "LIKE can't be carried for shop.t");
        check_refused("CREATE TABLE t (id INT, CHECK (id FROB 5))", "can't be told");
    }

    #[test]
    fn foreign_keys_follow_both_sides_columns() {
        check_create(
            "id INT, FOREIGN KEY fk (price) REFERENCES p (id) ON DELETE SET NULL, FOREIGN KEY (x) REFERENCES p (y), up INT REFERENCES t (price))",
            "id INT, FOREIGN KEY fk (`the cost`) REFERENCES `copy`.`p` (`pid`) ON DELETE SET NULL, up INT REFERENCES `copy`.`t` (`the cost`))",
        );
        assert_eq!(
            rewritten("CREATE TABLE c (a INT, name INT, FOREIGN KEY (name) REFERENCES shop.p (ID))"),
            "CREATE TABLE `copy`.`c` (a INT, name INT, FOREIGN KEY (name) REFERENCES `copy`.`p` (`pid`))"
        );
        assert_eq!(
            rewritten("CREATE TABLE c (a INT, name INT, FOREIGN KEY (name) REFERENCES u (name))"),
            "CREATE TABLE `copy`.`c` (a INT, name INT, FOREIGN KEY (name) REFERENCES `copy`.`u` (name))"
        );
        check_refused(
            "CREATE TABLE c (a INT REFERENCES p (x))",
            "the definition of column a needs column x of shop.p",
        );
        check_refused(
            "CREATE TABLE t (id INT, FOREIGN KEY (id, x) REFERENCES u (a, b))",
            "a foreign key needs column x of shop.t",
        );
        check_refused(
            "CREATE TABLE t (id INT, FOREIGN KEY (id) REFERENCES p (x))",
            "a foreign key needs column x of shop.p",
        );
        check_refused(
            "ALTER TABLE c ADD FOREIGN KEY (a) REFERENCES p (x)",
            "a foreign key needs column x of shop.p",
        );
    }

    #[test]
    fn an_alteration_is_carried_clause_by_clause() {
        check_alter("ADD COLUMN x INT AFTER name", "nothing");
        check_alter("ADD x INT FIRST, ALGORITHM=INSTANT, LOCK=NONE", "nothing");
        check_alter(
            "ADD price INT AFTER x, ALGORITHM=INSTANT",
            "ADD `the cost` INT, ALGORITHM=INSTANT",
        );
        check_alter(
            "ADD x INT, ADD COLUMN price INT AFTER name",
            "ADD COLUMN `the cost` INT AFTER `full_name`",
        );
        check_alter(
            "ADD price INT NOT NULL DEFAULT 5 FIRST, ADD x INT, ADD y INT",
            "ADD `the cost` INT NOT NULL DEFAULT 5 FIRST",
        );
        check_alter("ADD x INT, ADD qty INT AFTER x, ADD y INT", "ADD qty INT");
        check_alter(
            "ADD (x INT, price INT, INDEX (x), INDEX i (price, x), KEY (price))",
            "ADD (`the cost` INT, KEY (`the cost`))",
        );
        check_alter("ADD COLUMN (x INT, y INT), FORCE", "FORCE");
        check_alter("ADD (x INT)", "nothing");
        check_alter(
            "ADD INDEX (x), ADD INDEX i (name DESC), ADD UNIQUE (price)",
            "ADD INDEX i (`full_name` DESC), ADD UNIQUE (`the cost`)",
        );
        check_alter(
            "ADD CONSTRAINT c CHECK (price > 0), ADD CHECK (x), ADD CONSTRAINT PRIMARY KEY (id, name)",
            "ADD CONSTRAINT c CHECK (`the cost` > 0), ADD CONSTRAINT PRIMARY KEY (id, `full_name`)",
        );
        check_alter(
            "ADD CONSTRAINT f FOREIGN KEY (price) REFERENCES p (id), ADD FOREIGN KEY (x) REFERENCES stranger.z (a)",
            "ADD CONSTRAINT f FOREIGN KEY (`the cost`) REFERENCES `copy`.`p` (`pid`)",
        );
        check_alter("DROP COLUMN x, DROP y", "nothing");
        check_alter(
            "DROP x CASCADE, DROP INDEX i, DROP KEY gone, DROP PRIMARY KEY, DROP CHECK gone, DROP FOREIGN KEY f, DROP CONSTRAINT gone",
            "DROP INDEX i, DROP PRIMARY KEY, DROP FOREIGN KEY f",
        );
        check_alter(
            "MODIFY x INT, MODIFY COLUMN `name` VARCHAR(30) CHARACTER SET latin1 AFTER x",
            "MODIFY COLUMN `full_name` VARCHAR(30) CHARACTER SET latin1",
        );
        check_alter(
            "CHANGE x y INT, CHANGE COLUMN name NAME TEXT AFTER price",
            "CHANGE COLUMN `full_name` `full_name` TEXT AFTER `the cost`",
        );
        check_alter(
            "CHANGE qty Qty BIGINT, CHANGE id id INT AS (price)",
            "CHANGE qty Qty BIGINT, CHANGE id id INT AS (`the cost`)",
        );
        check_alter(
            "RENAME COLUMN x TO y, RENAME INDEX i TO j, RENAME KEY gone TO here",
            "RENAME INDEX i TO j",
        );
        check_alter(
            "ALTER x SET DEFAULT 5, ALTER COLUMN name DROP DEFAULT, ALTER price SET DEFAULT (id + 1)",
            "ALTER COLUMN `full_name` DROP DEFAULT, ALTER `the cost` SET DEFAULT (id + 1)",
        );
        check_alter(
            "ALTER INDEX gone INVISIBLE, ALTER INDEX i VISIBLE, ALTER CHECK gone NOT ENFORCED, ALTER CONSTRAINT c ENFORCED",
            "ALTER INDEX i VISIBLE, ALTER CONSTRAINT c ENFORCED",
        );
        check_alter(
            "ALTER COLUMN price SET INVISIBLE",
            "ALTER COLUMN `the cost` SET INVISIBLE",
        );
        check_alter(
            "ENGINE=InnoDB ROW_FORMAT=DYNAMIC COMMENT='name', ADD x INT, RENAME TO v",
            "ENGINE=InnoDB ROW_FORMAT=DYNAMIC COMMENT='name', RENAME TO `copy`.`v`",
        );
        check_alter("ORDER BY t.price DESC, id", "ORDER BY `copy`.`t`.`the cost` DESC, id");
        check_alter("ORDER BY x, id", "nothing");
        check_alter(
            "ADD x INT PARTITION BY HASH (price) PARTITIONS 3",
            " PARTITION BY HASH (`the cost`) PARTITIONS 3",
        );
        check_alter("DROP x REMOVE PARTITIONING", " REMOVE PARTITIONING");
        check_alter("DROP PARTITION name, price", "DROP PARTITION name, price");
        check_alter(
            "REORGANIZE PARTITION p0,p1 INTO (PARTITION name VALUES LESS THAN (5))",
            "REORGANIZE PARTITION p0,p1 INTO (PARTITION name VALUES LESS THAN (5))",
        );
        check_alter(
            "ADD PARTITION (PARTITION name VALUES LESS THAN (5))",
            "ADD PARTITION (PARTITION name VALUES LESS THAN (5))",
        );
        check_alter("CONVERT TO CHARACTER SET utf8mb4", "CONVERT TO CHARACTER SET utf8mb4");
        check_alter("WITHOUT VALIDATION, ADD x INT AS (price)", "nothing");
        check_alter("DISABLE KEYS", "DISABLE KEYS");
        check_alter(
            "/* name */ ADD -- price\n x INT /*!80000 , ADD price INT */ # end",
            "/* name */ ADD `the cost` INT   # end",
        );
        check_alter(
            "ADD FULLTEXT (x, name), ADD SPATIAL INDEX s (price)",
            "ADD SPATIAL INDEX s (`the cost`)",
        );
        check_refused("ALTER TABLE t DROP COLUMN name", "drops column name of shop.t");
        check_refused("ALTER TABLE t RENAME COLUMN name TO x", "renames column name");
        check_refused("ALTER TABLE t RENAME COLUMN x TO name", "renames column name");
        check_refused("ALTER TABLE t CHANGE price cost INT", "renames column price");
        check_refused(
            "ALTER TABLE t MODIFY price INT AS (x)",
            "the definition of column price needs column x",
        );
        check_refused("ALTER TABLE t ADD UNIQUE (id, x)", "a unique key needs column x");
        check_refused("ALTER TABLE t ADD PRIMARY KEY (x)", "the primary key needs column x");
        check_refused("ALTER TABLE t ADD CHECK (x < id)", "a CHECK needs column x");
        check_refused(
            "ALTER TABLE t ADD x INT PARTITION BY KEY (x)",
            "the partitioning needs column x",
        );
    }

    #[test]
    fn tables_with_all_their_columns_stay_as_they_are() {
        for clauses in [
            "DROP COLUMN name",
            "RENAME COLUMN name TO x",
            "ORDER BY name",
            "ADD CHECK (id FROB 5)",
            "DROP INDEX gone",
        ] {
            let found = rewritten(&format!("ALTER TABLE u {clauses}"));
            assert_eq!(found, format!("ALTER TABLE `copy`.`u` {clauses}"));
        }
    }

    #[test]
    fn statements_on_one_key_go_or_stay() {
        let check = |statement: &str, expected: &str| assert_eq!(rewritten(statement), expected, "{statement}");
        check(
            "CREATE INDEX x ON t (price, name(3))",
            "CREATE INDEX x ON `copy`.`t` (`the cost`, `full_name`(3))",
        );
        check("CREATE INDEX x USING BTREE ON t (x)", "nothing");
        check("CREATE INDEX x ON t (name, x) LOCK=NONE", "nothing");
        check(
            "CREATE FULLTEXT INDEX x ON t (name) WITH PARSER ngram",
            "CREATE FULLTEXT INDEX x ON `copy`.`t` (`full_name`) WITH PARSER ngram",
        );
        check("CREATE UNIQUE INDEX x ON t (x)", "nothing");
        check(
            "CREATE UNIQUE INDEX x ON t ((lower(name)))",
            "CREATE UNIQUE INDEX x ON `copy`.`t` ((lower(`full_name`)))",
        );
        check("DROP INDEX i ON t LOCK=NONE", "DROP INDEX i ON `copy`.`t` LOCK=NONE");
        check("DROP INDEX gone ON t", "nothing");
        check("DROP INDEX gone ON u", "DROP INDEX gone ON `copy`.`u`");
        check("TRUNCATE t", "TRUNCATE `copy`.`t`");
        check("DROP TABLE t, u", "DROP TABLE `copy`.`t`, `copy`.`u`");
        check_refused("CREATE UNIQUE INDEX x ON t (id, x)", "a unique key needs column x");
    }
}
