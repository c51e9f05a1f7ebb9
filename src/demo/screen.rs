//! What the demo shows: statements at a prompt, result sets as the mysql client draws them, progress.

use std::io::{self, IsTerminal as _, Write};

/// Where the demo writes to. On a terminal progress stays on one line.
pub(super) struct Screen {
    out: Box<dyn Write + Send>,
    live: bool,
    /// Characters of the progress line that is on the terminal now.
    pending: usize,
}

impl Screen {
    /// The standard output.
    pub(super) fn stdout() -> Self {
        Self {
            live: io::stdout().is_terminal(),
            out: Box::new(io::stdout()),
            pending: 0,
        }
    }

    /// A heading, with room above it.
    pub(super) fn heading(&mut self, text: &str) -> io::Result<()> {
        self.line(&format!("\n-- {text}"))
    }

    /// One line.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        self.clear()?;
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }

    /// A statement as it was typed at a prompt.
    pub(super) fn statement(&mut self, prompt: &str, text: &str) -> io::Result<()> {
        let indent = format!("\n{:>width$}> ", "-", width = prompt.len());
        self.line(&format!("{prompt}> {};", text.replace('\n', &indent)))
    }

    /// A result set.
    pub(super) fn table(&mut self, columns: &[String], rows: &[Vec<String>]) -> io::Result<()> {
        match rows.is_empty() {
            true => self.line("(no rows)"),
            false => self.line(&drawn(columns, rows)),
        }
    }

    /// How far something is. On a terminal this takes the place of the last progress shown.
    pub(super) fn progress(&mut self, text: &str) -> io::Result<()> {
        if !self.live {
            return self.line(text);
        }
        self.clear()?;
        write!(self.out, "{text}")?;
        self.pending = text.chars().count();
        self.out.flush()
    }

    /// As [`progress`](Self::progress), but not worth a line of its own where there is no terminal.
    pub(super) fn fleeting(&mut self, text: &str) -> io::Result<()> {
        if self.live { self.progress(text) } else { Ok(()) }
    }

    fn clear(&mut self) -> io::Result<()> {
        if self.pending > 0 {
            write!(self.out, "\r{:width$}\r", "", width = self.pending)?;
            self.pending = 0;
        }
        Ok(())
    }
}

/// A result set in the mysql client's frame; numbers stand right.
fn drawn(columns: &[String], rows: &[Vec<String>]) -> String {
    let width = |index: usize| {
        let cells = rows.iter().filter_map(|row| row.get(index));
        let widest = cells.chain(columns.get(index)).map(|cell| cell.chars().count()).max();
        widest.unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns.len()).map(width).collect();
    let numeric: Vec<_> = (0..columns.len())
        .map(|index| {
            let mut cells = rows.iter().filter_map(|row| row.get(index));
            cells.all(|cell| cell == "NULL" || cell.replace(',', "").parse::<f64>().is_ok())
        })
        .collect();
    let frame: String = widths
        .iter()
        .map(|width| format!("+{:-<1$}", "", width + 2))
        .collect::<String>()
        + "+";
    let drawn_row = |cells: &[String]| {
        let cells = cells.iter().zip(&widths).zip(&numeric);
        let cells = cells.map(|((cell, width), numeric)| match numeric {
            true => format!("| {cell:>width$} "),
            false => format!("| {cell:<width$} "),
        });
        cells.collect::<String>() + "|"
    };
    let mut lines = vec![frame.clone(), drawn_row(columns), frame.clone()];
    lines.extend(rows.iter().map(|row| drawn_row(row)));
    lines.push(frame);
    lines.join("\n")
}

/// A number with commas: `73,412`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A bar of 30 characters.
pub(super) fn bar(done: u64, all: u64) -> String {
    let filled = usize::try_from(30 * done.min(all) / all.max(1)).unwrap_or(0);
    format!("[{:=<filled$}{:.<rest$}]", "", "", rest = 30 - filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_drawn_in_frames_with_numbers_at_the_right() {
        let columns = ["table".to_string(), "rows".to_string()];
        let rows = [["söder", "1,200"], ["x", "NULL"]].map(|row| row.map(String::from).to_vec());
        let expected = "\
+-------+-------+
| table |  rows |
+-------+-------+
| söder | 1,200 |
| x     |  NULL |
+-------+-------+";
        assert_eq!(drawn(&columns, &rows), expected);
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let check = |number, expected: &str| assert_eq!(grouped(number), expected);
        check(0, "0");
        check(999, "999");
        check(1_000, "1,000");
        check(1_234_567, "1,234,567");
    }

    #[test]
    fn a_bar_is_never_longer_than_full() {
        assert_eq!(bar(0, 0), format!("[{}]", ".".repeat(30)));
        assert_eq!(bar(5, 10), format!("[{}{}]", "=".repeat(15), ".".repeat(15)));
        assert_eq!(bar(20, 10), format!("[{}]", "=".repeat(30)));
    }
}
