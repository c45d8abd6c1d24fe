//! Messages as octets, and the line that comes of each.
//!
//! Twelve octets of header: id, flags, then how many questions, answers, authorities and additionals.

pub(crate) const VECTORS: &[(&str, &[u8], &str)] = &[
    (
        "a query",
        b"\0\x07\x01\x00\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01",
        "7 query rd www.example.com A",
    ),
    (
        "its answer",
        b"\0\x07\x81\x80\0\x01\0\x02\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01\
          \xc0\x0c\0\x01\0\x01\0\0\x01\x2c\0\x04\xc0\0\x02\x01\
          \xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x02",
        "7 response NOERROR rd ra www.example.com A -> 192.0.2.1 192.0.2.2 ttl 60",
    ),
    (
        "a query with EDNS that wants signatures, as the stub of systemd sends it",
        b"\xab\xcd\x01\x20\0\x01\0\0\0\0\0\x01\x07example\x03org\0\0\x1c\0\x01\0\0\x29\x04\xd0\0\0\x80\0\0\0",
        "43981 query rd ad example.org AAAA edns 1232 do",
    ),
    (
        "a chain of aliases, names compressed twice, and both kinds of address",
        b"\0\x01\x81\x80\0\x01\0\x04\0\0\0\0\x01a\x01x\0\0\xff\0\x01\
          \xc0\x0c\0\x05\0\x01\0\0\0\x05\0\x04\x01b\xc0\x0e\
          \xc0\x21\0\x05\0\x01\0\0\0\x04\0\x04\x01c\xc0\x0e\
          \x01c\xc0\x0e\0\x01\0\x01\0\0\0\x03\0\x04\x0a\0\0\x01\
          \xc0\x25\0\x1c\0\x01\x80\0\0\x01\0\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01",
        "1 response NOERROR rd ra a.x ANY -> =b.x =c.x 10.0.0.1 2001:db8::1 ttl 0",
    ),
    (
        "no such name, with the start of authority",
        b"\0\x02\x85\x83\0\x01\0\0\0\x01\0\0\x02no\x03com\0\0\x01\0\x01\
          \xc0\x0f\0\x06\0\x01\0\0\0\x3c\0\x19\x01a\xc0\x0f\0\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05",
        "2 response NXDOMAIN aa rd ra no.com A",
    ),
    (
        "a failure, and a code that EDNS extends",
        b"\0\x03\x81\x00\0\x01\0\0\0\0\0\x01\x01a\0\0\x01\0\x01\0\0\x29\x10\0\x01\x01\0\0\0\0",
        "3 response BADVERS rd a A edns 4096",
    ),
    (
        "a code without a name",
        b"\0\x03\x81\x0f\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01",
        "3 response RCODE15 rd a A",
    ),
    (
        "an answer that did not fit",
        b"\0\x04\x87\x80\0\x01\0\0\0\0\0\0\x03big\0\0\x10\0\x01",
        "4 response NOERROR aa tc rd ra big TXT",
    ),
    (
        "other records, counted by type",
        b"\0\x05\x81\x80\0\x01\0\x03\0\0\0\0\x01h\0\0\x41\0\x01\
          \xc0\x0c\0\x41\0\x01\0\0\0\x0a\0\x03\0\x01\0\
          \xc0\x0c\xff\x01\0\x01\0\0\0\x14\0\x01z\
          \xc0\x0c\0\x41\0\x01\0\0\0\x1e\0\x03\0\x02\0",
        "5 response NOERROR rd ra h HTTPS -> HTTPS*2 TYPE65281*1 ttl 10",
    ),
    (
        "another class",
        b"\0\x06\x00\x00\0\x01\0\0\0\0\0\0\x07version\x04bind\0\0\x10\0\x03",
        "6 query version.bind TXT CH",
    ),
    (
        "an address of another class is no address",
        b"\0\x06\x80\x00\0\x01\0\x01\0\0\0\0\x01a\0\0\x01\0\x03\xc0\x0c\0\x01\0\x03\0\0\0\x01\0\x02hi",
        "6 response NOERROR a A CH -> A*1 ttl 1",
    ),
    (
        "the root",
        b"\0\x08\x00\x10\0\x01\0\0\0\0\0\0\0\0\x02\0\x01",
        "8 query cd . NS",
    ),
    (
        "octets that a name must escape: space, dot, backslash, line feed, zero, 255, an escape sequence",
        b"\0\x09\x00\x00\0\x01\0\0\0\0\0\0\x08 .\\\n\0\xff\x1b[\x01Z\0\0\x01\0\x01",
        "9 query \\032\\.\\\\\\010\\000\\255\\027[.Z A",
    ),
    (
        "a query without a question",
        b"\0\x0a\x00\x00\0\0\0\0\0\0\0\x01\0\0\x29\x10\0\0\0\0\0\0\0",
        "10 query - edns 4096",
    ),
    (
        "an answer to what could not be read",
        b"\0\x0b\x80\x01\0\0\0\0\0\0\0\0",
        "11 response FORMERR -",
    ),
    (
        "a notification",
        b"\0\x0c\x24\x00\0\x01\0\0\0\0\0\0\x01z\0\0\x06\0\x01",
        "12 query NOTIFY aa z SOA",
    ),
    (
        "an opcode without a name, and the reserved bit",
        b"\0\x0d\x78\x40\0\x01\0\0\0\0\0\0\x01z\0\0\x06\0\x01",
        "13 query OPCODE15 z z SOA",
    ),
];

/// Messages that are wrong somewhere.
pub(crate) const MALFORMED: &[(&str, &[u8], &str)] = &[
    ("nothing", b"", "malformed Header"),
    ("a short header", b"\0\x01\x01\0\0\x01\0\0\0\0\0", "malformed Header"),
    (
        "no question where one was promised",
        b"\0\x01\x01\0\0\x01\0\0\0\0\0\0",
        "malformed Question",
    ),
    (
        "a pointer to itself",
        b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\xc0\x0c\0\x01\0\x01",
        "malformed Question",
    ),
    (
        "a pointer ahead",
        b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\xc0\x12\0\x01\0\x01\x01a\0",
        "malformed Question",
    ),
    (
        "a loop over a label",
        b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x01a\xc0\x0c\0\x01\0\x01",
        "malformed Question",
    ),
    (
        "a loop of two",
        b"\0\x01\x81\0\0\x01\0\x01\0\0\0\0\x01a\0\0\x01\0\x01\xc0\x15\xc0\x13\0\x01\0\x01\0\0\0\x01\0\x04\x0a\0\0\x01",
        "1 response NOERROR rd a A Record",
    ),
    (
        "a label of a kind that is reserved",
        b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x41a\0\0\x01\0\x01",
        "malformed Question",
    ),
    (
        "two questions: the first",
        b"\0\x01\x01\0\0\x02\0\0\0\0\0\0\x01a\0\0\x01\0\x01\x01b\0\0\x01\0\x01",
        "1 query rd a A cut QuestionCount",
    ),
    (
        "fewer records than promised",
        b"\0\x01\x81\0\0\x01\0\x02\0\0\0\0\x01a\0\0\x01\0\x01\xc0\x0c\0\x01\0\x01\0\0\0\x01\0\x04\x0a\0\0\x01",
        "1 response NOERROR rd a A -> 10.0.0.1 ttl 1 Record",
    ),
    (
        "data that runs over the end",
        b"\0\x01\x81\0\0\x01\0\x01\0\0\0\0\x01a\0\0\x01\0\x01\xc0\x0c\0\x01\0\x01\0\0\0\x01\0\x05\x0a\0\0\x01",
        "1 response NOERROR rd a A Record",
    ),
    (
        "an address of three octets, and what follows it",
        b"\0\x01\x81\0\0\x01\0\x02\0\0\0\0\x01a\0\0\x01\0\x01\xc0\x0c\0\x01\0\x01\0\0\0\x01\0\x03\x0a\0\0\
          \xc0\x0c\0\x01\0\x01\0\0\0\x01\0\x04\x0a\0\0\x02",
        "1 response NOERROR rd a A -> 10.0.0.2 A*1 ttl 1 RecordData",
    ),
    (
        "an alias for itself, by a loop of names",
        b"\0\x01\x81\0\0\x01\0\x01\0\0\0\0\x01a\0\0\x01\0\x01\xc0\x0c\0\x05\0\x01\0\0\0\x01\0\x02\xc0\x1f",
        "1 response NOERROR rd a A -> CNAME*1 ttl 1 RecordData",
    ),
];
