//! What the header fields of a call say ("PROTOCOL-HTTP2", Requests).
//!
//! Owns: `content-type`, `:path` and `grpc-timeout`. Refuses: to be lenient: a path that is no gRPC path is left to be
//! shown as a path.

/// What a `content-type` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentType<'a> {
    /// Which protocol.
    pub protocol: Protocol,
    /// What messages are written in, such as `proto`; `None` when it is not said, which means `proto`.
    pub format: Option<&'a [u8]>,
}

/// gRPC, or one of its relatives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `application/grpc`: trailers are HTTP's.
    Grpc,
    /// `application/grpc-web`: trailers are the last message.
    Web,
    /// `application/grpc-web-text`: the same in base64, which [`Messages`](super::Messages) does not read.
    WebText,
}

/// Reads a `content-type`; `None` when it is not gRPC's.
pub fn content_type(value: &[u8]) -> Option<ContentType<'_>> {
    const TYPE: &[u8] = b"application/";
    let value = value.split(|byte| *byte == b';').next()?.trim_ascii();
    let (kind, subtype) = value.split_at_checked(TYPE.len())?;
    if !kind.eq_ignore_ascii_case(TYPE) {
        return None;
    }
    let mut parts = subtype.splitn(2, |byte| *byte == b'+');
    let name = parts.next()?.to_ascii_lowercase();
    let protocol = match name.as_slice() {
        b"grpc" => Protocol::Grpc,
        b"grpc-web" => Protocol::Web,
        b"grpc-web-text" => Protocol::WebText,
        _ => return None,
    };
    let format = parts.next();
    (format != Some(b"")).then_some(ContentType { protocol, format })
}

/// Splits `/package.Service/Method` into the service with its package, and the method. `None` unless both are names as
/// Protocol Buffers know them.
pub fn split_path(path: &[u8]) -> Option<(&str, &str)> {
    let (service, method) = std::str::from_utf8(path)
        .ok()?
        .strip_prefix('/')?
        .split_once('/')?;
    (service.split('.').all(is_identifier) && is_identifier(method)).then_some((service, method))
}

fn is_identifier(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Reads a `grpc-timeout`: one to eight digits and a unit. In nanoseconds, the most that they can be where it is more.
pub fn timeout_ns(value: &[u8]) -> Option<u64> {
    let (unit, digits) = value.split_last()?;
    let unit_ns: u64 = match unit {
        b'H' => 3_600_000_000_000,
        b'M' => 60_000_000_000,
        b'S' => 1_000_000_000,
        b'm' => 1_000_000,
        b'u' => 1_000,
        b'n' => 1,
        _ => return None,
    };
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count: u64 = digits
        .iter()
        .fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
    Some(count.saturating_mul(unit_ns))
}
