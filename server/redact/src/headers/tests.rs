//! Round trips of the encoding, what goes where, and damaged input.

use super::{
    Captured, HeaderBlock, HeaderField, Identifier, IdentifierKind, header_names, identifiers,
    render_headers,
};
use crate::{Key, Policy, Redactor};

fn block(fields: &[(&str, &str)]) -> HeaderBlock {
    let policy = Policy {
        keep_headers: vec!["X-Request-Id".into()],
        ..Policy::default()
    };
    let mut out = HeaderBlock::default();
    let fields = fields
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    Redactor::new(&Key([3; 32]), &policy).headers(fields, &mut out);
    out
}

fn rendered(block: &HeaderBlock) -> Vec<(String, String)> {
    let show = |field: HeaderField| (field.name, field.value.text);
    render_headers(&block.template, &block.holes)
        .into_iter()
        .map(show)
        .collect()
}

const HARMLESS: &[(&str, &str)] = &[
    ("Host", "example.com:8080"),
    (
        "User-Agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0",
    ),
    (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ),
    ("Accept-Language", "en-US,en;q=0.5"),
    ("Accept-Encoding", "gzip, deflate, br"),
    ("Connection", "keep-alive"),
    ("Keep-Alive", "timeout=5, max=100"),
    ("Content-Type", "text/html; charset=utf-8"),
    ("Content-Length", "1234"),
    ("content-length", "007"),
    ("Date", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ("Last-Modified", "Sunday, 06-Nov-94 08:49:37 GMT"),
    ("Expires", "-1"),
    ("ETag", "W/\"65b1c2d0-267\""),
    ("Server", "nginx/1.22.1"),
    (
        "Cache-Control",
        "public, max-age=31536000, no-cache=\"Set-Cookie\"",
    ),
    ("Vary", "Accept-Encoding, Cookie, Authorization"),
    (
        "Strict-Transport-Security",
        "max-age=63072000; includeSubDomains",
    ),
    (
        "Location",
        "https://example.com/users/42/edit?page=2&sort=name",
    ),
    (
        "Link",
        "<https://example.com/list?page=3>; rel=\"next\", </a>; rel=\"last\"",
    ),
    ("Range", "bytes=0-499,1000-"),
    ("Content-Range", "bytes 0-499/1234"),
    (
        "Sec-CH-UA",
        "\"Chromium\";v=\"120\", \"Not?A_Brand\";v=\"8\"",
    ),
    ("Server-Timing", "db;dur=53.2, cache;desc=\"read\";dur=23"),
    ("Alt-Svc", "h3=\":443\"; ma=86400"),
    ("Access-Control-Allow-Origin", "*"),
    ("X-Request-Id", "whatever it is, q7Zk0xYbT2mN9vLsR4cWd8"),
    ("X-Empty", ""),
    ("", "nameless"),
];

#[test]
fn harmless_fields_come_back_as_they_were() {
    let block = block(HARMLESS);
    let fields = render_headers(block.template(), block.holes());
    for (field, (name, value)) in fields.iter().zip(HARMLESS) {
        if !name.is_empty() {
            assert_eq!(
                (&*field.name, &*field.value.text, field.value.redacted),
                (*name, *value, false)
            );
        }
    }
    assert_eq!(fields.len(), HARMLESS.len());
    // Names need no holes.
    let names = header_names(block.template());
    assert!(names.eq(fields.iter().map(|field| &*field.name)));
}

#[test]
fn what_varies_leaves_the_template_alone() {
    let long = "x".repeat(300);
    let message = |variant: &str, date: &str, length: &str| {
        block(&[
            ("Host", "h"),
            ("Date", date),
            ("Content-Length", length),
            ("ETag", variant),
            ("Referer", variant),
            ("Authorization", variant),
            ("X-Unknown", variant),
            ("Server", &format!("{long}{variant}")),
            (
                "Set-Cookie",
                &format!("sid={variant}; Path=/; Expires={date}"),
            ),
            (
                "Content-Type",
                &format!("multipart/form-data; boundary={variant}q7Zk0xYbT2mN9vLsR4cWd8"),
            ),
        ])
    };
    let one = message("abc", "Sun, 06 Nov 1994 08:49:37 GMT", "1");
    let two = message("/x/y", "Thu, 01 Jan 1970 00:00:00 GMT", "99999");
    assert_eq!(one.template(), two.template());
    assert_ne!(one.holes(), two.holes());
}

#[test]
fn a_typical_block_is_small() {
    let block = block(&[
        ("Server", "nginx"),
        ("Date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("Content-Length", "1234"),
        ("Authorization", "Bearer abc"),
    ]);
    // A kind and five bytes, a kind and two, a kind and nine.
    assert!(block.holes().len() <= 19, "{}", block.holes().len());
}

#[test]
fn buffers_are_reused_and_cleared() {
    let mut redactor = Redactor::new(&Key([3; 32]), &Policy::default());
    let mut out = HeaderBlock::default();
    for _ in 0..2 {
        redactor.headers([(&b"X-A"[..], &b"secret"[..])].into_iter(), &mut out);
        assert_eq!(rendered(&out).len(), 1);
    }
    redactor.headers(std::iter::empty(), &mut out);
    assert_eq!(out, HeaderBlock::default());
}

#[test]
fn damage_gives_the_fields_up_to_it() {
    let whole = block(HARMLESS);
    let fields = rendered(&whole);
    for cut in 0..whole.template.len() {
        let some = render_headers(&whole.template[..cut], &whole.holes);
        assert!(some.len() < fields.len());
        assert!(
            some.iter()
                .zip(&fields)
                .all(|(field, (name, _))| field.name == *name)
        );
    }
    // Behind the holes stands the mark of the one value that is kept readable: a byte, its hash and its length.
    let mark = 10;
    for cut in 0..whole.holes.len() - mark {
        assert!(render_headers(&whole.template, &whole.holes[..cut]).len() < fields.len());
    }
    // Text that the writer would not have left readable.
    assert!(render_headers(b"\x01a\x01\x03{h}", b"").is_empty());
    assert!(render_headers(b"\x01a\x01\x02\xff\xff", b"").is_empty());
    // A length beyond the end, a count beyond reason, a number beyond 64 bits, a hole of several in several.
    assert!(render_headers(b"\x01a\x01\x7f", b"").is_empty());
    assert!(render_headers(b"\x01a\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x00", &[0; 64]).is_empty());
    assert!(render_headers(&[0xff; 32], b"").is_empty());
    assert!(render_headers(b"\x01a\x01\x00", b"\x03\x01\x03\x01\x01\x05").is_empty());
}

#[test]
fn random_bytes_never_panic() {
    let mut state = 0x0123_4567_89ab_cdef_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    let whole = block(HARMLESS);
    for _ in 0..20_000 {
        let template: Vec<u8> = (0..next() % 40).map(|_| next() % 24).collect();
        let holes: Vec<u8> = (0..next() % 60).map(|_| next()).collect();
        for field in render_headers(&template, &holes) {
            assert!(field.value.text.is_ascii());
        }
        let mut damaged = whole.template.to_vec();
        let at = usize::from(next()) * 7 % damaged.len();
        damaged[at] = next();
        assert!(render_headers(&damaged, &whole.holes).len() <= damaged.len());
    }
}

#[test]
fn a_field_seen_before_is_written_alike() {
    let mut redactor = Redactor::new(&Key([3; 32]), &Policy::default());
    let mut out = HeaderBlock::default();
    let fresh = block(&HARMLESS[..26]);
    for _ in 0..3 {
        let fields = HARMLESS[..26]
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        redactor.headers(fields, &mut out);
        assert_eq!(out, fresh);
    }
    // More fields than there are places, each twice.
    for number in 0..2_000 {
        let value = format!("agent/{}", number / 2);
        redactor.headers(
            [(&b"User-Agent"[..], value.as_bytes())].into_iter(),
            &mut out,
        );
        assert_eq!(rendered(&out), [("User-Agent".to_owned(), value)]);
    }
}

#[test]
fn what_is_not_known_says_so_and_cannot_be_imitated() {
    let mut redactor = Redactor::new(&Key([3; 32]), &Policy::default());
    let mut block = HeaderBlock::default();
    let fields = [
        (
            Captured::Known(&b":authority"[..]),
            Captured::Unknown(0, -3),
        ),
        (Captured::Known(b"date"), Captured::Unknown(2, 7)),
        (Captured::Unknown(0, -4), Captured::Unknown(0, -4)),
        (Captured::Unknown(0, -5), Captured::Known(b"s3cr3t")),
        (
            Captured::Known(b"accept"),
            Captured::Known(b"{unknown:0:1}"),
        ),
    ];
    redactor.headers_partly(fields.into_iter(), &mut block);
    let shown = render_headers(block.template(), block.holes());
    let text = |at: usize| (shown[at].name.as_str(), shown[at].value.text.as_str());
    assert_eq!(text(0), (":authority", "{unknown:0:-3}"));
    assert_eq!(text(1), ("date", "{unknown:2:7}"));
    assert_eq!(text(2), ("{unknown:0:-4}", "{unknown:0:-4}"));
    assert_eq!(text(3).0, "{unknown:0:-5}");
    assert!(shown[3].value.redacted, "{shown:?}");
    assert!(!text(4).1.starts_with("{unknown"), "{shown:?}");
}

#[test]
fn identifiers_are_the_hashes_and_the_trace_and_marks_are_not_shown() {
    let mut redactor = Redactor::new(&Key::from_bytes([3; 32]), &Policy::default());
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traceparent = format!("00-{trace}-00f067aa0ba902b7-01");
    let fields: [(&[u8], &[u8]); 5] = [
        (b"Traceparent", traceparent.as_bytes()),
        (b"X-Request-Id", b"7f3a9c52d1"),
        (b"Cookie", b"theme=dark; sid=abcdef123456; a=b"),
        (b"Content-Length", b"12"),
        (b"Date", b"Tue, 24 Nov 2026 10:00:00 GMT"),
    ];
    let mut block = HeaderBlock::default();
    redactor.headers(fields.into_iter(), &mut block);
    let found: Vec<Identifier> = identifiers(block.holes()).collect();
    let of = |kind| found.iter().filter(|found| found.kind == kind).count();
    // Trace, span, request id and the one cookie that is long enough.
    assert_eq!(
        (of(IdentifierKind::Value), of(IdentifierKind::Trace)),
        (4, 1)
    );
    assert_eq!(
        (of(IdentifierKind::Span), of(IdentifierKind::ParentSpan)),
        (1, 0)
    );
    let holds = |value: &str| {
        let looked_for = redactor.identifiers_of(value.as_bytes());
        found.iter().any(|found| looked_for.contains(&found.hash))
    };
    assert!(holds(trace) && holds("7f3a9c52d1") && holds("abcdef123456"));
    assert!(!holds("dark") && !holds("b"));
    let shown = render_headers(block.template(), block.holes());
    assert_eq!(shown.len(), fields.len());
    for cut in 0..block.holes().len() {
        let part = block.holes().get(..cut).unwrap_or_default();
        assert!(identifiers(part).count() <= found.len());
        render_headers(block.template(), part);
    }
    // Kept readable, they identify all the same.
    let policy = Policy {
        keep_headers: vec!["traceparent".into(), "x-request-id".into()],
        ..Policy::default()
    };
    let mut kept = HeaderBlock::default();
    Redactor::new(&Key::from_bytes([3; 32]), &policy).headers(fields.into_iter(), &mut kept);
    let kept: Vec<Identifier> = identifiers(kept.holes()).collect();
    for found in &found {
        let is_part = found.kind == IdentifierKind::Value && !kept.contains(found);
        // The parts of a trace context that is readable have no hash of their own.
        assert!(kept.contains(found) || is_part, "{found:?}");
    }
    assert_eq!(kept.len(), 4);
    let target = redactor.target(b"GET", b"/orders/4711/items/12?token=0123456789abcdef");
    let expected: Vec<_> = ["4711", "0123456789abcdef"]
        .iter()
        .map(|value| redactor.identifiers_of(value.as_bytes())[0])
        .collect();
    assert_eq!(target.identifiers(), expected);
    let mut stored = redactor.identifiers_in(target.path());
    stored.extend(redactor.identifiers_in(target.query().unwrap_or_default()));
    let expected: Vec<_> = expected.into_iter().zip([4, 16]).collect();
    assert_eq!(stored, expected);
    let named = redactor.target(b"GET", b"/orders/order-4711/v2/2026-01-31/words");
    assert_eq!(
        named.identifiers(),
        [redactor.identifiers_of(b"order-4711")[0]]
    );
}
