//! Whether a column takes every value of another as the same value. Where it does not, a copy would be another value without
//! a word: members of an ENUM are carried by number, texts by their bytes, and the server cuts digits off.

use mysql_common::collations::{Collation, CollationId};

use super::table::{Family, TableColumn};

/// Why values of `from` would come to mean something else in `to`, if they would.
pub fn objection(from: &TableColumn, to: &TableColumn) -> Option<String> {
    let differs = |what: &str| Some(format!("{what} ({} and {})", from.column_type, to.column_type));
    match (&from.family, &to.family) {
        (Family::Text { charset: from, .. }, Family::Text { charset: to, .. }) if !holds_charset(from, to) => {
            Some(format!("the character sets differ ({from} and {to})"))
        }
        (Family::Number, Family::Number) => {
            let (from, to) = (members(&from.column_type), members(&to.column_type));
            let pairs = from.iter().zip(&to);
            let same = from.len() <= to.len() && pairs.into_iter().all(|(from, to)| from == to);
            if same { None } else { differs("the members differ") }
        }
        (Family::Time { fsp: from }, Family::Time { fsp: to })
        | (Family::DateTime { fsp: from }, Family::DateTime { fsp: to })
        | (Family::Timestamp { fsp: from }, Family::Timestamp { fsp: to })
            if from > to =>
        {
            differs("digits of the fraction would be lost")
        }
        (Family::Decimal, Family::Decimal) if scale(&from.column_type) > scale(&to.column_type) => {
            differs("digits of the fraction would be lost")
        }
        (Family::Float, Family::Float)
            if from.column_type.starts_with("double") && to.column_type.starts_with("float") =>
        {
            differs("digits would be lost")
        }
        _ => None,
    }
}

/// Whether bytes of a text in one character set mean the same in the other.
pub fn holds_charset(from: &str, to: &str) -> bool {
    let name = |charset: &str| {
        if charset == "utf8" {
            "utf8mb3".to_owned()
        } else {
            charset.to_owned()
        }
    };
    match (name(from).as_str(), name(to).as_str()) {
        (from, to) if from == to => true,
        ("ascii", to) => !matches!(to, "ucs2" | "utf16" | "utf16le" | "utf32"),
        (from, to) => (from, to) == ("utf8mb3", "utf8mb4"),
    }
}

/// The character set that a collation belongs to, by the collation's number; `None` if it is not known.
pub fn charset_of(collation: u32) -> Option<String> {
    let id = CollationId::from(u16::try_from(collation).ok()?);
    let charset = Collation::from(id).charset().to_owned();
    (id != CollationId::UNKNOWN_COLLATION_ID && !charset.is_empty()).then_some(charset)
}

/// The members of `enum('a','b')` or `set('a','b')`; none for other types.
pub fn members(column_type: &str) -> Vec<String> {
    let list = column_type
        .strip_prefix("enum(")
        .or_else(|| column_type.strip_prefix("set("));
    let Some(list) = list.and_then(|list| list.strip_suffix(')')) else {
        return Vec::new();
    };
    let mut members = Vec::new();
    let mut chars = list.chars().peekable();
    while let Some('\'') = chars.next() {
        let mut member = String::new();
        while let Some(char) = chars.next() {
            // The server doubles quotes, and writes other special characters with a backslash.
            member.push(match char {
                '\'' if chars.next_if_eq(&'\'').is_none() => break,
                '\\' => match chars.next() {
                    Some('0') => '\0',
                    Some('n') => '\n',
                    Some('r') => '\r',
                    Some(other) => other,
                    None => break,
                },
                char => char,
            });
        }
        members.push(member);
        chars.next_if_eq(&',');
    }
    members
}

/// Digits behind the point of `decimal(10,2)`.
fn scale(column_type: &str) -> u32 {
    let inside = column_type.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    inside
        .and_then(|(inside, _)| inside.split_once(','))
        .and_then(|(_, scale)| scale.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(family: Family, column_type: &str) -> TableColumn {
        TableColumn {
            name: "c".into(),
            family,
            column_type: column_type.into(),
            nullable: true,
            generated: false,
            on_update: false,
            default: None,
            auto_increment: false,
        }
    }

    fn check(from: &TableColumn, to: &TableColumn, holds: bool) {
        assert_eq!(objection(from, to).is_none(), holds, "{from:?} {to:?}");
    }

    #[test]
    fn what_would_mean_something_else_is_told() {
        let number = |column_type: &str| column(Family::Number, column_type);
        check(&number("enum('a','b')"), &number("enum('a','b')"), true);
        check(&number("enum('a','b')"), &number("enum('a','b','c')"), true);
        check(&number("enum('a','b')"), &number("enum('b','a')"), false);
        check(&number("enum('a','b')"), &number("enum('a')"), false);
        check(&number("set('a','b,''c')"), &number("set('a','b,''c')"), true);
        check(&number("year"), &number("year"), true);
        let text = |charset: &str| {
            let collation = format!("{charset}_bin");
            column(
                Family::Text {
                    charset: charset.into(),
                    collation,
                },
                "varchar(10)",
            )
        };
        check(&text("latin1"), &text("utf8mb4"), false);
        check(&text("utf8mb4"), &text("utf8mb4"), true);
        check(&text("ascii"), &text("latin1"), true);
        check(&text("ascii"), &text("utf16"), false);
        check(&text("utf8mb3"), &text("utf8mb4"), true);
        check(&text("utf8mb4"), &text("utf8mb3"), false);
        let at = |fsp| column(Family::DateTime { fsp }, "datetime");
        check(&at(6), &at(0), false);
        check(&at(0), &at(6), true);
        let decimal = |column_type: &str| column(Family::Decimal, column_type);
        check(&decimal("decimal(10,4)"), &decimal("decimal(10,2) unsigned"), false);
        check(&decimal("decimal(10,2)"), &decimal("decimal(12,4)"), true);
        check(&column(Family::Float, "double"), &column(Family::Float, "float"), false);
    }

    #[test]
    fn collations_lead_to_their_character_sets() {
        assert_eq!(charset_of(255).as_deref(), Some("utf8mb4"));
        assert_eq!(charset_of(8).as_deref(), Some("latin1"));
        assert_eq!(charset_of(65_000), None);
    }

    #[test]
    fn members_are_read_with_their_quotes() {
        assert_eq!(members("enum('a','it''s',',')"), ["a", "it's", ","]);
        assert_eq!(members(r"enum('a\\b','\0\n')"), [r"a\b", "\0\n"]);
        assert_eq!(members("set('x')"), ["x"]);
        assert!(members("year").is_empty() && members("enum(").is_empty());
    }
}
