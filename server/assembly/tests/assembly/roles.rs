//! Who is client, and attempts that came to nothing.

use headwater_assembly::{End, Input, Way};
use headwater_model::CloseReason;

use crate::support::{GET, OK, RST, SYN, end, live, results, socket, turn};

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
