//! The two places that write to the terminal: answers to standard output, words about the work to standard error.

use std::io::Write;

/// Writes an answer. A reader that has gone away (`| head`) is no error.
pub(crate) fn answer(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| {
        if text.ends_with('\n') {
            Ok(())
        } else {
            out.write_all(b"\n")
        }
    });
    let _ = out.flush();
}

/// Says something about the work, as one line that begins with the program's name.
pub(crate) fn say(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = writeln!(err, "headwater: {text}");
}

/// Writes text to standard error as it is.
pub(crate) fn show(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = err.write_all(text.as_bytes());
}

/// Says an error with what caused it.
pub(crate) fn say_error(error: &(dyn std::error::Error + 'static)) {
    let mut text = error.to_string();
    let mut at = error.source();
    while let Some(cause) = at {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        at = cause.source();
    }
    say(&text);
}

/// A number with its noun, whose plural ends in s.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
