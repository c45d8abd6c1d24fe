//! The order of bytes.

use headwater_assembly::{End, Input};
use headwater_model::{CloseReason, Gaps, Outcome};

use crate::support::{FIN, GET, OK, begin_file, end, file, packet, results};

#[test]
fn a_different_cut_a_probe_and_a_swap_change_nothing() {
    let mut subject = file();
    begin_file(&mut subject);
    for (from, to) in [(0, 5), (9, 20), (5, 12), (4, 5), (3, GET.len()), (0, 1)] {
        subject.take(&Input::Turn(packet(1, 10, from, &GET[from..to])));
    }
    subject.take(&Input::Turn(packet(2, 20, 0, OK)));
    let (_, exchanges) = results(&mut subject);
    assert_eq!(exchanges.len(), 1);
    assert_eq!(exchanges[0].outcome, Outcome::Complete);
    let head = &exchanges[0].request.as_ref().unwrap().message;
    assert_eq!(head.header_bytes, GET.len() as u64);
}

#[test]
fn a_hole_in_a_body_is_counted_and_said() {
    let mut subject = file();
    begin_file(&mut subject);
    subject.take(&Input::Turn(packet(1, 10, 0, GET)));
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
    subject.take(&Input::Turn(packet(2, 20, 0, head)));
    subject.take(&Input::Turn(packet(2, 22, head.len() + 6, b"last")));
    subject.acknowledged(2, head.len() as u64 + 10);
    let (_, exchanges) = results(&mut subject);
    assert_eq!(exchanges[0].outcome, Outcome::Complete);
    assert!(exchanges[0].gaps.contains(Gaps::CAPTURE_HOLE));
    let message = &exchanges[0].response.as_ref().unwrap().message;
    assert_eq!(message.body_bytes, 10);
}

#[test]
fn a_half_closed_client_gets_its_response() {
    let mut subject = file();
    begin_file(&mut subject);
    subject.take(&Input::Turn(packet(1, 10, 0, GET)));
    let way = headwater_assembly::Way::Egress;
    let fin = |cookie, local, remote| End {
        flags: FIN,
        ..end(cookie, local, remote, way)
    };
    subject.take(&Input::Close(fin(1, "10.0.0.1:5000", "10.0.0.2:80")));
    subject.take(&Input::Turn(packet(2, 20, 0, OK)));
    subject.take(&Input::Close(fin(2, "10.0.0.2:80", "10.0.0.1:5000")));
    let (connections, exchanges) = results(&mut subject);
    assert_eq!(exchanges.len(), 1);
    assert_eq!(exchanges[0].outcome, Outcome::Complete);
    assert_eq!(connections[0].close_reason, CloseReason::Fin);
}
