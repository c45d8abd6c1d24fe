//! One secret in every carrier: nowhere readable, and the same hash everywhere.

use headwater_redact::{HeaderBlock, Key, Policy, Redactor, render_headers};

/// Shapes of secrets: by prefix, by entropy, by its digits, with characters that carriers must encode.
const TOKENS: &[&str] = &[
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "q7Zk0xYbT2mN9vLsR4cWd8",
    "550e8400-e29b-41d4-a716-446655440000",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
];
/// Seen by the carrier only, never by its looks.
const PLAIN: &[&str] = &[
    "hunter2",
    "correct horse",
    "a+b/c==",
    "pa,ss",
    "p%41ss",
    "pä:ss@w{o}rd",
    "\"quo\\ted\"",
    "7",
];

fn redactor() -> Redactor {
    Redactor::new(&Key::from_bytes([5; 32]), &Policy::default())
}

/// Percent-encodes all but the unreserved characters.
fn encoded(secret: &str) -> String {
    secret
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn header(redactor: &mut Redactor, name: &str, value: &str) -> String {
    let mut block = HeaderBlock::default();
    redactor.headers(
        [(name.as_bytes(), value.as_bytes())].into_iter(),
        &mut block,
    );
    let stored = [block.template(), block.holes()].concat();
    let fields = render_headers(block.template(), block.holes());
    assert_eq!(fields.len(), 1);
    format!(
        "{}: {}\n{}",
        fields[0].name,
        fields[0].value.text,
        String::from_utf8_lossy(&stored)
    )
}

fn target(redactor: &mut Redactor, method: &str, raw: &str) -> String {
    let target = redactor.target(method.as_bytes(), raw.as_bytes());
    assert!(!target.route().contains(":h"), "a route holds no hash");
    format!(
        "{:?} {:?} {} {:?}",
        target.form(),
        target.authority(),
        target.path(),
        target.query()
    )
}

fn command(redactor: &mut Redactor, arguments: &[&str]) -> String {
    redactor
        .command_line(arguments.join("\0").as_bytes())
        .as_str()
        .to_owned()
}

/// The secret is not there, in any encoding, and its hash is, `times` over.
fn check(redactor: &Redactor, what: &str, secret: &str, output: &str) {
    let hash = redactor.hash_of(secret.as_bytes());
    assert!(
        output.contains(&hash),
        "{what}: no hash of {secret} in {output}"
    );
    if secret.len() > 3 {
        assert!(
            !output.contains(secret),
            "{what}: {secret} is readable in {output}"
        );
        assert!(
            !output.contains(&encoded(secret)),
            "{what}: {secret} is readable, encoded, in {output}"
        );
        let core = secret.get(1..secret.len() - 1).unwrap_or(secret);
        assert!(
            !output.contains(core),
            "{what}: the core of {secret} is readable in {output}"
        );
    }
}

#[test]
fn carriers_that_hash_whatever_they_carry() {
    let mut redactor = redactor();
    for secret in TOKENS.iter().chain(PLAIN).copied() {
        let quoted = format!("\"{}\"", secret.replace('\\', "\\\\").replace('"', "\\\""));
        let url = encoded(secret);
        for (name, value) in [
            ("Authorization", format!("Bearer {secret}")),
            ("authorization", format!("bearer   {secret}")),
            ("Proxy-Authorization", format!("Basic {secret}")),
            (
                "Authorization",
                format!("Digest username={quoted}, realm=\"x\""),
            ),
            ("Cookie", format!("theme=dark; session={url}; a=b")),
            ("Set-Cookie", format!("session={url}; Path=/; HttpOnly")),
            ("Set-Cookie", format!("a=b; Path=/; Odd={url}")),
            ("X-Api-Key", quoted.clone()),
            ("X-Forwarded-For", format!("{quoted}, 10.0.0.1")),
            ("Forwarded", format!("for={quoted};proto=https")),
            (
                "WWW-Authenticate",
                format!("Bearer realm={quoted}, error=\"x\""),
            ),
            ("tracestate", format!("vendor={url},other=1")),
            ("baggage", format!("user={url};prop=1")),
            ("Referer", format!("https://u:{url}@example.com/a?b=c")),
            ("Location", format!("/next?to={url}#x=1")),
            (
                "Location",
                format!("https://example.com/#access_token={url}"),
            ),
            (
                "Link",
                format!("<https://example.com/?cursor={url}>; rel=\"next\""),
            ),
            ("X-Original-URL", format!("/a;jsessionid={url}?b")),
        ] {
            let output = header(&mut redactor, name, &value);
            check(&redactor, name, secret, &output);
        }
        for raw in [
            format!("/a?token={url}&b=c"),
            format!("/a?{}", "x=1&".repeat(63)) + &format!("token={url}"),
            format!("/a?q=%22{url}%22"),
            format!("/a?next={}", encoded(&url)),
            format!("/a;jsessionid={url}/b"),
            format!("http://me:{url}@example.com/"),
            format!("http://{url}:x@example.com/"),
        ] {
            let output = target(&mut redactor, "GET", &raw);
            check(&redactor, &raw, secret, &output);
        }
        let output = target(
            &mut redactor,
            "CONNECT",
            &format!("me:{url}@example.com:443"),
        );
        check(&redactor, "CONNECT", secret, &output);
        let output = redactor.host(format!("me:{url}@example.com").as_bytes());
        check(&redactor, "host", secret, output.as_str());
    }
}

#[test]
fn command_lines() {
    let mut redactor = redactor();
    for secret in TOKENS.iter().chain(PLAIN).copied() {
        let url = encoded(secret);
        for arguments in [
            &["app", &format!("--token={secret}")][..],
            &["app", "--password", secret, "--verbose"],
            &["app", "-password", secret],
            &["app", "--auth", "--token", secret],
            &["java", &format!("-Ddb.password={secret}"), "Main"],
            &["env", &format!("API_KEY={secret}"), "app"],
            &[
                "curl",
                "-H",
                &format!("Authorization: Bearer {secret}"),
                "http://example.com",
            ],
            &[
                "curl",
                "-sSH",
                &format!("Cookie: a={url}"),
                "http://example.com",
            ],
            &[
                "curl",
                &format!(
                    "-HX-Api-Key: \"{}\"",
                    secret.replace('\\', "\\\\").replace('"', "\\\"")
                ),
            ],
            &[
                "curl",
                &format!(
                    "--header=X-Token: \"{}\"",
                    secret.replace('\\', "\\\\").replace('"', "\\\"")
                ),
            ],
            &["curl", "-u", &format!("me:{secret}"), "http://example.com"],
            &["curl", &format!("-sume:{secret}")],
            &["curl", "--data", &format!("a=b&c={url}")],
            &["curl", "-b", &format!("sid={url}")],
            &["curl", &format!("https://me:{url}@example.com/x?y=z")],
            &["curl", &format!("https://example.com/x?y={url}")],
            &["mysql", "-ume", &format!("-p{secret}"), "db"],
            &["sshpass", "-p", secret, "ssh", "host"],
            &["redis-cli", "-a", secret],
            &["psql", &format!("postgres://me:{url}@db/x")],
            &["app", &format!("--dsn=a=b,password={url}")],
            &["mount", "-o", &format!("username=me,password={url}")],
        ] {
            let output = command(&mut redactor, arguments);
            if !output.contains("dsn=") {
                check(&redactor, &arguments.join(" "), secret, &output);
            }
            assert!(
                secret.len() < 4 || !output.contains(secret),
                "{arguments:?}: {output}"
            );
        }
        if !secret.contains(['\'', '"', '\\']) {
            let script =
                format!("curl -H 'Authorization: Bearer {secret}' http://example.com; exit");
            let output = command(&mut redactor, &["sh", "-c", &script]);
            check(&redactor, "sh -c", secret, &output);
        }
    }
}

#[test]
fn carriers_that_go_by_looks() {
    let mut redactor = redactor();
    for secret in TOKENS.iter().copied() {
        for (name, value) in [
            ("User-Agent", format!("tool/1.0 ({secret})")),
            ("Via", format!("1.1 {secret}")),
            ("ETag", format!("W/\"{secret}\"")),
            ("If-None-Match", format!("\"a\", \"{secret}\"")),
            (
                "Content-Type",
                format!("multipart/form-data; boundary={secret}"),
            ),
            ("Location", format!("/reset/{secret}/now")),
            ("Set-Cookie", format!("a=b; Path=/x/{secret}")),
            (secret, "x".to_owned()),
            ("Server-Timing", format!("id;desc=\"{secret}\"")),
        ] {
            let output = header(&mut redactor, name, &value);
            check(&redactor, name, secret, &output);
        }
        let output = target(
            &mut redactor,
            "GET",
            &format!("/reset/{secret}/now?{secret}=1"),
        );
        check(&redactor, "path", secret, &output);
        let output = target(&mut redactor, "GET", &format!("/reset?{secret}"));
        check(&redactor, "bare query", secret, &output);
        assert_eq!(
            redactor
                .target(b"GET", format!("/reset/{secret}/now").as_bytes())
                .route(),
            "/reset/{}/now"
        );
        for output in [
            redactor.file_path(format!("/srv/{secret}/x").as_bytes()),
            redactor.phrase(format!("Hello {secret}").as_bytes()),
        ] {
            check(&redactor, "text", secret, output.as_str());
        }
        if !secret.contains('.') {
            let output = redactor.host(format!("{secret}.example.com:80").as_bytes());
            check(&redactor, "host", secret, output.as_str());
            let output = header(&mut redactor, "Host", &format!("{secret}.example.com"));
            check(&redactor, "Host", secret, &output);
        }
        let output = command(
            &mut redactor,
            &[
                "app",
                secret,
                &format!("--x={secret}"),
                &format!("/srv/{secret}"),
            ],
        );
        check(&redactor, "arguments", secret, &output);
    }
}

/// Headers that nobody listed: a member of a list and the value of a pair have the hash that they have anywhere else.
#[test]
fn members_of_lists_in_unlisted_headers() {
    let mut redactor = redactor();
    for secret in TOKENS.iter().chain(PLAIN).copied() {
        let quoted = format!("\"{}\"", secret.replace('\\', "\\\\").replace('"', "\\\""));
        let url = encoded(secret);
        for value in [
            format!("{url}; path=x"),
            format!("a; {quoted};c"),
            format!("user=bob; sid={url}"),
            format!("user=bob;trace={quoted}, other=1"),
            format!("t=149, v1={url}"),
            format!("a;b, {url}"),
            format!("id={url}"),
            format!("session-id = {quoted}"),
            // Neither is a name that may be read, both are hashed singly.
            format!("q7Zk0xYbT2mN9vLsR4cWd8={url}"),
        ] {
            let output = header(&mut redactor, "X-Unlisted", &value);
            check(&redactor, &value, secret, &output);
        }
    }
    // Names: readable in lists and when they tell of a secret; else hashed.
    let mut text = |value: &str| {
        let output = header(&mut redactor, "X-Unlisted", value);
        let (shown, _) = output.split_once('\n').unwrap();
        shown
            .split('{')
            .map(|piece| piece.split_once('}').map_or(piece, |(_, rest)| rest))
            .collect::<Vec<_>>()
            .join("#")
    };
    assert_eq!(text("user=bob; v1=x,flag"), "X-Unlisted: user=#; v1=#, #");
    assert_eq!(text("token=bob"), "X-Unlisted: token=#");
    assert_eq!(text("hunter=two"), "X-Unlisted: #=#");
    assert_eq!(
        text("a=b; q7Zk0xYbT2mN9vLsR4cWd8=c"),
        "X-Unlisted: a=#; #=#"
    );
    assert_eq!(text("a=b; x7q9Zp=c"), "X-Unlisted: a=#; #=#");
    for whole in ["dGVzdA==", "hunter2 =", "a b=c", "=x", "pass word"] {
        assert_eq!(text(whole), "X-Unlisted: #", "{whole}");
    }
    assert_eq!(text(&"a;".repeat(40)), "X-Unlisted: #", "too long a list");
}

#[test]
fn the_plain_value_gives_the_same_hash_however_it_is_written() {
    let redactor = redactor();
    let hash = redactor.hash_of(b"abc/def");
    assert_eq!(hash.len(), 16);
    for written in [
        "Bearer abc/def",
        " \"abc/def\" ",
        "abc%2Fdef",
        "Basic%20abc%252Fdef",
        "'abc/def'",
    ] {
        assert_eq!(redactor.hash_of(written.as_bytes()), hash, "{written}");
    }
    assert_ne!(redactor.hash_of(b"abc/deg"), hash);
    let other = Redactor::new(&Key::from_bytes([6; 32]), &Policy::default());
    assert_ne!(other.hash_of(b"abc/def"), hash, "another key");
}

/// Any bytes in any carrier: printable ASCII out, and braces only around hashes.
#[test]
fn hostile_bytes() {
    let mut redactor = redactor();
    let mut state = 0x0fed_cba9_8765_4321_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[2]
    };
    let marks = b"{}:;,=&?#/@%\"\\ \0-'<>[]()eyJ0aZ\xff\xe2\x80\xae";
    let names = [
        "Cookie",
        "Set-Cookie",
        "Authorization",
        "WWW-Authenticate",
        "Forwarded",
        "Link",
        "Location",
        "Host",
        "Via",
        "X-Any",
        "Date",
        "baggage",
        "traceparent",
        "X-Forwarded-For",
        "Age",
    ];
    for round in 0..20_000 {
        let raw: Vec<u8> = (0..next() % 48)
            .map(|_| {
                if next() < 200 {
                    marks[usize::from(next()) % marks.len()]
                } else {
                    next()
                }
            })
            .collect();
        let name = names[round % names.len()];
        let mut block = HeaderBlock::default();
        redactor.headers(
            [(name.as_bytes(), &*raw), (&*raw, &*raw)].into_iter(),
            &mut block,
        );
        let fields = render_headers(block.template(), block.holes());
        assert_eq!(fields.len(), 2);
        let target = redactor.target(if round % 9 == 0 { b"CONNECT" } else { b"GET" }, &raw);
        let texts = [
            fields[0].value.text.clone(),
            fields[1].name.clone(),
            fields[1].value.text.clone(),
            target.path().to_owned(),
            target.query().unwrap_or_default().to_owned(),
            target.authority().unwrap_or_default().to_owned(),
            redactor.host(&raw).as_str().to_owned(),
            redactor.file_path(&raw).as_str().to_owned(),
            redactor.phrase(&raw).as_str().to_owned(),
            redactor.command_line(&raw).as_str().to_owned(),
        ];
        for text in texts {
            assert!(
                text.bytes().all(|byte| (0x20..0x7f).contains(&byte)),
                "{text:?}"
            );
            for piece in text.split('{').skip(1) {
                let (inside, _) = piece.split_once('}').unwrap();
                let parts: Vec<&str> = inside.split(':').collect();
                assert!(
                    parts.len() == 3 && parts[1].len() == 16 && parts[2].parse::<u64>().is_ok(),
                    "{text:?}"
                );
            }
        }
    }
}
