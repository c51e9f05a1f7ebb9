//! docs/first-session.md, statement by statement, with MySQL's own client: what the page shows is what happens.
//! `UPDATE_DOCS=1` writes anew what does not hold any more.
//!
//! What is another each time (times, positions, durations, versions) is not compared. The page's ports stand for those
//! of this run.

use std::{env, fs, path::Path};

use causeway::demo::mysqld::LocalServer;

use crate::support::{
    ask::{LIMIT, rows, sql},
    clients::{self, outcome},
    cluster::{Pair, Proxy},
};

/// The ports of hq and branch on the page. As long as those that tests get, so that tables are as wide.
const PORTS: [&str; 2] = ["20001", "20002"];

struct Session {
    pair: Pair,
    proxy: Proxy,
}

impl Session {
    /// Runs a statement behind its prompt; what the client shows for it.
    fn run(&self, prompt: &str, statement: &str) -> String {
        let (port, password) = match prompt {
            "mysql>" => (self.proxy.port, self.proxy.password.as_str()),
            "hq>" => (self.pair.hq.port, ""),
            "branch>" => (self.pair.branch.port, ""),
            _ => panic!("{prompt} is no prompt of the page"),
        };
        let statement = self
            .ports()
            .iter()
            .fold(statement.to_owned(), |text, (shown, real)| text.replace(shown, real));
        let mut client = clients::mysql();
        client
            .args([
                "-h127.0.0.1",
                "-uroot",
                "--table",
                "-vvv",
                "--default-character-set=utf8mb4",
            ])
            .arg(format!("-P{port}"))
            .args(["-e", &statement])
            .env("MYSQL_PWD", password);
        let (_, output, complaint) = outcome(&mut client);
        // The client repeats the statement between two lines, and takes its leave.
        let answer = output.splitn(3, "--------------\n").nth(2).unwrap_or(&output);
        let answer = answer.trim().trim_end_matches("Bye").trim();
        let complaint = complaint.trim().replace(" at line 1:", ":");
        let answer = [answer, &complaint]
            .map(str::to_owned)
            .into_iter()
            .filter(|part| !part.is_empty());
        let answer = answer.collect::<Vec<_>>().join("\n");
        self.ports()
            .iter()
            .fold(answer, |text, (shown, real)| text.replace(real, shown))
    }

    fn ports(&self) -> [(&'static str, String); 2] {
        let port = |server: &LocalServer| server.port.to_string();
        [(PORTS[0], port(&self.pair.hq)), (PORTS[1], port(&self.pair.branch))]
    }
}

/// What is compared of an answer: its words, without those that are another each time.
fn words(answer: &str) -> Vec<String> {
    let answer = &without_moving_columns(answer);
    let is_digits = |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let changes = |word: &str| {
        let timed = word.contains(':') && word.split(':').all(|part| !part.is_empty() && is_digits(part));
        let dated = word.len() == 10 && word.split('-').count() == 3 && word.split('-').all(is_digits);
        let gtids = word.len() > 36 && word.matches('-').count() >= 4 && word.contains(':');
        let version = word
            .split('-')
            .next()
            .is_some_and(|number| number.split('.').count() == 3 && is_digits(number));
        timed || dated || gtids || version
    };
    let mut words: Vec<String> = answer
        .split(|c: char| c.is_whitespace() || c == '|')
        .map(|word| word.trim_matches(['(', ')', ',']))
        .filter(|word| !word.is_empty() && !word.chars().all(|c| c == '-' || c == '+'))
        .map(|word| {
            if changes(word) {
                "…".to_owned()
            } else {
                word.to_owned()
            }
        })
        .collect();
    // A duration: "(0.01 sec)".
    for at in 1..words.len() {
        if words[at] == "sec" {
            words[at - 1] = "…".to_owned();
        }
    }
    words
}

/// What the client draws a table of, without the values that depend on the moment.
fn without_moving_columns(answer: &str) -> String {
    let mut moving: Vec<bool> = Vec::new();
    let mut kept = String::new();
    for line in answer.lines() {
        if !line.starts_with('|') {
            kept += line;
        } else {
            let cells: Vec<&str> = line.split('|').collect();
            if moving.len() != cells.len() {
                moving = cells
                    .iter()
                    .map(|cell| matches!(cell.trim(), "lag_ms" | "rows_s" | "since"))
                    .collect();
            }
            for (cell, moves) in cells.iter().zip(&moving) {
                kept += if *moves { "|" } else { cell };
                kept.push('|');
            }
        }
        kept.push('\n');
    }
    kept
}

#[tokio::test]
async fn the_first_session_goes_as_the_page_tells_it() {
    let pair = Pair::start().await;
    for server in [&pair.hq, &pair.branch] {
        sql(
            server,
            "CREATE USER sync IDENTIFIED BY 'secret'; GRANT ALL ON *.* TO sync WITH GRANT OPTION",
        )
        .await;
    }
    let session = Session {
        pair,
        proxy: Proxy::start().await,
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/first-session.md");
    let page = fs::read_to_string(&path).unwrap();
    let mut written = String::new();
    let mut differs = Vec::new();
    let mut lines = page.lines().peekable();
    let mut in_session = false;
    while let Some(line) = lines.next() {
        if line == "```" {
            written.truncate(written.trim_end().len() + 1);
        }
        written += line;
        written.push('\n');
        if line.starts_with("```") {
            in_session = line == "```console";
            continue;
        }
        let Some((prompt, first)) = line
            .split_once(' ')
            .filter(|(prompt, _)| in_session && prompt.ends_with('>'))
        else {
            continue;
        };
        let mut statement = first.to_owned();
        while !statement.trim_end().ends_with(';') {
            let more = lines.next().unwrap_or_else(|| panic!("{statement} does not end"));
            written += more;
            written.push('\n');
            statement += "\n";
            statement += more.trim_start().strip_prefix("->").unwrap_or(more);
        }
        let mut expected = String::new();
        let prompts = ["mysql> ", "hq> ", "branch> ", "```"];
        while let Some(line) = lines.next_if(|line| !prompts.iter().any(|prompt| line.starts_with(prompt))) {
            expected += line;
            expected.push('\n');
        }
        let expected = expected.trim().to_owned();
        // A task takes a moment to get from one state to the next.
        let begin = std::time::Instant::now();
        let mut found = session.run(prompt, &statement);
        let may_take_time = statement.starts_with("SHOW") || statement.starts_with("SELECT");
        while may_take_time && words(&found) != words(&expected) && begin.elapsed() < settling(&expected) {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            found = session.run(prompt, &statement);
        }
        if words(&found) != words(&expected) {
            differs.push(format!("{prompt} {statement}\n{found}\nis due to be\n{expected}"));
        }
        let same = words(&found) == words(&expected);
        written += if same { &expected } else { &found };
        if !written.ends_with('\n') {
            written.push('\n');
        }
        written.push('\n');
    }
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, written).unwrap();
    } else {
        assert!(
            differs.is_empty(),
            "{}\nUPDATE_DOCS=1 takes this over",
            differs.join("\n\n")
        );
    }
    // The page ends with a task that works in both directions.
    let states = rows(&session.proxy, "SELECT state FROM sync.status").await;
    assert_eq!(states, [["running"], ["running"]]);
}

/// How long an answer may take to become what the page says. What is not on the page yet is taken as it comes.
fn settling(expected: &str) -> std::time::Duration {
    if env::var_os("UPDATE_DOCS").is_some() || expected.is_empty() {
        std::time::Duration::from_secs(2)
    } else {
        LIMIT
    }
}
