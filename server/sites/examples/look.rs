//! Says what is found in each file that is named.
#![allow(clippy::print_stdout, reason = "it is what an example does")]

use std::fs::File;
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for path in std::env::args().skip(1) {
        let name = Path::new(&path)
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let id = headwater_sites::build_id(File::open(&path)?)?;
        println!("{path} {id:?}");
        println!("{:#x?}", headwater_sites::look(File::open(&path)?, &name)?);
    }
    Ok(())
}
