//! What a client is told of a server, before it is put into that client's words and syntax.
//!
//! Owns: the two ways to be reached, and an entry as ordered fields. Knows no client and no file format.

use jsonc_parser::cst::CstInputValue;
use serde_json::{Map, Value};

/// How a client reaches the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Server {
    /// It asks a server that runs already.
    Http {
        /// The endpoint's address.
        url: String,
        /// The environment variable of the client's that holds the bearer token.
        token_variable: Option<String>,
    },
    /// It starts one of its own.
    Stdio {
        /// Absolute path of the program.
        program: String,
        /// What it is called with.
        arguments: Vec<String>,
    },
}

impl Server {
    /// All words that are written as they are.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        let (first, rest) = match self {
            Self::Http { url, .. } => (url, &[][..]),
            Self::Stdio { program, arguments } => (program, &arguments[..]),
        };
        std::iter::once(first).chain(rest).map(String::as_str)
    }
}

/// A value of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    Text(String),
    List(Vec<String>),
    Pairs(Vec<(&'static str, String)>),
}

/// An entry of a client's configuration; the order is the one in which people write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry(pub(super) Vec<(&'static str, Field)>);

impl Entry {
    /// To be compared with what is there.
    pub(super) fn value(&self) -> Value {
        let fields = self.0.iter().map(|(name, field)| {
            let value = match field {
                Field::Text(text) => text.clone().into(),
                Field::List(list) => list.clone().into(),
                Field::Pairs(pairs) => pairs
                    .iter()
                    .map(|(name, text)| ((*name).to_owned(), Value::from(text.clone())))
                    .collect::<Map<_, _>>()
                    .into(),
            };
            ((*name).to_owned(), value)
        });
        Value::Object(fields.collect())
    }
    /// To be put into JSON.
    pub(super) fn json(&self) -> CstInputValue {
        let text = |text: &String| CstInputValue::String(text.clone());
        let fields = self.0.iter().map(|(name, field)| {
            let value = match field {
                Field::Text(value) => text(value),
                Field::List(list) => CstInputValue::Array(list.iter().map(text).collect()),
                Field::Pairs(pairs) => CstInputValue::Object(
                    pairs
                        .iter()
                        .map(|(name, value)| ((*name).to_owned(), text(value)))
                        .collect(),
                ),
            };
            ((*name).to_owned(), value)
        });
        CstInputValue::Object(fields.collect())
    }
}

/// What is under a name already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// The same.
    Same,
    /// Something else: what, without its secrets.
    Other(String),
}

impl Found {
    /// Sets what is there beside what is wanted. Empty lists and objects say nothing, so they make no difference.
    pub(super) fn compare(there: Option<&Value>, wanted: &Entry) -> Self {
        match there {
            None => Self::Nothing,
            Some(there) if without_empty(there) == without_empty(&wanted.value()) => Self::Same,
            Some(there) => Self::Other(without_secrets(there)),
        }
    }
}

/// What a file holds under the name, and how it would read with the entry in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) found: Found,
    pub(super) text: String,
}

fn without_empty(value: &Value) -> Value {
    let is_empty = |value: &Value| match value {
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(_, value)| !is_empty(value))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect::<Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

/// The program or the server, and of all else the names: values are often keys, wherever they stand.
fn without_secrets(value: &Value) -> String {
    let Value::Object(fields) = value else {
        return "what is no object".to_owned();
    };
    let told: Vec<String> = fields
        .iter()
        .map(|(name, value)| {
            let value = match (name.as_str(), value) {
                ("command", Value::String(program)) => format!(" {program}"),
                ("command", Value::Array(words)) => {
                    let program = words.first().and_then(Value::as_str).unwrap_or_default();
                    format!(" {program} …")
                }
                ("url" | "httpUrl", Value::String(url)) => format!(" {}", place_of(url)),
                ("type", Value::String(kind)) => format!(" {kind}"),
                (_, Value::Object(inner)) => {
                    let names: Vec<&str> = inner.keys().map(String::as_str).collect();
                    format!(" {{{}}}", names.join(" "))
                }
                _ => String::new(),
            };
            let short: String = format!("{name}{value}").chars().take(MOST_SHOWN).collect();
            headwater_mcp::plain(&short)
        })
        .collect();
    told.join(", ")
}

/// Scheme, host and port of an address: users and queries may be keys.
fn place_of(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}")
}

/// Characters of a name with its value.
const MOST_SHOWN: usize = 120;
