//! What stands at the store's path and is no store: refused before anything is done to it or beside it.
//!
//! Owns: looking without touching. Invariant: mode, group and content of what is not Headwater's stay as they are.

use std::fmt::Write;
use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::OpenError;

/// Refuses a folder, a device, a file that is no database, and a database of somebody else's. What cannot be looked into
/// is left to who opens it for writing, whose words are better.
pub(crate) fn refuse(path: &Path) -> Result<(), OpenError> {
    let is_foreign = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => is_foreign_file(path),
        Ok(_) => true,
        Err(_) => false,
    };
    if is_foreign {
        return Err(OpenError::NotAStore {
            path: path.to_owned(),
        });
    }
    Ok(())
}

fn is_foreign_file(path: &Path) -> bool {
    match tables(path) {
        // Its tables may still be in the log alone: then it has none here, and is looked at again when it is opened.
        Ok(tables) => !tables.is_empty() && !tables.iter().any(|name| name == "_sqlx_migrations"),
        Err(error) => error.sqlite_error_code() == Some(ErrorCode::NotADatabase),
    }
}

/// Read as a file that nobody changes: so no lock is taken, and no log is made beside it.
fn tables(path: &Path) -> rusqlite::Result<Vec<String>> {
    let connection = Connection::open_with_flags(
        uri(path),
        OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI,
    )?;
    let mut statement =
        connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// The path as SQLite's URI filenames have it (<https://sqlite.org/uri.html>).
fn uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match char::from(*byte) {
            plain if plain.is_ascii_alphanumeric() || "/-._~".contains(plain) => uri.push(plain),
            _ => {
                // A text takes whatever is written to it.
                let _ = write!(uri, "%{byte:02x}");
            }
        }
    }
    uri.push_str("?immutable=1");
    uri
}
