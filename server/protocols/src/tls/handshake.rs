//! A handshake in the making: what each record and message adds to what is known, and when it is over.
//!
//! Up to TLS 1.2 messages are clear until ChangeCipherSpec, and the one behind it is Finished. In TLS 1.3 all behind the
//! ServerHello are records of application data; the client's first that is no alert by its length holds its Finished. Where it
//! offered early data, that may be any of them, and when the handshake was over is not known.

use super::facts::{Alert, ClientCertificate, Facts, Resumption};
use super::hello::{self, Answer};
use super::lane::{Lane, Next};
use super::{ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, TLS_1_3, certificate};
use crate::http1::Direction;

/// Both directions, and what they have said.
#[derive(Debug, Default)]
pub(super) struct Handshake {
    to_server: Lane,
    to_client: Lane,
    facts: Facts,
    /// Bytes of memory in them.
    facts_bytes: usize,
    news: u32,
    /// The server has said that its part of the messages is over (ServerHelloDone).
    is_server_done: bool,
    /// The client, and the server, spoke something else than TLS from the beginning.
    pub(super) not_tls: (bool, bool),
    /// Before the client said anything in TLS, the server sent an alert.
    pub(super) is_alert_first: bool,
    /// Behind a handshake that is done the server said but what may be an alert.
    pub(super) late_alert: Option<Alert>,
    /// Bytes that the client had sent when the server answered.
    client_bytes_when_answered: u64,
    /// Bytes that the server had sent when it was done.
    server_bytes_when_done: u64,
    /// A part of an alert in clear, while one is at hand.
    alert: Option<Vec<u8>>,
    /// Nothing more is to be learned.
    is_over: bool,
}

impl Handshake {
    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(super) fn news(&self) -> u32 {
        self.news
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    pub(super) fn lane(&self, direction: Direction) -> &Lane {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }

    pub(super) fn lane_mut(&mut self, direction: Direction) -> &mut Lane {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }

    pub(super) fn held_bytes(&self) -> usize {
        let messages = self.to_server.held_bytes() + self.to_client.held_bytes();
        messages + self.facts_bytes.saturating_sub(Facts::ORDINARY_BYTES)
    }

    pub(super) fn let_go(&mut self) {
        for direction in [Direction::ToServer, Direction::ToClient] {
            self.cut(direction, self.facts.begun_ns);
        }
    }

    pub(super) fn bytes(&mut self, direction: Direction, at_ns: u64, mut data: &[u8]) {
        if self.facts.begun_ns == 0 {
            self.facts.begun_ns = at_ns;
        }
        let unread = self.lane(direction).unread;
        while let Some(next) = self.lane_mut(direction).next(&mut data) {
            match next {
                Next::Record { kind, length } => self.record(direction, at_ns, kind, length),
                Next::Payload { kind, bytes } => self.payload(direction, at_ns, kind, bytes),
                Next::NotTls => {
                    match direction {
                        Direction::ToServer => self.not_tls.0 = true,
                        Direction::ToClient => self.not_tls.1 = true,
                    }
                    self.news += 1;
                }
            }
            if self.is_over {
                return;
            }
        }
        if self.lane(direction).unread > unread {
            self.look_at_unread(direction, at_ns);
        }
        self.give_up();
    }

    pub(super) fn skipped(&mut self, direction: Direction, at_ns: u64, length: u64) {
        self.cut(direction, at_ns);
        if !self.lane_mut(direction).skip(length) {
            self.look_at_unread(direction, at_ns);
        }
        self.give_up();
    }

    /// A record begins.
    fn record(&mut self, direction: Direction, at_ns: u64, kind: u8, length: usize) {
        self.alert = None;
        let version = self.version();
        let is_sealed = self.lane(direction).is_sealed;
        match kind {
            CHANGE_CIPHER_SPEC if version.is_some_and(|version| version < TLS_1_3) => {
                self.lane_mut(direction).is_sealed = true;
                let is_early = direction == Direction::ToClient
                    && !self.is_server_done
                    && self.facts.certificate_count == 0;
                if is_early && self.facts.resumption.is_none() {
                    self.facts.resumption = Some(Resumption::Session);
                }
            }
            HANDSHAKE if is_sealed => self.finished(direction, at_ns),
            ALERT if is_sealed || length != 2 => self.add_alert(direction, at_ns, None),
            ALERT => self.alert = Some(Vec::new()),
            APPLICATION_DATA => match version {
                Some(TLS_1_3..) => self.sealed(direction, at_ns, length),
                Some(_) => {
                    self.finished(Direction::ToServer, at_ns);
                    self.finished(Direction::ToClient, at_ns);
                }
                None => {}
            },
            _ => {}
        }
    }

    /// An encrypted record of TLS 1.3.
    fn sealed(&mut self, direction: Direction, at_ns: u64, length: usize) {
        let alert = Alert {
            at_ns,
            direction,
            said: None,
            is_late: false,
        };
        let is_alert = is_length_of_alert(length);
        match (direction, self.facts.done_ns) {
            // It may be early data, of whatever length, and an EndOfEarlyData is as short as an alert.
            (Direction::ToServer, None) if self.may_send_early_data() => {}
            (Direction::ToServer, None) if is_alert => self.add_alert(direction, at_ns, None),
            (Direction::ToServer, None) => self.finished(direction, at_ns),
            // Whoever says goodbye is answered with the same, and whoever got a fatal alert says no goodbye.
            (Direction::ToServer, Some(_)) if is_alert => {
                self.news += u32::from(self.late_alert.take().is_some());
                self.end();
            }
            (Direction::ToClient, Some(done_ns)) => {
                if is_alert && self.late_alert.is_none() && self.is_soon(done_ns, at_ns) {
                    self.late_alert = Some(alert);
                    self.news += 1;
                } else {
                    self.late_alert = None;
                    self.end();
                }
            }
            _ => {}
        }
    }

    /// Bytes that were not read: how many there are tells whether a Finished was among them.
    fn look_at_unread(&mut self, direction: Direction, at_ns: u64) {
        let unread = self.lane(direction).unread;
        match (self.version(), self.facts.done_ns, direction) {
            (Some(TLS_1_3..), None, Direction::ToServer)
                if unread >= LEAST_FINISHED_1_3 && !self.may_send_early_data() =>
            {
                self.finished(direction, at_ns);
            }
            (Some(TLS_1_3..), Some(done_ns), Direction::ToClient) => {
                let since = self.to_client.passed - self.server_bytes_when_done;
                if is_bytes_of_alert(since) && self.is_soon(done_ns, at_ns) {
                    self.late_alert = Some(Alert {
                        at_ns,
                        direction,
                        said: None,
                        is_late: false,
                    });
                } else if since > 0 {
                    self.late_alert = None;
                    self.end();
                }
            }
            (Some(..TLS_1_3), None, _) if unread >= LEAST_FINISHED => {
                self.finished(direction, at_ns);
            }
            _ => {}
        }
    }

    fn payload(&mut self, direction: Direction, at_ns: u64, kind: u8, bytes: &[u8]) {
        if self.lane(direction).is_sealed {
            return;
        }
        match kind {
            HANDSHAKE => {
                self.in_messages(direction, at_ns, |lane, each| lane.append(bytes, each));
            }
            ALERT => {
                let Some(alert) = &mut self.alert else {
                    return;
                };
                alert.extend(bytes.iter().take(2));
                if let [level, description] = alert[..] {
                    self.alert = None;
                    self.add_alert(direction, at_ns, Some((level, description)));
                }
            }
            _ => {}
        }
    }

    /// Bytes that a direction holds of a message are all that there will be of it.
    fn cut(&mut self, direction: Direction, at_ns: u64) {
        self.in_messages(direction, at_ns, |lane, each| lane.cut(each));
    }

    /// Lets a direction give out its messages. What they say changes the other direction at most.
    fn in_messages(
        &mut self,
        direction: Direction,
        at_ns: u64,
        act: impl FnOnce(&mut Lane, &mut dyn FnMut(u8, &[u8], bool)),
    ) {
        let mut lane = std::mem::take(self.lane_mut(direction));
        act(&mut lane, &mut |kind, body, is_whole| {
            self.message(direction, at_ns, (kind, is_whole), body);
        });
        *self.lane_mut(direction) = lane;
    }

    fn message(
        &mut self,
        direction: Direction,
        at_ns: u64,
        (kind, is_whole): (u8, bool),
        body: &[u8],
    ) {
        let is_news = match (direction, kind) {
            // What is not in the part that was seen of a hello may be in the other: nothing is said of it then.
            (_, CLIENT_HELLO | SERVER_HELLO) if !is_whole => false,
            (Direction::ToServer, CLIENT_HELLO) => self.client_hello(body, at_ns),
            (Direction::ToClient, SERVER_HELLO) => self.server_hello(body),
            (Direction::ToClient, CERTIFICATE) => self.server_certificates(body, is_whole),
            (Direction::ToServer, CERTIFICATE) => self.client_certificates(body, is_whole),
            (Direction::ToClient, CERTIFICATE_REQUEST) => {
                let known = &mut self.facts.client_certificate;
                known.is_none() && known.replace(ClientCertificate::Asked).is_none()
            }
            (Direction::ToClient, SERVER_HELLO_DONE) => {
                self.is_server_done = true;
                false
            }
            _ => false,
        };
        if is_news {
            self.has_learned();
        }
    }

    /// There is more to tell.
    fn has_learned(&mut self) {
        self.news += 1;
        self.facts_bytes = self.facts.bytes();
    }

    /// Each of these says whether there is more to tell now. What has been said once is not said anew, so that no end can have it told
    /// again and again.
    fn client_hello(&mut self, body: &[u8], at_ns: u64) -> bool {
        if self.facts.client.is_some() {
            return false;
        }
        let Some(hello) = hello::client(body) else {
            return false;
        };
        self.facts.client = Some(hello);
        self.facts.begun_ns = at_ns;
        true
    }

    fn server_hello(&mut self, body: &[u8]) -> bool {
        if self.facts.server.is_some() {
            return false;
        }
        match hello::server(body) {
            Some(Answer::Retry) => !std::mem::replace(&mut self.facts.is_retried, true),
            Some(Answer::Chosen {
                hello,
                session_id,
                has_psk,
            }) => {
                let asked = self.facts.client.as_ref().map(|client| &client.session_id);
                let is_old = hello.version < TLS_1_3;
                let is_same = !session_id.is_empty() && asked == Some(&session_id);
                self.facts.resumption = match (is_old, has_psk) {
                    (false, true) => Some(Resumption::Psk),
                    (true, _) if is_same => Some(Resumption::Session),
                    _ => None,
                };
                self.facts.server = Some(hello);
                self.to_server.unread = 0;
                self.client_bytes_when_answered = self.to_server.passed;
                true
            }
            None => false,
        }
    }

    fn client_certificates(&mut self, body: &[u8], is_whole: bool) -> bool {
        let is_open = matches!(
            self.facts.client_certificate,
            None | Some(ClientCertificate::Asked)
        );
        let count = u32::try_from(certificates(body).count()).unwrap_or(u32::MAX);
        let is_news = is_open && (count > 0 || is_whole);
        if is_news {
            self.facts.client_certificate = Some(match count {
                0 => ClientCertificate::None,
                count => ClientCertificate::Sent(count),
            });
        }
        is_news
    }

    fn server_certificates(&mut self, body: &[u8], is_whole: bool) -> bool {
        if self.facts.certificate_count > 0 {
            return false;
        }
        let host = self.facts.client.as_ref();
        let host = host.and_then(|client| client.server_name.as_deref());
        let mut is_all_read = true;
        for der in certificates(body) {
            let is_first = self.facts.certificate_count == 0;
            self.facts.certificate_count += 1;
            if self.facts.certificates.len() >= Facts::MOST_CERTIFICATES {
                continue;
            }
            let Some((certificate, is_for)) = certificate::read(der, host.filter(|_| is_first))
            else {
                is_all_read = false;
                continue;
            };
            // What is not read must not be taken for what is behind it.
            if is_all_read {
                self.facts.certificates.push(certificate);
                if is_first {
                    self.facts.is_name_right = is_for;
                }
            }
        }
        self.facts.is_chain_cut = !is_whole;
        self.facts.certificate_count > 0
    }

    fn add_alert(&mut self, direction: Direction, at_ns: u64, said: Option<(u8, u8)>) {
        let is_said = said.is_some() && direction == Direction::ToClient;
        self.is_alert_first |= is_said && self.to_server.passed == 0;
        let is_late = match direction {
            Direction::ToServer => self.to_client.was_closed(at_ns),
            Direction::ToClient => self.to_server.was_closed(at_ns),
        };
        let alert = Alert {
            at_ns,
            direction,
            said,
            is_late,
        };
        if self.facts.alerts.len() >= Facts::MOST_ALERTS {
            // What the handshake fails of is told, whatever was said before it.
            if !alert.is_fatal() || self.facts.alerts.iter().any(Alert::is_fatal) {
                return;
            }
            self.facts.alerts.pop();
        }
        self.facts.alerts.push(alert);
        self.has_learned();
    }

    /// A Finished passed.
    fn finished(&mut self, direction: Direction, at_ns: u64) {
        let is_new = self
            .facts
            .version()
            .is_some_and(|version| version >= TLS_1_3);
        self.lane_mut(direction).finished_ns.get_or_insert(at_ns);
        let both = (self.to_server.finished_ns, self.to_client.finished_ns);
        // In TLS 1.3 the server's came first.
        let is_done = matches!(both, (Some(_), Some(_))) || is_new;
        if is_done && self.facts.done_ns.is_none() {
            self.facts.done_ns = Some(at_ns);
            self.server_bytes_when_done = self.to_client.passed;
            self.news += 1;
            if !is_new {
                self.end();
            }
        }
    }

    fn end(&mut self) {
        self.is_over = true;
        for lane in [&mut self.to_server, &mut self.to_client] {
            lane.let_go();
        }
    }

    /// What has come to so many bytes is no handshake, or one whose records were not followed.
    fn give_up(&mut self) {
        if self.to_server.passed.max(self.to_client.passed) > MOST_BYTES {
            self.end();
        }
    }

    /// Whether what the server says then, behind a handshake that was done, is no farewell: it comes soon, and the client has not
    /// left before.
    fn is_soon(&self, done_ns: u64, at_ns: u64) -> bool {
        at_ns.saturating_sub(done_ns) < SOON_NS && !self.to_server.was_closed(at_ns)
    }

    fn version(&self) -> Option<u16> {
        self.facts.version()
    }

    /// Whether what the client sends in TLS 1.3 may be early data: nobody can tell where that ends. Who is asked for another hello
    /// sends none behind that (RFC 8446, section 4.2.10).
    fn may_send_early_data(&self) -> bool {
        let client = self.facts.client.as_ref();
        client.is_some_and(|client| client.offers_early_data) && !self.facts.is_retried
    }

    /// Whether the client may have finished without that being seen, behind early data.
    pub(super) fn may_be_finished(&self) -> bool {
        self.may_send_early_data() && self.to_server.passed > self.client_bytes_when_answered
    }
}

/// The certificates in a message (RFC 5246, section 7.4.2); one that is cut short ends them.
fn certificates(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = body.get(3..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (&[a, b, c], behind) = rest.split_first_chunk::<3>()?;
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?;
        let (one, behind) = behind.split_at_checked(length)?;
        rest = behind;
        Some(one)
    })
}

/// Whether an encrypted record of TLS 1.3 holds no more than an alert may take: two bytes, the type, and a tag of eight or sixteen
/// bytes, perhaps with a little padding (RFC 8446, section 5.2). A Finished takes more than twice of that.
fn is_length_of_alert(length: usize) -> bool {
    matches!(length, 11 | 19..=24)
}

/// Whether so many bytes are such a record, alone or behind a ChangeCipherSpec.
pub(super) fn is_bytes_of_alert(bytes: u64) -> bool {
    let of_record = |bytes: u64| {
        let length = bytes
            .checked_sub(5)
            .and_then(|length| usize::try_from(length).ok());
        length.is_some_and(is_length_of_alert)
    };
    of_record(bytes) || bytes.checked_sub(6).is_some_and(of_record)
}

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;
const CERTIFICATE_REQUEST: u8 = 13;
const SERVER_HELLO_DONE: u8 = 14;

/// ChangeCipherSpec and Finished up to TLS 1.2 take more than this,
const LEAST_FINISHED: u64 = 27;
/// and Finished in TLS 1.3 so much: the record's header, the message's, a hash, the type, a tag of eight bytes.
const LEAST_FINISHED_1_3: u64 = 5 + 4 + 32 + 1 + 8;
/// An alert so soon behind the handshake tells of it.
const SOON_NS: u64 = 1_000_000_000;
const MOST_BYTES: u64 = 1 << 20;
