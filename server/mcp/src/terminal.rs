//! The form for a person at a terminal.

use std::fmt::Write as _;

use comfy_table::{ContentArrangement, Table as Grid, presets};

use crate::{Output, output::Table, text::shown};

/// The answer with tables. Captured text in it is escaped already.
pub fn terminal(output: &Output) -> String {
    let mut out = String::new();
    if !output.facts.is_empty() {
        let width = output
            .facts
            .iter()
            .map(|(fact, _)| fact.path.len())
            .max()
            .unwrap_or(0);
        for (fact, value) in &output.facts {
            let _ = writeln!(out, "{:width$}  {}", fact.path, shown(value));
        }
    }
    for table in output.tables.iter().filter(|table| !table.rows.is_empty()) {
        if !table.name.is_empty() {
            let _ = writeln!(out, "\n{}", table.name);
        }
        let _ = writeln!(out, "{}", grid(table));
    }
    if let Some(empty) = &output.empty {
        let _ = writeln!(out, "{empty}");
    }
    for note in &output.notes {
        let _ = writeln!(out, "note: {note}");
    }
    if let Some(cursor) = &output.next_cursor {
        let _ = writeln!(out, "more: --cursor {cursor}");
    }
    for line in output.frame.lines() {
        let _ = writeln!(out, "{line}");
    }
    out
}

fn grid(table: &Table) -> Grid {
    let mut grid = Grid::new();
    grid.load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    grid.set_header(table.titles());
    for row in &table.rows {
        grid.add_row(row.iter().map(shown));
    }
    grid
}
