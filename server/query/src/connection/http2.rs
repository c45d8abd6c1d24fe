//! `connection.http2` read back, and the rows of it: the settings of both ends, and what they did to the connection.

use headwater_pack::numbers;

use super::{Element, StoryLine};
use crate::outcome;

/// What is stored of both ends, the client's first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Http2Numbers([End; 2]);

#[derive(Debug, Clone, Copy)]
struct End {
    /// In the order of `SETTINGS`.
    settings: [Option<u64>; SETTINGS.len()],
    settings_frames: Option<u64>,
    pings: Option<u64>,
    resets: Option<u64>,
    push_promises: Option<u64>,
    priority_updates: Option<u64>,
    goaway_frames: Option<u64>,
    goaway: Option<GoAway>,
}

/// The last one of an end.
#[derive(Debug, Clone, Copy)]
struct GoAway {
    after_ns: u64,
    code: u64,
    last_stream_id: u64,
}

/// Names of settings (RFC 9113, section 6.5.2), and what holds where none was sent.
const SETTINGS: [(&str, &str); 6] = [
    ("http2_header_table_size", "4096 (default)"),
    ("http2_enable_push", "1 (default)"),
    ("http2_max_concurrent_streams", "unlimited (default)"),
    ("http2_initial_window_size", "65535 (default)"),
    ("http2_max_frame_size", "16384 (default)"),
    ("http2_max_header_list_size", "unlimited (default)"),
];

/// Numbers of one end in the column.
const COUNT: usize = SETTINGS.len() + 9;

impl Http2Numbers {
    /// Reads the text of the column, in the order of the schema.
    pub(super) fn read(text: Option<&str>) -> Option<Self> {
        let numbers: [Option<u64>; 2 * COUNT] = numbers::split(text?);
        let (client, server) = numbers.split_at(COUNT);
        Some(Self([End::read(client), End::read(server)]))
    }

    /// Rows of what at least one end has told. `is_whole` says that the connection was seen from its beginning.
    pub(super) fn elements(&self, is_whole: bool) -> Vec<Element> {
        let mut rows = Vec::new();
        let mut add = |name, [client, server]: [Option<String>; 2]| {
            if client.is_some() || server.is_some() {
                rows.push(Element {
                    name,
                    client,
                    server,
                });
            }
        };
        for (at, (name, default)) in SETTINGS.into_iter().enumerate() {
            let told = self.0.map(|end| end.settings.get(at).copied().flatten());
            if told == [None, None] {
                continue;
            }
            let shown = |end: usize| match told.get(end).copied().flatten() {
                Some(value) => Some(value.to_string()),
                // Where its first SETTINGS frame may have been missed, nobody knows.
                None if is_whole && self.has_settings(end) => Some(default.to_owned()),
                None => None,
            };
            add(name, [shown(0), shown(1)]);
        }
        let count = |name, of: fn(&End) -> Option<u64>| (name, self.0.map(|end| of(&end)));
        for (name, told) in [
            count("http2_settings_frames", |end| end.settings_frames),
            count("http2_pings", |end| end.pings),
            count("http2_streams_reset", |end| end.resets),
            count("http2_push_promises", |end| end.push_promises),
            count("http2_priority_updates", |end| end.priority_updates),
            count("http2_goaways", |end| end.goaway_frames),
        ] {
            if told != [None, None] {
                add(name, told.map(|count| Some(count.unwrap_or(0).to_string())));
            }
        }
        rows
    }

    /// GOAWAY frames, the last of each end.
    pub(super) fn story(&self) -> impl Iterator<Item = StoryLine> {
        ["client", "server"]
            .into_iter()
            .zip(self.0)
            .filter_map(|(by, end)| {
                let goaway = end.goaway?;
                let name = outcome::http2_error(i64::try_from(goaway.code).unwrap_or(i64::MAX));
                // So a graceful shutdown begins (RFC 9113, section 6.8).
                let last = if goaway.last_stream_id == MOST_STREAM_ID {
                    "no stream is refused as yet".to_owned()
                } else {
                    format!("last stream {}", goaway.last_stream_id)
                };
                Some(StoryLine {
                    after_ns: Some(i64::try_from(goaway.after_ns).unwrap_or(i64::MAX)),
                    by,
                    what: format!("GOAWAY {name}, {last}"),
                    id: None,
                    captured: None,
                })
            })
    }

    fn has_settings(&self, end: usize) -> bool {
        self.0
            .get(end)
            .is_some_and(|end| end.settings_frames.is_some())
    }
}

impl End {
    fn read(numbers: &[Option<u64>]) -> Self {
        let mut numbers = numbers.iter().copied();
        let mut next = || numbers.next().flatten();
        Self {
            settings: std::array::from_fn(|_| next()),
            settings_frames: next(),
            pings: next(),
            resets: next(),
            push_promises: next(),
            priority_updates: next(),
            goaway_frames: next(),
            goaway: next().map(|after_ns| GoAway {
                after_ns,
                code: next().unwrap_or(0),
                last_stream_id: next().unwrap_or(0),
            }),
        }
    }
}

const MOST_STREAM_ID: u64 = (1 << 31) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_have_their_places() {
        let text = "4096,0,,,,,1,,2,,,,,,,,,128,,,,1,,,,,2,500,7,3";
        let numbers = Http2Numbers::read(Some(text)).unwrap();
        let shown: Vec<_> = numbers
            .elements(true)
            .into_iter()
            .map(|row| (row.name, row.client.unwrap(), row.server.unwrap()))
            .collect();
        let expected = [
            ("http2_header_table_size", "4096", "4096 (default)"),
            ("http2_enable_push", "0", "1 (default)"),
            ("http2_max_concurrent_streams", "unlimited (default)", "128"),
            ("http2_settings_frames", "1", "1"),
            ("http2_streams_reset", "2", "0"),
            ("http2_goaways", "0", "2"),
        ];
        let expected =
            expected.map(|(name, client, server)| (name, client.to_owned(), server.to_owned()));
        assert_eq!(shown, expected);
        let story: Vec<_> = numbers.story().collect();
        assert_eq!(story.len(), 1);
        assert_eq!(
            (story[0].by, story[0].what.as_str(), story[0].after_ns),
            ("server", "GOAWAY REFUSED_STREAM, last stream 3", Some(500))
        );
        let joined = numbers.elements(false);
        assert_eq!(joined[0].server, None, "it may have been set before");
    }
}
