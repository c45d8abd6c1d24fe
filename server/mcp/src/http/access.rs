//! Who is let in, on every route: by the Host asked for, by the Origin of the page that asks, by the token shown. Without the
//! token there is the page for people alone, which holds no data.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{HttpOptions, names::Names};
use crate::ui;

/// What a request has to show.
#[derive(Debug)]
pub(super) struct Access {
    names: Names,
    token: Option<String>,
}

impl Access {
    pub(super) fn new(options: &HttpOptions) -> Self {
        Self {
            names: Names::new(&options.allowed_hosts, &options.allowed_origins),
            token: options.token.clone(),
        }
    }

    fn refusal(&self, request: &Request) -> Option<Response> {
        let headers = request.headers();
        // A target in absolute form names a host too; both must be this server's.
        let target = request.uri().authority().map(|named| Ok(named.as_str()));
        let hosts = headers.get_all(header::HOST).iter();
        let hosts: Vec<_> = hosts.map(|host| host.to_str()).chain(target).collect();
        if hosts.is_empty() {
            return Some((StatusCode::BAD_REQUEST, "the request has no Host\n").into_response());
        }
        for host in hosts {
            match host.ok().and_then(|host| self.names.has_host(host)) {
                Some(true) => {}
                Some(false) => {
                    let told = "this Host is not this server's; whoever runs it can allow it (--allowed-host)\n";
                    return Some((StatusCode::FORBIDDEN, told).into_response());
                }
                None => {
                    let told = "Host: expected a name or an address, with :PORT perhaps\n";
                    return Some((StatusCode::BAD_REQUEST, told).into_response());
                }
            }
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        if !origins.all(|origin| {
            origin
                .to_str()
                .is_ok_and(|told| self.names.has_origin(told))
        }) {
            let told = "pages of this Origin may not ask; whoever runs the server can allow it (--allowed-origin)\n";
            return Some((StatusCode::FORBIDDEN, told).into_response());
        }
        if ui::is_page(request.uri().path()) {
            return None;
        }
        // A page may have a browser load something without telling its origin; that it is another's is told all the same (Fetch
        // Metadata Request Headers).
        let site = headers
            .get("sec-fetch-site")
            .map(axum::http::HeaderValue::as_bytes);
        let is_others = matches!(site, Some(b"cross-site" | b"same-site"));
        if is_others && !headers.contains_key(header::ORIGIN) {
            let told = "pages of other sites may not load this\n";
            return Some((StatusCode::FORBIDDEN, told).into_response());
        }
        let token = self.token.as_deref()?;
        (!shows(headers, token)).then(|| {
            let told = "show the bearer token of --token-file\n";
            let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
            (StatusCode::UNAUTHORIZED, challenge, told).into_response()
        })
    }
}

/// Passes on what may pass.
pub(super) async fn let_in(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Response {
    match access.refusal(&request) {
        Some(refusal) => {
            tracing::debug!(status = %refusal.status(), "a request was refused");
            refusal
        }
        None => next.run(request).await,
    }
}

/// Compares in a time that does not depend on where the two differ.
fn shows(headers: &HeaderMap, token: &str) -> bool {
    let shown = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    shown.len() == token.len()
        && shown
            .bytes()
            .zip(token.bytes())
            .fold(0, |difference, (a, b)| difference | (a ^ b))
            == 0
}
