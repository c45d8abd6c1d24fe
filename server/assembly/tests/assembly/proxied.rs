//! The header of the PROXY protocol before what a client says: what is behind it is read as if it were not there.

use headwater_assembly::{Input, Way};
use headwater_model::{Connection, Exchange, Proxied};

use crate::support::{GET, OK, begin_file, file, live, packet, results, turn};

const LINE: &[u8] = b"PROXY TCP4 203.0.113.9 198.51.100.1 51234 443\r\n";

fn stands_for(at_ns: u64) -> Proxied {
    Proxied {
        at_ns,
        version: 1,
        addresses: Some((
            "203.0.113.9:51234".parse().unwrap(),
            "198.51.100.1:443".parse().unwrap(),
        )),
    }
}

/// What comes of it where the client's bytes are cut so.
fn cut(pieces: &[&[u8]]) -> (Connection, Vec<Exchange>) {
    let mut subject = file();
    begin_file(&mut subject);
    let (mut offset, mut at_ns) = (0, 2_000);
    for piece in pieces {
        subject.take(&Input::Turn(packet(1, at_ns, offset, piece)));
        offset += piece.len();
        at_ns += 1_000;
    }
    subject.take(&Input::Turn(packet(2, at_ns, 0, OK)));
    let (mut connections, exchanges) = results(&mut subject);
    (connections.remove(0), exchanges)
}

#[test]
fn a_request_behind_a_header_is_read() {
    let together = [LINE, GET].concat();
    let bytes: Vec<&[u8]> = together.chunks(1).collect();
    for pieces in [
        &[together.as_slice()][..],
        &[LINE, GET],
        &[&LINE[..20], &together[20..]],
        &bytes,
    ] {
        let (connection, exchanges) = cut(pieces);
        assert_eq!(connection.proxied, Some(stands_for(2_000)));
        assert_eq!(connection.protocol, Some("http"));
        let [exchange] = &exchanges[..] else {
            panic!("{exchanges:?}");
        };
        assert!(exchange.request.is_some() && exchange.response.is_some());
        assert_eq!(connection.client_bytes, together.len() as u64);
    }
}

#[test]
fn what_only_begins_like_one_is_lost_nowhere() {
    let post = b"POST /a HTTP/1.1\r\nHost: h.example\r\nContent-Length: 0\r\n\r\n";
    let proxy = b"PROXY /a HTTP/1.1\r\nHost: h.example\r\n\r\n";
    let lines = [b"\r\n", GET].concat();
    for request in [&post[..], proxy, &lines] {
        let one = request.chunks(1).collect::<Vec<_>>();
        for pieces in [&one[..], &[request]] {
            let (connection, exchanges) = cut(pieces);
            assert_eq!(connection.proxied, None);
            assert_eq!(exchanges.len(), 1, "{}", request.escape_ascii());
            assert!(exchanges[0].request.is_some());
        }
    }
}

/// A connection that was joined in the middle has none, and a server sends none.
#[test]
fn elsewhere_it_is_none() {
    let mut subject = live();
    subject.take(&Input::Turn(turn(
        1,
        Way::Egress,
        2_000,
        &[LINE, GET].concat(),
    )));
    let (connections, _) = results(&mut subject);
    assert!(
        connections
            .iter()
            .all(|connection| connection.proxied.is_none())
    );

    let mut subject = file();
    begin_file(&mut subject);
    subject.take(&Input::Turn(packet(1, 2_000, 0, GET)));
    subject.take(&Input::Turn(packet(2, 3_000, 0, LINE)));
    let (connections, _) = results(&mut subject);
    assert_eq!(connections[0].proxied, None);
}
