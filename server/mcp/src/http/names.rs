//! Which names in Host and Origin are this server's, against pages that reach it under another (DNS rebinding).
//!
//! Owns: the two lists, and what matches an entry. Ports of hosts matter only where an entry names one; an origin's always
//! do, since a browser means them.

use axum::http::{Uri, uri::Authority};

/// Names of this machine in the Host header.
const LOOPBACK_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// Origins of pages on this machine.
const LOOPBACK_ORIGINS: [&str; 3] = ["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"];

/// Both lists.
#[derive(Debug)]
pub(super) struct Names {
    hosts: Vec<Host>,
    origins: Vec<Origin>,
}

#[derive(Debug)]
struct Host {
    name: String,
    /// Any, when none.
    port: Option<u16>,
}

#[derive(Debug)]
struct Origin {
    scheme: String,
    name: String,
    /// Any, when none.
    port: Option<u16>,
}

impl Names {
    /// Loopback's, and these. An entry that cannot be read lets nobody in.
    pub(super) fn new(hosts: &[String], origins: &[String]) -> Self {
        let hosts = LOOPBACK_HOSTS
            .into_iter()
            .chain(hosts.iter().map(String::as_str));
        let origins = LOOPBACK_ORIGINS
            .into_iter()
            .chain(origins.iter().map(String::as_str));
        Self {
            hosts: hosts.map(Host::allowed).collect(),
            origins: origins.filter_map(Origin::allowed).collect(),
        }
    }

    /// `None` when that is no host at all.
    pub(super) fn has_host(&self, host: &str) -> Option<bool> {
        let told = Host::told(host)?;
        Some(self.hosts.iter().any(|allowed| {
            allowed.name == told.name && (allowed.port.is_none() || allowed.port == told.port)
        }))
    }

    pub(super) fn has_origin(&self, origin: &str) -> bool {
        let Some(told) = Origin::told(origin) else {
            return false;
        };
        self.origins.iter().any(|allowed| {
            allowed.scheme == told.scheme
                && allowed.name == told.name
                && (allowed.port.is_none() || allowed.port == told.port)
        })
    }
}

impl Host {
    fn allowed(entry: &str) -> Self {
        // An IPv6 address needs no brackets here.
        Self::told(entry).unwrap_or_else(|| Self {
            name: plain(entry),
            port: None,
        })
    }

    fn told(host: &str) -> Option<Self> {
        let authority = Authority::try_from(host).ok()?;
        (!host.contains('@')).then(|| Self {
            name: plain(authority.host()),
            port: authority.port_u16(),
        })
    }
}

impl Origin {
    fn allowed(entry: &str) -> Option<Self> {
        match entry.strip_suffix(":*") {
            Some(rest) => Self::told(rest).map(|origin| Self {
                port: None,
                ..origin
            }),
            None => Self::told(entry),
        }
    }

    /// `null` is the origin of pages that have none: nobody's.
    fn told(origin: &str) -> Option<Self> {
        let uri = Uri::try_from(origin).ok()?;
        let (scheme, authority) = (uri.scheme_str()?.to_ascii_lowercase(), uri.authority()?);
        let usual = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        Some(Self {
            scheme,
            name: plain(authority.host()),
            port: Some(authority.port_u16().unwrap_or(usual)),
        })
    }
}

fn plain(name: &str) -> String {
    name.trim_matches(['[', ']']).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_origins_that_are_let_in() {
        let names = Names::new(
            &["Tools.example".to_owned(), "proxy.example:8443".to_owned()],
            &[
                "https://tools.example".to_owned(),
                "https://any.example:*".to_owned(),
            ],
        );
        for (host, expected) in [
            ("localhost", Some(true)),
            ("LOCALHOST:7171", Some(true)),
            ("127.0.0.1:7171", Some(true)),
            ("[::1]:7171", Some(true)),
            ("tools.example:80", Some(true)),
            ("proxy.example:8443", Some(true)),
            ("proxy.example", Some(false)),
            ("evil.example", Some(false)),
            ("localhost.evil.example", Some(false)),
            ("127.0.0.1.evil.example", Some(false)),
            ("evil@localhost", None),
            ("a b", None),
            ("", None),
        ] {
            assert_eq!(names.has_host(host), expected, "{host}");
        }
        for (origin, expected) in [
            ("http://localhost:5173", true),
            ("http://[::1]", true),
            ("https://localhost", false),
            ("https://tools.example", true),
            ("https://tools.example:443", true),
            ("https://tools.example:444", false),
            ("http://tools.example", false),
            ("https://any.example:9", true),
            ("http://localhost.evil.example", false),
            ("null", false),
            ("", false),
        ] {
            assert_eq!(names.has_origin(origin), expected, "{origin}");
        }
    }
}
