//! The schema's own files, and the trace of their migration.

use rusqlite::Connection;

pub(crate) const MIGRATION: &str = concat!(
    include_str!("../../../../schema/migrations/0001_store.sql"),
    include_str!("../../../../schema/migrations/0002_identifier_run.sql"),
    include_str!("../../../../schema/migrations/0003_connection_tls.sql"),
    include_str!("../../../../schema/migrations/0004_connection_proxied.sql")
);
pub(crate) const SEGMENT: &str = include_str!("../../../../schema/migrations/segment.sql");

/// What sqlx leaves behind after a migration.
pub(crate) fn migrated(writer: &Connection, version: i64) {
    writer
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, \
             installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL, checksum BLOB NOT NULL, \
             execution_time BIGINT NOT NULL)",
        )
        .unwrap();
    let sql = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
               VALUES (?, 'store', 1, x'00', 1)";
    writer.execute(sql, [version]).unwrap();
}
