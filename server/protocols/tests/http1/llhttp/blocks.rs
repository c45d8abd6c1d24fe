//! The blocks of llhttp's tests: bytes in Markdown, and the log of what that parser said of them.
//!
//! Owns: reading the folder. Spans are taken from the bytes by offset and length, and compared with the text that the log
//! shows, so that a mistake in reading the bytes is found here. Refuses: to know another parser than llhttp.

use std::{fs, path::Path};

/// One block that llhttp reads by its strict rules.
pub(super) struct Block {
    /// File and title; `(again)` behind a title that came before.
    pub(super) place: String,
    pub(super) is_request: bool,
    /// The response answers a HEAD.
    pub(super) has_no_body: bool,
    pub(super) bytes: Vec<u8>,
    pub(super) expected: Expected,
}

/// What llhttp makes of it.
#[derive(Default)]
pub(super) struct Expected {
    /// Heads that were read to their end.
    pub(super) heads: Vec<Head>,
    /// Why the bytes are refused.
    pub(super) refusal: Option<String>,
    /// Where another protocol begins.
    pub(super) upgraded_at: Option<usize>,
}

/// The head of a request or of a response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// `HTTP/1.1`.
    pub(super) version: String,
    /// Method and target, or status and reason.
    pub(super) start: [Vec<u8>; 2],
    pub(super) fields: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The strict blocks of all files in the folder `llhttp` of the corpora.
pub(super) fn strict_blocks(folder: &Path) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for side in ["request", "response"] {
        let entries = fs::read_dir(folder.join(side)).expect("request and response");
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            for mut block in of_file(&fs::read_to_string(&file).unwrap()) {
                block.place = format!("{side}/{name}: {}", block.place);
                if blocks.iter().any(|other| other.place == block.place) {
                    block.place.push_str(" (again)");
                }
                blocks.push(block);
            }
        }
    }
    blocks
}

/// A comment with what the test is, a fence `http`, a fence `log`; headings between.
fn of_file(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let (mut title, mut meta, mut input) = ("", None, None);
    let mut rest = text;
    while let Some((line, behind)) = rest.split_once('\n') {
        rest = behind;
        if let Some(heading) = line.strip_prefix('#') {
            title = heading.trim_start_matches('#').trim();
        } else if let Some(comment) = line.trim().strip_prefix("<!-- meta=") {
            let json = comment.strip_suffix("-->").expect("a comment of one line");
            meta = Some(serde_json::from_str::<serde_json::Value>(json).expect("JSON"));
        } else if let Some(language) = line.strip_prefix("```") {
            let (inside, behind) = rest.split_once("\n```").expect("the end of a fence");
            rest = behind;
            match language {
                "http" => input = Some(bytes(inside)),
                "log" => {
                    let (Some(meta), Some(bytes)) = (meta.take(), input.take()) else {
                        panic!("{title}: a log without its bytes, or without what they are");
                    };
                    let (side, way) = match meta["type"].as_str().expect("a type") {
                        kind @ ("request" | "response") => (kind, ""),
                        kind => kind.split_once('-').expect("side and way"),
                    };
                    // `finish` says what the end of the connection comes to; all other ways are lenient.
                    if matches!(way, "" | "finish") {
                        blocks.push(Block {
                            place: title.to_owned(),
                            is_request: side == "request",
                            has_no_body: meta["skipBody"] == true,
                            expected: expected(title, &bytes, inside),
                            bytes,
                        });
                    }
                }
                _ => {}
            }
        }
    }
    blocks
}

/// The bytes that the text of a fence stands for, by the rules of llhttp's own reader of these files.
fn bytes(text: &str) -> Vec<u8> {
    let text = text.replace("\\\n", "").replace('\n', "\r\n");
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        let (byte, behind) = match (byte, behind) {
            (b'\\', [b'r', behind @ ..]) => (b'\r', behind),
            (b'\\', [b'n', behind @ ..]) => (b'\n', behind),
            (b'\\', [b't', behind @ ..]) => (b'\t', behind),
            (b'\\', [b'f', behind @ ..]) => (b'\x0c', behind),
            (b'\\', [b'x', high, low, behind @ ..]) => {
                let digit = |digit: u8| char::from(digit).to_digit(16).expect("a digit");
                // That reader writes the character of this number, in UTF-8.
                let number = u8::try_from(digit(*high) * 16 + digit(*low)).unwrap();
                bytes.extend(char::from(number).to_string().bytes());
                rest = behind;
                continue;
            }
            _ => (*byte, behind),
        };
        bytes.push(byte);
        rest = behind;
    }
    bytes
}

fn expected(title: &str, bytes: &[u8], log: &str) -> Expected {
    let mut log_of = Log::default();
    for line in log.lines() {
        let (offset, what) = line.split_once(' ').expect("an offset, and what is there");
        let offset = offset.strip_prefix("off=").expect("off=");
        match what
            .strip_prefix("len=")
            .and_then(|rest| rest.split_once(" span["))
        {
            Some((length, span)) => {
                let (kind, shown) = span.split_once("]=").expect("a kind, and its text");
                let from: usize = offset.parse().unwrap();
                let span = &bytes[from..from + length.parse::<usize>().unwrap()];
                let text = shown
                    .strip_prefix('"')
                    .and_then(|shown| shown.strip_suffix('"'));
                let is_it = match (text, shown) {
                    (Some(text), _) => span == self::bytes(text),
                    (None, "cr") => span == b"\r",
                    (None, "lf") => span == b"\n",
                    (None, _) => false,
                };
                assert!(is_it, "{title}: {line}: {}", span.escape_ascii());
                log_of.span(kind, span);
            }
            None => log_of.event(offset, what),
        }
    }
    log_of.expected
}

/// A log as far as it was read.
#[derive(Default)]
struct Log {
    expected: Expected,
    head: Head,
    is_in_head: bool,
    /// The name of the last field is not at its end.
    is_in_name: bool,
}

impl Log {
    fn span(&mut self, kind: &str, span: &[u8]) {
        let fields = &mut self.head.fields;
        match kind {
            // Trailers stand behind the head.
            _ if !self.is_in_head => {}
            "method" => self.head.start[0].extend(span),
            "url" | "status" => self.head.start[1].extend(span),
            "protocol" => self.head.version = format!("{}/", String::from_utf8_lossy(span)),
            "version" => self.head.version.push_str(&String::from_utf8_lossy(span)),
            "header_field" if self.is_in_name => fields.last_mut().unwrap().0.extend(span),
            "header_field" => {
                fields.push((span.to_vec(), Vec::new()));
                self.is_in_name = true;
            }
            "header_value" => fields.last_mut().expect("a name").1.extend(span),
            kind => panic!("a head with {kind}"),
        }
    }

    fn event(&mut self, offset: &str, what: &str) {
        let words: Vec<_> = what.split([' ', '=']).collect();
        match words[..] {
            ["message", "begin"] => {
                self.head = Head::default();
                self.is_in_head = true;
            }
            ["header_field", "complete"] => self.is_in_name = false,
            ["headers", "complete", kind, number, ..] => {
                self.is_in_head = false;
                let mut head = std::mem::take(&mut self.head);
                if kind == "status" {
                    head.start[0] = number.into();
                }
                self.expected.heads.push(head);
            }
            ["error", "code", "22", ..] => self.expected.upgraded_at = offset.parse().ok(),
            ["error", "code", ..] => self.expected.refusal = Some(what.to_owned()),
            _ => {}
        }
    }
}
