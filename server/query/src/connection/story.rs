//! What happened on a connection, in the order of time.

use super::exchanges::Exchanges;
use super::http2::Http2Numbers;
use super::icmp::IcmpNumbers;
use super::proxied::Proxied;
use super::tcp::{Handshake, error, state};
use super::{StoryLine, View, drops, explained};
use crate::exchange::{Replaced, ResolutionDetail, span};
use crate::tls::Tls;

/// The lines. What has no time of its own stands before the end.
pub(super) fn story(
    view: &View,
    resolution: Option<&ResolutionDetail>,
    exchanges: &Exchanges,
) -> Vec<StoryLine> {
    let mut lines = Vec::new();
    lines.extend(
        view.replaces
            .as_ref()
            .map(|replaced| restarted(view, replaced)),
    );
    for end in [0, 1] {
        began(view, end, &mut lines);
    }
    lines.extend(resolution.map(resolved));
    handshake(view, &mut lines);
    for (end, by) in BY.into_iter().enumerate() {
        let Some(numbers) = view.ends.get(end) else {
            continue;
        };
        if let Some(at) = numbers.first_payload {
            lines.push(line(at, by, "first payload"));
        }
        if let Some(at) = numbers.fin {
            lines.push(line(at, by, "FIN"));
        }
        if let Some(at) = numbers.rst {
            lines.push(line(at, by, "RST"));
        }
        closed(view, end, &mut lines);
        exited(view, end, &mut lines);
    }
    lines.extend(drops::story(view));
    lines.extend(view.http2.iter().flat_map(Http2Numbers::story));
    lines.extend(view.proxied.iter().map(Proxied::story));
    lines.extend(view.tls.iter().flat_map(Tls::story));
    lines.extend(view.icmp.iter().flat_map(IcmpNumbers::story));
    told(view, exchanges, &mut lines);
    let mut summary = Vec::new();
    health(view, &mut summary);
    // Of what happened at one time, that comes first which was put in first; what has no time stays behind its neighbour.
    let mut before = None;
    let mut placed: Vec<_> = lines
        .into_iter()
        .map(|line| {
            before = line.after_ns.or(before);
            (before, line)
        })
        .collect();
    placed.sort_by_key(|(at, _)| *at);
    let mut lines: Vec<_> = placed.into_iter().map(|(_, line)| line).collect();
    let end = view.end.map(signed);
    let at = lines
        .iter()
        .position(|line| end.is_some() && is_end(line) && line.after_ns >= end)
        .unwrap_or(lines.len());
    lines.splice(at..at, summary);
    let explained = explained::close(view);
    let what = if explained.starts_with(&format!("{}:", view.close_reason)) {
        explained
    } else {
        format!("{}: {explained}", view.close_reason)
    };
    let at = lines
        .iter()
        .position(|line| end.is_some() && line.after_ns > end)
        .unwrap_or(lines.len());
    lines.insert(
        at,
        StoryLine {
            after_ns: end,
            by: "",
            what,
            id: None,
            captured: None,
        },
    );
    lines
}

const BY: [&str; 2] = ["client", "server"];

fn resolved(resolution: &ResolutionDetail) -> StoryLine {
    let who = match resolution.asked_by.as_str() {
        "process" => "the client's own process was told the server's address for this name",
        "namespace" => {
            "somebody in the client's network namespace was told the server's address for this name"
        }
        _ => "somebody at the client's address was told the server's address for this name",
    };
    StoryLine {
        after_ns: Some(-signed(resolution.before_ns)),
        by: "client",
        what: format!("DNS: {who}"),
        id: Some(resolution.exchange_id.clone()),
        captured: Some(resolution.name.clone()),
    }
}

fn restarted(view: &View, replaced: &Replaced) -> StoryLine {
    StoryLine {
        after_ns: Some(replaced.start_ns.saturating_sub(signed(view.start_ns))),
        by: "server",
        what: format!("its process began, in place of {replaced}"),
        id: None,
        captured: None,
    }
}

fn handshake(view: &View, lines: &mut Vec<StoryLine>) {
    let [client, server] = &view.ends;
    if view.joined_midstream {
        lines.push(line(
            0,
            "",
            "the recording began, or its beginning was missed: the connection is older",
        ));
    }
    if let Some(syn) = client.handshake {
        lines.push(line(syn.at, "client", &format!("SYN{}", offered(&syn))));
        if view.syns() > 1 {
            lines.push(StoryLine {
                after_ns: None,
                by: "client",
                what: format!("SYN sent again {} times", view.syns() - 1),
                id: None,
                captured: None,
            });
        }
    }
    if let Some(syn) = server.handshake {
        let after = client
            .handshake
            .map(|asked| format!(" {} after the SYN", span(syn.at.saturating_sub(asked.at))));
        let again = match server.syn_retries.unwrap_or(0) {
            0 => String::new(),
            times => format!(", sent again {times} times"),
        };
        lines.push(line(
            syn.at,
            "server",
            &format!(
                "SYN-ACK{}{again}{}",
                after.unwrap_or_default(),
                offered(&syn)
            ),
        ));
    }
}

/// What of a handshake packet is worth a word in the story.
fn offered(syn: &Handshake) -> String {
    let mut words = Vec::new();
    if let Some(mss) = syn.mss {
        words.push(format!("MSS {mss}"));
    }
    if let Some(shift) = syn.window_scale {
        words.push(format!("window scale {shift}"));
    }
    if syn.has(Handshake::SACK) {
        words.push("SACK".to_owned());
    }
    if syn.has(Handshake::TIMESTAMPS) {
        words.push("timestamps".to_owned());
    }
    if syn.fast_open.is_some() {
        words.push("Fast Open".to_owned());
    }
    if words.is_empty() {
        String::new()
    } else {
        format!(" ({})", words.join(", "))
    }
}

fn closed(view: &View, end: usize, lines: &mut Vec<StoryLine>) {
    let Some(socket) = view.ends.get(end).and_then(|numbers| numbers.socket) else {
        return;
    };
    let why = socket
        .error
        .filter(|number| *number != 0)
        .map_or_else(String::new, |number| format!(" with {}", error(number)));
    lines.push(line(
        socket.closed,
        BY.get(end).copied().unwrap_or(""),
        &format!("its socket closed, out of {}{why}", state(socket.state)),
    ));
}

/// The end of the process at an end, when that fell into the connection's life or shortly behind it.
fn exited(view: &View, end: usize, lines: &mut Vec<StoryLine>) {
    let Some((at_ns, how)) = view.exits.get(end).and_then(Option::as_ref) else {
        return;
    };
    let after = at_ns.saturating_sub(signed(view.start_ns));
    let until = view.end.map_or(i64::MAX, signed);
    if (0..=until.saturating_add(SHORTLY_NS)).contains(&after) {
        lines.push(StoryLine {
            after_ns: Some(after),
            by: BY.get(end).copied().unwrap_or(""),
            what: format!("its process ended: {how}"),
            id: None,
            captured: None,
        });
    }
}

/// The beginning of the process at an end, when that was a little before the connection, or later.
fn began(view: &View, end: usize, lines: &mut Vec<StoryLine>) {
    let Some(begin) = view.begins.get(end) else {
        return;
    };
    let forked = begin.forked_from.zip(begin.start_ns);
    let forked =
        forked.map(|(parent, at_ns)| (at_ns, format!("its process was forked from pid {parent}")));
    let executed = begin.executed_ns.map(|at_ns| {
        (
            at_ns,
            "its process began to run its program (execve)".to_owned(),
        )
    });
    for (at_ns, what) in [forked, executed].into_iter().flatten() {
        let after = at_ns.saturating_sub(signed(view.start_ns));
        if after >= -A_LITTLE_NS {
            lines.push(StoryLine {
                after_ns: Some(after),
                by: BY.get(end).copied().unwrap_or(""),
                what,
                id: None,
                captured: None,
            });
        }
    }
}

fn told(view: &View, exchanges: &Exchanges, lines: &mut Vec<StoryLine>) {
    for (at, exchange) in exchanges.told.iter().enumerate() {
        lines.push(StoryLine {
            after_ns: Some(signed(exchange.start_ns.saturating_sub(view.start_ns))),
            by: "client",
            what: exchange.what.clone(),
            id: Some(exchange.id.clone()),
            captured: exchange.captured.clone(),
        });
        if let Some((_, count)) = exchanges.gap.filter(|(gap, _)| *gap == at) {
            lines.push(StoryLine {
                after_ns: None,
                by: "",
                what: format!("{count} more exchanges"),
                id: None,
                captured: None,
            });
        }
    }
}

/// What went wrong on the way, without times.
fn health(view: &View, lines: &mut Vec<StoryLine>) {
    for (end, by) in BY.into_iter().enumerate() {
        let Some(own) = view.ends.get(end) else {
            continue;
        };
        // SYNs sent again are told by themselves.
        let syns = own.syn_retries.unwrap_or(0);
        let facing = view.facing(end);
        let again = facing.retransmits().map(|count| count.saturating_sub(syns));
        for (count, what) in [
            (
                again.filter(|_| !view.is_attempt()),
                "packets sent again (retransmits)",
            ),
            (facing.out_of_order(), "packets arrived out of order"),
            (
                own.counts.zero_windows,
                "times it offered no window: its receiver fell behind",
            ),
            (
                own.counts.keep_alives,
                "keep-alives: it was idle and asked whether its peer is still there",
            ),
            (
                own.counts.window_probes,
                "probes of the window that its peer had closed",
            ),
            (
                facing.congestion_experienced(),
                "packets marked with Congestion Experienced on the way",
            ),
        ] {
            if let Some(count) = count.filter(|count| *count > 0) {
                lines.push(StoryLine {
                    after_ns: None,
                    by,
                    what: format!("{count} {what}"),
                    id: None,
                    captured: None,
                });
            }
        }
    }
}

fn is_end(line: &StoryLine) -> bool {
    line.after_ns.is_some() && line.id.is_none()
}

fn line(after: u64, by: &'static str, what: &str) -> StoryLine {
    StoryLine {
        after_ns: Some(signed(after)),
        by,
        what: what.to_owned(),
        id: None,
        captured: None,
    }
}

fn signed(after: u64) -> i64 {
    i64::try_from(after).unwrap_or(i64::MAX)
}

/// What began earlier than this before the connection is no part of its story.
const A_LITTLE_NS: i64 = 10_000_000_000;
/// A process ends before its sockets do; a moment behind the end it still belongs to the story.
const SHORTLY_NS: i64 = 1_000_000_000;
