//! Third-party data, which is read where it lies.

use std::path::PathBuf;

/// The folder of third-party corpora; a test that asks for it fails where there is none.
pub fn corpora() -> PathBuf {
    let folder = std::env::var_os("HEADWATER_CORPORA").map(PathBuf::from);
    folder.expect(
        "HEADWATER_CORPORA names the folder of corpora; --skip corpus_ leaves these tests out",
    )
}

/// Every capture file among them, in whichever folder, in the order of their names, and by names that are all different: lists
/// of exceptions name files by them.
pub fn captures() -> Vec<(String, PathBuf)> {
    let mut folders = vec![corpora().join("pcap")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() {
                folders.push(path);
            } else if !name.starts_with("COPYING") {
                files.push((name.into_owned(), path));
            }
        }
    }
    files.sort();
    assert!(files.len() > 200, "{} capture files", files.len());
    let repeated = files.windows(2).find(|pair| pair[0].0 == pair[1].0);
    assert!(repeated.is_none(), "one name for two files: {repeated:?}");
    files
}
