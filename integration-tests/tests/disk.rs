//! A full disk: nothing committed is lost, what is lost is told, and recording goes on when there is room again.

#![allow(clippy::expect_used, reason = "tests")]

use std::{fs::File, io::Write as _, path::Path, process::Command};

use headwater_integration_tests::{Nginx, Store, column, python, run, said, until};

/// A file system of its own over a folder; it goes with its test.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(folder: &'a Path, size: &str) -> Self {
        std::fs::create_dir_all(folder).expect("a folder");
        let options = format!("size={size},mode=755");
        said(
            Command::new("mount")
                .args(["-t", "tmpfs", "-o", &options, "none"])
                .arg(folder),
        );
        Self(folder)
    }
    /// Takes all room but about so many bytes.
    fn fill(&self, leave: usize) {
        let mut filler = File::create(self.0.join("filler")).expect("a file");
        let piece = [0; 4096];
        while filler.write_all(&piece).is_ok() {}
        let length = filler.metadata().expect("the filler").len();
        let leave = u64::try_from(leave).expect("a size");
        filler
            .set_len(length.saturating_sub(leave))
            .expect("a shorter file");
    }
    fn make_room(&self) {
        std::fs::remove_file(self.0.join("filler")).expect("the filler");
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = run(Command::new("umount").arg("--lazy").arg(self.0));
    }
}

/// What SQLite itself says of the file, in a process that is none of ours.
fn integrity(store: &Store) -> String {
    let script = "import sqlite3, sys
print(sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True).execute('PRAGMA integrity_check').fetchall())";
    said(
        Command::new(python())
            .args(["-c", script])
            .arg(store.path()),
    )
}

/// curl with keep-alive for `count` requests.
fn load(nginx: &Nginx, word: &str, count: u32) {
    let url = format!("{}/{word}/[1-{count}]", nginx.url());
    said(Command::new("curl").args(["-s", "-o", "/dev/null", &url]));
}

/// Rows of a path, by their id, and their outcomes.
fn rows(store: &Store, path: &str) -> Vec<(String, String)> {
    let rows = store.rows(&["search-exchanges", "--path", path]);
    let mut rows: Vec<_> = rows
        .iter()
        .map(|row| (column(row, "id"), column(row, "outcome")))
        .collect();
    rows.sort();
    rows
}

/// How many rows an answer says were not written.
fn not_written(store: &Store) -> u64 {
    let answer = store.ask(&["search-exchanges", "--path", "=/never"]);
    let items = answer["coverage"]["not_seen"].as_array().cloned();
    items
        .unwrap_or_default()
        .iter()
        .filter(|item| item["kind"] == "write_failed")
        .filter_map(|item| item["count"].as_u64())
        .sum()
}

#[test]
fn a_full_disk_loses_nothing_committed_and_recording_goes_on() {
    const REQUESTS: u32 = 3_000;
    let store = Store::new();
    let folder = store.path().parent().expect("a folder").to_owned();
    let disk = SmallDisk::mount(&folder, "24m");
    let nginx = Nginx::start("location / { return 200 fine; }");
    let recorder = store.record(&[]);
    load(&nginx, "before", 200);
    store.await_rows(
        &[
            "search-exchanges",
            "--path",
            "/before/",
            "--outcome",
            "complete",
        ],
        200,
    );
    let before = rows(&store, "/before/");

    disk.fill(64 << 10);
    let mut asked = 0;
    until("a batch that found no room", || {
        asked += REQUESTS;
        load(&nginx, "during", REQUESTS);
        let said = recorder.said();
        if said.contains("a batch could not be written") {
            Ok(())
        } else {
            Err(said)
        }
    });
    // Full, and still asked.
    assert_eq!(rows(&store, "/before/"), before);
    assert_eq!(integrity(&store), "[('ok',)]\n");

    disk.make_room();
    load(&nginx, "after", 200);
    store.await_rows(
        &[
            "search-exchanges",
            "--path",
            "/after/",
            "--outcome",
            "complete",
        ],
        200,
    );
    assert_eq!(rows(&store, "/before/"), before);
    let (lost, during) = (not_written(&store), rows(&store, "/during/").len());
    // Connections that found no room are counted with them.
    let asked = usize::try_from(asked).expect("a count");
    let told = during + usize::try_from(lost).expect("a count");
    assert!(
        lost > 0 && told >= asked,
        "{asked} asked, {during} stored, {lost} lost"
    );
    let (status, told) = recorder.end("INT");
    assert!(status.success() && told.contains(" 0 lost"), "{told}");
    assert_eq!(integrity(&store), "[('ok',)]\n");
    assert_eq!(rows(&store, "/before/"), before);
    println!("{asked} asked while the disk was full: {during} stored, {lost} told as not written");
}
