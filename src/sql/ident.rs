//! Identifiers, quoted.

use crate::model::name::TableName;

/// Appends an identifier in backticks.
pub fn push(out: &mut Vec<u8>, name: &str) {
    out.push(b'`');
    for byte in name.bytes() {
        if byte == b'`' {
            out.push(b'`');
        }
        out.push(byte);
    }
    out.push(b'`');
}

/// Appends `` `db`.`table` ``.
pub fn push_table(out: &mut Vec<u8>, name: &TableName) {
    push(out, &name.database);
    out.push(b'.');
    push(out, &name.table);
}

/// An identifier in backticks.
pub fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// `` `db`.`table` ``.
pub fn quoted_table(name: &TableName) -> String {
    format!("{}.{}", quoted(&name.database), quoted(&name.table))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backticks_in_names_are_doubled() {
        assert_eq!(quoted("a`b"), "`a``b`");
        let mut out = Vec::new();
        push_table(&mut out, &TableName::new("d`", "t"));
        assert_eq!(out, b"`d```.`t`");
        assert_eq!(quoted_table(&TableName::new("d`", "t")), "`d```.`t`");
    }
}
