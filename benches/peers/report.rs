//! Tables, as Markdown and as JSON.

use std::{fs, path::Path};

use serde_json::{Value, json};

/// All that was measured.
pub(crate) struct Report {
    tables: Vec<Table>,
}

/// One table of it.
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { tables: Vec::new() }
    }

    /// Shows a table, and keeps it.
    pub(crate) fn add(&mut self, table: Table) {
        println!("\n{}", table.markdown());
        self.tables.push(table);
        self.write();
    }

    /// Writes what there is so far: a run that is cut off leaves what it has.
    pub(crate) fn write(&self) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let markdown: Vec<String> = self.tables.iter().map(Table::markdown).collect();
        fs::write(folder.join("peers.md"), markdown.join("\n")).unwrap();
        let tables: Vec<Value> = self.tables.iter().map(Table::json).collect();
        fs::write(folder.join("peers.json"), format!("{:#}\n", json!(tables))).unwrap();
    }
}

impl Table {
    pub(crate) fn new(title: impl Into<String>, columns: &[&'static str]) -> Self {
        Self {
            title: title.into(),
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    fn markdown(&self) -> String {
        let line = |cells: &mut dyn Iterator<Item = String>| format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "));
        let mut text = format!("### {}\n\n", self.title);
        text += &line(&mut self.columns.iter().map(ToString::to_string));
        text += &line(
            &mut self
                .columns
                .iter()
                .enumerate()
                .map(|(at, _)| if at == 0 { "---" } else { "---:" }.to_owned()),
        );
        for row in &self.rows {
            text += &line(&mut row.iter().cloned());
        }
        text
    }

    fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let cells = self.columns.iter().zip(row);
            Value::Object(cells.map(|(name, cell)| ((*name).to_owned(), json!(cell))).collect())
        });
        json!({ "title": self.title, "rows": rows.collect::<Vec<_>>() })
    }
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// So many of a hundred lie below.
pub(crate) fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let at = (sorted.len() as f64 * percent / 100.0).ceil() as usize;
    sorted
        .get(at.saturating_sub(1).min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or(f64::NAN)
}
