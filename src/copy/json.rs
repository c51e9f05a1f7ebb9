//! JSON documents on their way through full sync.
//!
//! Rows are read as text, and the text of a JSON document does not tell a DECIMAL from a DOUBLE, nor a DATE, a TIME, a
//! DATETIME or a binary string from a string. A document that may hold one of them is held back; when the other rows of
//! the range have been read, the server is asked for the types of the values in question.
//!
//! Which documents those are: the server compares each document with what its own text makes. They differ if a string
//! is an SQL value. A DECIMAL equals the DOUBLE of the same text, and may even have the same size, so for numbers sizes
//! tell only if no two differences can cancel out: a DECIMAL without fraction is always larger than the integer its text
//! makes, a small unsigned integer never is.
//!
//! The question is asked later than the row was read, and the row may have changed in between. Then that change is
//! still to come, as with any row of a range, and whatever was copied is written over. (That is why it does no harm
//! that the document's types are newer than the other columns.)

use std::collections::HashMap;

use mysql_async::{Conn, Row, Value, prelude::Queryable};

use crate::{
    binlog::jsonb::field_type,
    failure::Failure,
    model::table::{Family, Table, TableColumn},
    sql::{
        ident,
        json::{self, Typed},
        json_path::Path,
        literal,
    },
};

use super::range::key_columns;

/// Paths asked for in one statement.
const PATHS_PER_STATEMENT: usize = 1000;
/// What is asked together has about this many bytes at most.
const QUESTION_BYTES: usize = 256 << 10;

/// An expression that tells whether the text of a JSON column leaves something out that shows in a comparison.
pub(super) fn differs_expression(column: &TableColumn) -> String {
    let name = ident::quoted(&column.name);
    let again = format!("CAST(CAST({name} AS CHAR CHARACTER SET utf8mb4) AS JSON)");
    // NULL: the text is too long for a function's result.
    format!("IFNULL(JSON_STORAGE_SIZE({name}) <> JSON_STORAGE_SIZE({again}) OR NOT ({name} <=> {again}), 1)")
}

/// A value of which the text does not say what type it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    path: String,
    /// Its text; of a string, what stands between the quotes.
    text: String,
    number: bool,
}

/// The values of a document whose types have to be asked for. `differs`: see [`differs_expression`].
///
/// # Errors
/// If it is no JSON.
pub(super) fn candidates(document: &str, differs: bool) -> Result<Vec<Candidate>, String> {
    let mut found = scalars(document)?;
    if differs {
        return Ok(found);
    }
    found.retain(|candidate| candidate.number);
    let fractions = found.iter().any(|candidate| candidate.text.contains('.'));
    let unsigned = || {
        found.len() > 1
            && found
                .iter()
                .any(|candidate| may_be_smaller_as_unsigned(&candidate.text))
    };
    if !fractions && !unsigned() {
        found.clear();
    }
    Ok(found)
}

/// An unsigned integer takes less room than the signed one of the same text if it uses the highest bit of 16 or 32.
fn may_be_smaller_as_unsigned(text: &str) -> bool {
    text.parse::<u32>()
        .is_ok_and(|number| (0x8000..=0xffff).contains(&number) || number >= 0x8000_0000)
}

/// The numbers and strings that may stand for an SQL value.
fn scalars(document: &str) -> Result<Vec<Candidate>, String> {
    let malformed = || "the source's JSON text makes no sense".to_owned();
    let mut found = Vec::new();
    let mut path = Path::new();
    // Behind the brace or comma of an object a string is a key.
    let mut key_is_due = false;
    let mut rest = document;
    while let Some(first) = rest.bytes().next() {
        let length = match first {
            b'"' => string_length(rest).ok_or_else(malformed)?,
            b'-' | b'0'..=b'9' => rest.find([',', ']', '}', ' ']).unwrap_or(rest.len()),
            b'a'..=b'z' => rest.find([',', ']', '}', ' ']).unwrap_or(rest.len()),
            _ => 1,
        };
        let (token, behind) = rest.split_at_checked(length).ok_or_else(malformed)?;
        rest = behind;
        match first {
            b'{' | b'[' => {
                path.value();
                path.open(first == b'[');
                key_is_due = first == b'{';
            }
            b'}' | b']' => path.close(),
            b',' => key_is_due = path.in_object(),
            b':' | b' ' => {}
            b'"' if key_is_due => {
                path.key(token);
                key_is_due = false;
            }
            b'"' | b'-' | b'0'..=b'9' | b'a'..=b'z' => {
                path.value();
                let number = !matches!(first, b'"' | b'a'..=b'z');
                let text = if number { token } else { token.trim_matches('"') };
                // A DECIMAL never prints with an exponent.
                if (number && !token.contains(['e', 'E'])) || (first == b'"' && looks_typed(text)) {
                    found.push(Candidate {
                        path: path.as_str().to_owned(),
                        text: text.to_owned(),
                        number,
                    });
                }
            }
            _ => return Err(malformed()),
        }
    }
    Ok(found)
}

/// Length of the JSON string that `text` begins with, quotes included.
fn string_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes()
        .enumerate()
        .skip(1)
        .find(|(_, byte)| {
            let end = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            end
        })
        .map(|(place, _)| place + 1)
}

/// Whether an SQL value in JSON could print as this string.
fn looks_typed(text: &str) -> bool {
    if text.starts_with("base64:type") {
        return true;
    }
    if text.len() > 26 {
        return false;
    }
    let shape: String = text
        .chars()
        .map(|character| if character.is_ascii_digit() { '0' } else { character })
        .collect();
    matches!(
        shape.strip_prefix('-').unwrap_or(&shape),
        "0000-00-00" | "0000-00-00 00:00:00.000000" | "00:00:00.000000" | "000:00:00.000000"
    )
}

/// A document that is held back, and the row it is in.
#[derive(Debug)]
pub(super) struct Document {
    /// Its column.
    pub(super) column: String,
    /// The key of its row: expressions typed like the columns.
    pub(super) key: Vec<String>,
    /// Its text.
    pub(super) text: String,
    /// What has to be asked for.
    pub(super) candidates: Vec<Candidate>,
}

/// Asks for the types and gives each of `documents` as an expression; `None` where its text says it all.
///
/// # Errors
/// [`Failure`] if the source refuses, or a document holds a value that no expression makes.
pub(super) async fn resolve(
    conn: &mut Conn,
    table: &Table,
    documents: &[Document],
) -> Result<Vec<Option<Vec<u8>>>, Failure> {
    let keys = key_columns(table)?;
    let question = Question { table, keys: &keys };
    // Without an answer the row has changed: what is written now does not last.
    let mut types: Vec<Vec<String>> = vec![Vec::new(); documents.len()];
    let (alike, single) = by_shape(&keys, documents);
    for documents in alike {
        question.ask_together(conn, &documents, &mut types).await?;
    }
    question.ask_one_by_one(conn, &single, &mut types).await?;
    let expressions = documents.iter().zip(types);
    expressions
        .map(|(document, types)| document.expression(table, &types))
        .collect()
}

/// A document and its place among those that are asked for.
type Placed<'d> = (usize, &'d Document);

/// Documents of one column that have the same paths to ask for can be asked for in one statement, which takes a tenth of the
/// time, if their rows are found by the index also where the key comes out of a list.
fn by_shape<'d>(keys: &[&TableColumn], documents: &'d [Document]) -> (Vec<Vec<Placed<'d>>>, Vec<Placed<'d>>) {
    let joins = |column: &&TableColumn| {
        matches!(
            column.family,
            Family::Integer | Family::Text { .. } | Family::Binary { .. } | Family::Blob
        )
    };
    let all = documents.iter().enumerate();
    if !keys.iter().all(joins) {
        return (Vec::new(), all.collect());
    }
    let mut shapes: HashMap<(&str, Vec<&str>), Vec<Placed<'_>>> = HashMap::new();
    for (place, document) in all {
        let paths = document.candidates.iter().map(|candidate| candidate.path.as_str());
        let shape = (document.column.as_str(), paths.collect());
        shapes.entry(shape).or_default().push((place, document));
    }
    let (alike, single): (Vec<_>, Vec<_>) = shapes.into_values().partition(|documents| {
        let paths = documents.first().map_or(0, |(_, first)| first.candidates.len());
        documents.len() > 1 && paths <= PATHS_PER_STATEMENT
    });
    (alike, single.into_iter().flatten().collect())
}

impl Document {
    fn expression(&self, table: &Table, types: &[String]) -> Result<Option<Vec<u8>>, Failure> {
        let mut typed = Vec::new();
        for (candidate, kind) in self.candidates.iter().zip(types) {
            let expression = expression(candidate, kind).map_err(|reason| {
                Failure::data(format!(
                    "column {} of {}: at {} the JSON document {reason}; change the value at the source to a plain JSON \
                     one",
                    self.column, table.name, candidate.path
                ))
            })?;
            typed.extend(expression.map(|expression| Typed {
                path: candidate.path.clone(),
                expression,
            }));
        }
        if typed.is_empty() {
            return Ok(None);
        }
        let mut out = Vec::new();
        json::push_document(&mut out, &self.text, &typed);
        Ok(Some(out))
    }
}

/// How the types of values in documents of a table are asked for.
struct Question<'t> {
    table: &'t Table,
    keys: &'t [&'t TableColumn],
}

impl Question<'_> {
    fn failed(&self, error: &mysql_async::Error) -> Failure {
        Failure::mysql(
            format_args!(
                "asking for the types of values in JSON documents of {}",
                self.table.name
            ),
            error,
        )
    }

    /// Documents with the same paths in one column.
    async fn ask_together(
        &self,
        conn: &mut Conn,
        documents: &[Placed<'_>],
        types: &mut [Vec<String>],
    ) -> Result<(), Failure> {
        let mut rest = documents;
        while !rest.is_empty() {
            let mut rows = Vec::new();
            let fit = rest.iter().take_while(|(place, document)| {
                let fits = rows.len() < QUESTION_BYTES;
                if fits {
                    rows.extend_from_slice(if rows.is_empty() { b"ROW(" } else { b",ROW(" });
                    rows.extend_from_slice(format!("{place},{})", document.key.join(",")).as_bytes());
                }
                fits
            });
            let (now, later) = rest.split_at(fit.count());
            rest = later;
            let Some((_, first)) = now.first() else { break };
            let question = self.together(first, &rows);
            let answers: Vec<Row> = conn.query(question).await.map_err(|error| self.failed(&error))?;
            for answer in answers {
                let mut values = answer.unwrap().into_iter();
                let Some(place) = values
                    .next()
                    .and_then(|place| mysql_async::from_value_opt::<usize>(place).ok())
                else {
                    continue;
                };
                // They are in the order of their places.
                let asked = now.binary_search_by_key(&place, |(asked, _)| *asked);
                if let Some((_, document)) = asked.ok().and_then(|found| now.get(found))
                    && let Some(of_document) = types.get_mut(place)
                {
                    *of_document = same_document(values, &document.text).unwrap_or_default();
                }
            }
        }
        Ok(())
    }

    async fn ask_one_by_one(
        &self,
        conn: &mut Conn,
        documents: &[Placed<'_>],
        types: &mut [Vec<String>],
    ) -> Result<(), Failure> {
        let mut question = Vec::new();
        let mut first = 0;
        for (number, (_, document)) in documents.iter().enumerate() {
            self.push_one(&mut question, document);
            if question.len() < QUESTION_BYTES && number + 1 < documents.len() {
                continue;
            }
            let asked = documents.get(first..=number).unwrap_or_default();
            self.ask(conn, asked, std::mem::take(&mut question), types).await?;
            first = number + 1;
        }
        Ok(())
    }

    async fn ask(
        &self,
        conn: &mut Conn,
        documents: &[Placed<'_>],
        question: Vec<u8>,
        types: &mut [Vec<String>],
    ) -> Result<(), Failure> {
        let failed = |error: mysql_async::Error| self.failed(&error);
        let mut result = conn.query_iter(question).await.map_err(failed)?;
        for (place, document) in documents {
            let mut found: Option<Vec<String>> = Some(Vec::new());
            for _ in document.candidates.chunks(PATHS_PER_STATEMENT) {
                let rows: Vec<Row> = result.collect().await.map_err(failed)?;
                let answer = rows
                    .into_iter()
                    .next()
                    .and_then(|row| same_document(row.unwrap().into_iter(), &document.text));
                match (&mut found, answer) {
                    (Some(found), Some(more)) => found.extend(more),
                    _ => found = None,
                }
            }
            if let Some(types) = types.get_mut(*place) {
                *types = found.unwrap_or_default();
            }
        }
        Ok(())
    }

    fn index(&self) -> String {
        let key = self.table.row_key();
        key.map(|key| ident::quoted(&key.name)).unwrap_or_default()
    }

    /// One SELECT for documents like `first`, whose places and keys are `rows`: place, the document as it is now, and the types.
    fn together(&self, first: &Document, rows: &[u8]) -> Vec<u8> {
        let mut out = b"SELECT v.n,t.".to_vec();
        ident::push(&mut out, &first.column);
        out.push(b',');
        push_types(&mut out, "t.", &first.column, &first.candidates);
        out.extend_from_slice(b" FROM (VALUES ");
        out.extend_from_slice(rows);
        let names: String = (0..self.keys.len()).map(|number| format!(",k{number}")).collect();
        let keys = self.keys.iter().enumerate();
        let equal = keys.map(|(number, key)| format!("t.{}=v.k{number}", ident::quoted(&key.name)));
        out.extend_from_slice(
            format!(
                ") AS v(n{names}) STRAIGHT_JOIN {} AS t FORCE INDEX ({}) ON {}",
                ident::quoted_table(&self.table.name),
                self.index(),
                equal.collect::<Vec<_>>().join(" AND ")
            )
            .as_bytes(),
        );
        out
    }

    /// One SELECT per [`PATHS_PER_STATEMENT`] candidates: the document as it is now, and the types.
    fn push_one(&self, out: &mut Vec<u8>, document: &Document) {
        let equal = self
            .keys
            .iter()
            .zip(&document.key)
            .map(|(key, value)| format!("{} = {value}", ident::quoted(&key.name)));
        let condition = equal.collect::<Vec<_>>().join(" AND ");
        for candidates in document.candidates.chunks(PATHS_PER_STATEMENT) {
            if !out.is_empty() {
                out.push(b';');
            }
            out.extend_from_slice(b"SELECT ");
            ident::push(out, &document.column);
            out.push(b',');
            push_types(out, "", &document.column, candidates);
            out.extend_from_slice(
                format!(
                    " FROM {} FORCE INDEX ({}) WHERE {condition}",
                    ident::quoted_table(&self.table.name),
                    self.index()
                )
                .as_bytes(),
            );
        }
    }
}

/// `["DECIMAL 7", "STRING 5", …]`: type and size of each candidate.
fn push_types(out: &mut Vec<u8>, table: &str, column: &str, candidates: &[Candidate]) {
    out.extend_from_slice(b"JSON_ARRAY(");
    for (place, candidate) in candidates.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        let mut value = format!("JSON_EXTRACT({table}{},", ident::quoted(column)).into_bytes();
        literal::push_string(&mut value, &candidate.path);
        value.push(b')');
        out.extend_from_slice(b"CONCAT(JSON_TYPE(");
        out.extend_from_slice(&value);
        out.extend_from_slice(b"),' ',JSON_STORAGE_SIZE(");
        out.extend_from_slice(&value);
        out.extend_from_slice(b"))");
    }
    out.push(b')');
}

/// The types in an answer, if the document is still what it was.
fn same_document(mut values: impl Iterator<Item = Value>, text: &str) -> Option<Vec<String>> {
    let (Some(Value::Bytes(now)), Some(Value::Bytes(types))) = (values.next(), values.next()) else {
        return None;
    };
    if now != text.as_bytes() {
        return None;
    }
    let types = String::from_utf8_lossy(&types).into_owned();
    let types = types.strip_prefix('[')?.strip_suffix(']')?;
    Some(
        types
            .split(", ")
            .map(|kind| kind.trim_matches('"').to_owned())
            .collect(),
    )
}

/// The expression for a value of this type; `None` if the text says it all. `kind` is type and size.
fn expression(candidate: &Candidate, kind: &str) -> Result<Option<Vec<u8>>, String> {
    let (kind, size) = kind.rsplit_once(' ').unwrap_or((kind, "0"));
    let text = candidate.text.as_str();
    let mut out = Vec::new();
    match kind {
        "INTEGER" | "DOUBLE" | "STRING" => return Ok(None),
        "UNSIGNED INTEGER" => out.extend_from_slice(format!("CAST({text} AS UNSIGNED)").as_bytes()),
        "DECIMAL" => json::push_decimal(&mut out, text, integer_digits(text, size.parse().unwrap_or(0))),
        "DATE" => json::push_temporal(&mut out, field_type::DATE, text),
        "TIME" => json::push_temporal(&mut out, field_type::TIME, text),
        "DATETIME" => json::push_temporal(&mut out, field_type::DATETIME, text),
        "TIMESTAMP" => json::push_temporal(&mut out, field_type::TIMESTAMP, text),
        "BLOB" | "BIT" | "OPAQUE" => {
            // base64:type15:…, with a line end behind every 76th character.
            let unknown = || format!("holds a value of type {kind} that can't be read");
            let (number, base64) = text
                .strip_prefix("base64:type")
                .and_then(|rest| rest.split_once(':'))
                .ok_or_else(unknown)?;
            let number = number.parse::<u8>().map_err(|_| unknown())?;
            let bytes = decode_base64(base64).ok_or_else(unknown)?;
            json::push_bytes(&mut out, number, &bytes).map_err(|_| {
                format!("holds an SQL value of type {number} ({kind}), for which there is no expression")
            })?;
        }
        _ => return Err(format!("holds a value of type {kind}, which Causeway does not know")),
    }
    Ok(Some(out))
}

/// `base64` as it stands in JSON text: line ends are escaped.
fn decode_base64(base64: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(base64.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for byte in base64.replace("\\n", "").trim_end_matches('=').bytes() {
        let sextet = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        (bits, count) = (bits << 6 | u32::from(sextet), count + 6);
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(out)
}

/// Digits before the point that a DECIMAL is stored with, as far as its size in JSON tells: type, column type, length,
/// precision, scale, and the packed digits, 4 bytes for nine of them.
fn integer_digits(text: &str, size: usize) -> usize {
    let packed = |digits: usize| digits / 9 * 4 + (digits % 9).div_ceil(2);
    let digits = text.trim_start_matches('-');
    let (integer, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let needed = integer.trim_start_matches('0').len();
    // Of counts that take as much room whole groups are the likeliest, then the least.
    (needed..=81)
        .filter(|count| 5 + packed(*count) + packed(fraction.len()) == size)
        .max_by_key(|count| (count.is_multiple_of(9), usize::MAX - count))
        .unwrap_or(needed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(document: &str, differs: bool) -> String {
        let found = candidates(document, differs).unwrap();
        found
            .iter()
            .map(|candidate| format!("{}={}", candidate.path, candidate.text))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn documents_that_differ_from_their_text_are_asked_about_wherever_a_type_is_in_doubt() {
        let check = |document: &str, expected: &str| assert_eq!(found(document, true), expected, "{document}");
        check("1.50", "$=1.50");
        check("null", "");
        check(r#"{"a": [1, {}, -2.5, 1e20, true], "b": {"c d\"": "2020-01-01"}}"#, {
            r#"$."a"[0]=1 $."a"[2]=-2.5 $."b"."c d\""=2020-01-01"#
        });
        check(
            r#"["-838:59:59.000000", "12:00:00.000000", "12:00:00", "2020-01-01 00:00:00.000000", "2020-1-1"]"#,
            "$[0]=-838:59:59.000000 $[1]=12:00:00.000000 $[3]=2020-01-01 00:00:00.000000",
        );
        check(
            r#"{"": "base64:type15:YQ==", "x": "{\"a\": 1.5}"}"#,
            r#"$.""=base64:type15:YQ=="#,
        );
        check(r#"[[], [{"k": 7}]]"#, r#"$[1][0]."k"=7"#);
    }

    #[test]
    fn documents_that_equal_their_text_are_asked_about_only_where_differences_may_cancel_out() {
        let check = |document: &str, expected: &str| assert_eq!(found(document, false), expected, "{document}");
        check(r#"{"id": 5, "at": "2020-01-01", "n": 123456789}"#, "");
        check(r#"{"id": 40000}"#, "");
        check("[40000, 1234567]", "$[0]=40000 $[1]=1234567");
        check("[2147483648, 1]", "$[0]=2147483648 $[1]=1");
        check(r#"["2020-01-01", 1234567.89, 1e5]"#, "$[1]=1234567.89");
    }

    #[test]
    fn text_that_is_no_json_is_refused_or_harmless() {
        for text in ["\"", "{\"a", "]", "}}", "[\"\\", "é", "{]", "\u{0}"] {
            drop(candidates(text, true));
        }
        assert!(candidates("\"a", true).is_err());
        assert!(candidates("é", true).is_err());
    }

    #[test]
    fn types_become_expressions() {
        let check = |text: &str, number: bool, kind: &str, expected: Option<&str>| {
            let candidate = Candidate {
                path: "$".into(),
                text: text.into(),
                number,
            };
            let found = expression(&candidate, kind).unwrap();
            assert_eq!(
                found.map(|found| String::from_utf8(found).unwrap()).as_deref(),
                expected,
                "{text} {kind}"
            );
        };
        check("1.5", true, "DOUBLE 9", None);
        check("2020-01-01", false, "STRING 12", None);
        check("0.50", true, "DECIMAL 6", Some(".50"));
        check("0.50", true, "DECIMAL 7", Some("0.50"));
        check("1.50", true, "DECIMAL 10", Some("CAST('1.50' AS DECIMAL(11,2))"));
        check("2020-01-01", false, "DATE 11", Some("CAST('2020-01-01' AS DATE)"));
        check("40000", true, "UNSIGNED INTEGER 3", Some("CAST(40000 AS UNSIGNED)"));
        check(
            "base64:type15:YWJj\\nZA==",
            false,
            "BLOB 7",
            Some(
                "(SELECT CAST(x AS JSON) FROM JSON_TABLE(JSON_ARRAY(_binary'abcd'),'$[*]' COLUMNS(x VARBINARY(4) PATH '$' ERROR ON ERROR)) AS j)",
            ),
        );
        let candidate = Candidate {
            path: "$".into(),
            text: "base64:type245:YQ==".into(),
            number: false,
        };
        assert!(expression(&candidate, "OPAQUE 4").is_err());
    }
}
