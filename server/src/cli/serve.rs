//! `mcp` and `serve`: the MCP server, unprivileged, over stdio or HTTP.

use std::{net::SocketAddr, path::Path};

use clap::Args;
use headwater_mcp::HttpOptions;
use headwater_query::Store;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{
    Exit,
    output::{say, say_error},
};
use crate::paths::store_of;

/// The port when none is named: unassigned at IANA, and easy to remember.
pub(super) const PORT: u16 = 7171;

/// Where and to whom MCP is served.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServeArguments {
    /// Address and port to listen on (repeatable) [default: 127.0.0.1:7171 and [::1]:7171]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(super) listen: Vec<String>,
    /// Host name that requests may name besides loopback's, behind a proxy for example (repeatable)
    #[arg(long, value_name = "HOST")]
    pub(super) allowed_host: Vec<String>,
    /// Origin of web pages that may ask besides loopback's: scheme, host and port, :* for any port (repeatable)
    #[arg(long, value_name = "ORIGIN")]
    pub(super) allowed_origin: Vec<String>,
    /// File with the bearer token that clients must show; needed to listen on anything but loopback
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<std::path::PathBuf>,
    /// Answer SQL too (query_sql), which is off where several may ask
    #[arg(long)]
    pub(super) allow_sql: bool,
    /// Serve the deprecated HTTP+SSE transport too, at /sse, for clients that know no Streamable HTTP
    #[arg(long)]
    pub(super) legacy_sse: bool,
    /// End when standard input does: how `up` sees to it that the server does not outlive it, however it ends
    #[arg(long, hide = true)]
    pub(super) until_input_ends: bool,
}

/// What the arguments come to.
pub(super) struct Checked {
    addresses: Vec<SocketAddr>,
    /// Whether a taken or missing address is only worth a word: the defaults.
    lenient: bool,
    token: Option<String>,
}

/// Checks all of it, and says all mistakes.
pub(super) fn checked(arguments: &ServeArguments) -> Result<Checked, Vec<String>> {
    let mut mistakes = Vec::new();
    let mut addresses = Vec::new();
    for text in &arguments.listen {
        match text.parse::<SocketAddr>() {
            Ok(address) => addresses.push(address),
            Err(_) => mistakes.push(format!(
                "--listen {text:?}: expected ADDRESS:PORT such as 127.0.0.1:7171 or [::1]:7171"
            )),
        }
    }
    let lenient = arguments.listen.is_empty();
    if lenient {
        addresses = vec![
            SocketAddr::from(([127, 0, 0, 1], PORT)),
            SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, PORT)),
        ];
    }
    for host in &arguments.allowed_host {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        if host.is_empty() || !host.bytes().all(good) {
            mistakes.push(format!(
                "--allowed-host {host:?}: expected a host name or address, with :PORT perhaps, such as tools.example"
            ));
        }
    }
    for origin in &arguments.allowed_origin {
        let host = ["http://", "https://"]
            .iter()
            .find_map(|scheme| origin.strip_prefix(scheme));
        if host.is_none_or(|host| host.is_empty() || host.contains(['/', ' '])) {
            mistakes.push(format!(
                "--allowed-origin {origin:?}: expected scheme, host and port without a path, such as https://tools.example"
            ));
        }
    }
    let token =
        arguments
            .token_file
            .as_ref()
            .and_then(|path| match std::fs::read_to_string(path) {
                Ok(text) if text.trim().len() >= 16 => Some(text.trim().to_owned()),
                Ok(_) => {
                    mistakes.push(format!(
                        "--token-file {}: expected a token of at least 16 characters",
                        path.display()
                    ));
                    None
                }
                Err(error) => {
                    mistakes.push(format!("--token-file {}: {error}", path.display()));
                    None
                }
            });
    let exposed = addresses.iter().find(|address| !address.ip().is_loopback());
    if let Some(exposed) = exposed.filter(|_| arguments.token_file.is_none()) {
        mistakes.push(format!(
            "--listen {exposed}: others than this machine can reach that; name a --token-file too"
        ));
    }
    if mistakes.is_empty() {
        Ok(Checked {
            addresses,
            lenient,
            token,
        })
    } else {
        Err(mistakes)
    }
}

/// MCP over stdio until the client goes away.
pub(super) fn stdio(db: Option<&Path>) -> Exit {
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    else {
        return Exit::Failed;
    };
    let store = Store::new(&store_of(db));
    match runtime.block_on(headwater_mcp::serve_stdio(store, env!("CARGO_PKG_VERSION"))) {
        Ok(()) => Exit::Done,
        Err(error) => {
            say_error(&error);
            Exit::Failed
        }
    }
}

/// MCP over HTTP until SIGINT or SIGTERM.
pub(super) fn http(db: Option<&Path>, arguments: &ServeArguments) -> Exit {
    let checked = match checked(arguments) {
        Ok(checked) => checked,
        Err(mistakes) => {
            for mistake in &mistakes {
                say(mistake);
            }
            return Exit::Usage;
        }
    };
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    else {
        return Exit::Failed;
    };
    runtime.block_on(serve(&store_of(db), arguments, checked))
}

async fn serve(store: &Path, arguments: &ServeArguments, checked: Checked) -> Exit {
    let mut listeners = Vec::new();
    for address in &checked.addresses {
        match tokio::net::TcpListener::bind(address).await {
            Ok(listener) => listeners.push(listener),
            Err(error) if checked.lenient && address.is_ipv6() => {
                tracing::info!(%address, %error, "not listening there");
            }
            Err(error) => {
                say(&format!(
                    "cannot listen on {address}: {error}; name another with --listen ADDR:PORT"
                ));
                return Exit::Unavailable;
            }
        }
    }
    for listener in &listeners {
        if let Ok(address) = listener.local_addr() {
            say(&format!(
                "serving MCP at http://{address}/mcp from {}",
                store.display()
            ));
            if arguments.legacy_sse {
                say(&format!(
                    "serving the deprecated HTTP+SSE transport too, at http://{address}/sse"
                ));
            }
        }
    }
    let shutdown = CancellationToken::new();
    let told = shutdown.clone();
    tokio::spawn(async move {
        if let (Ok(mut interrupt), Ok(mut terminate)) = (
            signal(SignalKind::interrupt()),
            signal(SignalKind::terminate()),
        ) {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        }
        told.cancel();
    });
    if arguments.until_input_ends {
        let told = shutdown.clone();
        // A thread that nobody waits for: a read of standard input cannot be given up.
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            told.cancel();
        });
    }
    let options = HttpOptions {
        allowed_hosts: arguments.allowed_host.clone(),
        allowed_origins: arguments.allowed_origin.clone(),
        token: checked.token,
        allow_sql: arguments.allow_sql,
        legacy_sse: arguments.legacy_sse,
        ..HttpOptions::default()
    };
    match headwater_mcp::serve_http(
        listeners,
        Store::new(store),
        env!("CARGO_PKG_VERSION"),
        options,
        shutdown,
    )
    .await
    {
        Ok(()) => Exit::Done,
        Err(error) => {
            say_error(&error);
            Exit::Failed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_told_at_once() {
        let arguments = ServeArguments {
            listen: vec!["nowhere".to_owned(), "192.0.2.1:80".to_owned()],
            allowed_host: vec!["a b".to_owned(), "tools.example:8443".to_owned()],
            allowed_origin: vec![
                "tools.example".to_owned(),
                "https://tools.example".to_owned(),
            ],
            token_file: None,
            allow_sql: false,
            legacy_sse: false,
            until_input_ends: false,
        };
        let mistakes = checked(&arguments).err().unwrap_or_default();
        let wrong = ["nowhere", "a b", "\"tools.example\"", "192.0.2.1:80"];
        assert_eq!(mistakes.len(), wrong.len(), "{mistakes:?}");
        for (mistake, wrong) in mistakes.iter().zip(wrong) {
            assert!(mistake.contains(wrong), "{mistake}");
        }
    }
}
