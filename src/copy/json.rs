//! JSON documents on their way through full sync.

use mysql_async::Value;

use crate::{model::table::TableColumn, sql::literal};

/// An expression that tells what the text of a JSON column leaves out.
pub(super) fn typed_expression(_column: &TableColumn) -> String {
    "NULL".to_owned()
}

/// Appends the document as a literal.
pub(super) fn push(out: &mut Vec<u8>, text: &[u8], _typed: &Value) -> Result<(), String> {
    let text = std::str::from_utf8(text).map_err(|_| "the JSON document is not UTF-8".to_owned())?;
    literal::push_string(out, text);
    Ok(())
}
