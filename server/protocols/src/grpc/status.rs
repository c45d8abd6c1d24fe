//! The status of a call (gRPC's "statuscodes" page), from the trailer `grpc-status`.
//!
//! Owns: numbers and names, both ways. Refuses: to judge which of them is whose fault.

/// A status; numbers without a name are kept as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Status(pub u32);

/// Names by number.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

impl Status {
    /// The call succeeded.
    pub const OK: Self = Self(0);

    /// Reads the value of `grpc-status`: a decimal number.
    pub fn from_field(value: &[u8]) -> Option<Self> {
        if !value.iter().all(u8::is_ascii_digit) {
            return None;
        }
        std::str::from_utf8(value).ok()?.parse().ok().map(Self)
    }

    /// The status of this name, in capitals as gRPC writes it.
    pub fn from_name(name: &str) -> Option<Self> {
        (0..)
            .zip(NAMES)
            .find(|(_, known)| *known == name)
            .map(|(number, _)| Self(number))
    }

    /// Its name; `None` for a number that gRPC does not know.
    pub fn name(self) -> Option<&'static str> {
        NAMES.get(usize::try_from(self.0).ok()?).copied()
    }
}
