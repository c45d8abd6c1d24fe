//! Arguments: declared once for each tool, checked by hand, all mistakes told at once.

use headwater_query::Syntax;
use serde_json::{Map, Value};

/// What a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// One of these words; the first is the default unless the parameter is required.
    Choice(&'static [&'static str]),
    /// True or false.
    Flag,
    /// A whole number in a range, with a default.
    Integer {
        /// Least.
        min: u64,
        /// Most.
        max: u64,
        /// When absent.
        default: u64,
    },
    /// A number of at least 0.
    Number,
    /// Text of at most 1,024 bytes.
    Text,
    /// Text of at most 8,192 bytes: SQL.
    Statement,
    /// Text in a language of its own.
    Written(Syntax),
}

/// One parameter of a tool.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameter {
    /// Its name, `snake_case`; the command line writes it with dashes.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Whether it must be there.
    pub required: bool,
    /// What it is, in one line.
    pub description: &'static str,
}

const MAX_TEXT: usize = 1024;
const MAX_STATEMENT: usize = 8192;

impl Parameter {
    pub(crate) const fn text(name: &'static str, description: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Text,
            required: false,
            description,
        }
    }

    pub(crate) const fn written(
        name: &'static str,
        syntax: Syntax,
        description: &'static str,
    ) -> Self {
        Self {
            kind: Kind::Written(syntax),
            ..Self::text(name, description)
        }
    }
}

/// The parameters that more than one tool has, in one place so that they are the same everywhere.
pub(crate) mod common {
    use super::{Kind, Parameter, Syntax};

    pub(crate) const SINCE: Parameter = Parameter::written(
        "since",
        Syntax::Time,
        "Start: RFC 3339, relative (-15m, -2h, -7d) or a mark. Default: the last 15 minutes of what is stored",
    );
    pub(crate) const UNTIL: Parameter = Parameter::written(
        "until",
        Syntax::Time,
        "End, like since. Default: now, or without since the end of what is stored",
    );
    pub(crate) const SERVICE: Parameter = Parameter::text(
        "service",
        "Answering service: part of its name, exactly name:port, or :port",
    );
    pub(crate) const PEER: Parameter = Parameter::text("peer", "Calling service: part of its name");
    pub(crate) const CURSOR: Parameter = Parameter::text(
        "cursor",
        "next_cursor of the page before, with the same other arguments",
    );
    pub(crate) const LIMIT: Parameter = Parameter {
        name: "limit",
        kind: Kind::Integer {
            min: 1,
            max: 200,
            default: 20,
        },
        required: false,
        description: "Rows at most; fewer by max_tokens",
    };
    pub(crate) const DETAIL: Parameter = Parameter {
        name: "detail",
        kind: Kind::Choice(&["concise", "detailed"]),
        required: false,
        description: "detailed adds columns",
    };
    pub(crate) const MAX_TOKENS: Parameter = Parameter {
        name: "max_tokens",
        kind: Kind::Integer {
            min: 200,
            max: 8000,
            default: 2000,
        },
        required: false,
        description: "Budget of the answer",
    };
    pub(crate) const ID: Parameter = Parameter {
        name: "id",
        kind: Kind::Text,
        required: true,
        description: "Exchange id, x_… or d_…",
    };
}

/// Arguments that were checked against their parameters.
#[derive(Debug, Clone, Default)]
pub struct Arguments(Map<String, Value>);

impl Arguments {
    /// Checks `given` and tells every mistake, or gives the arguments.
    ///
    /// # Errors
    /// One text that names each mistake and what would be right.
    pub fn check(parameters: &[Parameter], given: Map<String, Value>) -> Result<Self, String> {
        let mut mistakes = Vec::new();
        let mut given = given;
        for (name, value) in &mut given {
            if let Some(parameter) = parameters.iter().find(|parameter| parameter.name == name) {
                *value = meant(parameter, value.take());
            }
        }
        for (name, value) in &given {
            match parameters.iter().find(|parameter| parameter.name == name) {
                Some(parameter) => mistakes.extend(mistake(parameter, value)),
                None => mistakes.push(unknown(parameters, name)),
            }
        }
        for parameter in parameters.iter().filter(|parameter| parameter.required) {
            if given.get(parameter.name).is_none_or(is_absent) {
                mistakes.push(format!(
                    "{} is missing: {}",
                    parameter.name, parameter.description
                ));
            }
        }
        if mistakes.is_empty() {
            Ok(Self(given))
        } else {
            Err(mistakes.join(". "))
        }
    }

    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.0
            .get(name)
            .and_then(Value::as_str)
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    }

    /// Puts another text in the place of the one given.
    pub(crate) fn set(&mut self, name: &str, text: String) {
        self.0.insert(name.to_owned(), Value::from(text));
    }

    /// Whether it was given at all.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !is_absent(value))
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.0.get(name).and_then(Value::as_f64)
    }

    /// The number given, or the parameter's default.
    pub(crate) fn integer(&self, parameter: &Parameter) -> u64 {
        let default = if let Kind::Integer { default, .. } = parameter.kind {
            default
        } else {
            0
        };
        self.0
            .get(parameter.name)
            .and_then(Value::as_u64)
            .unwrap_or(default)
    }

    pub(crate) fn is_detailed(&self) -> bool {
        self.text(common::DETAIL.name).as_deref() == Some("detailed")
    }

    pub(crate) fn limit(&self) -> u32 {
        u32::try_from(self.integer(&common::LIMIT)).unwrap_or(20)
    }

    pub(crate) fn max_tokens(&self) -> usize {
        usize::try_from(self.integer(&common::MAX_TOKENS)).unwrap_or(2000)
    }
}

/// Null and empty text are what some clients send for an argument left out.
fn is_absent(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}

/// Models write numbers as text and the other way round: what can mean one thing only is taken for that.
fn meant(parameter: &Parameter, value: Value) -> Value {
    let other = match (parameter.kind, &value) {
        (Kind::Text | Kind::Statement | Kind::Written(_), Value::Number(number)) => {
            Some(Value::String(number.to_string()))
        }
        (Kind::Integer { .. } | Kind::Number, Value::String(text)) => {
            text.trim().parse().ok().map(Value::Number)
        }
        (Kind::Flag, Value::String(text)) => text.trim().parse().ok().map(Value::Bool),
        _ => None,
    };
    other.unwrap_or(value)
}

fn mistake(parameter: &Parameter, value: &Value) -> Option<String> {
    let name = parameter.name;
    if is_absent(value) {
        return None;
    }
    match parameter.kind {
        Kind::Choice(words) => {
            let good = value.as_str().is_some_and(|word| words.contains(&word));
            (!good).then(|| format!("{name} must be one of {}", words.join(", ")))
        }
        Kind::Flag => (!value.is_boolean()).then(|| format!("{name} must be true or false")),
        Kind::Integer { min, max, .. } => {
            let good = value
                .as_u64()
                .is_some_and(|number| (min..=max).contains(&number));
            (!good).then(|| format!("{name} must be a whole number from {min} to {max}"))
        }
        Kind::Number => {
            let good = value
                .as_f64()
                .is_some_and(|number| number >= 0.0 && number.is_finite());
            (!good).then(|| format!("{name} must be a number of at least 0"))
        }
        Kind::Text | Kind::Statement | Kind::Written(_) => match value.as_str() {
            Some(text) if text.len() <= most(parameter.kind) => match parameter.kind {
                Kind::Written(syntax) => syntax
                    .check(name, text)
                    .err()
                    .map(|error| error.to_string()),
                _ => None,
            },
            Some(_) => {
                let most = most(parameter.kind);
                Some(format!("{name} must have at most {most} bytes"))
            }
            None => Some(format!("{name} must be a string")),
        },
    }
}

/// Bytes of a text.
fn most(kind: Kind) -> usize {
    if kind == Kind::Statement {
        MAX_STATEMENT
    } else {
        MAX_TEXT
    }
}

fn unknown(parameters: &[Parameter], name: &str) -> String {
    let known: Vec<_> = parameters.iter().map(|parameter| parameter.name).collect();
    let nearest = known
        .iter()
        .min_by_key(|other| distance(name, other))
        .filter(|other| distance(name, other) <= 4);
    let hint = nearest.map_or_else(
        || ".".to_owned(),
        |nearest| format!("; did you mean {nearest}?"),
    );
    // The name is the caller's own, yet it may be anything: only words are said back.
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let said = if name.len() <= 40 && name.bytes().all(word) {
        name
    } else {
        "(unprintable)"
    };
    format!(
        "there is no argument {said}{hint} The arguments are {}",
        known.join(", ")
    )
}

/// Edit distance (Levenshtein), for suggestions.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(40).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(40).enumerate() {
        let mut before = i;
        let mut left = i + 1;
        for (y, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let above = *cell;
            let here = (before + usize::from(x != *y)).min(above + 1).min(left + 1);
            before = above;
            left = here;
            *cell = here;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{common::*, *};

    #[test]
    fn every_mistake_is_told() {
        let given = json!({ "sinc": "-1h", "until": "at noon", "limit": 0, "detail": "verbose", "max_tokens": "plenty" });
        let Value::Object(given) = given else {
            unreachable!()
        };
        let told =
            Arguments::check(&[SINCE, UNTIL, LIMIT, DETAIL, MAX_TOKENS, ID], given).unwrap_err();
        for part in [
            "did you mean since?",
            "until: give RFC 3339",
            "limit must be a whole number from 1 to 200",
            "one of concise, detailed",
            "max_tokens must be",
            "id is missing",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
    }

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("since", "since", 0),
            ("sinc", "since", 1),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
