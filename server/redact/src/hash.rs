//! The keyed hash, and the one textual form of a redacted value.
//!
//! `{scheme:hhhhhhhhhhhhhhhh:len}`: an authentication scheme (or `h`), the first 8 bytes of HMAC-SHA256 over the plain
//! value, and the plain value's length in bytes. The scheme is one of a fixed list: a word in front of a
//! credential that nobody listed could be a part of the secret.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::Key;
use crate::headers::SHORTEST;
use crate::plain::{Plain, plain};

/// Hashes with one key. The two key blocks of HMAC are compressed once, here, and copied for each value.
#[derive(Clone)]
pub(crate) struct Hasher(Hmac<Sha256>);

impl Hasher {
    pub(crate) fn new(key: &Key) -> Self {
        // HMAC keys shorter than a block are padded with zeros (RFC 2104).
        let mut block = [0; 64];
        block
            .iter_mut()
            .zip(key.0)
            .for_each(|(to, from)| *to = from);
        Self(<Hmac<Sha256> as KeyInit>::new(&block.into()))
    }
    /// The digest of a value as it stands in a carrier, or nothing if the value is empty.
    pub(crate) fn digest(&self, raw: &[u8]) -> Option<Digest> {
        self.digest_of(&plain(raw))
    }
    /// The digest of a value already brought to its plain form.
    pub(crate) fn digest_of(&self, value: &Plain) -> Option<Digest> {
        if value.bytes.is_empty() {
            return None;
        }
        let length = u64::try_from(value.bytes.len()).unwrap_or(u64::MAX);
        Some(Digest {
            scheme: value.scheme,
            hash: self.hash(&value.bytes),
            length,
        })
    }
    /// The bare hash.
    pub(crate) fn hash(&self, plain: &[u8]) -> [u8; 8] {
        let mut state = self.0.clone();
        state.update(plain);
        let mut short = [0; 8];
        short
            .iter_mut()
            .zip(state.finalize().into_bytes())
            .for_each(|(to, from)| *to = from);
        short
    }
}

/// A redacted value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest {
    pub(crate) scheme: Scheme,
    pub(crate) hash: [u8; 8],
    /// Length of the plain value in bytes.
    pub(crate) length: u64,
}

impl Digest {
    /// Hash and length of `scheme:hash:length}…`, if the value is long enough to identify something.
    pub(crate) fn read(mark: &str) -> Option<([u8; 8], u64)> {
        let mut parts = mark.split_once('}')?.0.split(':');
        let (_, hash, length) = (parts.next()?, parts.next()?, parts.next()?);
        let length = length.parse().ok().filter(|length| *length >= SHORTEST)?;
        let hash = u64::from_str_radix(hash, 16)
            .ok()
            .filter(|_| hash.len() == 16)?;
        Some((hash.to_be_bytes(), length))
    }
    /// Appends the textual form.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        out.extend_from_slice(self.scheme.name().as_bytes());
        out.push(b':');
        write_hex(&self.hash, out);
        out.push(b':');
        out.extend_from_slice(self.length.to_string().as_bytes());
        out.push(b'}');
    }
}

/// Appends lower-case hexadecimal digits.
pub(crate) fn write_hex(bytes: &[u8], out: &mut Vec<u8>) {
    let digit = |value: u8| {
        if value < 10 {
            b'0' + value
        } else {
            b'a' + value - 10
        }
    };
    for byte in bytes {
        out.push(digit(byte >> 4));
        out.push(digit(byte & 15));
    }
}

/// An authentication scheme, as its place in `SCHEMES`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scheme(u8);

impl Scheme {
    /// No scheme was seen.
    pub(crate) const NONE: Self = Self(0);
    /// A JSON Web Token, known by its looks.
    pub(crate) const JWT: Self = Self(1);
    /// RFC 7617.
    pub(crate) const BASIC: Self = Self(2);
    /// RFC 6750.
    pub(crate) const BEARER: Self = Self(3);

    /// The listed scheme of that name, in any case.
    pub(crate) fn from_name(name: &[u8]) -> Option<Self> {
        if !(3..=16).contains(&name.len()) {
            return None;
        }
        let index = SCHEMES
            .iter()
            .position(|known| known.as_bytes().eq_ignore_ascii_case(name))?;
        u8::try_from(index).ok().map(Self)
    }
    /// The scheme with that place in the list, if there is one.
    pub(crate) fn from_index(index: u8) -> Option<Self> {
        SCHEMES.get(usize::from(index)).map(|_| Self(index))
    }
    /// Its place in the list: what is stored.
    pub(crate) fn index(self) -> u8 {
        self.0
    }
    /// Lower-case name.
    pub(crate) fn name(self) -> &'static str {
        SCHEMES.get(usize::from(self.0)).copied().unwrap_or("h")
    }
    /// Whether the credential is one token, never `name=value` parameters.
    pub(crate) fn is_single(self) -> bool {
        matches!(
            self.name(),
            "basic" | "bearer" | "jwt" | "negotiate" | "ntlm" | "dpop" | "kerberos"
        )
    }
}

/// IANA's HTTP authentication schemes and the unregistered ones in wide use. Places are stored: append only.
const SCHEMES: &[&str] = &[
    "h",
    "jwt",
    "basic",
    "bearer",
    "digest",
    "negotiate",
    "ntlm",
    "dpop",
    "token",
    "apikey",
    "aws4-hmac-sha256",
    "hawk",
    "hoba",
    "mutual",
    "oauth",
    "privatetoken",
    "scram-sha-1",
    "scram-sha-256",
    "signature",
    "vapid",
    "gnap",
    "concealed",
    "sharedkey",
    "sharedkeylite",
    "splunk",
    "ssws",
    "key",
    "kerberos",
    "api-key",
    "googlelogin",
    "aws",
    "goog1",
    "webpush",
];
