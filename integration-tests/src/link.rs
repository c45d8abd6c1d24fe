//! A link between two namespaces that delays every packet and loses some, the same ones each time.
//!
//! `tc netem` is not in every kernel; a pair of TUN devices and a program between them are, and lose what a test wants lost.

use std::process::Command;

use crate::{Namespace, Program, python, sh};

/// Reads packets of one device, writes them to the other after a while, and leaves out each so-manieth with TCP payload that
/// comes from the second.
const RELAY: &str = r"
import fcntl, heapq, os, select, struct, sys, time
TUNSETIFF, TUN, WITHOUT_HEADER = 0x400454ca, 1, 0x1000
def device(name):
    fd = os.open('/dev/net/tun', os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack('16sH', name.encode(), TUN | WITHOUT_HEADER))
    return fd
def payload(packet):
    if packet[0] >> 4 != 4 or packet[9] != 6:
        return 0
    header = (packet[0] & 15) * 4
    return len(packet) - header - (packet[header + 12] >> 4) * 4
one, two = device(sys.argv[1]), device(sys.argv[2])
delay, every = float(sys.argv[3]) / 1000, int(sys.argv[4])
print('ready', flush=True)
waiting, number, counted = [], 0, 0
while True:
    rest = max(0, waiting[0][0] - time.monotonic()) if waiting else None
    ready, _, _ = select.select([one, two], [], [], rest)
    for fd in ready:
        packet = os.read(fd, 65536)
        number += 1
        if fd == two and payload(packet) > 0:
            counted += 1
            if counted % every == 0:
                continue
        heapq.heappush(waiting, (time.monotonic() + delay, number, two if fd == one else one, packet))
    while waiting and waiting[0][0] <= time.monotonic():
        _, _, to, packet = heapq.heappop(waiting)
        try:
            os.write(to, packet)
        except OSError:
            pass
";

/// Joins two namespaces: 10.78.0.1 on the first, 10.78.0.2 on the second. Each packet is under way for `delay_ms`; of those
/// with payload that the second sends each `every`th is lost. Lasts as long as the program.
pub fn lossy(one: &Namespace, two: &Namespace, delay_ms: u32, every: u32) -> Program {
    let number = std::process::id() % 100_000;
    let [first, second] = ["a", "b"].map(|end| format!("hwl{end}{number}"));
    let relay = Program::start(Command::new(python()).args([
        "-c",
        RELAY,
        &first,
        &second,
        &delay_ms.to_string(),
        &every.to_string(),
    ]));
    relay.await_line("ready");
    for (namespace, device, address) in [(one, &first, "10.78.0.1"), (two, &second, "10.78.0.2")] {
        let name = namespace.name();
        sh(&format!(
            "ip link set {device} netns {name}
             ip -n {name} addr add {address}/24 dev {device}; ip -n {name} link set {device} up"
        ));
    }
    relay
}
