//! Who is client, and attempts that came to nothing.

use headwater_assembly::{End, Input, Limits, Turn, Way};
use headwater_model::{CloseReason, Outcome};

use crate::support::{GET, OK, RST, SYN, end, live, results, socket, subject, turn};

#[test]
fn joined_in_the_middle_the_first_head_tells() {
    for (bytes, serves) in [(GET, false), (OK, true)] {
        let mut subject = live();
        subject.take(&Input::Open(end(
            1,
            "10.0.0.1:5000",
            "192.0.2.1:80",
            Way::Egress,
        )));
        subject.take(&Input::Turn(turn(1, Way::Egress, 10, bytes)));
        subject.finish_all(100);
        let (connections, _) = results(&mut subject);
        assert!(connections[0].joined_midstream);
        assert_eq!(connections[0].server.local, serves);
    }
}

#[test]
fn joined_in_the_middle_of_a_body_the_first_head_tells() {
    // Of a response, by the client's socket and by the server's; of a request, by the server's.
    for (body, head) in [
        (Way::Ingress, Way::Egress),
        (Way::Egress, Way::Ingress),
        (Way::Ingress, Way::Ingress),
    ] {
        let other = match head {
            Way::Egress => Way::Ingress,
            Way::Ingress => Way::Egress,
        };
        for only_ports in [vec![], vec![80]] {
            let mut subject = subject(Limits {
                only_ports,
                ..Limits::default()
            });
            let [here, there] = match head {
                Way::Egress => ["10.0.0.1:5000", "192.0.2.1:80"],
                Way::Ingress => ["10.0.0.1:80", "192.0.2.1:5000"],
            };
            subject.take(&Input::Open(end(1, here, there, body)));
            let mut offsets =
                std::collections::HashMap::from([(Way::Egress, 0), (Way::Ingress, 0)]);
            let mut number = offsets.clone();
            for (at_ns, (way, bytes)) in (10..).zip([
                (body, &b"the middle of something\r\n"[..]),
                (head, GET),
                (other, OK),
                (head, GET),
                (other, OK),
            ]) {
                let offset = offsets.get_mut(&way).unwrap();
                let number = number.get_mut(&way).unwrap();
                subject.take(&Input::Turn(Turn {
                    offset: u64::from(*offset),
                    number: Some(*number),
                    ..turn(1, way, at_ns, bytes)
                }));
                *offset += u32::try_from(bytes.len()).unwrap();
                *number += 1;
            }
            subject.finish_all(100);
            let (connections, exchanges) = results(&mut subject);
            assert_eq!(connections.len(), 1, "{body:?} {head:?}");
            assert_eq!(
                connections[0].server.local,
                head == Way::Ingress,
                "{body:?} {head:?}"
            );
            let outcomes: Vec<_> = exchanges.iter().map(|exchange| exchange.outcome).collect();
            assert_eq!(outcomes, [Outcome::Complete; 2], "{body:?} {head:?}");
        }
    }
}

#[test]
fn a_syn_tells_who_is_client_even_when_the_server_speaks_first() {
    let mut subject = live();
    let client = end(1, "10.0.0.1:5000", "192.0.2.1:80", Way::Egress);
    subject.take(&Input::Syn(End {
        flags: SYN,
        ..client
    }));
    subject.take(&Input::Turn(turn(1, Way::Ingress, 20, b"220 hello\r\n")));
    subject.finish_all(100);
    let (connections, _) = results(&mut subject);
    assert!(connections[0].client.local && !connections[0].joined_midstream);
}

/// As agents do that connect out so that they can be asked: HTTP runs the other way than TCP.
#[test]
fn who_listens_may_ask_who_connects() {
    let mut subject = live();
    let opener = end(1, "10.0.0.1:5000", "192.0.2.1:80", Way::Egress);
    subject.take(&Input::Syn(End {
        flags: SYN,
        ..opener
    }));
    subject.take(&Input::Turn(turn(1, Way::Ingress, 20, GET)));
    subject.take(&Input::Turn(turn(1, Way::Egress, 30, OK)));
    subject.finish_all(100);
    let (connections, exchanges) = results(&mut subject);
    assert!(connections[0].server.local && !connections[0].client.local);
    let outcomes: Vec<_> = exchanges.iter().map(|exchange| exchange.outcome).collect();
    assert_eq!(outcomes, [Outcome::Complete]);
}

#[test]
fn a_rst_in_answer_to_a_syn_is_a_refusal() {
    let mut subject = live();
    let client = end(1, "10.0.0.1:5000", "192.0.2.1:80", Way::Egress);
    subject.take(&Input::Syn(End {
        flags: SYN,
        ..client
    }));
    subject.take(&Input::Close(End {
        flags: RST,
        way: Way::Ingress,
        ..client
    }));
    let (connections, exchanges) = results(&mut subject);
    assert_eq!(connections[0].close_reason, CloseReason::Refused);
    assert!(exchanges.is_empty());
}

#[test]
fn unanswered_syns_time_out() {
    let mut subject = live();
    let client = End {
        flags: SYN,
        ..end(1, "10.0.0.1:5000", "192.0.2.1:80", Way::Egress)
    };
    for _ in 0..4 {
        subject.take(&Input::Syn(client));
    }
    subject.take(&Input::Socket(socket(1, 9_000, 110)));
    let (connections, _) = results(&mut subject);
    assert_eq!(connections.len(), 1);
    assert_eq!(connections[0].close_reason, CloseReason::TimedOut);
    assert_eq!(connections[0].retransmits, 3);
}
