//! The structured form of an answer.

use serde_json::{Map, Value, json};

use crate::Output;

/// The answer as the tool's output schema describes it.
pub fn structured(output: &Output) -> Value {
    let mut whole = Map::new();
    let mut untrusted = Vec::new();
    for (fact, value) in &output.facts {
        put(&mut whole, fact.path, value.clone());
        if fact.untrusted {
            untrusted.push(Value::from(fact.path));
        }
    }
    for table in &output.tables {
        let columns: Vec<_> = table.titles().map(Value::from).collect();
        let rows = Value::from(
            table
                .rows
                .clone()
                .into_iter()
                .map(Value::from)
                .collect::<Vec<_>>(),
        );
        untrusted.extend(
            table
                .columns
                .iter()
                .zip(table.titles())
                .filter(|(column, _)| column.untrusted)
                .map(|(_, title)| {
                    Value::from(if table.name.is_empty() {
                        title.to_owned()
                    } else {
                        format!("{}.{title}", table.name)
                    })
                }),
        );
        if table.name.is_empty() {
            whole.insert("columns".to_owned(), Value::from(columns));
            whole.insert("rows".to_owned(), rows);
        } else {
            put(
                &mut whole,
                table.name,
                json!({ "columns": columns, "rows": rows }),
            );
        }
    }
    if let Some(empty) = &output.empty {
        whole.insert("empty".to_owned(), Value::from(empty.as_str()));
    }
    if !output.notes.is_empty() {
        whole.insert("notes".to_owned(), Value::from(output.notes.clone()));
    }
    if let Some(cursor) = &output.next_cursor {
        whole.insert("next_cursor".to_owned(), Value::from(cursor.as_str()));
    }
    if !untrusted.is_empty() {
        whole.insert("untrusted".to_owned(), Value::from(untrusted));
    }
    whole.insert("coverage".to_owned(), output.frame.structured());
    Value::Object(whole)
}

/// Puts a value at a dotted path.
fn put(whole: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            whole.insert(path.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = whole
                .entry(first)
                .or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}
