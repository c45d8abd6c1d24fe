//! An entry in a TOML file, with all else left as it was written.

use serde_json::{Map, Value};
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, TomlError};

use super::entry::{Edit, Entry, Field, Found};

/// Puts the entry under the name into the table `key`, in the place of what is there.
///
/// # Errors
/// What in the text is not as the client wants it.
pub(super) fn edit(text: &str, key: &str, name: &str, entry: &Entry) -> Result<Edit, String> {
    // The library writes every line's end as one character.
    let has_returns = text.contains("\r\n");
    let plain = text.replace("\r\n", "\n");
    let mut document = plain
        .parse::<DocumentMut>()
        .map_err(|error| wrong(&plain, &error))?;
    let kept = document.to_string();
    let is_mixed = has_returns && text.matches('\n').count() != text.matches("\r\n").count();
    if is_mixed || kept.trim_end_matches('\n') != plain.trim_end_matches('\n') {
        return Err("its ends of lines are of several kinds, and could not all be kept".to_owned());
    }
    let servers = document.entry(key).or_insert_with(|| {
        // A header of its own would say nothing.
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    let is_inline = servers.is_inline_table();
    let servers = servers
        .as_table_like_mut()
        .ok_or_else(|| format!("{key:?} in it is no table"))?;
    let found = Found::compare(servers.get(name).map(value).as_ref(), entry);
    put(servers, name, entry, is_inline);
    let mut edited = document.to_string();
    if has_returns {
        edited = edited.replace('\n', "\r\n");
    }
    Ok(Edit {
        found,
        text: edited,
    })
}

/// What is wrong and where, without the line itself, which may hold a key, or what is no text for a terminal.
fn wrong(text: &str, error: &TomlError) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map_or(1, |before| before.matches('\n').count() + 1);
    let message: String = error.message().lines().take(1).collect();
    format!("line {line}: {}", headwater_mcp::plain(&message))
}

/// A file with nothing but the entry.
pub(super) fn fragment(key: &str, name: &str, entry: &Entry) -> String {
    edit("", key, name, entry).map_or_else(|_| String::new(), |edit| edit.text)
}

fn put(servers: &mut dyn TableLike, name: &str, entry: &Entry, is_inline: bool) {
    if is_inline {
        let mut table = InlineTable::new();
        table.extend(entry.0.iter().map(|(name, field)| (*name, of(field))));
        servers.insert(name, toml_edit::value(table));
        return;
    }
    let mut table = Table::new();
    for (name, field) in &entry.0 {
        table.insert(name, Item::Value(of(field)));
    }
    // What stands before its header, comments too, and its place among the others stay.
    if let Some(there) = servers.get(name).and_then(Item::as_table) {
        *table.decor_mut() = there.decor().clone();
        table.set_position(there.position());
    }
    servers.insert(name, Item::Table(table));
}

fn of(field: &Field) -> toml_edit::Value {
    match field {
        Field::Text(text) => text.as_str().into(),
        Field::List(list) => list.iter().map(String::as_str).collect::<Array>().into(),
        Field::Pairs(pairs) => pairs
            .iter()
            .map(|(name, text)| (*name, text.as_str()))
            .collect::<InlineTable>()
            .into(),
    }
}

/// To be compared and shown: what JSON has no word for is told as it is written.
fn value(item: &Item) -> Value {
    if let Some(table) = item.as_table_like() {
        let fields = table
            .iter()
            .map(|(name, item)| (name.to_owned(), value(item)));
        return Value::Object(fields.collect::<Map<_, _>>());
    }
    if let Some(tables) = item.as_array_of_tables() {
        let tables = tables
            .iter()
            .map(|table| value(&Item::Table(table.clone())));
        return tables.collect();
    }
    match item.as_value() {
        Some(toml_edit::Value::String(text)) => text.value().clone().into(),
        Some(toml_edit::Value::Boolean(is_so)) => (*is_so.value()).into(),
        Some(toml_edit::Value::Integer(number)) => (*number.value()).into(),
        Some(toml_edit::Value::Array(list)) => list
            .iter()
            .map(|inner| value(&Item::Value(inner.clone())))
            .collect(),
        _ => item.to_string().trim().into(),
    }
}
