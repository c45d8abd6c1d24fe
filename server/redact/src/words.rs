//! Text that is harmless as a rule: the values of listed headers, reason phrases, process names, arguments.
//!
//! Everything stays readable but what looks out of place: token-shaped words, URLs (redacted by their own rule), the
//! values of secret names (`token=…`), and the word after a secret name with a colon or after `Bearer` and `Basic`.

use crate::hash::{Hasher, Scheme};
use crate::secret_name::is_secret_name;
use crate::shape::{is_base64, is_token};
use crate::sink::{Sink, redact};
use crate::url;

/// Redacts text word by word.
pub(crate) fn words(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    let mut rest = raw;
    // Readable text not yet written: the pieces between two redacted words go out at once.
    let mut readable = raw;
    let mut expected = false;
    while !rest.is_empty() {
        let (word, tail) = take_until(rest, is_delimiter);
        let (_, after) = take_until(tail, |byte| !is_delimiter(byte));
        let announces = announces_credential(word);
        if announces || word.is_empty() || (!expected && is_plain(word)) {
            expected = announces || (expected && word.is_empty());
            rest = after;
            continue;
        }
        out.literal(
            readable
                .get(..readable.len() - rest.len())
                .unwrap_or_default(),
        );
        let (word, tail) = if expected || may_hold_commas(word) {
            take_until(rest, is_end)
        } else {
            (word, tail)
        };
        if expected {
            redact(hasher, word, out);
        } else {
            odd_word(hasher, word, out);
        }
        expected = false;
        readable = tail;
        rest = tail;
    }
    out.literal(readable);
}

fn take_until(raw: &[u8], mut ends: impl FnMut(u8) -> bool) -> (&[u8], &[u8]) {
    let at = raw.iter().position(|byte| ends(*byte)).unwrap_or(raw.len());
    raw.split_at_checked(at).unwrap_or((raw, b""))
}

/// What ends a word for certain.
fn is_end(byte: u8) -> bool {
    matches!(
        byte,
        b' ' | b'\t' | b'\r' | b'\n' | 0 | b'"' | b'\'' | b'`' | b'<' | b'>'
    )
}

/// What ends a word as a rule. `=` and `:` do not: they end base64 and hold pairs and URLs together.
fn is_delimiter(byte: u8) -> bool {
    is_end(byte) || matches!(byte, b',' | b';' | b'(' | b')' | b'[' | b']' | b'|')
}

/// URLs and secrets go on behind a comma; a hash of too much is better than a rest that is readable.
fn may_hold_commas(word: &[u8]) -> bool {
    word.contains(&b'?') || has_scheme(word) || secret_pair(word).is_some()
}

pub(crate) fn has_scheme(word: &[u8]) -> bool {
    word.windows(3).any(|three| three == b"://")
}

/// Name, mark and value of `token=abc` and `X-Api-Key:abc`.
pub(crate) fn secret_pair(word: &[u8]) -> Option<(&[u8], u8, &[u8])> {
    let mut marks = [b'=', b':'];
    if word.iter().find(|byte| marks.contains(byte)) == Some(&b':') {
        marks.reverse();
    }
    marks
        .into_iter()
        .find_map(|mark| match url::split(word, mark) {
            (name, Some(value)) if !value.is_empty() && is_secret_name(name) => {
                Some((name, mark, value))
            }
            _ => None,
        })
}

/// `Bearer`, `Basic`, `Authorization:` and `password=`: the next word is the secret.
fn announces_credential(word: &[u8]) -> bool {
    match word.split_last() {
        Some((b':' | b'=', name)) => !name.is_empty() && is_secret_name(name),
        _ => {
            matches!(word.len(), 5 | 6)
                && matches!(
                    Scheme::from_name(word),
                    Some(Scheme::BASIC | Scheme::BEARER)
                )
        }
    }
}

/// Whether `odd_word` would leave the word as it is, told quickly for the many short words that hold no mark.
fn is_plain(word: &[u8]) -> bool {
    let marked = word
        .iter()
        .any(|byte| matches!(byte, b'=' | b':' | b'@' | b'?'));
    !marked && (word.len() < 12 || (!is_token(word) && !is_base64(word)))
}

/// One word with a mark in it, or token-shaped.
pub(crate) fn odd_word(hasher: &Hasher, word: &[u8], out: &mut dyn Sink) {
    if has_scheme(word) {
        return after_equals_sign(hasher, word, out);
    }
    if is_base64(word) {
        return redact(hasher, word, out);
    }
    if let Some((name, mark, value)) = secret_pair(word) {
        url::name(hasher, name, out);
        out.literal(&[mark]);
        return redact(hasher, value, out);
    }
    match word {
        [b'/' | b'.' | b'~', ..] | [b'?', _, ..] => url::url(hasher, word, out),
        _ if word.contains(&b'@') && word.contains(&b':') => url::path(hasher, word, out),
        _ => pair_or_word(hasher, word, out),
    }
}

/// A URL, alone or as the value of a pair: `url=http://…`.
fn after_equals_sign(hasher: &Hasher, word: &[u8], out: &mut dyn Sink) {
    let colon = word
        .windows(3)
        .position(|three| three == b"://")
        .unwrap_or_default();
    let equals = word
        .get(..colon)
        .and_then(|before| before.iter().rposition(|byte| *byte == b'='));
    match equals.and_then(|at| word.split_at_checked(at + 1)) {
        Some((name, value)) => {
            if is_secret_name(name) {
                out.literal(name);
                return redact(hasher, value, out);
            }
            url::word(hasher, name, out);
            url::url(hasher, value, out);
        }
        None => url::url(hasher, word, out),
    }
}

fn pair_or_word(hasher: &Hasher, word: &[u8], out: &mut dyn Sink) {
    match url::split(word, b'=') {
        // Padding of base64 is no value.
        (name, Some(value)) if !name.is_empty() && value.iter().any(|byte| *byte != b'=') => {
            url::name(hasher, name, out);
            out.literal(b"=");
            odd_word(hasher, value, out);
        }
        _ if is_token(word) && word.contains(&b'/') => url::path(hasher, word, out),
        _ => url::word(hasher, word, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;
    use crate::sink::TextSink;

    fn check(raw: &str, expected: &str) {
        let hasher = Hasher::new(&Key([1; 32]));
        let mut out = TextSink::default();
        words(&hasher, raw.as_bytes(), &mut out);
        let hash = |value: &str| {
            let mut text = TextSink::default();
            redact(&hasher, value.as_bytes(), &mut text);
            text.into_string()
        };
        let mut filled = expected.to_owned();
        while let Some((before, rest)) = filled.split_once('«') {
            let (value, after) = rest.split_once('»').unwrap();
            filled = format!("{before}{}{after}", hash(value));
        }
        assert_eq!(out.into_string(), filled, "{raw}");
    }

    #[test]
    fn readable_words_and_redacted_ones() {
        let token = "q7Zk0xYbT2mN9vLsR4cWd8";
        check("", "");
        check("Not Found", "Not Found");
        check("text/html; charset=utf-8", "text/html; charset=utf-8");
        check(
            &format!("Hello {token}, bye"),
            &format!("Hello «{token}», bye"),
        );
        check(&format!("(x={token})"), &format!("(x=«{token}»)"));
        check("password=hunter2 user=me", "password=«hunter2» user=me");
        check("password= hunter2 then", "password= «hunter2» then");
        check(
            "Authorization: Bearer abc def",
            "Authorization: Bearer «abc» def",
        );
        check("X-Api-Key: abc", "X-Api-Key: «abc»");
        check("5;url=http://u:p@h/a?b=c", "5;url=http://«u»:«p»@h/a?b=«c»");
        check("see /a/b?c=d", "see /a/b?c=«d»");
        check("scp me:pw@host:22", "scp «me»:«pw»@host:22");
        check("a=b", "a=b");
        check("{x}", "%7Bx%7D");
        check(
            "q7Zk0xYb/T2mN9vLsR4+cWd8QQ==",
            "«q7Zk0xYb/T2mN9vLsR4+cWd8QQ==»",
        );
    }
}
