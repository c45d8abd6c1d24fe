//! Who closed first, and how it ended.

use headwater_protocols::websocket::Direction::{self, ToClient, ToServer};
use headwater_protocols::websocket::{CloseCode, Connection, End, Ending};

use crate::frame::{CLOSE, FIN, TEXT, frame};

#[derive(Clone, Copy)]
enum Step {
    /// A close frame with this status.
    Close(Direction, u16),
    Text(Direction),
    Skip(Direction),
    End(Direction, End),
}
use Step::{Close, Skip, Text};
const FINS: [Step; 2] = [Step::End(ToServer, End::Fin), Step::End(ToClient, End::Fin)];

fn play(steps: &[Step]) -> Connection {
    let mut connection = Connection::new(false, false);
    for step in steps {
        match *step {
            Close(direction, code) => {
                let bytes = frame(direction, FIN | CLOSE, &code.to_be_bytes());
                connection.bytes(direction, 0, &bytes, &mut |_| {});
            }
            Text(direction) => {
                let bytes = frame(direction, FIN | TEXT, b"hello");
                connection.bytes(direction, 0, &bytes, &mut |_| {});
            }
            Skip(direction) => connection.skipped(direction, 0, 3, &mut |_| {}),
            Step::End(direction, how) => connection.end(direction, how),
        }
    }
    connection
}

#[track_caller]
fn check(steps: &[Step], ending: Ending, first: Option<Direction>, code: Option<u16>) {
    let connection = play(steps);
    assert_eq!(
        (
            connection.ending(),
            connection.closed_first(),
            connection.code()
        ),
        (ending, first, code.map(CloseCode))
    );
}

#[test]
fn endings() {
    let fins = |steps: &[Step]| [steps, &FINS].concat();
    let reset = Step::End(ToClient, End::Reset);
    let evicted = Step::End(ToServer, End::Evicted);
    check(&[Text(ToServer)], Ending::Open, None, None);
    check(
        &[Close(ToClient, 1001)],
        Ending::Closing,
        Some(ToClient),
        Some(1001),
    );
    check(
        &[Close(ToServer, 1000), Close(ToClient, 1000)],
        Ending::Clean,
        Some(ToServer),
        Some(1000),
    );
    check(
        &fins(&[Close(ToClient, 4000), Close(ToServer, 1000)]),
        Ending::Clean,
        Some(ToClient),
        Some(4000),
    );
    check(
        &fins(&[Close(ToServer, 1000)]),
        Ending::Unanswered,
        Some(ToServer),
        Some(1000),
    );
    check(&fins(&[Text(ToClient)]), Ending::Abnormal, None, Some(1006));
    check(&[reset], Ending::Abnormal, None, Some(1006));
    check(&FINS[..1], Ending::Open, None, None);
    check(&[evicted], Ending::NotSeen, None, None);
    check(&[reset, evicted], Ending::Abnormal, None, Some(1006));
    check(&fins(&[Skip(ToClient)]), Ending::NotSeen, None, None);
    check(
        &fins(&[Close(ToServer, 1000), Skip(ToClient)]),
        Ending::NotSeen,
        Some(ToServer),
        Some(1000),
    );
    check(
        &fins(&[Close(ToServer, 1000), Skip(ToServer)]),
        Ending::Unanswered,
        Some(ToServer),
        Some(1000),
    );
}

#[test]
fn both_directions_are_counted() {
    let connection = play(&[
        Text(ToServer),
        Text(ToServer),
        Text(ToClient),
        Skip(ToClient),
    ]);
    assert_eq!(
        (
            connection.tally(ToServer).text,
            connection.tally(ToClient).text
        ),
        (2, 1)
    );
    assert_eq!(
        (connection.is_exact(ToServer), connection.is_exact(ToClient)),
        (true, false)
    );
}

#[test]
fn names() {
    let cases = [
        (1000, Some("normal_closure")),
        (1001, Some("going_away")),
        (1004, None),
        (1005, Some("no_status_received")),
        (1006, Some("abnormal_closure")),
        (1015, Some("tls_handshake")),
        (1016, None),
        (4001, None),
        (0, None),
    ];
    for (code, name) in cases {
        assert_eq!(CloseCode(code).name(), name);
    }
    assert!(!CloseCode::ABNORMAL_CLOSURE.is_sendable() && CloseCode(4999).is_sendable());
}
