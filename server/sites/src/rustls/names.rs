//! The names of rustls' functions, in both ways that Rust's compiler writes names.

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// What a function is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// Takes the bytes that the program writes.
    Write,
    /// Encrypts them, or a part of them; has the payload and the session as the one above.
    Encrypt,
    /// Encrypts one of those parts, with a part of the session that is its second argument.
    Layer,
    /// Takes the bytes of a record that was decrypted.
    Read,
    /// Sends an encrypted message that is not of the program's bytes.
    Handshake,
    /// Ends a session.
    Drop,
    /// Must call [`Kind::Read`].
    Reader,
    /// Must call [`Kind::Write`].
    Writer,
}

/// Parts of a name, all of which it has, in the older and in the newer way.
const NAMES: &[(Kind, &[&str], &[&str])] = &[
    (
        Kind::Write,
        &["_ZN6rustls12common_state11CommonState16buffer_plaintext17h"],
        &["6rustls12common_state", "11CommonState16buffer_plaintext"],
    ),
    (
        Kind::Encrypt,
        &["_ZN6rustls12common_state11CommonState20send_appdata_encrypt17h"],
        &[
            "6rustls12common_state",
            "11CommonState20send_appdata_encrypt",
        ],
    ),
    (
        Kind::Encrypt,
        &["_ZN6rustls12common_state11CommonState20send_single_fragment17h"],
        &[
            "6rustls12common_state",
            "11CommonState20send_single_fragment",
        ],
    ),
    (
        Kind::Layer,
        &["_ZN6rustls12record_layer11RecordLayer16encrypt_outgoing17h"],
        &["6rustls12record_layer", "11RecordLayer16encrypt_outgoing"],
    ),
    (
        Kind::Read,
        &["_ZN6rustls12common_state11CommonState23take_received_plaintext17h"],
        &[
            "6rustls12common_state",
            "11CommonState23take_received_plaintext",
        ],
    ),
    (
        Kind::Handshake,
        &["_ZN6rustls12common_state11CommonState16send_msg_encrypt17h"],
        &["6rustls12common_state", "11CommonState16send_msg_encrypt"],
    ),
    (
        Kind::Drop,
        &[
            "_ZN4core3ptr",
            "drop_in_place$LT$rustls..common_state..CommonState$GT$17h",
        ],
        &[
            "4core3ptr13drop_in_place",
            "6rustls12common_state11CommonStateE",
        ],
    ),
    (
        Kind::Reader,
        &[
            "$LT$rustls..",
            "..ExpectTraffic$u20$as$u20$rustls..common_state..State",
            "6handle17h",
        ],
        &[
            "6rustls",
            "13ExpectTraffic",
            "12common_state",
            "5State",
            "6handle",
        ],
    ),
    (
        Kind::Writer,
        &[
            "_ZN6rustls4conn10connection",
            "ConnectionCommon",
            "14send_plaintext17h",
        ],
        &[
            "6rustls4conn10connection",
            "ConnectionCommon",
            "14send_plaintext",
        ],
    ),
];

/// What all of these names have; programs have a hundred thousand others.
static CRATE: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"rustls"));

/// The kind of the function with this name.
pub(super) fn kind(name: &[u8]) -> Option<Kind> {
    CRATE.find(name)?;
    let newer = if name.starts_with(b"_R") {
        true
    } else if name.starts_with(b"_ZN") {
        false
    } else {
        return None;
    };
    // Closures in a function have its name and more.
    if has(name, "{{closure}}") || has(name, "$u7b$$u7b$closure") {
        return None;
    }
    NAMES
        .iter()
        .find(|(_, old, new)| {
            let parts = if newer { new } else { old };
            parts.iter().all(|part| has(name, part)) && (!newer || ends(name, parts))
        })
        .map(|(kind, ..)| *kind)
}

pub(super) fn is_wanted(name: &[u8]) -> bool {
    kind(name).is_some()
}

fn has(name: &[u8], part: &str) -> bool {
    memchr::memmem::find(name, part.as_bytes()).is_some()
}

/// In the newer way a function's own name is at the end, unless it is of a type.
fn ends(name: &[u8], parts: &[&str]) -> bool {
    // What a linker's optimiser adds.
    let name = memchr::memchr(b'.', name).map_or(name, |end| name.get(..end).unwrap_or(name));
    name.starts_with(b"_RINv")
        || parts
            .last()
            .is_some_and(|part| name.ends_with(part.as_bytes()))
}
