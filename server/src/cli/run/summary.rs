//! What the command caused, told on standard error and, if wanted, in a file.

use std::{
    fmt::Write as _,
    fs::{File, OpenOptions, Permissions},
    io::{ErrorKind, Write as _},
    os::unix::fs::{OpenOptionsExt, PermissionsExt, fchown},
    path::Path,
    time::Duration,
};

use headwater_mcp::plain;
use headwater_query::{
    ContainersQuery, ExchangeRow, QueryError, SearchOrder, SearchQuery, Store, TimeArgument,
    WindowArgument,
};
use headwater_redact::CommandLine;
use nix::unistd::{AccessFlags, access};
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{
        output::{counted, say, show},
        privilege::caller,
    },
    clock::{boot_ns, now_ns},
};

/// How long a recorder may take to commit what it saw.
const PATIENCE: Duration = Duration::from_secs(3);
/// What a recorder may still have under way when the command ends.
const UNDER_WAY_NS: u64 = 500_000_000;
/// Rows asked for at a time, and told on the terminal.
const PAGE: u32 = 200;
const SHOWN: usize = 20;
/// Rows written to the file at most.
const MAX_ROWS: usize = 100_000;
/// Containers named at most.
const NAMED: usize = 5;
/// Mode of the file.
const PRIVATE: u32 = 0o600;
/// Programs whose daemons start processes for them.
const ENGINES: [&str; 7] = [
    "docker",
    "podman",
    "nerdctl",
    "kubectl",
    "systemd-run",
    "crictl",
    "ctr",
];

/// The command and its run.
pub(super) struct About {
    pub(super) begun_ns: u64,
    /// On the boot clock.
    pub(super) begun_boot_ns: u64,
    pub(super) ended_ns: u64,
    /// As given: looked at, never told.
    pub(super) command: Vec<String>,
    /// As it may be told.
    pub(super) command_line: Option<CommandLine>,
    pub(super) exit_code: u8,
    /// Name of its own cgroup.
    pub(super) cgroup: Option<String>,
}

/// Waits for the last commit and tells.
pub(super) async fn tell(store: &Path, about: &About, json: Option<&Path>) {
    let store = Store::new(store);
    let cancel = CancellationToken::new();
    wait_for_commit(&store, about.ended_ns + UNDER_WAY_NS, &cancel).await;
    let found = match found(&store, about, &cancel).await {
        Ok(found) => found,
        Err(error) => return say(&format!("what the command caused cannot be told: {error}")),
    };
    show(&in_words(about, &found));
    if let Some(path) = json
        && let Err(error) = write_privately(path, &in_json(about, &found))
    {
        say(&format!("--json {}: {error}", path.display()));
    }
}

/// Whether the file can be written, or made, as far as can be told without touching it: a pipe is opened once, when there is
/// something to say.
pub(super) fn may_write(path: &Path) -> std::io::Result<()> {
    let folder = || match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => return Err(ErrorKind::IsADirectory.into()),
        Ok(_) => access(path, AccessFlags::W_OK)?,
        Err(_) => access(folder(), AccessFlags::W_OK | AccessFlags::X_OK)?,
    }
    Ok(())
}

/// Writes for the user alone: paths and command lines are nobody else's business. Under sudo a file that is made here
/// belongs to the caller. What stands there already keeps its owner, and a pipe or a terminal its mode too.
fn write_privately(path: &Path, text: &str) -> std::io::Result<()> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(PRIVATE)
        .open(path);
    let mut file = match made {
        Ok(file) => {
            if let Some(caller) = caller() {
                fchown(&file, Some(caller.uid), Some(caller.gid))?;
            }
            file
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => File::create(path)?,
        Err(error) => return Err(error),
    };
    if file.metadata()?.is_file() {
        file.set_permissions(Permissions::from_mode(PRIVATE))?;
    }
    file.write_all(text.as_bytes())
}

async fn wait_for_commit(store: &Store, until_ns: u64, cancel: &CancellationToken) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let Ok(status) = store.status(cancel).await else {
            return;
        };
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        if status.as_of_ns >= until_ns
            || status.recorder != headwater_query::Recorder::Running
            || left.is_zero()
        {
            return;
        }
        if store.changed(status.as_of_ns, left, cancel).await.is_err() {
            return;
        }
    }
}

/// What the store knows of the run.
struct Found {
    /// The command's exchanges, oldest first.
    rows: Vec<ExchangeRow>,
    /// What could not be seen meanwhile.
    coverage: Vec<String>,
    /// Containers that came up meanwhile, and are not the command's. Untrusted.
    containers: Vec<String>,
}

async fn found(
    store: &Store,
    about: &About,
    cancel: &CancellationToken,
) -> Result<Found, QueryError> {
    let process_tree = Some(std::process::id());
    let containers = ContainersQuery {
        since_boot_ns: about.begun_boot_ns,
        until_boot_ns: boot_ns(),
        process_tree,
        cgroup: about.cgroup.clone(),
    };
    let containers = store.containers(&containers, cancel).await?;
    let at = |ns: u64| Some(TimeArgument(headwater_query::rfc3339(ns)));
    let mut query = SearchQuery {
        // A connection that was there before may carry a request that began before: nothing older than the command counts.
        window: WindowArgument {
            // The command may have set the clock back.
            since: at(about.begun_ns.min(about.ended_ns)),
            until: at(now_ns().max(about.ended_ns)),
        },
        process_tree,
        cgroup: about.cgroup.clone(),
        order: SearchOrder::Newest,
        limit: PAGE,
        ..SearchQuery::default()
    };
    let mut rows = Vec::new();
    loop {
        let answer = store.search(&query, cancel).await?;
        rows.extend(answer.value);
        query.cursor = answer.next_cursor;
        if query.cursor.is_none() || rows.len() >= MAX_ROWS {
            let coverage = answer
                .coverage
                .into_iter()
                .map(|item| format!("{}: {} ({})", item.kind, item.explanation, item.count))
                .collect();
            rows.reverse();
            return Ok(Found {
                rows,
                coverage,
                containers,
            });
        }
    }
}

fn failed(row: &ExchangeRow) -> bool {
    row.status_code.is_some_and(|status| status >= 400)
        || !matches!(
            row.outcome,
            "complete" | "open" | "truncated" | "request_not_seen"
        )
}

fn in_words(about: &About, found: &Found) -> String {
    let rows = &found.rows;
    let failures = rows.iter().filter(|row| failed(row)).count();
    let mut text = format!(
        "\nheadwater: {}, {failures} failed, in {:.3} s\n",
        counted(rows.len() as u64, "exchange"),
        seconds(about.ended_ns.saturating_sub(about.begun_ns))
    );
    // Failures are what is looked for: they come first when not all can be shown.
    let mut shown: Vec<_> = rows.iter().filter(|row| failed(row)).take(SHOWN).collect();
    let room = SHOWN - shown.len();
    shown.extend(rows.iter().filter(|row| !failed(row)).take(room));
    shown.sort_by_key(|row| row.start_ns);
    for row in &shown {
        let status = row
            .status_code
            .map_or_else(|| row.outcome.to_owned(), |status| status.to_string());
        let latency = row
            .latency_ns
            .map_or_else(String::new, |ns| format!("{:.1} ms", seconds(ns) * 1000.0));
        let (method, path) = (
            row.method.as_deref().unwrap_or("-"),
            row.path.as_deref().unwrap_or("-"),
        );
        let _ = writeln!(
            text,
            "  {}  {} -> {}  {} {}  {status}  {latency}",
            row.id,
            plain(&row.client),
            plain(&row.server),
            plain(method),
            plain(path)
        );
    }
    if rows.len() > shown.len() {
        let _ = writeln!(
            text,
            "  … and {} more: headwater search-exchanges --since {}",
            rows.len() - shown.len(),
            headwater_query::rfc3339(about.begun_ns)
        );
    }
    for line in &found.coverage {
        let _ = writeln!(text, "  not seen: {line}");
    }
    for line in not_owned(about, &found.containers) {
        let _ = writeln!(text, "  not counted: {line}");
    }
    text
}

/// What cannot be owned, in words.
fn not_owned(about: &About, containers: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    let words = || {
        about
            .command
            .iter()
            .flat_map(|word| word.split_whitespace())
            .map(|word| word.rsplit('/').next().unwrap_or(word))
    };
    if let Some(engine) = ENGINES
        .iter()
        .find(|engine| words().any(|word| word == **engine))
    {
        lines.push(format!("processes that {engine}'s daemon started for the command: they are the daemon's children. Ask by service instead"));
    }
    if !containers.is_empty() {
        let named: Vec<_> = containers
            .iter()
            .take(NAMED)
            .map(|name| plain(name))
            .collect();
        let more = containers.len() - named.len();
        let more = (more > 0).then(|| format!(" and {more} more"));
        lines.push(format!(
            "containers that came up meanwhile, if the command had an engine start them: they are its daemon's children. Ask by service instead: {}{}",
            named.join(", "),
            more.unwrap_or_default()
        ));
    }
    if about.cgroup.is_none() {
        lines.push("descendants of the command beyond the sixth generation: no cgroup could be made for it (root can)".to_owned());
    }
    lines
}

fn in_json(about: &About, found: &Found) -> String {
    let rows: Vec<_> = found
        .rows
        .iter()
        .map(|row| {
            serde_json::json!({
                "id": row.id, "start": headwater_query::rfc3339(row.start_ns), "client": row.client, "server": row.server,
                "http_request_method": row.method, "url_path": row.path, "http_response_status_code": row.status_code,
                "outcome": row.outcome, "latency_ns": row.latency_ns, "http_response_body_size": row.response_body_bytes,
                "gaps": row.gaps, "failed": failed(row),
            })
        })
        .collect();
    let value = serde_json::json!({
        "command_line": about.command_line.as_ref().map(CommandLine::as_str), "exit_code": about.exit_code,
        "begun": headwater_query::rfc3339(about.begun_ns), "ended": headwater_query::rfc3339(about.ended_ns),
        "untrusted": ["command_line", "exchanges.client", "exchanges.server", "exchanges.http_request_method", "exchanges.url_path", "not_counted"],
        "exchanges": rows, "coverage": found.coverage, "not_counted": not_owned(about, &found.containers),
    });
    format!("{value:#}\n")
}

#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_the_users_alone() {
        let folder = std::env::temp_dir().join(format!("headwater-json-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (new, old) = (folder.join("new"), folder.join("old"));
        std::fs::write(&old, "longer than what comes").unwrap();
        std::fs::set_permissions(&old, Permissions::from_mode(0o644)).unwrap();
        for path in [new, old] {
            write_privately(&path, "{}").unwrap();
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, PRIVATE, "{}", path.display());
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}");
        }
        write_privately(Path::new("/dev/null"), "{}").unwrap();
        for (path, good) in [
            (folder.join("new"), true),
            (folder.join("newer"), true),
            ("newest".into(), true),
            ("/dev/null".into(), true),
            (folder.clone(), false),
            (folder.join("new/below"), false),
            (folder.join("no/such"), false),
        ] {
            assert_eq!(may_write(&path).is_ok(), good, "{}", path.display());
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
