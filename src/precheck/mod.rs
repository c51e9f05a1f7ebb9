//! What has to hold before a task starts: a table of items, each with a pure rule over gathered facts.
//!
//! The table is the one definition of an item: its name, by which a warning is acknowledged, what docs/precheck.md says of
//! it ([`page`]), and its rule. A rule says what was found, on which server, and what mends it: the statement itself wherever
//! there is one, with a comment in front that says where to run it.

use crate::{
    model::precheck::{PrecheckRow, Verdict},
    sql::literal,
};

use facts::{Facts, Scope, Server, Way};

mod binlog;
mod connection;
pub mod facts;
mod objects;
pub mod page;
pub mod privileges;
pub mod same_names;
mod server;

/// An item.
#[derive(Debug)]
pub struct Item {
    /// Its name, a short phrase.
    pub name: &'static str,
    /// What it looks at.
    pub looks_at: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What it can come to besides a pass.
    pub severity: Severity,
    /// How it is judged.
    pub rule: Rule,
}

/// What an item can come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// A fail.
    Fails,
    /// A warning.
    Warns,
    /// Either.
    Both,
}

/// How an item is judged. `None` stands for an item that says nothing about this task or direction.
#[derive(Debug, Clone, Copy)]
pub enum Rule {
    /// Whatever could be reached.
    Any(fn(&Way) -> Option<Judged>),
    /// By facts about the server that is read from.
    Source(fn(&Way, &Facts) -> Option<Judged>),
    /// By facts about the server that is written to.
    Destination(fn(&Way, &Facts) -> Option<Judged>),
    /// By facts about both.
    Servers(fn(&Way, &Facts, &Facts) -> Option<Judged>),
    /// By what is selected, and what is there.
    Scope(fn(&Way, &Known<'_>) -> Option<Judged>),
    /// By whether that could be found out.
    Found(fn(&Result<Scope, String>) -> Judged),
}

/// All there is to know of a direction.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The server that is read from.
    pub source: &'a Facts,
    /// The server that is written to.
    pub destination: &'a Facts,
    /// What is selected, and what is there.
    pub scope: &'a Scope,
}

/// What an item has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// How it fares.
    pub result: Verdict,
    /// What was found.
    pub found: String,
    /// What mends it.
    pub remedy: String,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The task can't start with it.
    pub fails: bool,
    /// What it is.
    pub found: String,
    /// What mends it.
    pub remedy: String,
}

/// The items of all families, in the order of the page.
pub fn items() -> impl Iterator<Item = &'static Item> {
    [
        connection::ITEMS,
        server::ITEMS,
        binlog::ITEMS,
        privileges::ITEMS,
        objects::ITEMS,
        same_names::ITEMS,
    ]
    .into_iter()
    .flatten()
}

/// The item of that name, in any case.
pub fn item(name: &str) -> Option<&'static Item> {
    items().find(|item| item.name.eq_ignore_ascii_case(name.trim()))
}

/// How far a precheck goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Everything: before a START.
    Whole,
    /// What can be told of the servers themselves: before a RESUME.
    Servers,
}

/// Judges a direction.
pub fn judge(way: &Way, depth: Depth) -> Vec<PrecheckRow> {
    let rows = items().filter_map(|item| {
        if depth == Depth::Servers && matches!(item.rule, Rule::Scope(_) | Rule::Found(_)) {
            return None;
        }
        let judged = item.judge(way)?;
        Some(PrecheckRow {
            item: item.name,
            direction: way.direction,
            result: judged.result,
            found: judged.found,
            remedy: judged.remedy,
            acknowledged: false,
        })
    });
    rows.collect()
}

/// What `CHECK SERVER` asks of a server, by the names of its steps.
pub fn of_server(server: &Server, facts: &Facts) -> Vec<(&'static str, Judged)> {
    let shown = if facts.encryption.is_empty() {
        "none"
    } else {
        &facts.encryption
    };
    let encrypted = connection::encryption(server, &facts.encryption);
    let mut steps = vec![("encryption", Judged::of(encrypted.into_iter().collect(), shown))];
    steps.extend(
        binlog::STEPS
            .iter()
            .map(|(name, rule)| (*name, rule(&server.name, facts))),
    );
    steps
}

impl Item {
    /// What it has come to in a direction.
    pub fn judge(&self, way: &Way) -> Option<Judged> {
        let unknown = |name: &str| Some(Judged::skip(format!("not looked at: server {name} can't be asked")));
        match (&way.source.facts, &way.destination.facts) {
            _ if matches!(self.rule, Rule::Any(_)) => match self.rule {
                Rule::Any(rule) => rule(way),
                _ => None,
            },
            (Err(_), _) if !matches!(self.rule, Rule::Destination(_)) => unknown(&way.source.name),
            (_, Err(_)) if !matches!(self.rule, Rule::Source(_)) => unknown(&way.destination.name),
            (source, destination) => match (self.rule, source, destination) {
                (Rule::Source(rule), Ok(source), _) => rule(way, source),
                (Rule::Destination(rule), _, Ok(destination)) => rule(way, destination),
                (Rule::Servers(rule), Ok(source), Ok(destination)) => rule(way, source, destination),
                (Rule::Found(rule), _, _) => Some(rule(&way.scope)),
                (Rule::Scope(rule), Ok(source), Ok(destination)) => match &way.scope {
                    Ok(scope) => rule(
                        way,
                        &Known {
                            source,
                            destination,
                            scope,
                        },
                    ),
                    Err(_) => Some(Judged::skip(
                        "not looked at: see 'what is selected can be read'".to_owned(),
                    )),
                },
                _ => None,
            },
        }
    }
}

impl Judged {
    fn pass(found: impl Into<String>) -> Self {
        Self {
            result: Verdict::Pass,
            found: found.into(),
            remedy: String::new(),
        }
    }

    fn skip(found: impl Into<String>) -> Self {
        Self {
            result: Verdict::Skip,
            found: found.into(),
            remedy: String::new(),
        }
    }

    /// The worst of what was found; a pass if nothing was.
    fn of(findings: Vec<Finding>, otherwise: impl Into<String>) -> Self {
        if findings.is_empty() {
            return Self::pass(otherwise);
        }
        let fails = findings.iter().any(|finding| finding.fails);
        // What only warns is not what keeps the task from starting.
        let shown: Vec<&Finding> = findings.iter().filter(|finding| finding.fails == fails).collect();
        let found: Vec<&str> = shown.iter().map(|finding| finding.found.as_str()).collect();
        let mut remedies: Vec<&str> = Vec::new();
        for finding in &shown {
            if !finding.remedy.is_empty() && !remedies.contains(&finding.remedy.as_str()) {
                remedies.push(&finding.remedy);
            }
        }
        Self {
            result: if fails { Verdict::Fail } else { Verdict::Warn },
            found: found.join("; "),
            remedy: remedies.join("; "),
        }
    }
}

fn fail(found: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding {
        fails: true,
        found: found.into(),
        remedy: remedy.into(),
    }
}

fn warn(found: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding {
        fails: false,
        found: found.into(),
        remedy: remedy.into(),
    }
}

/// A statement, or several, for a server.
fn at(server: &str, statements: &str) -> String {
    format!("/* at {server} */ {statements}")
}

/// A statement of the admin language.
fn here(statement: &str) -> String {
    format!("/* in Causeway */ {statement}")
}

/// `SET PERSIST name = value` for a server.
fn set(server: &str, name: &str, value: &str) -> String {
    at(server, &format!("SET PERSIST {name} = {value}"))
}

fn set_text(server: &str, name: &str, value: &str) -> String {
    set(server, name, &literal::string(value))
}

/// Names that a message lists, at most.
const NAMED: usize = 5;

/// The first few, and how many more there are.
pub fn some_of<T: ToString>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    let shown: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
    match names.len().saturating_sub(NAMED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A statement for each of the first few.
fn statements<T>(of: &[T], statement: impl Fn(&T) -> String) -> String {
    let all: Vec<String> = of.iter().take(NAMED).map(statement).collect();
    all.join("; ")
}

#[cfg(test)]
mod tests;
