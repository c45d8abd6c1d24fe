//! The name of the server in a client's first message of TLS.

/// The host name in the extension `server_name` (RFC 6066, section 3) of a ClientHello (RFC 8446, section 4.1.2), which may be
/// cut behind it. `None` when there is none, or it has not been seen yet.
pub fn server_name(message: &[u8]) -> Option<&[u8]> {
    // The message's type and its length, the old version, and the client's random bytes.
    let rest = match message {
        [1, _, _, _, rest @ ..] => rest.get(2 + 32..)?,
        _ => return None,
    };
    let (_, rest) = short::<1>(rest)?;
    let (_, rest) = short::<2>(rest)?;
    let (_, rest) = short::<1>(rest)?;
    let (_, mut extensions) = rest.split_first_chunk::<2>()?;
    loop {
        let (kind, rest) = extensions.split_first_chunk::<2>()?;
        let (body, rest) = short::<2>(rest)?;
        if *kind == [0, 0] {
            let (list, _) = short::<2>(body)?;
            let (kind, rest) = list.split_first()?;
            let (name, _) = short::<2>(rest)?;
            return (*kind == 0 && !name.is_empty()).then_some(name);
        }
        extensions = rest;
    }
}

/// A vector with a length of `N` bytes before it, and what is behind.
fn short<const N: usize>(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<N>()?;
    let length = length
        .iter()
        .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    rest.split_at_checked(length)
}
