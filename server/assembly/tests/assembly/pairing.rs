//! Two ends, one connection.

use headwater_assembly::{End, Input, Turn, Way};
use headwater_model::Outcome;

use crate::support::{GET, OK, Subject, end, live, results, turn};

/// What two sockets of this machine tell of one request and its response.
fn exchange(subject: &mut Subject, client: End, server: End, seq: u32) {
    let sent = |cookie, way, at_ns, bytes, seq| Turn {
        seq,
        ..turn(cookie, way, at_ns, bytes)
    };
    subject.take(&Input::Open(client));
    subject.take(&Input::Turn(sent(client.cookie, Way::Egress, 10, GET, seq)));
    subject.take(&Input::Open(server));
    subject.take(&Input::Turn(sent(
        server.cookie,
        Way::Ingress,
        11,
        GET,
        seq,
    )));
    let back = seq + 50_000;
    subject.take(&Input::Turn(sent(server.cookie, Way::Egress, 20, OK, back)));
    subject.take(&Input::Turn(sent(
        client.cookie,
        Way::Ingress,
        21,
        OK,
        back,
    )));
}

#[test]
fn two_ends_on_loopback_are_one_connection() {
    let mut subject = live();
    let client = End {
        loopback: true,
        ..end(1, "127.0.0.1:5000", "127.0.0.1:80", Way::Egress)
    };
    let server = End {
        loopback: true,
        ..end(2, "127.0.0.1:80", "127.0.0.1:5000", Way::Ingress)
    };
    exchange(&mut subject, client, server, 1);
    subject.finish_all(100);
    let (connections, exchanges) = results(&mut subject);
    assert_eq!((connections.len(), exchanges.len()), (1, 1));
    assert_eq!(exchanges[0].outcome, Outcome::Complete);
    assert_eq!(
        (connections[0].client.cookie, connections[0].server.cookie),
        (1, 2)
    );
}

#[test]
fn equal_addresses_in_two_namespaces_do_not_mix() {
    let mut subject = live();
    for (netns, first) in [(1, 1), (2, 11)] {
        let at = |one: End| End {
            netns,
            loopback: true,
            ..one
        };
        exchange(
            &mut subject,
            at(end(first, "127.0.0.1:5000", "127.0.0.1:80", Way::Egress)),
            at(end(
                first + 1,
                "127.0.0.1:80",
                "127.0.0.1:5000",
                Way::Ingress,
            )),
            7,
        );
    }
    subject.finish_all(100);
    let (connections, exchanges) = results(&mut subject);
    assert_eq!((connections.len(), exchanges.len()), (2, 2));
    for one in connections {
        assert_eq!(one.client.netns, one.server.netns);
        assert_eq!(one.server.cookie, one.client.cookie + 1);
    }
}

#[test]
fn a_published_port_is_joined_by_numbers_and_its_like_are_not() {
    let mut subject = live();
    for (client, port, seq) in [(1, 5000, 1), (11, 5001, 2)] {
        let near = end(
            client,
            &format!("10.0.0.1:{port}"),
            "10.0.0.9:8080",
            Way::Egress,
        );
        let far = End {
            netns: 2,
            ..end(
                client + 1,
                "172.17.0.2:80",
                &format!("172.17.0.1:{port}"),
                Way::Ingress,
            )
        };
        exchange(&mut subject, near, far, seq);
    }
    subject.finish_all(100);
    let (connections, exchanges) = results(&mut subject);
    assert_eq!((connections.len(), exchanges.len()), (2, 2));
    for one in connections {
        assert_eq!(one.server.cookie, one.client.cookie + 1);
        assert_eq!((one.client.peer_port, one.server.port), (8080, 80));
    }
}

#[test]
fn one_end_alone_gives_the_exchange() {
    let mut subject = live();
    let client = end(1, "10.0.0.1:5000", "192.0.2.1:80", Way::Egress);
    subject.take(&Input::Open(client));
    subject.take(&Input::Turn(turn(1, Way::Egress, 10, GET)));
    subject.take(&Input::Turn(turn(1, Way::Ingress, 20, OK)));
    let (connections, exchanges) = results(&mut subject);
    assert_eq!(exchanges[0].outcome, Outcome::Complete);
    assert!(connections[0].client.local && !connections[0].server.local);
}
