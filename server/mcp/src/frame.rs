//! What every answer carries besides its value: window, reach, recorder, coverage.

use headwater_query::{Answer, CoverageItem, Recorder, rfc3339};
use serde_json::{Value, json};

/// Coverage lines told at most; the rest is summed up.
const MAX_ITEMS: usize = 6;

/// The frame.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Frame {
    pub(crate) since: Option<String>,
    pub(crate) until: Option<String>,
    pub(crate) as_of: String,
    pub(crate) recorder: String,
    pub(crate) items: Vec<CoverageItem>,
    /// Lines beyond the cap, and lines that gave way.
    pub(crate) more_items: usize,
    /// Whether any gave way to the budget.
    pub(crate) is_shrunk: bool,
    /// Whether explanations are told.
    pub(crate) explained: bool,
}

impl Frame {
    pub(crate) fn of<T>(answer: &Answer<T>) -> Self {
        let recorder = match &answer.recorder {
            Recorder::Running => "running".to_owned(),
            Recorder::Stopped { at_ns } => format!("recorder stopped at {}", rfc3339(*at_ns)),
            Recorder::Killed { last_seen_ns } => format!(
                "recorder was killed; its last sign of life was at {}",
                rfc3339(*last_seen_ns)
            ),
            Recorder::Never => "no live recorder has written this store".to_owned(),
        };
        Self {
            since: answer.window.map(|window| rfc3339(window.since_ns)),
            until: answer.window.map(|window| rfc3339(window.until_ns)),
            as_of: if answer.as_of_ns == 0 {
                "never".to_owned()
            } else {
                rfc3339(answer.as_of_ns)
            },
            recorder,
            items: answer.coverage.iter().take(MAX_ITEMS).cloned().collect(),
            more_items: answer.coverage.len().saturating_sub(MAX_ITEMS),
            is_shrunk: false,
            explained: true,
        }
    }

    pub(crate) fn structured(&self) -> Value {
        let items: Vec<_> = self
            .items
            .iter()
            .map(|item| {
                let mut line = json!({ "kind": item.kind, "count": item.count, "from": rfc3339(item.from_ns), "until": rfc3339(item.until_ns) });
                if self.explained {
                    line["explanation"] = Value::from(item.explanation.as_str());
                }
                line
            })
            .collect();
        let mut value =
            json!({ "as_of": self.as_of, "recorder": self.recorder, "not_seen": items });
        if let (Some(since), Some(until)) = (&self.since, &self.until) {
            value["since"] = Value::from(since.as_str());
            value["until"] = Value::from(until.as_str());
        }
        if self.more_items > 0 {
            value["not_told"] = Value::from(self.more_items);
        }
        value
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        let mut first = String::new();
        if let (Some(since), Some(until)) = (&self.since, &self.until) {
            first = format!("window {since} to {until}; ");
        }
        let mut lines = vec![format!(
            "{first}data as of {}; recorder: {}",
            self.as_of, self.recorder
        )];
        for item in &self.items {
            let explanation = if self.explained {
                format!(": {}", item.explanation)
            } else {
                String::new()
            };
            lines.push(format!(
                "not seen: {} ({}){explanation}",
                item.kind, item.count
            ));
        }
        if self.more_items > 0 {
            lines.push(format!(
                "not seen: {} more kinds{}",
                self.more_items,
                self.advice()
            ));
        }
        lines
    }

    /// Takes less room. Says whether there was anything to take away.
    pub(crate) fn shrink(&mut self) -> bool {
        if self.explained && !self.items.is_empty() {
            self.explained = false;
            return true;
        }
        if self.items.pop().is_some() {
            self.more_items += 1;
            self.is_shrunk = true;
            return true;
        }
        false
    }

    /// What would show the kinds that are not told. More room does not move the cap.
    fn advice(&self) -> &'static str {
        match (self.is_shrunk, self.since.is_some()) {
            (true, true) => "; raise max_tokens or narrow the window",
            (true, false) => "; raise max_tokens",
            (false, true) => "; narrow the window",
            (false, false) => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_is_what_would_help() {
        let item = CoverageItem {
            kind: "filtered".to_owned(),
            count: 1,
            from_ns: 1,
            until_ns: 2,
            explanation: "a filter".to_owned(),
        };
        let mut frame = Frame {
            since: Some(rfc3339(1)),
            until: Some(rfc3339(2)),
            as_of: rfc3339(2),
            recorder: "running".to_owned(),
            items: vec![item; 2],
            more_items: 1,
            is_shrunk: false,
            explained: false,
        };
        let last = |frame: &Frame| frame.lines().pop().unwrap_or_default();
        assert_eq!(
            last(&frame),
            "not seen: 1 more kinds; narrow the window",
            "the cap is why"
        );
        assert!(frame.shrink());
        assert!(last(&frame).ends_with("; raise max_tokens or narrow the window"));
        frame.since = None;
        assert!(last(&frame).ends_with("; raise max_tokens"));
    }
}
