//! What a handshake failed of.

use super::TLS_1_3;
use super::facts::Alert;
use super::handshake::{Handshake, is_bytes_of_alert};
use crate::http1::Direction;

/// Why a handshake did not come to its end, or was undone right behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// An alert in clear: by whom (to the server means by the client), and its description.
    Alert(Direction, u8),
    /// What by its length alone is an alert, most likely, and then the end.
    EncryptedAlert(Direction),
    /// The connection ended before.
    Cut(Stage),
    /// The client spoke TLS, the server something else.
    ServerSpokeNoTls,
    /// The server answered in TLS what was none.
    ClientSpokeNoTls,
}

/// How far a handshake came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The ClientHello had no answer.
    NotAnswered,
    /// The client did not finish.
    NotFinished,
}

/// The verdict. What needs the end of the connection to be known is `None` before it, and so is what was not seen.
pub(super) fn of(handshake: &Handshake, has_ended: bool) -> Option<Failure> {
    let facts = handshake.facts();
    let said = |alert: &Alert| {
        let (_, description) = alert.said?;
        Some(Failure::Alert(alert.direction, description))
    };
    // What it said may not have been seen, or not as yet.
    if handshake.is_alert_first && handshake.not_tls.0 {
        return Some(Failure::ClientSpokeNoTls);
    }
    let client = handshake.lane(Direction::ToServer);
    // A hello that was seen in part is one.
    if facts.client.is_none() && client.passed == 0 {
        return None;
    }
    if let Some(done_ns) = facts.done_ns {
        let late = handshake.late_alert.filter(|_| has_ended);
        // What a client has sent behind its Finished is no farewell, which the server would only answer.
        return late
            .filter(|alert| alert.at_ns >= done_ns)
            .map(|alert| Failure::EncryptedAlert(alert.direction));
    }
    if let Some(failure) = facts
        .alerts
        .iter()
        .find(|alert| alert.is_fatal())
        .and_then(said)
    {
        return Some(failure);
    }
    if handshake.not_tls.1 {
        return Some(Failure::ServerSpokeNoTls);
    }
    if !has_ended || handshake.is_over() {
        return None;
    }
    // Where the ServerHello is not known, an encrypted alert may be a farewell.
    let is_known = |alert: &&Alert| alert.said.is_some() || facts.server.is_some();
    let last = facts
        .alerts
        .iter()
        .rev()
        .filter(is_known)
        .find(|alert| alert.is_error());
    if let Some(alert) = last {
        return said(alert).or(Some(Failure::EncryptedAlert(alert.direction)));
    }
    let server = handshake.lane(Direction::ToClient);
    match facts.version() {
        None if server.passed == 0 => Some(Failure::Cut(Stage::NotAnswered)),
        Some(TLS_1_3..) if handshake.may_be_finished() => None,
        Some(TLS_1_3..) if is_bytes_of_alert(client.unread) => {
            Some(Failure::EncryptedAlert(Direction::ToServer))
        }
        Some(_) if client.finished_ns.is_none() => Some(Failure::Cut(Stage::NotFinished)),
        // Its answer was not read, or what was not read is long enough for all that was to come.
        _ => None,
    }
}
