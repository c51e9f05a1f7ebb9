//! Statements in the character set of the client that sent them: what they say, and the way back. Servers do it, for they
//! alone know exactly what MySQL means by each character set.

use mysql_async::{Conn, prelude::Queryable};

use crate::{failure::Failure, sql::literal};

fn failed(error: &mysql_async::Error) -> Failure {
    Failure::mysql("reading a statement in the character set of its client", error)
}

/// The name of the character set of a collation; `None` if the server knows no such collation.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn of_collation(conn: &mut Conn, collation: u16) -> Result<Option<String>, Failure> {
    conn.query_first(format!(
        "SELECT CHARACTER_SET_NAME FROM information_schema.COLLATIONS WHERE ID = {collation}"
    ))
    .await
    .map_err(|error| failed(&error))
}

/// In these every text is UTF-8.
fn is_utf8(charset: &str) -> bool {
    charset.starts_with("utf8") || charset == "binary"
}

/// How many bytes of a statement are UTF-8 whatever its character set is: the server writes CREATE VIEW, PROCEDURE and
/// FUNCTION anew up to the name, in its own character set, and puts the rest behind it as it came.
fn written_by_the_server(raw: &[u8]) -> usize {
    let find = |word: &str, quote: u8| {
        let word = [word.as_bytes(), &[quote]].concat();
        let at = raw.windows(word.len()).position(|at| at == word)?;
        Some((at + word.len(), quote))
    };
    // Under ANSI_QUOTES it writes names in double quotes.
    let words = [" VIEW ", " PROCEDURE ", " FUNCTION "];
    let names = words.iter().flat_map(|word| [find(word, b'`'), find(word, b'"')]);
    let begins = raw.starts_with(b"CREATE ") || raw.starts_with(b"ALTER ");
    let Some((mut at, quote)) = names.flatten().min().filter(|_| begins) else {
        return 0;
    };
    loop {
        match (raw.get(at), raw.get(at + 1), raw.get(at + 2)) {
            (None, ..) => return 0,
            (Some(one), Some(two), _) if *one == quote && *two == quote => at += 2,
            (Some(one), Some(b'.'), Some(two)) if *one == quote && *two == quote => at += 3,
            (Some(one), ..) if *one == quote => break,
            _ => at += 1,
        }
    }
    let is_utf8 = raw.get(..at).is_some_and(|head| std::str::from_utf8(head).is_ok());
    if is_utf8 { at } else { 0 }
}

/// What a statement of the binlog says.
///
/// # Errors
/// See [`decode`].
pub async fn decode_logged(conn: &mut Conn, raw: &[u8], charset: &str) -> Result<String, Failure> {
    let (head, rest) = raw.split_at_checked(written_by_the_server(raw)).unwrap_or((&[], raw));
    let rest = decode(conn, rest, charset).await?;
    Ok(format!("{}{rest}", String::from_utf8_lossy(head)))
}

/// What a text says.
///
/// # Errors
/// [`Failure`] if the server refuses, or the statement is none in that character set.
pub async fn decode(conn: &mut Conn, raw: &[u8], charset: &str) -> Result<String, Failure> {
    if raw.is_ascii() || is_utf8(charset) {
        return Ok(String::from_utf8_lossy(raw).into_owned());
    }
    let text: Option<Option<String>> = conn
        .query_first(format!(
            "SELECT CONVERT(_{charset} 0x{} USING utf8mb4)",
            hex::encode(raw)
        ))
        .await
        .map_err(|error| failed(&error))?;
    text.flatten()
        .ok_or_else(|| Failure::data(format!("a statement can't be read in its character set, {charset}")))
}

/// The bytes of a statement in a character set; `None` if it has characters that are not in it.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn encode(conn: &mut Conn, text: &str, charset: &str) -> Result<Option<Vec<u8>>, Failure> {
    if text.is_ascii() || is_utf8(charset) {
        return Ok(Some(text.as_bytes().to_vec()));
    }
    let digits: Option<Option<String>> = conn
        .query_first(format!(
            "SELECT HEX(CONVERT({} USING {charset}))",
            literal::string(text)
        ))
        .await
        .map_err(|error| failed(&error))?;
    let Some(bytes) = digits.flatten().and_then(|digits| hex::decode(digits).ok()) else {
        return Ok(None);
    };
    let back = decode(conn, &bytes, charset).await?;
    Ok((back == text).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_server_has_written_are_told_from_the_rest() {
        let check = |raw: &[u8], expected: &[u8]| {
            assert_eq!(
                raw.get(..written_by_the_server(raw)),
                Some(expected),
                "{}",
                raw.escape_ascii()
            );
        };
        check(
            "CREATE DEFINER=`é`@`h` VIEW `d`.`vé` AS select".as_bytes(),
            "CREATE DEFINER=`é`@`h` VIEW `d`.`vé".as_bytes(),
        );
        check(
            b"CREATE DEFINER=`a`@`h` PROCEDURE `p``q`(x \xe9)",
            b"CREATE DEFINER=`a`@`h` PROCEDURE `p``q",
        );
        check(
            "CREATE DEFINER=\"a\"@\"h\" FUNCTION \"d\".\"fé\"(x".as_bytes(),
            "CREATE DEFINER=\"a\"@\"h\" FUNCTION \"d\".\"fé".as_bytes(),
        );
        // As the client sent them.
        check(b"CREATE VIEW `v\xe9` AS SELECT 1", b"");
        check(b"create procedure `p`", b"");
        check(b"CREATE TABLE t (a INT)", b"");
        check(b"CREATE VIEW `v", b"");
    }
}
