//! Pages of a ranked list: the cursor is the window and how many rows came before.

use crate::answer::Window;
use crate::recorder::Runs;
use crate::search::checked_limit;
use crate::snapshot::Snapshot;
use crate::{QueryError, WindowArgument, cursor};

/// A page of a ranked list.
#[derive(Debug)]
pub(crate) struct Page {
    /// On whole slots.
    pub(crate) window: Window,
    question: u32,
    offset: usize,
    limit: usize,
}

impl Page {
    /// Reads the arguments that every list has; `question` is all that decides the list.
    pub(crate) fn read(
        snapshot: &mut Snapshot,
        runs: &Runs,
        window: &WindowArgument,
        limit: u32,
        cursor: Option<&str>,
        question: &str,
    ) -> Result<Self, QueryError> {
        let limit = checked_limit(limit)?;
        let question = cursor::question(question);
        let Some(text) = cursor else {
            let window = window.resolve(runs.reference(snapshot)?)?.snapped();
            return Ok(Self {
                window,
                question,
                offset: 0,
                limit,
            });
        };
        let [since_ns, length_ns, offset] = cursor::decode(question, text)?;
        let window = Window::from_cursor(since_ns, length_ns)?;
        Ok(Self {
            window,
            question,
            offset: usize::try_from(offset).map_err(|_| cursor::damaged())?,
            limit,
        })
    }

    /// Cuts the page out of the whole list; the cursor leads to the next one.
    pub(crate) fn cut<T>(&self, all: Vec<T>) -> (Vec<T>, Option<String>) {
        let end = self.offset.saturating_add(self.limit);
        let next = (all.len() > end).then(|| {
            let length_ns = self.window.until_ns - self.window.since_ns;
            let offset = u64::try_from(end).unwrap_or(u64::MAX);
            cursor::encode(self.question, [self.window.since_ns, length_ns, offset])
        });
        (
            all.into_iter().skip(self.offset).take(self.limit).collect(),
            next,
        )
    }
}
