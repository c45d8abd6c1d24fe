//! An entry in a JSON file that may hold comments, with all else left as it was written.
//!
//! What comes out is parsed again and must mean what went in with the entry in its place: keys that stand twice in one
//! object, for one, mean different things to different readers.

use jsonc_parser::{
    ParseOptions,
    cst::{CstObject, CstRootNode},
    parse_to_serde_value,
};
use serde_json::{Map, Value};

use super::entry::{Edit, Entry, Found};

/// JSON with comments and commas at the end, as editors write it, and nothing looser.
const SYNTAX: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_loose_object_property_names: false,
    allow_trailing_commas: true,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// Where a client keeps its servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holder {
    /// The key at the top.
    pub(super) key: &'static str,
    /// A key in it under which servers may be instead, where that is there.
    pub(super) inner: Option<&'static str>,
}

/// Puts the entry under the name, in the place of what is there.
///
/// # Errors
/// What in the text is not as the client wants it.
pub(super) fn edit(text: &str, holder: Holder, name: &str, entry: &Entry) -> Result<Edit, String> {
    let root = CstRootNode::parse(text, &SYNTAX).map_err(|error| error.to_string())?;
    let is_new = root.value().is_none();
    let object = if is_new {
        root.object_value_or_set()
    } else {
        root.object_value().ok_or("the file holds no object")?
    };
    let (keys, servers) = servers_in(&object, holder)?;
    let there = servers.get(name).and_then(|property| property.value());
    let found = Found::compare(
        there.and_then(|value| value.to_serde_value()).as_ref(),
        entry,
    );
    match servers.get(name) {
        Some(property) => property.set_value(entry.json()),
        None => {
            servers.append(name, entry.json());
        }
    }
    let mut edited = root.to_string();
    if is_new && !edited.ends_with('\n') {
        edited.push('\n');
    }
    if Some(meaning(&edited)?) != with_entry(meaning(text)?, &keys, name, entry) {
        return Err("a key stands in it twice".to_owned());
    }
    Ok(Edit {
        found,
        text: edited,
    })
}

/// A file with nothing but the entry.
pub(super) fn fragment(holder: Holder, name: &str, entry: &Entry) -> String {
    edit("", holder, name, entry).map_or_else(|_| String::new(), |edit| edit.text)
}

/// The object with the servers, made where it is missing, and the keys that lead to it.
fn servers_in(
    object: &CstObject,
    holder: Holder,
) -> Result<(Vec<&'static str>, CstObject), String> {
    let outer = object
        .object_value_or_create(holder.key)
        .ok_or_else(|| format!("{:?} in it is no object", holder.key))?;
    // A server of that name says of what type it is.
    let inner = holder.inner.and_then(|key| {
        let inner = outer.object_value(key)?;
        inner.get("type").is_none().then_some((key, inner))
    });
    Ok(match inner {
        Some((key, inner)) => (vec![holder.key, key], inner),
        None => (vec![holder.key], outer),
    })
}

fn meaning(text: &str) -> Result<Value, String> {
    parse_to_serde_value(text, &SYNTAX).map_err(|error| error.to_string())
}

/// `None` where what stands last under a key is no object.
fn with_entry(mut value: Value, keys: &[&str], name: &str, entry: &Entry) -> Option<Value> {
    let mut at = &mut value;
    for key in keys {
        at = object_of(at)?.entry(*key).or_insert(Value::Null);
    }
    object_of(at)?.insert(name.to_owned(), entry.value());
    Some(value)
}

fn object_of(value: &mut Value) -> Option<&mut Map<String, Value>> {
    if value.is_null() {
        *value = Map::new().into();
    }
    value.as_object_mut()
}
