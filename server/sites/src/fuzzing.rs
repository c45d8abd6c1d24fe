//! What must be true whatever a file is: the body of the target `sites` under `fuzz/`, and of the test that replays its
//! corpus. No part of the public face.
//!
//! Owns: to make of plain bytes a file that is worth looking into. The first byte says which: the bytes as they are; or an
//! ELF file with the names of a library's functions, whose code the bytes are, and whose headers they damage.

use std::io::Cursor;

use crate::{Hook, build_id, look};

const C_NAMES: &[&str] = &[
    "SSL_read",
    "SSL_write",
    "SSL_read_ex",
    "SSL_write_ex",
    "SSL_write_ex2",
    "SSL_do_handshake",
    "SSL_free",
    "gnutls_record_recv",
    "gnutls_record_send",
    "gnutls_record_send2",
    "SSL_peek",
    "SSL_set_accept_state",
    "SSL_set_connect_state",
    "TLS_method",
];
/// Names of functions of rustls.
pub const RUST_NAMES: &[&str] = &[
    "_ZN6rustls12common_state11CommonState16buffer_plaintext17h0123456789abcdefE",
    "_ZN6rustls12common_state11CommonState20send_appdata_encrypt17h0123456789abcdefE",
    "_ZN6rustls12common_state11CommonState23take_received_plaintext17h0123456789abcdefE",
    "_ZN6rustls12common_state11CommonState16send_msg_encrypt17h0123456789abcdefE",
    "_ZN4core3ptr54drop_in_place$LT$rustls..common_state..CommonState$GT$17h0123456789abcdefE",
    "_ZN9_$LT$rustls..client..ExpectTraffic$u20$as$u20$rustls..common_state..State$GT$6handle17h01E",
];
const GO_NAMES: &[&str] = &[
    "crypto/tls.(*Conn).Read",
    "crypto/tls.(*Conn).Write",
    "crypto/tls.(*Conn).clientHandshake",
    "crypto/tls.(*Conn).Close",
];

/// Where the code is in a made file, and loaded.
const CODE: u64 = 0x1000;

/// Looks into the file that `data` makes.
///
/// # Panics
///
/// Where the crate breaks its word.
pub fn run(data: &[u8]) {
    check(&file_of(data));
}

/// The file that `data` makes.
pub fn file_of(data: &[u8]) -> Vec<u8> {
    match data.split_first() {
        None => Vec::new(),
        Some((kind, data)) => match kind % 4 {
            0 => data.to_vec(),
            1 => with_symbols(C_NAMES, 11, data),
            2 => with_symbols(RUST_NAMES, 2, data),
            _ => with_go_table(data),
        },
    }
}

/// Looks into `file`.
///
/// # Panics
///
/// Where the crate breaks its word.
pub fn check(file: &[u8]) {
    let first = look(Cursor::new(file), "libssl.so.3");
    let again = look(Cursor::new(file), "libssl.so.3");
    assert_eq!(
        first.as_ref().ok(),
        again.as_ref().ok(),
        "one file, told in two ways"
    );
    if let Ok(Some(id)) = build_id(Cursor::new(file)) {
        assert!(id.len() <= 256, "a build id without end");
    }
    let Ok(looked) = first else {
        return;
    };
    for found in looked.found {
        assert!(!found.sites.is_empty(), "found, and nothing");
        let length = u64::try_from(file.len()).unwrap_or(u64::MAX);
        for sites in [&found.sites, &found.fewer] {
            assert!(
                sites.iter().all(|site| site.offset < length),
                "a site behind the end of the file"
            );
            assert!(
                sites.is_sorted_by_key(|site| site.offset),
                "sites without order"
            );
        }
        assert!(
            found.fewer.is_empty()
                || found
                    .fewer
                    .iter()
                    .any(|site| matches!(site.hook, Hook::ReadDone { .. } | Hook::Copied { .. })),
            "fewer sites, and no reads"
        );
        let has = |wanted: fn(Hook) -> bool| found.sites.iter().any(|site| wanted(site.hook));
        let enters = has(|hook| {
            matches!(
                hook,
                Hook::ReadEnter
                    | Hook::WriteEnter
                    | Hook::ReadEnterOut
                    | Hook::WriteEnterOut
                    | Hook::WriteEnterOutFifth
                    | Hook::ReadEnterStack
                    | Hook::WriteEnterStack
                    | Hook::GoReadEnter
                    | Hook::GoWriteEnter
                    | Hook::RustlsWriteEnter { .. }
            )
        });
        let leaves = has(|hook| matches!(hook, Hook::Leave | Hook::LeaveReturn | Hook::GoLeave));
        assert!(enters && leaves, "calls that begin and do not end");
    }
}

/// A file with functions of these names, of the size that the bytes have together, in a symbol table of this kind.
fn with_symbols(names: &[&str], kind: u32, data: &[u8]) -> Vec<u8> {
    let (damage, code) = data.split_at(data.len().min(8));
    let each = code.len() / names.len().max(1);
    let functions: Vec<(&str, usize, usize)> = names
        .iter()
        .enumerate()
        .map(|(index, name)| (*name, index * each, each))
        .collect();
    file(code, &symbols(&functions, kind), damage)
}

/// The first two sections of a file, with functions: their names, how far behind the beginning of the code they are, and
/// how long.
pub fn symbols(functions: &[(&str, usize, usize)], kind: u32) -> [Section<'static>; 2] {
    let mut strings = vec![0];
    let mut symbols = vec![0; 24];
    for (name, place, size) in functions {
        symbols.extend(low(strings.len()).to_le_bytes());
        symbols.extend([2, 0, 1, 0]);
        symbols.extend((CODE + u64::from(low(*place))).to_le_bytes());
        symbols.extend(u64::from(low(*size)).to_le_bytes());
        strings.extend(name.as_bytes());
        strings.push(0);
    }
    [(".symbols", kind, symbols, 3), (".strings", 3, strings, 0)]
}

/// A file with Go's table of functions.
fn with_go_table(data: &[u8]) -> Vec<u8> {
    let (damage, code) = data.split_at(data.len().min(8));
    let each = low(code.len() / GO_NAMES.len());
    let mut names = Vec::new();
    let mut entries = Vec::new();
    let mut descriptions = Vec::new();
    // Behind two numbers for each function and one for the end of the last.
    let behind = low((GO_NAMES.len() * 2 + 1) * 4);
    names.push(0);
    for (index, name) in GO_NAMES.iter().enumerate() {
        let index = low(index);
        entries.extend((index * each).to_le_bytes());
        entries.extend((behind + low(descriptions.len())).to_le_bytes());
        descriptions.extend((index * each).to_le_bytes());
        descriptions.extend(low(names.len()).to_le_bytes());
        names.extend(name.as_bytes());
        names.push(0);
    }
    entries.extend((low(GO_NAMES.len()) * each).to_le_bytes());
    let mut table = vec![0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8];
    let at_names = 72_u64;
    let at_entries = at_names + u64::from(low(names.len()));
    for word in [
        u64::from(low(GO_NAMES.len())),
        0,
        CODE,
        at_names,
        at_entries,
        at_entries,
        at_entries,
        at_entries,
    ] {
        table.extend(word.to_le_bytes());
    }
    table.extend(names);
    table.extend(entries);
    table.extend(descriptions);
    let mut info = b"\xff Go buildinf:\x08\x02".to_vec();
    info.resize(32, 0);
    info.extend(b"\x08go1.27.3");
    file(
        code,
        &[(".gopclntab", 1, table, 0), (".go.buildinfo", 1, info, 0)],
        damage,
    )
}

/// A section: its name, its type, what is in it, and the section that it belongs to.
pub type Section<'a> = (&'a str, u32, Vec<u8>, u32);

/// An ELF file with this code and these sections behind it, and a byte changed here and there in what is not code.
pub fn file(code: &[u8], sections: &[Section<'_>], damage: &[u8]) -> Vec<u8> {
    let mut names = vec![0];
    let mut headers = vec![0; 64];
    let mut bytes = vec![0; 0x1000];
    bytes.extend(code);
    let mut add = |name: &str, kind: u32, place: usize, size: usize, link: u32, address: u64| {
        headers.extend(low(names.len()).to_le_bytes());
        headers.extend(kind.to_le_bytes());
        headers.extend(0_u64.to_le_bytes());
        headers.extend(address.to_le_bytes());
        headers.extend(u64::from(low(place)).to_le_bytes());
        headers.extend(u64::from(low(size)).to_le_bytes());
        headers.extend(link.to_le_bytes());
        headers.extend([0; 20]);
        names.extend(name.as_bytes());
        names.push(0);
    };
    add(".text", 1, 0x1000, code.len(), 0, CODE);
    for (name, kind, content, link) in sections {
        add(name, *kind, bytes.len(), content.len(), *link, 0);
        bytes.extend(content);
    }
    add(".names", 3, bytes.len(), 64, 0, 0);
    bytes.extend(&names);
    bytes.resize(bytes.len().next_multiple_of(8).max(bytes.len() + 64), 0);
    let at_headers = bytes.len();
    let count = headers.len() / 64;
    bytes.extend(headers);
    let mut start = b"\x7fELF\x02\x01\x01".to_vec();
    start.resize(16, 0);
    start.extend([3, 0, 62, 0, 1, 0, 0, 0]);
    start.extend(0_u64.to_le_bytes());
    start.extend(64_u64.to_le_bytes());
    start.extend(u64::from(low(at_headers)).to_le_bytes());
    start.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0]);
    start.extend(
        [count, count.saturating_sub(1)]
            .map(|number| [low_byte(number), 0])
            .concat(),
    );
    // One segment, all of the file.
    start.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    for word in [0, 0, 0, at_headers, at_headers, 0x1000] {
        start.extend(u64::from(low(word)).to_le_bytes());
    }
    if let Some(head) = bytes.get_mut(..start.len()) {
        head.copy_from_slice(&start);
    }
    let behind_code = 0x1000 + code.len();
    let soft = bytes.len() - behind_code + start.len();
    for change in damage.chunks_exact(3) {
        let [high, place, value] = *change else { break };
        let place = (usize::from(high) << 8 | usize::from(place)) % soft.max(1);
        let place = if place < start.len() {
            place
        } else {
            place - start.len() + behind_code
        };
        if let Some(byte) = bytes.get_mut(place) {
            *byte ^= value;
        }
    }
    bytes
}

/// The sizes of what is made here are small.
fn low(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

fn low_byte(number: usize) -> u8 {
    u8::try_from(number).unwrap_or(0)
}
