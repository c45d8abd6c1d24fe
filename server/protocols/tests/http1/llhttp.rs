//! The strict blocks of llhttp's tests: the same heads with the same fields, and what that parser refuses is counted here.
//!
//! A receiver refuses so that nobody behind it reads something else; an observer tells what was sent. So this goes on where
//! llhttp stops, and only what llhttp read to its end is compared. `llhttp/exceptions.txt` says of each difference why it is
//! none to mend; a line for what no longer happens is a mistake, too. Needs HEADWATER_CORPORA.

mod blocks;

use std::{collections::BTreeSet, path::PathBuf};

use blocks::{Block, Head, strict_blocks};
use headwater_protocols::http1::{
    Connection, Direction, End, Exchange, Limits, MalformedElement, Observer, RequestHead,
    ResponseHead, Verdict,
};

/// Keeps the heads of one direction, and what was found wrong there.
struct Found {
    direction: Direction,
    heads: Vec<Head>,
    interim: Vec<u16>,
    malformed: Vec<MalformedElement>,
}

impl Observer for Found {
    type Request = ();
    type Response = ();

    fn request(&mut self, head: &RequestHead<'_>) {
        if self.direction == Direction::ToServer {
            self.heads.push(Head {
                version: format!("HTTP/1.{}", head.minor_version),
                start: [head.method.to_vec(), head.target.to_vec()],
                fields: head.fields.iter().map(owned).collect(),
            });
        }
    }
    fn response(&mut self, head: &ResponseHead<'_>) {
        if self.direction == Direction::ToClient {
            self.heads.push(Head {
                version: format!("HTTP/1.{}", head.minor_version),
                start: [head.status.to_string().into(), head.reason.to_vec()],
                fields: head.fields.iter().map(owned).collect(),
            });
        }
    }
    fn exchange(&mut self, exchange: Exchange<(), ()>) {
        self.interim.extend(exchange.interim.as_slice());
    }
    fn malformed(&mut self, direction: Direction, element: MalformedElement) {
        if direction == self.direction {
            self.malformed.push(element);
        }
    }
}

fn owned((name, value): (&[u8], &[u8])) -> (Vec<u8>, Vec<u8>) {
    (name.to_vec(), value.to_vec())
}

/// White space around a value is none of it (RFC 9112, 5); llhttp leaves it to its caller to take off what stands behind, and
/// leaves out the line ends within a folded value.
fn plain(mut head: Head) -> Head {
    head.start[1] = head.start[1].trim_ascii().to_vec();
    for (_, value) in &mut head.fields {
        *value = value.trim_ascii().to_vec();
        value.retain(|byte| !matches!(byte, b'\r' | b'\n'));
    }
    head
}

fn is_interim(head: &Head) -> bool {
    head.start[0].len() == 3 && head.start[0][0] == b'1' && head.start[0] != b"101"
}

/// What is made of `block` here, in pieces of at most `size` bytes, and whether another protocol took HTTP's place.
fn observed(block: &Block, size: usize) -> (Found, bool) {
    let direction = if block.is_request {
        Direction::ToServer
    } else {
        Direction::ToClient
    };
    let mut found = Found {
        direction,
        heads: Vec::new(),
        interim: Vec::new(),
        malformed: Vec::new(),
    };
    let mut connection = Connection::new(Limits::default(), false);
    let expected = &block.expected;
    if !block.is_request {
        let method = if block.has_no_body { "HEAD" } else { "GET" };
        let asked = format!("{method} / HTTP/1.1\r\nUpgrade: any\r\nConnection: upgrade\r\n\r\n");
        for _ in 0..expected.heads.len().max(1) {
            connection.bytes(Direction::ToServer, 0, 0, asked.as_bytes(), &mut found);
        }
    }
    let http_ends = expected.upgraded_at.unwrap_or(block.bytes.len());
    let (http, other) = block.bytes.split_at(http_ends);
    // Many blocks end where they are refused; here a head is told at its end.
    let rest: &[u8] = if expected.refusal.is_some() {
        b"\r\n\r\n"
    } else {
        b""
    };
    for piece in http.chunks(size).chain(rest.chunks(size)) {
        connection.bytes(direction, 0, 0, piece, &mut found);
    }
    if block.is_request {
        let answer = answer(block);
        connection.bytes(Direction::ToClient, 0, 0, answer, &mut found);
    }
    connection.bytes(direction, 0, 0, other, &mut found);
    let is_upgraded = connection.is_http(direction) == Verdict::Upgraded;
    let heads = std::mem::take(&mut found.heads);
    // The beginning of a head is told at the end, too, as one that was cut; llhttp tells of none.
    connection.end(Direction::ToServer, 0, End::Fin, &mut found);
    connection.end(Direction::ToClient, 0, End::Fin, &mut found);
    found.heads = heads.into_iter().map(plain).collect();
    (found, is_upgraded)
}

/// Without a response nobody knows whether what came first was a bad request, or no HTTP at all.
fn answer(block: &Block) -> &'static [u8] {
    let last = block.expected.heads.last();
    match block.expected.upgraded_at {
        None => b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        Some(_) if last.is_some_and(|head| head.start[0] == b"CONNECT") => {
            b"HTTP/1.1 200 OK\r\n\r\n"
        }
        Some(_) => b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    }
}

/// How `block` differs, in a word, and what there is; `None` where it does not.
fn difference(block: &Block, size: usize) -> Option<(&'static str, String)> {
    let (found, is_upgraded) = observed(block, size);
    let expected = &block.expected;
    let heads = expected.heads.iter().cloned().map(plain);
    let (interim, heads): (Vec<_>, Vec<_>) =
        heads.partition(|head| !block.is_request && is_interim(head));
    let statuses = interim.iter().map(|head| head.start[0].clone());
    let is_same = match &expected.refusal {
        None => found.heads == heads,
        Some(_) => found.heads.starts_with(&heads),
    };
    let is_refused = !found.malformed.is_empty();
    let how = if !is_same {
        "heads"
    } else if !statuses.eq(found
        .interim
        .iter()
        .map(|status| status.to_string().into_bytes()))
    {
        "interim"
    } else if is_refused != expected.refusal.is_some() {
        if is_refused { "refused" } else { "taken" }
    } else if is_upgraded != expected.upgraded_at.is_some() {
        "upgrade"
    } else {
        return None;
    };
    let told = format!(
        "llhttp {}{:?}, here {}{:?} {:?}",
        shown(&heads),
        expected.refusal,
        shown(&found.heads),
        found.malformed,
        found.interim
    );
    Some((how, told))
}

fn shown(heads: &[Head]) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let one = |head: &Head| {
        let fields = head
            .fields
            .iter()
            .map(|(name, value)| format!("| {}: {} ", text(name), text(value)));
        format!(
            "[{} {} {} {}]",
            text(&head.start[0]),
            text(&head.start[1]),
            head.version,
            fields.collect::<String>()
        )
    };
    heads.iter().map(one).collect()
}

/// Lines of file and title, how it differs, and why, with ` | ` between.
const EXCEPTIONS: &str = include_str!("llhttp/exceptions.txt");

#[test]
fn corpus_llhttp_strict_blocks_give_the_same_heads_or_are_refused() {
    let folder = std::env::var_os("HEADWATER_CORPORA")
        .map(PathBuf::from)
        .expect(
            "HEADWATER_CORPORA names the folder of corpora; --skip corpus_ leaves these tests out",
        );
    let blocks = strict_blocks(&folder.join("llhttp"));
    let lines = EXCEPTIONS
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let listed: BTreeSet<_> = lines
        .map(|line| {
            let parts: Vec<_> = line.split(" | ").collect();
            let [place, how, reason] = parts[..] else {
                panic!("not place, how and reason: {line}");
            };
            assert!(!reason.is_empty(), "no reason: {line}");
            format!("{place} | {how}")
        })
        .collect();
    let mut found = BTreeSet::new();
    for block in &blocks {
        let whole = difference(block, usize::MAX);
        assert_eq!(difference(block, 1), whole, "{}: byte by byte", block.place);
        if let Some((how, told)) = whole {
            println!("{} | {how}: {told}", block.place);
            found.insert(format!("{} | {how}", block.place));
        }
    }
    println!(
        "{} of {} blocks agree with llhttp",
        blocks.len() - found.len(),
        blocks.len()
    );
    assert!(blocks.len() > 200, "{} blocks", blocks.len());
    assert_eq!(found, listed, "what differs, and what is listed");
}
