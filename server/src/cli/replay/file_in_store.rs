//! One capture file on its way into the store.
//!
//! Owns: that no file is told twice. A file is marked as begun in the transaction of its first rows, and as whole in one
//! after that of its last. Killed before the first commit, it left nothing; killed later, it is found begun and refused,
//! since rows cannot be taken up again in the middle: connections are known by what the process remembered. A row that the
//! store did not take leaves the file begun too, whatever came after.

use headwater_model::Event;
use headwater_store::{WriteError, Writer};

use crate::{
    cli::output::{say, say_error},
    clock::now_ns,
};

/// Events given to the store at a time.
const APPLY_EVENTS: usize = 1_024;
/// Rows in one transaction.
const COMMIT_ROWS: usize = 20_000;

/// What the store knows of a file.
pub(super) enum Standing<'a> {
    /// Nothing: it is begun now.
    Begun(FileInStore<'a>),
    /// An earlier replay did not come to its end.
    InPart,
    /// It was replayed before.
    Whole,
}

/// A file that is being told.
pub(super) struct FileInStore<'a> {
    writer: &'a mut Writer,
    digest: String,
    events: Vec<Event>,
    /// Rows since the last commit.
    rows: usize,
    /// Whether the store did not take something: the rest is not worth telling.
    has_lost: bool,
}

impl<'a> FileInStore<'a> {
    /// Begins a file, unless the store has it, or a part of it.
    pub(super) fn begin(writer: &'a mut Writer, digest: &str) -> Result<Standing<'a>, WriteError> {
        if writer.is_replayed(digest)? {
            return Ok(Standing::Whole);
        }
        if writer.is_replayed(&begun(digest))? {
            return Ok(Standing::InPart);
        }
        writer.mark_replayed(&begun(digest), now_ns())?;
        Ok(Standing::Begun(Self {
            writer,
            digest: digest.to_owned(),
            events: Vec::new(),
            rows: 0,
            has_lost: false,
        }))
    }

    /// Takes events; gives them to the store when they are many.
    pub(super) fn take(&mut self, events: impl IntoIterator<Item = Event>) {
        self.events.extend(events);
        if self.events.len() >= APPLY_EVENTS {
            self.apply();
        }
        if self.rows >= COMMIT_ROWS {
            self.commit();
        }
    }

    /// Ends the file. Says whether the store has all of it.
    pub(super) fn finish(mut self) -> bool {
        self.apply();
        self.commit();
        if self.has_lost {
            // The first batch may be what was lost, the mark with it.
            let _ = self.writer.mark_replayed(&begun(&self.digest), now_ns());
        } else if let Err(error) = self.writer.mark_replayed(&self.digest, now_ns()) {
            self.lost(&error);
        }
        self.commit();
        self.writer.forget_keys();
        !self.has_lost && matches!(self.writer.is_replayed(&self.digest), Ok(true))
    }

    fn apply(&mut self) {
        self.rows += self.events.len();
        if !self.has_lost
            && let Err(error) = self.writer.apply_all(&self.events)
        {
            self.lost(&error);
        }
        self.events.clear();
    }

    fn commit(&mut self) {
        self.rows = 0;
        match self.writer.commit(now_ns()) {
            Ok(committed) if committed.lost > 0 && !self.has_lost => {
                say(&format!(
                    "{} rows could not be written; the log has the reason",
                    committed.lost
                ));
                self.has_lost = true;
            }
            Ok(_) => {}
            Err(error) => self.lost(&error),
        }
    }

    fn lost(&mut self, error: &WriteError) {
        if !self.has_lost {
            say_error(error);
        }
        self.has_lost = true;
    }
}

/// The mark of a file that was begun.
fn begun(digest: &str) -> String {
    format!("begun:{digest}")
}

#[cfg(test)]
mod tests {
    use headwater_store::Options;

    use super::*;

    fn writer(folder: &std::path::Path) -> Writer {
        let options = Options::new(folder.join("headwater.db"), [7; 8]);
        Writer::open(options, now_ns()).unwrap()
    }

    fn folder(name: &str) -> std::path::PathBuf {
        let folder =
            std::env::temp_dir().join(format!("headwater-replay-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Begins a file that is known not to be in the store.
    fn begin<'a>(writer: &'a mut Writer, digest: &str) -> FileInStore<'a> {
        match FileInStore::begin(writer, digest).unwrap() {
            Standing::Begun(file) => file,
            Standing::InPart => panic!("in part"),
            Standing::Whole => panic!("whole"),
        }
    }

    #[test]
    fn a_whole_file_is_told_once() {
        let folder = folder("whole");
        let mut writer = writer(&folder);
        assert!(begin(&mut writer, "abc").finish());
        assert!(matches!(
            FileInStore::begin(&mut writer, "abc").unwrap(),
            Standing::Whole
        ));
        assert!(begin(&mut writer, "def").finish(), "another file");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_that_was_interrupted_is_refused_once_rows_were_committed() {
        let folder = folder("part");
        let mut first = writer(&folder);
        drop(begin(&mut first, "abc"));
        // As a kill before the first commit.
        drop(first);
        let mut second = writer(&folder);
        let mut file = begin(&mut second, "abc");
        file.commit();
        drop(second);
        let mut third = writer(&folder);
        assert!(matches!(
            FileInStore::begin(&mut third, "abc").unwrap(),
            Standing::InPart
        ));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_with_a_lost_row_is_not_whole() {
        let folder = folder("lost");
        let mut writer = writer(&folder);
        let mut file = begin(&mut writer, "abc");
        file.has_lost = true;
        assert!(!file.finish());
        assert!(matches!(
            FileInStore::begin(&mut writer, "abc").unwrap(),
            Standing::InPart
        ));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
