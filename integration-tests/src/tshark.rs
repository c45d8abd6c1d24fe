//! tshark beside a test, as a second opinion on what crosses the loopback device.

use std::process::Command;

use crate::Program;

/// Prints `fields` of the packets of `port` that `filter` (a display filter) takes, a line each, split by `|`.
/// Ready when it returns.
#[must_use]
pub fn tshark_on_loopback(port: &str, filter: &str, fields: &[&str]) -> Program {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("tshark");
    command
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .args(["-i", "lo", "-l", "-n", "-f", &format!("tcp port {port}")])
        // Its child captures, and would outlive a tshark that is killed.
        .args(["-a", "duration:60"])
        .args(["-Y", filter, "-T", "fields", "-E", "separator=|"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let tshark = Program::start(&mut command);
    // "Capturing on" is said before the device is open: what is sent then can be missed.
    tshark.await_line("Capture started");
    tshark
}
