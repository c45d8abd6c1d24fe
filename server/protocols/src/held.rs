//! Bytes that are held until more of them come.
//!
//! Refuses: to double. What is held for a connection is bounded in bytes of memory, and a buffer that grew by doubling
//! would take up to twice of what it holds.

/// Appends `bytes`; the buffer's room is at most `STEP` more than it holds.
pub(crate) fn append(held: &mut Vec<u8>, bytes: &[u8]) {
    let length = held.len() + bytes.len();
    if length > held.capacity() {
        // Small pieces come one by one; a small first piece is most often all that there is.
        let room = if held.is_empty() {
            length
        } else {
            length.next_multiple_of(STEP)
        };
        held.reserve_exact(room - held.len());
    }
    held.extend_from_slice(bytes);
}

const STEP: usize = 2048;
