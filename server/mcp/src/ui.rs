//! The page for people: what `find_errors`, `list_services` and `trace_transaction` answer, drawn.
//!
//! Owns: the one document, self-contained, that is served at `/ui` and read as an MCP App (`ui://`), the policy that it is
//! served under, and what tells a client of it. The document holds no data: it calls the tools as any client does, at `/mcp`
//! or through the host that shows it.

use std::{collections::BTreeMap, sync::LazyLock};

use axum::{
    Router,
    http::{HeaderName, header},
    response::Redirect,
    routing::get,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use rmcp::{
    RoleServer,
    model::{ExtensionCapabilities, MetaObject, Resource, ResourceContents, Tool as ToolModel},
    service::RequestContext,
};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::Tool;

/// Where it is served to browsers.
pub(crate) const PATH: &str = "/ui";
/// Where clients read it that show MCP Apps.
pub(crate) const URI: &str = "ui://headwater/page";
const KIND: &str = "text/html;profile=mcp-app";
const EXTENSION: &str = "io.modelcontextprotocol/ui";

/// The tools whose answers it draws.
const TOOLS: [Tool; 4] = [
    Tool::ExplainFailure,
    Tool::FindErrors,
    Tool::ListServices,
    Tool::TraceTransaction,
];

const FRAME: &str = include_str!("../ui/page.html");
const STYLE: &str = include_str!("../ui/page.css");
const SCRIPT: &str = concat!(
    include_str!("../ui/elements.js"),
    include_str!("../ui/calls.js"),
    include_str!("../ui/answers.js"),
    include_str!("../ui/errors.js"),
    include_str!("../ui/map.js"),
    include_str!("../ui/transaction.js"),
    include_str!("../ui/page.js"),
);

static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    FRAME
        .replace("/* style */", STYLE)
        .replace("/* script */", SCRIPT)
});

/// Nothing but this very script and this very style; requests to this server alone; no HTML made of text.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src data:; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
});

/// Whether a path is the page's own. It holds no data, and a browser shows no token when somebody types an address: it is
/// served to whoever may ask at all, asks for the token itself, and shows it with each call.
pub(crate) fn is_page(path: &str) -> bool {
    path == PATH || path.strip_suffix('/') == Some(PATH)
}

/// The page, for browsers.
pub(crate) fn router() -> Router {
    const HEADERS: [(HeaderName, &str); 6] = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    let page = || async {
        let policy = [(header::CONTENT_SECURITY_POLICY, POLICY.as_str())];
        (HEADERS, policy, DOCUMENT.as_str())
    };
    Router::new()
        .route(PATH, get(page))
        // Relative, for a proxy may serve all of this below a path of its own.
        .route("/ui/", get(|| async { Redirect::permanent("../ui") }))
}

/// What the server tells of the extension.
pub(crate) fn extensions() -> ExtensionCapabilities {
    BTreeMap::from([(EXTENSION.to_owned(), Map::new())])
}

/// Whether a client said that it shows such documents. Others are told nothing of it.
pub(crate) fn is_shown_by(context: &RequestContext<RoleServer>) -> bool {
    context
        .client_capabilities()
        .and_then(|capabilities| capabilities.extensions)
        .as_ref()
        .and_then(|extensions| extensions.get(EXTENSION)?.get("mimeTypes")?.as_array())
        .is_some_and(|kinds| kinds.iter().any(|kind| kind == KIND))
}

/// A tool, with the document that draws its answers.
pub(crate) fn drawn(tool: Tool, model: ToolModel) -> ToolModel {
    if TOOLS.contains(&tool) {
        model.with_meta(meta(json!({ "resourceUri": URI })))
    } else {
        model
    }
}

/// The document in the list of resources.
pub(crate) fn resource() -> Resource {
    Resource::new(URI, "page")
        .with_title("Error groups, service map and transaction waterfall")
        .with_description("Draws the answers of find_errors, list_services, trace_transaction and explain_failure")
        .with_mime_type(KIND)
        .with_meta(wishes())
}

/// The document itself.
pub(crate) fn contents() -> ResourceContents {
    ResourceContents::text(DOCUMENT.as_str(), URI)
        .with_mime_type(KIND)
        .with_meta(wishes())
}

/// It asks nobody but its host.
fn wishes() -> MetaObject {
    let none: [&str; 0] = [];
    meta(json!({
        "csp": { "connectDomains": none, "resourceDomains": none, "frameDomains": none, "baseUriDomains": none },
        "prefersBorder": true
    }))
}

fn meta(ui: Value) -> MetaObject {
    MetaObject(Map::from_iter([("ui".to_owned(), ui)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_small_and_makes_no_html_of_text() {
        assert!(DOCUMENT.len() < 60 << 10, "{} bytes", DOCUMENT.len());
        for part in [
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            "Function(",
            "createContextualFragment",
            "DOMParser",
            "</script",
            "<!--",
            "http:",
            "https:",
            "import ",
        ] {
            // Where the namespace of SVG is named.
            let found = SCRIPT
                .replace("http://www.w3.org/2000/svg", "")
                .contains(part);
            assert!(!found, "{part}");
        }
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import") && !STYLE.contains('<'));
        assert_eq!(DOCUMENT.matches("<script>").count(), 1);
        assert_eq!(DOCUMENT.matches("</script>").count(), 1);
        for handler in [" onclick", " onload", " onerror", " style=", " src="] {
            assert!(!FRAME.contains(handler), "{handler}");
        }
    }
}
