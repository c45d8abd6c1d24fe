//! Without privileges: `run` beside a recorder of root's, what `record`, `up` and `run` say where they cannot do without, and
//! those that a recorder of root's gives up.

#![allow(clippy::expect_used, reason = "tests")]

use std::{
    os::unix::fs::chown,
    path::Path,
    process::{Command, Output},
};

use headwater_integration_tests::{
    Nginx, Program, Store, certificate, free_port, reachable, run, until,
};
use serde_json::Value;

/// No user of this machine, and a group that owns nothing else.
const UID: u32 = 64_995;
const GID: u32 = 64_994;

fn nginx() -> Nginx {
    Nginx::start("location / { return 200 fine; }")
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A command with a child that leaves its session and one several generations down.
fn script(url: &str) -> String {
    let ask = |path: &str| format!("curl -s -o /dev/null {url}/{path}");
    format!(
        "id -u; {}; (setsid {}); sh -c \"sh -c '{}; true'; true\"; exit 7",
        ask("mine"),
        ask("child"),
        ask("deep")
    )
}

/// What a summary tells of the command above, which nobody else's exchanges are in.
fn check_summary(output: &Output, file: &Path) {
    let told = told(output);
    assert_eq!(output.status.code(), Some(7), "{told}");
    assert_eq!(output.stdout, format!("{UID}\n").as_bytes(), "{told}");
    let text = std::fs::read_to_string(file).expect("a summary");
    let summary: Value = serde_json::from_str(&text).expect("JSON");
    let rows = summary["exchanges"].as_array().expect("exchanges");
    let mut paths: Vec<_> = rows.iter().map(|row| row["url_path"].clone()).collect();
    paths.sort_by_key(Value::to_string);
    assert_eq!(paths, ["/child", "/deep", "/mine"], "{summary:#}");
    assert!(told.contains("3 exchanges, 0 failed"), "{told}");
    // This user cannot make a cgroup at the root of the tree, and what that costs is said.
    let not_counted = summary["not_counted"].to_string();
    assert!(not_counted.contains("no cgroup could be made"), "{told}");
    assert!(told.contains("not counted: "), "{told}");
}

/// Somebody else who asks all the time.
fn somebody(nginx: &Nginx) -> Program {
    let script = format!(
        "while :; do curl -s -o /dev/null {}/somebody; echo asked; done",
        nginx.url()
    );
    let program = Program::start(Command::new("sh").args(["-c", &script]));
    program.await_line("asked");
    program
}

#[test]
fn run_uses_a_recorder_of_roots() {
    let (store, nginx) = (Store::new(), nginx());
    let folder = store.scratch().file("own");
    std::fs::create_dir(&folder).expect("a folder");
    chown(&folder, Some(UID), Some(GID)).expect("the user's folder");
    let recorder = store.record(&["--group", &GID.to_string()]);
    let somebody = somebody(&nginx);
    let file = folder.join("summary.json");
    let json = file.to_string_lossy();
    let script = script(&nginx.url());
    let command = ["run", "--json", &json, "--", "sh", "-c", &script];
    check_summary(&run(&mut store.command_as(UID, GID, &command)), &file);
    // A mistake is one whoever records, and nothing is run after it.
    let done = folder.join("done");
    let json = folder.join("no/such");
    let [done, json] = [&done, &json].map(|path| path.to_string_lossy().into_owned());
    let mistaken = ["run", "--cap", "x", "--json", &json, "--", "touch", &done];
    let output = run(&mut store.command_as(UID, GID, &mistaken));
    let words = told(&output);
    assert_eq!(output.status.code(), Some(64), "{words}");
    assert!(
        words.contains("--cap") && words.contains("--json"),
        "{words}"
    );
    // Whom the store is not for is told so, and how to be let in.
    let refused = ["run", "--", "touch", &done];
    let output = run(&mut store.command_as(UID, GID + 1, &refused));
    let words = told(&output);
    assert_eq!(output.status.code(), Some(77), "{words}");
    for part in ["may not read it", "Join the group", "with sudo"] {
        assert!(words.contains(part), "{words}");
    }
    assert!(!Path::new(&done).exists(), "the command was not run");
    somebody.end("TERM");
    assert!(recorder.end("INT").0.success());
}

/// In a mount namespace of the test's own the system's folder is empty, and goes with it.
#[test]
fn the_systems_store_is_found_where_none_is_named() {
    let (store, nginx) = (Store::new(), nginx());
    let program = reachable(store.scratch());
    let program = program.to_string_lossy();
    let record = format!("mount -t tmpfs none /var/lib && exec {program} record --group {GID}");
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &record]);
    let unnamed = |command: &mut Command| {
        for variable in ["HEADWATER_DB", "SUDO_UID", "SUDO_GID"] {
            command.env_remove(variable);
        }
    };
    unnamed(&mut command);
    let recorder = Program::start(&mut command);
    let line = recorder.await_line("(probes attached)");
    assert!(line.contains("/var/lib/headwater/headwater.db"), "{line}");
    let file = store.scratch().write("summary.json", "");
    chown(&file, Some(UID), Some(GID)).expect("the user's file");
    let mut command = Command::new("nsenter");
    command.args(["--mount", "--target", &recorder.pid().to_string()]);
    command.args(["setpriv", "--reuid", &UID.to_string()]);
    command.args(["--regid", &GID.to_string(), "--clear-groups", &program]);
    command.args(["run", "--json", &file.to_string_lossy(), "--", "sh", "-c"]);
    unnamed(&mut command);
    check_summary(&run(command.arg(script(&nginx.url()))), &file);
    assert!(recorder.end("INT").0.success());
}

#[test]
fn what_is_missing_is_named_with_how_to_get_it() {
    let store = Store::new();
    for question in [&["record"][..], &["up"], &["run", "--", "true"]] {
        let output = run(&mut store.command_as(UID, GID, question));
        let words = told(&output);
        assert_eq!(output.status.code(), Some(77), "{question:?}: {words}");
        for part in [
            "CAP_BPF",
            "CAP_NET_ADMIN",
            "CAP_PERFMON",
            "with sudo",
            "sudo setcap cap_bpf,",
        ] {
            assert!(words.contains(part), "{question:?}: {words}");
        }
    }
    // With a mistake beside it, both are told, and it is the mistake that the exit code names.
    for question in ["record", "up"] {
        let output = run(&mut store.command_as(UID, GID, &[question, "--cap", "x"]));
        let words = told(&output);
        assert_eq!(output.status.code(), Some(64), "{question}: {words}");
        assert!(
            words.contains("--cap") && words.contains("CAP_BPF"),
            "{words}"
        );
    }
    assert!(!store.path().exists());
}

#[test]
fn all_mistakes_are_told_at_once() {
    let store = Store::new();
    let recording = [
        ("--cap", "x"),
        ("--ring-size", "3"),
        ("--max-age", "7"),
        ("--max-size", "1"),
        ("--group", "no-such-group"),
        ("--keep-header", "a b"),
        ("--only-port", "0"),
        ("--except-port", "z"),
    ];
    let serving = [
        ("--listen", "nowhere"),
        ("--allowed-host", "a b"),
        ("--allowed-origin", "tools.example"),
        ("--token-file", "/no/such/token"),
    ];
    let both = [&recording[..], &serving[..]].concat();
    let replaying = [recording[4], recording[5]];
    let running = [&recording[..], &[("--json", "/no/such/file")]].concat();
    for (subcommand, given, rest) in [
        ("record", &recording[..], &[][..]),
        ("up", &both, &[]),
        ("serve", &serving, &[]),
        ("run", &running, &["--", "true"]),
        ("replay", &replaying, &["/no/such.pcap", "/none.pcap"]),
    ] {
        let options = given.iter().flat_map(|(option, value)| [*option, value]);
        let mut arguments = vec![subcommand];
        arguments.extend(options.chain(rest.iter().copied()));
        let output = run(&mut store.command(&arguments));
        let words = told(&output);
        assert_eq!(output.status.code(), Some(64), "{subcommand}: {words}");
        for (option, _) in given {
            let lines = words.lines().filter(|line| line.contains(option)).count();
            assert_eq!(lines, 1, "{subcommand} {option}: {words}");
        }
        for file in rest.iter().filter(|word| word.starts_with('/')) {
            assert!(words.contains(file), "{subcommand} {file}: {words}");
        }
    }
    assert!(!store.path().exists());
}

/// Capabilities that no thread of a recorder has any use for once its probes are attached, by number (linux/capability.h):
/// users, capabilities themselves, the network's settings, modules, ports of devices, root folders, booting, the clock, devices.
const GIVEN_UP: [u32; 10] = [6, 7, 8, 12, 16, 17, 18, 22, 25, 27];

/// linux/capability.h
const CAP_SYS_ADMIN: u32 = 21;

/// Of each thread: its capabilities, and whether it can never have more.
fn capabilities_of(pid: u32) -> Vec<(u32, u64, bool)> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("threads");
    threads
        .filter_map(|thread| {
            let thread = thread.expect("a thread").path();
            // One may have ended.
            let status = std::fs::read_to_string(thread.join("status")).ok()?;
            let value = |name: &str| {
                let found = status.lines().find_map(|line| line.strip_prefix(name));
                found.expect("a value").trim().to_owned()
            };
            let permitted = u64::from_str_radix(&value("CapPrm:"), 16).expect("a number");
            let never_more = value("CapInh:") == "0000000000000000" && value("NoNewPrivs:") == "1";
            let tid = value("Pid:").parse().expect("a number");
            Some((tid, permitted, never_more))
        })
        .collect()
}

#[test]
fn a_recorder_of_root_s_keeps_what_later_programs_need_and_no_more() {
    let store = Store::new();
    let recorder = store.record(&[]);
    let threads = until("threads without what they do not need", || {
        let threads = capabilities_of(recorder.pid());
        let is_given_up = |(_, permitted, never_more): &(u32, u64, bool)| {
            *never_more && GIVEN_UP.iter().all(|bit| permitted >> bit & 1 == 0)
        };
        if threads.iter().all(is_given_up) {
            Ok(threads)
        } else {
            Err(threads)
        }
    });
    assert!(threads.len() >= 5, "{threads:?}");
    // One enters other network namespaces (setns(2)); to attach needs it only before Linux 6.6.
    let administer = threads
        .iter()
        .filter(|(_, permitted, _)| permitted >> CAP_SYS_ADMIN & 1 == 1);
    assert!(administer.count() <= 1, "{threads:?}");
    let main = threads.iter().find(|(tid, ..)| *tid == recorder.pid());
    assert_eq!(main.map(|(_, permitted, _)| *permitted), Some(0));

    // A library in a file of its own, which nobody had when the recorder began, at both ends.
    let folder = store.scratch().file("libraries");
    std::fs::create_dir(&folder).expect("a folder");
    for name in ["libssl.so.3", "libcrypto.so.3"] {
        let of_system = Path::new("/usr/lib/x86_64-linux-gnu").join(name);
        std::fs::copy(of_system, folder.join(name)).expect("a copy");
    }
    let (certificate, key) = certificate(store.scratch());
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let server = Program::start(
        Command::new("openssl")
            .env("LD_LIBRARY_PATH", &folder)
            .args(["s_server", "-www", "-accept", &address, "-cert"])
            .arg(certificate)
            .arg("-key")
            .arg(key),
    );
    until("a server", || {
        std::net::TcpStream::connect(&address).map(drop)
    });
    until("an exchange by a library that came later", || {
        let asked = run(Command::new("curl").env("LD_LIBRARY_PATH", &folder).args([
            "-sk",
            "-o",
            "/dev/null",
            &format!("https://{address}/later"),
        ]));
        assert!(asked.status.success(), "{}", told(&asked));
        let rows = store.rows(&["search-exchanges", "--path", "=/later"]);
        if rows.is_empty() { Err(rows) } else { Ok(rows) }
    });
    server.end("TERM");
    assert!(recorder.end("INT").0.success());
}

/// A user whose file of the program has the capabilities that `doctor` names, and nothing else: on Linux 6.6 and later these do for
/// TLS.
#[test]
fn capabilities_of_a_file_do_for_tls() {
    let (store, nginx) = (Store::new(), Nginx::start_sized());
    let program = reachable(store.scratch());
    let folder = store.scratch().file("own");
    std::fs::create_dir(&folder).expect("a folder");
    chown(&folder, Some(UID), Some(GID)).expect("the user's folder");
    let as_user = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", &UID.to_string(), "--regid", &GID.to_string()])
            .arg("--clear-groups")
            .arg(&program)
            .env("HEADWATER_DB", folder.join("own.db"))
            .env_remove("SUDO_UID")
            .env_remove("SUDO_GID")
            .args(arguments);
        command
    };
    let advised = told(&run(&mut as_user(&["record"])));
    let capabilities = advised
        .split_whitespace()
        .find(|word| word.starts_with("cap_"))
        .expect("what to give the file");
    let given = run(Command::new("setcap").arg(capabilities).arg(&program));
    assert!(given.status.success(), "{}", told(&given));
    let recorder = Program::start(&mut as_user(&["record"]));
    recorder.await_line("(probes attached)");
    let url = format!("https://127.0.0.1:{}/small/by-a-user", nginx.port);
    assert!(
        run(Command::new("curl").args(["-skf", &url]))
            .status
            .success()
    );
    let question = ["search-exchanges", "--path", "=/small/by-a-user", "--json"];
    until("an exchange inside TLS", || {
        let answer = run(&mut as_user(&question));
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        let value: Value = serde_json::from_str(&text).unwrap_or_default();
        let row = value["rows"][0].to_string();
        if row.contains("\"nginx:") && row.contains("curl") {
            Ok(())
        } else {
            Err((text, told(&answer)))
        }
    });
    assert!(recorder.end("INT").0.success());
}
