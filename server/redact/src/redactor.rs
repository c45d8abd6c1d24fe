//! The one place where captured bytes become storable text.

use crate::{CommandLine, HeaderBlock, Key, Policy, Target, Text};

/// Redacts with one key and one policy. Not `Sync`: one for each thread that redacts.
pub struct Redactor {
    _todo: (),
}

impl Redactor {
    /// A redactor for `key`, keeping readable what the built-in lists and `policy` allow.
    pub fn new(key: &Key, policy: &Policy) -> Self {
        let _ = (key, policy);
        todo!()
    }
    /// Redacts a header block, given as (name, value) pairs in wire order, into `out` (cleared first; its buffers are reused).
    pub fn headers<'a>(&mut self, fields: impl Iterator<Item = (&'a [u8], &'a [u8])>, out: &mut HeaderBlock) {
        let _ = (fields.count(), out);
        todo!()
    }
    /// Redacts a request target. `method` decides between the authority form and the others.
    pub fn target(&mut self, method: &[u8], target: &[u8]) -> Target {
        let _ = (method, target);
        todo!()
    }
    /// Redacts a host name with optional port: labels shaped like tokens are hashed.
    pub fn host(&mut self, host: &[u8]) -> Text {
        let _ = host;
        todo!()
    }
    /// Redacts a file-system or cgroup path: segments shaped like tokens are hashed, container ids (64 hex) excepted.
    pub fn file_path(&mut self, path: &[u8]) -> Text {
        let _ = path;
        todo!()
    }
    /// Redacts free text of small size, such as a reason phrase or a process name: words shaped like tokens are hashed.
    pub fn phrase(&mut self, phrase: &[u8]) -> Text {
        let _ = phrase;
        todo!()
    }
    /// Redacts a command line given as NUL-separated arguments.
    pub fn command_line(&mut self, arguments: &[u8]) -> CommandLine {
        let _ = arguments;
        todo!()
    }
    /// The printable hash of a plain value as it would stand in the store: what an investigator's value is compared by.
    pub fn hash_of(&self, value: &[u8]) -> String {
        let _ = value;
        todo!()
    }
}
