//! OpenSSL, BoringSSL and GnuTLS: libraries that are called as C is, by the names of their functions.
//!
//! Owns: which functions bytes pass through. `calls` tells which of them call each other (so that no byte is told twice),
//! `places` chooses the instructions.

mod boringssl;
mod calls;
mod errors;
mod flow;
mod methods;
pub(crate) mod places;
mod reading;
mod unnamed;
mod values;
mod ways;
mod writing;

use std::io::{Read, Seek};

use crate::constants::{Constants, Maker, Source};
use crate::image::Image;
use crate::symbols::{self, Symbol, Wanted};
use crate::{Error, Hook, Library, Looked, Site};

use places::Function;

/// What a function does, and with which arguments.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    /// Bytes pass through it.
    Bytes {
        write: bool,
        count: Count,
    },
    /// A file is sent, whose bytes do not pass through the program.
    File,
    Touch,
    Free,
}

/// Where a function tells how many bytes passed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Count {
    Result,
    /// Where its fourth argument points to.
    Fourth,
    /// Where its fifth argument points to.
    Fifth,
    /// Where the stack pointer does.
    Stack,
}

const fn read(count: Count) -> Role {
    Role::Bytes {
        write: false,
        count,
    }
}

const fn write(count: Count) -> Role {
    Role::Bytes { write: true, count }
}

/// The functions of OpenSSL and those that took over its names. `SSL_accept` and `SSL_connect` end in
/// `SSL_do_handshake`; `SSL_peek` leaves the bytes where they are. Whatever may send something of a session is touched: what
/// leaves is taken for that of the session that its thread touched last.
const OPENSSL: &[(&str, Role)] = &[
    ("SSL_read", read(Count::Result)),
    ("SSL_write", write(Count::Result)),
    ("SSL_read_ex", read(Count::Fourth)),
    ("SSL_write_ex", write(Count::Fourth)),
    // Since 3.3; SSL_write_ex is made of it.
    ("SSL_write_ex2", write(Count::Fifth)),
    ("SSL_do_handshake", Role::Touch),
    ("SSL_peek", Role::Touch),
    ("SSL_peek_ex", Role::Touch),
    ("SSL_shutdown", Role::Touch),
    ("SSL_sendfile", Role::File),
    ("SSL_read_early_data", Role::Touch),
    ("SSL_write_early_data", Role::Touch),
    ("SSL_free", Role::Free),
];

const GNUTLS: &[(&str, Role)] = &[
    ("gnutls_record_recv", read(Count::Result)),
    ("gnutls_record_recv_seq", read(Count::Result)),
    ("gnutls_record_send", write(Count::Result)),
    ("gnutls_record_send2", write(Count::Result)),
    ("gnutls_handshake", Role::Touch),
    ("gnutls_bye", Role::Touch),
    ("gnutls_alert_send", Role::Touch),
    ("gnutls_alert_send_appropriate", Role::Touch),
    ("gnutls_reauth", Role::Touch),
    ("gnutls_rehandshake", Role::Touch),
    ("gnutls_record_uncork", Role::Touch),
    ("gnutls_session_key_update", Role::Touch),
    ("gnutls_deinit", Role::Free),
];

/// Functions that BoringSSL has and OpenSSL has not.
const BORINGSSL: &[&str] = &["SSL_CTX_set_custom_verify", "SSL_set_custom_verify"];

/// The function by which a library is known that speaks TLS and is not looked into, and the library's name.
const OTHERS: &[(&str, &str)] = &[
    ("SSL_ImportFD", "NSS"),
    ("mbedtls_ssl_read", "Mbed TLS"),
    ("wolfSSL_read", "wolfSSL"),
    ("s2n_recv", "s2n-tls"),
];

/// The longest function that is looked at.
const LONGEST_FUNCTION: u64 = 1 << 16;
/// How much is looked at of a function whose size is not told.
const UNSIZED_FUNCTION: u64 = 1 << 12;
/// The most functions of a library: each is there once, twice where one linker's work is in another's.
const MOST_FUNCTIONS: usize = 64;
/// How long they may be together.
const LONGEST_TOGETHER: u64 = 1 << 20;

/// What of these libraries is in the file.
pub(crate) fn look<R: Read + Seek>(
    image: &mut Image<R>,
    constants: &mut Constants,
    looked: &mut Looked,
) -> Result<(), Error> {
    let names: Vec<&str> = OPENSSL
        .iter()
        .chain(GNUTLS)
        .map(|(name, _)| *name)
        .chain(BORINGSSL.iter().copied())
        .chain(OTHERS.iter().map(|(name, _)| *name))
        .collect();
    let symbols = symbols::find(
        image,
        &Wanted {
            names: &names,
            other: None,
        },
    )?;
    let boring = symbols
        .iter()
        .any(|symbol| symbol.defined && BORINGSSL.contains(&symbol.name.as_str()));
    let openssl = if boring {
        Library::BoringSsl
    } else {
        Library::OpenSsl
    };
    let mut is_told = false;
    for (library, functions, others) in [
        (openssl, OPENSSL, GNUTLS),
        (Library::GnuTls, GNUTLS, OPENSSL),
    ] {
        // What is made of another library's functions is told there.
        let others: Vec<&str> = others.iter().map(|(name, _)| *name).collect();
        let Some(Sites { all, fewer }) = sites(image, &symbols, functions, &others)? else {
            looked.unsupported(library.name(), "it has more code than is looked at");
            is_told |= library == openssl;
            continue;
        };
        // A program that has the names and none of the bytes has a part of the library for another end.
        if all.iter().any(|site| is_bytes(site.hook)) {
            looked.found(library, all, fewer);
            is_told |= library == openssl;
        }
    }
    for (function, library) in OTHERS {
        if symbols
            .iter()
            .any(|symbol| symbol.defined && symbol.name == *function)
        {
            looked.unsupported(library, "its functions are not known to Headwater");
        }
    }
    if is_told {
        return Ok(());
    }
    // A stripped program has the names of the sources too.
    let sources = &constants.told(image)?.sources;
    for (maker, library) in [
        (Maker::OpenSsl, Library::OpenSsl.name()),
        (Maker::BoringSsl, Library::BoringSsl.name()),
        (Maker::Relative, "a relative of BoringSSL"),
    ] {
        if !sources.iter().any(|source| source.maker == maker) {
            continue;
        }
        let found = match maker {
            Maker::OpenSsl => unnamed(image, sources)?,
            Maker::BoringSsl => {
                let all = boringssl::sites(image, sources)?;
                let fewer = Vec::new();
                Sites { all, fewer }
            }
            Maker::Relative => Sites::default(),
        };
        if found.all.is_empty() {
            let why =
                "the names of its functions are not in the file, and its errors do not tell them";
            looked.unsupported(library, why);
        } else {
            let library = if maker == Maker::OpenSsl {
                Library::OpenSsl
            } else {
                Library::BoringSsl
            };
            looked.found(library, found.all, found.fewer);
        }
    }
    Ok(())
}

fn is_bytes(hook: Hook) -> bool {
    matches!(
        hook,
        Hook::WriteEnter
            | Hook::ReadEnter
            | Hook::WriteEnterOut
            | Hook::ReadEnterOut
            | Hook::WriteEnterOutFifth
            | Hook::WriteEnterStack
            | Hook::ReadEnterStack
    )
}

/// The sites in OpenSSL whose functions are told by their errors; none where they are not.
fn unnamed<R: Read + Seek>(image: &mut Image<R>, sources: &[Source]) -> Result<Sites, Error> {
    let Some(told) = unnamed::look(image, sources)? else {
        return Ok(Sites::default());
    };
    let Some(mut sites) = sites(image, &told.symbols, OPENSSL, &[])? else {
        return Ok(Sites::default());
    };
    sites.all.extend(told.sites);
    sites.all.sort_by_key(|site| site.offset);
    Ok(sites)
}

/// The sites of one library; see [`crate::Found`].
#[derive(Default)]
struct Sites {
    all: Vec<Site>,
    fewer: Vec<Site>,
}

/// The sites in those of `functions` that the file has, and the fewer that do as well where there are any; nothing when there is
/// more code than is looked at.
fn sites<R: Read + Seek>(
    image: &mut Image<R>,
    symbols: &[Symbol],
    functions: &[(&str, Role)],
    others: &[&str],
) -> Result<Option<Sites>, Error> {
    let mut known: Vec<(Role, Function)> = Vec::new();
    let mut left = LONGEST_TOGETHER;
    for (name, role) in functions {
        for symbol in symbols
            .iter()
            .filter(|symbol| symbol.function && symbol.defined && symbol.name == *name)
        {
            if known
                .iter()
                .any(|(_, function)| function.address == symbol.address)
            {
                continue;
            }
            let Some((offset, size)) = place_of(image, symbol) else {
                continue;
            };
            let Some(fewer) = left
                .checked_sub(size)
                .filter(|_| known.len() < MOST_FUNCTIONS)
            else {
                return Ok(None);
            };
            left = fewer;
            if let Some(bytes) = image.at(offset, usize::try_from(size).unwrap_or(0))? {
                let function = Function::new(image.machine, &bytes, symbol.address, offset);
                known.push((*role, function));
            }
        }
    }
    let told_by_another = calls::duplicates(image, &known, others)?;
    let (mut sites, mut of_reads, mut of_writes) = (Vec::new(), Vec::new(), Vec::new());
    for ((role, function), told) in known.iter().zip(told_by_another) {
        if told {
            continue;
        }
        let sites = match role {
            Role::Bytes { write: false, .. } => &mut of_reads,
            Role::Bytes { write: true, .. } => &mut of_writes,
            _ => &mut sites,
        };
        places::choose(image.machine, function, *role, sites);
    }
    let mut fewer = Vec::new();
    if functions == OPENSSL && !of_reads.is_empty() {
        let names: Vec<&str> = reading::names().collect();
        let wanted = Wanted {
            names: &names,
            other: None,
        };
        let mut symbols = symbols.to_vec();
        symbols.extend(symbols::find(image, &wanted)?);
        let found = reading::look(image, &symbols)?;
        of_writes.extend(found.bio.writes);
        of_reads.extend(found.bio.reads);
        if !found.instead.is_empty() {
            fewer = found.instead;
            fewer.extend(if found.of_writes.is_empty() {
                &of_writes
            } else {
                &found.of_writes
            });
            fewer.extend(&sites);
        }
    }
    sites.extend(of_reads);
    sites.extend(of_writes);
    sites.sort_by_key(|site: &Site| site.offset);
    fewer.sort_by_key(|site: &Site| site.offset);
    Ok(Some(Sites { all: sites, fewer }))
}

/// Where the function of `symbol` is in the file, and how much of it is looked at; nothing when it is not where code is.
fn place_of<R: Read + Seek>(image: &Image<R>, symbol: &Symbol) -> Option<(u64, u64)> {
    let (offset, left) = image.code(symbol.address)?;
    let size = match symbol.size {
        0 => UNSIZED_FUNCTION,
        size => size.min(LONGEST_FUNCTION),
    };
    Some((offset, size.min(left)))
}
