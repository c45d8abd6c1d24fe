//! Printable ids: `x_`, `c_`, `d_` or `g_`, four characters that name the store, then the number in Crockford's base 32.
//!
//! Owns: both directions, and the difference between a malformed and a foreign id. Whether the number was ever given out
//! is for the store to say. No text of the caller's is echoed unless it consists of id characters.

use crate::QueryError;

/// An exchange's id in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExchangeId(pub u64);

/// A connection's id in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionId(pub u64);

/// A DNS exchange's id in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DnsId(pub u64);

impl DnsId {
    /// As printed by the store named `tag`.
    pub fn printed(self, tag: &str) -> String {
        format!("d_{tag}{}", digits(self.0))
    }

    /// Reads a printed id of the store named `tag`; `argument` is what the caller calls it.
    ///
    /// # Errors
    /// As `ExchangeId::parse`.
    pub fn parse(argument: &'static str, tag: &str, text: &str) -> Result<Self, QueryError> {
        number(argument, tag, text, &DNS).map(Self)
    }
}

/// An id of a group of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GroupId(pub(crate) u64);

impl GroupId {
    /// As printed by the store named `tag`.
    pub(crate) fn printed(self, tag: &str) -> String {
        format!("g_{tag}{}", digits(self.0))
    }

    /// Reads a printed id of the store named `tag`; `argument` is what the caller calls it.
    ///
    /// # Errors
    /// As `ExchangeId::parse`.
    pub(crate) fn parse(argument: &'static str, tag: &str, text: &str) -> Result<Self, QueryError> {
        number(argument, tag, text, &GROUP).map(Self)
    }
}

/// A kind of id.
struct Form {
    prefix: &'static str,
    /// What it names.
    of: &'static str,
    /// Other kinds, and what is said of them.
    others: [(&'static str, &'static str); 3],
}

const EXCHANGE: Form = Form {
    prefix: "x_",
    of: "an exchange",
    others: [
        ("c_", "this is a connection's id, for get_connection"),
        ("d_", "this is a DNS exchange's id, for get_exchange"),
        (
            "g_",
            "this is the id of a group of failures, for explain_failure",
        ),
    ],
};
const DNS: Form = Form {
    prefix: "d_",
    of: "a DNS exchange",
    others: [
        ("c_", "this is a connection's id, for get_connection"),
        ("x_", "this is an exchange's id, for get_exchange"),
        (
            "g_",
            "this is the id of a group of failures, for explain_failure",
        ),
    ],
};

const GROUP: Form = Form {
    prefix: "g_",
    of: "a group of failures",
    others: [
        ("x_", "this is an exchange's id"),
        ("c_", "this is a connection's id, for get_connection"),
        ("d_", "this is a DNS exchange's id, for get_exchange"),
    ],
};
const CONNECTION: Form = Form {
    prefix: "c_",
    of: "a connection",
    others: [
        ("x_", "this is an exchange's id, for get_exchange"),
        ("d_", "this is a DNS exchange's id, for get_exchange"),
        (
            "g_",
            "this is the id of a group of failures, for explain_failure",
        ),
    ],
};

impl ExchangeId {
    /// As printed by the store named `tag`.
    pub fn printed(self, tag: &str) -> String {
        format!("x_{tag}{}", digits(self.0))
    }

    /// Reads a printed id of the store named `tag`; `argument` is what the caller calls it.
    ///
    /// # Errors
    /// `Argument` when it has not the form of one, `Foreign` when another store printed it.
    pub fn parse(argument: &'static str, tag: &str, text: &str) -> Result<Self, QueryError> {
        number(argument, tag, text, &EXCHANGE).map(Self)
    }
}

impl ConnectionId {
    /// As printed by the store named `tag`.
    pub fn printed(self, tag: &str) -> String {
        format!("c_{tag}{}", digits(self.0))
    }

    /// Reads a printed id of the store named `tag`; `argument` is what the caller calls it.
    ///
    /// # Errors
    /// As `ExchangeId::parse`.
    pub fn parse(argument: &'static str, tag: &str, text: &str) -> Result<Self, QueryError> {
        number(argument, tag, text, &CONNECTION).map(Self)
    }
}

fn number(argument: &'static str, tag: &str, text: &str, form: &Form) -> Result<u64, QueryError> {
    let prefix = form.prefix;
    let malformed = |problem: &str| QueryError::Argument {
        argument,
        problem: format!(
            "{problem}; {}'s id looks like {prefix}{tag}{}",
            form.of,
            digits(1234)
        ),
    };
    let normal: String = text.trim().chars().map(normalise).collect();
    if normal.len() > LONGEST {
        return Err(malformed("this is too long"));
    }
    let Some(body) = normal.strip_prefix(prefix) else {
        let other = form
            .others
            .iter()
            .find(|(prefix, _)| normal.starts_with(prefix));
        return Err(malformed(other.map_or("this is no id", |(_, said)| said)));
    };
    if !body.bytes().all(|byte| ALPHABET.contains(&byte)) || body.len() <= TAG_LENGTH {
        return Err(malformed("this is no id"));
    }
    let (of, number) = body.split_at(TAG_LENGTH);
    if !of.chars().eq(tag.chars().map(normalise)) {
        return Err(QueryError::Foreign {
            id: normal,
            prefix: format!("{prefix}{tag}"),
        });
    }
    value(number).ok_or_else(|| malformed("its number is too large"))
}

fn digits(mut number: u64) -> String {
    let mut reversed = Vec::new();
    loop {
        let digit = usize::try_from(number % 32).unwrap_or(0);
        reversed.push(char::from(ALPHABET.get(digit).copied().unwrap_or(b'0')));
        number /= 32;
        if number == 0 {
            return reversed.into_iter().rev().collect();
        }
    }
}

fn value(digits: &str) -> Option<u64> {
    digits.bytes().try_fold(0_u64, |sum, byte| {
        let digit = ALPHABET.iter().position(|candidate| *candidate == byte)?;
        sum.checked_mul(32)?.checked_add(u64::try_from(digit).ok()?)
    })
}

/// Crockford's tolerance: any case, and letters that look like digits.
fn normalise(character: char) -> char {
    match character.to_ascii_lowercase() {
        'o' => '0',
        'i' | 'l' => '1',
        other => other,
    }
}

/// <https://www.crockford.com/base32.html>, lower case.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const TAG_LENGTH: usize = 4;
const LONGEST: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_reads_back() {
        for number in [0, 1, 31, 32, 1024, 0x7fff_ffff_ffff_ffff, u64::MAX] {
            let printed = ExchangeId(number).printed("k7q2");
            assert_eq!(
                ExchangeId::parse("id", "k7q2", &printed).unwrap(),
                ExchangeId(number)
            );
            let shouted = printed.to_ascii_uppercase();
            assert_eq!(
                ExchangeId::parse("id", "k7q2", &shouted).unwrap(),
                ExchangeId(number)
            );
        }
        assert_eq!(ExchangeId(0).printed("k7q2"), "x_k7q20");
        assert_eq!(ConnectionId(33).printed("k7q2"), "c_k7q211");
        assert_eq!(
            ExchangeId::parse("id", "k7q2", "x_k7q2oL").unwrap(),
            ExchangeId(1)
        );
    }

    #[test]
    fn malformed_and_foreign_are_told_apart() {
        for text in [
            "",
            "x_",
            "x_k7q2",
            "c_k7q21",
            "1234",
            "x_k7q2u",
            "x_k7q2'; drop",
            "x_k7q2zzzzzzzzzzzzzz",
        ] {
            let error = ExchangeId::parse("id", "k7q2", text).unwrap_err();
            assert!(
                matches!(error, QueryError::Argument { argument: "id", .. }),
                "{text}: {error}"
            );
            assert!(error.to_string().contains("x_k7q2"), "{error}");
            assert!(
                text.len() < 8 || !error.to_string().contains(text),
                "{error}"
            );
        }
        let error = ExchangeId::parse("id", "k7q2", "x_aaaa1").unwrap_err();
        assert!(
            matches!(error, QueryError::Foreign { ref prefix, .. } if prefix == "x_k7q2"),
            "{error}"
        );
        let long = format!("x_k7q2{}", "1".repeat(60));
        assert!(
            ExchangeId::parse("id", "k7q2", &long)
                .unwrap_err()
                .to_string()
                .len()
                < 120
        );
    }
}
