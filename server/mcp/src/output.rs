//! An answer before it takes a form: facts, tables, and the frame that every answer has.

use headwater_query::{Answer, Emptiness};
use serde_json::Value;

use crate::frame::Frame;

/// A fact that a tool may tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FactSpec {
    /// Dotted path in the structured form.
    pub(crate) path: &'static str,
    /// JSON type: string, integer, number, boolean, array.
    pub(crate) kind: &'static str,
    /// Whether it is captured text.
    pub(crate) untrusted: bool,
}

/// A column that a tool may give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ColumnSpec {
    /// Its name.
    pub(crate) name: &'static str,
    /// Whether it holds captured text.
    pub(crate) untrusted: bool,
    /// Whether only `detail: detailed` has it.
    pub(crate) detailed: bool,
}

/// A table that a tool gives; an empty name is the answer's own list. Without columns these are found with the answer, and
/// hold captured text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TableSpec {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [ColumnSpec],
}

/// Shorthand for declarations.
pub(crate) const fn fact(path: &'static str, kind: &'static str) -> FactSpec {
    FactSpec {
        path,
        kind,
        untrusted: false,
    }
}
/// Shorthand for a fact that is captured text.
pub(crate) const fn captured(path: &'static str) -> FactSpec {
    FactSpec {
        path,
        kind: "string",
        untrusted: true,
    }
}
/// Shorthand for a column.
pub(crate) const fn column(name: &'static str) -> ColumnSpec {
    ColumnSpec {
        name,
        untrusted: false,
        detailed: false,
    }
}
/// Shorthand for a column of captured text.
pub(crate) const fn captured_column(name: &'static str) -> ColumnSpec {
    ColumnSpec {
        name,
        untrusted: true,
        detailed: false,
    }
}
/// Shorthand for a column that only the detailed form has.
pub(crate) const fn detailed(spec: ColumnSpec) -> ColumnSpec {
    ColumnSpec {
        detailed: true,
        ..spec
    }
}

/// A table filled in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: Vec<ColumnSpec>,
    /// What the columns are called, where their specs do not say it.
    pub(crate) titles: Vec<String>,
    pub(crate) rows: Vec<Vec<Value>>,
}

impl Table {
    /// What its columns are called.
    pub(crate) fn titles(&self) -> impl Iterator<Item = &str> {
        let titles = |(place, column): (usize, &ColumnSpec)| -> &str {
            self.titles.get(place).map_or(column.name, String::as_str)
        };
        self.columns.iter().enumerate().map(titles)
    }

    /// An empty one, with the columns that the level of detail has.
    pub(crate) fn new(spec: &TableSpec, is_detailed: bool) -> Self {
        let columns = spec
            .columns
            .iter()
            .filter(|column| is_detailed || !column.detailed)
            .copied()
            .collect();
        Self {
            name: spec.name,
            titles: Vec::new(),
            columns,
            rows: Vec::new(),
        }
    }

    /// Adds a row given for all columns of the spec; those left out are dropped.
    pub(crate) fn push(&mut self, spec: &TableSpec, values: Vec<Value>) {
        let kept = spec
            .columns
            .iter()
            .zip(values)
            .filter(|(column, _)| self.columns.contains(column))
            .map(|(_, value)| value);
        self.rows.push(kept.collect());
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    pub(crate) facts: Vec<(FactSpec, Value)>,
    pub(crate) tables: Vec<Table>,
    /// Why the list is empty, and what to try.
    pub(crate) empty: Option<String>,
    /// Headwater's own remarks.
    pub(crate) notes: Vec<String>,
    pub(crate) next_cursor: Option<String>,
    pub(crate) frame: Frame,
}

impl Output {
    /// The frame of a query's answer, with nothing in it yet.
    pub(crate) fn framed<T>(answer: &Answer<T>, try_next: &str) -> Self {
        let empty = answer.emptiness.as_ref().map(|emptiness| match emptiness {
            Emptiness::NothingMatched { in_window: 0 } => format!(
                "nothing happened: the window was recorded and holds no exchange at all. {try_next}"
            ),
            Emptiness::NothingMatched { in_window } => format!(
                "nothing matched: the window was recorded and holds {}. {try_next}",
                others(*in_window)
            ),
            Emptiness::NothingMatchedOrNotSeen { in_window, why } => format!(
                "nothing matched: the window holds {}. Not all was seen: {why} {try_next}",
                others(*in_window)
            ),
            Emptiness::NotSeen { why } => format!("nothing could be seen: {why} {try_next}"),
        });
        Self {
            facts: Vec::new(),
            tables: Vec::new(),
            empty,
            notes: Vec::new(),
            next_cursor: answer.next_cursor.clone(),
            frame: Frame::of(answer),
        }
    }

    /// The answer of a list, with its rows in one table.
    pub(crate) fn listed<T>(
        answer: &Answer<Vec<T>>,
        try_next: &str,
        spec: &TableSpec,
        is_detailed: bool,
        row: impl Fn(&T) -> Vec<Value>,
    ) -> Self {
        let mut table = Table::new(spec, is_detailed);
        for value in &answer.value {
            table.push(spec, row(value));
        }
        let mut output = Self::framed(answer, try_next);
        output.tables.push(table);
        output
    }

    /// Adds a fact when there is a value.
    pub(crate) fn tell(&mut self, spec: &[FactSpec], path: &'static str, value: impl Into<Value>) {
        let value = value.into();
        if let Some(found) = spec.iter().find(|fact| fact.path == path)
            && !value.is_null()
        {
            self.facts.push((*found, value));
        }
    }
}

/// What there is besides what was asked for.
fn others(count: u64) -> String {
    if count == 1 {
        "one exchange, which does not match".to_owned()
    } else {
        format!("{count} exchanges, which do not match")
    }
}
