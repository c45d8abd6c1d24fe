//! Proxies and API gateways, by their program or by what they say of themselves in header fields.
//!
//! Owns: the names. Whether such a program forwards anything is seen by who asks: nginx also serves files.

/// The gateway that a program is.
pub(crate) fn of_program(executable_name: &str) -> Option<&'static str> {
    // Versions and the like follow, as in `traefik-v3`; the kernel cuts names at 15 bytes.
    let name = executable_name.to_ascii_lowercase();
    let is_named = |known: &str| {
        name.strip_prefix(known).is_some_and(|rest| {
            rest.is_empty() || !rest.starts_with(|next: char| next.is_ascii_alphanumeric())
        })
    };
    PROGRAMS
        .into_iter()
        .find(|(known, _)| is_named(known))
        .map(|(_, gateway)| gateway)
}

/// The gateway that header fields of an answer name: names and values, as they are stored.
pub(crate) fn of_headers<'f>(
    fields: impl IntoIterator<Item = (&'f str, &'f str)>,
) -> Option<&'static str> {
    let mut found = None;
    for (name, value) in fields {
        let (name, value) = (name.to_ascii_lowercase(), value.to_ascii_lowercase());
        let own = HEADERS
            .into_iter()
            .find(|(known, _)| name.starts_with(known))
            .map(|(_, gateway)| gateway);
        let said = matches!(name.as_str(), "server" | "via" | "x-powered-by").then(|| {
            SAID.into_iter().find(|known| {
                value
                    .split(|c: char| !c.is_ascii_alphanumeric())
                    .any(|word| word == *known)
            })
        });
        // What only such a program sends says more than what any may say.
        match (own, said.flatten()) {
            (Some(own), _) => return Some(own),
            (None, Some(said)) => found = found.or(Some(said)),
            (None, None) => {}
        }
    }
    found
}

/// Whether a gateway runs as another's program: what its answers say of it is more than the program's name, unless it hands
/// that on.
pub(crate) fn is_built_on(says: &str, program: &str) -> bool {
    matches!(program, "nginx" | "openresty")
        && matches!(says, "kong" | "apisix" | "openresty")
        && says != program
}

const PROGRAMS: [(&str, &str); 16] = [
    ("nginx", "nginx"),
    ("openresty", "openresty"),
    ("haproxy", "haproxy"),
    ("caddy", "caddy"),
    ("envoy", "envoy"),
    ("traefik", "traefik"),
    ("kong", "kong"),
    ("apisix", "apisix"),
    ("apinto", "apinto"),
    ("apipark", "apipark"),
    ("nghttpx", "nghttpx"),
    ("varnishd", "varnish"),
    ("squid", "squid"),
    ("tyk", "tyk"),
    ("krakend", "krakend"),
    ("linkerd2-proxy", "linkerd"),
];
/// Beginnings of names of header fields.
const HEADERS: [(&str, &str); 5] = [
    ("x-kong-", "kong"),
    ("x-envoy-", "envoy"),
    ("x-apisix-", "apisix"),
    ("apinto-", "apinto"),
    ("x-krakend", "krakend"),
];
/// Words of `Server` and `Via`.
const SAID: [&str; 12] = [
    "kong",
    "envoy",
    "apisix",
    "apinto",
    "apipark",
    "openresty",
    "caddy",
    "varnish",
    "squid",
    "haproxy",
    "traefik",
    "nghttpx",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_program_and_by_headers() {
        for (program, expected) in [
            ("nginx", Some("nginx")),
            ("traefik-v3", Some("traefik")),
            ("nginxish", None),
            ("python3.11", None),
        ] {
            assert_eq!(of_program(program), expected, "{program}");
        }
        for (fields, expected) in [
            (&[("Server", "kong/3.4.0")][..], Some("kong")),
            (
                &[
                    ("via", "1.1 varnish (Varnish/7)"),
                    ("x-envoy-upstream-service-time", "3"),
                ],
                Some("envoy"),
            ),
            (&[("server", "nginx/1.22")], None),
            (&[("x-note", "kong")], None),
        ] {
            assert_eq!(of_headers(fields.iter().copied()), expected, "{fields:?}");
        }
        assert!(is_built_on("kong", "nginx"));
        assert!(!is_built_on("envoy", "nginx"));
        assert!(!is_built_on("kong", "haproxy"));
    }
}
