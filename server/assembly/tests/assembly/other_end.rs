//! Records of a sender's own end that were lost, while those of the other end, in another namespace, were not.

use headwater_assembly::{End, Input, Place, Turn, Way};
use headwater_model::Outcome;

use crate::support::{OK, Subject, end, live, results, turn};

const CLIENT: u64 = 1;
const SERVER: u64 = 2;
/// Number of the first byte that the client sends: they wrap around on the way.
const FIRST: u32 = u32::MAX - 20;

fn begin() -> Subject {
    let mut subject = live();
    let near = end(CLIENT, "10.0.0.1:5000", "10.0.0.2:80", Way::Egress);
    let far = End {
        netns: 2,
        ..end(SERVER, "10.0.0.2:80", "10.0.0.1:5000", Way::Ingress)
    };
    subject.take(&Input::Open(near));
    subject.take(&Input::Open(far));
    subject
}

/// What the client sends at a position, as one of the two ends tells it.
fn sent(told_by: u64, number: u32, at: usize, place: Place, bytes: &[u8]) -> Turn<'_> {
    let way = if told_by == CLIENT {
        Way::Egress
    } else {
        Way::Ingress
    };
    Turn {
        offset: at as u64,
        seq: FIRST.wrapping_add(u32::try_from(at).unwrap()),
        number: Some(number),
        place,
        ..turn(told_by, way, 10 + at as u64, bytes)
    }
}

/// Sends pieces, each as told by those of the ends that did not lose it.
fn send(subject: &mut Subject, pieces: &[(Place, &[u8], &[u64])]) {
    let mut at = 0;
    for (number, (place, bytes, told_by)) in (0..).zip(pieces) {
        for end in *told_by {
            subject.take(&Input::Turn(sent(*end, number, at, *place, bytes)));
        }
        at += bytes.len();
    }
}

fn paths(subject: &mut Subject) -> Vec<String> {
    subject.finish_all(1_000_000);
    let (connections, exchanges) = results(subject);
    assert_eq!(connections.len(), 1);
    let path = |one: &headwater_model::Exchange| {
        let request = one.request.as_ref();
        request.map_or_else(String::new, |request| request.target.path().to_owned())
    };
    exchanges.iter().map(path).collect()
}

const BOTH: &[u64] = &[CLIENT, SERVER];
const FAR: &[u64] = &[SERVER];
const NEITHER: &[u64] = &[];

#[test]
fn a_head_that_lost_its_middle_is_whole() {
    for (lost, known) in [(FAR, true), (NEITHER, false)] {
        let mut subject = begin();
        let pieces: [(Place, &[u8], &[u64]); 3] = [
            (Place::NewTurn, b"GET /first HTTP/1.1\r\nHo", BOTH),
            (Place::SameTurn, b"st: h.example\r\nA: b", lost),
            (Place::SameTurn, b"\r\nC: d\r\n\r\n", BOTH),
        ];
        send(&mut subject, &pieces);
        subject.take(&Input::Turn(turn(SERVER, Way::Egress, 100, OK)));
        subject.finish_all(1_000_000);
        let (_, exchanges) = results(&mut subject);
        assert_eq!(exchanges.len(), 1, "{known}");
        let is_whole = exchanges[0].outcome == Outcome::Complete
            && exchanges[0].request.as_ref().is_some_and(|request| {
                request.host.as_ref().map(headwater_redact::Text::as_str) == Some("h.example")
                    && request.message.header_bytes == 52
            });
        assert_eq!(is_whole, known, "{exchanges:#?}");
    }
}

/// A preface, and an empty frame of settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// Stream 1 asks for `/ab` of `h`, and puts both into the table.
const INSERTS: &[u8] = b"\0\0\x0a\x01\x05\0\0\0\x01\x82\x86\x41\x01h\x44\x03/ab";
/// Stream 3 asks for the same, by the table alone.
const REFERS: &[u8] = b"\0\0\x04\x01\x05\0\0\0\x03\x82\x86\xbe\xbf";

#[test]
fn a_header_block_that_one_end_lost_is_learned_from_the_other() {
    let frames = |told_by| {
        [
            (Place::NewTurn, PREFACE, BOTH),
            (Place::Frame, INSERTS, told_by),
            (Place::Frame, REFERS, BOTH),
        ]
    };
    let mut subject = begin();
    send(&mut subject, &frames(FAR));
    assert_eq!(paths(&mut subject), ["/ab", "/ab"]);
    let mut subject = begin();
    send(&mut subject, &frames(NEITHER));
    let paths = paths(&mut subject);
    assert!(!paths.iter().any(|path| path == "/ab"), "{paths:?}");
}
