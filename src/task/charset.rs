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

/// What a statement says.
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
