//! Cuts a statement into tokens by the rules of MySQL's own scanner, and resolves version comments on the way.
//!
//! Why not a general SQL tokenizer: what a byte means depends here on the statement's `sql_mode` (is `"x"` a name or a
//! text, does a backslash escape?) and on the server's version (is `/*!80016 … */` code or a comment?), and names are
//! rewritten by byte positions. Both must be exact, or a name inside a text would be taken for a table.
//!
//! The scanner copies the statement to [`Lexed::text`] as it goes, byte for byte, except that the marks of a version
//! comment that holds become blanks, and one that does not hold becomes a single blank. Token spans point into that
//! copy, and always lie on character boundaries: every token begins and ends at an ASCII byte or at the end.

use std::borrow::Cow;
use std::ops::Range;

use super::SqlMode;

/// A statement cut into tokens.
#[derive(Debug)]
pub(super) struct Lexed {
    /// The statement without version comments.
    pub(super) text: String,
    /// Its tokens in order; comments and white space are not among them.
    pub(super) tokens: Vec<Token>,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A bare word that may be a keyword.
    Word,
    /// A bare word that touches a `.`: MySQL never takes it for a keyword.
    Name,
    /// A name in backticks, or in double quotes under ANSI_QUOTES.
    Quoted,
    /// A text in quotes.
    Text,
    /// A number.
    Number,
    /// `@host`, `@variable`, `@@variable`, or the bare `@` before a quote.
    At,
    /// Any other ASCII character, alone.
    Symbol(u8),
}

/// One token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    /// Bytes in [`Lexed::text`].
    pub(super) span: Range<usize>,
}

/// The first version whose scanner knows `$tag$ … $tag$` texts.
const DOLLAR_QUOTES_SINCE: u32 = 90_000;

/// Cuts `statement` into tokens. `Err` says what could not be read.
pub(super) fn lex(statement: &str, sql_mode: SqlMode, server_version: u32) -> Result<Lexed, &'static str> {
    let mut lexer = Lexer {
        rest: statement,
        out: String::with_capacity(statement.len()),
        tokens: Vec::new(),
        sql_mode,
        server_version,
        in_version_comment: false,
    };
    while !lexer.rest.is_empty() {
        lexer.step()?;
    }
    if lexer.in_version_comment {
        return Err("a version comment has no end");
    }
    Ok(Lexed {
        text: lexer.out,
        tokens: lexer.tokens,
    })
}

/// What a quoted name or text says, without its quotes: a doubled quote is one.
pub(super) fn unquote(quoted: &str) -> Cow<'_, str> {
    let Some(quote) = quoted.chars().next() else {
        return Cow::Borrowed("");
    };
    let inner = quoted
        .strip_prefix(quote)
        .and_then(|inner| inner.strip_suffix(quote))
        .unwrap_or("");
    if inner.contains(quote) {
        let single = quote.to_string();
        Cow::Owned(inner.replace(&single.repeat(2), &single))
    } else {
        Cow::Borrowed(inner)
    }
}

struct Lexer<'a> {
    rest: &'a str,
    out: String,
    tokens: Vec<Token>,
    sql_mode: SqlMode,
    server_version: u32,
    in_version_comment: bool,
}

impl Lexer<'_> {
    fn peek(&self, at: usize) -> u8 {
        self.rest.as_bytes().get(at).copied().unwrap_or(0)
    }

    /// Copies the next `length` bytes and returns where they stand in the copy.
    fn copy(&mut self, length: usize) -> Range<usize> {
        let start = self.out.len();
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.out.push_str(taken);
        self.rest = rest;
        start..self.out.len()
    }

    /// Leaves the next `length` bytes out and puts a blank in their place.
    fn blank(&mut self, length: usize) {
        self.rest = self.rest.get(length..).unwrap_or("");
        self.out.push(' ');
    }

    fn token(&mut self, kind: TokenKind, length: usize) {
        let span = self.copy(length);
        self.tokens.push(Token { kind, span });
    }

    fn step(&mut self) -> Result<(), &'static str> {
        match self.peek(0) {
            b if is_blank(b) => {
                self.copy(1);
            }
            b'#' => self.line_comment(),
            // `--1` is arithmetic: only a blank or a control character (or the end) makes it a comment.
            b'-' if self.peek(1) == b'-' && (self.peek(2) == b' ' || self.peek(2).is_ascii_control()) => {
                self.line_comment();
            }
            b'/' if self.peek(1) == b'*' => self.long_comment()?,
            b'*' if self.in_version_comment && self.peek(1) == b'/' => {
                self.in_version_comment = false;
                self.blank(2);
            }
            // A `*` right before a comment is arithmetic; any other `*/` closes what was never open.
            b'*' if self.peek(1) == b'/' && self.peek(2) != b'*' => return Err("a '*/' closes no comment"),
            b'\'' => self.text(b'\'')?,
            b'"' if !self.sql_mode.ansi_quotes() => self.text(b'"')?,
            quote @ (b'`' | b'"') => self.quoted_name(quote)?,
            b'@' => self.at(),
            b'$' if self.server_version >= DOLLAR_QUOTES_SINCE && self.dollar_tag().is_some() => self.dollar_text()?,
            b'.' => self.dot(),
            b'0'..=b'9' => self.number_or_word(),
            b if is_name(b) => self.word(),
            b => self.token(TokenKind::Symbol(b), 1),
        }
        Ok(())
    }

    fn line_comment(&mut self) {
        let end = self.rest.find('\n').unwrap_or(self.rest.len());
        self.copy(end);
    }

    fn long_comment(&mut self) -> Result<(), &'static str> {
        const NO_END: &str = "a comment has no end";
        if self.peek(2) != b'!' {
            let inner = self.rest.get(2..).unwrap_or("");
            let end = inner.find("*/").ok_or(NO_END)?;
            self.copy(end + 4);
            return Ok(());
        }
        // Version comments do not nest: the first end is the end of both, as for the server.
        match self.version_digits() {
            None => {
                self.in_version_comment = true;
                self.blank(3);
            }
            Some((version, digits)) if version <= self.server_version => {
                self.in_version_comment = true;
                self.blank(3 + digits);
            }
            // One that does not hold may have one level of comments inside.
            Some(_) => {
                let mut at = 3;
                let mut nested = false;
                loop {
                    match (self.peek(at), self.peek(at + 1)) {
                        _ if at >= self.rest.len() => return Err(NO_END),
                        (b'/', b'*') if !nested => nested = true,
                        (b'*', b'/') if nested => nested = false,
                        (b'*', b'/') => break,
                        _ => {
                            at += 1;
                            continue;
                        }
                    }
                    at += 2;
                }
                self.blank(at + 2);
            }
        }
        Ok(())
    }

    /// The number after `/*!`: five digits, or six if a blank follows. Anything else is no version, and the
    /// comment always holds.
    fn version_digits(&self) -> Option<(u32, usize)> {
        let digits = self.rest.as_bytes().get(3..)?;
        let count = digits.iter().take(6).take_while(|b| b.is_ascii_digit()).count();
        let length = match count {
            6 if is_blank(self.peek(9)) => 6,
            5 | 6 => 5,
            _ => return None,
        };
        Some((self.rest.get(3..3 + length)?.parse().ok()?, length))
    }

    fn text(&mut self, quote: u8) -> Result<(), &'static str> {
        let escapes = !self.sql_mode.no_backslash_escapes();
        let length = self
            .quoted_length(quote, escapes)
            .ok_or("a text has no closing quote")?;
        self.token(TokenKind::Text, length);
        Ok(())
    }

    fn quoted_name(&mut self, quote: u8) -> Result<(), &'static str> {
        let length = self
            .quoted_length(quote, false)
            .ok_or("a quoted name has no closing quote")?;
        self.token(TokenKind::Quoted, length);
        Ok(())
    }

    fn quoted_length(&self, quote: u8, escapes: bool) -> Option<usize> {
        let bytes = self.rest.as_bytes();
        let mut at = 1;
        loop {
            match *bytes.get(at)? {
                b'\\' if escapes => at += 2,
                b if b == quote && self.peek(at + 1) == quote => at += 2,
                b if b == quote => return Some(at + 1),
                _ => at += 1,
            }
        }
    }

    fn at(&mut self) {
        let mut length = 1 + usize::from(self.peek(1) == b'@');
        while is_name(self.peek(length)) || self.peek(length) == b'.' {
            length += 1;
        }
        self.token(TokenKind::At, length);
    }

    /// `$tag$`, if that is what comes next.
    fn dollar_tag(&self) -> Option<usize> {
        let tag = self
            .rest
            .bytes()
            .skip(1)
            .take_while(|&b| is_name(b) && b != b'$')
            .count();
        (self.peek(tag + 1) == b'$').then_some(tag + 2)
    }

    fn dollar_text(&mut self) -> Result<(), &'static str> {
        let (tag, inner) = self
            .dollar_tag()
            .and_then(|length| self.rest.split_at_checked(length))
            .ok_or("a dollar-quoted text has no tag")?;
        let end = inner.find(tag).ok_or("a dollar-quoted text has no end")?;
        self.token(TokenKind::Text, end + 2 * tag.len());
        Ok(())
    }

    /// A dot between names, or the start of a number like `.5`.
    fn dot(&mut self) {
        let next = self.peek(1);
        let touches_name = match self.tokens.last_mut() {
            Some(last) if last.span.end == self.out.len() => {
                let is_name = matches!(last.kind, TokenKind::Word | TokenKind::Name | TokenKind::Quoted);
                if last.kind == TokenKind::Word && is_name_start(next) {
                    last.kind = TokenKind::Name;
                }
                is_name
            }
            _ => false,
        };
        if next.is_ascii_digit() && !touches_name {
            let length = number_tail(self.rest.as_bytes(), 1);
            return self.token(TokenKind::Number, length);
        }
        self.token(TokenKind::Symbol(b'.'), 1);
        // What touches the dot is a name whatever it looks like: `db.1e5`, `db.select`.
        let length = self.name_length(0);
        if length > 0 {
            self.token(TokenKind::Name, length);
        }
    }

    fn name_length(&self, from: usize) -> usize {
        let bytes = self.rest.as_bytes();
        from + bytes.iter().skip(from).take_while(|&&b| is_name(b)).count()
    }

    fn word(&mut self) {
        let length = self.name_length(0);
        self.token(TokenKind::Word, length);
    }

    /// What begins with a digit is a name if a character of names follows the digits, unless it reads as `1e5`.
    fn number_or_word(&mut self) {
        let bytes = self.rest.as_bytes();
        let digits = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
        let next = self.peek(digits);
        if next == b'.' {
            let length = number_tail(bytes, digits + 1);
            return self.token(TokenKind::Number, length);
        }
        if !is_name(next) {
            return self.token(TokenKind::Number, digits);
        }
        let length = self.name_length(0);
        let word = bytes.get(..length).unwrap_or_default();
        let is_radix = match word {
            [b'0', b'x', hex @ ..] => !hex.is_empty() && hex.iter().all(u8::is_ascii_hexdigit),
            [b'0', b'b', bits @ ..] => !bits.is_empty() && bits.iter().all(|b| matches!(b, b'0' | b'1')),
            _ => false,
        };
        if is_radix {
            return self.token(TokenKind::Number, length);
        }
        let exponent = exponent_length(bytes, digits);
        if exponent > 0 {
            return self.token(TokenKind::Number, digits + exponent);
        }
        self.token(TokenKind::Word, length);
    }
}

/// The end of a number whose fraction starts at `from`.
fn number_tail(bytes: &[u8], from: usize) -> usize {
    let end = from + bytes.iter().skip(from).take_while(|b| b.is_ascii_digit()).count();
    end + exponent_length(bytes, end)
}

/// Length of `e5`, `E+5`, `e-5` at `from`; 0 if there is none.
fn exponent_length(bytes: &[u8], from: usize) -> usize {
    let at = |index: usize| bytes.get(from + index).copied().unwrap_or(0);
    if !matches!(at(0), b'e' | b'E') {
        return 0;
    }
    let sign = usize::from(matches!(at(1), b'+' | b'-'));
    let digits = bytes
        .iter()
        .skip(from + 1 + sign)
        .take_while(|b| b.is_ascii_digit())
        .count();
    if digits == 0 { 0 } else { 1 + sign + digits }
}

fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t'..=b'\r')
}

fn is_name_start(b: u8) -> bool {
    is_name(b) || b == b'`'
}

fn is_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$') || !b.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(statement: &str, mode: u64, version: u32, expected: &str) {
        let shown = match lex(statement, SqlMode(mode), version) {
            Err(reason) => format!("error: {reason}"),
            Ok(lexed) => {
                let tokens: Vec<String> = lexed
                    .tokens
                    .iter()
                    .map(|token| {
                        let text = &lexed.text[token.span.clone()];
                        match token.kind {
                            TokenKind::Word => text.to_owned(),
                            TokenKind::Name => format!("name({text})"),
                            TokenKind::Quoted => format!("quoted({})", unquote(text)),
                            TokenKind::Text => format!("text({text})"),
                            TokenKind::Number => format!("number({text})"),
                            TokenKind::At => format!("at({text})"),
                            TokenKind::Symbol(_) => text.to_owned(),
                        }
                    })
                    .collect();
                tokens.join(" ")
            }
        };
        assert_eq!(shown, expected, "{statement}");
    }

    const ANSI: u64 = SqlMode::ANSI_QUOTES;
    const NO_BACKSLASH: u64 = SqlMode::NO_BACKSLASH_ESCAPES;
    const V9: u32 = 90_704;

    #[test]
    fn tokens_are_those_of_the_server() {
        check(
            "a `b``c` \"d\"\"e\" 'f''g'",
            0,
            V9,
            "a quoted(b`c) text(\"d\"\"e\") text('f''g')",
        );
        check("\"d\"\"e\"", ANSI, V9, "quoted(d\"e)");
        check(r"'a\'b' c", 0, V9, r"text('a\'b') c");
        check(r"'a\' b", NO_BACKSLASH, V9, r"text('a\') b");
        check(r"`a\` b", 0, V9, r"quoted(a\) b");
        check(
            "_utf8mb4'x' N'y' x'41'",
            0,
            V9,
            "_utf8mb4 text('x') N text('y') x text('41')",
        );
        check(
            "db.t db . t .t `a`.`b`",
            0,
            V9,
            "name(db) . name(t) db . t . name(t) quoted(a) . quoted(b)",
        );
        check(
            "db.1t db.1e5 db.select",
            0,
            V9,
            "name(db) . name(1t) name(db) . name(1e5) name(db) . name(select)",
        );
        check(
            "1t 1e5 1e 0x41 0xzz 0b1 1.5 .5 1.e3",
            0,
            V9,
            "1t number(1e5) 1e number(0x41) 0xzz number(0b1) number(1.5) number(.5) number(1.e3)",
        );
        check("straße.名前 é", 0, V9, "name(straße) . name(名前) é");
        check(
            "root@localhost 'r'@'%' r@`h` @@global.x",
            0,
            V9,
            "root at(@localhost) text('r') at(@) text('%') r at(@) quoted(h) at(@@global.x)",
        );
        check("a -- b\nc --d\n#e\nf /* g */ h", 0, V9, "a c - - d f h");
        check("a --", 0, V9, "a");
        check("$$a$$ $x$ b ' $$ $x$ $y", 0, V9, "text($$a$$) text($x$ b ' $$ $x$) $y");
        check("$a$b", 0, 80_400, "$a$b");
    }

    #[test]
    fn version_comments_hold_by_the_servers_version() {
        check("a /*!80016 b */ c", 0, V9, "a b c");
        check("a /*!80016 b */ c", 0, 50_744, "a c");
        check("a /*!80016b */ c", 0, V9, "a b c");
        check("a /*! b '*/' */ c", 0, V9, "a b text('*/') c");
        check("a /*!99999 b /* c */ d */ e", 0, V9, "a e");
        check("a /*!100100 b */ c", 0, V9, "a c");
        check("a /*!100100b */ c", 0, V9, "a 0b c");
        check("a /*!80000 b /* c */ d */ e", 0, V9, "a b d e");
        check("a /*!80000 b /*!99999 c */ d */ e", 0, V9, "a b d e");
        check(
            "a /*!80000 b /*!50000 c */ d */ e",
            0,
            V9,
            "error: a '*/' closes no comment",
        );
        check("a /*!80000 b -- */\n c */ e", 0, V9, "a b c e");
        check("a */ b", 0, V9, "error: a '*/' closes no comment");
        check("2*/* a */3", 0, V9, "number(2) * number(3)");
        check("a /*!80000 b", 0, V9, "error: a version comment has no end");
        check("a /*!99999 b", 0, V9, "error: a comment has no end");
        check("a /*+ hint */ b", 0, V9, "a b");
        check("a /*/ b", 0, V9, "error: a comment has no end");
    }

    #[test]
    fn what_has_no_end_is_an_error() {
        check("a 'b", 0, V9, "error: a text has no closing quote");
        check(r"a 'b\", 0, V9, "error: a text has no closing quote");
        check("a `b", 0, V9, "error: a quoted name has no closing quote");
        check("a $x$ b", 0, V9, "error: a dollar-quoted text has no end");
    }

    #[test]
    fn the_text_is_kept_exactly_but_for_version_comments() {
        let lexed = lex(
            "CREATE/*!80000  TEMPORARY*/TABLE é /* k */ -- x\n/*!99999 y*/;",
            SqlMode(0),
            V9,
        )
        .unwrap();
        assert_eq!(lexed.text, "CREATE   TEMPORARY TABLE é /* k */ -- x\n ;");
    }
}
