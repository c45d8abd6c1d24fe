//! The built-in allow-lists: data only.
//!
//! Left out on purpose, because they name a person or a device or open a door: request ids, `from`, `x-real-ip` and
//! its like, `content-disposition` (file names), `content-security-policy` (nonces), `sec-websocket-key`
//! and `sec-websocket-protocol` (tokens are smuggled there), `grpc-message`, `last-event-id`, `dnt`-like lists of one
//! vendor, and every header of an identity proxy.

use super::Rule;
use crate::fields::TraceFormat;

/// No listed name is longer.
pub(super) const LONGEST_NAME: usize = 48;

/// Header names by rule, in lower case.
pub(super) const HEADERS: &[(Rule, &[&str])] = &[
    (Rule::Words, NEGOTIATION),
    (Rule::Words, CONNECTION),
    (Rule::Words, CLIENT),
    (Rule::Words, SERVER),
    (Rule::Words, CACHING),
    (Rule::Words, CROSS_ORIGIN),
    (Rule::Words, GRPC),
    (
        Rule::Date,
        &[
            "date",
            "expires",
            "if-modified-since",
            "if-unmodified-since",
            "last-modified",
            "retry-after",
            "sunset",
        ],
    ),
    (Rule::Number, NUMBERS),
    (Rule::Varying, VARYING),
    (Rule::Url, URLS),
    (Rule::Link, &["link"]),
    (
        Rule::Hosts,
        &[
            "host",
            "x-forwarded-host",
            "x-forwarded-server",
            "x-original-host",
            ":authority",
        ],
    ),
    (Rule::Cookie, &["cookie"]),
    (Rule::SetCookie, &["set-cookie"]),
    (
        Rule::Credentials,
        &[
            "authorization",
            "proxy-authorization",
            "x-authorization",
            "x-forwarded-authorization",
        ],
    ),
    (
        Rule::Challenge,
        &[
            "authentication-info",
            "proxy-authenticate",
            "proxy-authentication-info",
            "www-authenticate",
        ],
    ),
    (Rule::Addresses, ADDRESSES),
    (Rule::Forwarded, &["forwarded"]),
    (Rule::Trace(TraceFormat::W3c), &["traceparent"]),
    (Rule::Trace(TraceFormat::B3), &["b3"]),
    (
        Rule::Trace(TraceFormat::HexTrace),
        &["ot-tracer-traceid", "x-b3-traceid"],
    ),
    (
        Rule::Trace(TraceFormat::HexSpan),
        &["ot-tracer-spanid", "x-b3-spanid"],
    ),
    (Rule::Trace(TraceFormat::HexParent), &["x-b3-parentspanid"]),
    (Rule::Trace(TraceFormat::Jaeger), &["uber-trace-id"]),
    (
        Rule::Trace(TraceFormat::DecimalTrace),
        &["x-datadog-trace-id"],
    ),
    (
        Rule::Trace(TraceFormat::DecimalSpan),
        &["x-datadog-parent-id"],
    ),
    (Rule::Trace(TraceFormat::Aws), &["x-amzn-trace-id"]),
    (Rule::Trace(TraceFormat::Google), &["x-cloud-trace-context"]),
    (Rule::Trace(TraceFormat::SkyWalking), &["sw8"]),
    (Rule::Trace(TraceFormat::Sentry), &["sentry-trace"]),
    (Rule::Pairs, &["baggage", "tracestate"]),
];

const NEGOTIATION: &[&str] = &[
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-patch",
    "accept-post",
    "accept-ranges",
    "allow",
    "content-encoding",
    "content-language",
    "content-transfer-encoding",
    "content-type",
    "expect",
    "prefer",
    "preference-applied",
    "vary",
];

const CONNECTION: &[&str] = &[
    ":protocol",
    ":scheme",
    "alt-svc",
    "connection",
    "early-data",
    "keep-alive",
    "max-forwards",
    "mime-version",
    "priority",
    "proxy-connection",
    "sec-websocket-extensions",
    "sec-websocket-version",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "upgrade-insecure-requests",
    "via",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-forwarded-ssl",
    "x-http-method-override",
    "x-scheme",
];

const CLIENT: &[&str] = &[
    "device-memory",
    "dnt",
    "dpr",
    "ect",
    "mcp-method",
    "mcp-protocol-version",
    "purpose",
    "save-data",
    "sec-ch-prefers-color-scheme",
    "sec-ch-prefers-reduced-motion",
    "sec-ch-ua",
    "sec-ch-ua-arch",
    "sec-ch-ua-bitness",
    "sec-ch-ua-form-factors",
    "sec-ch-ua-full-version",
    "sec-ch-ua-full-version-list",
    "sec-ch-ua-mobile",
    "sec-ch-ua-model",
    "sec-ch-ua-platform",
    "sec-ch-ua-platform-version",
    "sec-ch-ua-wow64",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-fetch-user",
    "sec-gpc",
    "sec-purpose",
    "user-agent",
    "x-requested-with",
];

const SERVER: &[&str] = &[
    "accept-ch",
    "critical-ch",
    "deprecation",
    "permissions-policy",
    "proxy-status",
    "referrer-policy",
    "server",
    "strict-transport-security",
    "x-aspnet-version",
    "x-aspnetmvc-version",
    "x-content-type-options",
    "x-dns-prefetch-control",
    "x-download-options",
    "x-frame-options",
    "x-generator",
    "x-permitted-cross-domain-policies",
    "x-powered-by",
    "x-robots-tag",
    "x-served-by",
    "x-ua-compatible",
    "x-xss-protection",
];

const CACHING: &[&str] = &[
    "cache-control",
    "cache-status",
    "cdn-cache-control",
    "cf-cache-status",
    "clear-site-data",
    "pragma",
    "surrogate-control",
    "x-accel-buffering",
    "x-cache",
    "x-cache-status",
    "x-proxy-cache",
];

const CROSS_ORIGIN: &[&str] = &[
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-private-network",
    "access-control-expose-headers",
    "access-control-max-age",
    "access-control-request-headers",
    "access-control-request-method",
    "access-control-request-private-network",
    "cross-origin-embedder-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "origin-agent-cluster",
    "timing-allow-origin",
];

const GRPC: &[&str] = &["grpc-accept-encoding", "grpc-encoding", "grpc-status"];

const NUMBERS: &[&str] = &[
    "age",
    "content-length",
    "downlink",
    "grpc-timeout",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "rtt",
    "upload-offset",
    "x-cache-hits",
    "x-envoy-upstream-service-time",
    "x-rate-limit-limit",
    "x-rate-limit-remaining",
    "x-rate-limit-reset",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-ratelimit-used",
    "x-response-time",
    "x-runtime",
    "x-total-count",
];

/// Entity tags can track a client: token-shaped ones are hashed.
const VARYING: &[&str] = &[
    "content-range",
    "etag",
    "if-match",
    "if-none-match",
    "if-range",
    "range",
    "ratelimit",
    "ratelimit-policy",
    "server-timing",
    "x-ratelimit-policy",
    "x-ratelimit-resource",
];

const URLS: &[&str] = &[
    "access-control-allow-origin",
    "content-location",
    "destination",
    "hx-current-url",
    "hx-redirect",
    "location",
    "origin",
    "referer",
    "sourcemap",
    "x-accel-redirect",
    "x-envoy-original-path",
    "x-forwarded-prefix",
    "x-forwarded-uri",
    "x-original-uri",
    "x-original-url",
    "x-rewrite-url",
];

const ADDRESSES: &[&str] = &[
    "cf-connecting-ip",
    "client-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-forwarded-for",
    "x-original-forwarded-for",
    "x-real-ip",
];
