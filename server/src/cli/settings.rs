//! Checking what the operator said, all of it before anything starts, so that all mistakes are told at once.

use std::{path::Path, time::Duration};

use headwater_assembly::Limits;
use headwater_schema::record::MAX_CAP;

use super::{privilege::reading_group, record::RecordArguments};
use crate::{
    paths::store_of,
    probes::ProbeSettings,
    record::{HeaderSettings, SessionSettings, TlsFilter},
};

/// Least bytes of a cap: shorter heads than this are rare.
const MIN_CAP: u32 = 256;
/// Least and most bytes of the ring buffer.
const RING: (u64, u64) = (1 << 20, 1 << 30);
/// Least size of a store: below, a single busy minute would not fit.
const MIN_STORE: u64 = 16 << 20;

/// The settings of a session, or every mistake.
pub(crate) fn session_settings(
    db: Option<&Path>,
    arguments: &RecordArguments,
) -> Result<SessionSettings, Vec<String>> {
    let mut mistakes = Vec::new();
    let mut check = |result: Result<u64, String>| {
        result
            .map_err(|mistake| mistakes.push(mistake))
            .unwrap_or(0)
    };
    let cap = check(in_range(
        "--cap",
        &arguments.cap,
        u64::from(MIN_CAP),
        u64::from(MAX_CAP),
    ));
    let ring_bytes =
        check(in_range("--ring-size", &arguments.ring_size, RING.0, RING.1).and_then(power_of_two));
    let max_bytes = check(in_range(
        "--max-size",
        &arguments.max_size,
        MIN_STORE,
        u64::MAX,
    ));
    let max_age = duration("--max-age", &arguments.max_age)
        .map_err(|mistake| mistakes.push(mistake))
        .unwrap_or_default();
    let group = reading_group(arguments.group.as_deref())
        .map_err(|mistake| mistakes.push(mistake))
        .unwrap_or_default();
    let only_ports = ports("--only-port", &arguments.only_port, &mut mistakes);
    let except_ports = ports("--except-port", &arguments.except_port, &mut mistakes);
    for port in only_ports.iter().filter(|port| except_ports.contains(port)) {
        mistakes.push(format!(
            "--only-port {port} and --except-port {port}: name it once"
        ));
    }
    let headers = HeaderSettings {
        kept: arguments.headers.keep.clone(),
        correlation: arguments.headers.correlation.clone(),
        session: arguments.headers.session.clone(),
    };
    for (option, names) in [
        ("--keep-header", &headers.kept),
        ("--correlation-header", &headers.correlation),
        ("--session-header", &headers.session),
    ] {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        for name in names
            .iter()
            .filter(|name| name.is_empty() || !name.bytes().all(token))
        {
            mistakes.push(format!(
                "{option} {name:?}: a header name consists of letters, digits and !#$%&'*+-.^_`|~"
            ));
        }
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    Ok(SessionSettings {
        store: store_of(db),
        group,
        max_age,
        max_bytes,
        probes: ProbeSettings {
            cap: u32::try_from(cap).unwrap_or(MAX_CAP),
            ring_bytes: u32::try_from(ring_bytes).unwrap_or(1 << 23),
            tls: !arguments.no_tls,
            tls_of_some: !arguments.tls_program.is_empty(),
            without_btf: arguments.without_btf,
        },
        tls: TlsFilter {
            only: arguments.tls_program.clone(),
        },
        headers,
        limits: Limits {
            only_ports,
            except_ports,
            ..Limits::default()
        },
        slowness: (arguments.slow_reader_ms > 0)
            .then(|| Duration::from_millis(arguments.slow_reader_ms)),
    })
}

/// A size such as `8192`, `8KiB`, `1GiB`.
pub(crate) fn size(name: &str, text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "k" | "kb" | "kib" => Some(1u64 << 10),
        "m" | "mb" | "mib" => Some(1 << 20),
        "g" | "gb" | "gib" => Some(1 << 30),
        "t" | "tb" | "tib" => Some(1 << 40),
        _ => None,
    };
    let value = number
        .parse::<u64>()
        .ok()
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor));
    value.ok_or_else(|| {
        format!("{name} {text:?}: expected a size such as 8192, 8KiB, 512MiB or 1GiB")
    })
}

/// A duration such as `30m`, `12h`, `7d`.
pub(crate) fn duration(name: &str, text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        "d" => Some(86_400),
        "w" => Some(604_800),
        _ => None,
    };
    let seconds = number
        .parse::<u64>()
        .ok()
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor));
    match seconds {
        Some(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds)),
        _ => Err(format!(
            "{name} {text:?}: expected a duration such as 90s, 30m, 12h, 7d or 4w"
        )),
    }
}

fn in_range(name: &str, text: &str, least: u64, most: u64) -> Result<u64, String> {
    let value = size(name, text)?;
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    let most = if most == u64::MAX {
        "no upper limit".to_owned()
    } else {
        format!("at most {most} bytes")
    };
    Err(format!(
        "{name} {text:?}: expected at least {least} bytes, {most}"
    ))
}

fn power_of_two(bytes: u64) -> Result<u64, String> {
    if bytes.is_power_of_two() {
        return Ok(bytes);
    }
    Err(format!(
        "--ring-size: expected a power of two; the next one is {}",
        bytes.next_power_of_two()
    ))
}

fn ports(name: &str, given: &[String], mistakes: &mut Vec<String>) -> Vec<u16> {
    let mut ports = Vec::new();
    for text in given {
        match text.parse::<u16>() {
            Ok(port) if port > 0 => ports.push(port),
            _ => mistakes.push(format!("{name} {text:?}: expected a port from 1 to 65535")),
        }
    }
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations() {
        for (text, expected) in [
            ("1", Some(1)),
            ("8KiB", Some(8192)),
            ("1g", Some(1 << 30)),
            ("", None),
            ("x", None),
            ("1 MB", Some(1 << 20)),
            ("-1", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(size("--cap", text).ok(), expected, "{text}");
        }
        for (text, expected) in [
            ("7d", Some(604_800)),
            ("90s", Some(90)),
            ("0s", None),
            ("7", None),
            ("d", None),
            ("7y", None),
        ] {
            assert_eq!(
                duration("--max-age", text).ok().map(|d| d.as_secs()),
                expected,
                "{text}"
            );
        }
    }
}
