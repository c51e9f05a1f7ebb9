//! Walks over a statement's tokens, and says where it stands when something else was expected.

use super::lexer::{Kind, Token, tokens};
use crate::admin::reply::SqlError;
use crate::model::name::NameError;

/// How much of the statement an error repeats, in characters.
const NEAR_MAX: usize = 80;

/// How errors begin that say what was expected.
pub(super) const SYNTAX_ERROR: &str = "You have an error in your Causeway SQL syntax";

pub(super) struct Cursor<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
}

type Result<T> = std::result::Result<T, SqlError>;

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            tokens: tokens(text),
            at: 0,
        }
    }

    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    /// The token that comes `offset` tokens after the next one.
    pub(super) fn peek_at(&self, offset: usize) -> Option<&Token> {
        self.tokens.get(self.at + offset)
    }

    /// The token's own text.
    pub(super) fn raw(&self, token: &Token) -> &'a str {
        self.text.get(token.span.clone()).unwrap_or_default()
    }

    pub(super) fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += usize::from(token.is_some());
        token
    }

    /// Whether the next token stands right behind the one before, without a blank.
    pub(super) fn touches(&self) -> bool {
        let before = self.at.checked_sub(1).and_then(|before| self.tokens.get(before));
        matches!((before, self.peek()), (Some(before), Some(next)) if before.span.end == next.span.start)
    }

    /// Whether the words come next, in any case.
    pub(super) fn at_words(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(offset, word)| {
            self.tokens
                .get(self.at + offset)
                .is_some_and(|token| token.kind == Kind::Word && self.raw(token).eq_ignore_ascii_case(word))
        })
    }

    /// Whether the word comes next, and behind it a token that fits.
    pub(super) fn at_word_before(&self, word: &str, fits: impl Fn(&Kind, &str) -> bool) -> bool {
        let behind = self.tokens.get(self.at + 1);
        self.at_words(&[word]) && behind.is_some_and(|token| fits(&token.kind, self.raw(token)))
    }

    /// Whether a SELECT begins here.
    pub(super) fn at_select(&self) -> bool {
        self.at_words(&["SELECT"]) || self.at_words(&["WITH"]) || self.at_symbol("(")
    }

    /// Passes the words if all of them come next.
    pub(super) fn words(&mut self, words: &[&str]) -> bool {
        let there = self.at_words(words);
        if there {
            self.at += words.len();
        }
        there
    }

    pub(super) fn word(&mut self, word: &str) -> bool {
        self.words(&[word])
    }

    pub(super) fn expect_word(&mut self, word: &str) -> Result<()> {
        if self.word(word) {
            Ok(())
        } else {
            Err(self.syntax_error(word))
        }
    }

    pub(super) fn at_symbol(&self, symbol: &str) -> bool {
        self.peek()
            .is_some_and(|token| token.kind == Kind::Symbol && self.raw(token) == symbol)
    }

    pub(super) fn symbol(&mut self, symbol: &str) -> bool {
        let there = self.at_symbol(symbol);
        self.at += usize::from(there);
        there
    }

    pub(super) fn expect_symbol(&mut self, symbol: &str) -> Result<()> {
        if self.symbol(symbol) {
            Ok(())
        } else {
            Err(self.syntax_error(&format!("'{symbol}'")))
        }
    }

    /// Passes `word ( )`.
    pub(super) fn call_without_arguments(&mut self) -> bool {
        let is = |offset: usize, symbol: &str| {
            self.tokens
                .get(self.at + offset)
                .is_some_and(|token| token.kind == Kind::Symbol && self.raw(token) == symbol)
        };
        let there = is(1, "(") && is(2, ")");
        if there {
            self.at += 3;
        }
        there
    }

    /// The text from there to the end of the token that was passed last.
    pub(super) fn since(&self, start: usize) -> &'a str {
        let last = self.at.checked_sub(1).and_then(|before| self.tokens.get(before));
        last.and_then(|token| self.text.get(start..token.span.end))
            .unwrap_or_default()
    }

    /// An error at a token that was passed already.
    pub(super) fn error_at(&mut self, token: &Token) -> SqlError {
        self.at = self.tokens.iter().position(|other| other == token).unwrap_or(self.at);
        self.syntax_error("a value without NUL characters")
    }

    /// A name: bare, in backticks, or (as MySQL takes it for servers) a string.
    pub(super) fn name(&mut self, what: &str) -> Result<String> {
        let name = match self.peek() {
            Some(token) => match &token.kind {
                Kind::Word => Some(self.raw(token).to_owned()),
                Kind::Quoted(name) | Kind::Text(name) => Some(name.clone()),
                _ => None,
            },
            None => None,
        };
        let name = name.ok_or_else(|| self.syntax_error(what))?;
        self.at += 1;
        Ok(name)
    }

    /// As [`Cursor::name`], made into one of the name types.
    pub(super) fn typed_name<T: TryFrom<String, Error = NameError>>(&mut self, what: &str) -> Result<T> {
        T::try_from(self.name(what)?).map_err(|e| bad_name(what, &e))
    }

    /// The value of an option: a string, a bare word or a number.
    pub(super) fn value(&mut self, what: &str) -> Result<String> {
        let value = match self.peek() {
            Some(token) => match &token.kind {
                Kind::Word | Kind::Number => Some(self.raw(token).to_owned()),
                Kind::Text(value) => Some(value.clone()),
                _ => None,
            },
            None => None,
        };
        let value = value.ok_or_else(|| self.syntax_error(what))?;
        self.at += 1;
        Ok(value)
    }

    pub(super) fn string(&mut self, what: &str) -> Result<String> {
        match self.peek().map(|token| &token.kind) {
            Some(Kind::Text(value)) => {
                let value = value.clone();
                self.at += 1;
                Ok(value)
            }
            _ => Err(self.syntax_error(what)),
        }
    }

    /// A name, or a symbol such as the `%` of a host.
    pub(super) fn name_or_symbol(&mut self, what: &str) -> Result<String> {
        match self.peek() {
            Some(token) if token.kind == Kind::Symbol => {
                let symbol = self.raw(token).to_owned();
                self.at += 1;
                Ok(symbol)
            }
            _ => self.name(what),
        }
    }

    pub(super) fn number(&mut self, what: &str) -> Result<String> {
        match self.peek() {
            Some(token) if token.kind == Kind::Number => {
                let value = self.raw(token).to_owned();
                self.at += 1;
                Ok(value)
            }
            _ => Err(self.syntax_error(what)),
        }
    }

    /// Passes a last `;`; anything behind it is one statement too many.
    pub(super) fn end(&mut self) -> Result<()> {
        let ended = self.symbol(";");
        match self.peek() {
            None => Ok(()),
            Some(_) if ended => Err(SqlError::new(
                1064,
                "42000",
                format!(
                    "Only one statement can be sent at a time; the second one begins {}",
                    self.near()
                ),
            )),
            Some(_) => Err(self.syntax_error("the end of the statement")),
        }
    }

    pub(super) fn syntax_error(&self, expected: &str) -> SqlError {
        let message = match self.peek().map(|token| &token.kind) {
            Some(Kind::Unfinished) => {
                format!("{SYNTAX_ERROR}; a quote or comment does not end {}", self.near())
            }
            _ => format!("{SYNTAX_ERROR}; {expected} is expected {}", self.near()),
        };
        SqlError::new(1064, "42000", message)
    }

    /// `near '…'`, from the next token on, without what may be a secret.
    fn near(&self) -> String {
        let Some(token) = self.peek() else {
            return "at the end of the statement".to_owned();
        };
        if !self.may_hold_secret() {
            let rest = self.text.get(token.span.start..).unwrap_or_default();
            return format!("near '{}'", shortened(rest));
        }
        // Only this one token is repeated: what follows may be the password. And not even that if it is a string, or
        // if it stands behind a word that announces a password, as in PASSWORD 'it's'.
        let in_this_option = self
            .tokens
            .iter()
            .take(self.at + 1)
            .rev()
            .take_while(|token| self.raw(token) != ",");
        let announced = { in_this_option }.any(|token| self.announces_secret(token));
        match &token.kind {
            Kind::Word | Kind::Symbol | Kind::Number if !announced => {
                format!("near '{}'", shortened(self.raw(token)))
            }
            _ => {
                let line = self
                    .text
                    .get(..token.span.start)
                    .unwrap_or_default()
                    .matches('\n')
                    .count()
                    + 1;
                format!("at line {line}, near a text that is not repeated here because it may hold a password")
            }
        }
    }

    /// Whether its text may hold a password.
    pub(super) fn may_hold_secret(&self) -> bool {
        let head = self.tokens.iter().take(2).map(|token| self.raw(token).to_lowercase());
        head.into_iter()
            .any(|word| ["server", "user", "grant", "set", "resume"].contains(&word.as_str()))
            || self.tokens.iter().any(|token| self.announces_secret(token))
    }

    /// The whole text of a statement that is understood, with `'…'` in place of what may be a secret.
    pub(super) fn with_secrets_hidden(&self) -> String {
        let mut shown = String::new();
        let mut end = 0;
        for token in &self.tokens {
            if token.span.start > end && !shown.is_empty() {
                shown.push(' ');
            }
            end = token.span.end;
            match &token.kind {
                Kind::Text(_) | Kind::Quoted(_) if !self.is_harmless(token) => shown.push_str("'…'"),
                // A password that was not put into quotes.
                Kind::Word | Kind::Number if self.follows_announcement(token) => shown.push('…'),
                _ => shown.push_str(self.raw(token)),
            }
        }
        shown
    }

    /// Whether the string stands behind a word that no secret follows, and no secret before it may have ended too early.
    fn is_harmless(&self, token: &Token) -> bool {
        const WORDS: [&str; 10] = [
            "user", "@", "exists", "to", "from", "for", "host", "port", "socket", "ssl_mode",
        ];
        let before = self
            .tokens
            .iter()
            .take_while(|other| other.span.start < token.span.start);
        let before: Vec<_> = before.filter(|other| self.raw(other) != "=").collect();
        let behind = before
            .last()
            .map(|last| self.raw(last).to_lowercase())
            .unwrap_or_default();
        WORDS.contains(&behind.as_str()) && !before.iter().any(|other| self.announces_secret(other))
    }

    /// Whether the token stands right behind `PASSWORD`, with or without `=`.
    fn follows_announcement(&self, token: &Token) -> bool {
        let before = { self.tokens.iter() }.take_while(|other| other.span.start < token.span.start);
        let last = before.filter(|other| self.raw(other) != "=").last();
        let raw = self.raw(token);
        // SET PASSWORD FOR …
        last.is_some_and(|last| self.announces_secret(last))
            && !["for", "by", "with"].iter().any(|word| raw.eq_ignore_ascii_case(word))
    }

    fn announces_secret(&self, token: &Token) -> bool {
        let word = self.raw(token).to_lowercase();
        token.kind == Kind::Word && (word.starts_with("pass") || word.starts_with("pwd") || word == "identified")
    }
}

fn shortened(text: &str) -> String {
    let text = text.trim_end();
    match text.char_indices().nth(NEAR_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

pub(super) fn bad_name(what: &str, error: &NameError) -> SqlError {
    match error {
        NameError::TooLong(_) => SqlError::new(1059, "42000", format!("Identifier name is too long: {what}: {error}")),
        _ => SqlError::new(1102, "42000", format!("Incorrect name: {what}: {error}")),
    }
}

/// What stands on the admin language's page and is not there yet.
pub(super) fn not_yet(what: &str) -> SqlError {
    let instead = INSTEAD.iter().find(|(known, _)| *known == what);
    let instead = instead.map_or("a later version will have it", |(_, instead)| instead);
    SqlError::new(1235, "42000", format!("{what} is not supported yet; {instead}"))
}

/// What to do until then.
const INSTEAD: [(&str, &str); 14] = [
    (
        "VERIFY SYNC TASK",
        "until a later version has it: WAIT FOR SYNC TASK while nothing is written, then compare CHECKSUM TABLE of both sides",
    ),
    (
        "REPAIR SYNC TASK",
        "until a later version has it: make the row at the source again (UPDATE it to another value and back), and it is carried",
    ),
    (
        "RESOLVE CONFLICT",
        "sync.conflicts shows both rows, and last_error of the task how the one that stopped it can be mended",
    ),
    (
        "DISMISS CONFLICT",
        "a conflict that was settled by the policy needs nothing more; it stays in sync.conflicts",
    ),
    (
        "RENAME USER",
        "CREATE USER with the new name, GRANT it the same roles, and DROP USER the old one",
    ),
    (
        "An account that may log in from one host alone",
        "leave @'host' away, and let a firewall or --listen say from where clients may come",
    ),
    ("SET GLOBAL", SETTINGS),
    ("SET PERSIST", SETTINGS),
    ("SET PERSIST_ONLY", SETTINGS),
    ("Setting a global variable", SETTINGS),
    (
        "Task option alert_webhook",
        "until a later version has it: watch state and last_error in sync.status",
    ),
    (
        "Task option alert_lag",
        "until a later version has it: SELECT task, direction, lag_ms FROM sync.status WHERE lag_ms > 60000",
    ),
    (
        "Task option rows_per_second",
        "leave it out: a later version will have it",
    ),
    (
        "Task option bytes_per_second",
        "leave it out: a later version will have it",
    ),
];

const SETTINGS: &str = "settings of Causeway are given at its start, as flags, CAUSEWAY_… variables or in the configuration file; \
                        those of a task with ALTER SYNC TASK … SET (…)";

/// An option or definition that is understood but wrong.
pub(super) fn wrong(message: impl Into<String>) -> SqlError {
    SqlError::new(1231, "42000", message)
}
