//! Messages and exchanges as lines of text.

use std::fmt::Write as _;

use headwater_protocols::dns::{
    Answers, Exchange, Flags, Malformed, Message, Question, Reading, read,
};

/// Such as `7 response NOERROR aa rd www.example.com A -> 192.0.2.1 ttl 300 edns 1232`: only what is there.
pub(crate) fn line(bytes: &[u8], wire_length: usize) -> String {
    match read(bytes, wire_length) {
        Reading::Message(message) => message_line(&message),
        Reading::Cut => "cut".into(),
        Reading::Malformed(element) => format!("malformed {element:?}"),
    }
}

pub(crate) fn message(bytes: &[u8]) -> Message {
    match read(bytes, bytes.len()) {
        Reading::Message(message) => message,
        other => panic!("{other:?}"),
    }
}

fn message_line(message: &Message) -> String {
    let mut line = message.id.to_string();
    line += if message.response {
        " response"
    } else {
        " query"
    };
    if message.opcode.0 != 0 {
        write!(line, " {}", message.opcode).unwrap();
    }
    if message.response {
        write!(line, " {}", message.rcode).unwrap();
    }
    for (flag, name) in FLAGS {
        if message.flags.contains(*flag) {
            write!(line, " {name}").unwrap();
        }
    }
    write!(line, " {}", asked(message.question.as_ref())).unwrap();
    line += &answers(&message.answers);
    if let Some(edns) = message.edns {
        write!(line, " edns {}", edns.udp_payload_bytes).unwrap();
        if edns.dnssec_ok {
            line += " do";
        }
    }
    if message.answers_cut {
        line += " cut";
    }
    if let Some(flaw) = message.flaw {
        write!(line, " {flaw:?}").unwrap();
    }
    line
}

/// Without the class when it is IN.
fn asked(question: Option<&Question>) -> String {
    match question {
        None => "-".into(),
        Some(question) if question.class.0 == 1 => {
            format!("{} {}", question.name, question.kind)
        }
        Some(question) => format!("{} {} {}", question.name, question.kind, question.class),
    }
}

fn answers(answers: &Answers) -> String {
    let mut parts = Vec::new();
    parts.extend(answers.aliases.iter().map(|name| format!("={name}")));
    parts.extend(answers.addresses.iter().map(ToString::to_string));
    if usize::from(answers.address_count) > answers.addresses.len() {
        parts.push(format!("of {}", answers.address_count));
    }
    if usize::from(answers.alias_count) > answers.aliases.len() {
        parts.push(format!("aliases {}", answers.alias_count));
    }
    parts.extend(
        answers
            .others
            .iter()
            .map(|(kind, count)| format!("{kind}*{count}")),
    );
    if answers.uncounted > 0 {
        parts.push(format!("more {}", answers.uncounted));
    }
    parts.extend(answers.minimum_ttl_s.map(|ttl_s| format!("ttl {ttl_s}")));
    if parts.is_empty() {
        return String::new();
    }
    format!(" -> {}", parts.join(" "))
}

/// Such as `www.example.com A 5 -> 9 NOERROR 192.0.2.1 ttl 300 Answered`: times of both messages in milliseconds.
pub(crate) fn exchange(exchange: &Exchange<u8>) -> String {
    let mut line = asked(exchange.question.as_ref());
    match &exchange.query {
        Some(query) => {
            write!(line, " {}", query.at_ns / MS).unwrap();
            if query.retries > 0 {
                write!(line, "+{}", query.retries).unwrap();
            }
        }
        None => line += " ?",
    }
    if let Some(answer) = &exchange.answer {
        write!(line, " -> {} {}", answer.at_ns / MS, answer.rcode).unwrap();
    }
    if exchange.truncated() {
        line += " truncated";
    }
    format!("{line} {:?}", exchange.outcome)
}

pub(crate) const MS: u64 = 1_000_000;

const FLAGS: &[(Flags, &str)] = &[
    (Flags::AUTHORITATIVE, "aa"),
    (Flags::TRUNCATED, "tc"),
    (Flags::RECURSION_DESIRED, "rd"),
    (Flags::RECURSION_AVAILABLE, "ra"),
    (Flags::RESERVED, "z"),
    (Flags::AUTHENTIC_DATA, "ad"),
    (Flags::CHECKING_DISABLED, "cd"),
];

/// What is malformed is comparable and cheap to copy (E2).
const _: fn() = || {
    fn copied<T: Copy + Eq>() {}
    copied::<Malformed>();
};
