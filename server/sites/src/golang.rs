//! Programs made by Go's compiler: `crypto/tls` is part of each, and found by the names that Go keeps for its own traces,
//! which are there in a stripped program too.
//!
//! Owns: which functions matter, and which versions of Go call them in the way that [`Hook`](crate::Hook) says (arguments
//! in registers: 1.17 and later on `x86_64`, 1.18 and later on `aarch64`).

mod info;
mod places;
mod table;

use std::io::{Read, Seek};

use crate::image::{Image, Machine};
use crate::{Error, Hook, Library, Looked, Site};

use places::Role;
use table::Table;

const READ: &str = "crypto/tls.(*Conn).Read";
const WRITE: &str = "crypto/tls.(*Conn).Write";

/// The functions with sites. Those of the handshake run once in a connection; the last one is what each write to a socket
/// comes to, whatever the goroutine has waited for before.
const FUNCTIONS: &[(&str, Role)] = &[
    (READ, Role::Bytes(Hook::GoReadEnter)),
    (WRITE, Role::Bytes(Hook::GoWriteEnter)),
    (
        "crypto/tls.(*Conn).clientHandshake",
        Role::Once(Hook::GoTouch),
    ),
    (
        "crypto/tls.(*Conn).serverHandshake",
        Role::Once(Hook::GoTouch),
    ),
    ("crypto/tls.(*Conn).CloseWrite", Role::Once(Hook::GoTouch)),
    ("crypto/tls.(*Conn).Close", Role::Once(Hook::GoFree)),
    ("internal/poll.(*FD).Write", Role::Once(Hook::GoSend)),
];

/// The longest function that is looked at.
const LONGEST_FUNCTION: u64 = 1 << 16;

/// A function of the program.
pub(crate) struct Function {
    pub(crate) role: Role,
    pub(crate) address: u64,
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
}

/// What Go's TLS is in the file.
pub(crate) fn look<R: Read + Seek>(image: &mut Image<R>, looked: &mut Looked) -> Result<(), Error> {
    if !info::is_go(image)? {
        return Ok(());
    }
    match sites(image)? {
        Ok(sites) if sites.is_empty() => {}
        Ok(sites) => looked.found(Library::Go, sites, Vec::new()),
        Err(why) => looked.unsupported(Library::Go.name(), why),
    }
    Ok(())
}

/// The sites in a program of Go's, none where it has not its TLS, or why there are none.
fn sites<R: Read + Seek>(image: &mut Image<R>) -> Result<Result<Vec<Site>, String>, Error> {
    let unsupported = |why: String| Ok(Err(why));
    let names: Vec<&str> = FUNCTIONS.iter().map(|(name, _)| *name).collect();
    let Some(table) = Table::find(image)? else {
        return unsupported(String::from("Go's table of functions was not found"));
    };
    let Some(entries) = table.functions(image, &names)? else {
        let why = "Go's table of functions could not be gone through";
        return unsupported(String::from(why));
    };
    if !entries
        .iter()
        .any(|entry| entry.name == READ || entry.name == WRITE)
    {
        return Ok(Ok(Vec::new()));
    }
    let first = match image.machine {
        Machine::X86 => 17,
        Machine::Arm => 18,
    };
    match info::minor(image)? {
        Some(minor) if minor < first => {
            return unsupported(format!(
                "Go 1.{minor} gives arguments on the stack; from 1.{first} on they are in registers"
            ));
        }
        // A version between releases, or none told: the table says that it is no older than 1.18.
        Some(_) => {}
        _ if table.is_since_1_18() => {}
        _ => return unsupported(String::from("the version of Go is not told")),
    }
    let Some(base) = table.base(image, &entries)? else {
        return unsupported(String::from("where Go's code begins is not told"));
    };
    let mut sites = Vec::new();
    for (name, role) in FUNCTIONS {
        for entry in entries.iter().filter(|entry| entry.name == *name) {
            let Some(function) = read(image, base, entry, *role)? else {
                return unsupported(format!("{name} is not in the program's code"));
            };
            if let Err(why) = places::choose(image.machine, &function, &mut sites) {
                return unsupported(format!("{name} {why}"));
            }
        }
    }
    sites.sort_by_key(|site: &Site| site.offset);
    Ok(Ok(sites))
}

fn read<R: Read + Seek>(
    image: &mut Image<R>,
    base: u64,
    entry: &table::Entry,
    role: Role,
) -> Result<Option<Function>, Error> {
    let Some(address) = base.checked_add(entry.start) else {
        return Ok(None);
    };
    let Some((offset, left)) = image.code(address) else {
        return Ok(None);
    };
    let size = entry.end.saturating_sub(entry.start);
    if size > LONGEST_FUNCTION || size > left {
        return Ok(None);
    }
    let bytes = image.at(offset, usize::try_from(size).unwrap_or(0))?;
    Ok(bytes.map(|bytes| Function {
        role,
        address,
        offset,
        bytes,
    }))
}
