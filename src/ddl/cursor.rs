//! Walks over the tokens of a statement and gathers the names found on the way.

use std::ops::Range;

use super::lexer::{Lexed, Token, TokenKind, unquote};
use super::receive::StoredParts;
use super::statement::{NameSpan, Role};
use crate::model::name::TableName;

/// A place in a statement. Every step forward consumes at least one token, so no walk goes on for ever.
pub(super) struct Cursor<'a> {
    text: &'a str,
    tokens: &'a [Token],
    at: usize,
    default_database: Option<&'a str>,
    pub(super) names: Vec<NameSpan>,
    pub(super) items: Vec<Range<usize>>,
    pub(super) renamed_columns: Vec<(String, String)>,
    pub(super) stored: StoredParts,
}

/// Why a statement has not the shape its first words promise.
pub(super) type Shape<T> = Result<T, String>;

impl<'a> Cursor<'a> {
    pub(super) fn new(lexed: &'a Lexed, default_database: Option<&'a str>) -> Self {
        Self {
            text: &lexed.text,
            tokens: &lexed.tokens,
            at: 0,
            default_database,
            names: Vec::new(),
            items: Vec::new(),
            renamed_columns: Vec::new(),
            stored: StoredParts::default(),
        }
    }

    pub(super) fn default_database(&self) -> Option<&'a str> {
        self.default_database
    }

    fn token(&self, ahead: usize) -> Option<&'a Token> {
        self.tokens.get(self.at + ahead)
    }

    pub(super) fn text_of(&self, span: &Range<usize>) -> &'a str {
        self.text.get(span.clone()).unwrap_or("")
    }

    /// The byte where the next token begins, or the text ends.
    pub(super) fn position(&self) -> usize {
        self.token(0).map_or(self.text.len(), |token| token.span.start)
    }

    /// The byte where the last token consumed ends.
    pub(super) fn end_of_last(&self) -> usize {
        self.at
            .checked_sub(1)
            .and_then(|last| self.tokens.get(last))
            .map_or(0, |token| token.span.end)
    }

    /// Whether the token `ahead` of the next is this keyword.
    pub(super) fn is_word_at(&self, ahead: usize, keyword: &str) -> bool {
        self.token(ahead)
            .is_some_and(|t| t.kind == TokenKind::Word && self.text_of(&t.span).eq_ignore_ascii_case(keyword))
    }

    /// Whether the next token is this keyword.
    pub(super) fn is_word(&self, keyword: &str) -> bool {
        self.is_word_at(0, keyword)
    }

    /// The next token, if it is a bare word.
    pub(super) fn word(&self) -> Option<&'a str> {
        let token = self.token(0).filter(|token| token.kind == TokenKind::Word)?;
        Some(self.text_of(&token.span))
    }

    /// Whether the next token is one of these keywords.
    pub(super) fn is_any(&self, keywords: &[&str]) -> bool {
        keywords.iter().any(|keyword| self.is_word(keyword))
    }

    /// Whether the token `ahead` of the next is this character.
    pub(super) fn is_symbol_at(&self, ahead: usize, symbol: u8) -> bool {
        self.token(ahead).is_some_and(|t| t.kind == TokenKind::Symbol(symbol))
    }

    pub(super) fn is_symbol(&self, symbol: u8) -> bool {
        self.is_symbol_at(0, symbol)
    }

    pub(super) fn is_end(&self) -> bool {
        self.token(0).is_none()
    }

    pub(super) fn skip(&mut self) {
        self.at += 1;
    }

    /// Consumes the keyword if it is next.
    pub(super) fn accept(&mut self, keyword: &str) -> bool {
        let found = self.is_word(keyword);
        self.at += usize::from(found);
        found
    }

    /// Consumes these keywords if all of them are next.
    pub(super) fn accept_all(&mut self, keywords: &[&str]) -> bool {
        let found = keywords
            .iter()
            .enumerate()
            .all(|(i, keyword)| self.is_word_at(i, keyword));
        if found {
            self.at += keywords.len();
        }
        found
    }

    pub(super) fn accept_any(&mut self, keywords: &[&str]) -> bool {
        keywords.iter().any(|keyword| self.accept(keyword))
    }

    pub(super) fn accept_symbol(&mut self, symbol: u8) -> bool {
        let found = self.is_symbol(symbol);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, keyword: &str) -> Shape<()> {
        self.accept(keyword)
            .then_some(())
            .ok_or_else(|| format!("{keyword} was expected{}", self.whereabouts()))
    }

    pub(super) fn expect_symbol(&mut self, symbol: u8) -> Shape<()> {
        self.accept_symbol(symbol)
            .then_some(())
            .ok_or_else(|| format!("'{}' was expected{}", char::from(symbol), self.whereabouts()))
    }

    /// The statement must end here; a final `;` is allowed.
    pub(super) fn expect_end(&mut self) -> Shape<()> {
        while self.accept_symbol(b';') {}
        if self.is_end() {
            Ok(())
        } else {
            Err(format!("the statement's end was expected{}", self.whereabouts()))
        }
    }

    /// ` after 'WORD'`, for messages. Only bare words are shown: anything else may hold a value.
    pub(super) fn whereabouts(&self) -> String {
        let last = self.at.checked_sub(1).and_then(|last| self.tokens.get(last));
        match last {
            Some(token) if token.kind == TokenKind::Word => format!(" after '{}'", self.text_of(&token.span)),
            _ => format!(" at byte {}", self.position()),
        }
    }

    fn is_identifier_at(&self, ahead: usize) -> bool {
        self.token(ahead)
            .is_some_and(|t| matches!(t.kind, TokenKind::Word | TokenKind::Name | TokenKind::Quoted))
    }

    pub(super) fn is_identifier(&self) -> bool {
        self.is_identifier_at(0)
    }

    /// Whether the next token is a bare word that may be a keyword.
    pub(super) fn is_word_like(&self) -> bool {
        self.token(0).is_some_and(|t| t.kind == TokenKind::Word)
    }

    /// Whether the next token is no value of its own but says how the literal after it is meant: `_utf8mb4 'x'`, `N'x'`,
    /// `X'41'`, `DATE '2020-01-01'`.
    pub(super) fn is_literal_prefix(&self) -> bool {
        let Some(token) = self.token(0).filter(|token| token.kind == TokenKind::Word) else {
            return false;
        };
        let text_follows = self.token(1).is_some_and(|t| t.kind == TokenKind::Text);
        if self.text_of(&token.span).starts_with('_') {
            let radix = |word| self.is_word_at(1, word) && self.token(2).is_some_and(|t| t.kind == TokenKind::Text);
            let number = self.token(1).is_some_and(|t| t.kind == TokenKind::Number);
            return text_follows || number || radix("X") || radix("B");
        }
        text_follows && self.is_any(&["N", "X", "B", "DATE", "TIME", "TIMESTAMP"])
    }

    /// Whether the next token is a name or keyword without quotes.
    pub(super) fn is_bare(&self) -> bool {
        self.token(0)
            .is_some_and(|t| matches!(t.kind, TokenKind::Word | TokenKind::Name))
    }

    pub(super) fn is_text(&self) -> bool {
        self.token(0).is_some_and(|t| t.kind == TokenKind::Text)
    }

    pub(super) fn is_at(&self) -> bool {
        self.token(0).is_some_and(|t| t.kind == TokenKind::At)
    }

    /// The text of the next token, whatever it is, which is consumed.
    pub(super) fn take(&mut self) -> Option<(TokenKind, &'a str)> {
        let token = self.token(0)?;
        self.at += 1;
        Some((token.kind, self.text_of(&token.span)))
    }

    /// One identifier: its name, and where it stands.
    pub(super) fn identifier(&mut self) -> Shape<(String, Range<usize>)> {
        let token = match self.token(0) {
            Some(token) if self.is_identifier() => token,
            _ => return Err(format!("a name was expected{}", self.whereabouts())),
        };
        self.at += 1;
        let text = self.text_of(&token.span);
        let name = match token.kind {
            TokenKind::Quoted => unquote(text).into_owned(),
            _ => text.to_owned(),
        };
        if name.is_empty() {
            return Err(format!("an empty name stands{}", self.whereabouts()));
        }
        Ok((name, token.span.clone()))
    }

    /// `name`, `db.name` or `.name`, without noting it.
    pub(super) fn qualified(&mut self) -> Shape<(Option<String>, String, Range<usize>)> {
        let start = self.position();
        if self.accept_symbol(b'.') {
            let (name, span) = self.identifier()?;
            return Ok((None, name, start..span.end));
        }
        let (first, span) = self.identifier()?;
        if !self.accept_symbol(b'.') {
            return Ok((None, first, span));
        }
        let (second, end) = self.identifier()?;
        Ok((Some(first), second, span.start..end.end))
    }

    /// A name, which is noted; without a database it stands in `database`.
    pub(super) fn object_in(&mut self, role: Role, database: Option<&str>) -> Shape<TableName> {
        let (own_database, name, span) = self.qualified()?;
        let database = own_database
            .as_deref()
            .or(database)
            .ok_or("a name has no database and there is no default database")?;
        let name = TableName::new(database, name);
        self.names.push(NameSpan {
            span,
            role,
            name: name.clone(),
        });
        Ok(name)
    }

    /// A name, which is noted; without a database it stands in the default database.
    pub(super) fn object(&mut self, role: Role) -> Shape<TableName> {
        self.object_in(role, self.default_database)
    }

    /// `name, name, …`, each noted and each an element of the statement's list.
    pub(super) fn object_list(&mut self, role: Role) -> Shape<()> {
        loop {
            let start = self.position();
            self.object(role)?;
            self.items.push(start..self.end_of_last());
            if !self.accept_symbol(b',') {
                return Ok(());
            }
        }
    }

    /// The name of a database, which is noted.
    pub(super) fn database(&mut self) -> Shape<()> {
        let (name, span) = self.identifier()?;
        self.names.push(NameSpan {
            span,
            role: Role::Database,
            name: TableName::new(name, ""),
        });
        Ok(())
    }

    /// A chain `a.b` or `a.b.c` from here: its parts and their spans. One name alone is no chain.
    pub(super) fn chain(&self) -> Option<Vec<(String, Range<usize>)>> {
        let mut parts = Vec::new();
        let mut ahead = 0;
        while self.is_identifier_at(ahead) {
            let token = self.token(ahead)?;
            let text = self.text_of(&token.span);
            let name = match token.kind {
                TokenKind::Quoted => unquote(text).into_owned(),
                _ => text.to_owned(),
            };
            parts.push((name, token.span.clone()));
            if !self.is_symbol_at(ahead + 1, b'.') || parts.len() == 3 {
                break;
            }
            ahead += 2;
        }
        (parts.len() > 1).then_some(parts)
    }

    /// The statement means the default database, whose name would stand here.
    pub(super) fn left_out_database(&mut self) -> Shape<()> {
        let name = self
            .default_database
            .ok_or("it means the default database, and there is none")?;
        let at = self.end_of_last();
        self.names.push(NameSpan {
            span: at..at,
            role: Role::Database,
            name: TableName::new(name, ""),
        });
        Ok(())
    }

    /// Consumes the rest, whatever it is.
    pub(super) fn skip_rest(&mut self) {
        self.at = self.tokens.len();
    }
}
