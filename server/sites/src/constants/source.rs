//! Whose source is named in a program: the errors of OpenSSL and of BoringSSL tell the file that puts them.
//!
//! Owns: to know the path of the file that `SSL_read` is in. No path is among this crate's own constants, or each program
//! that has this crate in itself would seem to have OpenSSL.

/// What the file's name is in all of them, but for its ending.
pub(super) const STEM: &[u8] = b"ssl_lib";
/// The stem with the longest of its endings and the zero behind it.
pub(super) const BEHIND: usize = STEM.len() + 4;
/// The longest folder that it is in.
const LONGEST_FOLDER: usize = 200;
/// With the byte before it.
const BEFORE: usize = LONGEST_FOLDER + 1;
/// All that is looked at for a path.
pub(super) const LONGEST: usize = BEFORE + BEHIND;
/// The most paths that are told.
pub(super) const MOST: usize = 64;

/// Whose file it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Maker {
    OpenSsl,
    BoringSsl,
    /// Of what was made of BoringSSL, such as AWS-LC.
    Relative,
}

/// A path of that file.
pub(crate) struct Source {
    pub(crate) maker: Maker,
    /// Where the path is loaded, if nothing is before it that could belong to it.
    pub(crate) address: Option<u64>,
}

impl Source {
    /// Where the path of this maker's file is loaded, if it is there once.
    pub(crate) fn only(sources: &[Self], maker: Maker) -> Option<u64> {
        let mut fitting = sources.iter().filter(|source| source.maker == maker);
        let address = fitting.next()?.address;
        address.filter(|_| fitting.next().is_none())
    }

    /// The path with the stem at `stem` of `bytes`, which are loaded at `address`; nothing where it is no such path.
    pub(super) fn at(bytes: &[u8], stem: usize, address: u64) -> Option<Self> {
        let is_c = match bytes.get(stem + STEM.len()..)? {
            [b'.', b'c', 0, ..] => true,
            [b'.', b'c', b'c', 0, ..] => false,
            _ => return None,
        };
        let start = (stem.saturating_sub(BEFORE)..stem)
            .rev()
            .take_while(|at| bytes.get(*at).is_some_and(|byte| is_of_path(*byte)))
            .last()
            .unwrap_or(stem);
        let folder = bytes.get(start..stem)?;
        if folder.len() > LONGEST_FOLDER || folder.last().is_some_and(|last| *last != b'/') {
            return None;
        }
        let is_boring = memchr::memmem::find(folder, b"boringssl").is_some();
        let is_alone = start
            .checked_sub(1)
            .is_none_or(|before| bytes.get(before) == Some(&0));
        Some(Self {
            maker: match (is_c, is_boring) {
                (true, _) => Maker::OpenSsl,
                (false, true) => Maker::BoringSsl,
                (false, false) => Maker::Relative,
            },
            address: u64::try_from(start)
                .ok()
                .filter(|_| is_alone)
                .and_then(|start| address.checked_add(start)),
        })
    }
}

fn is_of_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'-' | b'+' | b'@' | b'~')
}
