//! What the end of a connection means: fixed words with numbers, never captured text.

use std::fmt::Write as _;

use super::tcp::{error, state};
use super::{View, drops};
use crate::exchange::span;
use crate::tls::Tls;

/// The sentence, and what a handshake of TLS failed of.
pub(super) fn close(view: &View) -> String {
    let failure = view.tls.as_ref().and_then(Tls::explained);
    let failure = failure.map_or_else(String::new, |failure| format!("; {failure}"));
    end(view) + &failure
}

fn end(view: &View) -> String {
    let lasted = span(view.end.unwrap_or(0));
    match view.close_reason.as_str() {
        "open" if view.is_attempt() => {
            format!("no answer to {} was seen as yet{}", syns(view), told(view))
        }
        "open" => "it had not ended when last looked at".to_owned(),
        "fin" => fin(view),
        "client_reset" => reset(view, 0),
        "server_reset" => reset(view, 1),
        "refused" if rst(view, 1).is_some() => format!(
            "refused: {} was answered by RST after {lasted}; nothing listens there, or a firewall says so",
            syns(view)
        ),
        "refused" => format!(
            "refused: {} failed with ECONNREFUSED after {lasted}, told by ICMP and not by a RST{}",
            syns(view),
            told(view)
        ),
        "timed_out" if view.is_attempt() => {
            let mut why = on_the_way(view);
            if why.is_empty() {
                why.push_str(": the address is black-holed or its host is down, most likely");
            }
            format!("no answer came to {} in {lasted}{why}", syns(view))
        }
        "timed_out" => format!(
            "TCP gave up after {lasted}: what was sent last was not acknowledged, however often it was sent again{}",
            on_the_way(view)
        ),
        "unreachable" => format!(
            "unreachable: {} failed after {lasted}{}{}{}",
            syns(view),
            failed(view),
            told(view),
            drops::explained(view)
        ),
        "gave_up" => format!(
            "the client closed its socket {lasted} after its first SYN, {} unanswered: a time-out of its own, most likely{}",
            syns(view),
            on_the_way(view)
        ),
        _ => "its end was not seen".to_owned(),
    }
}

fn fin(view: &View) -> String {
    let [client, server] = &view.ends;
    let (first, second) = match (client.fin, server.fin) {
        (Some(client), Some(server)) if server < client => ("server", Some("client")),
        (Some(_), Some(_)) => ("client", Some("server")),
        (None, Some(_)) => ("server", None),
        (Some(_), None) => ("client", None),
        (None, None) => return "closed by FIN".to_owned(),
    };
    let resets: u64 = [client, server]
        .into_iter()
        .filter_map(|end| end.counts.resets)
        .sum();
    let late = if resets > 0 {
        "; a RST came after that"
    } else {
        ""
    };
    match second {
        Some(second) => format!("closed in order: FIN by the {first}, then by the {second}{late}"),
        None => format!("closed: FIN by the {first}; none of the other end's was seen{late}"),
    }
}

fn reset(view: &View, by: usize) -> String {
    let name = |end: usize| if end == 0 { "client" } else { "server" };
    let (by_name, other_name) = (name(by), name(1 - by));
    let lasted = span(view.end.unwrap_or(0));
    let mut words = format!("reset: RST by the {by_name} {lasted} after the start");
    let [own, other] = view.seen_from(by);
    if other.fin.is_some() && own.fin.is_none() {
        let _ = write!(words, ", after the {other_name}'s FIN");
    } else if own.first_payload.is_none() && other.first_payload.is_some() {
        let _ = write!(
            words,
            ", before it said anything in answer to the {other_name}'s payload"
        );
    }
    for (socket, name) in [(own.socket, by_name), (other.socket, other_name)] {
        if let Some(socket) = socket {
            let _ = write!(words, "; the {name}'s socket left {}", state(socket.state));
        }
    }
    words
}

fn rst(view: &View, end: usize) -> Option<u64> {
    view.ends.get(end)?.rst
}

fn syns(view: &View) -> String {
    match view.syns() {
        1 => "one SYN".to_owned(),
        count => format!("{count} SYNs"),
    }
}

fn failed(view: &View) -> String {
    let [client, _] = &view.ends;
    let number = client.socket.and_then(|socket| socket.error);
    number
        .filter(|number| *number != 0)
        .map_or_else(String::new, |number| format!(" with {}", error(number)))
}

/// The message of ICMP that explains it.
fn told(view: &View) -> String {
    view.icmp
        .map_or_else(String::new, |icmp| format!("; {}", icmp.last_in_words()))
}

/// What is known to have befallen its packets.
fn on_the_way(view: &View) -> String {
    told_by_icmp(view) + &drops::explained(view)
}

/// An error that ICMP told, while TCP went on trying: the message where it was seen, else what the socket kept of it.
fn told_by_icmp(view: &View) -> String {
    if let Some(icmp) = view.icmp {
        return format!("; on the way, {}", icmp.last_in_words());
    }
    let [client, _] = &view.ends;
    let number = client.socket.and_then(|socket| socket.soft_error);
    number
        .filter(|number| *number != 0)
        .map_or_else(String::new, |number| {
            format!("; on the way ICMP told {}", error(number))
        })
}
