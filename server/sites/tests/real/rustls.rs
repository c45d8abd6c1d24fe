//! rustls in a program that is built for release.

use std::path::{Path, PathBuf};
use std::process::Command;

use headwater_sites::{Hook, Library};

use crate::tools::{folder, found, run, shown, strip, why};

/// The example `rustls_program`, built with these settings in a target folder of its own.
fn build(name: &str, settings: &[(&str, &str)]) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("rustls")
        .join(name);
    run(Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_INCREMENTAL", "0")
        .env_remove("RUSTFLAGS")
        .envs(settings.iter().copied())
        .args([
            "build",
            "--release",
            "--locked",
            "--example",
            "rustls_program",
        ]));
    target.join("release/examples/rustls_program")
}

#[test]
fn in_release_mode_until_it_is_stripped() {
    let program = build("release", &[]);
    let found = found(&program, Library::Rustls);
    // A session has one place for its cipher.
    let mut keys: Vec<u32> = found
        .sites
        .iter()
        .filter_map(|site| match site.hook {
            Hook::RustlsWriteEnter { key }
            | Hook::RustlsRead { key }
            | Hook::RustlsTouch { key }
            | Hook::RustlsFree { key } => Some(key),
            _ => None,
        })
        .collect();
    keys.dedup();
    assert_eq!(keys.len(), 1, "{:?}", found.sites);
    let shown = shown(&program, &found);
    let count = |hook: &str| shown.iter().filter(|line| line.starts_with(hook)).count();
    assert_eq!(
        [
            count("RustlsWriteEnter"),
            count("LeaveReturn"),
            count("RustlsRead"),
        ],
        [1, 1, 1],
        "{shown:?}"
    );
    assert!(count("RustlsFree") > 0, "{shown:?}");
    assert!(shown.iter().all(|line| line.ends_with("push")), "{shown:?}");
    let copy = folder("rustls").join("program");
    std::fs::copy(&program, &copy).unwrap();
    let (library, reason) = why(&strip(&copy));
    assert_eq!(library, "rustls");
    assert!(
        reason.contains("stripped") && reason.contains("0.23."),
        "{reason}"
    );
}

/// With everything joined there is no function left that all plaintext passes through, and this is said.
#[test]
fn joined_by_the_linker() {
    let program = build(
        "joined",
        &[
            ("CARGO_PROFILE_RELEASE_LTO", "fat"),
            ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
            ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s"),
        ],
    );
    let (library, reason) = why(&program);
    assert_eq!(library, "rustls");
    assert!(reason.contains("function of its own"), "{reason}");
}
