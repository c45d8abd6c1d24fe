//! A conversation as data, and what an observer makes of it as lines of text.
//!
//! Step `i` passes at `i + 1` ns. An exchange is a line such as `1: GET /a +0 -> 200 +5 Complete`: stream, method, path
//! and body bytes, status and body bytes, statuses of interim responses in brackets before them, outcome, gaps, and what
//! only HTTP/2 knows. `~` marks a head that was cut, `…` a message whose end was not reached, `-` one that was not seen,
//! `?` a text that is not known; trailers stand in braces.

use headwater_protocols::grpc::Messages;
use headwater_protocols::hpack::Text;
use headwater_protocols::http1::{Direction, End, Skip};
use headwater_protocols::http1::{Exchange, Gaps, OpenExchange};
use headwater_protocols::http2::{
    Connection, Fields, Limits, MalformedElement, Observer, Repeats, RequestHead, ResponseHead,
    Room,
};

use crate::frames::{PREFACE, settings};

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// The client sends.
    C(Vec<u8>),
    /// The server sends.
    S(Vec<u8>),
    Skip(Direction, u64, Skip),
    /// A frame begins.
    Mark(Direction),
    End(Direction, End),
}

pub(crate) use Step::{C, S};
pub(crate) const FIN_C: Step = Step::End(Direction::ToServer, End::Fin);
pub(crate) const FIN_S: Step = Step::End(Direction::ToClient, End::Fin);

/// Both ends have sent their prefaces.
pub(crate) fn opened(steps: &[Step]) -> Vec<Step> {
    let mut all = vec![C([PREFACE, &settings(&[])].concat()), S(settings(&[]))];
    all.extend(steps.iter().cloned());
    all
}

/// A known text, or none.
pub(crate) type Known = Option<String>;

#[derive(Default, Debug, PartialEq, Eq, Clone)]
pub(crate) struct Head {
    pub(crate) start: String,
    /// Pseudo-header fields that are known to be there, by name.
    pub(crate) pseudo: Vec<(&'static str, Known)>,
    pub(crate) fields: Vec<(Known, Known)>,
    pub(crate) trailers: Vec<(Known, Known)>,
    pub(crate) cut: bool,
}

/// Keeps everything.
#[derive(Default)]
pub(crate) struct Recorder {
    room: Room,
    pub(crate) exchanges: Vec<Exchange<Head, Head>>,
    pub(crate) malformed: Vec<(Direction, MalformedElement)>,
    pub(crate) requests: usize,
    pub(crate) responses: usize,
    /// Where it remembers heads, if it does.
    pub(crate) repeats: Option<Repeats<Head, Head>>,
}

impl Observer for Recorder {
    type Request = Head;
    type Response = Head;

    fn room(&mut self) -> &mut Room {
        &mut self.room
    }
    fn request(&mut self, head: &RequestHead<'_>) -> Head {
        self.requests += 1;
        let pseudo = [
            (":method", head.method),
            (":scheme", head.scheme),
            (":authority", head.authority),
            (":path", head.path),
            (":protocol", head.protocol),
        ];
        let start = [head.method, head.path.or(head.authority)]
            .map(|text| text.and_then(known).unwrap_or("?".into()))
            .join(" ");
        Head {
            start,
            pseudo: pseudo
                .iter()
                .filter_map(|(name, text)| text.map(|text| (*name, known(text))))
                .collect(),
            fields: owned(head.fields),
            trailers: Vec::new(),
            cut: head.cut,
        }
    }
    fn response(&mut self, head: &ResponseHead<'_>) -> Head {
        self.responses += 1;
        let status = head.status.map(|status| status.to_string());
        Head {
            start: status.clone().unwrap_or("?".into()),
            pseudo: status
                .map(|status| (":status", Some(status)))
                .into_iter()
                .collect(),
            fields: owned(head.fields),
            trailers: Vec::new(),
            cut: head.cut,
        }
    }
    fn request_trailers(&mut self, request: &mut Head, fields: Fields<'_>) {
        request.trailers.extend(owned(fields));
    }
    fn response_trailers(&mut self, response: &mut Head, fields: Fields<'_>) {
        response.trailers.extend(owned(fields));
    }
    fn exchange(&mut self, exchange: Exchange<Head, Head>) {
        self.exchanges.push(exchange);
    }
    fn repeats(&mut self) -> Option<&mut Repeats<Head, Head>> {
        self.repeats.as_mut()
    }
    fn request_may_repeat(&self, _: &Head, _: bool) -> bool {
        true
    }
    fn response_may_repeat(&self, _: &Head, _: bool) -> bool {
        true
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

pub(crate) fn step(
    connection: &mut Connection<Recorder>,
    recorder: &mut Recorder,
    at_ns: u64,
    step: &Step,
) {
    match step {
        C(bytes) => connection.bytes(Direction::ToServer, at_ns, at_ns, bytes, recorder),
        S(bytes) => connection.bytes(Direction::ToClient, at_ns, at_ns, bytes, recorder),
        Step::Skip(direction, length, why) => {
            connection.skipped(*direction, at_ns, *length, *why, recorder);
        }
        Step::Mark(direction) => connection.frame(*direction),
        Step::End(direction, how) => connection.end(*direction, at_ns, *how, recorder),
    }
}

/// Steps with their times.
pub(crate) fn timed(steps: &[Step]) -> Vec<(u64, Step)> {
    (1..).zip(steps.iter().cloned()).collect()
}

pub(crate) fn play(
    limits: Limits,
    joined_midstream: bool,
    steps: &[(u64, Step)],
) -> (Connection<Recorder>, Recorder) {
    let (connection, recorder) = once(limits, joined_midstream, steps, None);
    let facts = |connection: &Connection<Recorder>| {
        let facts = [Direction::ToServer, Direction::ToClient].map(|to| connection.facts(to));
        format!("{facts:?}")
    };
    // With heads that are remembered, the second time all that can be, the same is told.
    let mut repeats = Some(Repeats::default());
    for _ in 0..2 {
        let (again, other) = once(limits, joined_midstream, steps, repeats);
        let (told, expected) = (&other.exchanges, &recorder.exchanges);
        assert_eq!(format!("{told:?}"), format!("{expected:?}"));
        assert_eq!(other.malformed, recorder.malformed);
        assert_eq!(facts(&again), facts(&connection));
        repeats = other.repeats;
    }
    (connection, recorder)
}

pub(crate) fn once(
    limits: Limits,
    joined_midstream: bool,
    steps: &[(u64, Step)],
    repeats: Option<Repeats<Head, Head>>,
) -> (Connection<Recorder>, Recorder) {
    let mut connection = Connection::new(limits, joined_midstream);
    let mut recorder = Recorder {
        repeats,
        ..Recorder::default()
    };
    for (at_ns, each) in steps {
        step(&mut connection, &mut recorder, *at_ns, each);
    }
    (connection, recorder)
}

pub(crate) fn observe(steps: &[Step]) -> (Connection<Recorder>, Recorder) {
    play(Limits::default(), false, &timed(steps))
}

/// The conversation must leave exactly these lines and nothing open.
#[track_caller]
pub(crate) fn check(steps: &[Step], expected: &[&str]) -> Connection<Recorder> {
    let (connection, recorder) = observe(&opened(steps));
    assert_eq!(recorder.lines(), expected);
    assert_eq!(connection.open().count(), 0, "exchanges left open");
    assert_once(&recorder);
    connection
}

/// The same for one joined in the middle.
#[track_caller]
pub(crate) fn check_joined(steps: &[Step], expected: &[&str]) -> Connection<Recorder> {
    let (connection, recorder) = play(Limits::default(), true, &timed(steps));
    assert_eq!(recorder.lines(), expected);
    assert_once(&recorder);
    connection
}

/// Each exchange was handed over once.
#[track_caller]
pub(crate) fn assert_once(recorder: &Recorder) {
    let mut ordinals: Vec<_> = recorder
        .exchanges
        .iter()
        .map(|exchange| exchange.ordinal)
        .collect();
    ordinals.sort_unstable();
    ordinals.dedup();
    assert_eq!(ordinals.len(), recorder.exchanges.len());
    let count = |has: fn(&Exchange<Head, Head>) -> bool| {
        recorder
            .exchanges
            .iter()
            .filter(|exchange| has(exchange))
            .count()
    };
    assert_eq!(
        count(|exchange| exchange.request.is_some()),
        recorder.requests
    );
    // A head of unknown status may be replaced.
    assert!(count(|exchange| exchange.response.is_some()) <= recorder.responses);
}

pub(crate) fn open_line(open: &OpenExchange<'_, Head, Head>) -> String {
    format!(
        "{}: {}",
        open.stream.unwrap().stream_id,
        open.request.map_or("-", |part| part.value.start.as_str())
    )
}

pub(crate) fn line(exchange: &Exchange<Head, Head>) -> String {
    let part = |head: &Head, body: u64, last: Option<u64>| {
        let cut = if head.cut { "~" } else { "" };
        let open = if last.is_none() { "…" } else { "" };
        let trailers = match &head.trailers[..] {
            [] => String::new(),
            trailers => format!(" {{{}}}", texts(trailers)),
        };
        format!("{}{cut} +{body}{open}{trailers}", head.start)
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
    let facts = exchange.stream.as_ref().unwrap();
    let error = facts.error.map_or(String::new(), |error| {
        let by = if error.by_goaway { " goaway" } else { "" };
        format!(" {:?}{by} {}", error.by, error.code)
    });
    let stalls = match facts.stalls {
        0 => String::new(),
        stalls => format!(" stalls {stalls} {} ns", facts.stalled_ns),
    };
    format!(
        "{}: {request} -> {interim}{response} {:?}{}{error}{stalls}{}{}{}",
        facts.stream_id,
        exchange.outcome,
        gaps(exchange.gaps),
        messages(" asked", facts.request_messages),
        messages(" answered", facts.response_messages),
        if facts.is_pushed { " pushed" } else { "" },
    )
}

fn messages(what: &str, messages: Option<Messages>) -> String {
    messages.map_or(String::new(), |messages| {
        let tally = messages.tally();
        let least = if messages.is_exact() { "" } else { " at least" };
        format!("{what}{least} {}/{}", tally.messages, tally.message_bytes)
    })
}

fn texts(fields: &[(Known, Known)]) -> String {
    let text = |text: &Known| text.clone().unwrap_or("?".into());
    let lines: Vec<_> = fields
        .iter()
        .map(|(name, value)| format!("{}: {}", text(name), text(value)))
        .collect();
    lines.join(", ")
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
        (Gaps::FIELDS_UNKNOWN, " fields_unknown"),
    ];
    names
        .iter()
        .filter(|(gap, _)| gaps.contains(*gap))
        .map(|(_, name)| *name)
        .collect()
}

fn owned(fields: Fields<'_>) -> Vec<(Known, Known)> {
    fields
        .iter()
        .map(|(name, value, _)| (known(name), known(value)))
        .collect()
}

fn known(text: Text<'_>) -> Known {
    text.known().map(|bytes| bytes.escape_ascii().to_string())
}
