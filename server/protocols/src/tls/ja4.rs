//! JA4, the fingerprint of a client (FoxIO's published description; JA4 alone of that family is free to use).

use sha2::{Digest, Sha256};

/// What it is made of, as the ClientHello has it.
pub(super) struct Parts<'a> {
    /// The highest that is offered.
    pub(super) version: u16,
    pub(super) ciphers: &'a [u16],
    pub(super) extensions: &'a [u16],
    pub(super) signature_algorithms: &'a [u16],
    /// The first that is offered.
    pub(super) alpn: Option<&'a [u8]>,
}

/// The fingerprint.
pub(super) fn ja4(parts: &Parts<'_>) -> String {
    let mut ciphers = without_grease(parts.ciphers);
    let mut extensions = without_grease(parts.extensions);
    let server_name = if extensions.contains(&SERVER_NAME) {
        'd'
    } else {
        'i'
    };
    let counts = [ciphers.len().min(99), extensions.len().min(99)];
    extensions.retain(|kind| ![SERVER_NAME, ALPN].contains(kind));
    ciphers.sort_unstable();
    extensions.sort_unstable();
    let mut third = listed(&extensions);
    let signatures = without_grease(parts.signature_algorithms);
    if !third.is_empty() && !signatures.is_empty() {
        third.push('_');
        third.push_str(&listed(&signatures));
    }
    let [first, last] = alpn(parts.alpn.unwrap_or_default());
    format!(
        "t{}{server_name}{:02}{:02}{first}{last}_{}_{}",
        version(parts.version),
        counts[0],
        counts[1],
        hashed(&listed(&ciphers)),
        hashed(&third)
    )
}

/// Values that mean nothing and keep servers from choking on what they do not know (RFC 8701).
pub(super) fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && high & 0x0f == 0x0a
}

fn without_grease(values: &[u16]) -> Vec<u16> {
    let values = values.iter().copied();
    values.filter(|value| !is_grease(*value)).collect()
}

fn version(version: u16) -> &'static str {
    match version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        _ => "00",
    }
}

/// The ends of the protocol's name, or of its bytes in hexadecimal where one of them is no letter or digit.
fn alpn(name: &[u8]) -> [char; 2] {
    let (Some(first), Some(last)) = (name.first(), name.last()) else {
        return ['0', '0'];
    };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [char::from(*first), char::from(*last)];
    }
    [digit(first >> 4), digit(last & 0xf)]
}

fn digit(value: u8) -> char {
    char::from_digit(value.into(), 16).unwrap_or('0')
}

fn listed(values: &[u16]) -> String {
    let values: Vec<String> = values.iter().map(|value| format!("{value:04x}")).collect();
    values.join(",")
}

/// The first twelve digits of SHA-256; zeros for nothing.
fn hashed(text: &str) -> String {
    if text.is_empty() {
        return "000000000000".to_owned();
    }
    let hash = Sha256::digest(text.as_bytes());
    let bytes = hash.iter().take(6);
    bytes.fold(String::new(), |mut digits, byte| {
        digits.extend([digit(byte >> 4), digit(byte & 0xf)]);
        digits
    })
}

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the description.
    #[test]
    fn the_published_one() {
        let ciphers = [
            0x1a1a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013,
            0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
        ];
        let extensions = [
            0x2a2a, 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023,
            0x0012, 0x002b, 0xff01, 0x000b, 0x000a, 0x0015, 0x3a3a,
        ];
        let signature_algorithms = [
            0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601,
        ];
        let mut parts = Parts {
            version: 0x0304,
            ciphers: &ciphers,
            extensions: &extensions,
            signature_algorithms: &signature_algorithms,
            alpn: Some(b"h2"),
        };
        assert_eq!(ja4(&parts), "t13d1516h2_8daaf6152771_e5627efa2ab1");
        for (name, ends) in [
            (&b"http/1.1"[..], "h1"),
            (b"x", "xx"),
            (b"", "00"),
            (&[0xab], "ab"),
            (&[0xab, 0xcd], "ad"),
            (&[0x30, 0xab], "3b"),
        ] {
            parts.alpn = Some(name);
            assert_eq!(ja4(&parts)[8..10], *ends);
        }
    }

    #[test]
    fn of_nothing() {
        let parts = Parts {
            version: 0x7777,
            ciphers: &[],
            extensions: &[],
            signature_algorithms: &[],
            alpn: None,
        };
        assert_eq!(ja4(&parts), "t00i000000_000000000000_000000000000");
    }
}
