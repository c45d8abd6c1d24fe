//! Opening: what is no store, who may read, and what happens around it meanwhile.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use headwater_query::{Emptiness, QueryError, Recorder, Store, StoreState};
use rusqlite::Connection;

use crate::fixture::{Fixture, MIGRATION, Row, migrated};
use crate::{never, paths, search_all};

async fn check(path: &Path, state: StoreState, cure: &str) {
    let store = Store::new(path);
    let answer = store.status(&never()).await.unwrap();
    assert_eq!(answer.value.state, state, "{}", path.display());
    let told = answer.value.cure.unwrap();
    assert!(told.contains(cure), "{told}");
    assert_eq!(answer.recorder, Recorder::Never);
    assert!(matches!(answer.emptiness, Some(Emptiness::NotSeen { .. })));
    let error = store.search(&search_all(), &never()).await.unwrap_err();
    assert!(matches!(error, QueryError::Store { .. }), "{error}");
    assert!(error.to_string().contains(cure), "{error}");
}

#[tokio::test]
async fn what_is_no_readable_store_says_so_with_a_cure() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    check(
        &file("absent.db"),
        StoreState::Missing,
        "sudo headwater record",
    )
    .await;
    check(&file("absent/absent.db"), StoreState::Missing, "--db").await;
    std::fs::write(file("empty.db"), "").unwrap();
    check(
        &file("empty.db"),
        StoreState::Missing,
        "sudo headwater record",
    )
    .await;
    std::fs::write(
        file("text.db"),
        "not a database, but long enough to be looked at ".repeat(40),
    )
    .unwrap();
    check(&file("text.db"), StoreState::Damaged, "--db").await;
    check(folder.path(), StoreState::Damaged, "--db").await;
    Connection::open(file("other.db"))
        .unwrap()
        .execute_batch("CREATE TABLE somebodys (a)")
        .unwrap();
    check(&file("other.db"), StoreState::Damaged, "--db").await;

    let newer = Connection::open(file("newer.db")).unwrap();
    newer.execute_batch(MIGRATION).unwrap();
    migrated(&newer, 4);
    migrated(&newer, 9_999);
    check(&file("newer.db"), StoreState::Newer, "restart this program").await;
}

#[tokio::test]
async fn a_store_that_appears_and_is_replaced_is_picked_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd name?immutable=0&#%20.db");
    let store = Store::new(&path);
    assert_eq!(
        store.status(&never()).await.unwrap().value.state,
        StoreState::Missing
    );
    for name in ["/first", "/second"] {
        let mut fixture = Fixture::new();
        fixture.commit(&[Row {
            start_ns: fixture.now_ns,
            path: name,
            ..Row::default()
        }]);
        let (_folder, stopped) = fixture.stop();
        std::fs::rename(stopped, &path).unwrap();
        assert_eq!(
            store.status(&never()).await.unwrap().value.state,
            StoreState::Readable
        );
        assert_eq!(paths(&store, &search_all()).await, [name]);
    }
}

#[tokio::test]
async fn reading_goes_on_over_clean_stops_and_starts() {
    let mut fixture = Fixture::new();
    fixture.commit(&[Row {
        start_ns: fixture.now_ns,
        path: "/1",
        ..Row::default()
    }]);
    let (folder, path) = fixture.stop();
    let store = Store::new(&path);
    assert_eq!(paths(&store, &search_all()).await, ["/1"]);
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        2,
        "nothing was written beside store and key"
    );

    // A recorder starts and commits: the still file must not be believed any longer.
    let writer = Connection::open(&path).unwrap();
    writer
        .execute_batch("UPDATE exchange_1 SET url_path = '/2'")
        .unwrap();
    assert_eq!(paths(&store, &search_all()).await, ["/2"]);
    // A clean stop while a reader is there.
    writer.close().unwrap();
    assert_eq!(paths(&store, &search_all()).await, ["/2"]);
    assert_eq!(paths(&Store::new(&path), &search_all()).await, ["/2"]);
}

/// The files as a kill leaves them: a log that was never folded in, without its writer.
fn killed(fixture: &Fixture, to: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let from = format!("{}{suffix}", fixture.path.display());
        std::fs::copy(from, format!("{}{suffix}", to.display())).unwrap();
    }
}

#[tokio::test]
async fn reading_after_a_kill() {
    let mut fixture = Fixture::new();
    fixture.commit(&[Row {
        start_ns: fixture.now_ns,
        path: "/1",
        ..Row::default()
    }]);
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("headwater.db");
    killed(&fixture, &copy);
    assert_eq!(paths(&Store::new(&copy), &search_all()).await, ["/1"]);
}

/// Readers of another user: the same answers with read permission only, and a plain word without it. Switching users
/// takes a process of its own, so the test runs itself again as that user.
#[tokio::test]
async fn another_user_reads_without_write_access() {
    if let Ok(paths_given) = std::env::var(CHILD) {
        return as_the_other_user(&paths_given).await;
    }
    let mut fixture = Fixture::new();
    fixture.commit(&[Row {
        start_ns: fixture.now_ns,
        path: "/1",
        ..Row::default()
    }]);
    let folder = tempfile::tempdir().unwrap();
    let dead = folder.path().join("headwater.db");
    killed(&fixture, &dead);
    let mut rested = Fixture::new();
    rested.commit(&[Row {
        start_ns: rested.now_ns,
        path: "/1",
        ..Row::default()
    }]);
    let (rest_folder, rest) = rested.stop();
    let shut = tempfile::tempdir().unwrap();
    killed(&fixture, &shut.path().join("headwater.db"));
    for folder in [
        folder.path(),
        rest_folder.path(),
        fixture.folder.path(),
        shut.path(),
    ] {
        let readable = folder != shut.path();
        for entry in std::fs::read_dir(folder).unwrap() {
            let mode = if readable { 0o444 } else { 0o400 };
            std::fs::set_permissions(entry.unwrap().path(), PermissionsExt::from_mode(mode))
                .unwrap();
        }
        std::fs::set_permissions(folder, PermissionsExt::from_mode(0o555)).unwrap();
    }
    let stores = [
        &fixture.path,
        &dead,
        &rest,
        &shut.path().join("headwater.db"),
    ]
    .map(|path| path.display().to_string());
    run_as_the_other_user(&stores.join(":"));
}

fn run_as_the_other_user(stores: &str) {
    use std::os::unix::process::CommandExt;
    let binary = std::env::current_exe().unwrap();
    // The build folder may be closed to others.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("reader");
    std::fs::copy(binary, &copy).unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = std::process::Command::new(&copy);
    command
        .args([
            "--exact",
            "opening::another_user_reads_without_write_access",
        ])
        .env(CHILD, stores);
    // Without privileges the test's own user is bound by the modes already.
    if chown(folder.path(), Some(NOBODY), Some(NOBODY)).is_ok() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

async fn as_the_other_user(stores: &str) {
    let stores: Vec<&Path> = stores.split(':').map(Path::new).collect();
    let [live, dead, rest, shut] = stores.as_slice() else {
        panic!("{stores:?}")
    };
    for path in [live, dead, rest] {
        assert!(
            std::fs::OpenOptions::new().append(true).open(path).is_err(),
            "{} can be written",
            path.display()
        );
        let store = Store::new(path);
        assert_eq!(
            paths(&store, &search_all()).await,
            ["/1"],
            "{}",
            path.display()
        );
        assert_eq!(
            store.status(&never()).await.unwrap().value.state,
            StoreState::Readable
        );
    }
    if std::fs::File::open(shut).is_err() {
        check(shut, StoreState::NotReadable, "group").await;
    }
}

const CHILD: &str = "HEADWATER_QUERY_TEST_STORES";
const NOBODY: u32 = 65_534;
