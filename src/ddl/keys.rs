//! Keys that a table's rows can do without for a while.

use super::{
    classify::{StatementContext, classify},
    cursor::{Cursor, Shape},
    definition::ElementKind,
    lexer::lex,
    statement::SqlMode,
};

/// A key over columns that is neither unique nor FULLTEXT nor SPATIAL: it makes queries faster, and that is all. One over an
/// expression is left out, as the server makes a whole new table to add it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainKey {
    /// Its name.
    pub name: String,
    /// `KEY name (…) …`, as ALTER TABLE … ADD takes it.
    pub definition: String,
    /// The columns in it.
    pub columns: Vec<String>,
}

/// The plain keys in what SHOW CREATE TABLE says.
///
/// # Errors
/// If that can't be understood.
pub fn plain_keys(create: &str, context: &StatementContext<'_>) -> Result<Vec<PlainKey>, String> {
    let statement = classify(create, context).map_err(|error| error.to_string())?;
    let mut keys = Vec::new();
    for element in &statement.definition.as_ref()?.elements {
        let definition = statement.text.get(element.span.clone()).unwrap_or_default();
        let is_key = matches!(element.kind, ElementKind::Key { unique: false, .. });
        // The server writes no INDEX, and begins special ones with what they are.
        if is_key && definition.starts_with("KEY ") {
            keys.extend(plain(definition, context)?);
        }
    }
    Ok(keys)
}

/// The key of this definition; `None` if there is an expression in it.
fn plain(definition: &str, context: &StatementContext<'_>) -> Shape<Option<PlainKey>> {
    let lexed = lex(definition, SqlMode(context.sql_mode), context.server_version)?;
    let mut cursor = Cursor::new(&lexed, None);
    cursor.expect("KEY")?;
    let (name, _) = cursor.identifier()?;
    cursor.expect_symbol(b'(')?;
    let mut columns = Vec::new();
    loop {
        if cursor.is_symbol(b'(') {
            return Ok(None);
        }
        columns.push(cursor.identifier()?.0);
        if cursor.accept_symbol(b'(') {
            // Its first so many characters.
            cursor.skip();
            cursor.expect_symbol(b')')?;
        }
        cursor.accept_any(&["ASC", "DESC"]);
        if cursor.accept_symbol(b')') {
            break;
        }
        cursor.expect_symbol(b',')?;
    }
    Ok(Some(PlainKey {
        name,
        definition: definition.to_owned(),
        columns,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_that_make_nothing_but_speed_are_plain() {
        let create = "CREATE TABLE `t` (
  `id` int NOT NULL AUTO_INCREMENT,
  `a` varchar(20) DEFAULT 'KEY `x` (`a`),',
  `b` json DEFAULT NULL,
  `g` geometry NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `u` (`a`),
  KEY `k``1` (`a`(5),`id` DESC) USING BTREE COMMENT 'with, comma',
  KEY `hidden` (`a`) /*!80000 INVISIBLE */,
  KEY `f` (`a`,(cast(json_unquote(json_extract(`b`,_utf8mb4'$.x')) as char(10) charset utf8mb4))),
  FULLTEXT KEY `words` (`a`),
  SPATIAL KEY `place` (`g`),
  CONSTRAINT `fk` FOREIGN KEY (`a`) REFERENCES `p` (`x`)
) ENGINE=InnoDB";
        let context = StatementContext {
            default_database: Some("d"),
            sql_mode: 0,
            server_version: 90704,
        };
        let keys = plain_keys(create, &context).unwrap();
        let shown: Vec<String> = keys
            .iter()
            .map(|key| format!("{} | {} | {}", key.name, key.definition, key.columns.join(" ")))
            .collect();
        assert_eq!(
            shown,
            [
                "k`1 | KEY `k``1` (`a`(5),`id` DESC) USING BTREE COMMENT 'with, comma' | a id",
                "hidden | KEY `hidden` (`a`)   INVISIBLE | a"
            ]
        );
        assert!(plain_keys("CREATE TABLE `t` (`id` int, KEY `k` (`id`)", &context).is_err());
    }
}
