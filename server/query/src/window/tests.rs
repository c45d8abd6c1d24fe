//! Tables of what is understood and what is refused.

use super::*;

const SECOND: u64 = 1_000_000_000;
/// 2026-01-31T14:00:00Z
const NOW: u64 = 1_769_868_000 * SECOND;

fn check(text: &str, expected: Option<u64>) {
    let found = TimeArgument(text.to_owned()).resolve("since", NOW);
    match (found, expected) {
        (Ok(found), Some(expected)) => assert_eq!(found, expected, "{text}"),
        (Err(error), None) => {
            let error = error.to_string();
            assert!(
                error.starts_with("since: ")
                    && error.contains("-15m")
                    && error.contains("2026-01-31T13:00:00Z")
            );
            assert!(text.len() < 6 || !error.contains(text), "{error}");
        }
        (found, _) => panic!("{text}: {found:?}"),
    }
}

#[test]
fn times() {
    check("now", Some(NOW));
    check(" now ", Some(NOW));
    check("-90s", Some(NOW - 90 * SECOND));
    check("-15m", Some(NOW - 900 * SECOND));
    check("-15min", Some(NOW - 900 * SECOND));
    check("-2h", Some(NOW - 7_200 * SECOND));
    check("-7d", Some(NOW - 604_800 * SECOND));
    check("-1w", Some(NOW - 604_800 * SECOND));
    check("-0s", Some(NOW));
    check("-9999999999d", None);
    check("2026-01-31T14:00:00Z", Some(NOW));
    check("2026-01-31t14:00:00z", Some(NOW));
    check("2026-01-31T15:00:00+01:00", Some(NOW));
    check("2026-01-31T13:59:59.999999999Z", Some(NOW - 1));
    check("1970-01-01T00:00:00Z", Some(0));
    for bad in [
        "",
        "-",
        "15m",
        "-m",
        "-15",
        "-15x",
        "-1.5h",
        "+15m",
        "yesterday",
        "2025-07-07",
        "2025-07-07T14:00:00",
        "1969-12-31T23:59:59Z",
        "2026-13-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "1769868000",
        "--5m",
        "now-5m",
    ] {
        check(bad, None);
    }
}

fn window(since: Option<&str>, until: Option<&str>) -> Result<(u64, u64), QueryError> {
    let argument = |text: Option<&str>| text.map(|text| TimeArgument(text.to_owned()));
    let reference = Reference {
        now_ns: NOW,
        end_ns: NOW - 3_600 * SECOND,
    };
    let window = WindowArgument {
        since: argument(since),
        until: argument(until),
    }
    .resolve(reference)?;
    Ok((
        NOW.saturating_sub(window.since_ns) / SECOND,
        NOW.saturating_sub(window.until_ns) / SECOND,
    ))
}

#[test]
fn windows() {
    assert_eq!(
        window(None, None).unwrap(),
        (3_600 + 900, 3_600),
        "the last quarter of an hour of the data"
    );
    assert_eq!(window(Some("-5m"), None).unwrap(), (300, 0));
    assert_eq!(window(None, Some("-5m")).unwrap(), (1_200, 300));
    assert_eq!(window(Some("-10m"), Some("-5m")).unwrap(), (600, 300));
    let error = window(Some("-5m"), Some("-10m")).unwrap_err().to_string();
    assert!(error.contains("is after until"), "{error}");
}

#[test]
fn snapping_goes_outward() {
    let snapped = Window {
        since_ns: 12 * SECOND,
        until_ns: 25 * SECOND,
    }
    .snapped();
    assert_eq!(
        snapped,
        Window {
            since_ns: 10 * SECOND,
            until_ns: 30 * SECOND - 1
        }
    );
}
