//! Where the parser's borrowed heads become redacted values: the only place in this crate that sees captured text.

use headwater_model::{Evidence, Message, Outcome};
use headwater_protocols::http1::{
    self, Direction, Exchange, MalformedElement, Observer, RequestHead, ResponseHead,
};
use headwater_redact::{HeaderBlock, Redactor, Target, Text};

/// A redacted request head.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: Text,
    pub(crate) target: Target,
    pub(crate) host: Option<Text>,
    pub(crate) headers: HeaderBlock,
    pub(crate) minor_version: u8,
}

/// A redacted response head.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) status_code: u16,
    pub(crate) reason: Text,
    pub(crate) headers: HeaderBlock,
    pub(crate) minor_version: u8,
}

/// What the parser found since last asked.
#[derive(Default)]
pub(crate) struct Found {
    /// Exchanges that ended.
    pub(crate) ended: Vec<Exchange<Box<Asked>, Box<Answered>>>,
    /// Host of the newest request, without its port.
    pub(crate) host: Option<Text>,
    /// Heads that were not.
    pub(crate) malformed: u64,
    /// Heads cut by the cap.
    pub(crate) cut: u64,
}

/// The observer of all conversations, one at a time.
pub(crate) struct Heads {
    pub(crate) redactor: Redactor,
    /// Where blocks are put together, so that each is allocated once and in its size.
    pub(crate) block: HeaderBlock,
    /// Whether the conversation at hand has no host yet.
    pub(crate) wants_host: bool,
    pub(crate) found: Found,
}

impl Observer for Heads {
    type Request = Box<Asked>;
    type Response = Box<Answered>;

    fn request(&mut self, head: &RequestHead<'_>) -> Self::Request {
        self.redactor.headers(head.fields.iter(), &mut self.block);
        let host = head
            .fields
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(b"host"))
            .map(|(_, value)| self.redactor.host(without_port(value)));
        self.found.cut += u64::from(head.cut);
        if host.is_some() && self.wants_host {
            self.found.host.clone_from(&host);
        }
        Box::new(Asked {
            method: self.redactor.phrase(head.method),
            target: self.redactor.target(head.method, head.target),
            host,
            headers: self.block.clone(),
            minor_version: head.minor_version,
        })
    }

    fn response(&mut self, head: &ResponseHead<'_>) -> Self::Response {
        self.redactor.headers(head.fields.iter(), &mut self.block);
        self.found.cut += u64::from(head.cut);
        Box::new(Answered {
            status_code: head.status,
            reason: self.redactor.phrase(head.reason),
            headers: self.block.clone(),
            minor_version: head.minor_version,
        })
    }

    fn exchange(&mut self, exchange: Exchange<Self::Request, Self::Response>) {
        self.found.ended.push(exchange);
    }

    fn malformed(&mut self, _: Direction, _: MalformedElement) {
        self.found.malformed += 1;
    }
}

/// The parser's outcome in the model's words.
pub(crate) fn outcome(outcome: http1::Outcome) -> Outcome {
    match outcome {
        http1::Outcome::Complete => Outcome::Complete,
        http1::Outcome::Open => Outcome::Open,
        http1::Outcome::ClientGaveUp => Outcome::ClientGaveUp,
        http1::Outcome::ServerReset => Outcome::ServerReset,
        http1::Outcome::ServerClosed => Outcome::ServerClosed,
        http1::Outcome::TimedOut => Outcome::TimedOut,
        http1::Outcome::Truncated => Outcome::Truncated,
        http1::Outcome::Malformed => Outcome::Malformed,
        http1::Outcome::RequestNotSeen => Outcome::RequestNotSeen,
    }
}

/// `host` of `host:port` or `[address]:port` (RFC 9110 section 7.2).
fn without_port(host: &[u8]) -> &[u8] {
    let digits = host
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    match host.get(..host.len() - digits) {
        Some([name @ .., b':'])
            if digits > 0
                && !name.is_empty()
                && (name.ends_with(b"]") || !name.contains(&b':')) =>
        {
            name
        }
        _ => host,
    }
}

/// The tag that travels with a packet's bytes: its thread, and how well that is known.
pub(crate) fn tag(thread_id: u32, owned: Option<bool>, new_turn: bool) -> u64 {
    let evidence = match owned {
        Some(true) => 1,
        None if new_turn && thread_id != 0 => 2,
        Some(false) | None => return 0,
    };
    u64::from(thread_id) | evidence << 32
}

/// Puts a tag's thread and evidence into a message.
pub(crate) fn untag(tag: u64, message: &mut Message) {
    let (thread_id, evidence) = match tag >> 32 {
        1 => (true, Evidence::SocketLock),
        2 => (true, Evidence::TurnStart),
        _ => (false, Evidence::None),
    };
    message.thread_evidence = evidence;
    message.thread_id = if thread_id {
        u32::try_from(tag & u64::from(u32::MAX)).ok()
    } else {
        None
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_taken_off() {
        for (given, expected) in [
            ("a.example", "a.example"),
            ("a.example:80", "a.example"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("::1", "::1"),
            ("", ""),
            (":80", ":80"),
            ("80", "80"),
        ] {
            assert_eq!(
                without_port(given.as_bytes()),
                expected.as_bytes(),
                "{given}"
            );
        }
    }
}
