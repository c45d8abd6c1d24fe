//! Which answer is given to which query, told as lines: what `telling::exchange` makes of each.

use headwater_protocols::dns::{
    Counts, Limits, Malformed, Opcode, Pairing, Transport, Verdict,
    Way::{self, ToClient, ToServer},
};

use crate::telling::{MS, exchange};

/// A pairing with what came of it so far.
struct Wire {
    pairing: Pairing<u8>,
    lines: Vec<String>,
    transport: Transport,
}

impl Wire {
    fn new(max_waiting: usize) -> Self {
        let limits = Limits {
            max_waiting,
            ..Limits::default()
        };
        Self {
            pairing: Pairing::new(limits),
            lines: Vec::new(),
            transport: Transport::Udp,
        }
    }

    fn pass(&mut self, flow: u8, way: Way, at_ms: u64, bytes: &[u8]) -> Verdict {
        self.pass_cut(flow, way, at_ms, bytes, bytes.len())
    }

    fn pass_cut(&mut self, flow: u8, way: Way, at_ms: u64, bytes: &[u8], wire: usize) -> Verdict {
        let (transport, lines) = (self.transport, &mut self.lines);
        let mut ended = |ended| lines.push(exchange(&ended));
        self.pairing
            .message(flow, way, at_ms * MS, transport, bytes, wire, &mut ended)
    }

    fn ask(&mut self, at_ms: u64, id: u8, name: &str) {
        assert_eq!(
            self.pass(0, ToServer, at_ms, &query(id, name)),
            Verdict::Query
        );
    }

    fn answer(&mut self, at_ms: u64, id: u8, name: &str) {
        assert_eq!(
            self.pass(0, ToClient, at_ms, &response(id, name)),
            Verdict::Response
        );
    }

    fn tick(&mut self, now_ms: u64) {
        let lines = &mut self.lines;
        self.pairing
            .tick(now_ms * MS, &mut |ended| lines.push(exchange(&ended)));
    }

    fn finish(&mut self, now_ms: u64) {
        let lines = &mut self.lines;
        self.pairing
            .finish(now_ms * MS, &mut |ended| lines.push(exchange(&ended)));
    }

    fn came_to(&self, lines: &[&str], counts: Counts) {
        assert_eq!(self.lines, lines);
        assert_eq!(self.pairing.counts(), counts);
    }
}

/// A question about one label.
fn message(id: u8, flags: [u8; 2], name: &str, kind: u8) -> Vec<u8> {
    let mut bytes = vec![0, id, flags[0], flags[1], 0, 1, 0, 0, 0, 0, 0, 0];
    bytes.push(u8::try_from(name.len()).unwrap());
    bytes.extend(name.as_bytes());
    bytes.extend([0, 0, kind, 0, 1]);
    bytes
}

fn query(id: u8, name: &str) -> Vec<u8> {
    message(id, [1, 0], name, 1)
}

fn response(id: u8, name: &str) -> Vec<u8> {
    message(id, [0x81, 0x80], name, 1)
}

#[test]
fn a_query_and_its_answer() {
    let mut wire = Wire::new(10);
    let mut lines = Vec::new();
    wire.ask(5, 1, "a");
    let bytes = response(1, "a");
    let mut ended = |ended: headwater_protocols::dns::Exchange<u8>| {
        assert_eq!(ended.latency_ns(), Some(4 * MS));
        assert_eq!((ended.flow, ended.asked, ended.id), (0, ToServer, 1));
        assert_eq!(ended.query.as_ref().unwrap().wire_length, 19);
        lines.push(exchange(&ended));
    };
    wire.pairing.message(
        0,
        ToClient,
        9 * MS,
        Transport::Udp,
        &bytes,
        bytes.len(),
        &mut ended,
    );
    wire.finish(10);
    assert_eq!(lines, ["a A 5 -> 9 NOERROR Answered"]);
    assert!(wire.lines.is_empty());
}

#[test]
fn two_questions_at_once_are_told_by_type_even_with_one_id() {
    let mut wire = Wire::new(10);
    wire.pass(0, ToServer, 1, &message(1, [1, 0], "a", 1));
    wire.pass(0, ToServer, 2, &message(1, [1, 0], "a", 28));
    wire.pass(0, ToClient, 3, &message(1, [0x81, 0x83], "a", 28));
    wire.pass(0, ToClient, 4, &message(1, [0x81, 0x80], "a", 1));
    let counts = Counts {
        queries: 2,
        responses: 2,
        ..Counts::default()
    };
    wire.came_to(
        &[
            "a AAAA 2 -> 3 NXDOMAIN Answered",
            "a A 1 -> 4 NOERROR Answered",
        ],
        counts,
    );
}

#[test]
fn case_is_mixed() {
    let mut wire = Wire::new(10);
    wire.ask(1, 1, "eXaMpLe");
    wire.answer(2, 1, "ExAmPlE");
    assert_eq!(wire.lines, ["eXaMpLe A 1 -> 2 NOERROR Answered"]);
}

#[test]
fn a_retry_is_the_same_exchange() {
    let mut wire = Wire::new(10);
    wire.ask(0, 1, "a");
    wire.ask(5_000, 1, "A");
    // 10 s after the first try, 5 s after the last.
    wire.tick(10_000);
    wire.answer(10_001, 1, "a");
    // The answer to the other try.
    wire.answer(10_002, 1, "a");
    let counts = Counts {
        queries: 2,
        retries: 1,
        responses: 2,
        duplicates: 1,
        ..Counts::default()
    };
    wire.came_to(&["a A 0+1 -> 10001 NOERROR Answered"], counts);
}

#[test]
fn the_same_question_after_the_answer_is_another_exchange() {
    let mut wire = Wire::new(10);
    for at_ms in [1, 3] {
        wire.ask(at_ms, 1, "a");
        wire.answer(at_ms + 1, 1, "a");
    }
    wire.finish(5);
    assert_eq!(
        wire.lines,
        ["a A 1 -> 2 NOERROR Answered", "a A 3 -> 4 NOERROR Answered"]
    );
}

#[test]
fn no_answer_and_one_that_comes_late() {
    let mut wire = Wire::new(10);
    wire.ask(0, 1, "a");
    wire.ask(1, 2, "b");
    wire.tick(9_999);
    wire.tick(10_000);
    wire.answer(10_500, 1, "a");
    wire.answer(10_501, 1, "a");
    wire.tick(10_502);
    // What was given up is forgotten too.
    wire.tick(30_000);
    wire.answer(30_001, 1, "a");
    let counts = Counts {
        queries: 2,
        responses: 3,
        duplicates: 1,
        ..Counts::default()
    };
    let lines = [
        "a A 0 NoAnswer",
        "a A 0 -> 10500 NOERROR AnsweredLate",
        "b A 1 NoAnswer",
        "a A ? -> 30001 NOERROR AnswerOnly",
    ];
    wire.came_to(&lines, counts);
}

#[test]
fn what_the_network_gives_back_waits_no_longer() {
    let mut wire = Wire::new(10);
    let given_back = |wire: &mut Wire, at_ms, id| {
        let lines = &mut wire.lines;
        let ended = &mut |ended| lines.push(exchange(&ended));
        wire.pairing.undelivered(0, ToServer, id, at_ms * MS, ended)
    };
    wire.ask(0, 1, "a");
    wire.ask(1, 2, "b");
    assert!(!given_back(&mut wire, 2, 3), "another id");
    assert!(given_back(&mut wire, 2, 1));
    assert!(!given_back(&mut wire, 3, 1), "it waits no longer");
    // Asked again, which is another one.
    wire.ask(4, 1, "a");
    assert!(given_back(&mut wire, 5, 1));
    // It was not true.
    wire.answer(6, 1, "a");
    wire.ask(7, 2, "c");
    assert!(
        !given_back(&mut wire, 8, 2),
        "which of the two is not known"
    );
    wire.answer(9, 2, "b");
    wire.answer(10, 2, "c");
    let lines = [
        "a A 0 Undelivered",
        "a A 4 Undelivered",
        "a A 4 -> 6 NOERROR AnsweredLate",
        "b A 1 -> 9 NOERROR Answered",
        "c A 7 -> 10 NOERROR Answered",
    ];
    assert_eq!(wire.lines, lines);
}

#[test]
fn an_answer_only() {
    let mut wire = Wire::new(10);
    wire.answer(1, 1, "a");
    assert_eq!(wire.lines, ["a A ? -> 1 NOERROR AnswerOnly"]);
}

#[test]
fn an_answer_to_something_else_is_given_to_nobody() {
    let mut wire = Wire::new(10);
    wire.ask(1, 1, "a");
    wire.answer(2, 1, "b");
    wire.pass(0, ToClient, 3, &message(1, [0x81, 0x80], "a", 28));
    wire.answer(4, 1, "a");
    let counts = Counts {
        queries: 1,
        responses: 3,
        mismatched: 2,
        ..Counts::default()
    };
    wire.came_to(&["a A 1 -> 4 NOERROR Answered"], counts);
}

#[test]
fn other_flows_and_other_ids_are_apart() {
    let mut wire = Wire::new(10);
    wire.ask(1, 1, "a");
    wire.answer(2, 2, "a");
    wire.pass(7, ToClient, 3, &response(1, "a"));
    // Two servers ask each other, with one id.
    wire.pass(0, ToClient, 4, &query(1, "a"));
    wire.answer(5, 1, "a");
    wire.pass(0, ToServer, 6, &response(1, "a"));
    assert_eq!(
        wire.lines,
        [
            "a A ? -> 2 NOERROR AnswerOnly",
            "a A ? -> 3 NOERROR AnswerOnly",
            "a A 1 -> 5 NOERROR Answered",
            "a A 4 -> 6 NOERROR Answered"
        ]
    );
}

#[test]
fn an_answer_without_a_question_goes_to_the_only_query() {
    let error = [0, 1, 0x81, 0x01, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut wire = Wire::new(10);
    wire.ask(1, 1, "a");
    wire.pass(0, ToClient, 2, &error);
    wire.ask(3, 1, "b");
    wire.ask(4, 1, "c");
    wire.pass(0, ToClient, 5, &error);
    wire.finish(6);
    let lines = [
        "a A 1 -> 2 FORMERR Answered",
        "b A 3 Unfinished",
        "c A 4 Unfinished",
    ];
    let counts = Counts {
        queries: 3,
        responses: 2,
        mismatched: 1,
        ..Counts::default()
    };
    wire.came_to(&lines, counts);
}

#[test]
fn the_oldest_makes_room() {
    let mut wire = Wire::new(2);
    wire.ask(1, 1, "a");
    wire.ask(2, 2, "b");
    // A retry makes it the youngest.
    wire.ask(3, 1, "a");
    wire.ask(4, 3, "c");
    assert_eq!(wire.pairing.waiting(), 2);
    wire.answer(5, 2, "b");
    wire.answer(6, 1, "a");
    wire.finish(7);
    let lines = [
        "b A 2 Unfinished",
        "b A ? -> 5 NOERROR AnswerOnly",
        "a A 1+1 -> 6 NOERROR Answered",
        "c A 4 Unfinished",
    ];
    let counts = Counts {
        queries: 4,
        retries: 1,
        responses: 2,
        evicted: 1,
        ..Counts::default()
    };
    wire.came_to(&lines, counts);
}

/// One id for all: what is searched for a message stays small.
#[test]
fn many_questions_with_one_id() {
    let mut wire = Wire::new(4096);
    for number in 0..100 {
        wire.ask(number, 1, &number.to_string());
    }
    assert_eq!(wire.pairing.waiting(), 8);
    assert_eq!(wire.pairing.counts().evicted, 92);
    wire.answer(200, 1, "99");
    assert_eq!(
        wire.lines.last().unwrap(),
        "99 A 99 -> 200 NOERROR Answered"
    );
}

#[test]
fn what_did_not_fit_is_asked_again_over_tcp() {
    let mut wire = Wire::new(10);
    wire.ask(1, 1, "a");
    wire.pass(0, ToClient, 2, &message(1, [0x83, 0x80], "a", 1));
    wire.transport = Transport::Tcp;
    wire.pass(1, ToServer, 3, &query(1, "a"));
    wire.pass(1, ToClient, 4, &response(1, "a"));
    assert_eq!(
        wire.lines,
        [
            "a A 1 -> 2 NOERROR truncated Answered",
            "a A 3 -> 4 NOERROR Answered"
        ]
    );
}

#[test]
fn a_zone_comes_in_several_messages() {
    let mut wire = Wire::new(10);
    wire.transport = Transport::Tcp;
    wire.pass(0, ToServer, 1, &message(1, [0, 0], "z", 252));
    wire.pass(0, ToClient, 2, &message(1, [0x84, 0], "z", 252));
    wire.pass(0, ToClient, 3, &[0, 1, 0x84, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let counts = Counts {
        queries: 1,
        responses: 2,
        continued: 1,
        ..Counts::default()
    };
    wire.came_to(&["z AXFR 1 -> 2 NOERROR Answered"], counts);
}

#[test]
fn what_is_not_paired_is_counted() {
    let mut wire = Wire::new(10);
    let a = query(1, "a");
    let mut pass = |bytes: &[u8], wire_length| wire.pass_cut(0, ToServer, 1, bytes, wire_length);
    assert_eq!(pass(b"hello", 5), Verdict::NotDns);
    assert_eq!(pass(&message(1, [0x18, 0], "a", 1), 19), Verdict::NotDns);
    assert_eq!(
        pass(&message(1, [0x28, 0], "a", 6), 19),
        Verdict::Other(Opcode(5))
    );
    assert_eq!(pass(&a[..15], 15), Verdict::Malformed(Malformed::Question));
    assert_eq!(pass(&a[..15], 19), Verdict::Cut);
    assert_eq!(pass(&[], 19), Verdict::Cut);
    let two = [&a[..5], &[2], &a[6..]].concat();
    assert_eq!(pass(&two, two.len()), Verdict::Query);
    wire.finish(2);
    let counts = Counts {
        queries: 1,
        flawed: 1,
        others: 1,
        malformed: 1,
        cut: 2,
        not_dns: 2,
        ..Counts::default()
    };
    wire.came_to(&["a A 1 Unfinished"], counts);
}
