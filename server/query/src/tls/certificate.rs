//! What a certificate says of itself.

use jiff::Timestamp;

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// Hexadecimal.
    pub(crate) sha256: String,
    subject: String,
    issuer: String,
    not_before: i64,
    not_after: i64,
    pub(crate) is_self_issued: bool,
    key: String,
    name_count: usize,
    names: Vec<String>,
}

impl Certificate {
    /// Reads a line of the column, in the order of the schema.
    pub(super) fn read(line: &str) -> Option<Self> {
        let mut parts = line.split('\t');
        let mut next = || parts.next();
        Some(Self {
            sha256: next()?.to_owned(),
            subject: next()?.to_owned(),
            issuer: next()?.to_owned(),
            not_before: next()?.parse().ok()?,
            not_after: next()?.parse().ok()?,
            is_self_issued: next()? == "1",
            key: next()?.to_owned(),
            name_count: next()?.parse().ok()?,
            names: parts.map(str::to_owned).collect(),
        })
    }

    /// What is no captured text.
    pub(crate) fn words(&self) -> String {
        let issued = if self.is_self_issued {
            ", issued by itself"
        } else {
            ""
        };
        format!(
            "{}, valid from {} until {}{issued}",
            self.key,
            date(self.not_before),
            date(self.not_after)
        )
    }

    /// Its names. Untrusted.
    pub(crate) fn captured(&self) -> String {
        let mut words = Vec::new();
        if !self.subject.is_empty() {
            words.push(format!("CN={}", self.subject));
        }
        if !self.names.is_empty() {
            let more = self.name_count.saturating_sub(self.names.len());
            let more = match more {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            words.push(format!("for {}{more}", self.names.join(", ")));
        }
        if !self.issuer.is_empty() && !self.is_self_issued {
            words.push(format!("issuer CN={}", self.issuer));
        }
        words.join("; ")
    }

    /// That it was not valid then.
    pub(super) fn doubt(&self, at_ns: u64) -> Option<String> {
        let at = i64::try_from(at_ns / 1_000_000_000).unwrap_or(i64::MAX);
        if at > self.not_after {
            let ago = days(at - self.not_after);
            return Some(format!(
                "had expired {ago} before, on {}",
                date(self.not_after)
            ));
        }
        (at < self.not_before).then(|| {
            let ahead = days(self.not_before - at);
            format!(
                "was not valid yet: from {} on, {ahead} later",
                date(self.not_before)
            )
        })
    }
}

fn days(seconds: i64) -> String {
    match seconds / 86_400 {
        0 => "less than a day".to_owned(),
        1 => "a day".to_owned(),
        days => format!("{days} days"),
    }
}

fn date(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(
        |_| "a time that is none".to_owned(),
        |time| time.strftime("%Y-%m-%d").to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read() {
        let line = "ab\tshop.example.com\tA CA\t1577836800\t1609459200\t0\tRSA 2048\t3\tshop.example.com\t*.example.com";
        let certificate = Certificate::read(line).unwrap();
        assert_eq!(
            certificate.words(),
            "RSA 2048, valid from 2020-01-01 until 2021-01-01"
        );
        assert_eq!(
            certificate.captured(),
            "CN=shop.example.com; for shop.example.com, *.example.com and 1 more; issuer CN=A CA"
        );
        let doubt = |seconds: u64| certificate.doubt(seconds * 1_000_000_000);
        assert_eq!(
            doubt(1_609_459_200 + 3 * 86_400).as_deref(),
            Some("had expired 3 days before, on 2021-01-01")
        );
        assert_eq!(doubt(1_600_000_000), None);
        assert_eq!(
            doubt(1_577_836_700).as_deref(),
            Some("was not valid yet: from 2020-01-01 on, less than a day later")
        );
        assert_eq!(Certificate::read("ab\tonly"), None);
    }

    #[test]
    fn dates_that_are_none() {
        assert_eq!(date(i64::MAX), "a time that is none");
    }
}
