//! How exchanges end, sizes that were only counted, and bounds.

use headwater_assembly::{End, Input, Limits, Turn, Way};
use headwater_model::{CloseReason, Outcome};

use crate::support::{FIN, GET, RST, end, live, results, subject, turn};

fn client() -> End {
    end(1, "10.0.0.1:5000", "192.0.2.1:80", Way::Egress)
}

#[test]
fn what_ends_a_request_without_response() {
    for (flags, way, outcome) in [
        (RST, Way::Egress, Outcome::ClientGaveUp),
        (RST, Way::Ingress, Outcome::ServerReset),
        (FIN, Way::Ingress, Outcome::ServerClosed),
    ] {
        let mut subject = live();
        subject.take(&Input::Open(client()));
        subject.take(&Input::Turn(turn(1, Way::Egress, 10, GET)));
        subject.take(&Input::Close(End {
            flags,
            way,
            ..client()
        }));
        let (_, exchanges) = results(&mut subject);
        assert_eq!(exchanges.len(), 1);
        assert_eq!(exchanges[0].outcome, outcome);
    }
}

#[test]
fn a_body_beyond_the_cap_is_counted_by_the_next_turn() {
    let mut subject = live();
    subject.take(&Input::Open(client()));
    subject.take(&Input::Turn(turn(1, Way::Egress, 10, GET)));
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n";
    let length = head.len() as u64;
    subject.take(&Input::Turn(turn(1, Way::Ingress, 20, head)));
    let again = GET.len() as u64;
    subject.take(&Input::Turn(Turn {
        offset: again,
        number: Some(1),
        previous_ns: 10,
        ..turn(1, Way::Egress, 40, GET)
    }));
    subject.take(&Input::Turn(Turn {
        offset: length + 5000,
        number: Some(1),
        previous_ns: 30,
        ..turn(1, Way::Ingress, 50, b"HTTP/1.1 204 No Content\r\n\r\n")
    }));
    let (_, exchanges) = results(&mut subject);
    let [first, second] = &exchanges[..] else {
        panic!("{exchanges:?}");
    };
    let message = &first.response.as_ref().unwrap().message;
    assert_eq!((message.body_bytes, message.last_byte_ns), (5000, Some(30)));
    assert_eq!(second.response.as_ref().unwrap().status_code, Some(204));
}

#[test]
fn connections_beyond_the_cap_are_evicted_and_counted() {
    let mut subject = subject(Limits {
        conversations: 8,
        ..Limits::default()
    });
    for n in 0..100u64 {
        let local = format!("10.0.0.1:{}", 5000 + n);
        subject.take(&Input::Open(end(
            n + 1,
            &local,
            "192.0.2.1:80",
            Way::Egress,
        )));
        subject.take(&Input::Turn(turn(n + 1, Way::Egress, 10 + n, GET)));
    }
    assert_eq!(subject.tally().evicted, 92);
    let (connections, exchanges) = results(&mut subject);
    assert_eq!(exchanges.len(), 92);
    assert!(
        connections
            .iter()
            .all(|one| one.close_reason == CloseReason::Unknown)
    );
}
