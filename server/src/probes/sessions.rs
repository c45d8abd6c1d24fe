//! The map of sessions of TLS libraries, read for what passed without being copied.

use aya::{
    Ebpf,
    maps::{HashMap, MapData},
};
use headwater_schema::session::{SessionKey, SessionState};

#[repr(transparent)]
#[derive(Clone, Copy)]
struct Key(SessionKey);

#[expect(
    unsafe_code,
    reason = "aya's marker for types that may be filled from bytes"
)]
// SAFETY: SessionKey is repr(C), holds integers only and has no padding (its size assertion), so any bytes are a value.
unsafe impl aya::Pod for Key {}

#[repr(transparent)]
#[derive(Clone, Copy)]
struct State(SessionState);

#[expect(
    unsafe_code,
    reason = "aya's marker for types that may be filled from bytes"
)]
// SAFETY: as above.
unsafe impl aya::Pod for State {}

/// What the probes know of sessions.
#[derive(Default)]
pub(super) struct Sessions(Option<HashMap<MapData, Key, State>>);

impl Sessions {
    pub(super) fn take(programs: &mut Ebpf) -> Self {
        let map = programs.take_map("SESSIONS");
        Self(map.and_then(|map| HashMap::try_from(map).ok()))
    }

    /// The session that a process keeps at an address.
    pub(super) fn of(&self, pid: u32, address: u64) -> Option<SessionState> {
        let key = Key(SessionKey {
            address,
            tgid: pid,
            reserved: 0,
        });
        self.0.as_ref()?.get(&key, 0).ok().map(|state| state.0)
    }
}
