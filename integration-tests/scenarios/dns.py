"""As much of DNS as the scenarios need: a question for one address, and its answer."""

import random
import socket
import struct

NXDOMAIN = 3


def resolve(name, server):
    """The address, or nothing when there is none."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    query = struct.pack(">HHHHHH", random.randrange(65536), 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(2)
        client.connect((server, 53))
        client.send(query)
        answer = client.recv(512)
    code = answer[3] & 15
    return None if code else socket.inet_ntoa(answer[-4:])


def answer(query, address):
    """What a server says: this address, or that the name does not exist."""
    code = 0 if address else NXDOMAIN
    head = query[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, 1 if address else 0, 0, 0)
    record = struct.pack(">HHHLH", 0xC00C, 1, 1, 5, 4) + socket.inet_aton(address) if address else b""
    return head + query[12:] + record
