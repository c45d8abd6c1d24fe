//! Keeping an answer within its budget of tokens.
//!
//! Owns: the estimate (by bytes, on the safe side) and what gives way first: the explanations of coverage, then rows, which
//! the next page begins with. Each of the two forms fits by itself, since a host reads one or the other.

use serde_json::Value;

use crate::{Output, output::Table, structured::structured, text::text};

/// Bytes of an answer for each token, on the safe side: ids, times and hashes are worth less than prose.
const BYTES_FOR_TEN_TOKENS: usize = 20;
/// Tokens that the random boundary of an answer may take more than the estimate has for it.
const SPARE: usize = 8;
/// Characters of a captured cell when nothing else can give way.
const SHORT_CELL: usize = 12;
/// Columns that stay whatever the budget.
const FEWEST_COLUMNS: usize = 3;
/// What is said of an answer that was cut.
const CUT: &str = "cut to fit (… marks a cell): raise max_tokens for the rest";
/// Rounds before giving up and cutting what is there.
const ROUNDS: u32 = 5;

/// Tokens that a text takes at most.
pub(crate) fn tokens(bytes: usize) -> usize {
    bytes * 10 / BYTES_FOR_TEN_TOKENS + SPARE
}

/// How an answer of a list came out.
pub(crate) enum Fit {
    /// It fits.
    Done(Box<Output>),
    /// It does not: ask again for so many rows.
    Again(u32),
}

/// Cuts a list that was read whole to so many rows, and gives how many that left out.
pub(crate) fn cut<T>(rows: &mut Vec<T>, most: u32) -> usize {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let left_out = rows.len().saturating_sub(most);
    rows.truncate(most);
    left_out
}

/// The search for the number of rows that fit.
pub(crate) struct Fitting {
    budget: usize,
    round: u32,
}

impl Fitting {
    pub(crate) fn new(max_tokens: usize) -> Self {
        Self {
            budget: max_tokens,
            round: 0,
        }
    }

    /// Looks at an answer.
    pub(crate) fn judge(&mut self, mut output: Output) -> Fit {
        self.round += 1;
        while size(&output) > self.budget && output.frame.explained && output.frame.shrink() {}
        let rows = output.tables.first().map_or(0, |table| table.rows.len());
        let over = size(&output);
        if over <= self.budget || rows == 0 {
            return Fit::Done(Box::new(squeeze(output, self.budget)));
        }
        let bare = size(&Output {
            tables: Vec::new(),
            ..output.clone()
        });
        let room = self.budget.saturating_sub(bare);
        let each = over.saturating_sub(bare).div_ceil(rows).max(1);
        let fitting = (room / each).min(rows - 1).max(1);
        if self.round > ROUNDS || rows == 1 {
            return Fit::Done(Box::new(squeeze(output, self.budget)));
        }
        Fit::Again(u32::try_from(fitting).unwrap_or(1))
    }
}

/// Cuts what an answer without pages can do without: rows of its tables from the end, coverage, notes.
pub(crate) fn squeeze(mut output: Output, budget: usize) -> Output {
    let mut cut = 0;
    while size(&output) > budget {
        if output.frame.shrink() {
            continue;
        }
        // What names the columns of nothing is the first to go.
        let of_nothing = |table: &Table| !table.name.is_empty() && table.rows.is_empty();
        if let Some(at) = output.tables.iter().position(of_nothing) {
            output.tables.remove(at);
            continue;
        }
        let longest = output
            .tables
            .iter_mut()
            .filter(|table| table.rows.len() > usize::from(table.name.is_empty()))
            .max_by_key(|table| table.rows.len());
        match longest {
            Some(table) => {
                table.rows.pop();
                cut += 1;
            }
            None if output.notes.len() > usize::from(cut > 0) => {
                output.notes.pop();
            }
            None => match output.facts.iter().rposition(|(fact, _)| fact.path != "id") {
                Some(at) => {
                    output.facts.remove(at);
                    cut += 1;
                }
                None if shorten(&mut output) => cut += 1,
                None if narrow(&mut output) => cut += 1,
                None => break,
            },
        }
        // First, so that it is the last to go.
        if cut > 0 && output.notes.first().is_none_or(|note| note != CUT) {
            output.notes.insert(0, CUT.to_owned());
        }
    }
    output
}

/// Shortens the captured cells of the rows that must stay. Says whether any was long.
fn shorten(output: &mut Output) -> bool {
    let mut any = false;
    for table in &mut output.tables {
        for row in &mut table.rows {
            for (column, cell) in table.columns.iter().zip(row) {
                if let Value::String(text) = cell
                    && column.untrusted
                    && text.chars().count() > SHORT_CELL + 1
                {
                    *text = text.chars().take(SHORT_CELL).chain(['…']).collect();
                    any = true;
                }
            }
        }
    }
    any
}

/// Leaves out the last column of a table whose rows must stay. Says whether there was one to leave out.
fn narrow(output: &mut Output) -> bool {
    let Some(table) = output
        .tables
        .iter_mut()
        .find(|table| table.columns.len() > FEWEST_COLUMNS)
    else {
        return false;
    };
    table.columns.pop();
    for row in &mut table.rows {
        row.pop();
    }
    true
}

/// Tokens of the larger of the two forms.
pub(crate) fn size(output: &Output) -> usize {
    let structured = structured(output).to_string().len();
    tokens(structured.max(text(output).len()))
}
