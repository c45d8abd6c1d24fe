//! Packs against plain rows: what goes in comes out, wherever it is kept and however it is asked for.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test that meets what it did not expect must end"
)]

use headwater_pack::{Cell, EXCHANGES, Packer, Unpacker, register};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, params, params_from_iter};

/// Xorshift: the same rows in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn value(&mut self) -> Value {
        match self.below(8) {
            0 | 1 => Value::Null,
            2 => Value::Integer(self.below(4).cast_signed()),
            3 => Value::Integer([i64::MIN, i64::MAX, -1, 0][self.below(4) as usize]),
            4 => Value::Integer(self.0.cast_signed()),
            5 => Value::Text(["", "GET", "/a/ä", "x"][self.below(4) as usize].to_owned()),
            6 => Value::Blob(vec![0xff; self.below(300) as usize]),
            _ => Value::Text("long ".repeat(self.below(40) as usize)),
        }
    }

    fn row(&mut self, id: i64, start_ns: i64) -> Vec<Value> {
        let mut row: Vec<Value> = EXCHANGES.columns.iter().map(|_| self.value()).collect();
        (row[0], row[3]) = (Value::Integer(id), Value::Integer(start_ns));
        row
    }
}

fn pack(packer: &mut Packer, row: &[Value]) {
    for value in row {
        packer.put(ValueRef::from(value));
    }
    packer.end_row();
}

#[test]
fn rows_come_back() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut packer = Packer::new(&EXCHANGES);
    for round in 0..20 {
        let rows: Vec<_> = (0..50)
            .map(|id| random.row(id, 1_000 - id * round))
            .collect();
        for row in &rows {
            pack(&mut packer, row);
        }
        let made = packer.pack().unwrap();
        assert_eq!((made.ids, packer.size().0), ((0, 49), 50));
        assert_eq!(made.span_ns, (1_000 - 49 * round, 1_000));
        let mut unpacker = Unpacker::new(&EXCHANGES, made.data.to_vec());
        for row in &rows {
            assert!(unpacker.advance().unwrap());
            for (column, value) in row.iter().enumerate() {
                let found = match unpacker.cell(column) {
                    Cell::Null => Value::Null,
                    Cell::Integer(integer) => Value::Integer(integer),
                    Cell::Text(from, to) => {
                        Value::Text(String::from_utf8(unpacker.bytes(from, to).to_vec()).unwrap())
                    }
                    Cell::Blob(from, to) => Value::Blob(unpacker.bytes(from, to).to_vec()),
                };
                assert_eq!(&found, value);
            }
        }
        assert!(!unpacker.advance().unwrap());
        packer.clear();
        assert!(packer.pack().is_none());
    }
}

#[test]
fn equal_rows_cost_little() {
    let mut packer = Packer::new(&EXCHANGES);
    let mut row = Random(7).row(1, 0);
    for id in 1..=100 {
        (row[0], row[3]) = (Value::Integer(id), Value::Integer(id * 1_000_000));
        pack(&mut packer, &row);
    }
    let first = packer.size().1;
    for id in 101..=200 {
        (row[0], row[3]) = (Value::Integer(id), Value::Integer(id * 1_000_000));
        pack(&mut packer, &row);
    }
    // Two columns, a mark and a number each, behind one byte of changes.
    assert!(
        packer.size().1 - first <= 100 * 8,
        "{}",
        packer.size().1 - first
    );
}

#[test]
fn damage_is_told_and_never_a_panic() {
    let mut random = Random(3);
    let mut packer = Packer::new(&EXCHANGES);
    for id in 0..20 {
        pack(&mut packer, &random.row(id, id));
    }
    let whole = packer.pack().unwrap().data.to_vec();
    let read = |data: Vec<u8>| {
        let mut unpacker = Unpacker::new(&EXCHANGES, data);
        while let Ok(true) = unpacker.advance() {}
    };
    for cut in 0..whole.len() {
        read(whole[..cut].to_vec());
    }
    for _ in 0..5_000 {
        let mut damaged = whole.clone();
        let at = random.below(damaged.len() as u64) as usize;
        damaged[at] = random.below(256) as u8;
        read(damaged);
        read(
            (0..random.below(60))
                .map(|_| random.below(256) as u8)
                .collect(),
        );
    }
    assert!(Unpacker::new(&EXCHANGES, vec![1, 9]).advance().is_err());
    assert!(Unpacker::new(&EXCHANGES, vec![0xff; 12]).advance().is_err());
}

/// The same rows in a plain table `plain`, and spread over packs and `exchange_1`.
fn store() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    let tables = include_str!("../../../schema/migrations/segment.sql").replace("{N}", "1");
    connection.execute_batch(&tables).unwrap();
    let kinds: Vec<String> = connection
        .prepare("SELECT type FROM pragma_table_info('exchange_1') ORDER BY cid")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let columns: Vec<String> = EXCHANGES
        .columns
        .iter()
        .zip(&kinds)
        .map(|(name, kind)| format!("{name} {kind}"))
        .collect();
    connection
        .execute_batch(&format!("CREATE TABLE plain ({})", columns.join(", ")))
        .unwrap();
    register(&connection).unwrap();
    let mut random = Random(11);
    let mut packer = Packer::new(&EXCHANGES);
    let marks = vec!["?"; EXCHANGES.columns.len()].join(", ");
    for id in 1..=1_000_i64 {
        if id % 97 < 5 {
            continue;
        }
        let mut row = random.row(id, id / 10 * 100 + id % 7);
        // What the columns of a plain table would not take as it is.
        for (value, kind) in row.iter_mut().zip(&kinds) {
            *value = match (kind.as_str(), &value) {
                ("TEXT", Value::Text(_))
                | ("BLOB", Value::Blob(_))
                | ("INTEGER", Value::Integer(_)) => continue,
                ("TEXT", _) => Value::Text("other".to_owned()),
                ("BLOB", _) => Value::Null,
                _ => Value::Integer(1),
            };
        }
        let insert = |table: &str| {
            let sql = format!("INSERT INTO {table} VALUES ({marks})");
            connection.execute(&sql, params_from_iter(&row)).unwrap();
        };
        insert("plain");
        if random.below(4) == 0 {
            insert("exchange_1");
        } else {
            pack(&mut packer, &row);
            if packer.size().0 == 30 {
                flush(&connection, &mut packer);
            }
        }
    }
    flush(&connection, &mut packer);
    connection
}

fn flush(connection: &Connection, packer: &mut Packer) {
    if let Some(pack) = packer.pack() {
        connection
            .execute(
                "INSERT INTO exchange_pack_1 VALUES (?, ?, ?, ?, ?, ?)",
                params![
                    pack.ids.1,
                    pack.ids.0,
                    pack.span_ns.0,
                    pack.span_ns.1,
                    pack.rows.cast_signed(),
                    pack.data
                ],
            )
            .unwrap();
    }
    packer.clear();
}

#[test]
fn every_question_has_the_answer_of_plain_rows() {
    let connection = store();
    let answer = |sql: &str, table: &str| -> Vec<Vec<Value>> {
        let mut statement = connection.prepare(&sql.replace("TABLE", table)).unwrap();
        let count = statement.column_count();
        let rows = statement
            .query_map([], |row| (0..count).map(|at| row.get(at)).collect())
            .unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    for question in [
        "SELECT * FROM TABLE e ORDER BY id",
        "SELECT * FROM TABLE e ORDER BY id DESC",
        "SELECT COUNT(*), MIN(id), MAX(id), SUM(start_ns) FROM TABLE e",
        "SELECT * FROM TABLE e WHERE e.id = 500",
        "SELECT * FROM TABLE e WHERE e.id = 97",
        "SELECT * FROM TABLE e WHERE e.id = NULL",
        "SELECT e.id FROM TABLE e WHERE e.id BETWEEN 300 AND 420 AND e.start_ns BETWEEN 3100 AND 3900 ORDER BY e.start_ns DESC, e.id DESC LIMIT 7",
        "SELECT e.id FROM TABLE e WHERE e.id > 300 AND e.id < 303",
        "SELECT e.id FROM TABLE e WHERE e.id IN (SELECT value FROM json_each('[5, 900, 901, 98, 5000]')) ORDER BY 1",
        "SELECT e.id FROM TABLE e WHERE e.start_ns > 9000 AND e.url_path GLOB 'l*' ORDER BY 1",
        "SELECT e.id FROM TABLE e WHERE e.start_ns <= -1",
        "SELECT e.id FROM TABLE e WHERE e.id > 9223372036854775806",
        "SELECT e.id, f.id FROM TABLE e JOIN TABLE f ON f.id = e.id + 1 WHERE e.outcome = 1 ORDER BY 1",
        "SELECT e.id FROM TABLE e WHERE e.id BETWEEN 10 AND 5",
        "SELECT http_request_method, COUNT(*) FROM TABLE e GROUP BY 1 ORDER BY 1",
    ] {
        let (packed, plain) = (
            answer(question, "exchange_rows(1)"),
            answer(question, "plain"),
        );
        assert_eq!(packed.len(), plain.len(), "{question}");
        assert!(packed == plain, "{question}");
    }
}

#[test]
fn what_cannot_be_asked() {
    let connection = store();
    assert!(connection.prepare("SELECT * FROM exchange_rows").is_err());
    let mut statement = connection
        .prepare("SELECT COUNT(*) FROM exchange_rows(2)")
        .unwrap();
    let error = statement.query_row([], |row| row.get::<_, i64>(0));
    assert!(error.unwrap_err().to_string().contains("exchange_pack_2"));
    connection
        .execute("UPDATE exchange_pack_1 SET data = x'0109'", [])
        .unwrap();
    let mut statement = connection
        .prepare("SELECT COUNT(*) FROM exchange_rows(1)")
        .unwrap();
    let error = statement.query_row([], |row| row.get::<_, i64>(0));
    assert!(error.unwrap_err().to_string().contains("damaged"));
}

/// A connection with statements of the table's own closes all the same.
#[test]
fn closing_leaves_nothing() {
    let connection = store();
    let count: i64 = connection
        .query_row("SELECT COUNT(*) FROM exchange_rows(1)", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert!(count > 900);
    connection.close().unwrap();
}
