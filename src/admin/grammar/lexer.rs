//! Text to tokens, by MySQL's rules, each with its place in the text.
//!
//! Its own lexer rather than sqlparser's: a token's exact place is needed to say where an error is without repeating a
//! password, patterns such as `tmp_%` are pieced together from tokens that touch, and text that ends inside of a string
//! has to be known as such.

use std::ops::Range;

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword, or a name without quotes.
    Word,
    /// A name in backticks, without them.
    Quoted(String),
    /// A string in ' or ", with its escapes resolved. `\%` and `\_` stay as they are: LIKE resolves them.
    Text(String),
    /// Digits, perhaps with a fraction.
    Number,
    /// Anything else: an operator or a mark.
    Symbol,
    /// A string, a quoted name or a comment that does not end.
    Unfinished,
}

/// A token and the bytes it was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Range<usize>,
}

/// Marks of more than one character, longer ones before their beginnings.
const LONG_SYMBOLS: [&str; 13] = [
    "<=>", "->>", "@@", ":=", "<=", ">=", "<>", "!=", "&&", "||", "->", "<<", ">>",
];

/// Splits the text; comments and white space are left out.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        text,
        at: 0,
        in_version_comment: false,
    };
    std::iter::from_fn(|| lexer.token()).collect()
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Inside `/*! … */`: what it holds counts, the marks don't.
    in_version_comment: bool,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_while(&mut self, mut skip: impl FnMut(char) -> bool) {
        self.at += self.rest().find(|c| !skip(c)).unwrap_or(self.rest().len());
    }

    fn token(&mut self) -> Option<Token> {
        if let Err(unfinished) = self.skip_blanks() {
            return Some(unfinished);
        }
        let start = self.at;
        let first = self.rest().chars().next()?;
        let kind = match first {
            '\'' | '"' => self.string(first),
            '`' => self.quoted_name(),
            c if c.is_ascii_digit() => self.number(),
            c if is_word(c) => {
                self.skip_while(is_word);
                Kind::Word
            }
            _ => {
                let long = LONG_SYMBOLS.iter().find(|symbol| self.rest().starts_with(**symbol));
                self.at += long.map_or(first.len_utf8(), |symbol| symbol.len());
                Kind::Symbol
            }
        };
        Some(Token {
            kind,
            span: start..self.at,
        })
    }

    /// Passes white space and comments. A comment that does not end is a token, as it is an error.
    fn skip_blanks(&mut self) -> Result<(), Token> {
        loop {
            self.skip_while(char::is_whitespace);
            let start = self.at;
            let rest = self.rest();
            if self.in_version_comment && rest.starts_with("*/") {
                self.in_version_comment = false;
                self.at += 2;
            } else if rest.starts_with("/*!") && !self.in_version_comment {
                self.in_version_comment = true;
                self.at += 3;
                self.skip_while(|c| c.is_ascii_digit());
            } else if rest.starts_with("/*") {
                let Some(length) = rest.get(2..).and_then(|inside| inside.find("*/")) else {
                    self.at = self.text.len();
                    return Err(Token {
                        kind: Kind::Unfinished,
                        span: start..self.at,
                    });
                };
                self.at += length + 4;
            } else if rest.starts_with('#') || is_dash_comment(rest) {
                self.skip_while(|c| c != '\n');
            } else {
                return Ok(());
            }
        }
    }

    fn string(&mut self, quote: char) -> Kind {
        let mut value = String::new();
        let mut chars = self.rest().char_indices().skip(1).peekable();
        while let Some((offset, c)) = chars.next() {
            if c == quote {
                if chars.next_if(|(_, next)| *next == quote).is_none() {
                    self.at += offset + 1;
                    return Kind::Text(value);
                }
                value.push(quote);
            } else if c == '\\' {
                match chars.next().map(|(_, escaped)| escaped) {
                    Some('0') => value.push('\0'),
                    Some('b') => value.push('\u{8}'),
                    Some('n') => value.push('\n'),
                    Some('r') => value.push('\r'),
                    Some('t') => value.push('\t'),
                    Some('Z') => value.push('\u{1a}'),
                    Some(wildcard @ ('%' | '_')) => value.extend(['\\', wildcard]),
                    Some(other) => value.push(other),
                    None => {}
                }
            } else {
                value.push(c);
            }
        }
        self.at = self.text.len();
        Kind::Unfinished
    }

    fn quoted_name(&mut self) -> Kind {
        let mut value = String::new();
        let mut chars = self.rest().char_indices().skip(1).peekable();
        while let Some((offset, c)) = chars.next() {
            if c == '`' && chars.next_if(|(_, next)| *next == '`').is_none() {
                self.at += offset + 1;
                return Kind::Quoted(value);
            }
            value.push(c);
        }
        self.at = self.text.len();
        Kind::Unfinished
    }

    /// A name may begin with digits, so `10m` is a word.
    fn number(&mut self) -> Kind {
        let start = self.at;
        self.skip_while(is_word);
        if !self
            .text
            .get(start..self.at)
            .unwrap_or_default()
            .chars()
            .all(|c| c.is_ascii_digit())
        {
            return Kind::Word;
        }
        let mut fraction = self.rest().chars();
        if fraction.next() == Some('.') && fraction.next().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
            self.skip_while(|c| c.is_ascii_digit());
        }
        Kind::Number
    }
}

/// `--` begins a comment only before a blank or the end: `5--3` is a subtraction.
fn is_dash_comment(rest: &str) -> bool {
    rest.strip_prefix("--")
        .is_some_and(|after| after.chars().next().is_none_or(|c| c.is_whitespace() || c.is_control()))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii() && !c.is_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_split_as_mysql_splits_it() {
        let check = |text: &str, expected: &[&str]| {
            let shown: Vec<String> = tokens(text)
                .into_iter()
                .map(|token| match token.kind {
                    Kind::Quoted(name) => format!("`{name}"),
                    Kind::Text(value) => format!("'{value}"),
                    Kind::Unfinished => "unfinished".to_owned(),
                    _ => text[token.span].to_owned(),
                })
                .collect();
            assert_eq!(shown, expected, "{text}");
        };
        check("", &[]);
        check("SHOW  servers;", &["SHOW", "servers", ";"]);
        check("'it''s' \"a\"\"b\" 'a\\'b\\n\\\\'", &["'it's", "'a\"b", "'a'b\n\\"]);
        check(r"'tmp\_%\%'", &[r"'tmp\_%\%"]);
        check("`a``b`.`ü`", &["`a`b", ".", "`ü"]);
        check("shop.tmp_%", &["shop", ".", "tmp_", "%"]);
        check("10m 1.5 2. 5--3", &["10m", "1.5", "2", ".", "5", "-", "-", "3"]);
        check("a -- x\nb # y\nc /* z */ d", &["a", "b", "c", "d"]);
        check("/*!40101 SET NAMES utf8 */ x", &["SET", "NAMES", "utf8", "x"]);
        check("a<=>b @@x :=", &["a", "<=>", "b", "@@", "x", ":="]);
        check("SELECT $$", &["SELECT", "$$"]);
        check("'open", &["unfinished"]);
        check("`open", &["unfinished"]);
        check("a /* open", &["a", "unfinished"]);
        check("'a\\", &["unfinished"]);
        check("größe ①", &["größe", "①"]);
    }
}
