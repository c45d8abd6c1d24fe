//! `connection.icmp` read back: what the network said of a connection.

use super::StoryLine;
use crate::icmp::IcmpError;

/// What is stored: how many messages, the first and the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IcmpNumbers {
    count: u64,
    first: IcmpError,
    last: IcmpError,
}

impl IcmpNumbers {
    /// Reads the text of the column, in the order of the schema.
    pub(super) fn read(text: Option<&str>) -> Option<Self> {
        let mut parts = text?.split(' ');
        Some(Self {
            count: parts.next()?.parse().ok()?,
            first: IcmpError::read(parts.next()?)?,
            last: IcmpError::read(parts.next()?)?,
        })
    }

    /// The last message, which is what ended the connection if one did.
    pub(super) fn last_in_words(&self) -> String {
        self.last.words()
    }

    /// The messages, in one line where all that is known of them is the same.
    pub(super) fn story(&self) -> Vec<StoryLine> {
        let line = |error: &IcmpError, times: String| StoryLine {
            after_ns: Some(i64::try_from(error.after_ns).unwrap_or(i64::MAX)),
            by: "",
            what: format!(
                "{}{times}, about a packet of the {}'s",
                error.words(),
                error.about
            ),
            id: None,
            captured: None,
        };
        let times = |count| format!(", {count} times");
        match (self.count, self.first.says_the_same_as(&self.last)) {
            (0 | 1, _) => vec![line(&self.first, String::new())],
            (count, true) => vec![line(&self.first, times(count))],
            (2, false) => vec![
                line(&self.first, String::new()),
                line(&self.last, String::new()),
            ],
            (count, false) => vec![
                line(&self.first, String::new()),
                line(
                    &self.last,
                    format!(", the last of {count} messages of ICMP"),
                ),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let numbers = IcmpNumbers::read(Some(text)).unwrap();
        numbers.story().into_iter().map(|line| line.what).collect()
    }

    #[test]
    fn messages_are_named() {
        assert_eq!(
            told("2 500,client,3,13,,10.0.0.1 900,client,3,13,,10.0.0.1"),
            [
                "ICMP from 10.0.0.1: destination unreachable, communication administratively prohibited (type 3, code 13), \
              2 times, about a packet of the client's"
            ]
        );
        assert_eq!(
            told("3 500,server,2,0,1280,fd00::1 900,client,3,0,,fd00::1"),
            [
                "ICMPv6 from fd00::1: packet too big, MTU 1280 (type 2, code 0), about a packet of the server's",
                "ICMPv6 from fd00::1: time exceeded, hop limit exceeded in transit (type 3, code 0), the last of 3 messages of \
              ICMP, about a packet of the client's"
            ]
        );
        assert_eq!(
            told("1 5,client,3,4,1400,10.0.0.1 5,client,3,4,1400,10.0.0.1"),
            [
                "ICMP from 10.0.0.1: destination unreachable, fragmentation needed and don't fragment set, MTU 1400 (type 3, \
              code 4), about a packet of the client's"
            ]
        );
    }

    #[test]
    fn what_is_not_understood_tells_nothing() {
        for text in [
            "",
            "1",
            "1 2,client",
            "x 5,client,3,4,,10.0.0.1 5,client,3,4,,10.0.0.1",
        ] {
            assert_eq!(IcmpNumbers::read(Some(text)), None, "{text}");
        }
        assert!(told("1 5,client,3,99,,10.0.0.1 5,client,3,99,,10.0.0.1")[0].contains("code 99"));
    }
}
