//! Command lines, as `/proc/PID/cmdline` gives them.
//!
//! Arguments stay readable but for the values of secret options, credentials that known programs take (`curl -u`, `mysql
//! -p`), header and cookie arguments (by the rules of headers), request bodies, URLs, and whatever is token-shaped. An
//! argument with spaces is taken apart like a command line of its own: it may be a shell's script or a title that
//! the process gave itself. The output ends at 2 KiB.

use crate::fields;
use crate::hash::Hasher;
use crate::policy::{HeaderRules, Rule};
use crate::sink::{Sink, TextSink, redact};
use crate::url::{self, split};
use crate::words::{has_scheme, odd_word, secret_pair, words};

mod options;
mod shell;

use options::{Program, Takes};

/// Redacts NUL-separated arguments into one line.
pub(crate) fn command_line(hasher: &Hasher, rules: &HeaderRules, raw: &[u8]) -> String {
    let raw = raw.strip_suffix(b"\0").unwrap_or(raw);
    let mut line = Line {
        hasher,
        rules,
        out: TextSink::with_capacity(raw.len().min(MOST_BYTES)),
    };
    line.arguments(raw.split(|byte| *byte == 0), 0);
    ended(line.out.into_string())
}

struct Line<'a> {
    hasher: &'a Hasher,
    rules: &'a HeaderRules,
    out: TextSink,
}

impl Line<'_> {
    fn arguments<'b>(&mut self, arguments: impl Iterator<Item = &'b [u8]>, depth: u8) {
        let mut program = Program::default();
        let mut awaited = Takes::Nothing;
        for (at, argument) in arguments.enumerate() {
            if self.out.len() > MOST_BYTES {
                return;
            }
            if at > 0 {
                self.out.literal(b" ");
            }
            program.saw(argument);
            awaited = self.argument(program, awaited, argument, depth);
        }
    }

    /// Writes one argument. Returns what the next one is to be taken for.
    fn argument(&mut self, program: Program, awaited: Takes, raw: &[u8], depth: u8) -> Takes {
        let is_option =
            matches!(raw, [b'-', first, ..] if first.is_ascii_alphabetic() || *first == b'-');
        if awaited != Takes::Nothing && !is_option {
            self.taken(awaited, raw, depth);
            return Takes::Nothing;
        }
        if !is_option {
            self.operand(raw, depth);
            return Takes::Nothing;
        }
        if let Some((flags, takes, value)) = program.cluster(raw) {
            self.out.literal(flags);
            if value.is_empty() {
                return takes;
            }
            self.taken(takes, value, depth);
            return Takes::Nothing;
        }
        let (name, value) = split(raw, b'=');
        let takes = if is_option_name(name) {
            program.option(name)
        } else {
            Takes::Nothing
        };
        match value {
            Some(value) if takes != Takes::Nothing => {
                url::name(self.hasher, name, &mut self.out);
                self.out.literal(b"=");
                self.taken(takes, value, depth);
            }
            None if takes != Takes::Nothing => {
                url::name(self.hasher, name, &mut self.out);
                return takes;
            }
            // Perhaps a secret that begins with a dash.
            _ if awaited != Takes::Nothing => self.taken(awaited, raw, depth),
            _ => self.operand(raw, depth),
        }
        Takes::Nothing
    }

    /// The value of an option that takes something.
    fn taken(&mut self, takes: Takes, raw: &[u8], depth: u8) {
        let (hasher, out) = (self.hasher, &mut self.out);
        match takes {
            Takes::Body => body(hasher, raw, out),
            Takes::Cookie => fields::value(hasher, Rule::Cookie, raw, out),
            Takes::Header => header(hasher, self.rules, raw, out),
            Takes::Nothing => out.literal(raw),
            Takes::Script => self.script(raw, depth),
            Takes::Secret => redact(hasher, raw, out),
            Takes::UserAndPassword => url::user_and_password(hasher, raw, out),
        }
    }

    /// An argument that belongs to no option.
    fn operand(&mut self, raw: &[u8], depth: u8) {
        // `PASSWORD=two words` is one setting, unless a shell was told to read it.
        let spaced = raw.iter().any(u8::is_ascii_whitespace);
        if spaced && !secret_pair(raw).is_some_and(|(name, ..)| is_option_name(name)) {
            return self.script(raw, depth);
        }
        if secret_pair(raw).is_some() || raw.contains(&b'?') {
            return self.setting(raw);
        }
        // Lists of settings: `opt=1,password=x`. What follows a secret or a URL may belong to it.
        let mut rest = raw;
        while let Some(at) = rest.iter().position(|byte| matches!(byte, b',' | b';')) {
            let Some((part, [mark, after @ ..])) = rest.split_at_checked(at) else {
                break;
            };
            if has_scheme(part) || (secret_pair(part).is_some() && !after.contains(&b'=')) {
                break;
            }
            self.setting(part);
            self.out.literal(&[*mark]);
            rest = after;
        }
        self.setting(rest);
    }

    /// Words that are arguments in turn.
    fn script(&mut self, raw: &[u8], depth: u8) {
        if depth < DEEPEST {
            let words = shell::words(raw);
            self.arguments(words.iter().map(Vec::as_slice), depth + 1);
        } else {
            words(self.hasher, raw, &mut self.out);
        }
    }

    /// `name=value`, `name:value`, a URL, a path or a word.
    fn setting(&mut self, raw: &[u8]) {
        if let (name, Some(value)) = split(raw, b':')
            && matches!(self.rules.of(name), Rule::Credentials | Rule::Cookie)
            && !value.is_empty()
        {
            // HTTPie writes headers like that.
            self.out.literal(name);
            self.out.literal(b":");
            return fields::value(self.hasher, self.rules.of(name), value, &mut self.out);
        }
        odd_word(self.hasher, raw, &mut self.out);
    }
}

/// `Name: value`, by the rule of that header.
fn header(hasher: &Hasher, rules: &HeaderRules, raw: &[u8], out: &mut dyn Sink) {
    let (name, Some(value)) = split(raw, b':') else {
        return redact(hasher, raw, out);
    };
    let name = name.trim_ascii();
    if !fields::is_readable_name(name) {
        redact(hasher, name, out);
        out.literal(b": ");
        return redact(hasher, value, out);
    }
    out.literal(name);
    out.literal(b": ");
    fields::value(hasher, rules.of(name), value, out);
}

/// Whether text before `=` can be the name of an option and nothing else.
fn is_option_name(name: &[u8]) -> bool {
    name.iter()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// A form by its pairs, anything else whole: bodies are not recorded, here neither.
fn body(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    let (name, value) = split(raw, b'=');
    let is_form = value.is_some()
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    if is_form {
        url::query(hasher, raw, out);
    } else {
        redact(hasher, raw, out);
    }
}

/// Cuts a line at the limit, never inside a hash.
fn ended(mut line: String) -> String {
    if line.len() <= MOST_BYTES {
        return line;
    }
    // All is ASCII, so any place is a boundary; the mark takes four bytes.
    line.truncate(MOST_BYTES - END.len());
    if let Some(open) = line
        .rfind('{')
        .filter(|open| line.rfind('}').is_none_or(|close| close < *open))
    {
        line.truncate(open);
    }
    line.push_str(END);
    line
}

const MOST_BYTES: usize = 2_048;
const END: &str = " …";
/// A script in a script in a script is taken as words.
const DEEPEST: u8 = 3;
