//! `up`: the recorder here, the server as a process of its own that runs as the user who called sudo.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command},
};

use clap::Args;
use rustix::thread::CapabilitySet;

use super::{
    Exit, arenas,
    output::{answer, say},
    privilege::{caller, home_of},
    record::{self, RecordArguments},
    serve::{self, PORT, ServeArguments},
};
use crate::{
    paths::absolute,
    record::{SessionSettings, capabilities},
};

/// What to record, and where to serve it.
#[derive(Debug, Clone, Args)]
pub(crate) struct UpArguments {
    #[command(flatten)]
    record: RecordArguments,
    #[command(flatten)]
    serve: ServeArguments,
}

/// Records and serves until SIGINT or SIGTERM, or until one of the two ends.
pub(super) fn up(db: Option<&Path>, arguments: &UpArguments) -> Exit {
    let mistakes = serve::checked(&arguments.serve).err().unwrap_or_default();
    for mistake in &mistakes {
        say(mistake);
    }
    let settings = match record::checked(db, &arguments.record) {
        Ok(_) if !mistakes.is_empty() => return Exit::Usage,
        Ok(settings) => settings,
        Err(exit) => return exit,
    };
    let session = match record::start(&settings) {
        Ok(session) => session,
        Err(exit) => return exit,
    };
    let mut server = match start_server(&settings, &arguments.serve) {
        Ok(server) => server,
        Err(error) => {
            say(&format!("the server could not be started: {error}"));
            record::stop(session, false);
            return Exit::Failed;
        }
    };
    // This thread waits from here on, and ends the server, which is another user's process.
    capabilities::keep(CapabilitySet::KILL);
    answer(&paste_this(&settings, &arguments.serve));
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return Exit::Failed;
    };
    let (broken, server_ended) = runtime.block_on(async {
        tokio::select! {
            broken = record::until_told_to_stop(&session) => (broken, false),
            () = ended(&mut server) => (false, true),
        }
    });
    end_server(&mut server);
    let exit = record::stop(session, broken);
    if server_ended {
        say("the server ended; its words above have the reason");
        return Exit::Failed;
    }
    exit
}

fn start_server(settings: &SessionSettings, arguments: &ServeArguments) -> std::io::Result<Child> {
    let mut command = server_command(&settings.store, arguments)?;
    if let Some(caller) = caller() {
        // The standard library drops supplementary groups when it changes the user as root; the group of the store is
        // the caller's own then, or the one named, which becomes the process's.
        command
            .uid(caller.uid)
            .gid(settings.group.unwrap_or(caller.gid));
        if let Some(home) = home_of(caller.uid) {
            command.env("HOME", home);
        }
        command.current_dir("/");
    }
    // The other end is this process's alone and closes with it, even when it is killed.
    command
        .arg("--until-input-ends")
        .stdin(std::process::Stdio::piped())
        .spawn()
}

/// The server's command line. It runs in the root folder, so that every path in it is absolute.
fn server_command(store: &Path, arguments: &ServeArguments) -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    // That is the recorder's wish alone.
    command.env_remove(arenas::VARIABLE);
    command.arg("--db").arg(absolute(store)).arg("serve");
    for (option, values) in [
        ("--listen", &arguments.listen),
        ("--allowed-host", &arguments.allowed_host),
        ("--allowed-origin", &arguments.allowed_origin),
    ] {
        for value in values {
            command.arg(option).arg(value);
        }
    }
    if let Some(path) = &arguments.token_file {
        command.arg("--token-file").arg(absolute(path));
    }
    for (option, wanted) in [
        ("--allow-sql", arguments.allow_sql),
        ("--legacy-sse", arguments.legacy_sse),
    ] {
        if wanted {
            command.arg(option);
        }
    }
    Ok(command)
}

/// Resolves when the process ends. Polled: the recorder has nothing else to wait for, and a signal for a child would be
/// delivered to the whole program.
async fn ended(server: &mut Child) {
    let mut pulse = tokio::time::interval(std::time::Duration::from_millis(200));
    loop {
        pulse.tick().await;
        if !matches!(server.try_wait(), Ok(None)) {
            return;
        }
    }
}

fn end_server(server: &mut Child) {
    if let Ok(pid) = i32::try_from(server.id())
        && matches!(server.try_wait(), Ok(None))
    {
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid),
            nix::sys::signal::Signal::SIGTERM,
        );
    }
    let _ = server.wait();
}

/// What a person pastes into a client. The token itself is not told: the lines read it from its file.
fn paste_this(settings: &SessionSettings, arguments: &ServeArguments) -> String {
    let address = address_to_ask(arguments);
    let url = format!("http://{address}/mcp");
    let program = std::env::current_exe().map_or_else(
        |_| "headwater".to_owned(),
        |path| path.display().to_string(),
    );
    let store = settings.store.display();
    let stdio = serde_json::json!({
        "mcpServers": { "headwater": { "command": program, "args": ["--db", settings.store.display().to_string(), "mcp"] } }
    });
    let read = arguments
        .token_file
        .as_ref()
        .map(|path| format!("$(cat '{}')", absolute(path).display()));
    let for_token = |words: fn(&str) -> String| read.as_deref().map_or_else(String::new, words);
    let header = for_token(|read| format!(" --header \"Authorization: Bearer {read}\""));
    let in_shell =
        for_token(|read| format!(",\"headers\":{{\"Authorization\":\"Bearer '\"{read}\"'\"}}"));
    let in_file = for_token(|_| ",\"headers\":{\"Authorization\":\"Bearer TOKEN\"}".to_owned());
    let variable = for_token(|_| " --bearer-token-env-var HEADWATER_TOKEN".to_owned());
    let written = for_token(|_| " --token-env HEADWATER_TOKEN".to_owned());
    format!(
        "\nFor people:       http://{address}/ui\n\nPaste one of these into your client.\n\n\
         Claude Code:      claude mcp add --transport http headwater {url}{header}\n\
         VS Code:          code --add-mcp '{{\"name\":\"headwater\",\"type\":\"http\",\"url\":\"{url}\"{in_shell}}}'\n\
         Codex:            codex mcp add headwater --url {url}{variable}\n\
         Gemini CLI:       gemini mcp add --transport http headwater {url}{header}\n\
         Cursor, others:   {{\"mcpServers\":{{\"headwater\":{{\"url\":\"{url}\"{in_file}}}}}}}\n\
         Over stdio:       {stdio}\n\n\
         Or have it written: {program} mcp install --client CLIENT --url {url}{written}\n\
         Or ask from a shell: {program} --db {store} status\n"
    )
}

/// The address that a client on this machine asks: one that stands for all addresses is none to connect to.
fn address_to_ask(arguments: &ServeArguments) -> SocketAddr {
    let mut address = arguments
        .listen
        .iter()
        .find_map(|text| text.parse().ok())
        .unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)));
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv6Addr::LOCALHOST.into()
        });
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::record::HeaderArguments;

    fn serving(listen: &[&str], token_file: Option<&str>) -> ServeArguments {
        ServeArguments {
            listen: listen.iter().map(|text| (*text).to_owned()).collect(),
            allowed_host: Vec::new(),
            allowed_origin: Vec::new(),
            token_file: token_file.map(Into::into),
            allow_sql: false,
            legacy_sse: false,
            until_input_ends: false,
        }
    }

    #[test]
    fn paths_for_the_server_are_absolute() {
        let arguments = serving(&["127.0.0.1:0"], Some("token"));
        let command = server_command(Path::new("x.db"), &arguments).unwrap();
        let here = std::env::current_dir().unwrap();
        let told: Vec<_> = command.get_args().collect();
        for name in ["x.db", "token"] {
            assert!(told.contains(&here.join(name).as_os_str()), "{told:?}");
        }
    }

    #[test]
    fn the_server_is_told_what_is_served() {
        let told = |arguments: &ServeArguments| {
            let command = server_command(Path::new("x.db"), arguments).unwrap();
            let words = ["--allow-sql", "--legacy-sse"];
            words.map(|word| command.get_args().any(|told| told == word))
        };
        let mut arguments = serving(&[], None);
        assert_eq!(told(&arguments), [false, false]);
        (arguments.allow_sql, arguments.legacy_sse) = (true, true);
        assert_eq!(told(&arguments), [true, true]);
    }

    #[test]
    fn clients_are_told_an_address_that_can_be_asked() {
        for (listen, expected) in [
            (&[][..], "127.0.0.1:7171"),
            (&["0.0.0.0:80"], "127.0.0.1:80"),
            (&["[::]:80"], "[::1]:80"),
            (&["10.1.2.3:80", "0.0.0.0:81"], "10.1.2.3:80"),
        ] {
            let told = address_to_ask(&serving(listen, None)).to_string();
            assert_eq!(told, expected);
        }
    }

    #[test]
    fn pasted_lines_show_the_token_that_the_server_asks_for() {
        let record = RecordArguments::for_replay(&HeaderArguments::default(), None);
        let settings = super::super::settings::session_settings(Some(Path::new("/x.db")), &record);
        let settings = settings.unwrap();
        let plain = paste_this(&settings, &serving(&[], None));
        assert!(
            !plain.contains("Bearer") && !plain.contains("token"),
            "{plain}"
        );
        let told = paste_this(&settings, &serving(&[], Some("/token")));
        assert_eq!(told.matches("$(cat '/token')").count(), 3, "{told}");
        assert!(told.contains("--bearer-token-env-var"), "{told}");
    }
}
