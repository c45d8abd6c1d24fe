//! A host without a kernel of this machine: a program behind a TUN device that makes each packet of TCP itself.
//!
//! What it sends is seen where it arrives alone, as with a peer elsewhere, and it may send what Linux never would.

use crate::{Namespace, Program, python};

/// It is 10.78.0.2, and 10.78.0.1 is the namespace's own address.
const PRELUDE: &str = r"
import fcntl, os, socket, struct, subprocess, sys
FIN, SYN, RST, PUSH, ACK = 1, 2, 4, 8, 16
device = os.open('/dev/net/tun', os.O_RDWR)
fcntl.ioctl(device, 0x400454ca, struct.pack('16sH', b'stranger', 0x1001))
for words in ('addr add 10.78.0.1/24 dev stranger', 'link set stranger up'):
    subprocess.run(['ip', *words.split()], check=True)
them, us = (socket.inet_aton(address) for address in ('10.78.0.1', '10.78.0.2'))
ports = struct.pack('!HH', 40000, int(sys.argv[1]))
def folded(data):
    data += b'\0' * (len(data) % 2)
    total = sum(struct.unpack(f'!{len(data) // 2}H', data))
    while total >> 16: total = (total & 0xffff) + (total >> 16)
    return struct.pack('!H', total ^ 0xffff)
def send(flags, seq, ack=0, payload=b'', options=b'', window=65535):
    fixed = ports + struct.pack('!IIBBH', seq, ack, (20 + len(options)) // 4 << 4, flags, window)
    rest = b'\0\0' + options + payload
    length = len(fixed) + 2 + len(rest)
    sum_of_all = folded(us + them + struct.pack('!HH', 6, length) + fixed + b'\0\0' + rest)
    head = struct.pack('!BBHHHBB', 0x45, 0, 20 + length, 0, 0x4000, 64, 6)
    head += folded(head + b'\0\0' + us + them) + us + them
    os.write(device, head + fixed + sum_of_all + rest)
def receive():
    while True:
        packet = os.read(device, 65536)
        if packet[0] >> 4 != 4 or packet[9] != 6: continue
        tcp = packet[(packet[0] & 15) * 4:]
        seq, ack, offset, flags, window = struct.unpack('!IIBBH', tcp[4:16])
        return flags, seq, ack, tcp[(offset >> 4) * 4:], window
";

/// Starts it in a namespace, to talk to a port there: `what` is Python that calls `send(flags, seq, ack, payload, options,
/// window)` and `receive()`, which gives flags, numbers, payload and window.
pub fn stranger(namespace: &Namespace, port: &str, what: &str) -> Program {
    let script = format!("{PRELUDE}{what}");
    Program::start(
        &mut namespace.command(&python().to_string_lossy(), &["-u", "-c", &script, port]),
    )
}
