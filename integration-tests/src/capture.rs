//! Capture files made byte by byte, in every container, byte order and link type that is read.

use std::net::{IpAddr, SocketAddr};

/// How frames begin (pcap-linktype(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Ethernet.
    Ethernet,
    /// Ethernet with a VLAN tag.
    Vlan,
    /// Linux cooked capture.
    LinuxCooked,
    /// Its second version.
    LinuxCooked2,
    /// The IP header at once.
    Raw,
    /// BSD loopback, the family in the byte order of the host that captured.
    Null,
    /// OpenBSD loopback, the family in the network's.
    Loop,
}

impl Link {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Ethernet,
        Self::Vlan,
        Self::LinuxCooked,
        Self::LinuxCooked2,
        Self::Raw,
        Self::Null,
        Self::Loop,
    ];
    fn number(self) -> u16 {
        match self {
            Self::Null => 0,
            Self::Ethernet | Self::Vlan => 1,
            Self::Raw => 101,
            Self::Loop => 108,
            Self::LinuxCooked => 113,
            Self::LinuxCooked2 => 276,
        }
    }
    fn frame(self, packet: &[u8], order: Order) -> Vec<u8> {
        let six = packet[0] >> 4 == 6;
        let protocol: [u8; 2] = if six { [0x86, 0xdd] } else { [8, 0] };
        // AF_INET is 2 everywhere, AF_INET6 is 30 on macOS.
        let family = if six { 30 } else { 2 };
        let before = match self {
            Self::Ethernet => [&[2; 12][..], &protocol].concat(),
            Self::Vlan => [&[2; 12][..], &[0x81, 0, 0, 7], &protocol].concat(),
            Self::LinuxCooked => [&[0, 0, 0, 1, 0, 6][..], &[2; 8], &protocol].concat(),
            Self::LinuxCooked2 => {
                [&protocol[..], &[0, 0], &[0, 0, 0, 1, 0, 1, 0, 6], &[2; 8]].concat()
            }
            Self::Raw => Vec::new(),
            Self::Null => order.four(family).to_vec(),
            Self::Loop => family.to_be_bytes().to_vec(),
        };
        [&before, packet].concat()
    }
}

/// Byte order of the machine that captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The least significant byte first.
    Little,
    /// The most significant byte first.
    Big,
}

impl Order {
    fn two(self, value: u16) -> [u8; 2] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }
    fn four(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }
}

/// What the file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// pcap.
    Pcap,
    /// pcapng.
    PcapNg,
}

/// A file with these IP packets, one a second from `first_s` on.
pub fn capture(
    container: Container,
    order: Order,
    link: Link,
    first_s: u32,
    packets: &[Vec<u8>],
) -> Vec<u8> {
    let frames = (first_s..).zip(packets.iter().map(|packet| link.frame(packet, order)));
    let mut file = match container {
        Container::Pcap => [
            &order.four(0xa1b2_c3d4)[..],
            &order.two(2),
            &order.two(4),
            &[0; 8],
            &order.four(65_535),
            &order.four(u32::from(link.number())),
        ]
        .concat(),
        Container::PcapNg => [
            // Section header: byte order, version 1.0, unknown length; interface: link type, snap length.
            block(
                order,
                0x0a0d_0d0a,
                &[
                    &order.four(0x1a2b_3c4d)[..],
                    &order.two(1),
                    &order.two(0),
                    &[0xff; 8],
                ]
                .concat(),
            ),
            block(
                order,
                1,
                &[&order.two(link.number())[..], &[0; 2], &order.four(65_535)].concat(),
            ),
        ]
        .concat(),
    };
    for (at_s, frame) in frames {
        let length = order.four(u32::try_from(frame.len()).expect("a short frame"));
        file.extend(match container {
            Container::Pcap => [&order.four(at_s)[..], &[0; 4], &length, &length, &frame].concat(),
            Container::PcapNg => {
                let micros = u64::from(at_s) * 1_000_000;
                let [high, low] = [micros >> 32, micros & u64::from(u32::MAX)]
                    .map(|half| order.four(u32::try_from(half).expect("half of a number")));
                let body = [&[0; 4][..], &high, &low, &length, &length, &frame].concat();
                block(order, 6, &body)
            }
        });
    }
    file
}

/// A block of pcapng.
fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let length = order.four(u32::try_from(padded + 12).expect("a short block"));
    let mut bytes = [&order.four(kind)[..], &length, body].concat();
    bytes.resize(padded + 8, 0);
    bytes.extend(length);
    bytes
}

/// A TCP connection from its SYN to its FINs: each text is one packet of the client's or the server's, which take
/// turns; who has nothing to say sends none.
pub fn conversation(
    client: SocketAddr,
    server: SocketAddr,
    texts: &[impl AsRef<[u8]>],
) -> Vec<Vec<u8>> {
    let mut numbers = [100_u32, 500];
    let mut packets = vec![
        packet(client, server, [100, 0], 2, b""),
        packet(server, client, [500, 101], 0x12, b""),
    ];
    numbers = numbers.map(|number| number + 1);
    let mut say = |from: usize, flags: u8, text: &[u8], length: u32| {
        let ends = [(client, server), (server, client)][from];
        let [own, other] = [numbers[from], numbers[1 - from]];
        packets.push(packet(ends.0, ends.1, [own, other], flags, text));
        numbers[from] += length;
    };
    for (turn, text) in texts.iter().enumerate() {
        let text = text.as_ref();
        if text.is_empty() {
            continue;
        }
        say(
            turn % 2,
            0x18,
            text,
            u32::try_from(text.len()).expect("a short text"),
        );
    }
    say(1, 0x11, b"", 1);
    say(0, 0x11, b"", 1);
    packets
}

/// A connection whose SYN carries the request (RFC 7413), each text one packet.
pub fn fast_open(
    client: SocketAddr,
    server: SocketAddr,
    request: &str,
    response: &str,
) -> Vec<Vec<u8>> {
    let length = |text: &str| u32::try_from(text.len()).expect("a short text");
    let (asked, answered) = (101 + length(request), 501 + length(response));
    vec![
        packet(client, server, [100, 0], 2, request.as_bytes()),
        packet(server, client, [500, asked], 0x12, b""),
        packet(server, client, [501, asked], 0x18, response.as_bytes()),
        packet(client, server, [asked, answered], 0x11, b""),
        packet(server, client, [answered, asked + 1], 0x11, b""),
    ]
}

/// An IP packet with a TCP segment; the sums are left out, as captures of outgoing packets do.
fn packet(
    from: SocketAddr,
    to: SocketAddr,
    numbers: [u32; 2],
    flags: u8,
    payload: &[u8],
) -> Vec<u8> {
    let segment = 20 + u16::try_from(payload.len()).expect("a short payload");
    let mut bytes = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let length = (20 + segment).to_be_bytes();
            let head = [&[0x45, 0][..], &length, &[0, 0, 0x40, 0, 64, 6, 0, 0]];
            [&head.concat()[..], &from.octets(), &to.octets()].concat()
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let head = [&[0x60, 0, 0, 0][..], &segment.to_be_bytes(), &[6, 64]];
            [&head.concat()[..], &from.octets(), &to.octets()].concat()
        }
        _ => panic!("ends of two families"),
    };
    bytes.extend([from.port().to_be_bytes(), to.port().to_be_bytes()].concat());
    bytes.extend([numbers[0].to_be_bytes(), numbers[1].to_be_bytes()].concat());
    bytes.extend([0x50, flags, 255, 255, 0, 0, 0, 0]);
    bytes.extend(payload);
    bytes
}
