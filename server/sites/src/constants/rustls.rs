//! The version of rustls, from the paths of its source that its panics tell.

pub(super) const MARK: &[u8] = b"/rustls-";
/// The longest version.
const LONGEST_VERSION: usize = 24;
const BEHIND: &[u8] = b"/src/";
/// All that is looked at for one.
pub(super) const LONGEST: usize = MARK.len() + LONGEST_VERSION + BEHIND.len();

/// `0.23.46` of `/rustls-0.23.46/src/`.
pub(super) fn version(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.get(MARK.len()..)?;
    let end = bytes
        .iter()
        .take(LONGEST_VERSION)
        .position(|byte| !matches!(byte, b'0'..=b'9' | b'.' | b'a'..=b'z' | b'-' | b'+'))?;
    let version = bytes.get(..end)?;
    (version.first()?.is_ascii_digit()
        && version.contains(&b'.')
        && bytes.get(end..)?.starts_with(BEHIND))
    .then(|| String::from_utf8_lossy(version).into_owned())
}
