//! A conversation as data, and what an observer makes of it as lines of text.
//!
//! Step `i` passes at `i + 1` ns. An exchange is a line such as `GET /a +0 -> 200 +5 Complete`: method, target and body
//! bytes, status and body bytes, statuses of interim responses in brackets before them, outcome, gaps. `~` marks a head
//! that was cut, `…` a message whose end was not reached, `-` one that was not seen.
#![allow(
    dead_code,
    reason = "each test crate that includes this file uses some of it"
)]

use headwater_protocols::http1::{
    Connection, Direction, End, Exchange, Gaps, Limits, MalformedElement, Observer, Outcome,
    Repeats, RequestHead, ResponseHead, Skip, Tail, Verdict,
};

#[derive(Clone, Copy)]
pub(crate) enum Step<'a> {
    /// The client sends.
    C(&'a [u8]),
    /// The server sends.
    S(&'a [u8]),
    Skip(Direction, u64, Skip, Tail),
    /// A new turn of the client.
    TurnC,
    /// A new turn of the server.
    TurnS,
    End(Direction, End),
}

pub(crate) use Step::{C, S, TurnC, TurnS};
pub(crate) const FIN_C: Step<'_> = Step::End(Direction::ToServer, End::Fin);
pub(crate) const FIN_S: Step<'_> = Step::End(Direction::ToClient, End::Fin);

pub(crate) fn uncopied_c(count: u64) -> Step<'static> {
    Step::Skip(Direction::ToServer, count, Skip::NotCopied, Tail::Unknown)
}

pub(crate) fn uncopied_s(count: u64) -> Step<'static> {
    Step::Skip(Direction::ToClient, count, Skip::NotCopied, Tail::Unknown)
}

#[derive(Clone)]
pub(crate) struct Head {
    pub(crate) start: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) cut: bool,
}

/// Keeps everything.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) exchanges: Vec<Exchange<Head, Head>>,
    pub(crate) malformed: Vec<(Direction, MalformedElement)>,
    pub(crate) requests: usize,
    pub(crate) responses: usize,
    /// Where it remembers heads.
    pub(crate) repeats: Option<Repeats<Head, Head>>,
}

impl Observer for Recorder {
    type Request = Head;
    type Response = Head;

    fn request(&mut self, head: &RequestHead<'_>) -> Head {
        self.requests += 1;
        let start = format!("{} {}", text(head.method), text(head.target));
        Head {
            start,
            fields: head.fields.iter().map(owned).collect(),
            cut: head.cut,
        }
    }
    fn response(&mut self, head: &ResponseHead<'_>) -> Head {
        self.responses += 1;
        Head {
            start: head.status.to_string(),
            fields: head.fields.iter().map(owned).collect(),
            cut: head.cut,
        }
    }
    fn exchange(&mut self, exchange: Exchange<Head, Head>) {
        self.exchanges.push(exchange);
    }
    fn repeats(&mut self) -> Option<&mut Repeats<Head, Head>> {
        self.repeats.as_mut()
    }
    fn request_may_repeat(&self, _: &Head) -> bool {
        true
    }
    fn response_may_repeat(&self, _: &Head) -> bool {
        true
    }
    fn request_repeats(&mut self, _: &Head) {
        self.requests += 1;
    }
    fn malformed(&mut self, direction: Direction, element: MalformedElement) {
        self.malformed.push((direction, element));
    }
}

impl Recorder {
    pub(crate) fn lines(&self) -> Vec<String> {
        let malformed = self
            .malformed
            .iter()
            .map(|(direction, element)| format!("malformed {direction:?} {element:?}"));
        self.exchanges.iter().map(line).chain(malformed).collect()
    }
}

pub(crate) fn play(
    connection: &mut Connection<Recorder>,
    recorder: &mut Recorder,
    steps: &[Step<'_>],
) {
    for (at_ns, step) in (1..).zip(steps) {
        match *step {
            C(bytes) => connection.bytes(Direction::ToServer, at_ns, at_ns, bytes, recorder),
            S(bytes) => connection.bytes(Direction::ToClient, at_ns, at_ns, bytes, recorder),
            Step::Skip(direction, count, why, tail) => {
                connection.skipped(direction, at_ns, count, why, tail, recorder);
            }
            TurnC => connection.turn(Direction::ToServer),
            TurnS => connection.turn(Direction::ToClient),
            Step::End(direction, how) => connection.end(direction, at_ns, how, recorder),
        }
    }
}

pub(crate) fn observe(steps: &[Step<'_>]) -> (Connection<Recorder>, Recorder) {
    let mut connection = Connection::new(Limits::default(), false);
    let mut recorder = Recorder::default();
    play(&mut connection, &mut recorder, steps);
    check_remembering(steps, &recorder);
    (connection, recorder)
}

/// Heads that were seen before, here all of them at the second time, tell the same as when they are read.
#[track_caller]
fn check_remembering(steps: &[Step<'_>], expected: &Recorder) {
    let mut repeats = Repeats::default();
    for _ in 0..2 {
        let mut recorder = Recorder {
            repeats: Some(repeats),
            ..Recorder::default()
        };
        let mut connection = Connection::new(Limits::default(), false);
        play(&mut connection, &mut recorder, steps);
        assert_eq!(recorder.lines(), expected.lines());
        assert_eq!(recorder.requests, expected.requests);
        repeats = recorder.repeats.unwrap();
    }
}

/// The conversation must leave exactly these lines and nothing open.
#[track_caller]
pub(crate) fn check(steps: &[Step<'_>], expected: &[&str]) {
    let (connection, recorder) = observe(steps);
    assert_eq!(recorder.lines(), expected);
    assert_eq!(connection.open().count(), 0, "exchanges left open");
}

/// The same for a stream joined in the middle.
#[track_caller]
pub(crate) fn check_joined(steps: &[Step<'_>], expected: &[&str]) {
    let mut connection = Connection::new(Limits::default(), true);
    let mut recorder = Recorder::default();
    play(&mut connection, &mut recorder, steps);
    assert_eq!(recorder.lines(), expected);
}

#[track_caller]
pub(crate) fn check_verdict(steps: &[Step<'_>], direction: Direction, expected: Verdict) {
    let (connection, _) = observe(steps);
    assert_eq!(connection.is_http(direction), expected);
}

pub(crate) fn line(exchange: &Exchange<Head, Head>) -> String {
    let part = |head: &Head, body: u64, last: Option<u64>| {
        let cut = if head.cut { "~" } else { "" };
        let open = if last.is_none() { "…" } else { "" };
        format!("{}{cut} +{body}{open}", head.start)
    };
    let request = exchange.request.as_ref().map_or("-".to_owned(), |r| {
        part(&r.value, r.body_bytes, r.last_byte_ns)
    });
    let response = exchange.response.as_ref().map_or("-".to_owned(), |r| {
        part(&r.value, r.body_bytes, r.last_byte_ns)
    });
    let interim = match exchange.interim.as_slice() {
        [] => String::new(),
        statuses => format!("{statuses:?} "),
    };
    format!(
        "{request} -> {interim}{response} {:?}{}",
        exchange.outcome,
        gaps(exchange.gaps)
    )
}

pub(crate) fn outcomes(recorder: &Recorder) -> Vec<Outcome> {
    recorder
        .exchanges
        .iter()
        .map(|exchange| exchange.outcome)
        .collect()
}

fn gaps(gaps: Gaps) -> String {
    let names = [
        (Gaps::REQUEST_HEAD_CUT, " request_head_cut"),
        (Gaps::RESPONSE_HEAD_CUT, " response_head_cut"),
        (Gaps::RECORDS_LOST, " records_lost"),
        (Gaps::BEHIND_BODY, " behind_body"),
        (Gaps::END_INFERRED, " end_inferred"),
        (Gaps::JOINED_MIDSTREAM, " joined_midstream"),
        (Gaps::TRAILERS_UNSEEN, " trailers_unseen"),
        (Gaps::CAPTURE_HOLE, " capture_hole"),
    ];
    names
        .iter()
        .filter(|(gap, _)| gaps.contains(*gap))
        .map(|(_, name)| *name)
        .collect()
}

fn owned((name, value): (&[u8], &[u8])) -> (String, String) {
    (text(name), text(value))
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
