//! Refuses to embed a probe object that was not made from the sources beside it.
//!
//! The stamp beside the object names the hash of its sources; this computes the same as `kernel-probes/sources-hash`.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

fn main() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    println!("cargo::rerun-if-changed=../kernel-probes");
    println!("cargo::rerun-if-changed=../schema/src");
    let stamp = fs::read_to_string(root.join("kernel-probes/prebuilt/headwater-probes.stamp"))
        .unwrap_or_default();
    let line = |name: &str| {
        stamp
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
            .unwrap_or_default()
            .to_owned()
    };
    let cure = "rebuild it: kernel-probes/rebuild (the head of that file says what it needs), and commit kernel-probes/prebuilt";
    let (expected, found) = (line("sources "), sources_hash(&root));
    assert!(
        expected == found,
        "kernel-probes/prebuilt/headwater-probes.o was made from other sources (stamp {expected}, sources {found}); {cure}"
    );
    let object =
        fs::read(root.join("kernel-probes/prebuilt/headwater-probes.o")).unwrap_or_default();
    assert!(
        line("object ") == hex(&Sha256::digest(&object)),
        "kernel-probes/prebuilt/headwater-probes.o is not the object of its stamp; {cure}"
    );
}

/// The hash of the sorted list of "path hash" lines.
fn sources_hash(root: &Path) -> String {
    let mut files = vec![
        PathBuf::from("kernel-probes/Cargo.toml"),
        PathBuf::from("kernel-probes/Cargo.lock"),
    ];
    for folder in ["kernel-probes/src", "schema/src"] {
        collect(root, Path::new(folder), &mut files);
    }
    let mut names: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    names.sort();
    let mut list = String::new();
    for name in names {
        let bytes = fs::read(root.join(&name)).unwrap_or_default();
        let _ = writeln!(list, "{name} {}", hex(&Sha256::digest(&bytes)));
    }
    hex(&Sha256::digest(list.as_bytes()))
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(root.join(folder))
        .into_iter()
        .flatten()
        .flatten()
    {
        let path = folder.join(entry.file_name());
        let name = entry.file_name();
        if entry.path().is_dir() {
            collect(root, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && name != "tests.rs"
            && name != "latency.rs"
        {
            files.push(path);
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
