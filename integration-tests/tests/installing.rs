//! `mcp install` and who it is that touches a file: the user who called sudo, root itself, and a user whom a program with
//! capabilities lends more than they have.

#![allow(clippy::expect_used, reason = "tests")]

use std::{
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use headwater_integration_tests::{Scratch, reachable, run};

/// No user of this machine, and a group that owns nothing else.
const UID: u32 = 64_993;
const GID: u32 = 64_992;
/// What only root may read: an entry of the same name, which a refusal would show.
const SECRET: &str = r#"{"mcpServers":{"headwater":{"command":"of-root-alone"}}}"#;

/// A folder of the user's, and a file of root's beside it.
struct Place {
    scratch: Scratch,
    program: PathBuf,
    folder: PathBuf,
    secret: PathBuf,
}

impl Place {
    fn new() -> Self {
        let scratch = Scratch::new();
        let program = reachable(&scratch);
        let folder = scratch.file("folder");
        std::fs::create_dir(&folder).expect("a folder");
        chown(&folder, Some(UID), Some(GID)).expect("an owner");
        let secret = scratch.write("secret.json", SECRET);
        std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).expect("a mode");
        Self {
            scratch,
            program,
            folder,
            secret,
        }
    }
    fn file(&self) -> PathBuf {
        self.folder.join(".claude.json")
    }
    /// Lays a link to root's file where the client's is looked for.
    fn lay_link(&self) {
        symlink(&self.secret, self.file()).expect("a link");
    }
    /// Installs into the folder; `before` is what starts the program.
    fn install(&self, before: &[&str], sudo: bool, options: &[&str]) -> Output {
        let program = self.program.to_string_lossy();
        let words = [
            before,
            &[&program, "mcp", "install", "--client", "claude"],
            options,
        ]
        .concat();
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .current_dir(&self.folder)
            .env("CLAUDE_CONFIG_DIR", &self.folder)
            .env("HEADWATER_DB", self.scratch.file("none.db"))
            .env_remove("SUDO_UID")
            .env_remove("SUDO_GID");
        if sudo {
            command
                .env("SUDO_UID", UID.to_string())
                .env("SUDO_GID", GID.to_string());
        }
        run(&mut command)
    }
    /// The secret is as it was, and nothing of it was shown.
    fn assert_kept(&self, output: &Output) {
        let told = told(output);
        assert_eq!(output.status.code(), Some(77), "{told}");
        assert!(!told.contains("of-root-alone"), "{told}");
        assert_eq!(read(&self.secret), SECRET);
        let secret = self.secret.metadata().expect("root's file");
        assert_eq!((secret.uid(), secret.mode() & 0o7777), (0, 0o600));
    }
}

fn told(output: &Output) -> String {
    [&output.stdout[..], &output.stderr]
        .map(String::from_utf8_lossy)
        .concat()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a file")
}

#[test]
fn under_sudo_the_file_is_the_caller_s() {
    let place = Place::new();
    let output = place.install(&[], true, &[]);
    assert!(output.status.success(), "{}", told(&output));
    // What is not there yet is said too.
    assert!(
        told(&output).contains("no recorder has written it"),
        "{}",
        told(&output)
    );
    let file = place.file().metadata().expect("a file");
    assert_eq!(
        (file.uid(), file.gid(), file.mode() & 0o7777),
        (UID, GID, 0o600)
    );
    assert!(told(&place.install(&[], true, &[])).contains(" already"));
}

#[test]
fn under_sudo_a_link_leads_no_further_than_the_caller_may_go() {
    let place = Place::new();
    place.lay_link();
    place.assert_kept(&place.install(&[], true, &["--force"]));
    place.assert_kept(&place.install(&[], true, &[]));
    // Nor does a folder that is a link.
    let roots = place.scratch.file("roots");
    std::fs::create_dir(&roots).expect("a folder");
    symlink(&roots, place.folder.join(".vscode")).expect("a link");
    let options = ["--client", "vscode", "--scope", "project"];
    let program = place.program.to_string_lossy();
    let output = run(Command::new(&*program)
        .args([&["mcp", "install"][..], &options].concat())
        .current_dir(&place.folder)
        .env("SUDO_UID", UID.to_string())
        .env("SUDO_GID", GID.to_string()));
    assert_eq!(output.status.code(), Some(77), "{}", told(&output));
    assert_eq!(std::fs::read_dir(&roots).expect("a folder").count(), 0);
}

#[test]
fn under_sudo_root_s_home_is_not_the_caller_s() {
    let place = Place::new();
    let output = run(Command::new(&place.program)
        .args(["mcp", "install", "--client", "cursor"])
        .env("HOME", place.scratch.path())
        .env("SUDO_UID", UID.to_string())
        .env("SUDO_GID", GID.to_string()));
    assert_eq!(output.status.code(), Some(64), "{}", told(&output));
    assert!(
        told(&output).contains("no home folder"),
        "{}",
        told(&output)
    );
    assert!(!place.scratch.file(".cursor").exists());
}

#[test]
fn root_without_sudo_writes_nothing_that_another_user_could_have_led_it_to() {
    let place = Place::new();
    let output = place.install(&[], false, &["--force"]);
    assert_eq!(output.status.code(), Some(77), "{}", told(&output));
    assert!(
        told(&output).contains(&format!("id {UID}")),
        "{}",
        told(&output)
    );
    assert!(!place.file().exists());
    place.lay_link();
    place.assert_kept(&place.install(&[], false, &["--force"]));
    chown(&place.folder, Some(0), Some(0)).expect("an owner");
    // The link is root's own now.
    let output = place.install(&[], false, &["--force"]);
    assert!(output.status.success(), "{}", told(&output));
    assert!(read(&place.secret).contains("\"mcp\""));
    assert!(
        place
            .file()
            .symlink_metadata()
            .expect("a link")
            .is_symlink()
    );
}

#[test]
fn capabilities_of_the_program_s_own_open_nothing() {
    let place = Place::new();
    place.lay_link();
    let (uid, gid) = (UID.to_string(), GID.to_string());
    // As after `setcap`, which is advised for recording without sudo.
    let lent = "+dac_read_search,+dac_override,+chown";
    let before = [
        "setpriv",
        "--reuid",
        &uid,
        "--regid",
        &gid,
        "--clear-groups",
        "--inh-caps",
        lent,
        "--ambient-caps",
        lent,
    ];
    place.assert_kept(&place.install(&before, false, &["--force"]));
    place.assert_kept(&place.install(&before, false, &[]));
}

#[test]
fn a_file_that_its_user_may_not_write_is_left_alone() {
    let place = Place::new();
    let (uid, gid) = (UID.to_string(), GID.to_string());
    let user = [
        "setpriv",
        "--reuid",
        &uid,
        "--regid",
        &gid,
        "--clear-groups",
    ];
    // Root's in the user's folder, readable: a rename would give it to the user.
    std::fs::write(place.file(), "{}").expect("a file");
    for mode in [0o644, 0o444] {
        std::fs::set_permissions(place.file(), PermissionsExt::from_mode(mode)).expect("a mode");
        let output = place.install(&user, false, &[]);
        assert_eq!(output.status.code(), Some(77), "{}", told(&output));
        // What to paste is shown instead.
        assert!(
            told(&output).contains("\"mcpServers\""),
            "{}",
            told(&output)
        );
        assert_eq!(read(&place.file()), "{}");
        chown(place.file(), Some(UID), Some(GID)).expect("an owner");
    }
    // A group that the user is not in cannot be kept.
    std::fs::set_permissions(place.file(), PermissionsExt::from_mode(0o660)).expect("a mode");
    chown(place.file(), Some(UID), Some(0)).expect("an owner");
    let output = place.install(&user, false, &[]);
    assert_eq!(output.status.code(), Some(77), "{}", told(&output));
    assert!(
        told(&output).contains("could not be kept"),
        "{}",
        told(&output)
    );
    assert_eq!(
        std::fs::read_dir(&place.folder).expect("a folder").count(),
        1
    );
}

#[test]
fn without_a_subcommand_it_serves_and_print_touches_nothing() {
    let place = Place::new();
    let output = place.install(&[], true, &["--print", "--name", "shown"]);
    assert!(output.status.success(), "{}", told(&output));
    let shown: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("JSON on standard output");
    let command = &shown["mcpServers"]["shown"]["command"];
    assert_eq!(command, &*place.program.to_string_lossy());
    assert_eq!(
        std::fs::read_dir(&place.folder).expect("a folder").count(),
        0
    );
    // Its input ends at once, and so does it.
    let mut serving = Command::new(&place.program);
    serving.args(["mcp", "--db", "/none/x.db"]);
    let output = run(serving.stdin(std::process::Stdio::null()));
    assert!(output.stdout.is_empty(), "{}", told(&output));
}
