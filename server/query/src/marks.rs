//! Marks: moments that a caller named, in a file of their own beside the store.
//!
//! Owns: the file's form, a line of `milliseconds since the epoch`, a space and the name for each mark, and the only
//! writing that readers do. Whoever may write the file may write anything, so that lines of another form are left out; the
//! recorder makes the file and never reads it. Of a name that was given twice the later mark counts.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rustix::fs::OFlags;

use crate::coverage::{About, Framed};
use crate::open::beside;
use crate::recorder::{Runs, everything};
use crate::snapshot::Snapshot;
use crate::{Answer, QueryError, TimeArgument, segments};

/// A moment with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Of `[A-Za-z0-9._-]{1,64}`, not beginning with `-`. Untrusted: whoever may write the file chose it.
    pub name: String,
    /// Nanoseconds since the epoch, in whole milliseconds.
    pub at_ns: u64,
}

/// Whether a text may be the name of a mark: none that could be a time.
pub(crate) fn is_name(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=LONGEST_NAME).contains(&text.len())
        && text.bytes().all(is_letter)
        && !text.starts_with('-')
        && text != "now"
}

/// All marks, in the order of their times.
pub(crate) fn all(store: &Path) -> Result<Vec<Mark>, QueryError> {
    match OpenOptions::new()
        .read(true)
        .custom_flags(FLAGS.bits().cast_signed())
        .open(beside(store, SUFFIX))
    {
        Ok(mut file) => read(&mut file).map_err(|error| failed("read", &error)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed("read", &error)),
    }
}

/// Answers the question: the latest first, over all that is recorded.
pub(crate) fn answer(
    snapshot: &mut Snapshot,
    store: &Path,
) -> Result<Answer<Vec<Mark>>, QueryError> {
    let runs = Runs::load(snapshot)?;
    let segments = segments::all(snapshot)?;
    let window = everything(snapshot, &runs)?;
    let mut value = all(store)?;
    value.reverse();
    Framed {
        about: About::Everything,
        value,
        empty: false,
        window,
        next_cursor: None,
        remarks: Vec::new(),
    }
    .finish(snapshot, &runs, &segments)
}

/// The moment of a mark.
///
/// # Errors
/// `Argument` when there is none of that name.
pub(crate) fn moment(store: &Path, argument: &'static str, name: &str) -> Result<u64, QueryError> {
    let marks = all(store)?;
    let found = marks.iter().find(|mark| mark.name == name);
    found
        .map(|mark| mark.at_ns)
        .ok_or_else(|| QueryError::Argument {
            argument,
            problem: format!(
                "there is no mark of that name; mark without a name lists them. Otherwise {}",
                TimeArgument::FORMS
            ),
        })
}

/// Names a moment, and gives it.
///
/// # Errors
/// `Argument` for what is no name; `Store` when the file cannot be written.
pub(crate) fn add(store: &Path, name: &str, at_ns: u64) -> Result<Mark, QueryError> {
    if !is_name(name) {
        return Err(QueryError::Argument {
            argument: "name",
            problem: format!(
                "give 1 to {LONGEST_NAME} letters, digits, '.', '_' or '-', not beginning with '-' and not now, such as before-deploy"
            ),
        });
    }
    let mark = Mark {
        name: name.to_owned(),
        at_ns: at_ns - at_ns % NS_OF_MS,
    };
    append(store, &mark).map_err(|error| failed("written", &error))?;
    Ok(mark)
}

fn append(store: &Path, mark: &Mark) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        // As the recorder makes it: whoever may read the store may add marks.
        .mode(0o660)
        .custom_flags(FLAGS.bits().cast_signed())
        .open(beside(store, SUFFIX))?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.nlink() != 1 {
        return Err(ErrorKind::PermissionDenied.into());
    }
    // Several servers may write at once; whoever holds it for long is none of them.
    let mut tries = 0;
    while let Err(error) = file.try_lock() {
        tries += 1;
        match error {
            TryLockError::WouldBlock if tries < MOST_TRIES => std::thread::sleep(BETWEEN_TRIES),
            TryLockError::WouldBlock => return Err(ErrorKind::WouldBlock.into()),
            TryLockError::Error(error) => return Err(error),
        }
    }
    if metadata.len() < LONGEST_FILE {
        return file.write_all(line(mark).as_bytes());
    }
    // Over the old text, which is longer, and cut then: on a full disk nothing is lost.
    let marks = read(&mut file)?;
    let kept = marks.iter().rev().take(MOST_KEPT).rev();
    let text: String = kept.chain([mark]).map(line).collect();
    let over = OpenOptions::new()
        .write(true)
        .custom_flags(FLAGS.bits().cast_signed())
        .open(beside(store, SUFFIX))?;
    over.write_all_at(text.as_bytes(), 0)?;
    over.set_len(u64::try_from(text.len()).unwrap_or(u64::MAX))
}

fn line(mark: &Mark) -> String {
    format!("{} {}\n", mark.at_ns / NS_OF_MS, mark.name)
}

fn read(file: &mut File) -> std::io::Result<Vec<Mark>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(LONGEST_FILE * 2).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut marks: Vec<Mark> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for mark in text.lines().filter_map(parsed) {
        let place = *places.entry(mark.name.clone()).or_insert(marks.len());
        match marks.get_mut(place) {
            Some(known) => *known = mark,
            None => marks.push(mark),
        }
    }
    marks.sort_by(|one, other| (one.at_ns, &one.name).cmp(&(other.at_ns, &other.name)));
    Ok(marks)
}

fn parsed(line: &str) -> Option<Mark> {
    let (at, name) = line.split_once(' ')?;
    let at_ns = at.parse::<u64>().ok()?.checked_mul(NS_OF_MS)?;
    let is_time = i64::try_from(at_ns).is_ok();
    (is_time && is_name(name)).then(|| Mark {
        name: name.to_owned(),
        at_ns,
    })
}

fn failed(action: &str, error: &std::io::Error) -> QueryError {
    QueryError::Store {
        why: format!("The marks beside the store cannot be {action}: {}.", error.kind()),
        cure: "The recorder makes their file (the store's name with -marks) for the group that may read the store: start it once \
               with this version, or mark as the store's owner. Times without a mark can be given as they are."
            .to_owned(),
        state: None,
    }
}

/// No link is followed, and no pipe waited for.
const FLAGS: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK);
const MOST_TRIES: u32 = 20;
const BETWEEN_TRIES: Duration = Duration::from_millis(5);
const SUFFIX: &str = "-marks";
const LONGEST_NAME: usize = 64;
const NS_OF_MS: u64 = 1_000_000;
/// Bytes; then the oldest marks go.
const LONGEST_FILE: u64 = 256 * 1024;
const MOST_KEPT: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_by_its_name_and_the_later_one_counts() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("headwater.db");
        assert_eq!(all(&store).unwrap(), []);
        add(&store, "before-deploy", 1_700_000_000_123_456_789).unwrap();
        add(&store, "v1.2_rc", 1_600_000_000_000_000_000).unwrap();
        add(&store, "before-deploy", 1_800_000_000_000_000_000).unwrap();
        let names: Vec<_> = all(&store)
            .unwrap()
            .into_iter()
            .map(|mark| mark.name)
            .collect();
        assert_eq!(names, ["v1.2_rc", "before-deploy"]);
        assert_eq!(
            moment(&store, "since", "before-deploy").unwrap(),
            1_800_000_000_000_000_000
        );
        let told = moment(&store, "since", "after-deploy")
            .unwrap_err()
            .to_string();
        assert!(
            told.contains("no mark of that name") && told.contains("RFC 3339"),
            "{told}"
        );
    }

    #[test]
    fn names_cannot_be_times_and_other_lines_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("headwater.db");
        for bad in [
            "",
            "-15m",
            "now",
            "two words",
            "a/b",
            "2026-01-31T13:00:00Z",
            "é",
            &"x".repeat(65),
        ] {
            assert!(add(&store, bad, 1).is_err(), "{bad}");
        }
        let lines =
            "junk\n5 ok\n18446744073709551615 late\n7 two words\n\u{1b}[31m red\n9 -15m\n8 good";
        std::fs::write(beside(&store, SUFFIX), lines).unwrap();
        let found = all(&store).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|mark| (mark.name.as_str(), mark.at_ns))
            .collect();
        assert_eq!(found, [("ok", 5 * NS_OF_MS), ("good", 8 * NS_OF_MS)]);
    }

    #[test]
    fn the_oldest_go_when_the_file_is_full() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("headwater.db");
        let mut many = Vec::new();
        for number in 0..20_000 {
            writeln!(many, "{number} mark-{number}").unwrap();
        }
        assert!(many.len() as u64 > LONGEST_FILE);
        std::fs::write(beside(&store, SUFFIX), many).unwrap();
        add(&store, "newest", 30_000 * NS_OF_MS).unwrap();
        let found = all(&store).unwrap();
        assert_eq!(found.len(), MOST_KEPT + 1);
        assert_eq!(found[0].name, "mark-19000");
        assert_eq!(found.last().unwrap().name, "newest");
    }

    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("headwater.db");
        let other = folder.path().join("other");
        std::fs::write(&other, "").unwrap();
        std::os::unix::fs::symlink(&other, beside(&store, SUFFIX)).unwrap();
        assert!(add(&store, "x", 1).is_err());
        std::fs::remove_file(beside(&store, SUFFIX)).unwrap();
        std::fs::hard_link(&other, beside(&store, SUFFIX)).unwrap();
        assert!(add(&store, "x", 1).is_err());
        assert_eq!(std::fs::read(&other).unwrap(), b"");
    }

    #[test]
    fn whoever_holds_the_lock_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("headwater.db");
        add(&store, "first", NS_OF_MS).unwrap();
        let held = File::open(beside(&store, SUFFIX)).unwrap();
        held.lock().unwrap();
        assert!(add(&store, "second", NS_OF_MS).is_err());
        held.unlock().unwrap();
        add(&store, "second", NS_OF_MS).unwrap();
    }
}
