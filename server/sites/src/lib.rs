//! Where in a program or library the clear bytes of TLS pass.
//!
//! Owns: to find, in an ELF file, the instructions at which a probe sees what a program writes to and reads from a TLS
//! session, and to say for each in which registers the session, the bytes and their count are. Refuses: to attach
//! anything, to know processes, and to guess: what does not have exactly the expected shape is not a site.
//!
//! Files come from strangers. Nothing is mapped (who truncates a mapped file ends the process that reads it), each size
//! and count that a file states is bounded before it is believed, and a file of any size is read in small pieces.
//!
//! Why not the first instruction of each function: the kernel runs a probed `push`, jump, call or `nop` itself, and copies
//! any other instruction aside and steps over it, which costs several times as much. And a return probe changes the
//! return address on the stack, which is fatal to a program that changes stacks inside of the call. So where the code
//! allows, a site is an instruction of the first kind behind the beginning of the function, and the result is taken at an
//! instruction behind the inner call.
#![forbid(unsafe_code)]

mod arm;
mod c_library;
mod constants;
mod error;
mod foreign;
#[doc(hidden)]
pub mod fuzzing;
mod golang;
mod image;
mod looked;
mod notes;
mod rustls;
mod slots;
mod symbols;
mod x86;

use std::io::{Read, Seek};

pub use error::Error;
pub use looked::{Found, Hook, Kept, Library, Looked, Saved, Site, Unsupported};

use constants::Constants;
use image::Image;

/// What TLS there is in `file`, whose name (not its path) is `name`.
///
/// # Errors
///
/// When the file cannot be read, or is an ELF file whose structures do not hold together.
pub fn look(file: impl Read + Seek, name: &str) -> Result<Looked, Error> {
    let mut looked = Looked::default();
    // Java's TLS is compiled in the memory of the process; its virtual machine is how such a process is known.
    if name == "libjvm.so" {
        let why = "its code is in no file: the virtual machine makes it as it runs";
        looked.unsupported("Java JSSE", why);
        return Ok(looked);
    }
    let mut file = file;
    let Some(mut image) = Image::read(&mut file)? else {
        if image::is_elf(&mut file)? {
            foreign::look(file, name, &mut looked)?;
        }
        return Ok(looked);
    };
    let mut constants = Constants::default();
    c_library::look(&mut image, &mut constants, &mut looked)?;
    golang::look(&mut image, &mut looked)?;
    rustls::look(&mut image, &mut constants, &mut looked)?;
    Ok(looked)
}

/// The build id of `file` (GNU's, else Go's), as lower-case hexadecimal digits; none when it has none, or is not ELF.
///
/// # Errors
///
/// As [`look`].
pub fn build_id(file: impl Read + Seek) -> Result<Option<String>, Error> {
    let Some(mut image) = Image::read(file)? else {
        return Ok(None);
    };
    notes::build_id(&mut image)
}
