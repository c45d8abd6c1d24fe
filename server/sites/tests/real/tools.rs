//! What the tests make programs with, and how they show sites.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use headwater_sites::{Found, Hook, Library, Looked, Site, Unsupported, look};
use iced_x86::{Decoder, DecoderOptions};

/// A folder for what a test makes, empty.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("sites")
        .join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs `program`, which must be there and succeed.
pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?}: {error}; ./test installs what the tests need")
    });
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Compiles `source` in C.
pub(crate) fn compile(folder: &Path, name: &str, source: &str, options: &[&str]) -> PathBuf {
    let file = folder.join(format!("{name}.c"));
    fs::write(&file, source).unwrap();
    let made = folder.join(name);
    run(Command::new("cc")
        .args(["-O2", "-o"])
        .arg(&made)
        .arg(&file)
        .args(options));
    made
}

pub(crate) fn strip(file: &Path) -> PathBuf {
    let stripped = file.with_extension("stripped");
    run(Command::new("strip").arg("-o").arg(&stripped).arg(file));
    stripped
}

/// The Python environment that `./test` makes.
pub(crate) fn environment() -> PathBuf {
    let python = std::env::var_os("HEADWATER_TEST_PYTHON")
        .expect("HEADWATER_TEST_PYTHON is not set: run ./test, which sets it");
    let folder = Path::new(&python).parent().unwrap().parent().unwrap();
    folder.to_owned()
}

/// A file in the Python environment whose path below the packages' folder begins and ends so.
pub(crate) fn packaged(folder: &str, start: &str, end: &str) -> PathBuf {
    let libraries = environment().join("lib");
    fs::read_dir(&libraries)
        .unwrap()
        .map(|entry| entry.unwrap().path().join("site-packages").join(folder))
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with(start) && name.ends_with(end)
        })
        .unwrap_or_else(|| {
            panic!(
                "no {folder}/{start}*{end} in {}: ./test installs it",
                libraries.display()
            )
        })
}

pub(crate) fn looked(path: &Path) -> Looked {
    let name = path.file_name().unwrap().to_string_lossy();
    let file = File::open(path)
        .unwrap_or_else(|error| panic!("{}: {error}; ./test installs it", path.display()));
    look(file, &name).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The one library that is in the file.
pub(crate) fn found(path: &Path, library: Library) -> Found {
    let mut looked = looked(path);
    assert_eq!(looked.unsupported, [], "{}", path.display());
    assert_eq!(looked.found.len(), 1, "{}: {looked:?}", path.display());
    let found = looked.found.remove(0);
    assert_eq!(found.library, library, "{}", path.display());
    found
}

/// Each site as its hook and the mnemonic of the instruction that is there, in the order of the file.
pub(crate) fn shown(path: &Path, found: &Found) -> Vec<String> {
    shown_of(path, &found.sites)
}

/// As [`shown`], of the fewer sites, where reads are told, sorted: what these are and, of those that stay, how many.
pub(crate) fn fewer(path: &Path, found: &Found) -> (Vec<String>, usize) {
    let mut lines = shown_of(path, &found.fewer);
    let all = lines.len();
    lines.retain(|line| line.contains("Read") || line.starts_with("Copied"));
    lines.sort();
    let others = all - lines.len();
    (lines, others)
}

/// As [`shown`], of the fewer sites, those that begin like this.
pub(crate) fn fewer_of(path: &Path, found: &Found, start: &str) -> Vec<String> {
    let mut lines = shown_of(path, &found.fewer);
    lines.retain(|line| line.starts_with(start));
    lines
}

fn shown_of(path: &Path, sites: &[Site]) -> Vec<String> {
    let bytes = fs::read(path).unwrap();
    sites
        .iter()
        .map(|site| {
            let offset = usize::try_from(site.offset).unwrap();
            let instruction =
                Decoder::with_ip(64, &bytes[offset..], 0, DecoderOptions::NONE).decode();
            let mnemonic = format!("{:?}", instruction.mnemonic()).to_lowercase();
            format!("{:?} {mnemonic}", site.hook)
        })
        .collect()
}

/// As [`shown`], of the sites at which bytes are told and sessions end, sorted: linkers choose the order of functions.
pub(crate) fn sorted(path: &Path, found: &Found) -> Vec<String> {
    let mut lines = shown(path, found);
    lines.retain(|line| !line.starts_with("Touch"));
    lines.sort();
    lines
}

/// How many functions say no more than which session their thread works on.
pub(crate) fn touches(found: &Found) -> usize {
    found
        .sites
        .iter()
        .filter(|site| site.hook == Hook::Touch)
        .count()
}

/// The one library that is in the file and cannot be seen, and why.
pub(crate) fn why(path: &Path) -> (&'static str, String) {
    let looked = looked(path);
    assert_eq!(looked.found, [], "{}", path.display());
    match looked.unsupported.as_slice() {
        [Unsupported { library, why }] => (library, why.clone()),
        _ => panic!("{}: {looked:?}", path.display()),
    }
}
