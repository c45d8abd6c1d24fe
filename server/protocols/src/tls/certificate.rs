//! What a certificate says (RFC 5280), without checking that it is true.

use std::net::IpAddr;

use sha2::{Digest, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name};

/// One certificate. Names are hostile.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Certificate {
    /// SHA-256 of all of it.
    pub sha256: [u8; 32],
    /// The subject's common name.
    pub subject: Option<Vec<u8>>,
    /// The issuer's common name.
    pub issuer: Option<Vec<u8>>,
    /// Names of hosts that it is for, the first [`Certificate::MOST_NAMES`].
    pub names: Vec<Vec<u8>>,
    /// How many there are.
    pub name_count: u32,
    /// Seconds since the Unix epoch.
    pub not_before: i64,
    /// The same.
    pub not_after: i64,
    /// Subject and issuer are one.
    pub is_self_issued: bool,
    /// Its public key.
    pub key: Key,
}

impl Certificate {
    /// Names told of a certificate.
    pub const MOST_NAMES: usize = 8;
}

/// A public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Key {
    /// Its kind: RSA, ECDSA and a curve, Ed25519, ….
    pub kind: &'static str,
    /// Bits, where the kind does not say it.
    pub bits: Option<u32>,
}

/// Reads a certificate, and whether it is for `host`, where that is asked and can be told.
pub(super) fn read(der: &[u8], host: Option<&[u8]>) -> Option<(Certificate, Option<bool>)> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    let alternatives = parsed.subject_alternative_name();
    let all = match &alternatives {
        Ok(Some(extension)) => &extension.value.general_names[..],
        _ => &[],
    };
    let names: Vec<&[u8]> = all
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.as_bytes()),
            _ => None,
        })
        .collect();
    let subject = common_name(parsed.subject());
    // Names that were not read may be any, and an address is no name of a host (RFC 6066, section 3).
    let is_unread = |name: &GeneralName<'_>| matches!(name, GeneralName::Invalid(..));
    let is_known = alternatives.is_ok() && !all.iter().any(is_unread);
    let host = host.filter(|host| is_known && !is_address(host));
    let is_for = host.map(|host| match subject {
        // Before RFC 6125 the common name stood for the host; some still look there where there is nothing else.
        Some(subject) if names.is_empty() => is_name_of(subject, host),
        _ => names.iter().any(|name| is_name_of(name, host)),
    });
    let told = Certificate {
        sha256: Sha256::digest(der).into(),
        subject: subject.map(cut),
        issuer: common_name(parsed.issuer()).map(cut),
        name_count: u32::try_from(names.len()).unwrap_or(u32::MAX),
        names: names
            .into_iter()
            .take(Certificate::MOST_NAMES)
            .map(cut)
            .collect(),
        not_before: parsed.validity().not_before.timestamp(),
        not_after: parsed.validity().not_after.timestamp(),
        is_self_issued: parsed.subject().as_raw() == parsed.issuer().as_raw(),
        key: key(parsed.public_key()),
    };
    Some((told, is_for))
}

fn common_name<'a>(name: &'a X509Name<'_>) -> Option<&'a [u8]> {
    let first = name.iter_common_name().next()?;
    Some(first.as_slice()).filter(|name| !name.is_empty())
}

fn cut(name: &[u8]) -> Vec<u8> {
    name.get(..MOST_NAME_BYTES).unwrap_or(name).to_vec()
}

fn is_address(host: &[u8]) -> bool {
    std::str::from_utf8(host).is_ok_and(|host| host.parse::<IpAddr>().is_ok())
}

/// Whether a name in a certificate is that of a host; an asterisk stands for its first label (RFC 6125, section 6.4.3).
fn is_name_of(name: &[u8], host: &[u8]) -> bool {
    let host = host.strip_suffix(b".").unwrap_or(host);
    if name.eq_ignore_ascii_case(host) {
        return true;
    }
    let below = name.strip_prefix(b"*");
    let rest = host.iter().position(|byte| *byte == b'.');
    let rest = rest.filter(|at| *at > 0).and_then(|at| host.get(at..));
    below
        .zip(rest)
        .is_some_and(|(below, rest)| below.starts_with(b".") && below.eq_ignore_ascii_case(rest))
}

fn key(info: &SubjectPublicKeyInfo<'_>) -> Key {
    let named = |kind| Key { kind, bits: None };
    let bits = |bits| u32::try_from(bits).ok();
    match info.parsed() {
        Ok(PublicKey::RSA(key)) => Key {
            kind: "RSA",
            bits: bits(key.key_size()),
        },
        Ok(PublicKey::EC(_)) => {
            let parameters = info.algorithm.parameters.as_ref();
            let curve = parameters.and_then(|any| any.as_oid().ok());
            named(match curve.map(|oid| oid.to_id_string()).as_deref() {
                Some("1.2.840.10045.3.1.7") => "ECDSA P-256",
                Some("1.3.132.0.34") => "ECDSA P-384",
                Some("1.3.132.0.35") => "ECDSA P-521",
                _ => "ECDSA, another curve",
            })
        }
        Ok(PublicKey::DSA(key)) => Key {
            kind: "DSA",
            bits: bits(key.len() * 8),
        },
        _ => named(match info.algorithm.algorithm.to_id_string().as_str() {
            "1.3.101.112" => "Ed25519",
            "1.3.101.113" => "Ed448",
            "1.2.840.113549.1.1.10" => "RSA-PSS",
            "2.16.840.1.101.3.4.3.17" => "ML-DSA-44",
            "2.16.840.1.101.3.4.3.18" => "ML-DSA-65",
            "2.16.840.1.101.3.4.3.19" => "ML-DSA-87",
            _ => "another",
        }),
    }
}

const MOST_NAME_BYTES: usize = 255;

#[cfg(test)]
mod tests {
    use super::is_name_of;

    #[test]
    fn names_of_hosts() {
        for (name, host, is_one) in [
            ("example.com", "EXAMPLE.com", true),
            ("example.com", "example.com.", true),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com", false),
            ("*.example.com", "example.com", false),
            ("*.example.com", ".example.com", false),
            ("*", "com", false),
            ("*example.com", "b.example.com", false),
            ("example.org", "example.com", false),
            ("", "example.com", false),
        ] {
            assert_eq!(
                is_name_of(name.as_bytes(), host.as_bytes()),
                is_one,
                "{name} {host}"
            );
        }
    }
}
