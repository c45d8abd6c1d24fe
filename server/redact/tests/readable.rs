//! What stays readable, and how the four forms of a target and their routes come out.

use headwater_redact::{Key, Policy, Redactor, TargetForm};

fn redactor() -> Redactor {
    Redactor::new(&Key::from_bytes([5; 32]), &Policy::default())
}

#[test]
fn forms_of_a_target() {
    let mut redactor = redactor();
    let mut check = |method: &str,
                     raw: &str,
                     form,
                     scheme,
                     authority: Option<&str>,
                     path: &str,
                     query: Option<&str>| {
        let target = redactor.target(method.as_bytes(), raw.as_bytes());
        assert_eq!(
            (
                target.form(),
                target.scheme(),
                target.authority(),
                target.path(),
                target.query()
            ),
            (form, scheme, authority, path, query),
            "{raw}"
        );
    };
    check("GET", "/", TargetForm::Origin, None, None, "/", None);
    check(
        "GET",
        "/a//b/?",
        TargetForm::Origin,
        None,
        None,
        "/a//b/",
        Some(""),
    );
    check(
        "GET",
        "/a?page=2&wsdl&x=#frag",
        TargetForm::Origin,
        None,
        None,
        "/a",
        Some("page=2&wsdl&x="),
    );
    check("OPTIONS", "*", TargetForm::Asterisk, None, None, "*", None);
    check(
        "CONNECT",
        "example.com:443",
        TargetForm::Authority,
        None,
        Some("example.com:443"),
        "",
        None,
    );
    check(
        "CONNECT",
        "[2001:db8::1]:443",
        TargetForm::Authority,
        None,
        Some("[2001:db8::1]:443"),
        "",
        None,
    );
    check(
        "GET",
        "HTTP://example.com",
        TargetForm::Absolute,
        Some("http"),
        Some("example.com"),
        "/",
        None,
    );
    check(
        "GET",
        "https://h:8443/a?limit=5",
        TargetForm::Absolute,
        Some("https"),
        Some("h:8443"),
        "/a",
        Some("limit=5"),
    );
    check(
        "GET",
        "ftp://h?v=1",
        TargetForm::Absolute,
        None,
        Some("h"),
        "/",
        Some("v=1"),
    );
    check("GET", "a/b", TargetForm::Origin, None, None, "a/b", None);
    check("GET", "", TargetForm::Origin, None, None, "/", None);
    check(
        "GET",
        "/{x}/\u{e9}",
        TargetForm::Origin,
        None,
        None,
        "/%7Bx%7D/%C3%A9",
        None,
    );
}

#[test]
fn many_pairs_are_counted() {
    let raw = format!("/?{}page=3", "page=1&".repeat(70));
    let target = redactor().target(b"GET", raw.as_bytes());
    assert_eq!(
        target.query().unwrap(),
        format!("{}(more)=7", "page=1&".repeat(64))
    );
}

#[test]
fn routes() {
    let mut redactor = redactor();
    let mut check = |raw: &str, route: &str| {
        assert_eq!(
            redactor.target(b"GET", raw.as_bytes()).route(),
            route,
            "{raw}"
        );
    };
    check("/", "/");
    check("/users/42/orders/7?x=1", "/users/{}/orders/{}");
    check("/commit/9f8a7b6c/x", "/commit/{}/x");
    check("/word/deadbeef", "/word/deadbeef");
    check("/obj/550e8400-e29b-41d4-a716-446655440000", "/obj/{}");
    check("/log/2024-02-29/x", "/log/{}/x");
    check("/reset/q7Zk0xYbT2mN9vLsR4cWd8", "/reset/{}");
    check("/page;jsessionid=abc/x", "/page/x");
    check("/42;a=b", "/{}");
    check(
        "/api/v2/how-to-make-very-long-slug-titles-2024",
        "/api/v2/how-to-make-very-long-slug-titles-2024",
    );
    check("http://h/a/1", "/a/{}");
    check("/{}", "/%7B%7D");
    check(&"/x".repeat(16), &"/x".repeat(16));
    check(&"/x".repeat(17), &format!("{}/…", "/x".repeat(16)));
    check(&"/x".repeat(40), &format!("{}/…", "/x".repeat(16)));
}

#[test]
fn harmless_texts() {
    let mut redactor = redactor();
    for host in [
        "example.com",
        "a.b.c.example.co.uk:8080",
        "10.0.0.1:80",
        "[::1]:80",
        "::1",
        "localhost",
        "ip-10-0-12-34.ec2.internal",
    ] {
        assert_eq!(redactor.host(host.as_bytes()).as_str(), host);
    }
    let container = "ab12".repeat(16);
    for path in [
        "/usr/lib/x86_64-linux-gnu/libssl.so.3",
        "/system.slice/nginx.service",
        "/user.slice/user-1000.slice/session-2.scope",
        &format!("/system.slice/docker-{container}.scope"),
        &format!("/kubepods/burstable/{container}"),
    ] {
        assert_eq!(redactor.file_path(path.as_bytes()).as_str(), path);
    }
    assert!(
        redactor
            .file_path(format!("/x/{container}{container}").as_bytes())
            .as_str()
            .contains("{h:")
    );
    for phrase in [
        "Not Found",
        "OK",
        "Internal Server Error",
        "kworker/0:1-events",
        "nginx: worker process",
    ] {
        assert_eq!(redactor.phrase(phrase.as_bytes()).as_str(), phrase);
    }
}

#[test]
fn harmless_command_lines() {
    let mut redactor = redactor();
    for arguments in [
        "nginx: master process /usr/sbin/nginx -g daemon off;",
        "/usr/bin/python3 -m http.server 8000 --bind 127.0.0.1",
        "curl -sS -o /dev/null http://127.0.0.1:8080/index.html?page=2",
        "wrk -t2 -c16 -d10s --latency http://127.0.0.1/",
        "java -Xmx512m -jar /opt/app/service-1.2.3.jar --server.port=8080 --spring.profiles.active=prod",
        "node --max-old-space-size=4096 server.js",
        "postgres: 15/main: checkpointer",
        "git clone git@github.com:owner/repo.git",
        "docker run -p 8080:80 -v /a:/b -e MODE=x,y=z nginx:1.25",
    ] {
        let raw = arguments.replace(' ', "\0") + "\0";
        assert_eq!(redactor.command_line(raw.as_bytes()).as_str(), arguments);
        assert_eq!(
            redactor.command_line(arguments.as_bytes()).as_str(),
            arguments
        );
    }
    assert_eq!(redactor.command_line(b"").as_str(), "");
}

#[test]
fn long_command_lines_end_between_hashes() {
    let mut redactor = redactor();
    for length in 1..60 {
        let raw = format!(
            "app\0{}\0{}",
            "x".repeat(length),
            "--token\0secret\0".repeat(200)
        );
        let line = redactor.command_line(raw.as_bytes());
        let line = line.as_str();
        assert!(line.len() <= 2_048 && line.len() > 1_990, "{}", line.len());
        let inside = line.strip_suffix(" …").unwrap();
        assert_eq!(
            inside.matches('{').count(),
            inside.matches('}').count(),
            "{inside}"
        );
    }
}

#[test]
fn a_lone_word_is_a_flag_or_a_secret() {
    let mut redactor = redactor();
    let mut said = |raw: &str| {
        let target = redactor.target(b"GET", raw.as_bytes());
        format!("{}?{}", target.path(), target.query().unwrap_or_default())
    };
    for flag in [
        "wsdl",
        "acl",
        "uploads",
        "versionId",
        "partNumber",
        "requestPayment",
        "publicAccessBlock",
        "intelligent-tiering",
    ] {
        let raw = format!("/a;{flag}?{flag}");
        assert_eq!(said(&raw), raw);
    }
    for secret in ["QwErTyUiOpAsDfGhJkLzXcV", "kJhGqWzXvBnMpLtRsDfY"] {
        let told = said(&format!("/a;{secret}?{secret}"));
        assert!(!told.contains(secret), "{told}");
    }
}
