//! Whether a name says that its value is a secret: an option, an environment variable, a form field.
//!
//! Asked only where values are readable by default (command lines, words of harmless headers, path segments). Carriers
//! that hash by default do not need it. It rather names too much: `--max-tokens 100` loses its number.

/// Whether the value that goes with `name` is to be hashed whatever it looks like.
pub(crate) fn is_secret_name(name: &[u8]) -> bool {
    // The shortest part and the shortest word.
    name.len() >= 2
        && (PARTS.iter().any(|part| contains(name, part.as_bytes()))
            || words(name).any(is_secret_word))
}

fn contains(name: &[u8], part: &[u8]) -> bool {
    name.windows(part.len())
        .any(|window| window.eq_ignore_ascii_case(part))
}

fn is_secret_word(word: &[u8]) -> bool {
    WORDS
        .iter()
        .any(|known| known.as_bytes().eq_ignore_ascii_case(word))
}

/// `apiKey`, `API_KEY` and `api-key` are two words each.
fn words(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    name.split(|byte| !byte.is_ascii_alphanumeric())
        .flat_map(|word| {
            word.chunk_by(|before, after| {
                !(before.is_ascii_lowercase() && after.is_ascii_uppercase())
            })
        })
}

/// Secret wherever they stand in a name.
const PARTS: &[&str] = &[
    "apikey",
    "bearer",
    "cookie",
    "credential",
    "jwt",
    "passcode",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "secret",
    "sessid",
    "sessionid",
    "signature",
    "token",
    "xsrf",
    "csrf",
];

/// Secret as whole words only: `auth`, not `author`.
const WORDS: &[&str] = &[
    "auth",
    "authentication",
    "authorization",
    "creds",
    "dsn",
    "key",
    "oauth",
    "oauth2",
    "otp",
    "pass",
    "pat",
    "pin",
    "psk",
    "pw",
    "pwd",
    "session",
    "sid",
    "sig",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for secret in [
            "password",
            "--password",
            "db-passwd",
            "PGPASSWORD",
            "MYSQL_PWD",
            "apiKey",
            "API_KEY",
            "x-api-key",
            "accessToken",
            "AWS_SECRET_ACCESS_KEY",
            "auth",
            "oauth2",
            "Authorization",
            "session",
            "sid",
            "jwt",
            "client_secret",
            "sslkey.pass",
        ] {
            assert!(is_secret_name(secret.as_bytes()), "{secret}");
        }
        for harmless in [
            "author",
            "keyboard",
            "monkey",
            "passenger",
            "path",
            "host",
            "port",
            "compass",
            "",
            "side",
            "q",
        ] {
            assert!(!is_secret_name(harmless.as_bytes()), "{harmless}");
        }
    }
}
